//! Rows of every column type, with the values that codecs get wrong.

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, PrimitiveBuilder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Schema;
use std::sync::Arc;
use stygian_core::{ColumnType, Field};

/// Which rows [`all_types`] makes.
#[derive(Clone, Copy, Debug)]
pub struct AllTypes {
    /// How many rows.
    pub rows: usize,
    /// Other rows for another seed.
    pub seed: u64,
    /// Whether there is a column of bytes, which not every format can hold.
    pub binary: bool,
    /// Whether there are empty texts, which not every format tells from null.
    pub empty_texts: bool,
}

const DAY: i64 = 86_400_000_000;
/// 0001-01-01 and 9999-12-31, the times that RFC 3339 can write, in days of the Unix epoch.
const DAYS: [i32; 2] = [-719_162, 2_932_896];
const TEXTS: [&str; 9] = ["plain", " spaces ", "line\nfeed\r\n", "\"quoted\", \\ and \t", "ünïcödé 🐕", "{}[]", "0", "null", "a,b;c|d"];

/// A batch with one column of each type that is never null and one that may be, of ordinary and extreme values.
///
/// # Panics
/// Never: the columns are made for the schema.
pub fn all_types(spec: AllTypes) -> RecordBatch {
    let mut chance = Chance::new(spec.seed);
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for column_type in ColumnType::EVERY.into_iter().filter(|t| spec.binary || *t != ColumnType::Binary) {
        for nullable in [false, true] {
            let name = format!("{}{}", column_type.to_string().replace(['(', ')', ',', ' '], "_"), if nullable { "_null" } else { "" });
            fields.push(Field { name, column_type, nullable }.arrow());
            columns.push(column(column_type, nullable, spec, &mut chance));
        }
    }
    let schema = Arc::new(Schema::new(fields));
    RecordBatch::try_new(schema.clone(), columns).unwrap_or_else(|_| RecordBatch::new_empty(schema))
}

#[allow(clippy::cast_possible_truncation, reason = "any value will do")]
fn column(column_type: ColumnType, nullable: bool, spec: AllTypes, chance: &mut Chance) -> ArrayRef {
    let nulls: Vec<bool> = (0..spec.rows).map(|_| nullable && chance.below(4) == 0).collect();
    match column_type {
        ColumnType::Bool => fill(
            &nulls,
            BooleanBuilder::new(),
            |to, null| to.append_option((!null).then(|| chance.below(2) == 0)),
            |mut b| Arc::new(b.finish()),
        ),
        ColumnType::Int8 => numbers::<Int8Type>(&nulls, &[i8::MIN, i8::MAX, 0], |x| x.cast_signed() as i8, chance),
        ColumnType::Int16 => numbers::<Int16Type>(&nulls, &[i16::MIN, i16::MAX, 0], |x| x.cast_signed() as i16, chance),
        ColumnType::Int32 => numbers::<Int32Type>(&nulls, &[i32::MIN, i32::MAX, 0], |x| x.cast_signed() as i32, chance),
        ColumnType::Int64 => numbers::<Int64Type>(&nulls, &[i64::MIN, i64::MAX, 0], u64::cast_signed, chance),
        ColumnType::UInt8 => numbers::<UInt8Type>(&nulls, &[u8::MAX, 0], |x| x as u8, chance),
        ColumnType::UInt16 => numbers::<UInt16Type>(&nulls, &[u16::MAX, 0], |x| x as u16, chance),
        ColumnType::UInt32 => numbers::<UInt32Type>(&nulls, &[u32::MAX, 0], |x| x as u32, chance),
        ColumnType::UInt64 => numbers::<UInt64Type>(&nulls, &[u64::MAX, 0], |x| x, chance),
        ColumnType::Float32 => numbers::<Float32Type>(&nulls, &[f32::MIN, f32::MAX, f32::MIN_POSITIVE, 0.1], |x| x as f32 / 3.0, chance),
        ColumnType::Float64 => numbers::<Float64Type>(&nulls, &[f64::MIN, f64::MAX, 5e-324, 0.1], |x| x as f64 / 3.0, chance),
        ColumnType::Text => fill(
            &nulls,
            StringBuilder::new(),
            |to, null| to.append_option((!null).then(|| text(spec, chance))),
            |mut b| Arc::new(b.finish()),
        ),
        ColumnType::Binary => fill(
            &nulls,
            BinaryBuilder::new(),
            |to, null| to.append_option((!null).then(|| chance.next().to_le_bytes())),
            |mut b| Arc::new(b.finish()),
        ),
        ColumnType::Date => {
            fill(&nulls, Date32Builder::new(), |to, null| to.append_option((!null).then(|| chance.day())), |mut b| Arc::new(b.finish()))
        }
        ColumnType::Timestamp => times(&nulls, TimestampMicrosecondBuilder::new(), chance),
        ColumnType::TimestampUtc => times(&nulls, TimestampMicrosecondBuilder::new().with_timezone("UTC"), chance),
        ColumnType::Decimal { precision, scale } => decimals(&nulls, precision, scale, chance),
    }
}

fn fill<B>(nulls: &[bool], mut builder: B, mut push: impl FnMut(&mut B, bool), finish: impl FnOnce(B) -> ArrayRef) -> ArrayRef {
    nulls.iter().for_each(|null| push(&mut builder, *null));
    finish(builder)
}

fn numbers<T: ArrowPrimitiveType>(nulls: &[bool], edges: &[T::Native], from: impl Fn(u64) -> T::Native, chance: &mut Chance) -> ArrayRef {
    let push = |to: &mut PrimitiveBuilder<T>, null: bool| {
        let edge = edges.get(chance.below(edges.len() * 3)).copied();
        to.append_option((!null).then(|| edge.unwrap_or_else(|| from(chance.next()))));
    };
    fill(nulls, PrimitiveBuilder::<T>::new(), push, |mut b| Arc::new(b.finish()))
}

fn times(nulls: &[bool], builder: TimestampMicrosecondBuilder, chance: &mut Chance) -> ArrayRef {
    let push = |to: &mut TimestampMicrosecondBuilder, null: bool| {
        let within = i64::try_from(chance.next() % DAY.unsigned_abs()).unwrap_or_default();
        to.append_option((!null).then(|| i64::from(chance.day()) * DAY + within));
    };
    fill(nulls, builder, push, |mut b| Arc::new(b.finish()))
}

fn decimals(nulls: &[bool], precision: u8, scale: u8, chance: &mut Chance) -> ArrayRef {
    let largest = 10_i128.pow(precision.into()) - 1;
    let builder = Decimal128Builder::new().with_data_type(ColumnType::Decimal { precision, scale }.arrow());
    let push = |to: &mut Decimal128Builder, null: bool| {
        let edge = [largest, -largest, 0].get(chance.below(9)).copied();
        to.append_option((!null).then(|| edge.unwrap_or_else(|| i128::from(chance.next().cast_signed()) % largest)));
    };
    fill(nulls, builder, push, |mut b| Arc::new(b.finish()))
}

fn text(spec: AllTypes, chance: &mut Chance) -> &'static str {
    if spec.empty_texts && chance.below(8) == 0 { "" } else { TEXTS[chance.below(TEXTS.len())] }
}

/// SplitMix64.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or_default()
    }

    fn day(&mut self) -> i32 {
        let span = u64::from(DAYS[1].abs_diff(DAYS[0])) + 1;
        let edge = DAYS.get(self.below(6)).copied();
        edge.unwrap_or_else(|| DAYS[0] + i32::try_from(self.next() % span).unwrap_or_default())
    }
}
