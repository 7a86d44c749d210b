//! Avro written and read back, and files that lie about themselves.

use crate::range_reader::InMemory;
use crate::{AvroCodec, AvroLimits, AvroReader, AvroWriter, FormatError, avro_schema};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use futures::executor::block_on;
use proptest::prelude::*;
use std::sync::Arc;
use stygian_api::conformance::{AllTypes, all_types, joined};
use stygian_core::{ByteSize, ColumnType};

const CODECS: [AvroCodec; 4] = [AvroCodec::None, AvroCodec::Deflate, AvroCodec::Snappy, AvroCodec::Zstd];

/// A file with a block for every `block` rows.
fn written(rows: &RecordBatch, codec: AvroCodec, block: usize) -> Bytes {
    let mut whole = Vec::new();
    let mut writer = AvroWriter::new(&mut whole, &rows.schema(), codec).expect("a writer");
    for start in (0..rows.num_rows()).step_by(block) {
        writer.write(&rows.slice(start, block.min(rows.num_rows() - start))).expect("written");
        writer.write_block().expect("written");
    }
    writer.finish().expect("finished");
    whole.into()
}

fn open(file: &Bytes, limits: AvroLimits, schema: SchemaRef, from: u64) -> Result<AvroReader, FormatError> {
    block_on(AvroReader::open(Box::new(InMemory(file.clone())), &limits, schema, from))
}

fn rest_of(mut reader: AvroReader, schema: &SchemaRef, limit: usize) -> Result<RecordBatch, FormatError> {
    let mut batches = Vec::new();
    while let Some(rows) = block_on(reader.next(limit))? {
        assert!((1..=limit).contains(&rows.num_rows()));
        batches.push(rows);
    }
    Ok(joined(schema, &batches).expect("one schema"))
}

fn read(file: &Bytes, schema: &SchemaRef, from: u64, limit: usize) -> Result<RecordBatch, FormatError> {
    rest_of(open(file, AvroLimits::default(), schema.clone(), from)?, schema, limit)
}

fn sample(rows: usize) -> RecordBatch {
    all_types(AllTypes { rows, seed: 7, binary: true, empty_texts: true })
}

fn numbers(count: i64) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
    RecordBatch::try_new(Schema::new(vec![Field::new("n", DataType::Int64, false)]).into(), vec![column]).expect("rows")
}

/// A file of a schema, without rows.
fn of_schema(schema: &str) -> Bytes {
    let text = |text: &str| {
        let length = text.len();
        let number = [(length << 1) & 0x7f | 0x80, (length >> 6) & 0x7f | 0x80, length >> 13];
        let number = number.map(|part| u8::try_from(part).expect("a byte"));
        [number.as_slice(), text.as_bytes()].concat()
    };
    [b"Obj\x01\x02".to_vec(), text("avro.schema"), text(schema), vec![0], vec![7; 16]].concat().into()
}

