//! CSV records into columns: one Arrow decoder over a whole poll (`poll_decoder`).
//!
//! A message is one record without its line end. After each the decoder must hold exactly one record more: quotes may not stay open,
//! and the number of fields must be right. Timestamps are RFC 3339 text.

use crate::poll_decoder::{Feed, PollDecoder};
use crate::{CsvHeader, CsvOptions, FormatError};
use arrow_array::RecordBatch;
use arrow_csv::ReaderBuilder;
use arrow_csv::reader::{Decoder as ArrowDecoder, Format};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;
use stygian_api::{Decoded, Decoder, Messages};
use stygian_core::ColumnType;

/// Decodes messages of one CSV record each.
#[derive(Debug)]
pub struct CsvDecoder(PollDecoder<CsvFeed>);

#[derive(Debug)]
struct CsvFeed {
    /// What comes out.
    schema: SchemaRef,
    /// What is in the file: columns that nobody wants are text.
    file: SchemaRef,
    /// Where each column of `schema` stands in `file`.
    positions: Vec<usize>,
    options: CsvOptions,
    format: Format,
    max_row_bytes: usize,
}

impl CsvDecoder {
    /// A decoder into the columns of `schema`, from files with this header (without one, of the schema's columns in order).
    ///
    /// # Errors
    /// When CSV cannot hold a column of the schema, or the header lacks one.
    pub fn new(schema: SchemaRef, options: &CsvOptions, header: Option<&CsvHeader>, max_row_bytes: usize) -> Result<Self, FormatError> {
        if let Some(field) = schema.fields().iter().find(|field| !readable(field.data_type())) {
            let (column, found) = (field.name().clone(), field.data_type().to_string());
            return Err(FormatError::Type { format: "csv", column, found });
        }
        let header = header.cloned().unwrap_or_else(|| CsvHeader::of(&schema));
        let positions = header.positions(&schema)?;
        let mut fields: Vec<_> = header.names().iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
        for (field, at) in schema.fields().iter().zip(&positions) {
            fields[*at] = field.as_ref().clone();
        }
        let (file, options) = (Arc::new(Schema::new(fields)), options.clone());
        let format = arrow_format(&options)?;
        Ok(Self(PollDecoder::new(CsvFeed { schema, file, positions, options, format, max_row_bytes })))
    }
}

impl Decoder for CsvDecoder {
    fn schema(&self) -> &SchemaRef {
        self.0.schema()
    }

    fn decode(&mut self, messages: &Messages) -> Decoded {
        self.0.decode(messages)
    }
}

fn readable(data_type: &DataType) -> bool {
    ColumnType::of(data_type).is_some_and(|plain| plain != ColumnType::Binary)
}

fn arrow_format(options: &CsvOptions) -> Result<Format, FormatError> {
    let format = Format::default().with_delimiter(options.delimiter.0).with_quote(options.quote.0).with_terminator(b'\n');
    if options.null.is_empty() {
        return Ok(format);
    }
    let null = regex::Regex::new(&format!("^{}$", regex::escape(&options.null))).map_err(|e| FormatError::Read(e.into()))?;
    Ok(format.with_null_regex(null))
}

impl CsvFeed {
    fn decoder(&self, room: usize, positions: Vec<usize>) -> ArrowDecoder {
        let builder = ReaderBuilder::new(self.file.clone()).with_format(self.format.clone());
        builder.with_batch_size(room).with_projection(positions).build_decoder()
    }

    fn explain_column(&self, record: &[u8], column: usize) -> Option<String> {
        let (field, at) = (self.schema.field(column), self.positions[column]);
        let mut decoder = self.decoder(1, vec![at]);
        feed(&mut decoder, record).ok()?;
        decoder.flush().err()?;
        let fields = self.options.fields(record);
        let (name, value) = (field.name(), fields.get(at)?);
        let kind = ColumnType::of(field.data_type()).map_or_else(String::new, |plain| plain.to_string());
        Some(match value.as_slice() {
            null if null == self.options.null.as_bytes() => format!("column `{name}` has no value, and is `not null`"),
            value => format!("column `{name}`: `{}` is no {kind}", stygian_core::escape_bytes(value, 100)),
        })
    }
}

