//! The distinct keys of a slice of rows: each found once, in the order in which they first occur, and only then copied, hashed for its group
//! and made into columns of its own. What a row costs is one hash and one look-up.

use crate::key::{KeyBatch, KeyCodec, KeyCodecError};
use crate::seed;
use crate::values::VarBytes;
use arrow_array::cast::AsArray;
use arrow_array::types::ByteArrayType;
use arrow_array::{ArrayRef, GenericByteArray, UInt32Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::ops::Range;
use std::sync::Arc;
use stygian_core::{KeyGroup, KeyHashError, short};

/// What stands before the bytes of a key that is one column without a null: the bitmap.
const NO_NULL: u8 = 0;

/// The distinct keys of a slice of rows, in the order in which they first occur.
#[derive(Clone, Debug, Default)]
pub struct DistinctKeys {
    /// The keys.
    keys: VarBytes,
    /// The key columns, one row a key.
    columns: Vec<ArrayRef>,
    /// The hash of each in tables.
    hashes: Vec<u64>,
    /// The group of each.
    groups: Vec<KeyGroup>,
    /// For each row of the slice, the index of its key.
    key_of_row: Vec<u32>,
    /// For each key, the first row that has it.
    first_rows: Vec<u32>,
    table: HashTable<u32>,
}

impl DistinctKeys {
    /// Finds the keys of these rows.
    pub(crate) fn find(&mut self, codec: &mut KeyCodec, all: &KeyBatch, rows: Range<usize>) -> Result<(), KeyCodecError> {
        self.clear();
        match (&all.encoded, all.columns.as_slice()) {
            (None, [column]) if *column.data_type() == DataType::Utf8 => self.find_own_bytes(rows, column.as_string::<i32>())?,
            (None, [column]) if *column.data_type() == DataType::Binary => self.find_own_bytes(rows, column.as_binary::<i32>())?,
            (encoded, columns) => {
                if let Some(encoded) = encoded {
                    self.find_rows(rows, |row| seed::split(encoded.key(row)));
                    self.first_rows.iter().for_each(|row| self.keys.push(encoded.key(*row as usize)));
                }
                let first_rows = UInt32Array::from(self.first_rows.clone());
                let columns = columns.iter().map(|column| arrow_select::take::take(column, &first_rows, None));
                self.columns = columns.collect::<Result<_, _>>().map_err(KeyHashError::Cast)?;
            }
        }
        codec.groups_of(&self.columns, self.first_rows.len(), &mut self.groups)
    }

    fn find_own_bytes<T: ByteArrayType<Offset = i32>>(
        &mut self,
        rows: Range<usize>,
        column: &GenericByteArray<T>,
    ) -> Result<(), KeyCodecError> {
        self.find_rows(rows, |row| (NO_NULL, column.value(row).as_ref()));
        // The keys' own column, made here: `take` calls into the C library for each.
        let keys = || self.first_rows.iter().map(|row| -> &[u8] { column.value(*row as usize).as_ref() });
        let mut own = VarBytes::with_capacity(self.first_rows.len(), keys().map(<[u8]>::len).sum());
        keys().for_each(|key| own.push(key));
        self.keys.extend_behind(NO_NULL, &own);
        let (offsets, bytes) = own.into_parts();
        let own = GenericByteArray::<T>::try_new(OffsetBuffer::new(offsets.into()), bytes.into(), None);
        self.columns.push(Arc::new(own.map_err(KeyHashError::Cast)?));
        Ok(())
    }

    /// Numbers the keys of the rows by the order of their first rows.
    fn find_rows<'k>(&mut self, rows: Range<usize>, key: impl Fn(usize) -> (u8, &'k [u8])) {
        self.table.reserve(rows.len(), |_| 0);
        self.key_of_row.reserve(rows.len());
        let seed = seed::seed();
        for row in rows {
            let own = key(row);
            let hash = seed::hash_parts(own, seed);
            let (hashes, first_rows) = (&self.hashes, &self.first_rows);
            let is_own = |index: &u32| {
                let (first, rest) = key(first_rows.get(*index as usize).map_or(row, |row| *row as usize));
                first == own.0 && short::same(rest, own.1)
            };
            let index = match self.table.entry(hash, is_own, |index| hashes.get(*index as usize).copied().unwrap_or_default()) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(place) => {
                    // There are no more keys than rows of a batch, which are counted in 32 bits.
                    let index = u32::try_from(hashes.len()).unwrap_or(u32::MAX);
                    place.insert(index);
                    self.hashes.push(hash);
                    self.first_rows.push(u32::try_from(row).unwrap_or(u32::MAX));
                    index
                }
            };
            self.key_of_row.push(index);
        }
    }

    /// Takes keys from elsewhere (those of timers that are due), which may come more than once.
    pub(crate) fn find_keys(&mut self, codec: &KeyCodec, keys: &[(&[u8], KeyGroup)]) -> Result<(), KeyCodecError> {
        self.clear();
        self.find_rows(0..keys.len(), |row| seed::split(keys.get(row).map_or(&[][..], |key| key.0)));
        for (key, group) in self.first_rows.iter().filter_map(|row| keys.get(*row as usize)) {
            self.keys.push(key);
            self.groups.push(*group);
        }
        self.columns = codec.decode(self.keys.iter())?;
        Ok(())
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.columns.clear();
        self.hashes.clear();
        self.groups.clear();
        self.key_of_row.clear();
        self.first_rows.clear();
        self.table.clear();
    }

    /// The key columns, one row a key.
    pub fn columns(&self) -> &[ArrayRef] {
        &self.columns
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The keys as bytes.
    pub fn keys(&self) -> &VarBytes {
        &self.keys
    }

    /// The group of a key; the first one where there is no key of this index.
    pub fn group(&self, key: usize) -> KeyGroup {
        self.groups.get(key).copied().unwrap_or(KeyGroup(0))
    }

    /// The hash of a key in tables.
    pub(crate) fn hash(&self, key: usize) -> u64 {
        self.hashes.get(key).copied().unwrap_or_default()
    }

    /// A key and its hash in tables.
    pub(crate) fn key_and_hash(&self, key: usize) -> (&[u8], u64) {
        (self.keys.get(key), self.hash(key))
    }

    /// For each row, the index of its key.
    pub fn key_of_row(&self) -> &[u32] {
        &self.key_of_row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Array, StringArray};
    use proptest::prelude::*;
    use stygian_core::{ColumnType, KeyHasher, MaxParallelism};

    fn codec(columns: &[ArrayRef]) -> KeyCodec {
        KeyCodec::new(vec![ColumnType::Text; columns.len()], MaxParallelism::DEFAULT)
    }

    fn distinct(columns: &[ArrayRef], rows: Range<usize>) -> DistinctKeys {
        let (mut codec, mut keys, mut distinct) = (codec(columns), KeyBatch::default(), DistinctKeys::default());
        codec.encode(columns, columns[0].len(), &mut keys).expect("the planned types");
        distinct.find(&mut codec, &keys, rows).expect("plain columns");
        distinct
    }

    proptest! {
        #[test]
        fn distinct_keys_come_in_the_order_of_their_first_rows(
            names in proptest::collection::vec(proptest::option::weighted(0.9, "[a-c]{0,2}"), 1..50), cut in 0_usize..10, one in any::<bool>(),
        ) {
            let names = if one { names.into_iter().map(|name| Some(name.unwrap_or_default())).collect() } else { names };
            let column: ArrayRef = Arc::new(names.iter().cloned().collect::<StringArray>());
            let columns = if one { vec![column] } else { vec![column.clone(), column] };
            let rows = cut.min(names.len())..names.len();
            let found = distinct(&columns, rows.clone());
            let mut encoded = crate::key::Encoded::default();
            codec(&columns).encode_rows(&columns, names.len(), &mut encoded).expect("keys of 32 bits");
            let mut expected: Vec<usize> = Vec::new();
            for (at, row) in rows.enumerate() {
                let known = expected.iter().position(|known| names[*known] == names[row]).unwrap_or_else(|| {
                    expected.push(row);
                    expected.len() - 1
                });
                prop_assert_eq!(found.key_of_row()[at] as usize, known);
            }
            prop_assert_eq!(found.len(), expected.len());
            let (mut hasher, groups) = (KeyHasher::default(), MaxParallelism::DEFAULT);
            let hashes = hasher.hash(&columns, names.len()).expect("text is a key").to_vec();
            for (key, row) in expected.into_iter().enumerate() {
                prop_assert_eq!(found.keys().get(key), encoded.key(row));
                prop_assert_eq!(found.group(key), groups.group_of(hashes[row]));
                prop_assert_eq!(&found.columns()[0].slice(key, 1), &columns[0].slice(row, 1));
                prop_assert_eq!(found.hash(key), seed::hash(found.keys().get(key), seed::seed()));
            }
        }
    }
}
