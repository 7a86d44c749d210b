//! Avro object container files: the header, and blocks taken one by one out of a file of which ranges can be read.
//!
//! Every length that a file claims is checked before memory is taken for it, decompressed sizes too, and every block ends with the
//! file's marker or is an error: a file that was cut short or damaged is never passed over. See "Object container files" of the Avro
//! specification.

use crate::avro_shapes::{MAX_PARTS, Shapes};
use crate::avro_walk::number;
use crate::{FormatError, RangeReader};
use arrow_avro::compression::{CODEC_METADATA_KEY, CompressionCodec};
use arrow_avro::errors::AvroError;
use arrow_avro::reader::{HeaderInfo, read_header_info};
use arrow_avro::schema::SCHEMA_METADATA_KEY;
use bytes::{Buf, Bytes};
use serde_json::Value;
use std::io::Read;
use stygian_core::ByteSize;

/// Bytes read at once.
const READ: u64 = 1024 * 1024;
/// The marker at the end of every block.
const MARKER: u64 = 16;
/// The most that the two numbers at the start of a block take.
const COUNTS: u64 = 20;

/// How large the parts of a file may be that are held in memory as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvroLimits {
    /// The header, with the schema.
    pub header: ByteSize,
    /// A block, compressed and decompressed; and no more values than this many.
    pub block: ByteSize,
}

impl Default for AvroLimits {
    fn default() -> Self {
        Self { header: ByteSize::mib(1), block: ByteSize::mib(64) }
    }
}

/// What a file says of itself.
pub(crate) struct AvroHeader {
    /// Its schema, in which UUIDs are the texts they are written as.
    pub(crate) schema: Value,
    pub(crate) shapes: Shapes,
    codec: Option<CompressionCodec>,
    marker: [u8; 16],
    length: u64,
}

impl AvroHeader {
    /// Reads the header of a file.
    pub(crate) async fn read(reader: &mut dyn RangeReader, limits: &AvroLimits) -> Result<Self, FormatError> {
        let info = read_info(reader, limits).await?;
        let damaged = |e: AvroError| FormatError::Corrupt(format!("its header is damaged: {}", stygian_core::escape(&e.to_string(), 200)));
        let text = info.writer_schema().map_err(damaged)?.json_string;
        let mut schema: Value = serde_json::from_str(&text).map_err(|e| FormatError::Corrupt(format!("its schema is no JSON: {e}")))?;
        uuids_as_text(&mut schema);
        let shapes = Shapes::of(&schema).map_err(FormatError::Corrupt)?;
        shapes.measure(MAX_PARTS).map_err(|reason| FormatError::Corrupt(format!("its schema: {reason}")))?;
        let codec = info.compression().map_err(damaged)?;
        if let Some(other @ (CompressionCodec::Bzip2 | CompressionCodec::Xz)) = codec {
            let name = format!("{other:?}").to_lowercase();
            return Err(FormatError::Corrupt(format!(
                "its blocks are compressed with {name}; only deflate, snappy and zstandard are read"
            )));
        }
        Ok(Self { schema, shapes, codec, marker: info.sync(), length: info.header_len() })
    }

    /// The header of the same file without compression: what the decoder is shown.
    pub(crate) fn plain(&self) -> Vec<u8> {
        let mut out = b"Obj\x01".to_vec();
        put_number(&mut out, 2);
        for (key, value) in [(SCHEMA_METADATA_KEY, self.schema.to_string()), (CODEC_METADATA_KEY, "null".to_owned())] {
            for part in [key.as_bytes(), value.as_bytes()] {
                put_number(&mut out, part.len());
                out.extend_from_slice(part);
            }
        }
        out.push(0);
        out.extend_from_slice(&self.marker);
        out
    }

    /// A block as [`AvroHeader::plain`] has it.
    pub(crate) fn plain_block(&self, rows: u64, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(data.len() + 40);
        // Counted and measured before: both fit.
        put_number(&mut out, usize::try_from(rows).unwrap_or_default());
        put_number(&mut out, data.len());
        out.extend_from_slice(data);
        out.extend_from_slice(&self.marker);
        out
    }

