//! Writing a Parquet file, row group by row group.

use crate::FormatError;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use std::io::Write;
use stygian_core::ByteSize;

/// How the pages of a Parquet file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParquetCompression {
    /// Not at all.
    None,
    /// Snappy.
    Snappy,
    /// Zstandard at its fastest level.
    Zstd,
}

/// How a Parquet file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParquetWriterOptions {
    /// A row group is closed at this many rows.
    pub row_group_rows: usize,
    /// A row group is closed at about this size; it is held in memory until then.
    pub row_group_bytes: ByteSize,
    /// How pages are compressed.
    pub compression: ParquetCompression,
}

impl Default for ParquetWriterOptions {
    fn default() -> Self {
        Self { row_group_rows: 1024 * 1024, row_group_bytes: ByteSize::mib(32), compression: ParquetCompression::Zstd }
    }
}

/// A Parquet file being written. Without [`ParquetWriter::finish`] it has no footer and cannot be read.
#[derive(Debug)]
pub struct ParquetWriter<W: Write + Send>(ArrowWriter<W>);

impl<W: Write + Send> ParquetWriter<W> {
    /// Begins a file of such rows.
    ///
    /// # Errors
    /// When Parquet cannot hold a column, or the first bytes cannot be written.
    pub fn new(to: W, schema: SchemaRef, options: ParquetWriterOptions) -> Result<Self, FormatError> {
        let compression = match options.compression {
            ParquetCompression::None => Compression::UNCOMPRESSED,
            ParquetCompression::Snappy => Compression::SNAPPY,
            ParquetCompression::Zstd => Compression::ZSTD(ZstdLevel::default()),
        };
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_max_row_group_row_count(Some(options.row_group_rows.max(1)))
            .set_max_row_group_bytes(Some(options.row_group_bytes.as_usize().max(1)))
            .set_created_by(concat!("stygian version ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        Ok(Self(ArrowWriter::try_new(to, schema, Some(properties)).map_err(failed)?))
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When a row group is full and cannot be written.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), FormatError> {
        self.0.write(rows).map_err(failed)
    }

    /// About how large the file is so far.
    pub fn size(&self) -> u64 {
        (self.0.bytes_written() + self.0.in_progress_size()) as u64
    }

    /// Writes the last row group and the footer, and gives back what was written to.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn finish(self) -> Result<W, FormatError> {
        self.0.into_inner().map_err(failed)
    }
}

/// The I/O error where there is one, so that its kind is seen.
fn failed(error: ParquetError) -> FormatError {
    match error {
        ParquetError::External(source) => FormatError::Read(source),
        other => FormatError::Corrupt(other.to_string()),
    }
}
