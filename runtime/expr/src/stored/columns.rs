//! Rows of a section as an Arrow IPC stream, which other tools read too: a schema message, record batches, nothing compressed, buffers
//! at multiples of 8 bytes.
//!
//! The schema of a stream that is read is passed over: it must be what is expected. Arrow's reader trusts the lengths and places in a
//! stream's metadata, so they are checked before it sees them.

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_ipc::{FieldNode, Message, MessageHeader, MetadataVersion, root_as_message};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use std::collections::HashMap;

/// What every message of a stream begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// The most rows of one batch that are written.
pub(super) const BATCH_ROWS: usize = 8_192;
/// The longest column; no more fits into a list.
const MAX_LENGTH: usize = i32::MAX as usize;

/// Writes a stream of these batches.
pub(super) fn write(
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    to: &mut Vec<u8>,
) -> Result<(), ArrowError> {
    let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?;
    let mut writer = StreamWriter::try_new_with_options(to, schema, options)?;
    for batch in batches {
        writer.write(&batch?)?;
    }
    writer.finish()
}

/// Whether a column of this type can be written and read again.
pub(crate) fn storable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null
        | DataType::Boolean
        | DataType::FixedSizeBinary(_)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Binary
        | DataType::LargeBinary => true,
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) | DataType::FixedSizeList(item, _) => {
            storable(item.data_type())
        }
        DataType::Struct(fields) => fields.iter().all(|field| storable(field.data_type())),
        other => other.primitive_width().is_some(),
    }
}

/// Reads a stream of batches with this schema; the error says what is wrong with it.
pub(super) fn read(mut stream: &[u8], schema: &SchemaRef) -> Result<Vec<RecordBatch>, String> {
    let first = take_message(&mut stream)?.ok_or("its rows have no schema")?;
    if first.parsed()?.header_type() != MessageHeader::Schema {
        return Err("its rows do not begin with a schema".to_owned());
    }
    let mut batches = Vec::new();
    while let Some(parts) = take_message(&mut stream)? {
        let message = parts.parsed()?;
        let batch = message.header_as_record_batch().ok_or("something other than rows is behind the schema")?;
        check(&batch, schema, parts.body.len())?;
        let body = Buffer::from(parts.body);
        let read = arrow_ipc::reader::read_record_batch(&body, batch, schema.clone(), &HashMap::new(), None, &message.version());
        batches.push(read.map_err(|error| format!("its rows make no sense: {error}"))?);
    }
    if stream.is_empty() { Ok(batches) } else { Err("something follows its rows".to_owned()) }
}

/// A message of a stream: its metadata, as a copy that lies where the reader wants it, and the bytes that follow.
struct Parts<'a> {
    metadata: Vec<u8>,
    body: &'a [u8],
}

impl Parts<'_> {
    fn parsed(&self) -> Result<Message<'_>, String> {
        root_as_message(&self.metadata).map_err(|error| format!("the metadata of its rows is malformed: {error}"))
    }
}

/// The next message; `None` at the end of the stream.
fn take_message<'a>(stream: &mut &'a [u8]) -> Result<Option<Parts<'a>>, String> {
    if take(stream, CONTINUATION.len())? != CONTINUATION {
        return Err("its rows are no Arrow stream".to_owned());
    }
    let length = take(stream, 4)?.try_into().map(i32::from_le_bytes).unwrap_or(-1);
    if length == 0 {
        return Ok(None);
    }
    let metadata = take(stream, usize::try_from(length).map_err(|_| "a length below zero")?)?.to_vec();
    let mut parts = Parts { metadata, body: &[] };
    let body = usize::try_from(parts.parsed()?.bodyLength()).map_err(|_| "a length below zero")?;
    parts.body = take(stream, body)?;
    Ok(Some(parts))
}

fn take<'a>(stream: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = stream.split_at_checked(length).ok_or("its rows are cut short")?;
    *stream = rest;
    Ok(taken)
}

