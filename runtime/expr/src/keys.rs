//! Keys of rows as dense group numbers, in the order in which they are first seen.
//!
//! A single text or binary column is its own bytes; everything else is encoded by Arrow's row format. Floats are normalised first
//! (-0.0 is 0.0, every NaN is one NaN), as key groups take them, and null is a key like any other. The hash is seeded once a
//! process, so that nobody who writes rows can make keys collide on purpose; nothing that comes out depends on it.

use crate::ExprError;
use crate::compile::stream_type;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, DataType};
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use stygian_core::short;
use xxhash_rust::xxh3::xxh3_64_with_seed;

static SEED: LazyLock<u64> = LazyLock::new(|| std::hash::RandomState::new().build_hasher().finish());

/// How key columns become bytes and bytes become columns again.
#[derive(Debug)]
pub(crate) enum KeyCodec {
    /// No key columns: one group.
    None,
    /// One column of text (or of binary).
    Bytes(DataType),
    /// Any columns.
    Rows(RowConverter),
}

/// The keys of a batch's rows.
#[derive(Debug)]
pub(crate) enum EncodedKeys {
    None,
    Text(StringArray),
    Binary(BinaryArray),
    Rows(Rows),
}

impl EncodedKeys {
    /// The key of a row, by which it is found; `None` is a null of a single column.
    pub(crate) fn get(&self, row: usize) -> Option<&[u8]> {
        match self {
            Self::None => Some(&[]),
            Self::Text(keys) => keys.is_valid(row).then(|| keys.value(row).as_bytes()),
            Self::Binary(keys) => keys.is_valid(row).then(|| keys.value(row)),
            Self::Rows(keys) => Some(keys.row(row).data()),
        }
    }
}

impl KeyCodec {
    /// For key columns of these types.
    pub(crate) fn new(types: &[DataType]) -> Result<Self, ExprError> {
        let types: Vec<DataType> = types.iter().map(stream_type).collect();
        match types.as_slice() {
            [] => Ok(Self::None),
            [one @ (DataType::Utf8 | DataType::Binary)] => Ok(Self::Bytes(one.clone())),
            many => RowConverter::new(many.iter().cloned().map(SortField::new).collect()).map(Self::Rows).map_err(|error| fault(&error)),
        }
    }

    /// The keys of all rows of these columns.
    pub(crate) fn encode(&self, columns: &[ArrayRef]) -> Result<EncodedKeys, ExprError> {
        let columns = columns.iter().map(normalised).collect::<Result<Vec<_>, _>>().map_err(|error| fault(&error))?;
        match (self, columns.as_slice()) {
            (Self::Bytes(DataType::Utf8), [column]) => Ok(EncodedKeys::Text(column.as_string().clone())),
            (Self::Bytes(_), [column]) => Ok(EncodedKeys::Binary(column.as_binary().clone())),
            (Self::Rows(converter), columns) => converter.convert_columns(columns).map(EncodedKeys::Rows).map_err(|error| fault(&error)),
            _ => Ok(EncodedKeys::None),
        }
    }
}

impl KeyCodec {
    /// The key columns of these keys; `None` is a null of a single column.
    pub(crate) fn decode<'a>(&self, keys: impl Iterator<Item = Option<&'a [u8]>>) -> Result<Vec<ArrayRef>, ExprError> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Bytes(data_type) => {
                let binary: BinaryArray = keys.collect();
                let column = arrow_cast::cast(&binary, data_type);
                column.map(|column| vec![column]).map_err(|error| fault(&error))
            }
            Self::Rows(converter) => {
                let parser = converter.parser();
                let rows = keys.map(|key| parser.parse(key.unwrap_or_default()));
                converter.convert_rows(rows).map_err(|error| fault(&error))
            }
        }
    }
}

/// The seed of this process's hashes.
pub(crate) fn seed() -> u64 {
    *SEED
}

