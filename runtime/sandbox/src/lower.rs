//! Columns into the guest: slices of Arrow buffers, borrowed where they can be; re-based where a slice begins within a byte or a text.
//!
//! Nothing of rows outside the slice reaches the guest: bits behind the last row are clear, offsets begin at 0.

use crate::wire::{Column, Values, VarValues};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, BinaryArray, StringArray};
use arrow_buffer::BooleanBuffer;
use std::borrow::Cow;
use std::ops::Range;
use stygian_core::ColumnType;

/// One column of a slice, ready to be lent to [`Column`].
pub(crate) struct Lowered<'a> {
    validity: Option<Cow<'a, [u8]>>,
    values: LoweredValues<'a>,
}

enum LoweredValues<'a> {
    Plain(Values<'a>),
    Bits(Cow<'a, [u8]>),
    Var { text: bool, offsets: Cow<'a, [i32]>, bytes: &'a [u8] },
}

impl<'a> Lowered<'a> {
    /// The rows of a column; `None` if the array is not of the type's one physical type.
    pub(crate) fn new(column_type: ColumnType, array: &'a dyn Array, rows: &Range<usize>) -> Option<Self> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let validity = nulls.map(|nulls| bits(nulls.inner(), rows));
        Some(Self { validity, values: values(column_type, array, rows)? })
    }

    /// As the contract has it.
    pub(crate) fn column(&self) -> Column<'_> {
        let values = match &self.values {
            LoweredValues::Plain(values) => *values,
            LoweredValues::Bits(bits) => Values::Boolean(bits),
            LoweredValues::Var { text: true, offsets, bytes } => Values::Text(VarValues { offsets, bytes }),
            LoweredValues::Var { text: false, offsets, bytes } => Values::Binary(VarValues { offsets, bytes }),
        };
        Column { validity: self.validity.as_deref(), values }
    }
}

fn values<'a>(column_type: ColumnType, array: &'a dyn Array, rows: &Range<usize>) -> Option<LoweredValues<'a>> {
    Some(LoweredValues::Plain(match column_type {
        ColumnType::Bool => return Some(LoweredValues::Bits(bits(array.as_boolean_opt()?.values(), rows))),
        ColumnType::Text => return var(true, array.as_string_opt::<i32>()?, rows),
        ColumnType::Binary => return var(false, array.as_binary_opt::<i32>()?, rows),
        ColumnType::Int8 => Values::Int8(plain::<Int8Type>(array, rows)?),
        ColumnType::Int16 => Values::Int16(plain::<Int16Type>(array, rows)?),
        ColumnType::Int32 => Values::Int32(plain::<Int32Type>(array, rows)?),
        ColumnType::Int64 => Values::Int64(plain::<Int64Type>(array, rows)?),
        ColumnType::UInt8 => Values::UInt8(plain::<UInt8Type>(array, rows)?),
        ColumnType::UInt16 => Values::UInt16(plain::<UInt16Type>(array, rows)?),
        ColumnType::UInt32 => Values::UInt32(plain::<UInt32Type>(array, rows)?),
        ColumnType::UInt64 => Values::UInt64(plain::<UInt64Type>(array, rows)?),
        ColumnType::Float32 => Values::Float32(plain::<Float32Type>(array, rows)?),
        ColumnType::Float64 => Values::Float64(plain::<Float64Type>(array, rows)?),
        ColumnType::Date => Values::Date(plain::<Date32Type>(array, rows)?),
        ColumnType::Timestamp | ColumnType::TimestampUtc => Values::Timestamp(plain::<TimestampMicrosecondType>(array, rows)?),
        ColumnType::Decimal { .. } => Values::Decimal(halves(array, rows)?),
    }))
}

fn plain<'a, T: ArrowPrimitiveType>(array: &'a dyn Array, rows: &Range<usize>) -> Option<&'a [T::Native]> {
    array.as_primitive_opt::<T>()?.values().get(rows.clone())
}

/// Decimals as their lower and upper halves, which is how a little-endian machine stores them.
fn halves<'a>(array: &'a dyn Array, rows: &Range<usize>) -> Option<&'a [u64]> {
    let array = array.as_primitive_opt::<Decimal128Type>()?;
    array.values().inner().typed_data::<u64>().get(rows.start * 2..rows.end * 2)
}

/// Strings or bytes: both have 32-bit offsets.
trait VarArray {
    fn parts(&self) -> (&[i32], &[u8]);
}

impl VarArray for StringArray {
    fn parts(&self) -> (&[i32], &[u8]) {
        (self.value_offsets(), self.value_data())
    }
}

