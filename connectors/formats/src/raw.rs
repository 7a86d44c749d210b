//! The format `raw`: every line of a file is a row of one column, of text or of bytes.
//!
//! Nothing is passed over: an empty line is a row of an empty text, and a line is never null. A line ends with LF or CR LF. What is
//! written must read back as it was, so a value that holds a line end is refused; a null is written as an empty line.

use crate::poll_decoder::too_long;
use crate::splitter::Found;
use crate::{FormatError, SplitUntil, Splitter};
use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use memchr::memchr_iter;
use std::sync::Arc;
use stygian_api::{BadRow, Decoded, Decoder, Encoder, Messages};

/// The name of the column where no schema is given.
pub const RAW_COLUMN: &str = "line";

/// The schema where none is given: one column of text.
pub fn raw_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(RAW_COLUMN, DataType::Utf8, false)]))
}

/// One message a line, empty ones too.
#[derive(Clone, Copy, Debug)]
pub struct RawLines;

impl Splitter for RawLines {
    fn split(&self, buffer: &Bytes, base: u64, until: SplitUntil) -> (Messages, usize) {
        let mut found = Found::new(buffer, base);
        let mut start = 0;
        for end in memchr_iter(b'\n', buffer) {
            if found.messages.len() == until.rows {
                return (found.messages, start);
            }
            found.add(start, without_cr(&buffer[start..end]));
            start = end + 1;
        }
        if until.last && start < buffer.len() && found.messages.len() < until.rows {
            found.add(start, without_cr(&buffer[start..]));
            start = buffer.len();
        }
        (found.messages, start)
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The only column of a schema that `raw` can hold, and whether it is text.
fn only_column(schema: &SchemaRef) -> Result<bool, FormatError> {
    let [field] = schema.fields().as_ref() else {
        return Err(FormatError::OneColumn { format: "raw", found: schema.fields().len() });
    };
    match field.data_type() {
        DataType::Utf8 => Ok(true),
        DataType::Binary => Ok(false),
        other => Err(FormatError::Type { format: "raw", column: field.name().clone(), found: other.to_string() }),
    }
}

/// Decodes lines. A line that is no UTF-8 is a bad row of a column of text.
#[derive(Debug)]
pub struct RawDecoder {
    schema: SchemaRef,
    text: bool,
    max_row_bytes: usize,
}

impl RawDecoder {
    /// A decoder into one column; lines of more than `max_row_bytes` bytes are bad rows.
    ///
    /// # Errors
    /// When the schema is not one column of text or binary.
    pub fn new(schema: SchemaRef, max_row_bytes: usize) -> Result<Self, FormatError> {
        let text = only_column(&schema)?;
        Ok(Self { schema, text, max_row_bytes })
    }

    fn texts(&self, messages: &Messages, bad: &mut Vec<BadRow>) -> ArrayRef {
        let mut column = StringBuilder::with_capacity(messages.len(), messages.buffer.len());
        self.each(messages, bad, |line| {
            let text = std::str::from_utf8(line).map_err(|e| format!("not UTF-8 from byte {} on", e.valid_up_to()))?;
            column.append_value(text);
            Ok(())
        });
        Arc::new(column.finish())
    }

    fn bytes(&self, messages: &Messages, bad: &mut Vec<BadRow>) -> ArrayRef {
        let mut column = BinaryBuilder::with_capacity(messages.len(), messages.buffer.len());
        self.each(messages, bad, |line| {
            column.append_value(line);
            Ok(())
        });
        Arc::new(column.finish())
    }

    fn each(&self, messages: &Messages, bad: &mut Vec<BadRow>, mut take: impl FnMut(&[u8]) -> Result<(), String>) {
        for (message, line) in messages.iter().enumerate() {
            let taken = if line.len() > self.max_row_bytes { Err(too_long(self.max_row_bytes)) } else { take(line) };
            bad.extend(taken.err().map(|reason| BadRow { message, reason }));
        }
    }
}

impl Decoder for RawDecoder {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&mut self, messages: &Messages) -> Decoded {
        let mut bad = Vec::new();
        let column = if self.text { self.texts(messages, &mut bad) } else { self.bytes(messages, &mut bad) };
        match RecordBatch::try_new(self.schema.clone(), vec![column]) {
            Ok(rows) => Decoded { rows, bad },
            // Not reached: the column is of the schema's type and has no nulls.
            Err(error) => crate::salvage::all_bad(&self.schema, messages, &error.to_string()),
        }
    }
}

/// Encodes rows of one column as lines.
#[derive(Debug)]
pub struct RawEncoder {
    text: bool,
}

impl RawEncoder {
    /// An encoder of such rows.
    ///
    /// # Errors
    /// When the schema is not one column of text or binary.
    pub fn new(schema: &SchemaRef) -> Result<Self, FormatError> {
        only_column(schema).map(|text| Self { text })
    }
}

impl Encoder for RawEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), String> {
        let (column, schema) = (rows.column(0), rows.schema());
        let name = schema.field(0).name();
        if self.text {
            let column = column.as_string_opt::<i32>().ok_or("the column is no text")?;
            lines(name, column.iter().map(|text| text.map(str::as_bytes)), out)
        } else {
            let column = column.as_binary_opt::<i32>().ok_or("the column is no binary")?;
            lines(name, column.iter(), out)
        }
    }
}