impl Feed for CsvFeed {
    type Decoder = ArrowDecoder;

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn max_row_bytes(&self) -> usize {
        self.max_row_bytes
    }

    fn fresh(&self, room: usize) -> Result<ArrowDecoder, String> {
        Ok(self.decoder(room, self.positions.clone()))
    }

    fn feed(&self, decoder: &mut ArrowDecoder, _: usize, message: &[u8]) -> Result<(), String> {
        feed(decoder, message)
    }

    fn flush(&self, decoder: &mut ArrowDecoder) -> Result<Option<RecordBatch>, String> {
        let rows = decoder.flush().map_err(|e| e.to_string())?;
        rows.map(|rows| rows.with_schema(self.schema.clone())).transpose().map_err(|e| e.to_string())
    }

    fn explain(&self, message: &[u8], reason: String) -> String {
        if message.len() > self.max_row_bytes || [OPEN_QUOTES, EMPTY, MORE].contains(&reason.as_str()) {
            return reason;
        }
        let fields = self.options.fields(message);
        if fields.len() != self.file.fields().len() {
            return format!("{} fields instead of {}", fields.len(), self.file.fields().len());
        }
        if let Some(at) = fields.iter().position(|field| std::str::from_utf8(field).is_err()) {
            return format!("column `{}` is not UTF-8", self.file.field(at).name());
        }
        (0..self.positions.len()).find_map(|column| self.explain_column(message, column)).unwrap_or(reason)
    }
}

const OPEN_QUOTES: &str = "the quotes around a field do not close";
const EMPTY: &str = "empty";
const MORE: &str = "more than one record";

