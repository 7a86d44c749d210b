//! Reads a Parquet file; offsets are rows.

use crate::bytes::FileBytes;
use async_trait::async_trait;
use stygian_api::{ConnectorError, Fetched, SplitReader};
use stygian_core::Offset;
use stygian_formats::{FormatError, ParquetReader};

/// A reader of one Parquet file.
pub(crate) struct ParquetSplit {
    pub(crate) reader: ParquetReader,
    pub(crate) file: FileBytes,
    /// The next row.
    pub(crate) at: u64,
}

#[async_trait]
impl SplitReader for ParquetSplit {
    async fn fetch(&mut self, rows: usize) -> Result<Fetched, ConnectorError> {
        match self.reader.next(rows.max(1)).await.map_err(|e| named(e, &self.file.shown))? {
            Some(rows) => {
                self.at += rows.num_rows() as u64;
                Ok(Fetched::Rows { rows, next: Offset(self.at) })
            }
            None => Ok(Fetched::End),
        }
    }
}

/// A format's error with the file's name.
pub(crate) fn named(error: FormatError, path: &str) -> ConnectorError {
    match error {
        FormatError::Read(inner) => match inner.downcast::<ConnectorError>() {
            Ok(ours) => *ours,
            Err(other) => ConnectorError::io("read", path, other),
        },
        other => ConnectorError::Corrupt { what: path.to_owned(), format: "parquet", reason: other.to_string() },
    }
}