    fn decompress(&self, block: Bytes, limit: ByteSize) -> Result<Bytes, BlockError> {
        let bounded = |from: &mut dyn Read| {
            let mut out = Vec::new();
            let read = from.take(limit.0.saturating_add(1)).read_to_end(&mut out);
            read.map_err(|e| match e.to_string() {
                // zstd's words for a window that is larger than it may be.
                text if text.contains("requires too much memory") => BlockError::TooLarge(limit.0 + 1),
                text => BlockError::Damaged(text),
            })?;
            if out.len() as u64 > limit.0 { Err(BlockError::TooLarge(out.len() as u64)) } else { Ok(out.into()) }
        };
        match self.codec {
            None => Ok(block),
            Some(CompressionCodec::Deflate) => bounded(&mut flate2::read::DeflateDecoder::new(&block[..])),
            Some(CompressionCodec::Snappy) => snappy(&block, limit),
            Some(_) => {
                let mut from = zstd::Decoder::with_buffer(&block[..]).map_err(|e| BlockError::Damaged(e.to_string()))?;
                let window = limit.0.max(1024).next_power_of_two().ilog2().min(31);
                from.window_log_max(window).map_err(|e| BlockError::Damaged(e.to_string()))?;
                bounded(&mut from)
            }
        }
    }
}

async fn read_info(reader: &mut dyn RangeReader, limits: &AvroLimits) -> Result<HeaderInfo, FormatError> {
    let (size, mut want) = (reader.len(), 64 * 1024);
    loop {
        let end = size.min(want).min(limits.header.0);
        let bytes = reader.read(0..end).await.map_err(FormatError::Read)?;
        match read_header_info(&bytes[..]) {
            Ok(info) => return Ok(info),
            Err(AvroError::EOF(_)) if end == size => return Err(FormatError::Corrupt("it ends within its header".into())),
            Err(AvroError::EOF(_)) if end == limits.header.0 => {
                let part = "the header".to_owned();
                return Err(FormatError::TooLarge { part, found: end + 1, limit: limits.header.0, option: "max_header_bytes" });
            }
            Err(AvroError::EOF(_)) => want *= 4,
            Err(_) if !bytes.starts_with(b"Obj\x01") => return Err(FormatError::Corrupt("it does not begin with `Obj` and 1".into())),
            Err(error) => return Err(FormatError::Corrupt(stygian_core::escape(&error.to_string(), 200))),
        }
    }
}

/// A column of UUIDs is one of text for everybody here; the decoder would make 16 bytes of each.
pub(crate) fn uuids_as_text(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("logicalType").and_then(Value::as_str) == Some("uuid")
                && object.get("type").and_then(Value::as_str) == Some("string")
            {
                object.remove("logicalType");
            }
            object.values_mut().for_each(uuids_as_text);
        }
        Value::Array(all) => all.iter_mut().for_each(uuids_as_text),
        _ => {}
    }
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    let mut rest = (number as u64) << 1;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push((rest & 0x7f) as u8);
}

enum BlockError {
    Damaged(String),
    TooLarge(u64),
}

/// Behind the compressed bytes stand four of a CRC-32 of what is in them.
fn snappy(block: &[u8], limit: ByteSize) -> Result<Bytes, BlockError> {
    let damaged = |reason: &str| BlockError::Damaged(reason.to_owned());
    let (block, sum) = block.split_last_chunk::<4>().ok_or_else(|| damaged("it is too short for snappy"))?;
    let size = snap::raw::decompress_len(block).map_err(|e| BlockError::Damaged(e.to_string()))?;
    if size as u64 > limit.0 {
        return Err(BlockError::TooLarge(size as u64));
    }
    let out = snap::raw::Decoder::new().decompress_vec(block).map_err(|e| BlockError::Damaged(e.to_string()))?;
    if crc32fast::hash(&out) == u32::from_be_bytes(*sum) { Ok(out.into()) } else { Err(damaged("its checksum is wrong")) }
}

