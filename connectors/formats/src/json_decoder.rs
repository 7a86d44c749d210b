//! JSON lines into columns: one Arrow decoder over a whole poll (`poll_decoder`).
//!
//! Arrow's decoder reads a stream of values: `{}{}` would become two rows, a cut message would swallow the next one. So after every
//! message it must hold one row more and no part of one. Unknown keys are passed over; timestamps are RFC 3339 text (or microseconds),
//! binary is text of hex digits.

use crate::json_depth::deeper_than;
use crate::poll_decoder::{Feed, PollDecoder};
use crate::{FormatError, MAX_ROW_BYTES};
use arrow_array::RecordBatch;
use arrow_json::ReaderBuilder;
use arrow_json::reader::Decoder as ArrowDecoder;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use std::sync::Arc;
use stygian_api::{Decoded, Decoder, Messages};

/// How deeply objects and arrays may be nested in a message.
pub const MAX_JSON_DEPTH: usize = 64;

/// Decodes messages of one JSON object each.
#[derive(Debug)]
pub struct JsonDecoder(PollDecoder<JsonFeed>);

#[derive(Debug)]
struct JsonFeed {
    schema: SchemaRef,
    max_row_bytes: usize,
}

impl JsonDecoder {
    /// A decoder into these columns; messages of more than `max_row_bytes` bytes are bad rows.
    ///
    /// # Errors
    /// When JSON cannot hold a column of the schema.
    pub fn new(schema: SchemaRef, max_row_bytes: usize) -> Result<Self, FormatError> {
        for field in schema.fields() {
            let alone = Arc::new(Schema::new(vec![field.clone()]));
            ReaderBuilder::new(alone).with_batch_size(1).build_decoder().map_err(|_| FormatError::Type {
                format: "json",
                column: field.name().clone(),
                found: field.data_type().to_string(),
            })?;
        }
        let max_row_bytes = max_row_bytes.min(MAX_ROW_BYTES.as_usize() * 64);
        Ok(Self(PollDecoder::new(JsonFeed { schema, max_row_bytes })))
    }
}

impl Decoder for JsonDecoder {
    fn schema(&self) -> &SchemaRef {
        self.0.schema()
    }

    fn decode(&mut self, messages: &Messages) -> Decoded {
        self.0.decode(messages)
    }
}

impl JsonFeed {
    /// The first column that may not be null and is in `message`, which is good in every other way.
    fn missing_column(&self, message: &[u8]) -> Option<String> {
        let nullable: Vec<_> = self.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let mut decoder = build(&Arc::new(Schema::new(nullable)), 2).ok()?;
        decoder.decode(message).ok()?;
        let row = decoder.flush().ok()??;
        let missing = |(at, field): &(usize, &Arc<arrow_schema::Field>)| !field.is_nullable() && row.column(*at).is_null(0);
        self.schema.fields().iter().enumerate().find(missing).map(|(_, field)| field.name().clone())
    }
}

impl Feed for JsonFeed {
    type Decoder = ArrowDecoder;

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn max_row_bytes(&self) -> usize {
        self.max_row_bytes
    }

    fn fresh(&self, room: usize) -> Result<ArrowDecoder, String> {
        build(&self.schema, room).map_err(|e| plain(&e))
    }

    fn feed(&self, decoder: &mut ArrowDecoder, rows: usize, message: &[u8]) -> Result<(), String> {
        if deeper_than(message, MAX_JSON_DEPTH) {
            return Err(format!("nested more than {MAX_JSON_DEPTH} deep"));
        }
        let read = decoder.decode(message).map_err(|e| plain(&e))?;
        if decoder.has_partial_record() {
            return Err("the JSON object does not end".into());
        }
        if decoder.len() != rows + 1 || read < message.len() {
            return Err(if decoder.len() == rows { "empty" } else { "more than one JSON value" }.into());
        }
        Ok(())
    }

    fn flush(&self, decoder: &mut ArrowDecoder) -> Result<Option<RecordBatch>, String> {
        decoder.flush().map_err(|e| plain(&e))
    }

    fn explain(&self, message: &[u8], reason: String) -> String {
        if message.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return "not a JSON object".into();
        }
        if reason.contains("unmasked nulls") {
            return match self.missing_column(message) {
                Some(column) => format!("column `{column}` has no value, and is `not null`"),
                None => reason,
            };
        }
        match reason.strip_prefix("whilst decoding field '").and_then(|rest| rest.split_once("': ")) {
            Some((column, what)) => format!("column `{column}`: {what}"),
            None => reason,
        }
    }
}

fn build(schema: &SchemaRef, room: usize) -> Result<ArrowDecoder, ArrowError> {
    ReaderBuilder::new(schema.clone()).with_batch_size(room).build_decoder()
}

