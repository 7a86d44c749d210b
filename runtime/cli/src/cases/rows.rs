//! Values to columns and back, by the JSON format that sources and sinks use: what can be read from a file can be given in a case.

use super::place::Reading;
use super::values::Row;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_schema::{Field, Schema, SchemaRef};
use serde_json::{Map, Value};
use std::sync::Arc;
use stygian_api::{Decoder, Encoder, Messages, suggest};
use stygian_core::ColumnType;
use stygian_formats::{JsonDecoder, JsonEncoder, MAX_ROW_BYTES};

/// The rows as columns of a schema; `None` when they are not, which is then told.
pub(crate) fn columns(reading: &mut Reading, schema: &SchemaRef, rows: &[Row]) -> Option<RecordBatch> {
    let before = reading.problems.len();
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    for row in rows {
        for key in row.values.keys().filter(|key| !known.contains(&key.as_str())) {
            reading.problem(row.at.clone(), format!("there is no column `{key}`"), suggest(key, &known));
        }
    }
    match decode(schema, rows.iter().map(|row| &row.values)) {
        Ok((batch, bad)) => {
            for (row, reason) in bad {
                reading.problem(rows[row].at.clone(), format!("this row cannot be read: {reason}"), "");
            }
            (reading.problems.len() == before).then_some(batch)
        }
        Err(reason) => {
            let at = rows.first().map_or(0..0, |row| row.at.clone());
            reading.problem(at, reason, "");
            None
        }
    }
}

type BadRows = Vec<(usize, String)>;

fn decode<'a>(schema: &SchemaRef, rows: impl Iterator<Item = &'a Map<String, Value>>) -> Result<(RecordBatch, BadRows), String> {
    let mut decoder = JsonDecoder::new(schema.clone(), MAX_ROW_BYTES.as_usize()).map_err(|error| error.to_string())?;
    let (mut buffer, mut messages) = (Vec::new(), Messages::default());
    for (number, row) in rows.enumerate() {
        let start = buffer.len();
        serde_json::to_writer(&mut buffer, row).map_err(|error| error.to_string())?;
        messages.ranges.push(start..buffer.len());
        messages.offsets.push(number as u64);
    }
    messages.buffer = buffer.into();
    let decoded = decoder.decode(&messages);
    Ok((decoded.rows, decoded.bad.into_iter().map(|bad| (bad.message, bad.reason)).collect()))
}

/// Rows as JSON objects with the columns named, each in its one way of writing; absent is null.
pub(crate) fn objects(batches: &[RecordBatch], columns: &[String]) -> Result<Vec<Map<String, Value>>, String> {
    let mut objects = Vec::new();
    for batch in batches {
        let places: Vec<usize> = columns.iter().filter_map(|column| batch.schema_ref().index_of(column).ok()).collect();
        let batch = batch.project(&places).map_err(|error| error.to_string())?;
        let mut text = Vec::new();
        JsonEncoder::new(batch.schema_ref()).map_err(|error| error.to_string())?.encode(&batch, &mut text)?;
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            objects.push(serde_json::from_slice(line).map_err(|error| error.to_string())?);
        }
    }
    Ok(objects)
}

/// The columns of `schema` that some row names; all of them where no row does.
pub(crate) fn named(schema: &SchemaRef, rows: &[Row]) -> Vec<String> {
    let names = schema.fields().iter().map(|field| field.name());
    names.filter(|name| rows.is_empty() || rows.iter().any(|row| row.values.contains_key(name.as_str()))).cloned().collect()
}

/// A schema in which every value may be absent.
pub(crate) fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A point in time in microseconds, as a source reads it.
pub(crate) fn micros(text: &str) -> Option<i64> {
    let field = Field::new("at", ColumnType::TimestampUtc.arrow(), false);
    let row = Map::from_iter([("at".to_owned(), Value::from(text))]);
    let (batch, bad) = decode(&Arc::new(Schema::new(vec![field])), std::iter::once(&row)).ok()?;
    bad.is_empty().then(|| batch.column(0).as_primitive::<TimestampMicrosecondType>().value(0))
}
