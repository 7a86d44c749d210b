//! What fuzzers feed: bytes become a declared output and a batch that a guest might hand over for it, mostly right and then wrong in
//! places. No wasmtime is needed, so a fuzzer gets far.

use crate::BadOutput;
use crate::lift::Declared;
use crate::wire::{OutBatch, OutColumn, OutValues, OutVarValues};
use arrow_array::RecordBatch;
use stygian_core::{ColumnType, Field};

const TYPES: [ColumnType; 18] = ColumnType::EVERY;

/// Makes an output and a batch of the bytes and checks one against the other. Never panics, whatever the bytes are.
///
/// # Errors
/// When the batch is not what the output was declared as.
pub fn check_output(bytes: &[u8]) -> Result<RecordBatch, BadOutput> {
    let (fields, batch) = decode(bytes);
    Declared::new("fuzzed", &fields).check(batch)
}

/// A declared output and a batch for it.
pub(crate) fn decode(bytes: &[u8]) -> (Vec<Field>, OutBatch) {
    let mut source = Source(bytes);
    let (rows, count) = (usize::from(source.byte() % 40), source.byte() % 4);
    let (fields, columns): (Vec<_>, Vec<_>) = (0..count).map(|index| source.column(index, rows)).unzip();
    let columns = if source.byte() == 255 { Vec::new() } else { columns };
    (fields, OutBatch { rows: u32::try_from(rows).unwrap_or(0), columns })
}

