//! Keys as bytes.
//!
//! The encoding is stored, so it is fixed: a bitmap of the columns that are null (8 a byte, the first in the lowest bit), then the values of
//! the others from left to right. Numbers, dates and timestamps are little-endian in their own width, decimals 16 bytes, booleans one byte;
//! floats are normalised first (-0.0 is 0.0, every NaN is one NaN), as key groups take them. Text and binary have a little-endian 32-bit
//! length before them, but for the last column, which reaches to the end. Equal keys have equal bytes and the other way round.

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder, Int16Builder,
    Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder, UInt8Builder, UInt16Builder, UInt32Builder, UInt64Builder,
};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, types};
use arrow_schema::DataType;
use std::sync::Arc;
use stygian_core::{ColumnType, KeyGroup, KeyHashError, KeyHasher, MaxParallelism};

/// What is no key, or no key of these columns.
#[derive(Debug, thiserror::Error)]
pub enum KeyCodecError {
    /// A column that was planned with another type.
    #[error("key column {column} is {found}, not {planned}")]
    Type {
        /// Its place in the key.
        column: usize,
        /// What it is.
        found: DataType,
        /// What it should be.
        planned: ColumnType,
    },
    /// More bytes than 32 bits count.
    #[error("the keys of {rows} rows take {bytes} bytes: at most 4 GiB a batch")]
    TooLarge {
        /// Rows of the batch.
        rows: usize,
        /// Bytes of their keys.
        bytes: u64,
    },
    /// A column that cannot be hashed.
    #[error("the key could not be hashed")]
    Hash(#[from] KeyHashError),
    /// Stored bytes that are no key of these columns.
    #[error("{} bytes are no key of {columns} columns", .key.len())]
    Malformed {
        /// The bytes.
        key: Vec<u8>,
        /// The columns they should hold.
        columns: usize,
    },
}

/// Turns key columns into bytes and back.
#[derive(Debug)]
pub struct KeyCodec {
    columns: Vec<ColumnType>,
    groups: MaxParallelism,
    hasher: KeyHasher,
    lengths: Vec<u32>,
}

/// The keys of a batch's rows.
#[derive(Debug, Default)]
pub struct KeyBatch {
    pub(crate) columns: Vec<ArrayRef>,
    /// Every row's key as bytes, where that is not the one column's own bytes.
    pub(crate) encoded: Option<Encoded>,
}

#[derive(Debug, Default)]
pub(crate) struct Encoded {
    /// Where each row's key begins, and the end of the last.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Encoded {
    pub(crate) fn key(&self, row: usize) -> &[u8] {
        let range = self.ends.get(row..).and_then(|pair| pair.first_chunk::<2>());
        range.and_then(|[start, end]| self.bytes.get(*start as usize..*end as usize)).unwrap_or_default()
    }
}

impl KeyCodec {
    /// For key columns of these types.
    pub fn new(columns: Vec<ColumnType>, groups: MaxParallelism) -> Self {
        Self { columns, groups, hasher: KeyHasher::default(), lengths: Vec::new() }
    }

    /// The types of the key columns.
    pub fn columns(&self) -> &[ColumnType] {
        &self.columns
    }

    /// How many key groups there are.
    pub fn groups(&self) -> MaxParallelism {
        self.groups
    }

    /// Takes the keys of `rows` rows of these columns.
    ///
    /// # Errors
    /// When a column is not of the type it was planned with, or the keys are too large.
    pub fn encode(&mut self, columns: &[ArrayRef], rows: usize, into: &mut KeyBatch) -> Result<(), KeyCodecError> {
        for (column, (array, planned)) in columns.iter().zip(&self.columns).enumerate() {
            if ColumnType::of(array.data_type()) != Some(*planned) {
                return Err(KeyCodecError::Type { column, found: array.data_type().clone(), planned: *planned });
            }
        }
        into.columns.clear();
        into.columns.extend_from_slice(columns);
        let own_bytes =
            matches!((self.columns.as_slice(), columns), ([ColumnType::Text | ColumnType::Binary], [array]) if array.null_count() == 0);
        if own_bytes {
            into.encoded = None;
            return Ok(());
        }
        self.encode_rows(columns, rows, into.encoded.get_or_insert_default())
    }

    /// The group of each key of these columns.
    pub(crate) fn groups_of(&mut self, columns: &[ArrayRef], keys: usize, into: &mut Vec<KeyGroup>) -> Result<(), KeyCodecError> {
        let hashes = self.hasher.hash(columns, keys)?;
        into.extend(hashes.iter().map(|hash| self.groups.group_of(*hash)));
        Ok(())
    }

