//! Reading: how a Rust type sees a column, without copying or allocating.
//!
//! `bind` checks type, lengths and nulls once a batch, so that `read` may index. A row outside of the batch panics (inside of a component: a
//! trap of this call only); the loops over all rows of a batch read without that check.
#![allow(unsafe_code)] // reading a row that is known to be there

use crate::bits;
use crate::contract::{Column, ColumnType, DecimalType, Field, Values};
use crate::input::Extent;
use crate::types::{Date, Decimal, Timestamp, TimestampUtc};
use crate::var::{Texts, Vars};
use std::convert::identity;
use std::fmt;

/// Keeps [`ReadValue`] this crate's.
pub trait Sealed {}

/// A type that a column's values have.
pub trait ColumnValue {
    /// Whether a row may lack a value.
    const NULLABLE: bool = false;

    /// The column's type.
    fn column_type() -> ColumnType;

    /// A column of this type.
    fn field(name: &str) -> Field {
        Field { name: name.to_owned(), column_type: Self::column_type(), nullable: Self::NULLABLE }
    }
}

/// A value that can be read from a column. Only this crate's types can: they rely on an [`Extent`] that belongs to the column.
pub trait ReadValue<'a>: ColumnValue + Sealed + Sized {
    /// A column that has been checked.
    type Column;

    /// Checks values for type and number of rows.
    fn bind_values(values: &'a Values, extent: Extent) -> Result<Self::Column, Mismatch>;

    /// The value of a row. The row must be less than the number that was bound.
    fn read(column: &Self::Column, row: usize) -> Self;

    /// The value of a row, without a check where there would be one.
    ///
    /// # Safety
    /// The row is less than the number that was bound.
    #[inline]
    unsafe fn read_unchecked(column: &Self::Column, row: usize) -> Self {
        Self::read(column, row)
    }

    /// Checks a column, also for nulls.
    #[inline]
    fn bind(column: &'a Column, extent: Extent) -> Result<Self::Column, Mismatch> {
        match validity(column, extent.rows)? {
            Some(bitmap) if !bits::all_set(bitmap, extent.rows) => Err(Mismatch::Null),
            _ => Self::bind_values(&column.values, extent),
        }
    }
}

/// What is wrong with a column that the host passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Its values are of another type.
    Type,
    /// It has too few values or bits for the batch.
    Length,
    /// It lacks a value although it was declared not to.
    Null,
    /// Its offsets do not ascend within its bytes.
    Offsets,
    /// Text that is not UTF-8.
    Utf8,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type => "has another type than was declared",
            Self::Length => "has fewer values than the batch has rows",
            Self::Null => "lacks a value though it is declared as not nullable; read it as an `Option`",
            Self::Offsets => "has offsets that do not ascend within its bytes",
            Self::Utf8 => "is declared as text but is not UTF-8",
        })
    }
}

fn validity(column: &Column, rows: usize) -> Result<Option<&[u8]>, Mismatch> {
    match &column.validity {
        Some(bitmap) if bitmap.len() < bits::bytes_for(rows) => Err(Mismatch::Length),
        bitmap => Ok(bitmap.as_deref()),
    }
}

/// Exactly so many values: a loop over the rows then needs no check a row.
#[inline]
fn sized<T>(values: &[T], rows: usize) -> Result<&[T], Mismatch> {
    values.get(..rows).ok_or(Mismatch::Length)
}

macro_rules! plain {
    ($($value:ty, $raw:ty, $column_type:ident, $values:ident, $wrap:expr;)*) => {$(
        impl ColumnValue for $value {
            fn column_type() -> ColumnType {
                ColumnType::$column_type
            }
        }

        impl Sealed for $value {}

        impl<'a> ReadValue<'a> for $value {
            type Column = &'a [$raw];

            #[inline]
            fn bind_values(values: &'a Values, extent: Extent) -> Result<Self::Column, Mismatch> {
                match values {
                    Values::$values(values) => sized(values, extent.rows),
                    _ => Err(Mismatch::Type),
                }
            }

            #[inline]
            fn read(column: &Self::Column, row: usize) -> Self {
                $wrap(column[row])
            }

            #[inline]
            unsafe fn read_unchecked(column: &Self::Column, row: usize) -> Self {
                // SAFETY: the caller's; `bind_values` has cut the column to the rows.
                $wrap(unsafe { *column.get_unchecked(row) })
            }
        }
    )*};
}

plain! {
    i8, i8, Int8, Int8, identity;
    i16, i16, Int16, Int16, identity;
    i32, i32, Int32, Int32, identity;
    i64, i64, Int64, Int64, identity;
    u8, u8, Uint8, Uint8, identity;
    u16, u16, Uint16, Uint16, identity;
    u32, u32, Uint32, Uint32, identity;
    u64, u64, Uint64, Uint64, identity;
    f32, f32, Float32, Float32, identity;
    f64, f64, Float64, Float64, identity;
    Date, i32, Date, Date, Date;
    Timestamp, i64, Timestamp, Timestamp, Timestamp;
    TimestampUtc, i64, TimestampUtc, Timestamp, TimestampUtc;
}