/// A type that holds the one before it twice is short to write and takes for ever to be read.
#[test]
fn a_schema_that_unfolds_without_end_is_refused() {
    let twice = |inner: String, n: u32| {
        format!(r#"{{"type":"record","name":"r{n}","fields":[{{"name":"a","type":{inner}}},{{"name":"b","type":"r{}"}}]}}"#, n - 1)
    };
    let least = r#"{"type":"record","name":"r0","fields":[{"name":"a","type":"int"}]}"#.to_owned();
    for (folds, is_well) in [(3, true), (40, false)] {
        let file = of_schema(&(1..=folds).fold(least.clone(), twice));
        let found = block_on(avro_schema(&mut InMemory(file), &AvroLimits::default()));
        assert_eq!(found.is_ok(), is_well, "{folds}: {found:?}");
        assert!(found.is_ok() || found.is_err_and(|e| e.to_string().contains("it has more than 10000 parts")));
    }
}

fn one_column(name: &str, column_type: ColumnType) -> SchemaRef {
    Schema::new(vec![Field::new(name, column_type.arrow(), true)]).into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn gives_back_what_was_written_from_any_row(rows in 1_usize..80, seed: u64, block in 1_usize..40, from in 0_usize..80, limit in 1_usize..30) {
        let rows = all_types(AllTypes { rows, seed, binary: true, empty_texts: true });
        let from = from.min(rows.num_rows());
        for codec in CODECS {
            let file = written(&rows, codec, block);
            let found = read(&file, &rows.schema(), from as u64, limit).expect("read");
            prop_assert_eq!(&found, &rows.slice(from, rows.num_rows() - from), "{:?}", codec);
        }
    }

    /// Rows that are wrong, errors, or the right rows where a byte was of no importance: never a panic, never without end.
    #[test]
    fn bears_strangers(at in 0_usize..10_000, byte: u8, cut in prop::option::of(0_usize..10_000), codec in 0_usize..4) {
        let rows = sample(20);
        let mut file = written(&rows, CODECS[codec], 7).to_vec();
        let length = file.len();
        file[at % length] = byte;
        file.truncate(cut.map_or(length, |cut| cut % length));
        let limits = AvroLimits { header: ByteSize::kib(64), block: ByteSize::kib(64) };
        let file = Bytes::from(file);
        if let Ok(reader) = open(&file, limits, rows.schema(), 0)
            && let Ok(found) = rest_of(reader, &rows.schema(), 8192)
        {
            prop_assert!(found.num_rows() <= 70_000);
        }
        let _ = block_on(avro_schema(&mut InMemory(file), &limits));
    }
}

#[test]
fn blocks_are_filled_and_kept_small() {
    let rows = numbers(20_000);
    let mut whole = Vec::new();
    let mut writer = AvroWriter::new(&mut whole, &rows.schema(), AvroCodec::None).expect("a writer");
    for start in 0..200 {
        writer.write(&rows.slice(start * 100, 100)).expect("written");
    }
    assert!(writer.size() > 40_000, "{}", writer.size());
    writer.finish().expect("finished");
    let tight = AvroLimits { block: ByteSize::kib(25), ..AvroLimits::default() };
    let found = rest_of(open(&whole.clone().into(), tight, rows.schema(), 0).expect("opened"), &rows.schema(), 1000).expect("read");
    assert_eq!(found, rows);
    let marker = &whole[whole.len() - 16..];
    assert_eq!(whole.windows(16).filter(|bytes| *bytes == marker).count(), 4, "a header and three blocks");
}

#[test]
fn finds_columns_by_name_and_widens_numbers() {
    let rows = sample(9);
    let wanted: SchemaRef =
        Schema::new(vec![Field::new("int8", DataType::Int64, false), Field::new("text_null", DataType::Utf8, true)]).into();
    let found = read(&written(&rows, AvroCodec::Snappy, 4), &wanted, 2, 100).expect("read");
    let expected: Vec<i64> = rows.column_by_name("int8").expect("a column").as_primitive::<arrow_array::types::Int8Type>().values()[2..]
        .iter()
        .map(|n| i64::from(*n))
        .collect();
    assert_eq!(found.column(0).as_primitive::<Int64Type>().values(), expected.as_slice());
    assert_eq!(found.column(1).to_data(), rows.column_by_name("text_null").expect("a column").slice(2, 7).to_data());
}

#[test]
fn says_how_a_schema_does_not_fit() {
    let file = written(&numbers(300), AvroCodec::None, 100);
    let told = |schema: &SchemaRef| read(&file, schema, 0, 100).expect_err("wrong").to_string();
    assert_eq!(told(&one_column("m", ColumnType::Int64)), "the header has no column `m`; it has n");
    assert_eq!(told(&one_column("n", ColumnType::Text)), "column `n` is int64 in the file and text in the schema");
    assert_eq!(told(&one_column("n", ColumnType::Int8)), "column `n`: Cast error: Can't cast value 128 to type Int8");
    let beyond = read(&file, &numbers(0).schema(), 301, 100).expect_err("beyond").to_string();
    assert_eq!(beyond, "it has 300 rows, and reading was to go on at row 301");
    assert_eq!(read(&file, &numbers(0).schema(), 300, 100).expect("at the end").num_rows(), 0);
    let schema = block_on(avro_schema(&mut InMemory(file), &AvroLimits::default())).expect("a schema");
    assert_eq!(schema, numbers(0).schema());
}

#[test]
fn names_a_column_it_cannot_write() {
    let told = |name: &str, kind: DataType| {
        AvroWriter::new(Vec::new(), &Schema::new(vec![Field::new(name, kind, true)]).into(), AvroCodec::None)
            .expect_err("wrong")
            .to_string()
    };
    assert!(told("a b", DataType::Utf8).starts_with("the column name `a b` cannot be written in avro; "));
    assert!(told("1a", DataType::Utf8).starts_with("the column name `1a` "));
    assert_eq!(told("a", DataType::new_list(DataType::Int8, true)), "column `a` is List(Int8), which avro cannot hold");
}

#[test]
fn a_file_that_was_cut_or_changed_is_refused() {
    let rows = numbers(300);
    let file = written(&rows, AvroCodec::Deflate, 100);
    let told = |file: &[u8]| read(&Bytes::copy_from_slice(file), &rows.schema(), 0, 50).expect_err("damaged").to_string();
    assert!(told(&file[..file.len() - 1]).ends_with("are left: the file was cut short"), "{}", told(&file[..file.len() - 1]));
    assert_eq!(told(&file[..100]), "it ends within its header");
    assert_eq!(told(b"{\"n\":1}\n"), "it does not begin with `Obj` and 1");
    let mut wrong = file.to_vec();
    *wrong.last_mut().expect("a byte") ^= 1;
    assert!(told(&wrong).ends_with("does not end with the file's marker"), "{}", told(&wrong));
    // A cut between blocks is a whole file of fewer rows: Avro does not say how many there should be.
}

/// Arrow's own reader hangs on a block of more rows than it says, and loses one without bytes.
#[test]
fn a_block_that_lies_about_its_rows_is_refused() {
    let rows = numbers(3);
    let file = written(&rows, AvroCodec::None, 3);
    let marker = &file[file.len() - 16..];
    let start = file.windows(16).position(|bytes| bytes == marker).expect("behind the header") + 16;
    let told = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut file = file.to_vec();
        change(&mut file);
        read(&file.into(), &rows.schema(), 0, 50).expect_err("a lie").to_string()
    };
    assert_eq!(file[start..start + 2], [6, 6], "three rows in three bytes");
    assert!(told(&|file| file[start] = 4).ends_with("1 bytes are left behind its 2 rows"));
    assert!(told(&|file| file[start] = 0).ends_with("3 bytes are left behind its 0 rows"));
    assert!(told(&|file| file[start] = 8).ends_with("row 3 of 4 is damaged at byte 3"));
    assert!(told(&|file| file[start] = 5).ends_with("has a negative length"));
    let empty = told(&|file| {
        file[start + 1] = 0;
        file.drain(start + 2..start + 5);
    });
    assert!(empty.ends_with("its 3 rows take no bytes"), "{empty}");
}

#[test]
fn sizes_are_checked_before_memory_is_taken() {
    let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(200_000)]));
    let rows = RecordBatch::try_from_iter([("x", long)]).expect("rows");
    let limits = AvroLimits { block: ByteSize::kib(100), ..AvroLimits::default() };
    for codec in CODECS {
        let reader = open(&written(&rows, codec, 1), limits, rows.schema(), 0).expect("opened");
        let error = rest_of(reader, &rows.schema(), 10).expect_err("too large").to_string();
        assert!(error.starts_with("the block at byte ") && error.contains("raise `max_block_bytes`"), "{codec:?}: {error}");
    }
    let small = AvroLimits { header: ByteSize(50), ..AvroLimits::default() };
    let error = open(&written(&rows, AvroCodec::None, 1), small, rows.schema(), 0).err().expect("too large").to_string();
    assert!(error.starts_with("the header takes 51 bytes, more than the limit of 50; raise `max_header_bytes`"), "{error}");
}
