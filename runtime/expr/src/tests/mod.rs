//! Tests through the public interface, and the rows they share.

mod aggregates;
mod dedup;
mod expressions;
mod hostile;
mod migrated;
mod refusals;
mod revisions;
mod sessions;
mod snapshots;
mod snapshots_of_rows;
mod stored;
mod top;
mod windows;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

/// 2024-02-29T12:34:56.789012Z.
pub(crate) const LEAP: i64 = 1_709_210_096_789_012;

pub(crate) fn schema() -> SchemaRef {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let city = Field::new("city", DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        Field::new("amount", DataType::Float64, true),
        Field::new("n", DataType::Int64, true),
        Field::new("user", DataType::Utf8, true),
        Field::new("kind", DataType::Utf8, false),
        Field::new("at", utc, false),
        Field::new("day", DataType::Date32, true),
        Field::new("flag", DataType::Boolean, true),
        Field::new("price", DataType::Decimal128(10, 2), true),
        Field::new("raw", DataType::Binary, true),
        Field::new("Weird Name", DataType::Int32, false),
        Field::new("address", DataType::Struct(vec![city].into()), false),
        Field::new("local", DataType::Timestamp(TimeUnit::Microsecond, None), true),
    ]))
}

/// Three rows; the second is null wherever it may be.
pub(crate) fn rows() -> RecordBatch {
    let city = StringArray::from(vec![Some("Graz"), None, Some("Wien")]);
    let address = StructArray::try_from(vec![("city", Arc::new(city) as ArrayRef)]).expect("a struct");
    let price = Decimal128Array::from(vec![Some(12_345), None, Some(-50)]).with_precision_and_scale(10, 2).expect("fits");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-2.0)])),
        Arc::new(Int64Array::from(vec![Some(7), None, Some(-3)])),
        Arc::new(StringArray::from(vec![Some("Ärger"), None, Some("bob")])),
        Arc::new(StringArray::from(vec!["click", "buy", "click"])),
        Arc::new(TimestampMicrosecondArray::from(vec![LEAP, 0, -1]).with_timezone("UTC")),
        Arc::new(Date32Array::from(vec![Some(19_782), None, Some(-1)])),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(price),
        Arc::new(BinaryArray::from(vec![Some(b"ab".as_slice()), None, Some(b"")])),
        Arc::new(Int32Array::from(vec![1, 2, 3])),
        Arc::new(address),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(LEAP), None, Some(0)])),
    ];
    RecordBatch::try_new(schema(), columns).expect("rows of the schema")
}