/// Gives the decoder one record; it must hold exactly one more afterwards.
fn feed(decoder: &mut ArrowDecoder, record: &[u8]) -> Result<(), String> {
    if record.is_empty() {
        return Err(EMPTY.into());
    }
    let room = decoder.capacity();
    let read = decoder.decode(record).map_err(|e| e.to_string())?;
    if read < record.len() || decoder.capacity() < room {
        return Err(MORE.into());
    }
    decoder.decode(b"\n").map_err(|e| e.to_string())?;
    match room - decoder.capacity() {
        1 => Ok(()),
        0 => Err(OPEN_QUOTES.into()),
        _ => Err(MORE.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CsvEncoder, CsvRecords, SplitUntil, Splitter};
    use arrow_array::cast::AsArray;
    use bytes::Bytes;
    use proptest::prelude::*;
    use stygian_api::conformance::{AllTypes, all_types, bad_rows_are_found, round_trip};

    const LIMIT: usize = 1 << 16;

    fn schema() -> SchemaRef {
        let at = Field::new("at", ColumnType::TimestampUtc.arrow(), true);
        Schema::new(vec![Field::new("user", DataType::Utf8, false), Field::new("n", DataType::Int64, true), at]).into()
    }

    fn decoder(options: &CsvOptions) -> CsvDecoder {
        CsvDecoder::new(schema(), options, None, LIMIT).expect("a decoder")
    }

    fn reason(message: &[u8]) -> String {
        let messages = Messages {
            buffer: Bytes::copy_from_slice(message),
            ranges: std::iter::once(0..message.len()).collect(),
            offsets: vec![0],
            beside: None,
        };
        let decoded = decoder(&CsvOptions::default()).decode(&messages);
        assert_eq!((decoded.rows.num_rows(), decoded.bad.len()), (0, 1), "{}", String::from_utf8_lossy(message));
        decoded.bad[0].reason.clone()
    }

    #[test]
    fn says_what_is_wrong_with_a_record() {
        assert_eq!(reason(b"a,x\x1b,"), "column `n`: `x\\u{1b}` is no int64");
        assert_eq!(reason(b"a,1,yesterday"), "column `at`: `yesterday` is no timestamp_utc");
        assert_eq!(reason(b",1,"), "column `user` has no value, and is `not null`");
        assert_eq!(reason(b"a,1"), "2 fields instead of 3");
        assert_eq!(reason(b"a,1,,"), "4 fields instead of 3");
        assert_eq!(reason(b"a,1,\nb,2,"), "more than one record");
        assert_eq!(reason(b"a,\"1,"), "the quotes around a field do not close");
        assert_eq!(reason(b"\xff,1,"), "column `user` is not UTF-8");
        assert_eq!(reason(b""), "empty");
        assert_eq!(reason(&[b'x'; LIMIT + 1]), "longer than `max_row_bytes` (64.0 KiB)");
    }

    #[test]
    fn finds_bad_records_among_good_ones() {
        let good: [&[u8]; 3] = [b"a,1,", b"\"b\nb\",,2026-01-31T12:00:00Z", b"c,-5,2026-01-31 12:00:00.5"];
        let bad: [&[u8]; 9] = [b"", b"a", b"a,1,,", b"a,x,", b",1,", b"a,\"1", b"\"", b"\xff,1,", b"a,1,\nb,2,"];
        bad_rows_are_found(&mut decoder(&CsvOptions::default()), &good, &bad).expect("found");
    }

    #[test]
    fn finds_columns_by_the_header() {
        let options = CsvOptions { null: "NA".into(), ..CsvOptions::default() };
        let header = CsvHeader::parse(b"n,unused,at,user", &options).expect("a header");
        let mut decoder = CsvDecoder::new(schema(), &options, Some(&header), LIMIT).expect("a decoder");
        let buffer = Bytes::from_static(b"7,x,NA,\nNA,,2026-01-31T12:00:00Z,b\n");
        let (messages, _) = CsvRecords::new(&options).split(&buffer, 0, SplitUntil { rows: 9, last: true });
        let Decoded { rows, bad } = decoder.decode(&messages);
        assert_eq!(bad, []);
        assert_eq!(rows.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [Some(""), Some("b")]);
        assert_eq!(rows.column(1).as_primitive::<arrow_array::types::Int64Type>().iter().collect::<Vec<_>>(), [Some(7), None]);
        assert_eq!(rows.column(2).null_count(), 1);
        let missing = CsvHeader::parse(b"n,user", &options).expect("a header");
        let error = CsvDecoder::new(schema(), &options, Some(&missing), LIMIT).expect_err("no column");
        assert_eq!(error.to_string(), "the header has no column `at`; it has n, user");
    }

    #[test]
    fn names_a_column_it_cannot_hold() {
        let binary: SchemaRef = Schema::new(vec![Field::new("raw", DataType::Binary, true)]).into();
        let error = CsvDecoder::new(binary, &CsvOptions::default(), None, LIMIT).expect_err("bytes");
        assert_eq!(error.to_string(), "column `raw` is Binary, which csv cannot hold");
        let list: SchemaRef = Schema::new(vec![Field::new("all", DataType::new_list(DataType::Int8, true), true)]).into();
        assert!(CsvEncoder::new(list, &CsvOptions::default()).is_err());
    }

    #[test]
    fn writes_a_header_where_one_is_wanted() {
        for (header, expected) in [(true, "user,n,at\n"), (false, "")] {
            let encoder = CsvEncoder::new(schema(), &CsvOptions { header, ..CsvOptions::default() }).expect("an encoder");
            let mut out = Vec::new();
            encoder.header(&mut out).expect("written");
            assert_eq!(String::from_utf8(out).expect("text"), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn gives_back_what_was_written(rows in 1_usize..60, seed: u64, null in "NA|", delimiter in "[,;\t]") {
            let rows = all_types(AllTypes { rows, seed, binary: false, empty_texts: !null.is_empty() });
            let delimiter = crate::AsciiChar(delimiter.as_bytes()[0]);
            let options = CsvOptions { null, delimiter, ..CsvOptions::default() };
            let mut encoder = CsvEncoder::new(rows.schema(), &options).expect("an encoder");
            let mut decoder = CsvDecoder::new(rows.schema(), &options, None, LIMIT).expect("a decoder");
            let split = |bytes: Bytes| CsvRecords::new(&options).split(&bytes, 0, SplitUntil { rows: usize::MAX, last: true }).0;
            prop_assert_eq!(round_trip(&mut encoder, &mut decoder, &split, &rows), Ok(()));
        }
    }
}
