//! Parquet written and read back, and files that lie about themselves.
#![allow(clippy::needless_pass_by_value, clippy::cast_possible_truncation, clippy::redundant_clone, reason = "tests")]

use crate::range_reader::InMemory;
use crate::{FormatError, ParquetLimits, ParquetReader, ParquetWriter, ParquetWriterOptions, parquet_schema};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use futures::executor::block_on;
use proptest::prelude::*;
use std::sync::Arc;
use stygian_api::conformance::{AllTypes, all_types, joined};
use stygian_core::{ByteSize, ColumnType};

fn written(rows: &RecordBatch, row_group_rows: usize) -> Bytes {
    let options = ParquetWriterOptions { row_group_rows, ..ParquetWriterOptions::default() };
    let mut writer = ParquetWriter::new(Vec::new(), rows.schema(), options).expect("a writer");
    writer.write(rows).expect("written");
    writer.finish().expect("finished").into()
}

fn open(file: &Bytes, limits: ParquetLimits, schema: SchemaRef, from: u64) -> Result<ParquetReader, FormatError> {
    block_on(ParquetReader::open(Box::new(InMemory(file.clone())), &limits, schema, from))
}

fn read(file: &Bytes, schema: SchemaRef, from: u64, limit: usize) -> Result<RecordBatch, FormatError> {
    let mut reader = open(file, ParquetLimits::default(), schema.clone(), from)?;
    let mut batches = Vec::new();
    while let Some(rows) = block_on(reader.next(limit))? {
        assert!((1..=limit).contains(&rows.num_rows()));
        batches.push(rows);
    }
    Ok(joined(&schema, &batches).expect("one schema"))
}

fn sample(rows: usize) -> RecordBatch {
    all_types(AllTypes { rows, seed: 7, binary: true, empty_texts: true })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn gives_back_what_was_written_from_any_row(rows in 1_usize..80, seed: u64, group in 1_usize..40, from in 0_usize..80, limit in 1_usize..30) {
        let rows = all_types(AllTypes { rows, seed, binary: true, empty_texts: true });
        let file = written(&rows, group);
        prop_assert_eq!(block_on(parquet_schema(&mut InMemory(file.clone()), &ParquetLimits::default())).expect("a schema"), rows.schema());
        let from = from.min(rows.num_rows());
        prop_assert_eq!(read(&file, rows.schema(), from as u64, limit).expect("read"), rows.slice(from, rows.num_rows() - from));
    }

    /// Any damage is an error or other values, never a panic.
    #[test]
    fn damage_does_no_harm(at in 0.0_f64..1.0, byte: u8, cut in 0.0_f64..1.0, shorten: bool) {
        let rows = sample(20);
        let mut file = written(&rows, 8).to_vec();
        let place = |share: f64, len: usize| ((len as f64 * share) as usize).min(len - 1);
        if shorten { file.truncate(place(cut, file.len())); }
        if !file.is_empty() { let at = place(at, file.len()); file[at] = byte; }
        let _ = read(&file.into(), rows.schema(), 0, 9);
    }
}

/// Every byte of a small file, changed in the ways that flip signs and lengths.
#[test]
fn no_changed_byte_makes_it_panic() {
    let names: ArrayRef = Arc::new(arrow_array::StringArray::from(vec![Some("a"), None, Some("bb")]));
    let rows = RecordBatch::try_from_iter([("n", Arc::new(arrow_array::Int64Array::from(vec![1, 2, 3])) as ArrayRef), ("name", names)]);
    let rows = rows.expect("rows");
    let file = written(&rows, 2).to_vec();
    for at in 0..file.len() {
        for byte in [0, 1, 5, 0x7f, 0x80, 0xff] {
            let mut changed = file.clone();
            changed[at] = byte;
            let _ = read(&changed.into(), rows.schema(), 0, 9);
        }
    }
}

