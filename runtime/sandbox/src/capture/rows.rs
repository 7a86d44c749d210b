//! Rows of a capture as an Arrow IPC stream, which other tools read too: a schema message, one record batch, nothing compressed.
//!
//! When one is read, the schema is that of the capture's record, whose types are plain; that of the stream is passed over. Arrow's reader
//! trusts the lengths and places in a stream's metadata, so they are all checked before it sees them.

use super::CaptureError;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::Buffer;
use arrow_ipc::writer::StreamWriter;
use arrow_ipc::{Message, MessageHeader, root_as_message};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use std::collections::HashMap;
use std::sync::Arc;
use stygian_core::{ColumnType, Field};

/// The most rows of a capture; a call has fewer.
const MAX_ROWS: usize = 1 << 24;
/// What every message of a stream begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];

pub(super) fn schema(fields: &[Field]) -> SchemaRef {
    Arc::new(Schema::new(fields.iter().map(Field::arrow).collect::<Vec<_>>()))
}

/// Columns by name, type, and whether values may be absent.
pub(super) fn schema_of<const N: usize>(fields: [(&str, ColumnType, bool); N]) -> SchemaRef {
    schema(&fields.map(|(name, column_type, nullable)| Field { name: name.to_owned(), column_type, nullable }))
}

/// A column of exactly the type that a [`ColumnType`] stands for: all zones are one.
pub(super) fn physical(column_type: ColumnType, array: ArrayRef) -> ArrayRef {
    match array.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) if column_type == ColumnType::TimestampUtc => Arc::new(times.clone().with_timezone("UTC")),
        _ => array,
    }
}

pub(super) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, CaptureError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|error| input(&error))
}

fn input(error: &ArrowError) -> CaptureError {
    CaptureError::Input(error.to_string())
}

pub(super) fn encode(rows: &RecordBatch) -> Result<Vec<u8>, CaptureError> {
    let write = || {
        let mut writer = StreamWriter::try_new(Vec::new(), rows.schema_ref())?;
        writer.write(rows)?;
        writer.into_inner()
    };
    write().map_err(|error| input(&error))
}

/// Reads a stream of one batch with this schema; the error says what is wrong with it.
pub(super) fn decode(mut stream: &[u8], schema: &SchemaRef) -> Result<RecordBatch, String> {
    let first = take_message(&mut stream)?;
    let second = take_message(&mut stream)?;
    if first.parsed()?.header_type() != MessageHeader::Schema {
        return Err("the rows do not begin with a schema".to_owned());
    }
    let message = second.parsed()?;
    let batch = message.header_as_record_batch().ok_or("there are no rows behind the schema")?;
    check(&batch, schema, second.body.len())?;
    let body = Buffer::from(second.body);
    let read = arrow_ipc::reader::read_record_batch(&body, batch, schema.clone(), &HashMap::new(), None, &message.version());
    read.map_err(|error| format!("the rows do not make sense: {error}"))
}

/// A message of a stream: its metadata, as a copy that lies where the reader wants it, and the bytes that follow.
struct Parts<'a> {
    metadata: Vec<u8>,
    body: &'a [u8],
}

impl Parts<'_> {
    fn parsed(&self) -> Result<Message<'_>, String> {
        root_as_message(&self.metadata).map_err(|error| format!("the metadata of the rows is malformed: {error}"))
    }
}

fn take_message<'a>(stream: &mut &'a [u8]) -> Result<Parts<'a>, String> {
    if take(stream, CONTINUATION.len())? != CONTINUATION {
        return Err("the rows are no Arrow stream".to_owned());
    }
    let length = take(stream, 4)?.try_into().map(i32::from_le_bytes).unwrap_or(-1);
    let metadata = take(stream, usize::try_from(length).map_err(|_| "a length below zero")?)?.to_vec();
    let mut parts = Parts { metadata, body: &[] };
    let body = usize::try_from(parts.parsed()?.bodyLength()).map_err(|_| "a length below zero")?;
    parts.body = take(stream, body)?;
    Ok(parts)
}

fn take<'a>(stream: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = stream.split_at_checked(length).ok_or("the rows are cut short")?;
    *stream = rest;
    Ok(taken)
}