/// A file's blocks, in order.
pub(crate) struct AvroBlocks {
    reader: Box<dyn RangeReader>,
    limit: ByteSize,
    /// Where the next block begins.
    at: u64,
    /// Bytes read from there on.
    ahead: Bytes,
}

/// A block of a file, not yet decompressed.
pub(crate) struct AvroBlock {
    at: u64,
    pub(crate) rows: u64,
    data: Bytes,
}

impl AvroBlocks {
    /// The blocks behind a file's header.
    pub(crate) fn new(reader: Box<dyn RangeReader>, header: &AvroHeader, limits: &AvroLimits) -> Self {
        Self { reader, limit: limits.block, at: header.length, ahead: Bytes::new() }
    }

    /// The next block with its marker checked; `None` at the end of the file.
    pub(crate) async fn next(&mut self, header: &AvroHeader) -> Result<Option<AvroBlock>, FormatError> {
        let (at, size) = (self.at, self.reader.len());
        if at >= size {
            return Ok(None);
        }
        let damaged = |reason: &str| FormatError::Corrupt(format!("the block at byte {at} {reason}"));
        self.look_ahead(COUNTS).await?;
        let counts = number(&self.ahead).and_then(|(rows, one)| number(&self.ahead[one..]).map(|(bytes, two)| (rows, bytes, one + two)));
        let (rows, bytes, start) = counts.ok_or_else(|| damaged("does not say how long it is"))?;
        let (Ok(rows), Ok(bytes)) = (u64::try_from(rows), u64::try_from(bytes)) else { return Err(damaged("has a negative length")) };
        if bytes > self.limit.0 {
            return Err(too_large(at, bytes, self.limit));
        }
        let whole = start as u64 + bytes + MARKER;
        if size - at < whole {
            return Err(damaged(&format!("takes {whole} bytes, and {} are left: the file was cut short", size - at)));
        }
        self.look_ahead(whole).await?;
        let mut block = self.take(whole);
        let marker = block.split_off(block.len() - header.marker.len());
        if marker != header.marker[..] {
            return Err(damaged("does not end with the file's marker"));
        }
        block.advance(start);
        Ok(Some(AvroBlock { at, rows, data: block }))
    }

    /// What is in a block: exactly its rows, walked over.
    pub(crate) fn open(&self, header: &AvroHeader, block: &AvroBlock) -> Result<Bytes, FormatError> {
        let damaged =
            |reason: String| FormatError::Corrupt(format!("the block at byte {}: {}", block.at, stygian_core::escape(&reason, 200)));
        let data = header.decompress(block.data.clone(), self.limit).map_err(|e| match e {
            BlockError::Damaged(reason) => damaged(reason),
            BlockError::TooLarge(size) => too_large(block.at, size, self.limit),
        })?;
        if data.is_empty() && block.rows > 0 {
            return Err(damaged(format!("its {} rows take no bytes", block.rows)));
        }
        header.shapes.walk(&data, block.rows, self.limit.0).map_err(damaged)?;
        Ok(data)
    }

    async fn look_ahead(&mut self, want: u64) -> Result<(), FormatError> {
        let left = self.reader.len() - self.at;
        if (self.ahead.len() as u64) < want.min(left) {
            let end = self.at + want.max(READ).min(left);
            self.ahead = self.reader.read(self.at..end).await.map_err(FormatError::Read)?;
        }
        Ok(())
    }

    fn take(&mut self, count: u64) -> Bytes {
        self.at += count;
        // Read ahead before: in memory.
        self.ahead.split_to(usize::try_from(count).unwrap_or_default().min(self.ahead.len()))
    }
}

fn too_large(at: u64, found: u64, limit: ByteSize) -> FormatError {
    FormatError::TooLarge { part: format!("the block at byte {at}"), found, limit: limit.0, option: "max_block_bytes" }
}