    pub(crate) fn encode_rows(&mut self, columns: &[ArrayRef], rows: usize, into: &mut Encoded) -> Result<(), KeyCodecError> {
        let nulls = self.columns.len().div_ceil(8);
        let lengths = &mut self.lengths;
        lengths.clear();
        lengths.resize(rows, u32::try_from(nulls).unwrap_or(u32::MAX));
        for (at, array) in columns.iter().enumerate() {
            each_value(array, at + 1 == columns.len(), |row, value| {
                lengths[row] = lengths[row].saturating_add(value.map_or(0, |parts| u32::try_from(parts.len()).unwrap_or(u32::MAX)));
            });
        }
        let bytes = lengths.iter().map(|length| u64::from(*length)).sum();
        if bytes > u64::from(u32::MAX) {
            return Err(KeyCodecError::TooLarge { rows, bytes });
        }
        // From lengths to the place where each key is written next.
        into.ends.clear();
        into.ends.push(0);
        let mut end = 0_u32;
        for length in lengths.iter_mut() {
            end += *length;
            *length = end - *length;
            into.ends.push(end);
        }
        into.bytes.clear();
        into.bytes.resize(end as usize, 0);
        let (next, bytes) = (lengths, &mut into.bytes);
        let bitmap = next.clone();
        next.iter_mut().for_each(|next| *next += u32::try_from(nulls).unwrap_or(u32::MAX));
        for (at, array) in columns.iter().enumerate() {
            each_value(array, at + 1 == columns.len(), |row, value| match value {
                None => bytes[bitmap[row] as usize + at / 8] |= 1 << (at % 8),
                Some(parts) => next[row] += parts.write(&mut bytes[next[row] as usize..]),
            });
        }
        Ok(())
    }

    /// The key columns of encoded keys, one row a key.
    ///
    /// # Errors
    /// When bytes are no key of these columns.
    pub fn decode<'k>(&self, keys: impl IntoIterator<Item = &'k [u8]>) -> Result<Vec<ArrayRef>, KeyCodecError> {
        let mut builders: Vec<Builder> = self.columns.iter().map(|column| Builder::new(*column)).collect();
        for key in keys {
            let malformed = || KeyCodecError::Malformed { key: key.to_vec(), columns: self.columns.len() };
            let (nulls, mut rest) = key.split_at_checked(self.columns.len().div_ceil(8)).ok_or_else(malformed)?;
            for (at, builder) in builders.iter_mut().enumerate() {
                let null = nulls.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
                rest = if null { builder.null(rest) } else { builder.value(rest, at + 1 == self.columns.len()).ok_or_else(malformed)? };
            }
        }
        Ok(builders.into_iter().map(Builder::finish).collect())
    }
}

/// A value as it is written: a length, if it has one, and its bytes.
struct Parts<'a> {
    length: Option<[u8; 4]>,
    bytes: &'a [u8],
}

impl Parts<'_> {
    fn len(&self) -> usize {
        self.bytes.len() + self.length.map_or(0, |length| length.len())
    }

    /// Writes to the beginning of `to`, which has room; returns the length.
    #[allow(clippy::cast_possible_truncation)] // the length was counted in 32 bits before
    fn write(&self, to: &mut [u8]) -> u32 {
        let length = self.length.as_ref().map_or(&[][..], |length| &length[..]);
        to[..length.len()].copy_from_slice(length);
        to[length.len()..self.len()].copy_from_slice(self.bytes);
        self.len() as u32
    }
}

