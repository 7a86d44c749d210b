//! Avro messages against bytes that fastavro 1.13 (Python) made: `schemaless_writer` of the records in the comments. Frames are added here.

use crate::{AvroDecoder, AvroEncoder, Columns, WriterSchema, WriterSchemas, avro_frame};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_cast::display::array_value_to_string;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use stygian_api::{Decoded, Decoder, Messages};

const V1: &str = r#"{"type":"record","name":"Event","namespace":"shop","fields":[{"name":"user","type":"string"},{"name":"n","type":"int"},{"name":"note","type":["null","string"],"default":null}]}"#;
const V2: &str = r#"{"type":"record","name":"Event","namespace":"shop","fields":[{"name":"user","type":"string"},{"name":"n","type":"long"},{"name":"note","type":["null","string"],"default":null},{"name":"country","type":"string","default":"XX"}]}"#;
const ALL: &str = r#"{"type":"record","name":"All","fields":[{"name":"t","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"d","type":{"type":"int","logicalType":"date"}},{"name":"m","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},{"name":"u","type":{"type":"string","logicalType":"uuid"}},{"name":"b","type":"boolean"},{"name":"tags","type":{"type":"array","items":"string"}},{"name":"f","type":{"type":"fixed","name":"F","size":2}}]}"#;
/// By V1: user "ann", n -3, no note.
const ANN: &[u8] = b"\x06\x61\x6e\x6e\x05\x00";
/// By V2: user "böb", n 3000000000, note "hi", country "DE".
const BOB: &[u8] = b"\x08\x62\xc3\xb6\x62\x80\xf8\x82\xad\x16\x02\x04\x68\x69\x04\x44\x45";
/// By V1: user "cy", n 2147483647, note "x".
const CY: &[u8] = b"\x04\x63\x79\xfe\xff\xff\xff\x0f\x02\x02\x78";
/// By ALL: 2026-01-31T12:00:00.5Z, 2026-01-31, -12.34, B, a UUID, true, ["x", "y"], 0x0102.
const EVERY: &[u8] = b"\xe8\xff\xe4\xbe\x82\x67\x88\xc0\x02\x04\xfb\x2e\x02\x48\x30\x30\x31\x31\x32\x32\x33\x33\x2d\x34\x34\x35\x35\x2d\x36\x36\x37\x37\x2d\x38\x38\x39\x39\x2d\x61\x61\x62\x62\x63\x63\x64\x64\x65\x65\x66\x66\x01\x04\x02\x78\x02\x79\x00\x01\x02";

struct Known(BTreeMap<u32, Result<Arc<WriterSchema>, String>>);

impl WriterSchemas for Known {
    fn writer(&self, id: u32) -> Result<Arc<WriterSchema>, String> {
        self.0.get(&id).cloned().unwrap_or_else(|| Err(format!("no schema {id}")))
    }
}

fn known(schemas: &[(u32, &str)]) -> Arc<Known> {
    Arc::new(Known(schemas.iter().map(|(id, text)| (*id, WriterSchema::read(text).map(Arc::new))).collect()))
}

fn columns(text: &str) -> SchemaRef {
    let table: BTreeMap<String, Columns> = toml::from_str(&format!("schema = {text}")).expect("columns");
    table["schema"].schema()
}

fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    [&avro_frame(id), body].concat()
}

fn messages(all: &[Vec<u8>]) -> Messages {
    let mut ranges = Vec::new();
    for message in all {
        let start = ranges.last().map_or(0, |range: &std::ops::Range<usize>| range.end);
        ranges.push(start..start + message.len());
    }
    Messages { buffer: Bytes::from(all.concat()), ranges, offsets: (0..all.len() as u64).collect(), beside: None }
}

fn decoder(schema: &SchemaRef, writers: Arc<Known>) -> AvroDecoder {
    AvroDecoder::new(schema.clone(), None, writers, 1 << 20)
}

fn shown(decoded: &Decoded) -> Vec<String> {
    let rows = &decoded.rows;
    let value = |column: &ArrayRef, row| match column.is_null(row) {
        true => "-".to_owned(),
        false => array_value_to_string(column, row).expect("shown"),
    };
    (0..rows.num_rows()).map(|row| rows.columns().iter().map(|column| value(column, row)).collect::<Vec<_>>().join(" ")).collect()
}

fn reasons(decoded: &Decoded) -> Vec<(usize, &str)> {
    decoded.bad.iter().map(|bad| (bad.message, bad.reason.as_str())).collect()
}