impl VarArray for BinaryArray {
    fn parts(&self) -> (&[i32], &[u8]) {
        (self.value_offsets(), self.value_data())
    }
}

fn var<'a>(text: bool, array: &'a impl VarArray, rows: &Range<usize>) -> Option<LoweredValues<'a>> {
    let (offsets, bytes) = array.parts();
    let offsets = offsets.get(rows.start..=rows.end)?;
    let (first, last) = (*offsets.first()?, *offsets.last()?);
    let bytes = bytes.get(usize::try_from(first).ok()?..usize::try_from(last).ok()?)?;
    let offsets = if first == 0 { Cow::Borrowed(offsets) } else { offsets.iter().map(|offset| offset - first).collect() };
    Some(LoweredValues::Var { text, offsets, bytes })
}

/// A part of a bitmap that begins at bit 0, the bits behind its end clear.
fn bits<'a>(bits: &'a BooleanBuffer, rows: &Range<usize>) -> Cow<'a, [u8]> {
    let (start, len) = (bits.offset() + rows.start, rows.len());
    if start.is_multiple_of(8)
        && len.is_multiple_of(8)
        && let Some(whole) = bits.values().get(start / 8..(start + len) / 8)
    {
        return Cow::Borrowed(whole);
    }
    let mut bytes: Vec<u8> = bits.slice(rows.start, len).bit_chunks().iter_padded().flat_map(u64::to_le_bytes).collect();
    bytes.truncate(len.div_ceil(8));
    Cow::Owned(bytes)
}

/// How many rows from `start` on fit a call: at most `most_rows`, and their columns at most `most_bytes`; at least one.
pub(crate) fn slice_len(columns: &[(ColumnType, &dyn Array)], start: usize, rows: usize, most_rows: usize, most_bytes: usize) -> usize {
    let left = most_rows.min(rows - start).max(1);
    let fits = |len: usize| columns.iter().map(|(kind, array)| bytes_of(*kind, *array, start, len)).sum::<usize>() <= most_bytes;
    if fits(left) {
        return left;
    }
    // The largest length that fits, by halving: `fits` only ever turns from true to false as the length grows.
    let (mut good, mut bad) = (1, left);
    while bad - good > 1 {
        let middle = usize::midpoint(good, bad);
        if fits(middle) { good = middle } else { bad = middle }
    }
    good
}

fn bytes_of(column_type: ColumnType, array: &dyn Array, start: usize, len: usize) -> usize {
    let var = |offsets: &[i32]| {
        let at = |row: usize| offsets.get(row).map_or(0, |offset| usize::try_from(*offset).unwrap_or(0));
        4 * len + at(start + len).saturating_sub(at(start))
    };
    match column_type {
        ColumnType::Text => array.as_string_opt::<i32>().map_or(0, |a| var(a.value_offsets())),
        ColumnType::Binary => array.as_binary_opt::<i32>().map_or(0, |a| var(a.value_offsets())),
        ColumnType::Bool => len.div_ceil(8),
        fixed => len * fixed.arrow().primitive_width().unwrap_or(8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{BooleanArray, Int64Array};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_are_those_of_the_slice(all in proptest::collection::vec(any::<bool>(), 1..100), a in 0_usize..100, b in 0_usize..100, cut in 0_usize..20) {
            let cut = cut.min(all.len() - 1);
            let array = BooleanArray::from(all.clone()).slice(cut, all.len() - cut);
            let rows = a.min(b).min(array.len())..a.max(b).min(array.len());
            let bytes = bits(array.values(), &rows);
            prop_assert_eq!(bytes.len(), rows.len().div_ceil(8));
            for bit in 0..bytes.len() * 8 {
                let expected = bit < rows.len() && all[cut + rows.start + bit];
                prop_assert_eq!(bytes[bit / 8] >> (bit % 8) & 1 == 1, expected);
            }
        }

        #[test]
        fn slices_are_the_largest_that_fit(lengths in proptest::collection::vec(0_usize..50, 1..60), start in 0_usize..60, cap in 0_usize..600, most in 1_usize..40) {
            let start = start.min(lengths.len() - 1);
            let text = StringArray::from_iter_values(lengths.iter().map(|len| "x".repeat(*len)));
            let number = Int64Array::from_iter_values(lengths.iter().map(|_| 0));
            let columns: [(ColumnType, &dyn Array); 2] = [(ColumnType::Text, &text), (ColumnType::Int64, &number)];
            let slow = (1..=most.min(lengths.len() - start)).rev().find(|len| lengths[start..start + len].iter().map(|l| l + 12).sum::<usize>() <= cap);
            prop_assert_eq!(slice_len(&columns, start, lengths.len(), most, cap), slow.unwrap_or(1));
        }
    }
}
