//! Rows as Avro messages, framed with the id of their schema (`avro_frame`), and the schema itself as a registry is told it.
//!
//! A column that may be null is a union of null and its type, with null as its default, so that a later schema may leave it out or add
//! another. Whole numbers of up to 32 bits are `int` or `long`, `uint64` is `decimal(20, 0)`: Avro has no unsigned numbers.

use crate::FormatError;
use crate::avro_writer::{as_written, is_avro_name};
use arrow_array::RecordBatch;
use arrow_avro::schema::{FingerprintStrategy, SCHEMA_METADATA_KEY};
use arrow_avro::writer::format::AvroSoeFormat;
use arrow_avro::writer::{Encoder, WriterBuilder};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::{Value, json};
use std::ops::Range;
use std::sync::Arc;
use stygian_core::ColumnType;

/// Encodes rows, one a message.
pub struct AvroEncoder {
    /// What Avro is told.
    text: String,
    /// What columns are cast to.
    schema: SchemaRef,
    encoder: Encoder,
}

impl AvroEncoder {
    /// An encoder of such rows as records of this full name, in frames with this id.
    ///
    /// # Errors
    /// When Avro cannot hold a column or its name, or the record's.
    pub fn new(schema: &SchemaRef, record: &str, id: u32) -> Result<Self, FormatError> {
        let text = schema_text(schema, record)?;
        let written = as_written(schema)?;
        let fields = written.fields().iter().map(|field| Field::new(field.name(), held(field.data_type()), field.is_nullable()));
        let fields: Vec<Field> = fields.collect();
        let told = [(SCHEMA_METADATA_KEY.to_owned(), text.clone())].into();
        let schema = Arc::new(Schema::new_with_metadata(fields, told));
        let builder = WriterBuilder::new(schema.as_ref().clone()).with_fingerprint_strategy(FingerprintStrategy::Id(id));
        let encoder = builder.build_encoder::<AvroSoeFormat>().map_err(|e| FormatError::Corrupt(e.to_string()))?;
        Ok(Self { text, schema, encoder })
    }

    /// The schema, as JSON.
    pub fn schema(&self) -> &str {
        &self.text
    }

    /// Appends the messages of these rows; gives back where each lies.
    ///
    /// # Errors
    /// Which value cannot be written.
    pub fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<Vec<Range<usize>>, String> {
        let columns =
            rows.columns().iter().zip(self.schema.fields()).map(|(column, field)| match column.data_type() == field.data_type() {
                true => Ok(column.clone()),
                false => cast(column, field.data_type()),
            });
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
        let rows = RecordBatch::try_new(self.schema.clone(), columns).map_err(|e| e.to_string())?;
        self.encoder.encode(&rows).map_err(|e| e.to_string())?;
        let (encoded, start) = (self.encoder.flush(), out.len());
        out.extend_from_slice(encoded.bytes());
        Ok(encoded.offsets().windows(2).map(|pair| start + pair[0]..start + pair[1]).collect())
    }
}

/// The type that Avro has for it.
fn held(kind: &DataType) -> DataType {
    match kind {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        other => other.clone(),
    }
}

/// The schema of such rows.
fn schema_text(schema: &SchemaRef, record: &str) -> Result<String, FormatError> {
    if !record.split('.').all(is_avro_name) {
        return Err(FormatError::RecordName(stygian_core::escape(record, 100)));
    }
    as_written(schema)?;
    let field = |field: &Arc<Field>| {
        let plain = avro_type(field.data_type());
        match field.is_nullable() {
            true => json!({ "name": field.name(), "type": ["null", plain], "default": null }),
            false => json!({ "name": field.name(), "type": plain }),
        }
    };
    let fields: Vec<Value> = schema.fields().iter().map(field).collect();
    let named = match record.rsplit_once('.') {
        Some((namespace, name)) => json!({ "type": "record", "name": name, "namespace": namespace, "fields": fields }),
        None => json!({ "type": "record", "name": record, "fields": fields }),
    };
    Ok(named.to_string())
}

fn avro_type(kind: &DataType) -> Value {
    let logical = |plain: &str, logical: &str| json!({ "type": plain, "logicalType": logical });
    let decimal = |precision: u8, scale: u8| json!({ "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale });
    use ColumnType as Type;
    match ColumnType::of(kind) {
        Some(Type::Bool) => json!("boolean"),
        Some(Type::Int8 | Type::Int16 | Type::Int32 | Type::UInt8 | Type::UInt16) => json!("int"),
        Some(Type::Int64 | Type::UInt32) => json!("long"),
        Some(Type::UInt64) => decimal(20, 0),
        Some(Type::Float32) => json!("float"),
        Some(Type::Float64) => json!("double"),
        Some(Type::Text) => json!("string"),
        Some(Type::Date) => logical("int", "date"),
        Some(Type::Timestamp) => logical("long", "local-timestamp-micros"),
        Some(Type::TimestampUtc) => logical("long", "timestamp-micros"),
        Some(Type::Decimal { precision, scale }) => decimal(precision, scale),
        // Others were refused before.
        Some(Type::Binary) | None => json!("bytes"),
    }
}
