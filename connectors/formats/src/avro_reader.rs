//! Reading an Avro object container file of which only sizes and ranges of bytes can be asked.
//!
//! Blocks are taken out of the file, measured, decompressed and walked over (`avro_container`) before Arrow's decoder gets them, as one
//! stream under the file's own schema. Rows come in the file's order from any row on, in the columns asked for, each in the one physical
//! type of its kind. Offsets are rows: whole blocks before the first one wanted are not decompressed.

use crate::avro_container::{AvroBlocks, AvroHeader};
use crate::plain::{fit, places, plain_schema};
use crate::{AvroLimits, FormatError, RangeReader};
use arrow_array::RecordBatch;
use arrow_avro::reader::{Reader, ReaderBuilder};
use arrow_schema::{ArrowError, SchemaRef};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::{Arc, Mutex, MutexGuard};

/// Rows decoded at once.
const BATCH: usize = 8192;

/// The schema a file's rows have when none is asked for.
///
/// # Errors
/// When the file cannot be read, is not Avro, or is too large for the limits.
pub async fn avro_schema(reader: &mut dyn RangeReader, limits: &AvroLimits) -> Result<SchemaRef, FormatError> {
    Ok(plain_schema(&decoder_of(&AvroHeader::read(reader, limits).await?, &Feed::default(), None)?.schema()))
}

/// The rows of a file, from some row on.
pub struct AvroReader {
    header: AvroHeader,
    blocks: AvroBlocks,
    rows: Reader<FeedReader>,
    feed: Feed,
    schema: SchemaRef,
    /// Decoded rows that are to be passed over.
    skip: u64,
    /// Decoded rows not handed out yet.
    rest: Option<RecordBatch>,
}

impl AvroReader {
    /// Opens a file at row `from`, to read the columns of `schema` by name.
    ///
    /// # Errors
    /// As [`avro_schema`], and when the schema does not fit or there are fewer rows than `from`.
    pub async fn open(mut reader: Box<dyn RangeReader>, limits: &AvroLimits, schema: SchemaRef, from: u64) -> Result<Self, FormatError> {
        let header = AvroHeader::read(&mut *reader, limits).await?;
        let found = plain_schema(&decoder_of(&header, &Feed::default(), None)?.schema());
        let places = places(&found, &schema)?;
        let blocks = AvroBlocks::new(reader, &header, limits);
        let feed = Feed::default();
        let rows = decoder_of(&header, &feed, Some(places))?;
        let mut reader = Self { header, blocks, rows, feed, schema, skip: 0, rest: None };
        reader.pass_over(from).await?;
        Ok(reader)
    }

    /// The next rows, at most `limit` of them; `None` at the end of the file.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged, or a value does not fit its column.
    pub async fn next(&mut self, limit: usize) -> Result<Option<RecordBatch>, FormatError> {
        loop {
            let rows = match self.rest.take() {
                Some(rest) => rest,
                None => match self.decoded().await? {
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

    /// Goes to row `from`.
    async fn pass_over(&mut self, from: u64) -> Result<(), FormatError> {
        let mut before = 0;
        while before < from {
            let Some(block) = self.blocks.next(&self.header).await? else {
                return Err(FormatError::Corrupt(format!("it has {before} rows, and reading was to go on at row {from}")));
            };
            if before + block.rows > from {
                self.skip = from - before;
                self.feed.lock().blocks.push_back(self.header.plain_block(block.rows, &self.blocks.open(&self.header, &block)?).into());
                return Ok(());
            }
            before += block.rows;
        }
        Ok(())
    }

    async fn decoded(&mut self) -> Result<Option<RecordBatch>, FormatError> {
        loop {
            match self.rows.next() {
                None => return Ok(None),
                Some(Ok(rows)) => {
                    let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rows.num_rows());
                    self.skip -= skipped as u64;
                    return Ok(Some(rows.slice(skipped, rows.num_rows() - skipped)));
                }
                Some(Err(error)) if !std::mem::take(&mut self.feed.lock().hungry) => return Err(corrupt(&error)),
                Some(Err(_)) => match self.blocks.next(&self.header).await? {
                    Some(block) => {
                        let data = self.blocks.open(&self.header, &block)?;
                        self.feed.lock().blocks.push_back(self.header.plain_block(block.rows, &data).into());
                    }
                    None => self.feed.lock().last = true,
                },
            }
        }
    }
}

/// Arrow's decoder of a file with this header, which is its first input.
fn decoder_of(header: &AvroHeader, feed: &Feed, places: Option<Vec<usize>>) -> Result<Reader<FeedReader>, FormatError> {
    let from = FeedReader { feed: feed.clone(), bytes: header.plain().into() };
    let mut builder = ReaderBuilder::new().with_batch_size(BATCH);
    if let Some(places) = places {
        builder = builder.with_projection(places);
    }
    // The decoder looks for more until the header is whole, and once more then.
    feed.lock().last = true;
    let decoder = builder.build(from).map_err(|e| corrupt(&e))?;
    feed.lock().last = false;
    Ok(decoder)
}

fn corrupt(error: &ArrowError) -> FormatError {
    let text = error.to_string();
    let told = text.rsplit_once("error: ").map_or(text.as_str(), |(_, told)| told);
    FormatError::Corrupt(stygian_core::escape(told, 300))
}

/// Blocks on their way to the decoder.
#[derive(Clone, Default)]
struct Feed(Arc<Mutex<Fed>>);

#[derive(Default)]
struct Fed {
    blocks: VecDeque<Bytes>,
    /// None follow.
    last: bool,
    /// The decoder asked in vain.
    hungry: bool,
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Fed> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What the decoder reads from. Without a block, and more to come, reading "would block"; the decoder keeps what it has then.
struct FeedReader {
    feed: Feed,
    bytes: Bytes,
}

impl Read for FeedReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.len().min(into.len());
        into[..count].copy_from_slice(&self.bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for FeedReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() {
            let mut fed = self.feed.lock();
            match fed.blocks.pop_front() {
                Some(block) => self.bytes = block,
                None if fed.last => {}
                None => {
                    fed.hungry = true;
                    return Err(ErrorKind::WouldBlock.into());
                }
            }
        }
        Ok(&self.bytes)
    }

    fn consume(&mut self, count: usize) {
        self.bytes.advance(count.min(self.bytes.len()));
    }
}