/// Checks all that Arrow's reader takes for granted: counts, places within the body, lengths that fit the rows.
fn check(batch: &arrow_ipc::RecordBatch<'_>, schema: &Schema, body: usize) -> Result<(), String> {
    let rows = usize::try_from(batch.length()).ok().filter(|rows| *rows <= MAX_ROWS).ok_or("an impossible number of rows")?;
    if batch.compression().is_some() || batch.variadicBufferCounts().is_some_and(|counts| !counts.is_empty()) {
        return Err("the rows are compressed or of a type that does not cross into plugins".to_owned());
    }
    let (nodes, buffers) = (batch.nodes().ok_or("rows without columns")?, batch.buffers().ok_or("rows without buffers")?);
    if nodes.len() != schema.fields().len() {
        return Err(format!("{} columns where {} are due", nodes.len(), schema.fields().len()));
    }
    let mut buffers = buffers.iter();
    for (field, node) in schema.fields().iter().zip(nodes.iter()) {
        let nulls = usize::try_from(node.null_count()).ok().filter(|nulls| *nulls <= rows).ok_or("an impossible number of nulls")?;
        if usize::try_from(node.length()) != Ok(rows) {
            return Err(format!("column `{}` is not as long as the others", stygian_core::escape(field.name(), 64)));
        }
        let validity = if nulls > 0 { rows.div_ceil(8) } else { 0 };
        let column_type = ColumnType::of(field.data_type()).ok_or("a type that does not cross into plugins")?;
        for (least, width) in std::iter::once((validity, 1)).chain(least_bytes(column_type, rows)) {
            let buffer = buffers.next().ok_or("too few buffers")?;
            let place = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
            let fits = place.is_some_and(|(at, length)| {
                length >= least && length % width == 0 && at.checked_add(length).is_some_and(|end| end <= body)
            });
            if !fits {
                return Err(format!("a buffer of column `{}` is not where it should be", stygian_core::escape(field.name(), 64)));
            }
        }
    }
    Ok(())
}

/// The least length of each buffer behind a column's validity, and what its length is a multiple of.
fn least_bytes(column_type: ColumnType, rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let of = |first: (usize, usize), second: Option<(usize, usize)>| std::iter::once(first).chain(second);
    match column_type {
        ColumnType::Text | ColumnType::Binary => of((if rows == 0 { 0 } else { (rows + 1) * 4 }, 4), Some((0, 1))),
        ColumnType::Bool => of((rows.div_ceil(8), 1), None),
        fixed => {
            let width = fixed.arrow().primitive_width().unwrap_or(16);
            of((rows * width, width), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::check_output;
    use arrow_array::Array;
    use proptest::prelude::*;

    /// A batch with columns of any type.
    fn any_batch() -> impl Strategy<Value = RecordBatch> {
        prop::collection::vec(any::<u8>(), 0..600).prop_filter_map("not what was declared", |bytes| check_output(&bytes).ok())
    }

    proptest! {
        #![proptest_config(ProptestConfig { max_global_rejects: 200_000, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn rows_are_read_as_they_were_written(batch in any_batch(), cut in 0_usize..40, length in 0_usize..40) {
            let cut = cut.min(batch.num_rows());
            let batch = batch.slice(cut, length.min(batch.num_rows() - cut));
            let stream = encode(&batch).expect("written");
            prop_assert_eq!(decode(&stream, batch.schema_ref()), Ok(batch));
        }

        /// Whatever a stranger writes leads to sound columns or to an error, never to a panic.
        #[test]
        fn changed_streams_lead_to_sound_columns_or_errors(
            batch in any_batch(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x80)]), 1..6),
            cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
        ) {
            let mut stream = encode(&batch).expect("written");
            for (place, byte) in changes {
                let at = place.index(stream.len());
                stream[at] = byte;
            }
            if let Some(cut) = cut {
                stream.truncate(cut.index(stream.len()));
            }
            if let Ok(read) = decode(&stream, batch.schema_ref()) {
                read.columns().iter().for_each(|column| column.to_data().validate_full().expect("a sound column"));
            }
        }

        #[test]
        fn bytes_that_are_no_stream_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&bytes, &schema(&[])).is_err());
        }
    }

    #[test]
    fn times_of_every_zone_are_one_type() {
        let column_type = ColumnType::TimestampUtc;
        let schema = schema(&[Field { name: "at".into(), column_type, nullable: true }]);
        let times = arrow_array::TimestampMicrosecondArray::from(vec![Some(7), None]).with_timezone("Europe/Paris");
        let rows = batch(&schema, vec![physical(column_type, Arc::new(times))], 2).expect("rows");
        assert_eq!(rows.column(0).data_type(), &column_type.arrow());
    }

    #[test]
    fn rows_without_columns_have_a_number() {
        let (schema, all) = (schema(&[]), batch(&schema(&[]), Vec::new(), 7).expect("rows"));
        assert_eq!(decode(&encode(&all).expect("written"), &schema).map(|rows| rows.num_rows()), Ok(7));
    }
}
