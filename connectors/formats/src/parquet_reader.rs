//! Reading a Parquet file of which only sizes and ranges of bytes can be asked.
//!
//! What the footer and the page headers claim is checked against [`ParquetLimits`] before memory is taken for it. Rows come in the
//! file's order from any row on, in the columns asked for, each in the one physical type of its kind (views, dictionaries and other
//! units of time are cast).

use crate::plain::{fit, names, plain_schema};
use crate::{FormatError, RangeReader, parquet_pages};
use arrow_array::RecordBatch;
use arrow_schema::{Field, SchemaRef};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use stygian_core::ByteSize;

/// Rows decoded at once.
const BATCH: usize = 8192;
/// The bytes at the end of every file: the footer's length and `PAR1`.
const TAIL: u64 = 8;
/// So much of a file's end is read at first: most footers are in it.
const END: u64 = 64 << 10;

/// How large the parts of a file may be that are held in memory as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParquetLimits {
    /// The footer, as it is stored.
    pub footer: ByteSize,
    /// A row group, compressed and decompressed.
    pub row_group: ByteSize,
    /// A page, decompressed.
    pub page: ByteSize,
}

impl Default for ParquetLimits {
    fn default() -> Self {
        Self { footer: ByteSize::mib(16), row_group: ByteSize::mib(1024), page: ByteSize::mib(64) }
    }
}

/// The schema a file's rows have when none is asked for.
///
/// # Errors
/// When the file cannot be read, is not Parquet, or is too large for the limits.
pub async fn parquet_schema(reader: &mut dyn RangeReader, limits: &ParquetLimits) -> Result<SchemaRef, FormatError> {
    let metadata = footer(reader, limits).await?;
    let arrow = by_arrow(metadata)?;
    Ok(plain_schema(arrow.schema()))
}

/// The rows of a file, from some row on.
pub struct ParquetReader {
    rows: ParquetRecordBatchStream<Input>,
    total: u64,
    schema: SchemaRef,
    /// Decoded rows not handed out yet.
    rest: Option<RecordBatch>,
}

impl ParquetReader {
    /// Opens a file at row `from`, to read the columns of `schema` by name.
    ///
    /// # Errors
    /// As [`parquet_schema`], and when a column is missing or has fewer rows than `from`.
    pub async fn open(mut reader: Box<dyn RangeReader>, limits: &ParquetLimits, schema: SchemaRef, from: u64) -> Result<Self, FormatError> {
        let metadata = footer(&mut *reader, limits).await?;
        check_row_groups(&metadata, limits)?;
        let total =
            u64::try_from(metadata.file_metadata().num_rows()).map_err(|_| FormatError::Corrupt("a negative number of rows".into()))?;
        if from > total {
            return Err(FormatError::Corrupt(format!("it has {total} rows, and reading was to go on at row {from}")));
        }
        let arrow = by_arrow(metadata)?;
        let mask = projection(&arrow, &schema)?;
        let input = Input { reader, metadata: arrow.metadata().clone(), page_limit: limits.page };
        let skip = usize::try_from(from).map_err(|_| FormatError::Corrupt("more rows than fit in memory".into()))?;
        let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(input, arrow).with_projection(mask);
        let rows = builder.with_batch_size(BATCH).with_offset(skip).build().map_err(corrupt)?;
        Ok(Self { rows, total, schema, rest: None })
    }

    /// The rows in the file.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The next rows, at most `limit` of them; `None` at the end of the file.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged, or a value does not fit its column.
    pub async fn next(&mut self, limit: usize) -> Result<Option<RecordBatch>, FormatError> {
        loop {
            let rows = match self.rest.take() {
                Some(rest) => rest,
                None => match self.decode().await? {
                    Some(rows) => fit(&rows, &self.schema)?,
                    None => return Ok(None),
                },
            };
            if rows.num_rows() > limit {
                self.rest = Some(rows.slice(limit, rows.num_rows() - limit));
                return Ok(Some(rows.slice(0, limit)));
            }
            if rows.num_rows() > 0 {
                return Ok(Some(rows));
            }
        }
    }
}

impl ParquetReader {
    /// The next batch of the file. The library is no stranger to panics where a file lies; then the file is damaged, and nothing more is read.
    async fn decode(&mut self) -> Result<Option<RecordBatch>, FormatError> {
        match AssertUnwindSafe(self.rows.next()).catch_unwind().await {
            Ok(rows) => rows.transpose().map_err(corrupt),
            Err(_) => Err(FormatError::Corrupt("its pages are not what their headers say".into())),
        }
    }
}

