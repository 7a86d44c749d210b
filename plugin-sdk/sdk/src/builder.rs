//! Writing: how a Rust type becomes a column. Builders grow by one value a row and can go back to an earlier row, so that a row which is
//! refused half-way leaves nothing behind.
#![allow(unsafe_code)] // writing where room is known to be

use crate::bits::BitBuilder;
use crate::contract::{Column, ColumnType, Values, VarValues};
use crate::types::{Date, Decimal, Timestamp, TimestampUtc};
use crate::value::ColumnValue;
use std::borrow::Cow;
use std::convert::identity;

/// A value that can be written to a column.
pub trait WriteValue: ColumnValue + Sized {
    /// Collects values of this type.
    type Builder: ColumnBuilder;

    /// Adds this value.
    fn write(self, builder: &mut Self::Builder);

    /// Adds this value to a builder that was made with room for it. Without a way to grow, a loop over rows stays tight.
    ///
    /// # Safety
    /// Fewer values than the builder was made for have been added.
    #[inline]
    unsafe fn write_reserved(self, builder: &mut Self::Builder) {
        self.write(builder);
    }
}

/// A column that grows.
pub trait ColumnBuilder: Sized {
    /// An empty column with room for so many rows.
    fn with_capacity(rows: usize) -> Self;

    /// Adds a value without meaning, in the place of a null.
    fn push_filler(&mut self);

    /// Drops all values but the first `rows`.
    fn truncate(&mut self, rows: usize);

    /// The column.
    fn finish(self) -> Column;
}

fn without_nulls(values: Values) -> Column {
    Column { validity: None, values }
}

/// A value of fixed width.
pub trait PlainValue {
    /// The number it is stored as.
    type Raw: Copy + Default;

    /// The values of a column.
    fn values(raw: Vec<Self::Raw>) -> Values;
}

/// A column of values of fixed width.
#[derive(Debug)]
pub struct PlainBuilder<V: PlainValue>(Vec<V::Raw>);

impl<V: PlainValue> ColumnBuilder for PlainBuilder<V> {
    fn with_capacity(rows: usize) -> Self {
        Self(Vec::with_capacity(rows))
    }

    fn push_filler(&mut self) {
        self.0.push(V::Raw::default());
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    fn finish(self) -> Column {
        without_nulls(V::values(self.0))
    }
}

macro_rules! plain {
    ($($value:ty, $raw:ty, $values:ident, $unwrap:expr;)*) => {$(
        impl PlainValue for $value {
            type Raw = $raw;

            fn values(raw: Vec<$raw>) -> Values {
                Values::$values(raw)
            }
        }

        impl WriteValue for $value {
            type Builder = PlainBuilder<Self>;

            #[inline]
            fn write(self, builder: &mut PlainBuilder<Self>) {
                Vec::push(&mut builder.0, $unwrap(self)); // not `WriteValue::push`, which a vector of bytes has too
            }

            #[inline]
            unsafe fn write_reserved(self, builder: &mut PlainBuilder<Self>) {
                let len = builder.0.len();
                debug_assert!(len < builder.0.capacity(), "a builder without room");
                // SAFETY: the caller's: there is room for one more, which is written before it counts.
                unsafe {
                    builder.0.as_mut_ptr().add(len).write($unwrap(self));
                    builder.0.set_len(len + 1);
                }
            }
        }
    )*};
}

plain! {
    i8, i8, Int8, identity;
    i16, i16, Int16, identity;
    i32, i32, Int32, identity;
    i64, i64, Int64, identity;
    u8, u8, Uint8, identity;
    u16, u16, Uint16, identity;
    u32, u32, Uint32, identity;
    u64, u64, Uint64, identity;
    f32, f32, Float32, identity;
    f64, f64, Float64, identity;
    Date, i32, Date, |date: Date| date.0;
    Timestamp, i64, Timestamp, |time: Timestamp| time.0;
    TimestampUtc, i64, Timestamp, |time: TimestampUtc| time.0;
}

/// A column of `bool`.
#[derive(Debug)]
pub struct BoolBuilder(BitBuilder);

impl ColumnBuilder for BoolBuilder {
    fn with_capacity(rows: usize) -> Self {
        Self(BitBuilder::with_capacity(rows))
    }