#[test]
fn messages_of_two_schemas_come_in_order() {
    let schema = columns("{ n = 'int64 not null', user = 'text not null', country = 'text' }");
    let mut decoder = decoder(&schema, known(&[(1, V1), (2, V2)]));
    let all = [framed(1, ANN), framed(2, BOB), framed(1, CY), framed(2, BOB)];
    let expected = ["-3 ann -", "3000000000 böb DE", "2147483647 cy -", "3000000000 böb DE"];
    for _ in 0..2 {
        let decoded = decoder.decode(&messages(&all));
        assert_eq!(decoded.rows.schema(), schema);
        assert_eq!((shown(&decoded), reasons(&decoded)), (expected.map(str::to_owned).to_vec(), vec![]));
    }
    let decoded = decoder.decode(&messages(&all[..1]));
    assert_eq!(shown(&decoded), ["-3 ann -"]);
}

#[test]
fn what_is_no_row_is_told_and_the_rest_comes() {
    let schema = columns("{ user = 'text not null', n = 'int32', note = 'text' }");
    let mut decoder = decoder(&schema, known(&[(1, V1), (2, V2)]));
    let all = [
        framed(1, ANN),
        b"{\"user\":\"ann\"}".to_vec(),
        framed(2, BOB),
        vec![],
        framed(1, &ANN[..4]),
        framed(9, ANN),
        framed(1, &[ANN, &[0]].concat()),
        framed(1, &[&[6, 0xff, 0xff, 0xff], &ANN[4..]].concat()),
        framed(1, CY),
        vec![0, 0, 0],
    ];
    let decoded = decoder.decode(&messages(&all));
    assert_eq!(shown(&decoded), ["ann -3 -", "cy 2147483647 x"]);
    let reasons = reasons(&decoded);
    let expected = [
        (1, "not framed as a registry's messages are: it begins with the byte 123, not 0"),
        (2, "column `n`: Can't cast value 3000000000 to type Int32"),
        (3, "empty"),
        (4, "its value is damaged at byte 4 of 4"),
        (5, "no schema 9"),
        (6, "1 bytes are left behind its value"),
    ];
    assert_eq!(reasons[..6], expected);
    assert!(reasons[6].0 == 7 && reasons[6].1.to_lowercase().contains("utf"), "{reasons:?}");
    assert_eq!(reasons[7], (9, "not framed as a registry's messages are: 3 bytes, fewer than the 5 of a frame"));
}

#[test]
fn a_writer_that_lacks_a_column_or_has_another_kind_is_told() {
    let told = |wanted: &str, text: &str| {
        let decoded = decoder(&columns(wanted), known(&[(7, text)])).decode(&messages(&[framed(7, ANN)]));
        assert_eq!((decoded.rows.num_rows(), decoded.bad.len()), (0, 1));
        decoded.bad[0].reason.clone()
    };
    assert_eq!(
        told("{ user = 'text', country = 'text not null' }", V1),
        "schema 7: its schema has no field `country`, and the column is `not null`"
    );
    assert_eq!(told("{ user = 'int64' }", V1), "schema 7: column `user` is text in its schema and int64 in the pipeline");
    assert_eq!(told("{ note = 'text not null' }", V1), "column `note` has no value, and is `not null`");
    let no_column = decoder(&columns("{ other = 'text' }"), known(&[(7, V1)])).decode(&messages(&[framed(7, ANN), framed(7, &[1])]));
    assert_eq!((shown(&no_column), reasons(&no_column)), (vec!["-".to_owned()], vec![(1, "its value is damaged at byte 1 of 1")]));
}

#[test]
fn a_reader_schema_fills_what_the_writer_did_not_know() {
    let reader = Arc::new(WriterSchema::read(V2).expect("a schema"));
    let schema = reader.columns().clone();
    let mut decoder = AvroDecoder::new(schema, Some(reader), known(&[(1, V1), (2, V2)]), 1 << 20);
    let decoded = decoder.decode(&messages(&[framed(1, ANN), framed(2, BOB), framed(1, CY)]));
    assert_eq!(shown(&decoded), ["ann -3 - XX", "böb 3000000000 hi DE", "cy 2147483647 x XX"]);
}

#[test]
fn every_kind_of_value_is_read() {
    let wanted = "{ t = 'timestamp_utc', d = 'date', m = 'decimal(10, 2)', e = 'text', u = 'text', b = 'bool', f = 'binary' }";
    let decoded = decoder(&columns(wanted), known(&[(1, ALL)])).decode(&messages(&[framed(1, EVERY)]));
    let expected = "2026-01-31T12:00:00.500Z 2026-01-31 -12.34 B 00112233-4455-6677-8899-aabbccddeeff true 0102";
    assert_eq!((shown(&decoded), reasons(&decoded)), (vec![expected.to_owned()], vec![]));
}

