//! Writing an Avro object container file, block by block.
//!
//! Avro has no unsigned 64-bit number: such a column is written as `decimal(20, 0)`, which loses nothing. Smaller whole numbers are
//! written as `int` or `long`.

use crate::FormatError;
use arrow_array::RecordBatch;
use arrow_avro::compression::CompressionCodec;
use arrow_avro::errors::AvroError;
use arrow_avro::writer::format::AvroOcfFormat;
use arrow_avro::writer::{Writer, WriterBuilder};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use stygian_core::ColumnType;

/// A block is written at this many rows.
const BLOCK_ROWS: usize = 8192;
/// A block is written at about this size before compression; rows are held in memory until then.
const BLOCK_BYTES: usize = 1024 * 1024;

/// How blocks are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AvroCodec {
    /// Not at all.
    None,
    /// RFC 1951, which every reader of Avro has.
    Deflate,
    /// Snappy.
    Snappy,
    /// Zstandard.
    Zstd,
}

/// An Avro file being written. [`AvroWriter::finish`] writes the last block.
#[derive(Debug)]
pub struct AvroWriter<W: Write> {
    writer: Writer<Counted<W>, AvroOcfFormat>,
    written: Arc<AtomicU64>,
    schema: SchemaRef,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    waiting_bytes: usize,
}

impl<W: Write> AvroWriter<W> {
    /// Begins a file of such rows.
    ///
    /// # Errors
    /// When Avro cannot hold a column or its name, or the first bytes cannot be written.
    pub fn new(to: W, schema: &SchemaRef, codec: AvroCodec) -> Result<Self, FormatError> {
        let schema = as_written(schema)?;
        let codec = match codec {
            AvroCodec::None => None,
            AvroCodec::Deflate => Some(CompressionCodec::Deflate),
            AvroCodec::Snappy => Some(CompressionCodec::Snappy),
            AvroCodec::Zstd => Some(CompressionCodec::ZStandard),
        };
        let written = Arc::new(AtomicU64::new(0));
        let to = Counted { to, written: written.clone() };
        let writer = WriterBuilder::new(schema.as_ref().clone()).with_compression(codec).build(to).map_err(failed)?;
        Ok(Self { writer, written, schema, waiting: Vec::new(), waiting_rows: 0, waiting_bytes: 0 })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When a block is full and cannot be written.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), FormatError> {
        let bytes = rows.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum::<usize>();
        let at_once = (rows.num_rows() * BLOCK_BYTES / bytes.max(1)).clamp(1, BLOCK_ROWS);
        for start in (0..rows.num_rows()).step_by(at_once) {
            let part = rows.slice(start, at_once.min(rows.num_rows() - start));
            self.waiting_rows += part.num_rows();
            self.waiting_bytes += bytes / rows.num_rows() * part.num_rows();
            self.waiting.push(part);
            if self.waiting_rows >= BLOCK_ROWS || self.waiting_bytes >= BLOCK_BYTES {
                self.write_block()?;
            }
        }
        Ok(())
    }

    /// About how large the file is so far.
    pub fn size(&self) -> u64 {
        self.written.load(Ordering::Relaxed) + self.waiting_bytes as u64
    }

    /// Writes the last block, and gives back what was written to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<W, FormatError> {
        self.write_block()?;
        self.writer.finish().map_err(failed)?;
        Ok(self.writer.into_inner().to)
    }

    pub(crate) fn write_block(&mut self) -> Result<(), FormatError> {
        (self.waiting_rows, self.waiting_bytes) = (0, 0);
        let waiting = std::mem::take(&mut self.waiting);
        let Some(first) = waiting.first() else { return Ok(()) };
        let arrow = |e: arrow_schema::ArrowError| FormatError::Corrupt(e.to_string());
        let rows = concat_batches(first.schema_ref(), &waiting).map_err(arrow)?;
        let columns = rows.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>().map_err(arrow)?;
        let rows = RecordBatch::try_new(self.schema.clone(), columns).map_err(arrow)?;
        self.writer.write(&rows).map_err(failed)
    }
}

/// Counts what is written: the writer shows what it writes to only when it is given up.
#[derive(Debug)]
struct Counted<W> {
    to: W,
    written: Arc<AtomicU64>,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.written.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The schema as it is written.
pub(crate) fn as_written(schema: &SchemaRef) -> Result<SchemaRef, FormatError> {
    let field = |field: &Arc<Field>| {
        let name = field.name();
        if !is_avro_name(name) {
            return Err(FormatError::Name { format: "avro", column: stygian_core::escape(name, 100) });
        }
        match ColumnType::of(field.data_type()) {
            Some(ColumnType::UInt64) => Ok(Field::new(name, DataType::Decimal128(20, 0), field.is_nullable())),
            Some(_) => Ok(Field::new(name, field.data_type().clone(), field.is_nullable())),
            None => Err(FormatError::Type { format: "avro", column: name.clone(), found: field.data_type().to_string() }),
        }
    };
    Ok(Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Result<Vec<_>, _>>()?)))
}

/// `[A-Za-z_][A-Za-z0-9_]*`.
pub(crate) fn is_avro_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// The I/O error where there is one, so that its kind is seen.
fn failed(error: AvroError) -> FormatError {
    match error {
        AvroError::IoError(_, source) => FormatError::Read(source.into()),
        other => FormatError::Corrupt(other.to_string()),
    }
}