/// Bytes as they come; zeros when they are used up.
pub(crate) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// Mostly the length that is due.
    pub(crate) fn length(&mut self, due: usize) -> usize {
        match self.byte() {
            254 => due + 1,
            255 => due.saturating_sub(1),
            _ => due,
        }
    }

    fn list<T>(&mut self, due: usize, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.length(due)).map(|_| item(self)).collect()
    }

    /// Perhaps a bitmap, mostly of the length that is due.
    pub(crate) fn bitmap(&mut self, rows: usize) -> Option<Vec<u8>> {
        self.byte().is_multiple_of(2).then(|| self.list(rows.div_ceil(8), Self::byte))
    }

    fn column(&mut self, index: u8, rows: usize) -> (Field, OutColumn) {
        let column_type = TYPES[usize::from(self.byte()) % TYPES.len()];
        let nullable = !self.byte().is_multiple_of(4);
        let field = Field { name: format!("c{index}"), column_type, nullable };
        let validity = self.bitmap(rows);
        let given = if self.byte() == 255 { TYPES[usize::from(self.byte()) % TYPES.len()] } else { column_type };
        (field, OutColumn { validity, values: self.values(given, rows) })
    }

    fn values(&mut self, column_type: ColumnType, rows: usize) -> OutValues {
        match column_type {
            ColumnType::Bool => OutValues::Boolean(self.list(rows.div_ceil(8), Self::byte)),
            ColumnType::Int8 => OutValues::Int8(self.list(rows, |s| i8::from_le_bytes(s.bytes()))),
            ColumnType::Int16 => OutValues::Int16(self.list(rows, |s| i16::from_le_bytes(s.bytes()))),
            ColumnType::Int32 => OutValues::Int32(self.list(rows, |s| i32::from_le_bytes(s.bytes()))),
            ColumnType::Int64 => OutValues::Int64(self.list(rows, |s| i64::from_le_bytes(s.bytes()))),
            ColumnType::UInt8 => OutValues::UInt8(self.list(rows, Self::byte)),
            ColumnType::UInt16 => OutValues::UInt16(self.list(rows, |s| u16::from_le_bytes(s.bytes()))),
            ColumnType::UInt32 => OutValues::UInt32(self.list(rows, |s| u32::from_le_bytes(s.bytes()))),
            ColumnType::UInt64 => OutValues::UInt64(self.list(rows, |s| u64::from_le_bytes(s.bytes()))),
            ColumnType::Float32 => OutValues::Float32(self.list(rows, |s| f32::from_le_bytes(s.bytes()))),
            ColumnType::Float64 => OutValues::Float64(self.list(rows, |s| f64::from_le_bytes(s.bytes()))),
            ColumnType::Text => OutValues::Text(self.var(rows)),
            ColumnType::Binary => OutValues::Binary(self.var(rows)),
            ColumnType::Date => OutValues::Date(self.list(rows, |s| i32::from_le_bytes(s.bytes()))),
            ColumnType::Timestamp | ColumnType::TimestampUtc => OutValues::Timestamp(self.list(rows, |s| i64::from_le_bytes(s.bytes()))),
            ColumnType::Decimal { .. } => OutValues::Decimal(self.list(rows * 2, Self::half)),
        }
    }

    /// Half of a decimal that is often small.
    fn half(&mut self) -> u64 {
        match self.byte() {
            0 => u64::from_le_bytes(self.bytes()),
            1 => u64::MAX,
            2..128 => 0,
            small => u64::from(small),
        }
    }

    /// Offsets that mostly ascend, and bytes that are mostly text.
    pub(crate) fn var(&mut self, rows: usize) -> OutVarValues {
        let mut at = 0_i32;
        let offsets = self.list(rows + 1, |source| {
            at = at.wrapping_add(match source.byte() {
                255 => i32::from_le_bytes(source.bytes()),
                small => i32::from(small % 4),
            });
            at
        });
        let due = usize::try_from(at).unwrap_or(0).min(200);
        let bytes = self.list(due, |source| match source.byte() {
            byte @ 250.. => byte,
            byte => byte % 128,
        });
        OutVarValues { offsets, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fuzzing has found to reach new code; one input a line, in hexadecimal digits.
    const CORPUS: &str = include_str!("../fuzz-corpus.hex");

    #[test]
    fn the_corpus_leads_to_sound_columns_or_faults() {
        for line in CORPUS.lines() {
            let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).expect("two digits");
            let bytes: Vec<u8> = (0..line.len()).step_by(2).map(byte).collect();
            if let Ok(rows) = check_output(&bytes) {
                rows.columns().iter().for_each(|column| column.to_data().validate_full().expect("a sound column"));
            }
        }
    }

    use crate::ColumnFault;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// The slow reference: every row of a column as bytes, or why there is none. Written from the contract, value by value.
    fn reference(field: &Field, rows: usize, column: &OutColumn) -> Option<Vec<Option<Vec<u8>>>> {
        let bit = |bytes: &[u8], row: usize| bytes[row / 8] >> (row % 8) & 1 == 1;
        let enough = column.validity.as_ref().is_none_or(|bytes| bytes.len() == rows.div_ceil(8));
        enough.then_some(())?;
        let valid = |row: usize| column.validity.as_ref().is_none_or(|bytes| bit(bytes, row));
        (field.nullable || (0..rows).all(valid)).then_some(())?;
        let fixed = |values: Vec<Vec<u8>>| (values.len() == rows).then_some(values);
        macro_rules! le {
            ($values:expr) => {
                fixed($values.iter().map(|value| value.to_le_bytes().to_vec()).collect())?
            };
        }
        let values: Vec<Vec<u8>> = match (&column.values, field.column_type) {
            (OutValues::Boolean(v), ColumnType::Bool) => {
                (v.len() == rows.div_ceil(8)).then_some(())?;
                (0..rows).map(|row| vec![u8::from(bit(v, row))]).collect()
            }
            (OutValues::Int8(v), ColumnType::Int8) => le!(v),
            (OutValues::Int16(v), ColumnType::Int16) => le!(v),
            (OutValues::Int32(v), ColumnType::Int32) | (OutValues::Date(v), ColumnType::Date) => le!(v),
            (OutValues::Int64(v), ColumnType::Int64) => le!(v),
            (OutValues::Timestamp(v), ColumnType::Timestamp | ColumnType::TimestampUtc) => le!(v),
            (OutValues::UInt8(v), ColumnType::UInt8) => le!(v),
            (OutValues::UInt16(v), ColumnType::UInt16) => le!(v),
            (OutValues::UInt32(v), ColumnType::UInt32) => le!(v),
            (OutValues::UInt64(v), ColumnType::UInt64) => le!(v),
            (OutValues::Float32(v), ColumnType::Float32) => le!(v),
            (OutValues::Float64(v), ColumnType::Float64) => le!(v),
            (OutValues::Decimal(v), ColumnType::Decimal { precision, .. }) => {
                (v.len() == rows * 2).then_some(())?;
                let value = |row: usize| (i128::from(v[row * 2 + 1] as i64) << 64) + i128::from(v[row * 2]);
                let limit = 10_i128.pow(u32::from(precision));
                (0..rows).all(|row| !valid(row) || (value(row) < limit && value(row) > -limit)).then_some(())?;
                (0..rows).map(|row| value(row).to_le_bytes().to_vec()).collect()
            }
            (OutValues::Text(v), ColumnType::Text) | (OutValues::Binary(v), ColumnType::Binary) => {
                (v.offsets.len() == rows + 1).then_some(())?;
                let value = |row: usize| {
                    let (start, end) = (usize::try_from(v.offsets[row]).ok()?, usize::try_from(v.offsets[row + 1]).ok()?);
                    let text = field.column_type == ColumnType::Text && valid(row);
                    let value = v.bytes.get(start..end)?;
                    (!text || std::str::from_utf8(value).is_ok()).then(|| value.to_vec())
                };
                usize::try_from(v.offsets[0]).ok().filter(|first| *first <= v.bytes.len())?;
                (0..rows).map(value).collect::<Option<_>>()?
            }
            _ => return None,
        };
        Some(values.into_iter().enumerate().map(|(row, value)| valid(row).then_some(value)).collect())
    }

    /// Every row of an array as bytes.
    fn shown(column_type: ColumnType, array: &dyn Array) -> Vec<Option<Vec<u8>>> {
        macro_rules! le {
            ($type:ty) => {{
                let array = array.as_primitive::<$type>();
                Box::new(|row: usize| array.value(row).to_le_bytes().to_vec())
            }};
        }
        let value: Box<dyn Fn(usize) -> Vec<u8> + '_> = match column_type {
            ColumnType::Bool => Box::new(|row| vec![u8::from(array.as_boolean().value(row))]),
            ColumnType::Int8 => le!(Int8Type),
            ColumnType::Int16 => le!(Int16Type),
            ColumnType::Int32 => le!(Int32Type),
            ColumnType::Int64 => le!(Int64Type),
            ColumnType::UInt8 => le!(UInt8Type),
            ColumnType::UInt16 => le!(UInt16Type),
            ColumnType::UInt32 => le!(UInt32Type),
            ColumnType::UInt64 => le!(UInt64Type),
            ColumnType::Float32 => le!(Float32Type),
            ColumnType::Float64 => le!(Float64Type),
            ColumnType::Text => Box::new(|row| array.as_string::<i32>().value(row).as_bytes().to_vec()),
            ColumnType::Binary => Box::new(|row| array.as_binary::<i32>().value(row).to_vec()),
            ColumnType::Date => le!(Date32Type),
            ColumnType::Timestamp | ColumnType::TimestampUtc => le!(TimestampMicrosecondType),
            ColumnType::Decimal { .. } => le!(Decimal128Type),
        };
        (0..array.len()).map(|row| array.is_valid(row).then(|| value(row))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn what_guests_hand_over_is_read_as_the_contract_says_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let (fields, batch) = decode(&bytes);
            let rows = batch.rows as usize;
            let columns = fields.iter().zip(&batch.columns).map(|(field, column)| reference(field, rows, column));
            let expected = if fields.len() == batch.columns.len() { columns.collect::<Option<Vec<_>>>() } else { None };
            let found = check_output(&bytes);
            prop_assert_eq!(found.is_ok(), expected.is_some(), "{:?}", found);
            if let (Ok(found), Some(expected)) = (found, expected) {
                prop_assert_eq!(found.num_rows(), rows);
                for ((field, array), expected) in fields.iter().zip(found.columns()).zip(expected) {
                    prop_assert_eq!(array.data_type(), &field.column_type.arrow());
                    prop_assert!(array.to_data().validate_full().is_ok());
                    prop_assert_eq!(shown(field.column_type, array), expected);
                }
            }
        }
    }

    /// The property above would say nothing if all it tried were wrong, or right.
    #[test]
    fn the_bytes_lead_to_right_batches_and_to_every_fault() {
        let mut seen = BTreeSet::new();
        let mut state = 1_u64;
        for _ in 0..30_000 {
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .take(400)
            .collect();
            seen.insert(match check_output(&bytes) {
                Ok(batch) if batch.num_rows() > 0 && batch.num_columns() > 0 => "ok",
                Ok(_) => "empty",
                Err(BadOutput::ColumnCount { .. }) => "count",
                Err(BadOutput::Column { fault, .. }) => match fault {
                    ColumnFault::Type { .. } => "type",
                    ColumnFault::Length { .. } => "length",
                    ColumnFault::Offset { .. } => "offset",
                    ColumnFault::NotUtf8 { .. } => "utf8",
                    ColumnFault::Null { .. } => "null",
                    ColumnFault::TooManyDigits { .. } => "digits",
                },
                Err(other) => panic!("{other}"),
            });
        }
        assert_eq!(Vec::from_iter(seen), ["count", "digits", "empty", "length", "null", "offset", "ok", "type", "utf8"]);
    }
}
