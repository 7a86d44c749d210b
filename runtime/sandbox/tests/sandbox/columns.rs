//! Columns of every type into a guest and out of it again, whatever slice of whatever array they are: what comes back is what went in.

use crate::calls::ECHO;
use crate::guests::Guest;
use crate::host::{CONTEXT, load};
use arrow_array::builder::{BinaryBuilder, BooleanBuilder, StringBuilder};
use arrow_array::types::{self, ArrowPrimitiveType};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};
use stygian_core::{ColumnType, Field, OutputShape};
use stygian_sandbox::{Limits, Piece, Plugin};

const TYPES: [ColumnType; 18] = ColumnType::EVERY;

/// A column of each type that may be null, and one that may not.
static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let field = |nullable| move |column_type| Field { name: format!("{column_type} {nullable}"), column_type, nullable };
    TYPES.into_iter().map(field(true)).chain(TYPES.into_iter().map(field(false))).collect()
});

static PLUGIN: LazyLock<Plugin> = LazyLock::new(|| {
    let guest = Guest::default().reads(FIELDS.clone()).outputs(vec![("out", OutputShape::Own(FIELDS.clone()))]);
    load("columns", &guest.build(ECHO)).expect("a plugin")
});

/// A row of a column: a value made of these bits, or null.
type Row = Option<u64>;

fn primitive<T: ArrowPrimitiveType>(rows: &[Row], value: impl Fn(u64) -> T::Native) -> PrimitiveArray<T> {
    rows.iter().map(|row| row.map(&value)).collect()
}

fn array(column_type: ColumnType, rows: &[Row]) -> ArrayRef {
    use types::*;
    match column_type {
        ColumnType::Bool => {
            let mut builder = BooleanBuilder::new();
            rows.iter().for_each(|row| builder.append_option(row.map(|bits| bits & 1 == 1)));
            Arc::new(builder.finish())
        }
        ColumnType::Int8 => Arc::new(primitive::<Int8Type>(rows, |bits| bits as i8)),
        ColumnType::Int16 => Arc::new(primitive::<Int16Type>(rows, |bits| bits as i16)),
        ColumnType::Int32 => Arc::new(primitive::<Int32Type>(rows, |bits| bits as i32)),
        ColumnType::Int64 => Arc::new(primitive::<Int64Type>(rows, |bits| bits as i64)),
        ColumnType::UInt8 => Arc::new(primitive::<UInt8Type>(rows, |bits| bits as u8)),
        ColumnType::UInt16 => Arc::new(primitive::<UInt16Type>(rows, |bits| bits as u16)),
        ColumnType::UInt32 => Arc::new(primitive::<UInt32Type>(rows, |bits| bits as u32)),
        ColumnType::UInt64 => Arc::new(primitive::<UInt64Type>(rows, |bits| bits)),
        ColumnType::Float32 => Arc::new(primitive::<Float32Type>(rows, |bits| bits as f32 / 3.0)),
        ColumnType::Float64 => Arc::new(primitive::<Float64Type>(rows, |bits| bits as f64 / 3.0)),
        ColumnType::Text => {
            let mut builder = StringBuilder::new();
            rows.iter().for_each(|row| builder.append_option(row.map(|bits| "ä€x".repeat((bits % 9) as usize))));
            Arc::new(builder.finish())
        }
        ColumnType::Binary => {
            let mut builder = BinaryBuilder::new();
            rows.iter().for_each(|row| builder.append_option(row.map(|bits| vec![bits as u8 | 0x80; (bits % 9) as usize])));
            Arc::new(builder.finish())
        }
        ColumnType::Date => Arc::new(primitive::<Date32Type>(rows, |bits| bits as i32)),
        ColumnType::Timestamp => Arc::new(primitive::<TimestampMicrosecondType>(rows, |bits| bits as i64)),
        ColumnType::TimestampUtc => Arc::new(primitive::<TimestampMicrosecondType>(rows, |bits| bits as i64).with_timezone("UTC")),
        ColumnType::Decimal { precision, .. } => {
            let value = |bits: u64| (i128::from(bits as i64) * i128::from(bits)) % 10_i128.pow(u32::from(precision));
            Arc::new(primitive::<Decimal128Type>(rows, value).with_data_type(column_type.arrow()))
        }
    }
}

fn batch(rows: &[Row]) -> RecordBatch {
    let whole: Vec<Row> = rows.iter().map(|row| Some(row.unwrap_or(0))).collect();
    let columns = FIELDS.iter().map(|field| array(field.column_type, if field.nullable { rows } else { &whole })).collect();
    let schema = Schema::new(FIELDS.iter().map(Field::arrow).collect::<Vec<_>>());
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &options).expect("a batch")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn come_back_as_they_went_in(
        rows in proptest::collection::vec(proptest::option::weighted(0.8, any::<u64>()), 1..150),
        cut in (0_usize..150, 0_usize..150),
        rows_per_call in 1_u32..70,
        bytes_per_call in 1_u64..40_000,
    ) {
        let start = cut.0.min(rows.len() - 1);
        let whole = batch(&rows);
        let batch = whole.slice(start, 1 + cut.1.min(rows.len() - start - 1));
        let limits = Limits { rows_per_call, bytes_per_call: stygian_core::ByteSize(bytes_per_call), ..Limits::default() };
        let mut operator = PLUGIN.with_limits(limits).operator("node", "{}", &batch.schema()).expect("an operator");
        let output = operator.process(CONTEXT, &batch).expect("output");
        let mut row = 0;
        for piece in &output.outputs[0] {
            let Piece::Emitted { rows, parents: None } = piece else { panic!("{piece:?}") };
            let expected = batch.slice(row, rows.num_rows());
            prop_assert_eq!(rows.columns(), expected.columns());
            prop_assert!(rows.num_rows() <= rows_per_call as usize);
            rows.columns().iter().for_each(|column| column.to_data().validate_full().expect("valid"));
            row += rows.num_rows();
        }
        prop_assert_eq!(row, batch.num_rows());
    }
}