#[test]
fn schemas_that_cannot_be_are_told() {
    let told = |text: &str| WriterSchema::read(text).expect_err("refused");
    assert_eq!(told("\"string\""), "its rows are no records");
    assert!(told("{").starts_with("it is no JSON: "));
    assert_eq!(told(&format!("\"{}\"", "x".repeat(1 << 20))), "it takes 1048578 bytes, more than 1048576");
    let recursive = r#"{"type":"record","name":"r","fields":[{"name":"next","type":["null","r"]}]}"#;
    assert_eq!(told(recursive), "it is recursive: a type is within itself");
}

#[test]
fn records_of_no_bytes_are_rows() {
    let nothing = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"null"}]}"#;
    let decoded = decoder(&columns("{ a = 'text' }"), known(&[(1, nothing)])).decode(&messages(&vec![framed(1, &[]); 3]));
    assert_eq!((shown(&decoded), reasons(&decoded)), (vec!["-".to_owned(); 3], vec![]));
}

/// A row of every kind of column, and one of nulls.
fn rows() -> RecordBatch {
    let schema = columns(
        "{ user = 'text not null', n = 'int64', small = 'uint8', big = 'uint64', price = 'decimal(10, 2)', at = 'timestamp_utc', day = 'date', raw = 'binary', x = 'float64', ok = 'bool' }",
    );
    let texts = ["ann", "-5", "7", "18446744073709551615", "-12.34", "2026-01-31T12:00:00.5Z", "2026-01-31", "", "1.5", "true"];
    let column = |(text, field): (&&str, &Arc<arrow_schema::Field>)| {
        let null = if field.is_nullable() { None } else { Some("") };
        if field.name() == "raw" {
            return Arc::new(arrow_array::BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None])) as ArrayRef;
        }
        cast(&arrow_array::StringArray::from(vec![Some(*text), null]), field.data_type()).expect("cast")
    };
    RecordBatch::try_new(schema.clone(), texts.iter().zip(schema.fields()).map(column).collect()).expect("rows")
}

#[test]
fn rows_are_written_as_fastavro_writes_them() {
    let rows = rows();
    let mut encoder = AvroEncoder::new(rows.schema_ref(), "shop.Row", 258).expect("an encoder");
    let (mut out, full) = (b"before".to_vec(), b"\x06\x61\x6e\x6e\x02\x09\x02\x0e\x02\x12\x00\xff\xff\xff\xff\xff\xff\xff\xff\x02\x04\xfb\x2e\x02\xc0\xc4\x86\xc5\xba\xeb\xa4\x06\x02\x88\xc0\x02\x02\x04\x00\xff\x02\x00\x00\x00\x00\x00\x00\xf8\x3f\x02\x01");
    let ranges = encoder.encode(&rows, &mut out).expect("encoded");
    let written: Vec<&[u8]> = ranges.into_iter().map(|range| &out[range]).collect();
    // By fastavro, of the schema below: every value as in `rows`; an empty user and nulls.
    assert_eq!(written, [framed(258, full), framed(258, &[0; 10])]);
    let expected = r#"{"type":"record","name":"Row","namespace":"shop","fields":[{"name":"user","type":"string"},{"name":"n","type":["null","long"],"default":null},{"name":"small","type":["null","int"],"default":null},{"name":"big","type":["null",{"type":"bytes","logicalType":"decimal","precision":20,"scale":0}],"default":null},{"name":"price","type":["null",{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}],"default":null},{"name":"at","type":["null",{"type":"long","logicalType":"timestamp-micros"}],"default":null},{"name":"day","type":["null",{"type":"int","logicalType":"date"}],"default":null},{"name":"raw","type":["null","bytes"],"default":null},{"name":"x","type":["null","double"],"default":null},{"name":"ok","type":["null","boolean"],"default":null}]}"#;
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(json(encoder.schema()), json(expected));
    let decoded =
        decoder(rows.schema_ref(), known(&[(258, encoder.schema())])).decode(&messages(&[framed(258, full), framed(258, &[0; 10])]));
    assert_eq!((&decoded.rows, reasons(&decoded)), (&rows, vec![]));
}

#[test]
fn names_that_avro_cannot_hold_are_told() {
    let told = |wanted: &str, record: &str| AvroEncoder::new(&columns(wanted), record, 1).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(told("{ 'a-b' = 'text' }", "r").starts_with("the column name `a-b` cannot be written in avro"));
    assert!(told("{ a = 'text' }", "shop..Row").starts_with("`shop..Row` is no name for an Avro record"));
    assert_eq!(told("{ a = 'text' }", "shop.Row"), "");
}

