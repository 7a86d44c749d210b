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
