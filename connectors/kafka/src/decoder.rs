//! Payloads into columns, and beside them the columns of what came beside the payloads.

use crate::options::{Beside, BytesFormat};
use crate::queue;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use std::sync::Arc;
use stygian_api::{BadRow, Decoded, Decoder, Messages};
use stygian_core::{ColumnType, escape};

/// The columns that `beside` adds, in their order: key, timestamp, partition, offset, headers by name.
pub(crate) fn columns(beside: &Beside) -> Vec<Field> {
    let bytes = |format| match format {
        BytesFormat::Text => DataType::Utf8,
        BytesFormat::Binary => DataType::Binary,
    };
    let field = |name: &Option<String>, kind: DataType, nullable| name.as_ref().map(|name| Field::new(name, kind, nullable));
    let first = [
        field(&beside.key, bytes(beside.key_format), true),
        field(&beside.timestamp, ColumnType::TimestampUtc.arrow(), true),
        field(&beside.partition, DataType::Int32, false),
        field(&beside.offset, DataType::Int64, false),
    ];
    let headers = beside.headers.values().map(|name| Field::new(name, bytes(beside.header_format), true));
    first.into_iter().flatten().chain(headers).collect()
}

/// What came beside messages of a partition, as columns; keys and headers as bytes.
pub(crate) fn beside(wanted: &Beside, partition: i32, offsets: &[u64], mut taken: queue::Beside) -> Option<RecordBatch> {
    let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
    if let Some(name) = &wanted.key {
        columns.push((name, Arc::new(taken.keys.finish())));
    }
    if let Some(name) = &wanted.timestamp {
        let micros = taken.timestamps.iter().map(|millis| millis.map(|millis| millis.saturating_mul(1000)));
        columns.push((name, Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone_opt(timezone()))));
    }
    if let Some(name) = &wanted.partition {
        columns.push((name, Arc::new(Int32Array::from_value(partition, offsets.len()))));
    }
    if let Some(name) = &wanted.offset {
        columns.push((name, Arc::new(offsets.iter().map(|offset| i64::try_from(*offset).ok()).collect::<Int64Array>())));
    }
    for (name, column) in wanted.headers.values().zip(&mut taken.headers) {
        columns.push((name, Arc::new(column.finish())));
    }
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).ok()
}

fn timezone() -> Option<Arc<str>> {
    match ColumnType::TimestampUtc.arrow() {
        DataType::Timestamp(_, zone) => zone,
        _ => None,
    }
}

/// A decoder of payloads, with the columns beside.
pub(crate) struct WithBeside {
    payloads: Box<dyn Decoder>,
    schema: SchemaRef,
}

impl WithBeside {
    pub(crate) fn new(payloads: Box<dyn Decoder>, beside: &Beside) -> Self {
        let own = payloads.schema().fields().iter().cloned();
        let schema = Arc::new(Schema::new(own.chain(columns(beside).into_iter().map(Arc::new)).collect::<Vec<_>>()));
        Self { payloads, schema }
    }

    fn joined(&self, messages: &Messages, mut decoded: Decoded) -> Decoded {
        let Some(beside) = &messages.beside else {
            return Decoded { rows: RecordBatch::new_empty(self.schema.clone()), bad: all_bad(messages) };
        };
        let (texts, bad) = self.as_wanted(beside);
        let payload_is_good = without(messages.len(), decoded.bad.iter().map(|bad| bad.message));
        let all_good = without(messages.len(), decoded.bad.iter().chain(&bad).map(|bad| bad.message));
        let is_wanted = BooleanArray::from(all_good.clone());
        // Of the rows that the payloads gave, those that are good beside, too.
        let of_rows: BooleanArray =
            payload_is_good.iter().zip(&all_good).filter(|(payload, _)| **payload).map(|(_, good)| Some(*good)).collect();
        decoded.bad.extend(bad.into_iter().filter(|bad| payload_is_good.get(bad.message) == Some(&true)));
        decoded.bad.sort_by_key(|bad| bad.message);
        let rows = filter_record_batch(&decoded.rows, &of_rows).ok();
        let columns = rows.map(|rows| rows.columns().to_vec()).unwrap_or_default();
        let filtered = texts.iter().filter_map(|column| arrow_select::filter::filter(column, &is_wanted).ok());
        let columns = columns.into_iter().chain(filtered).collect();
        match RecordBatch::try_new(self.schema.clone(), columns) {
            Ok(rows) => Decoded { rows, bad: decoded.bad },
            Err(_) => Decoded { rows: RecordBatch::new_empty(self.schema.clone()), bad: all_bad(messages) },
        }
    }

    /// Bytes that are to be text become it, where they are.
    fn as_wanted(&self, beside: &RecordBatch) -> (Vec<ArrayRef>, Vec<BadRow>) {
        let fields = self.schema.fields().iter().skip(self.schema.fields().len() - beside.num_columns());
        let mut bad = Vec::new();
        let columns = beside.columns().iter().zip(fields).map(|(column, field)| match column.as_any().downcast_ref::<BinaryArray>() {
            Some(bytes) if *field.data_type() == DataType::Utf8 => text(bytes, field.name(), &mut bad),
            _ => column.clone(),
        });
        let columns = columns.collect();
        (columns, bad)
    }
}

/// Bytes as text; what is none is a null, and a bad row.
fn text(bytes: &BinaryArray, name: &str, bad: &mut Vec<BadRow>) -> ArrayRef {
    if let Ok(all) = StringArray::try_from_binary(bytes.clone()) {
        return Arc::new(all);
    }
    let texts = bytes.iter().enumerate().map(|(message, bytes)| {
        let text = std::str::from_utf8(bytes?).ok();
        if text.is_none() && !bad.iter().any(|bad: &BadRow| bad.message == message) {
            bad.push(BadRow { message, reason: format!("`{}` is no UTF-8 text: {}", escape(name, 64), shown(bytes?)) });
        }
        text
    });
    Arc::new(texts.collect::<StringArray>())
}

fn shown(bytes: &[u8]) -> String {
    stygian_core::escape_bytes(bytes, 64)
}

fn without(count: usize, bad: impl Iterator<Item = usize>) -> Vec<bool> {
    let mut good = vec![true; count];
    bad.filter_map(|at| good.get_mut(at).map(|good| *good = false)).for_each(drop);
    good
}

fn all_bad(messages: &Messages) -> Vec<BadRow> {
    (0..messages.len()).map(|message| BadRow { message, reason: "what came beside it could not be read".into() }).collect()
}

impl Decoder for WithBeside {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&mut self, messages: &Messages) -> Decoded {
        let decoded = self.payloads.decode(messages);
        self.joined(messages, decoded)
    }
}