const NESTED: &str = r#"{"type":"record","name":"N","fields":[{"name":"any","type":["null","int","string",{"type":"record","name":"I","fields":[{"name":"x","type":["null","double"]}]}]},{"name":"maps","type":{"type":"map","values":{"type":"array","items":["null","I"]}}},{"name":"dec","type":{"type":"fixed","name":"D","size":5,"logicalType":"decimal","precision":9,"scale":1}},{"name":"dur","type":{"type":"fixed","name":"U","size":12,"logicalType":"duration"}},{"name":"kind","type":{"type":"enum","name":"K","symbols":["A","B","C"]}},{"name":"time","type":{"type":"int","logicalType":"time-millis"}},{"name":"list","type":{"type":"array","items":{"type":"map","values":"K"}}}]}"#;

/// Messages that are good, damaged or garbage.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let good = prop::sample::select(vec![framed(1, ANN), framed(2, BOB), framed(1, CY), framed(3, EVERY)]);
    let damaged = (good.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, with)| {
        let at = at.index(bytes.len());
        bytes[at] = with;
        bytes
    });
    let cut = (good.clone(), any::<prop::sample::Index>()).prop_map(|(bytes, at)| bytes[..at.index(bytes.len())].to_vec());
    let body = (1_u32..5, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(id, body)| framed(id, &body));
    prop_oneof![3 => good, 2 => damaged, 1 => cut, 2 => body, 1 => prop::collection::vec(any::<u8>(), 0..20)]
}

/// By `NESTED`: a record in a union, a map of lists with nulls and records, -7.5, a duration, C, 01:02:03, a list of maps.
const WHOLE: &[u8] = b"\x06\x02\x00\x00\x00\x00\x00\x00\xf8\x3f\x02\x02\x6b\x04\x00\x02\x00\x00\x00\xff\xff\xff\xff\xb5\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x04\xf0\xbb\xc6\x03\x04\x02\x02\x61\x02\x00\x00\x00";

/// Bytes as values of `NESTED` are made of: small numbers, which are lengths and branches.
fn small() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![6 => 0_u8..8, 1 => any::<u8>()], 0..90)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn values_within_values_are_rows_or_bad_ones(bodies in prop::collection::vec(small(), 1..40), at in any::<prop::sample::Index>()) {
        let nested = Arc::new(WriterSchema::read(NESTED).expect("a schema"));
        let good = at.index(bodies.len());
        let body = |(at, body): (usize, &Vec<u8>)| framed(1, if at == good { WHOLE } else { body });
        let all: Vec<Vec<u8>> = bodies.iter().enumerate().map(body).collect();
        let some = columns("{ dec = 'decimal(9, 1)', kind = 'text', absent = 'int8' }");
        for (schema, reader) in [(nested.columns().clone(), Some(nested.clone())), (some, None)] {
            let decoded = AvroDecoder::new(schema, reader, known(&[(1, NESTED)]), 1 << 20).decode(&messages(&all));
            prop_assert_eq!(decoded.rows.num_rows() + decoded.bad.len(), all.len());
            prop_assert!(decoded.bad.windows(2).all(|pair| pair[0].message < pair[1].message));
            let before = decoded.bad.iter().filter(|bad| bad.message < good).count();
            prop_assert!(decoded.bad.iter().all(|bad| bad.message != good), "{:?}", decoded.bad);
            let shown = |name| array_value_to_string(decoded.rows.column_by_name(name).expect("a column"), good - before).expect("shown");
            prop_assert_eq!([shown("dec"), shown("kind")], ["-7.5", "C"]);
        }
    }

    #[test]
    fn every_message_is_a_row_or_a_bad_one(all in prop::collection::vec(hostile(), 0..30)) {
        let schema = columns("{ user = 'text', n = 'int32', t = 'timestamp_utc', m = 'decimal(10, 2)', e = 'text', b = 'bool', tagged = 'text' }");
        let writers = known(&[(1, V1), (2, V2), (3, ALL)]);
        let decoded = decoder(&schema, writers.clone()).decode(&messages(&all));
        prop_assert_eq!(decoded.rows.num_rows() + decoded.bad.len(), all.len());
        prop_assert!(decoded.bad.windows(2).all(|pair| pair[0].message < pair[1].message));
        // Alone, each is what it is among the others.
        let mut good = 0;
        for (at, message) in all.iter().enumerate() {
            let alone = decoder(&schema, writers.clone()).decode(&messages(std::slice::from_ref(message)));
            match alone.bad.first() {
                Some(bad) => prop_assert!(decoded.bad.iter().any(|other| other.message == at && other.reason == bad.reason), "{at}: {}", bad.reason),
                None => {
                    prop_assert_eq!(alone.rows, decoded.rows.slice(good, 1));
                    good += 1;
                }
            }
        }
        let users = decoded.rows.column(0).as_string::<i32>();
        prop_assert_eq!(users.len(), good);
    }
}