/// Visits the value of every row of a column; `None` for nulls.
fn each_value(array: &ArrayRef, last: bool, mut visit: impl FnMut(usize, Option<Parts<'_>>)) {
    macro_rules! each {
        ($values:expr, $bytes:expr) => {{
            let values = $values;
            for row in 0..values.len() {
                let bytes = values.is_valid(row).then(|| $bytes(values.value(row)));
                visit(row, bytes.as_ref().map(|bytes| Parts { length: None, bytes: bytes.as_ref() }));
            }
        }};
    }
    macro_rules! var {
        ($values:expr) => {{
            let values = $values;
            for row in 0..values.len() {
                let bytes: Option<&[u8]> = values.is_valid(row).then(|| values.value(row).as_ref());
                // A column's bytes are counted by 32-bit offsets.
                let length = |bytes: &[u8]| (!last).then(|| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
                visit(row, bytes.map(|bytes| Parts { length: length(bytes), bytes }));
            }
        }};
    }
    macro_rules! number {
        ($type:ty) => {
            each!(array.as_primitive::<$type>(), |value: <$type as types::ArrowPrimitiveType>::Native| value.to_le_bytes())
        };
    }
    macro_rules! float {
        ($type:ty, $native:ty) => {
            each!(array.as_primitive::<$type>(), |value: $native| (if value.is_nan() { <$native>::NAN } else { value + 0.0 }).to_le_bytes())
        };
    }
    // The type was compared with the planned one before.
    match ColumnType::of(array.data_type()) {
        Some(ColumnType::Bool) => each!(array.as_boolean(), |value| [u8::from(value)]),
        Some(ColumnType::Int8) => number!(types::Int8Type),
        Some(ColumnType::Int16) => number!(types::Int16Type),
        Some(ColumnType::Int32) => number!(types::Int32Type),
        Some(ColumnType::Int64) => number!(types::Int64Type),
        Some(ColumnType::UInt8) => number!(types::UInt8Type),
        Some(ColumnType::UInt16) => number!(types::UInt16Type),
        Some(ColumnType::UInt32) => number!(types::UInt32Type),
        Some(ColumnType::UInt64) => number!(types::UInt64Type),
        Some(ColumnType::Float32) => float!(types::Float32Type, f32),
        Some(ColumnType::Float64) => float!(types::Float64Type, f64),
        Some(ColumnType::Date) => number!(types::Date32Type),
        Some(ColumnType::Timestamp | ColumnType::TimestampUtc) => number!(types::TimestampMicrosecondType),
        Some(ColumnType::Decimal { .. }) => number!(types::Decimal128Type),
        Some(ColumnType::Text) => var!(array.as_string::<i32>()),
        Some(ColumnType::Binary) => var!(array.as_binary::<i32>()),
        None => {}
    }
}

/// A key column that is read back.
enum Builder {
    Bool(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt8(UInt8Builder),
    UInt16(UInt16Builder),
    UInt32(UInt32Builder),
    UInt64(UInt64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder),
    Text(StringBuilder),
    Binary(BinaryBuilder),
}

macro_rules! builders {
    ($self:expr, $builder:ident => $do:expr) => {
        match $self {
            Builder::Bool($builder) => $do,
            Builder::Int8($builder) => $do,
            Builder::Int16($builder) => $do,
            Builder::Int32($builder) => $do,
            Builder::Int64($builder) => $do,
            Builder::UInt8($builder) => $do,
            Builder::UInt16($builder) => $do,
            Builder::UInt32($builder) => $do,
            Builder::UInt64($builder) => $do,
            Builder::Float32($builder) => $do,
            Builder::Float64($builder) => $do,
            Builder::Date($builder) => $do,
            Builder::Timestamp($builder) => $do,
            Builder::Decimal($builder) => $do,
            Builder::Text($builder) => $do,
            Builder::Binary($builder) => $do,
        }
    };
}

impl Builder {
    fn new(column: ColumnType) -> Self {
        match column {
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnType::Int8 => Self::Int8(Int8Builder::new()),
            ColumnType::Int16 => Self::Int16(Int16Builder::new()),
            ColumnType::Int32 => Self::Int32(Int32Builder::new()),
            ColumnType::Int64 => Self::Int64(Int64Builder::new()),
            ColumnType::UInt8 => Self::UInt8(UInt8Builder::new()),
            ColumnType::UInt16 => Self::UInt16(UInt16Builder::new()),
            ColumnType::UInt32 => Self::UInt32(UInt32Builder::new()),
            ColumnType::UInt64 => Self::UInt64(UInt64Builder::new()),
            ColumnType::Float32 => Self::Float32(Float32Builder::new()),
            ColumnType::Float64 => Self::Float64(Float64Builder::new()),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Timestamp | ColumnType::TimestampUtc => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(column.arrow()))
            }
            ColumnType::Decimal { .. } => Self::Decimal(Decimal128Builder::new().with_data_type(column.arrow())),
            ColumnType::Text => Self::Text(StringBuilder::new()),
            ColumnType::Binary => Self::Binary(BinaryBuilder::new()),
        }
    }

    fn null<'k>(&mut self, rest: &'k [u8]) -> &'k [u8] {
        builders!(self, builder => builder.append_null());
        rest
    }

    /// Takes a value from the beginning; returns what follows, `None` where there is no value.
    fn value<'k>(&mut self, rest: &'k [u8], last: bool) -> Option<&'k [u8]> {
        macro_rules! number {
            ($builder:expr, $native:ty) => {{
                let (value, rest) = rest.split_first_chunk()?;
                $builder.append_value(<$native>::from_le_bytes(*value));
                Some(rest)
            }};
        }
        match self {
            Self::Bool(builder) => {
                let (value, rest) = rest.split_first()?;
                builder.append_value(*value != 0);
                Some(rest)
            }
            Self::Int8(builder) => number!(builder, i8),
            Self::Int16(builder) => number!(builder, i16),
            Self::Int32(builder) => number!(builder, i32),
            Self::Int64(builder) => number!(builder, i64),
            Self::UInt8(builder) => number!(builder, u8),
            Self::UInt16(builder) => number!(builder, u16),
            Self::UInt32(builder) => number!(builder, u32),
            Self::UInt64(builder) => number!(builder, u64),
            Self::Float32(builder) => number!(builder, f32),
            Self::Float64(builder) => number!(builder, f64),
            Self::Date(builder) => number!(builder, i32),
            Self::Timestamp(builder) => number!(builder, i64),
            Self::Decimal(builder) => number!(builder, i128),
            Self::Text(builder) => {
                let (value, rest) = var(rest, last)?;
                builder.append_value(std::str::from_utf8(value).ok()?);
                Some(rest)
            }
            Self::Binary(builder) => {
                let (value, rest) = var(rest, last)?;
                builder.append_value(value);
                Some(rest)
            }
        }
    }

    fn finish(mut self) -> ArrayRef {
        builders!(&mut self, builder => Arc::new(builder.finish()))
    }
}

