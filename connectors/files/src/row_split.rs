//! Reads a file that has rows rather than text: Avro, Parquet. Offsets are rows.

use arrow_array::RecordBatch;
use async_trait::async_trait;
use stygian_api::{ConnectorError, Fetched, Mark, SplitReader};
use stygian_core::Offset;
use stygian_formats::{AvroReader, FormatError, ParquetReader};

/// A file's rows in order.
#[async_trait]
pub(crate) trait RowFile: Send {
    /// The format's name.
    const FORMAT: &'static str;

    /// At most `rows` more rows; `None` at the end.
    async fn more(&mut self, rows: usize) -> Result<Option<RecordBatch>, FormatError>;
}

#[async_trait]
impl RowFile for AvroReader {
    const FORMAT: &'static str = "avro";

    async fn more(&mut self, rows: usize) -> Result<Option<RecordBatch>, FormatError> {
        self.next(rows).await
    }
}

#[async_trait]
impl RowFile for ParquetReader {
    const FORMAT: &'static str = "parquet";

    async fn more(&mut self, rows: usize) -> Result<Option<RecordBatch>, FormatError> {
        self.next(rows).await
    }
}

/// A reader of one file.
pub(crate) struct RowSplit<R> {
    pub(crate) reader: R,
    /// The file, for messages.
    pub(crate) shown: String,
    /// The next row.
    pub(crate) at: u64,
    /// What the file is known by, until it is told.
    pub(crate) mark: Option<Mark>,
}

impl<R: RowFile> RowSplit<R> {
    /// What `opened` reads from row `at` on.
    pub(crate) fn new(opened: Result<R, FormatError>, shown: String, at: u64, mark: Option<Mark>) -> Result<Self, ConnectorError> {
        let reader = opened.map_err(|e| named(e, R::FORMAT, &shown))?;
        Ok(Self { reader, shown, at, mark })
    }
}

#[async_trait]
impl<R: RowFile> SplitReader for RowSplit<R> {
    async fn fetch(&mut self, rows: usize) -> Result<Fetched, ConnectorError> {
        if let Some(mark) = self.mark.take() {
            return Ok(Fetched::Mark(mark));
        }
        match self.reader.more(rows.max(1)).await.map_err(|e| named(e, R::FORMAT, &self.shown))? {
            Some(rows) => {
                self.at += rows.num_rows() as u64;
                Ok(Fetched::Rows { rows, next: Offset(self.at) })
            }
            None => Ok(Fetched::End),
        }
    }
}

/// A format's error with the file's name.
pub(crate) fn named(error: FormatError, format: &'static str, path: &str) -> ConnectorError {
    match error {
        FormatError::Read(inner) => match inner.downcast::<ConnectorError>() {
            Ok(ours) => *ours,
            Err(other) => ConnectorError::io("read", path, other),
        },
        other => ConnectorError::Corrupt { what: path.to_owned(), format, reason: other.to_string() },
    }
}
