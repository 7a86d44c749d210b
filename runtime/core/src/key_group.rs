//! Keys, key groups and who owns them.
//!
//! The key of a row is hashed to 64 bits and taken modulo the job's maximum parallelism: its *key group*, the unit that state,
//! checkpoints and rescaling speak of. A subtask owns a contiguous range of groups. The hash must never change, or stored state
//! would belong to other groups than it is filed under; a golden test freezes it.
//!
//! The hash of a row folds its key columns from left to right: `h = xxh3_64(value, seed = h)`, starting at 0. A value is hashed as
//! little-endian bytes of its logical type: integers, dates and timestamps widened to 64 bits (signed ones by sign), booleans as one
//! byte, floats as the bits of their 64-bit value with -0.0 taken as 0.0 and every NaN as one NaN, decimals as 128 bits, text and
//! binary as their bytes. A null is hashed as the one byte 0xFF under the seed's complement. Views, large offsets, dictionaries
//! and other physical forms are cast to the logical type first, so they cannot matter.

use crate::{ColumnType, Parallelism, SubtaskId};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{ArrowError, DataType};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many key groups a job has: the most subtasks it can ever be rescaled to. Fixed for the life of its state; 1 to 32,768.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MaxParallelism(u16);

impl MaxParallelism {
    /// 128 groups.
    pub const DEFAULT: Self = Self(128);
    /// The most groups a job can have.
    pub const LIMIT: u16 = 32_768;

    /// Checks the number; `None` outside 1 to [`MaxParallelism::LIMIT`].
    pub fn new(groups: u16) -> Option<Self> {
        (1..=Self::LIMIT).contains(&groups).then_some(Self(groups))
    }

    /// The number of key groups.
    pub fn get(self) -> u16 {
        self.0
    }

    /// The group of a key by its hash.
    #[inline]
    pub fn group_of(self, hash: u64) -> KeyGroup {
        let groups = u64::from(self.0);
        // A division takes longer than to hash a short key, and there are 128 groups mostly.
        let group = if groups.is_power_of_two() { hash & (groups - 1) } else { hash % groups };
        // The remainder is below a u16, so nothing is cut.
        #[allow(clippy::cast_possible_truncation)]
        KeyGroup(group as u16)
    }

    /// The subtask that owns a group.
    pub fn owner_of(self, group: KeyGroup, parallelism: Parallelism) -> SubtaskId {
        // At most LIMIT * Parallelism::LIMIT, and below `parallelism` after the division.
        #[allow(clippy::cast_possible_truncation)]
        SubtaskId((u32::from(group.0) * u32::from(parallelism.get()) / u32::from(self.0)) as u16)
    }

    /// The groups that a subtask owns; empty when there are more subtasks than groups and this one goes without.
    pub fn range_of(self, subtask: SubtaskId, parallelism: Parallelism) -> KeyGroupRange {
        let first_of = |index: u32| (index * u32::from(self.0)).div_ceil(u32::from(parallelism.get()));
        // Both ends are at most the number of groups.
        #[allow(clippy::cast_possible_truncation)]
        let at = |index: u32| first_of(index).min(u32::from(self.0)) as u16;
        KeyGroupRange(at(u32::from(subtask.0))..at(u32::from(subtask.0) + 1))
    }
}

/// One of a job's key groups, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyGroup(pub u16);

/// A contiguous range of key groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyGroupRange(pub Range<u16>);

impl KeyGroupRange {
    /// Whether the group is in it.
    pub fn contains(&self, group: KeyGroup) -> bool {
        self.0.contains(&group.0)
    }
}

/// A key that cannot be hashed.
#[derive(Debug, thiserror::Error)]
pub enum KeyHashError {
    /// Lists, structs and other types that have no column type.
    #[error("a column of type {0} cannot be a key")]
    Unsupported(DataType),
    /// A physical form that cannot be cast to its logical type.
    #[error("a key column could not be cast")]
    Cast(#[from] ArrowError),
}

/// Hashes key columns. Holds no state between calls but its buffer.
#[derive(Debug, Default)]
pub struct KeyHasher {
    hashes: Vec<u64>,
}

const NULL: [u8; 1] = [0xFF];

impl KeyHasher {
    /// Whether a column of this type can be a key.
    pub fn supports(data_type: &DataType) -> bool {
        logical(data_type).is_some()
    }

