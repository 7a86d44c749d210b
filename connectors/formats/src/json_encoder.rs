//! Columns into JSON lines: one object a row, keys in column order.

use crate::FormatError;
use arrow_array::RecordBatch;
use arrow_json::WriterBuilder;
use arrow_json::writer::{LineDelimited, Writer};
use arrow_schema::SchemaRef;
use stygian_api::Encoder;

/// Encodes rows as JSON lines. A null is left out; so are NaN and the infinities written as null, which JSON has no way to write.
/// Timestamps are RFC 3339 text with up to six digits of a second, binary is text of hex digits.
#[derive(Debug)]
pub struct JsonEncoder;

impl JsonEncoder {
    /// An encoder of such rows.
    ///
    /// # Errors
    /// When JSON cannot hold a column of the schema.
    pub fn new(schema: &SchemaRef) -> Result<Self, FormatError> {
        for field in schema.fields() {
            let alone = std::sync::Arc::new(arrow_schema::Schema::new(vec![field.clone()]));
            let empty = RecordBatch::new_empty(alone);
            let array = arrow_array::StructArray::from(empty);
            let root = std::sync::Arc::new(arrow_schema::Field::new_struct("", array.fields().clone(), false));
            arrow_json::writer::make_encoder(&root, &array, &arrow_json::EncoderOptions::default()).map_err(|_| FormatError::Type {
                format: "json",
                column: field.name().clone(),
                found: field.data_type().to_string(),
            })?;
        }
        Ok(Self)
    }
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), String> {
        let mut writer: Writer<&mut Vec<u8>, LineDelimited> = WriterBuilder::new().build(out);
        writer.write(rows).map_err(|e| e.to_string())
    }
}
