//! Columns into CSV records.

use crate::{CsvOptions, FormatError};
use arrow_array::RecordBatch;
use arrow_csv::WriterBuilder;
use arrow_schema::SchemaRef;
use stygian_api::Encoder;

/// Encodes rows as CSV records without a header, which [`CsvEncoder::header`] writes. A null is written as the options say; timestamps are
/// RFC 3339 text, binary is text of hex digits. A text that equals the null text reads back as null.
#[derive(Debug)]
pub struct CsvEncoder {
    options: CsvOptions,
    schema: SchemaRef,
}

impl CsvEncoder {
    /// An encoder of such rows.
    ///
    /// # Errors
    /// When CSV cannot hold a column of the schema.
    pub fn new(schema: SchemaRef, options: &CsvOptions) -> Result<Self, FormatError> {
        if let Some(field) = schema.fields().iter().find(|field| field.data_type().is_nested()) {
            let (column, found) = (field.name().clone(), field.data_type().to_string());
            return Err(FormatError::Type { format: "csv", column, found });
        }
        Ok(Self { options: options.clone(), schema })
    }

    /// Appends the record of the column names, if the options want one.
    ///
    /// # Errors
    /// Only if memory cannot be written to.
    pub fn header(&self, out: &mut Vec<u8>) -> Result<(), String> {
        if !self.options.header {
            return Ok(());
        }
        self.writer(true, out).write(&RecordBatch::new_empty(self.schema.clone())).map_err(|e| e.to_string())
    }

    fn writer<'a>(&self, header: bool, out: &'a mut Vec<u8>) -> arrow_csv::Writer<&'a mut Vec<u8>> {
        let CsvOptions { delimiter, quote, null, .. } = &self.options;
        WriterBuilder::new().with_header(header).with_delimiter(delimiter.0).with_quote(quote.0).with_null(null.clone()).build(out)
    }
}

impl Encoder for CsvEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), String> {
        self.writer(false, out).write(rows).map_err(|e| e.to_string())
    }
}