    /// One hash a row of `columns` (equal lengths; `rows` of them).
    ///
    /// # Errors
    /// When a column is of a type that cannot be a key, see [`KeyHasher::supports`].
    pub fn hash(&mut self, columns: &[ArrayRef], rows: usize) -> Result<&[u64], KeyHashError> {
        self.hashes.clear();
        self.hashes.resize(rows, 0);
        for column in columns {
            self.fold(column)?;
        }
        Ok(&self.hashes)
    }

    fn fold(&mut self, column: &ArrayRef) -> Result<(), KeyHashError> {
        let target = logical(column.data_type()).ok_or_else(|| KeyHashError::Unsupported(column.data_type().clone()))?;
        let cast;
        let column = if *column.data_type() == target.arrow() || target == ColumnType::TimestampUtc {
            column
        } else {
            cast = arrow_cast::cast(column, &target.arrow())?;
            &cast
        };
        let hashes = self.hashes.as_mut_slice();
        macro_rules! widened {
            ($arrow:ty, $wide:ty) => {{
                let values = column.as_primitive::<$arrow>();
                fold_values(hashes, values, |row| <$wide>::from(values.value(row)).to_le_bytes());
            }};
        }
        match target {
            ColumnType::Bool => {
                let values = column.as_boolean();
                fold_values(hashes, values, |row| [u8::from(values.value(row))]);
            }
            ColumnType::Int8 => widened!(Int8Type, i64),
            ColumnType::Int16 => widened!(Int16Type, i64),
            ColumnType::Int32 => widened!(Int32Type, i64),
            ColumnType::Int64 => widened!(Int64Type, i64),
            ColumnType::UInt8 => widened!(UInt8Type, u64),
            ColumnType::UInt16 => widened!(UInt16Type, u64),
            ColumnType::UInt32 => widened!(UInt32Type, u64),
            ColumnType::UInt64 => widened!(UInt64Type, u64),
            ColumnType::Date => widened!(Date32Type, i64),
            ColumnType::Timestamp | ColumnType::TimestampUtc => widened!(TimestampMicrosecondType, i64),
            ColumnType::Decimal { .. } => widened!(Decimal128Type, i128),
            ColumnType::Float32 => {
                let values = column.as_primitive::<Float32Type>();
                fold_values(hashes, values, |row| canonical(f64::from(values.value(row))));
            }
            ColumnType::Float64 => {
                let values = column.as_primitive::<Float64Type>();
                fold_values(hashes, values, |row| canonical(values.value(row)));
            }
            ColumnType::Text => {
                let values = column.as_string::<i32>();
                fold_values(hashes, values, |row| values.value(row).as_bytes());
            }
            ColumnType::Binary => {
                let values = column.as_binary::<i32>();
                fold_values(hashes, values, |row| values.value(row));
            }
        }
        Ok(())
    }
}

fn fold_values<B: AsRef<[u8]>>(hashes: &mut [u64], column: &dyn Array, bytes: impl Fn(usize) -> B) {
    match column.nulls() {
        None => hashes.iter_mut().enumerate().for_each(|(row, hash)| *hash = xxh3_64_with_seed(bytes(row).as_ref(), *hash)),
        Some(nulls) => hashes.iter_mut().enumerate().for_each(|(row, hash)| {
            *hash = if nulls.is_valid(row) { xxh3_64_with_seed(bytes(row).as_ref(), *hash) } else { xxh3_64_with_seed(&NULL, !*hash) };
        }),
    }
}

/// One pattern for what compares as equal: no negative zero, one NaN.
fn canonical(value: f64) -> [u8; 8] {
    let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
    value.to_bits().to_le_bytes()
}

/// The column type that a physical type is hashed as.
fn logical(data_type: &DataType) -> Option<ColumnType> {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => Some(ColumnType::Text),
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => Some(ColumnType::Binary),
        DataType::Date64 => Some(ColumnType::Date),
        DataType::Timestamp(_, None) => Some(ColumnType::Timestamp),
        DataType::Timestamp(_, Some(_)) => Some(ColumnType::TimestampUtc),
        DataType::Dictionary(_, values) => logical(values),
        other => ColumnType::of(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        BooleanArray, Float32Array, Float64Array, Int8Array, Int32Array, Int64Array, StringArray, TimestampMillisecondArray,
    };
    use proptest::prelude::*;
    use std::sync::Arc;

    fn hash(columns: &[ArrayRef]) -> Vec<u64> {
        KeyHasher::default().hash(columns, columns[0].len()).expect("supported").to_vec()
    }

    fn array(array: impl Array + 'static) -> ArrayRef {
        Arc::new(array)
    }

    #[test]
    fn hash_is_frozen() {
        let columns = [
            array(StringArray::from(vec![Some("user-1"), Some(""), None])),
            array(Int64Array::from(vec![Some(-1), None, Some(i64::MAX)])),
            array(Float64Array::from(vec![1.5, -0.0, f64::NAN])),
            array(BooleanArray::from(vec![true, false, true])),
        ];
        // Computed with the Python package `xxhash`, not with this code.
        assert_eq!(hash(&columns), [14_458_304_063_359_867_677, 16_701_196_393_512_921_096, 6_412_242_412_045_321_727]);
    }

    #[test]
    fn physical_form_does_not_matter() {
        let text = array(StringArray::from(vec!["x", "a", "b", "a"]));
        for form in [DataType::Utf8View, DataType::LargeUtf8, DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))] {
            let cast = arrow_cast::cast(&text, &form).expect("castable");
            assert_eq!(hash(&[cast.slice(1, 3)]), hash(&[text.slice(1, 3)]), "{form}");
        }
        let zoned = array(TimestampMillisecondArray::from(vec![1_500]).with_timezone("Europe/Berlin"));
        let micros = arrow_cast::cast(&zoned, &ColumnType::Timestamp.arrow());
        assert!(micros.is_ok());
        assert_eq!(hash(&[array(Int8Array::from(vec![-3]))]), hash(&[array(Int32Array::from(vec![-3]))]));
    }

    #[test]
    fn equal_floats_hash_alike() {
        let hashes = hash(&[array(Float32Array::from(vec![0.0, -0.0, f32::NAN, -f32::NAN]))]);
        assert_eq!((hashes[0], hashes[2]), (hashes[1], hashes[3]));
        assert_ne!(hashes[0], hashes[2]);
    }

    #[test]
    fn columns_are_not_confused() {
        let ab = hash(&[array(StringArray::from(vec!["ab"])), array(StringArray::from(vec!["c"]))]);
        let a = hash(&[array(StringArray::from(vec!["a"])), array(StringArray::from(vec!["bc"]))]);
        assert_ne!(ab, a);
    }

    proptest! {
        #[test]
        fn every_group_has_exactly_one_owner(groups in 1_u16..=MaxParallelism::LIMIT, subtasks in 1_u16..=Parallelism::LIMIT) {
            let (max, parallelism) = (MaxParallelism::new(groups).expect("in range"), Parallelism::new(subtasks).expect("in range"));
            let mut next = 0;
            for subtask in parallelism.subtasks() {
                let range = max.range_of(subtask, parallelism);
                prop_assert_eq!(range.0.start, next);
                next = range.0.end;
                for group in [range.0.start, range.0.end.saturating_sub(1)].map(KeyGroup) {
                    prop_assert!(!range.contains(group) || max.owner_of(group, parallelism) == subtask);
                }
            }
            prop_assert_eq!(next, groups);
        }
    }
}