/// An Arrow error without the name of its kind.
fn plain(error: &ArrowError) -> String {
    match error {
        ArrowError::JsonError(text) | ArrowError::ParseError(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JsonEncoder, Lines, SplitUntil, Splitter};
    use arrow_array::cast::AsArray;
    use arrow_schema::{DataType, Field};
    use bytes::Bytes;
    use proptest::prelude::*;
    use stygian_api::conformance::{AllTypes, all_types, bad_rows_are_found, round_trip};

    const LIMIT: usize = 1 << 20;

    fn lines(bytes: &Bytes) -> Messages {
        Lines.split(bytes, 0, SplitUntil { rows: usize::MAX, last: true }).0
    }

    fn schema() -> SchemaRef {
        Schema::new(vec![Field::new("user", DataType::Utf8, false), Field::new("n", DataType::Int64, true)]).into()
    }

    fn decoder() -> JsonDecoder {
        JsonDecoder::new(schema(), LIMIT).expect("a decoder")
    }

    fn reason(message: &[u8]) -> String {
        let messages = Messages {
            buffer: Bytes::copy_from_slice(message),
            ranges: std::iter::once(0..message.len()).collect(),
            offsets: vec![0],
            beside: None,
        };
        let decoded = decoder().decode(&messages);
        assert_eq!((decoded.rows.num_rows(), decoded.bad.len()), (0, 1), "{}", String::from_utf8_lossy(message));
        decoded.bad[0].reason.clone()
    }

    #[test]
    fn says_what_is_wrong_with_a_message() {
        assert_eq!(reason(b"{\"user\":\"a\",\"n\":\"x\"}"), "column `n`: failed to parse \"x\" as Int64");
        assert_eq!(reason(b"{\"user\":7}"), "column `user`: expected string got 7");
        assert_eq!(reason(b"{\"n\":1}"), "column `user` has no value, and is `not null`");
        assert_eq!(reason(b"{\"user\":null}"), "column `user` has no value, and is `not null`");
        assert_eq!(reason(b"{\"user\":\"a\""), "the JSON object does not end");
        assert_eq!(reason(b"{\"user\":\"a"), "the JSON object does not end");
        assert_eq!(reason(b"{\"user\":\"a\"}{\"user\":\"b\"}"), "more than one JSON value");
        assert_eq!(reason(b"{\"user\":\"a\"} x"), "Encountered unexpected 'x' whilst parsing value");
        assert_eq!(reason(b""), "empty");
        assert_eq!(reason(b" \t"), "empty");
        assert_eq!(reason(b"5"), "not a JSON object");
        assert_eq!(reason(b"null"), "not a JSON object");
        assert_eq!(reason(b"[{\"user\":\"a\"}]"), "not a JSON object");
        assert_eq!(reason(b"{\"user\":\"\xff\"}"), "Encountered non-UTF-8 data");
        assert_eq!(reason(b"{\"user\":\"a\x1b[31m\",\"n\":\"\x1b\"}"), "column `n`: failed to parse \"\\u{1b}\" as Int64");
        let deep = format!("{{\"user\":\"a\",\"x\":{}{}}}", "[".repeat(64), "]".repeat(64));
        assert_eq!(reason(deep.as_bytes()), "nested more than 64 deep");
        let long = format!("{{\"user\":\"{}\"}}", "x".repeat(LIMIT));
        assert_eq!(reason(long.as_bytes()), "longer than `max_row_bytes` (1.0 MiB)");
        let long = format!("{{\"user\":\"a\",\"n\":\"{}\"}}", "x".repeat(1000));
        assert_eq!(reason(long.as_bytes()).len(), 303);
    }

    #[test]
    fn finds_bad_messages_among_good_ones() {
        let good = ["{\"user\":\"a\",\"n\":1}", "{\"n\":null,\"user\":\"b\",\"other\":[{}]}", " {\"user\":\"c\"}\r"].map(str::as_bytes);
        let deep = format!("{{\"user\":\"a\",\"x\":{}1{}}}", "{\"y\":".repeat(100), "}".repeat(100));
        let long = format!("{{\"user\":\"{}\"}}", "x".repeat(LIMIT));
        let bad: [&[u8]; 14] = [
            b"",
            b"  ",
            b"{}",
            b"{}{}",
            b"{\"user\":\"a\"}{\"user\":\"b\"}",
            b"{\"user\":\"a\"",
            b"{\"user\":\"a",
            b"\"",
            b"12",
            b"}",
            b"{\"user\":\"\xc3\"}",
            b"{\"user\":\"a\",\"n\":1.5e300}",
            deep.as_bytes(),
            long.as_bytes(),
        ];
        bad_rows_are_found(&mut decoder(), &good, &bad[..13]).expect("found");
        // The long one is too long to be mixed in as often.
        bad_rows_are_found(&mut decoder(), &good[..1], &bad[13..]).expect("found");
    }

    #[test]
    fn takes_more_messages_than_it_had_room_for() {
        let text = "{\"user\":\"a\",\"n\":1}\n".repeat(20_000);
        let mut decoder = decoder();
        for _ in 0..2 {
            assert_eq!(decoder.decode(&lines(&text.clone().into())).rows.num_rows(), 20_000);
        }
        let cut = format!("{}{{\"user\":\"a\"}}{{}}\n", "{\"user\":\"a\"}\n".repeat(32_767));
        assert_eq!(decoder.decode(&lines(&cut.into())).bad.iter().map(|bad| bad.message).collect::<Vec<_>>(), [32_767]);
        assert_eq!(decoder.decode(&Messages::default()).rows.num_rows(), 0);
    }

    #[test]
    fn reads_times_with_any_offset() {
        let schema: SchemaRef = Schema::new(vec![Field::new("at", stygian_core::ColumnType::TimestampUtc.arrow(), true)]).into();
        let text = "{\"at\":\"2026-01-31T12:00:00.000001Z\"}\n{\"at\":\"2026-01-31T14:00:00.000001+02:00\"}\n{\"at\":1769860800000001}\n";
        let decoded = JsonDecoder::new(schema, LIMIT).expect("a decoder").decode(&lines(&text.into()));
        let times = decoded.rows.column(0).as_primitive::<arrow_array::types::TimestampMicrosecondType>();
        assert_eq!(times.values(), &[1_769_860_800_000_001; 3]);
    }

    #[test]
    fn names_a_column_it_cannot_hold() {
        let dictionary = DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into());
        let schema: SchemaRef = Schema::new(vec![Field::new("kind", dictionary, true)]).into();
        let error = JsonDecoder::new(schema, LIMIT).expect_err("no decoder");
        assert!(error.to_string().starts_with("column `kind` is Dictionary("), "{error}");
        assert!(error.to_string().ends_with("which json cannot hold"), "{error}");
    }

    #[test]
    fn what_is_no_number_is_written_as_null() {
        let schema: SchemaRef = Schema::new(vec![Field::new("x", DataType::Float64, true)]).into();
        let column = arrow_array::Float64Array::from(vec![Some(f64::NAN), Some(f64::INFINITY), None]);
        let rows = RecordBatch::try_new(schema.clone(), vec![Arc::new(column)]).expect("rows");
        let mut out = Vec::new();
        stygian_api::Encoder::encode(&mut JsonEncoder::new(&schema).expect("an encoder"), &rows, &mut out).expect("encoded");
        assert_eq!(String::from_utf8(out).expect("text"), "{\"x\":null}\n{\"x\":null}\n{}\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn gives_back_what_was_written(rows in 1_usize..60, seed: u64) {
            let rows = all_types(AllTypes { rows, seed, binary: true, empty_texts: true });
            let mut encoder = JsonEncoder::new(&rows.schema()).expect("an encoder");
            let mut decoder = JsonDecoder::new(rows.schema(), LIMIT).expect("a decoder");
            prop_assert_eq!(round_trip(&mut encoder, &mut decoder, &|bytes| lines(&bytes), &rows), Ok(()));
        }

        /// Against serde_json and a row-by-row reading of what it says.
        #[test]
        fn agrees_with_serde_json(messages in prop::collection::vec(some_json(), 0..40)) {
            let buffer: Bytes = messages.concat().into();
            let mut start = 0;
            let ranges = messages.iter().map(|m| { start += m.len(); start - m.len()..start }).collect();
            let decoded = decoder().decode(&Messages { buffer, ranges, offsets: vec![0; messages.len()], beside: None });
            let expected: Vec<Option<(String, Option<i64>)>> = messages.iter().map(|m| reference(m)).collect();
            let bad: Vec<usize> = (0..messages.len()).filter(|at| expected[*at].is_none()).collect();
            prop_assert_eq!(decoded.bad.iter().map(|bad| bad.message).collect::<Vec<_>>(), bad);
            let (users, numbers) = (decoded.rows.column(0).as_string::<i32>(), decoded.rows.column(1).as_primitive::<arrow_array::types::Int64Type>());
            let found: Vec<_> = users.iter().zip(numbers).map(|(user, n)| (user.expect("not null").to_owned(), n)).collect();
            prop_assert_eq!(found, expected.into_iter().flatten().collect::<Vec<_>>());
        }
    }

    fn some_json() -> impl Strategy<Value = Vec<u8>> {
        let value =
            prop_oneof![Just("null"), Just("1"), Just("-7"), Just("\"a\""), Just("\"\\u00e4\\n\""), Just("true"), Just("[1]"), Just("{}")];
        let whole =
            (value.clone(), value.clone(), value).prop_map(|(a, b, c)| format!("{{\"user\":{a},\"other\":{b},\"n\":{c}}}").into_bytes());
        let cut = (whole.clone(), 0_usize..20).prop_map(|(mut text, cut)| {
            text.truncate(text.len().saturating_sub(cut));
            text
        });
        prop_oneof![4 => whole, 1 => cut]
    }

    fn reference(message: &[u8]) -> Option<(String, Option<i64>)> {
        let value: serde_json::Value = serde_json::from_slice(message).ok()?;
        let number = match value.get("n")? {
            serde_json::Value::Null => None,
            number => Some(number.as_i64()?),
        };
        Some((value.get("user")?.as_str()?.to_owned(), number))
    }
}