/// A column of `bool`.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a>(&'a [u8]);

impl ColumnValue for bool {
    fn column_type() -> ColumnType {
        ColumnType::Boolean
    }
}

impl Sealed for bool {}

impl<'a> ReadValue<'a> for bool {
    type Column = Bits<'a>;

    fn bind_values(values: &'a Values, extent: Extent) -> Result<Bits<'a>, Mismatch> {
        match values {
            Values::Boolean(bitmap) => sized(bitmap, bits::bytes_for(extent.rows)).map(Bits),
            _ => Err(Mismatch::Type),
        }
    }

    #[inline]
    fn read(column: &Bits<'a>, row: usize) -> Self {
        bits::get(column.0, row)
    }
}

/// A column of decimals: two words a row, the lower half first.
#[derive(Clone, Copy, Debug)]
pub struct Decimals<'a>(&'a [u64]);

impl<const P: u8, const S: u8> ColumnValue for Decimal<P, S> {
    fn column_type() -> ColumnType {
        const { assert!(P >= 1 && P <= 38 && S <= P, "a decimal has 1 to 38 digits, not more of them behind the point") };
        ColumnType::Decimal(DecimalType { precision: P, scale: S })
    }
}

impl<const P: u8, const S: u8> Sealed for Decimal<P, S> {}

impl<'a, const P: u8, const S: u8> ReadValue<'a> for Decimal<P, S> {
    type Column = Decimals<'a>;

    fn bind_values(values: &'a Values, extent: Extent) -> Result<Decimals<'a>, Mismatch> {
        match values {
            Values::Decimal(words) => sized(words, extent.rows * 2).map(Decimals),
            _ => Err(Mismatch::Type),
        }
    }

    #[inline]
    fn read(column: &Decimals<'a>, row: usize) -> Self {
        let (low, high) = (column.0[row * 2], column.0[row * 2 + 1]);
        Self((u128::from(high) << 64 | u128::from(low)).cast_signed())
    }
}

macro_rules! variable {
    ($($value:ty, $column:ident, $column_type:ident;)*) => {$(
        impl ColumnValue for &$value {
            fn column_type() -> ColumnType {
                ColumnType::$column_type
            }
        }

        impl Sealed for &$value {}

        impl<'a> ReadValue<'a> for &'a $value {
            type Column = $column<'a>;

            #[inline]
            fn bind_values(values: &'a Values, extent: Extent) -> Result<$column<'a>, Mismatch> {
                match values {
                    Values::$column_type(values) => $column::bind(values, extent),
                    _ => Err(Mismatch::Type),
                }
            }

            #[inline]
            fn read(column: &$column<'a>, row: usize) -> Self {
                column.get(row)
            }

            #[inline]
            unsafe fn read_unchecked(column: &$column<'a>, row: usize) -> Self {
                // SAFETY: the caller's.
                unsafe { column.get_unchecked(row) }
            }
        }
    )*};
}

variable! {
    str, Texts, Text;
    [u8], Vars, Binary;
}

/// A column whose rows may lack a value.
#[derive(Clone, Copy, Debug)]
pub struct Nullable<'a, C> {
    validity: Option<&'a [u8]>,
    values: C,
}

impl<T: ColumnValue> ColumnValue for Option<T> {
    const NULLABLE: bool = true;

    fn column_type() -> ColumnType {
        T::column_type()
    }
}

impl<T: Sealed> Sealed for Option<T> {}

impl<'a, T: ReadValue<'a>> ReadValue<'a> for Option<T> {
    type Column = Nullable<'a, T::Column>;

    fn bind_values(values: &'a Values, extent: Extent) -> Result<Self::Column, Mismatch> {
        Ok(Nullable { validity: None, values: T::bind_values(values, extent)? })
    }

    #[inline]
    fn bind(column: &'a Column, extent: Extent) -> Result<Self::Column, Mismatch> {
        Ok(Nullable { validity: validity(column, extent.rows)?, values: T::bind_values(&column.values, extent)? })
    }

    #[inline]
    fn read(column: &Self::Column, row: usize) -> Self {
        match column.validity {
            Some(bitmap) if !bits::get(bitmap, row) => None,
            _ => Some(T::read(&column.values, row)),
        }
    }

    #[inline]
    unsafe fn read_unchecked(column: &Self::Column, row: usize) -> Self {
        match column.validity {
            Some(bitmap) if !bits::get(bitmap, row) => None,
            // SAFETY: the caller's.
            _ => Some(unsafe { T::read_unchecked(&column.values, row) }),
        }
    }
}
