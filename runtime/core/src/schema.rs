//! What a stream carries: an Arrow schema, which column is the event time, and whether rows are appended or changed.

use arrow_schema::{DataType, SchemaRef, TimeUnit};
use std::fmt;

/// The name of the operation column of a changelog stream (`insert`, `update`, `delete`).
pub const OPERATION_COLUMN: &str = "_operation";

/// Whether later rows may replace or take back earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// Every row stands for itself.
    Append,
    /// Rows carry an operation in [`OPERATION_COLUMN`].
    Changelog,
}

impl fmt::Display for StreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Append => "append",
            Self::Changelog => "changelog",
        })
    }
}

/// A schema that a stream cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The event time is not among the columns.
    #[error("there is no column `{0}`")]
    NoSuchColumn(String),
    /// The event time is of a type that is no time.
    #[error("column `{name}` is {found}, an event time must be a timestamp")]
    NotATime {
        /// The column.
        name: String,
        /// Its type.
        found: DataType,
    },
}

/// The schema of a stream. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamSchema {
    columns: SchemaRef,
    event_time: Option<usize>,
    kind: StreamKind,
}

impl StreamSchema {
    /// An append stream without event time.
    pub fn append(columns: SchemaRef) -> Self {
        Self { columns, event_time: None, kind: StreamKind::Append }
    }

    /// The same with the named column as event time.
    ///
    /// # Errors
    /// When there is no such column, or it is no microsecond timestamp.
    pub fn with_event_time(mut self, name: &str) -> Result<Self, SchemaError> {
        let (index, field) = self.columns.column_with_name(name).ok_or_else(|| SchemaError::NoSuchColumn(name.to_owned()))?;
        if !matches!(field.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _)) {
            return Err(SchemaError::NotATime { name: name.to_owned(), found: field.data_type().clone() });
        }
        self.event_time = Some(index);
        Ok(self)
    }

    /// The same with another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: StreamKind) -> Self {
        self.kind = kind;
        self
    }

    /// The columns.
    pub fn columns(&self) -> &SchemaRef {
        &self.columns
    }

    /// The index of the event time column (a microsecond timestamp), if the stream has one.
    pub fn event_time(&self) -> Option<usize> {
        self.event_time
    }

    /// The name of the event time column.
    pub fn event_time_name(&self) -> Option<&str> {
        self.event_time.map(|index| self.columns.field(index).name().as_str())
    }

    /// Append or changelog.
    pub fn kind(&self) -> StreamKind {
        self.kind
    }
}