#[test]
fn reads_the_columns_asked_for_and_casts_them() {
    let times: ArrayRef = Arc::new(arrow_array::TimestampNanosecondArray::from(vec![1_500, 2_000]));
    let names: ArrayRef = Arc::new(arrow_array::StringViewArray::from(vec!["a", "b"]));
    let rows = RecordBatch::try_from_iter([
        ("n", Arc::new(arrow_array::Int32Array::from(vec![1, 2])) as ArrayRef),
        ("at", times),
        ("name", names),
    ]);
    let file = written(&rows.expect("rows"), 10);
    let found = block_on(parquet_schema(&mut InMemory(file.clone()), &ParquetLimits::default())).expect("a schema");
    assert_eq!(found.field(1).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, None));
    assert_eq!(found.field(2).data_type(), &DataType::Utf8);
    let wanted: SchemaRef = Schema::new(vec![found.field(2).clone(), Field::new("n", DataType::Int64, false)]).into();
    let read_back = read(&file, wanted.clone(), 0, 9).expect("read");
    assert_eq!(format!("{:?}", read_back.column(1)), format!("{:?}", arrow_array::Int64Array::from(vec![1, 2])));
    let missing: SchemaRef = Schema::new(vec![Field::new("x", DataType::Int64, true)]).into();
    assert_eq!(read(&file, missing, 0, 9).expect_err("no column").to_string(), "the header has no column `x`; it has n, at, name");
    let small: SchemaRef = Schema::new(vec![Field::new("name", ColumnType::Int8.arrow(), true)]).into();
    assert!(read(&file, small, 0, 9).expect_err("no number").to_string().starts_with("column `name`: "));
}

#[test]
fn refuses_what_is_no_parquet_or_has_fewer_rows() {
    let message =
        |file: &'static [u8]| open(&file.into(), ParquetLimits::default(), sample(1).schema(), 0).err().expect("refused").to_string();
    assert_eq!(message(b"PAR1"), "4 bytes are too few for a Parquet file");
    assert_eq!(message(b"PAR1 and text that is longer"), "it does not end with `PAR1`");
    assert_eq!(message(b"PAR1\xff\xff\0\0PAR1"), "its footer is longer than the file");
    let rows = sample(3);
    let error = open(&written(&rows, 9), ParquetLimits::default(), rows.schema(), 4).err().expect("refused");
    assert_eq!(error.to_string(), "it has 3 rows, and reading was to go on at row 4");
}

#[test]
fn checks_sizes_before_it_takes_memory() {
    let rows = sample(500);
    let file = written(&rows, 1000);
    let with = |limits: ParquetLimits| {
        let mut reader = open(&file, limits, rows.schema(), 0)?;
        block_on(reader.next(9)).map(drop)
    };
    let limits = ParquetLimits::default();
    assert!(with(limits).is_ok());
    let message = |limits| with(limits).expect_err("too large").to_string();
    assert!(message(ParquetLimits { footer: ByteSize(10), ..limits }).starts_with("the footer takes "));
    assert!(message(ParquetLimits { row_group: ByteSize(100), ..limits }).starts_with("row group 0 takes "));
    let page = message(ParquetLimits { page: ByteSize(100), ..limits });
    assert!(
        page.starts_with("a page takes ")
            && page.ends_with("more than the limit of 100; raise `max_page_bytes` if the file is to be trusted")
    );
}

#[test]
fn a_page_header_may_not_claim_more_than_there_is() {
    // Fields 1 to 3 (a data page, 8 bytes, 1 GiB compressed), then the end.
    let header = [0x15, 0, 0x15, 16, 0x15, 0x80, 0x80, 0x80, 0x80, 0x08, 0];
    let error = crate::parquet_pages::check(&header, ByteSize(100)).expect_err("damaged");
    assert_eq!(error.to_string(), "the page header at byte 0 of a column chunk is damaged");
    assert!(crate::parquet_pages::check(&[0x15, 0, 0x15, 16, 0x15, 4, 0, 1, 2], ByteSize(100)).is_ok());
    assert!(crate::parquet_pages::check(&[0x1c; 1000], ByteSize(100)).is_err());
}