    fn push_filler(&mut self) {
        self.0.push(false);
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    fn finish(self) -> Column {
        without_nulls(Values::Boolean(self.0.into_bytes()))
    }
}

impl WriteValue for bool {
    type Builder = BoolBuilder;

    #[inline]
    fn write(self, builder: &mut BoolBuilder) {
        builder.0.push(self);
    }
}

/// A column of decimals: two words a row, the lower half first.
#[derive(Debug)]
pub struct DecimalBuilder(Vec<u64>);

impl ColumnBuilder for DecimalBuilder {
    fn with_capacity(rows: usize) -> Self {
        Self(Vec::with_capacity(rows * 2))
    }

    fn push_filler(&mut self) {
        self.0.extend([0, 0]);
    }

    fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows * 2);
    }

    fn finish(self) -> Column {
        without_nulls(Values::Decimal(self.0))
    }
}

impl<const P: u8, const S: u8> WriteValue for Decimal<P, S> {
    type Builder = DecimalBuilder;

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // the two halves of one number
    fn write(self, builder: &mut DecimalBuilder) {
        let bits = self.0.cast_unsigned();
        builder.0.extend([bits as u64, (bits >> 64) as u64]);
    }
}

/// A column of text or bytes.
#[derive(Debug)]
pub struct VarBuilder<const TEXT: bool> {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl<const TEXT: bool> VarBuilder<TEXT> {
    #[inline]
    fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.end_value();
    }

    #[inline]
    fn end_value(&mut self) {
        // Saturates at 2 GiB, far above what the host takes from a call, which then refuses the whole column.
        self.offsets.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
    }
}

impl<const TEXT: bool> ColumnBuilder for VarBuilder<TEXT> {
    fn with_capacity(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { offsets, bytes: Vec::new() }
    }

    fn push_filler(&mut self) {
        self.end_value();
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes.truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    fn finish(self) -> Column {
        let values = VarValues { offsets: self.offsets, bytes: self.bytes };
        without_nulls(if TEXT { Values::Text(values) } else { Values::Binary(values) })
    }
}

macro_rules! variable {
    ($($value:ty, $text:literal;)*) => {$(
        impl WriteValue for $value {
            type Builder = VarBuilder<$text>;

            #[inline]
            fn write(self, builder: &mut VarBuilder<$text>) {
                builder.push(AsRef::<[u8]>::as_ref(&*self));
            }
        }
    )*};
}

variable! {
    &str, true;
    String, true;
    Cow<'_, str>, true;
    &[u8], false;
    Vec<u8>, false;
    Cow<'_, [u8]>, false;
}

/// Types that are written but not read.
macro_rules! written {
    ($($value:ty, $column_type:ident;)*) => {$(
        impl ColumnValue for $value {
            fn column_type() -> ColumnType {
                ColumnType::$column_type
            }
        }
    )*};
}

written! {
    String, Text;
    Cow<'_, str>, Text;
    Vec<u8>, Binary;
    Cow<'_, [u8]>, Binary;
}

/// A column whose rows may lack a value.
#[derive(Debug)]
pub struct NullableBuilder<B> {
    values: B,
    validity: BitBuilder,
}

impl<B: ColumnBuilder> ColumnBuilder for NullableBuilder<B> {
    fn with_capacity(rows: usize) -> Self {
        Self { values: B::with_capacity(rows), validity: BitBuilder::with_capacity(rows) }
    }

    fn push_filler(&mut self) {
        self.values.push_filler();
        self.validity.push(false);
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.validity.truncate(rows);
    }

    fn finish(self) -> Column {
        let validity = self.validity.has_clear().then(|| self.validity.into_bytes());
        Column { validity, values: self.values.finish().values }
    }
}

impl<T: WriteValue> WriteValue for Option<T> {
    type Builder = NullableBuilder<T::Builder>;

    #[inline]
    fn write(self, builder: &mut Self::Builder) {
        match self {
            Some(value) => {
                value.write(&mut builder.values);
                builder.validity.push(true);
            }
            None => builder.push_filler(),
        }
    }
}