async fn footer(reader: &mut dyn RangeReader, limits: &ParquetLimits) -> Result<Arc<ParquetMetaData>, FormatError> {
    let size = reader.len();
    if size < TAIL + 4 {
        return Err(FormatError::Corrupt(format!("{size} bytes are too few for a Parquet file")));
    }
    let end = reader.read(size.saturating_sub(END)..size).await.map_err(FormatError::Read)?;
    let tail = end.split_last_chunk::<8>().and_then(|(before, tail)| Some((before, tail.split_first_chunk::<4>()?)));
    let Some((before, (length, b"PAR1"))) = tail else {
        return Err(FormatError::Corrupt("it does not end with `PAR1`".into()));
    };
    let length = u64::from(u32::from_le_bytes(*length));
    if length > limits.footer.0 {
        return Err(too_large("the footer", length, limits.footer, "max_footer_bytes"));
    }
    let start = (size - TAIL).checked_sub(length).ok_or_else(|| FormatError::Corrupt("its footer is longer than the file".into()))?;
    let here = usize::try_from(length).ok().and_then(|length| before.len().checked_sub(length));
    let bytes = match here {
        Some(here) => end.slice(here..before.len()),
        None => reader.read(start..size - TAIL).await.map_err(FormatError::Read)?,
    };
    guarded(|| ParquetMetaDataReader::decode_metadata(&bytes)).map(Arc::new)
}

/// The columns as Arrow has them; the footer may hold an Arrow schema of its own.
fn by_arrow(metadata: Arc<ParquetMetaData>) -> Result<ArrowReaderMetadata, FormatError> {
    guarded(|| ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new()))
}

/// What the library makes of a footer. It is no stranger to panics where one lies.
fn guarded<T>(read: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, FormatError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(corrupt),
        Err(_) => Err(FormatError::Corrupt("its footer is not what it says".into())),
    }
}

fn check_row_groups(metadata: &ParquetMetaData, limits: &ParquetLimits) -> Result<(), FormatError> {
    for (n, group) in metadata.row_groups().iter().enumerate() {
        let sizes = [group.total_byte_size(), group.compressed_size()];
        let columns = group.columns().iter().flat_map(|column| [column.uncompressed_size(), column.compressed_size()]);
        let places = group.columns().iter().flat_map(|column| [column.data_page_offset(), column.dictionary_page_offset().unwrap_or(0)]);
        if places.min().is_some_and(|place| place < 0) {
            // The library asserts that there is none.
            return Err(FormatError::Corrupt(format!("row group {n} lies before the file's beginning")));
        }
        for size in columns.chain(sizes) {
            let size = u64::try_from(size).map_err(|_| FormatError::Corrupt(format!("row group {n} has a negative size")))?;
            if size > limits.row_group.0 {
                return Err(too_large(&format!("row group {n}"), size, limits.row_group, "max_row_group_bytes"));
            }
        }
    }
    Ok(())
}

fn too_large(part: &str, found: u64, limit: ByteSize, option: &'static str) -> FormatError {
    FormatError::TooLarge { part: part.to_owned(), found, limit: limit.0, option }
}

fn projection(file: &ArrowReaderMetadata, schema: &SchemaRef) -> Result<ProjectionMask, FormatError> {
    let root = |field: &Arc<Field>| {
        let position = file.schema().index_of(field.name());
        position.map_err(|_| FormatError::Header(format!("has no column `{}`; it has {}", field.name(), names(file.schema()))))
    };
    let roots = schema.fields().iter().map(root).collect::<Result<Vec<_>, _>>()?;
    Ok(ProjectionMask::roots(file.parquet_schema(), roots))
}

/// What the Parquet crate reads from: column chunks, looked at before it gets them.
struct Input {
    reader: Box<dyn RangeReader>,
    metadata: Arc<ParquetMetaData>,
    page_limit: ByteSize,
}

impl Input {
    /// Column chunks that lie one behind the other, in one read.
    async fn read(&mut self, chunks: &[Range<u64>], to: &mut Vec<Bytes>) -> parquet::errors::Result<()> {
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return Ok(()) };
        let mut bytes = self.reader.read(first.start..last.end).await.map_err(ParquetError::External)?;
        for chunk in chunks {
            let length = usize::try_from(chunk.end - chunk.start).map_or(bytes.len(), |length| length.min(bytes.len()));
            let chunk = bytes.split_to(length);
            parquet_pages::check(&chunk, self.page_limit).map_err(|e| ParquetError::External(e.into()))?;
            to.push(chunk);
        }
        Ok(())
    }
}

impl AsyncFileReader for Input {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move { Ok(self.get_byte_ranges(vec![range]).await?.pop().unwrap_or_default()) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            let size = self.reader.len();
            if let Some(range) = ranges.iter().find(|range| range.start > range.end || range.end > size) {
                let text = format!("a column chunk lies at bytes {} to {} of {size}", range.start, range.end);
                return Err(ParquetError::General(text));
            }
            let mut read = Vec::with_capacity(ranges.len());
            for together in ranges.chunk_by(|one, next| one.end == next.start) {
                self.read(together, &mut read).await?;
            }
            Ok(read)
        }
        .boxed()
    }

    fn get_metadata<'a>(&'a mut self, _: Option<&'a ArrowReaderOptions>) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let metadata = self.metadata.clone();
        async move { Ok(metadata) }.boxed()
    }
}

/// Our own error where there is one inside.
fn corrupt(error: ParquetError) -> FormatError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<FormatError>() {
            Ok(ours) => *ours,
            Err(other) => FormatError::Read(other),
        },
        other => FormatError::Corrupt(other.to_string()),
    }
}