/// The column in its one physical type and with floats normalised.
pub(crate) fn normalised(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    macro_rules! floats {
        ($type:ty) => {{
            let one = |value: <$type as arrow_array::ArrowPrimitiveType>::Native| match value {
                nan if nan.is_nan() => <$type as arrow_array::ArrowPrimitiveType>::Native::NAN,
                zero if zero == 0.0 => 0.0,
                other => other,
            };
            Ok(Arc::new(column.as_primitive::<$type>().unary::<_, $type>(one)))
        }};
    }
    match column.data_type() {
        DataType::Float32 => floats!(Float32Type),
        DataType::Float64 => floats!(Float64Type),
        other => {
            let wanted = stream_type(other);
            if wanted == *other { Ok(column.clone()) } else { normalised(&arrow_cast::cast(column, &wanted)?) }
        }
    }
}

fn fault(error: &ArrowError) -> ExprError {
    ExprError::window(format!("the keys cannot be read: {error}"))
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Upper half of the hash, so that most lookups compare the bytes of one key only.
    tag: u32,
    group: u32,
}

/// Distinct keys, numbered from 0 in the order in which they were first seen.
#[derive(Debug)]
pub(crate) struct KeyIndex {
    table: HashTable<Entry>,
    hashes: Vec<u64>,
    bytes: Vec<u8>,
    /// Where each key's bytes begin, and the end of the last.
    offsets: Vec<usize>,
    null: Option<u32>,
}

impl Default for KeyIndex {
    fn default() -> Self {
        Self { table: HashTable::new(), hashes: Vec::new(), bytes: Vec::new(), offsets: vec![0], null: None }
    }
}

fn tag(hash: u64) -> u32 {
    // The upper 32 bits.
    #[allow(clippy::cast_possible_truncation)]
    let tag = (hash >> 32) as u32;
    tag
}