fn lines<'a>(name: &str, values: impl Iterator<Item = Option<&'a [u8]>>, out: &mut Vec<u8>) -> Result<(), String> {
    for value in values {
        let value = value.unwrap_or_default();
        if value.ends_with(b"\r") || memchr::memchr(b'\n', value).is_some() {
            let shown = stygian_core::escape_bytes(value, 60);
            return Err(format!(
                "column `{name}` holds a line end in `{shown}`, which raw would read back as other lines; write json, or take it out with a select"
            ));
        }
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{BinaryArray, StringArray};
    use proptest::prelude::*;
    use stygian_api::conformance::{bad_rows_are_found, round_trip};

    const LIMIT: usize = 100;

    fn split(bytes: &Bytes) -> Messages {
        RawLines.split(bytes, 0, SplitUntil { rows: usize::MAX, last: true }).0
    }

    fn rows(texts: &[&str]) -> RecordBatch {
        RecordBatch::try_new(raw_schema(), vec![Arc::new(StringArray::from(texts.to_vec()))]).expect("rows")
    }

    fn bytes_schema() -> SchemaRef {
        Schema::new(vec![Field::new("b", DataType::Binary, true)]).into()
    }

    #[test]
    fn keeps_every_line_and_takes_off_its_end() {
        let messages = split(&Bytes::from_static(b"a\r\n\n \t\nb\rc\n\r\nlast"));
        let Decoded { rows: found, bad } = RawDecoder::new(raw_schema(), LIMIT).expect("a decoder").decode(&messages);
        assert_eq!(bad, []);
        assert_eq!(found, rows(&["a", "", " \t", "b\rc", "", "last"]));
        assert_eq!(messages.offsets, [0, 3, 4, 7, 11, 13]);
    }

    #[test]
    fn finds_lines_that_are_no_text_or_too_long() {
        let mut decoder = RawDecoder::new(raw_schema(), LIMIT).expect("a decoder");
        let long = [b'x'; LIMIT + 1];
        bad_rows_are_found(&mut decoder, &[b"", b"a", "ä".as_bytes()], &[b"a\xff", &long]).expect("found");
        let reasons: Vec<String> =
            decoder.decode(&split(&[b"ab\xff\n", long.as_slice()].concat().into())).bad.into_iter().map(|bad| bad.reason).collect();
        assert_eq!(reasons, ["not UTF-8 from byte 2 on", "longer than `max_row_bytes` (100 B)"]);
        let mut decoder = RawDecoder::new(bytes_schema(), LIMIT).expect("a decoder");
        bad_rows_are_found(&mut decoder, &[b"", b"a\xff"], &[&long]).expect("found");
    }

    #[test]
    fn refuses_other_schemas_and_values_that_are_no_line() {
        let two: SchemaRef = Schema::new(vec![Field::new("a", DataType::Utf8, true), Field::new("b", DataType::Utf8, true)]).into();
        assert_eq!(RawDecoder::new(two, LIMIT).expect_err("two").to_string(), "raw holds one column of text or binary, and there are 2");
        let number: SchemaRef = Schema::new(vec![Field::new("n", DataType::Int8, true)]).into();
        assert_eq!(RawEncoder::new(&number).expect_err("a number").to_string(), "column `n` is Int8, which raw cannot hold");
        for wrong in ["a\nb", "a\r"] {
            let error = RawEncoder::new(&raw_schema()).expect("an encoder").encode(&rows(&["x", wrong]), &mut Vec::new());
            assert!(error.as_ref().is_err_and(|e| e.starts_with("column `line` holds a line end in `a\\")), "{error:?}");
        }
    }

    #[test]
    fn writes_a_null_as_an_empty_line() {
        let column: ArrayRef = Arc::new(BinaryArray::from(vec![Some(b"a".as_slice()), None]));
        let rows = RecordBatch::try_new(bytes_schema(), vec![column]).expect("rows");
        let mut out = Vec::new();
        RawEncoder::new(&rows.schema()).expect("an encoder").encode(&rows, &mut out).expect("encoded");
        assert_eq!(out, b"a\n\n");
    }

    proptest! {
        #[test]
        fn gives_back_what_was_written(texts in prop::collection::vec("[a\r \u{e4}]{0,6}", 1..40)) {
            let texts: Vec<&str> = texts.iter().map(|text| text.trim_end_matches('\r')).collect();
            let mut decoder = RawDecoder::new(raw_schema(), LIMIT).expect("a decoder");
            let mut encoder = RawEncoder::new(&raw_schema()).expect("an encoder");
            prop_assert_eq!(round_trip(&mut encoder, &mut decoder, &|bytes| split(&bytes), &rows(&texts)), Ok(()));
        }

        /// Against `str::split`, read in pieces of any size from any consumed offset.
        #[test]
        fn finds_every_line_whatever_the_pieces(text in "[ab\r\n ]{0,60}", piece in 1_usize..20, rows in 1_usize..5) {
            let mut expected: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
            if text.is_empty() || text.ends_with('\n') {
                expected.pop();
            }
            let (mut at, mut size, mut got) = (0, piece, Vec::new());
            while at < text.len() {
                let end = (at + size).min(text.len());
                let buffer = Bytes::copy_from_slice(&text.as_bytes()[at..end]);
                let (found, used) = RawLines.split(&buffer, 0, SplitUntil { rows, last: end == text.len() });
                got.extend(found.iter().map(|line| String::from_utf8_lossy(line).into_owned()));
                size = if used == 0 { size + piece } else { piece };
                at += used;
            }
            prop_assert_eq!(got, expected);
        }
    }
}
