//! What can be wrong with a file or a schema as a whole; single bad rows are no errors.

/// A file or a schema that a format cannot work with.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A column has a type that the format cannot hold.
    #[error("column `{column}` is {found}, which {format} cannot hold")]
    Type {
        /// The format.
        format: &'static str,
        /// The column.
        column: String,
        /// Its type.
        found: String,
    },
    /// A file has a column as another kind of value than the schema says.
    #[error("column `{column}` is {found} in the file and {wanted} in the schema")]
    Mismatch {
        /// The column.
        column: String,
        /// Its type in the file.
        found: String,
        /// Its type in the schema.
        wanted: String,
    },
    /// A column has a name that the format cannot hold.
    #[error("the column name `{column}` cannot be written in {format}; give it one of letters, digits and `_` with a select")]
    Name {
        /// The format.
        format: &'static str,
        /// The column.
        column: String,
    },
    /// An Avro record has a name that cannot be.
    #[error("`{0}` is no name for an Avro record: letters, digits and `_`, no digit first, dots between the parts of a namespace")]
    RecordName(String),
    /// The format holds one column.
    #[error("{format} holds one column of text or binary, and there are {found}")]
    OneColumn {
        /// The format.
        format: &'static str,
        /// How many columns there are.
        found: usize,
    },
    /// Compressed bytes are damaged or cut short.
    #[error("at compressed byte {offset}, {compression} cannot be read: {reason}")]
    Compressed {
        /// The compression.
        compression: &'static str,
        /// How many compressed bytes were read.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// A file's header does not fit the schema.
    #[error("the header {0}")]
    Header(String),
    /// A part of a file is larger than a limit allows.
    #[error("{part} takes {found} bytes, more than the limit of {limit}; raise `{option}` if the file is to be trusted")]
    TooLarge {
        /// The part, such as `row group 3`.
        part: String,
        /// Its size in bytes.
        found: u64,
        /// The limit in bytes.
        limit: u64,
        /// The option that sets the limit.
        option: &'static str,
    },
    /// A file is not what its format says.
    #[error("{0}")]
    Corrupt(String),
    /// The bytes of a file could not be had.
    #[error("{0}")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
}