impl KeyIndex {
    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.table.allocation_size() + self.hashes.capacity() * 8 + self.bytes.capacity() + self.offsets.capacity() * 8
    }

    /// Appends the group of each selected row (of all where nothing is selected; `rows` of them) to `groups`.
    pub(crate) fn intern(&mut self, keys: &EncodedKeys, rows: usize, selected: Option<&[u32]>, groups: &mut Vec<usize>) {
        match keys {
            EncodedKeys::None => {
                if self.len() == 0 && rows > 0 {
                    self.group_of(&[], 0);
                }
                let count = selected.map_or(rows, <[u32]>::len);
                groups.resize(groups.len() + count, 0);
            }
            EncodedKeys::Text(array) => {
                self.intern_by(rows, selected, groups, |row| array.is_valid(row).then(|| array.value(row).as_bytes()));
            }
            EncodedKeys::Binary(array) => {
                self.intern_by(rows, selected, groups, |row| array.is_valid(row).then(|| array.value(row)));
            }
            EncodedKeys::Rows(encoded) => self.intern_by(rows, selected, groups, |row| Some(encoded.row(row).data())),
        }
    }

    fn intern_by<'a>(&mut self, rows: usize, selected: Option<&[u32]>, groups: &mut Vec<usize>, key: impl Fn(usize) -> Option<&'a [u8]>) {
        let seed = *SEED;
        let mut one = |row: usize| match key(row) {
            Some(bytes) => self.group_of(bytes, xxh3_64_with_seed(bytes, seed)),
            None => self.group_of_null(),
        };
        match selected {
            Some(selected) => groups.extend(selected.iter().map(|row| one(*row as usize) as usize)),
            None => groups.extend((0..rows).map(|row| one(row) as usize)),
        }
    }

    fn group_of(&mut self, key: &[u8], hash: u64) -> u32 {
        let Self { table, hashes, bytes, offsets, .. } = self;
        let tag = tag(hash);
        let is = |entry: &Entry| {
            let group = entry.group as usize;
            entry.tag == tag && bytes[offsets[group]..offsets[group + 1]] == *key
        };
        if let Some(entry) = table.find(hash, is) {
            return entry.group;
        }
        let group = next_group(hashes.len());
        table.insert_unique(hash, Entry { tag, group }, |entry| hashes[entry.group as usize]);
        hashes.push(hash);
        bytes.extend_from_slice(key);
        offsets.push(bytes.len());
        group
    }

    fn group_of_null(&mut self) -> u32 {
        if let Some(group) = self.null {
            return group;
        }
        let group = next_group(self.hashes.len());
        self.null = Some(group);
        self.hashes.push(0);
        self.offsets.push(self.bytes.len());
        group
    }

    /// The groups that another index's keys have in this one, in the order of that one.
    pub(crate) fn merge(&mut self, other: &Self, groups: &mut Vec<usize>) {
        groups.extend((0..other.len()).map(|group| self.adopt(other, group)));
    }

    /// Each group's bytes; `None`: null.
    fn bytes_of(&self, group: usize) -> Option<&[u8]> {
        let null = self.null.is_some_and(|null| null as usize == group);
        (!null).then(|| &self.bytes[self.offsets[group]..self.offsets[group + 1]])
    }

    /// The group that a key of another index has in this one.
    pub(crate) fn find(&self, other: &Self, group: usize) -> Option<usize> {
        let Some(key) = other.bytes_of(group) else { return self.null.map(|null| null as usize) };
        let hash = other.hashes[group];
        let is = |entry: &Entry| entry.tag == tag(hash) && self.bytes_of(entry.group as usize).is_some_and(|own| short::same(own, key));
        self.table.find(hash, is).map(|entry| entry.group as usize)
    }

    /// The group of a key of another index, which is new if need be.
    pub(crate) fn adopt(&mut self, other: &Self, group: usize) -> usize {
        let here = match other.bytes_of(group) {
            None => self.group_of_null(),
            Some(key) => self.group_of(key, other.hashes[group]),
        };
        here as usize
    }

    /// The same keys, first those that another index has, in its order, then the others.
    pub(crate) fn in_order_of(self, other: &Self) -> Self {
        let place = |group| (other.find(&self, group).unwrap_or(usize::MAX), group);
        let mut order: Vec<(usize, usize)> = (0..self.len()).map(place).collect();
        if order.is_sorted() {
            return self;
        }
        order.sort_unstable();
        let mut ordered = Self::default();
        for (_, group) in order {
            ordered.adopt(&self, group);
        }
        ordered
    }

    /// The key columns of a range of groups.
    pub(crate) fn columns(&self, codec: &KeyCodec, groups: Range<usize>) -> Result<Vec<ArrayRef>, ExprError> {
        match codec {
            KeyCodec::None => Ok(Vec::new()),
            KeyCodec::Bytes(data_type) => Ok(vec![self.byte_column(data_type, groups).map_err(|error| fault(&error))?]),
            KeyCodec::Rows(converter) => {
                let parser = converter.parser();
                let rows = groups.map(|group| parser.parse(&self.bytes[self.offsets[group]..self.offsets[group + 1]]));
                converter.convert_rows(rows).map_err(|error| fault(&error))
            }
        }
    }

    fn byte_column(&self, data_type: &DataType, groups: Range<usize>) -> Result<ArrayRef, ArrowError> {
        let first = self.offsets[groups.start];
        let offsets = self.offsets[groups.start..=groups.end].iter().map(|offset| i32::try_from(offset - first));
        let offsets = offsets.collect::<Result<Vec<i32>, _>>().map_err(|_| ArrowError::OffsetOverflowError(self.bytes.len()))?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let values = self.bytes[first..self.offsets[groups.end]].to_vec().into();
        let null = self.null.map(|null| null as usize).filter(|null| groups.contains(null));
        let nulls = null.map(|null| groups.map(|group| group != null).collect::<Vec<bool>>()).map(NullBuffer::from);
        Ok(match data_type {
            DataType::Utf8 => Arc::new(StringArray::try_new(offsets, values, nulls)?),
            _ => Arc::new(BinaryArray::try_new(offsets, values, nulls)?),
        })
    }
}

/// The number of the next group. Four billion keys do not fit in the memory that this structure would need for them.
fn next_group(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