fn var(rest: &[u8], last: bool) -> Option<(&[u8], &[u8])> {
    if last {
        return Some((rest, &[]));
    }
    let (length, rest) = rest.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{BooleanArray, Decimal128Array, Float64Array, Int32Array, StringArray, TimestampMicrosecondArray};
    use proptest::prelude::*;

    fn codec(columns: &[ArrayRef]) -> KeyCodec {
        let types = columns.iter().map(|column| ColumnType::of(column.data_type()).expect("a column type")).collect();
        KeyCodec::new(types, MaxParallelism::DEFAULT)
    }

    /// Every row's key as bytes, however it would be found.
    fn encode(columns: &[ArrayRef]) -> Encoded {
        let mut keys = Encoded::default();
        codec(columns).encode_rows(columns, columns[0].len(), &mut keys).expect("keys of 32 bits");
        keys
    }

    type Row = (Option<String>, Option<i32>, Option<f64>, Option<bool>, Option<i128>, Option<Vec<u8>>);

    fn columns(rows: &[Row]) -> Vec<ArrayRef> {
        let decimals = rows.iter().map(|row| row.4.map(|n| n % 1000)).collect::<Decimal128Array>();
        vec![
            Arc::new(rows.iter().map(|row| row.0.clone()).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| row.1).collect::<Int32Array>()),
            Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| row.3).collect::<BooleanArray>()),
            Arc::new(decimals.with_precision_and_scale(10, 2).expect("in range")),
            Arc::new(rows.iter().map(|row| row.1.map(i64::from)).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
            Arc::new(rows.iter().map(|row| row.5.clone()).collect::<arrow_array::BinaryArray>()),
        ]
    }

    proptest! {
        /// Against Arrow: what is decoded is what was encoded, and equal bytes mean equal rows.
        #[test]
        fn keys_come_back_as_they_were(rows in proptest::collection::vec(any::<Row>(), 1..20), first in 0_usize..7) {
            let columns = columns(&rows);
            let columns: Vec<ArrayRef> = columns.into_iter().skip(first).collect();
            // Any NaN is one NaN and any zero one zero: compare what is in its normal form already.
            prop_assume!(rows.iter().all(|row| row.2.is_none_or(|value| !value.is_nan() && (value != 0.0 || value.is_sign_positive()))));
            let keys = encode(&columns);
            let decoded = codec(&columns).decode((0..rows.len()).map(|row| keys.key(row))).expect("just encoded");
            prop_assert_eq!(&decoded, &columns);
            for a in 0..rows.len() {
                for b in 0..rows.len() {
                    let equal = columns.iter().all(|column| column.slice(a, 1) == column.slice(b, 1));
                    prop_assert_eq!(keys.key(a) == keys.key(b), equal);
                }
            }
        }

        #[test]
        fn bytes_of_strangers_are_an_error_or_a_key(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let codec = codec(&columns(&[]));
            if let Ok(decoded) = codec.decode([bytes.as_slice()]) {
                prop_assert!(decoded.iter().all(|column| column.len() == 1));
            }
        }
    }

    #[test]
    fn the_encoding_is_frozen() {
        let keys = encode(&columns(&[(Some("ab".into()), Some(-2), None, Some(true), Some(7), Some(vec![9]))]));
        let mut expected = vec![0b100, 2, 0, 0, 0, b'a', b'b', 0xFE, 0xFF, 0xFF, 0xFF, 1];
        expected.extend(7_i128.to_le_bytes());
        expected.extend((-2_i64).to_le_bytes());
        expected.push(9);
        assert_eq!(keys.key(0), expected);
    }

    #[test]
    fn floats_that_are_equal_have_equal_bytes() {
        let keys = encode(&[Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN])) as ArrayRef]);
        assert_eq!((keys.key(0), keys.key(2)), (keys.key(1), keys.key(3)));
    }

    #[test]
    fn a_column_of_another_type_is_an_error() {
        let mut codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::DEFAULT);
        let number: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let error = codec.encode(&[number], 1, &mut KeyBatch::default()).expect_err("not text");
        assert_eq!(error.to_string(), "key column 0 is Int32, not text");
    }
}