/// Checks all that Arrow's reader takes for granted: counts, places within the body, lengths that fit the rows.
fn check(batch: &arrow_ipc::RecordBatch<'_>, schema: &SchemaRef, body: usize) -> Result<(), String> {
    let rows = usize::try_from(batch.length()).ok().filter(|rows| *rows <= BATCH_ROWS).ok_or("an impossible number of rows")?;
    if batch.compression().is_some() || batch.variadicBufferCounts().is_some_and(|counts| !counts.is_empty()) {
        return Err("its rows are compressed, or of a type that is not stored".to_owned());
    }
    let (nodes, buffers) = (batch.nodes().ok_or("rows without columns")?, batch.buffers().ok_or("rows without buffers")?);
    let mut places = Places { nodes: nodes.iter(), buffers: buffers.iter(), body };
    for field in schema.fields() {
        let of_column = places.column(field.data_type(), Some(rows));
        of_column.map_err(|reason| format!("its column `{}`: {reason}", stygian_core::escape(field.name(), 64)))?;
    }
    if places.nodes.next().is_some() { Err("it has too many columns".to_owned()) } else { Ok(()) }
}

/// Columns and buffers that have not been looked at.
struct Places<N, B> {
    nodes: N,
    buffers: B,
    body: usize,
}

impl<'a, N: Iterator<Item = &'a FieldNode>, B: Iterator<Item = &'a arrow_ipc::Buffer>> Places<N, B> {
    /// One column, and those within it; it has so many rows where that is known.
    fn column(&mut self, data_type: &DataType, rows: Option<usize>) -> Result<(), String> {
        let node = self.nodes.next().ok_or("it is not there")?;
        let length = usize::try_from(node.length()).ok().filter(|length| *length <= MAX_LENGTH).ok_or("an impossible length")?;
        let nulls = usize::try_from(node.null_count()).ok().filter(|nulls| *nulls <= length).ok_or("an impossible number of nulls")?;
        if rows.is_some_and(|rows| rows != length) {
            return Err(format!("{length} values for another number of rows"));
        }
        if *data_type != DataType::Null {
            self.buffer(if nulls > 0 { length.div_ceil(8) } else { 0 }, 1)?;
        }
        let offsets = |width: usize| (if length == 0 { 0 } else { (length + 1) * width }, width);
        match data_type {
            DataType::Null => Ok(()),
            DataType::Boolean => self.buffer(length.div_ceil(8), 1),
            DataType::Utf8 | DataType::Binary => self.buffers([offsets(4), (0, 1)]),
            DataType::LargeUtf8 | DataType::LargeBinary => self.buffers([offsets(8), (0, 1)]),
            DataType::FixedSizeBinary(width) => self.buffer(usize::try_from(*width).unwrap_or(0).saturating_mul(length), 1),
            DataType::List(item) | DataType::Map(item, _) => {
                self.buffers([offsets(4)])?;
                self.column(item.data_type(), None)
            }
            DataType::LargeList(item) => {
                self.buffers([offsets(8)])?;
                self.column(item.data_type(), None)
            }
            DataType::FixedSizeList(item, size) => {
                self.column(item.data_type(), usize::try_from(*size).ok().and_then(|size| size.checked_mul(length)))
            }
            DataType::Struct(fields) => fields.iter().try_for_each(|field| self.column(field.data_type(), Some(length))),
            fixed => {
                let width = fixed.primitive_width().ok_or("a type that is not stored")?;
                self.buffer(length.saturating_mul(width), width)
            }
        }
    }

    fn buffers<const K: usize>(&mut self, buffers: [(usize, usize); K]) -> Result<(), String> {
        buffers.into_iter().try_for_each(|(least, width)| self.buffer(least, width))
    }

    /// The next buffer: at least so long, a multiple of the width, within the body.
    fn buffer(&mut self, least: usize, width: usize) -> Result<(), String> {
        let buffer = self.buffers.next().ok_or("too few buffers")?;
        let place = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let fits = place.is_some_and(|(at, length)| {
            length >= least && length % width == 0 && at.checked_add(length).is_some_and(|end| end <= self.body)
        });
        if fits { Ok(()) } else { Err("a buffer is not where it should be".to_owned()) }
    }
}
