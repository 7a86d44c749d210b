//! Reading: how a Rust type sees a column, without copying or allocating.
//!
//! `bind` checks type, lengths and nulls once a batch, so that `read` may index: the host checks what it passes, and this module
//! checks what indexing relies on. A row outside of the batch, or offsets that do not ascend, panic (a trap of this call only).

use crate::bits;
use crate::contract::{Column, ColumnType, DecimalType, Field, Values, VarValues};
use crate::types::{Date, Decimal, Timestamp, TimestampUtc};
use std::convert::identity;
use std::fmt;

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

/// A value that can be read from a column.
pub trait ReadValue<'a>: ColumnValue + Sized {
    /// A column that has been checked.
    type Column;

    /// Checks values for type and number of rows.
    fn bind_values(values: &'a Values, rows: usize) -> Result<Self::Column, Mismatch>;

    /// The value of a row. The row must be less than the number that was bound.
    fn read(column: &Self::Column, row: usize) -> Self;

    /// Checks a column, also for nulls.
    fn bind(column: &'a Column, rows: usize) -> Result<Self::Column, Mismatch> {
        match validity(column, rows)? {
            Some(bitmap) if !bits::all_set(bitmap, rows) => Err(Mismatch::Null),
            _ => Self::bind_values(&column.values, rows),
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
    /// Text that is not UTF-8.
    Utf8,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type => "has another type than was declared",
            Self::Length => "has fewer values than the batch has rows",
            Self::Null => "lacks a value though it is declared as not nullable; read it as an `Option`",
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

fn sized<T>(values: &[T], least: usize) -> Result<&[T], Mismatch> {
    if values.len() < least { Err(Mismatch::Length) } else { Ok(values) }
}

macro_rules! plain {
    ($($value:ty, $raw:ty, $column_type:ident, $values:ident, $wrap:expr;)*) => {$(
        impl ColumnValue for $value {
            fn column_type() -> ColumnType {
                ColumnType::$column_type
            }
        }

        impl<'a> ReadValue<'a> for $value {
            type Column = &'a [$raw];

            fn bind_values(values: &'a Values, rows: usize) -> Result<Self::Column, Mismatch> {
                match values {
                    Values::$values(values) => sized(values, rows),
                    _ => Err(Mismatch::Type),
                }
            }

            #[inline]
            fn read(column: &Self::Column, row: usize) -> Self {
                $wrap(column[row])
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

impl<'a> ReadValue<'a> for bool {
    type Column = Bits<'a>;

    fn bind_values(values: &'a Values, rows: usize) -> Result<Bits<'a>, Mismatch> {
        match values {
            Values::Boolean(bitmap) => sized(bitmap, bits::bytes_for(rows)).map(Bits),
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

impl<'a, const P: u8, const S: u8> ReadValue<'a> for Decimal<P, S> {
    type Column = Decimals<'a>;

    fn bind_values(values: &'a Values, rows: usize) -> Result<Decimals<'a>, Mismatch> {
        match values {
            Values::Decimal(words) => sized(words, rows * 2).map(Decimals),
            _ => Err(Mismatch::Type),
        }
    }

    #[inline]
    fn read(column: &Decimals<'a>, row: usize) -> Self {
        let (low, high) = (column.0[row * 2], column.0[row * 2 + 1]);
        Self((u128::from(high) << 64 | u128::from(low)).cast_signed())
    }
}

/// A column of bytes of variable length.
#[derive(Clone, Copy, Debug)]
pub struct Vars<'a> {
    offsets: &'a [i32],
    bytes: &'a [u8],
}

impl<'a> Vars<'a> {
    fn bind(values: &'a VarValues, rows: usize) -> Result<Self, Mismatch> {
        Ok(Self { offsets: sized(&values.offsets, rows + 1)?, bytes: &values.bytes })
    }

    #[inline]
    fn range(offsets: &[i32], row: usize) -> (usize, usize) {
        // The contract has no negative offset; one would be an index out of bounds.
        (offsets[row] as usize, offsets[row + 1] as usize)
    }
}

impl ColumnValue for &[u8] {
    fn column_type() -> ColumnType {
        ColumnType::Binary
    }
}

impl<'a> ReadValue<'a> for &'a [u8] {
    type Column = Vars<'a>;

    fn bind_values(values: &'a Values, rows: usize) -> Result<Vars<'a>, Mismatch> {
        match values {
            Values::Binary(values) => Vars::bind(values, rows),
            _ => Err(Mismatch::Type),
        }
    }

    #[inline]
    fn read(column: &Vars<'a>, row: usize) -> Self {
        let (start, end) = Vars::range(column.offsets, row);
        &column.bytes[start..end]
    }
}

/// A column of text, checked to be UTF-8 as a whole: one pass a batch instead of one a value.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    offsets: &'a [i32],
    text: &'a str,
    /// Where `text` begins in the column's bytes.
    start: usize,
}

impl ColumnValue for &str {
    fn column_type() -> ColumnType {
        ColumnType::Text
    }
}

impl<'a> ReadValue<'a> for &'a str {
    type Column = Texts<'a>;

    fn bind_values(values: &'a Values, rows: usize) -> Result<Texts<'a>, Mismatch> {
        let Values::Text(values) = values else { return Err(Mismatch::Type) };
        let Vars { offsets, bytes } = Vars::bind(values, rows)?;
        let (start, end) = (offsets[0] as usize, offsets[rows] as usize);
        let bytes = bytes.get(start..end).ok_or(Mismatch::Length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| Mismatch::Utf8)?;
        Ok(Texts { offsets, text, start })
    }

    #[inline]
    fn read(column: &Texts<'a>, row: usize) -> Self {
        let (start, end) = Vars::range(column.offsets, row);
        &column.text[start - column.start..end - column.start]
    }
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

impl<'a, T: ReadValue<'a>> ReadValue<'a> for Option<T> {
    type Column = Nullable<'a, T::Column>;

    fn bind_values(values: &'a Values, rows: usize) -> Result<Self::Column, Mismatch> {
        Ok(Nullable { validity: None, values: T::bind_values(values, rows)? })
    }

    fn bind(column: &'a Column, rows: usize) -> Result<Self::Column, Mismatch> {
        Ok(Nullable { validity: validity(column, rows)?, values: T::bind_values(&column.values, rows)? })
    }

    #[inline]
    fn read(column: &Self::Column, row: usize) -> Self {
        match column.validity {
            Some(bitmap) if !bits::get(bitmap, row) => None,
            _ => Some(T::read(&column.values, row)),
        }
    }
}
