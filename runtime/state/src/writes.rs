//! What a call has loaded and what it has written so far, both by the index of the key.

use crate::slot::SlotId;
use crate::values::{Values, VarBytes};
use std::collections::{BTreeMap, BTreeSet};
use stygian_core::EventTime;

/// What was loaded for the keys of a call.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Per slot the value of each key; empty for lists and maps.
    pub values: Vec<Values>,
    /// What the backend wants to find again when it writes: as it likes, one a key.
    pub places: Vec<u64>,
    /// The watermark that the call sees.
    pub watermark: EventTime,
    /// The values that are of another version than their slot is declared with, by key and slot ascending; none, mostly, and none once they
    /// are migrated: `values` are the migrated ones then.
    pub other_versions: Vec<OtherVersion>,
}

/// A value that was written in another version than its slot is declared with now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherVersion {
    /// The slot.
    pub slot: SlotId,
    /// The index of the key in the call.
    pub key: usize,
    /// The version that the value was written in.
    pub version: u32,
}

impl Stored {
    pub(crate) fn new(slots: usize) -> Self {
        Self { values: vec![Values::default(); slots], places: Vec::new(), watermark: EventTime::MIN, other_versions: Vec::new() }
    }

    pub(crate) fn clear(&mut self, watermark: EventTime) {
        self.values.iter_mut().for_each(Values::clear);
        self.places.clear();
        self.other_versions.clear();
        self.watermark = watermark;
    }
}

/// What a call does to a value slot of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Nothing.
    Keep,
    /// Sets the value.
    Put(&'a [u8], Life),
    /// Removes it.
    Remove,
}

/// How the life of what is set goes on, where it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is dated by the later of this write and the last: a late row does not shorten it.
    Goes,
    /// The call has removed what was there: it begins anew.
    Anew,
    /// It is what was there in another form, not a write: the time of the last write stays.
    Stays,
}

impl Life {
    /// The time of a value that is written over one of another time, if there is one.
    #[inline]
    pub fn written(self, written: i64, stored: Option<i64>) -> i64 {
        match (self, stored) {
            (Self::Goes, Some(stored)) => written.max(stored),
            (Self::Stays, Some(stored)) => stored,
            _ => written,
        }
    }
}

/// What a call does to a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListWrites {
    /// First, everything is removed.
    pub clear: bool,
    /// Then these entries, by the places that the backend has named for them, are what was there in the slot's present version. The time of
    /// the last write stays.
    pub migrated: BTreeMap<u64, Vec<u8>>,
    /// Then these entries are added.
    pub append: VarBytes,
}

/// What a call does to a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapWrites {
    /// First, everything is removed.
    pub clear: bool,
    /// Then these entries are what was there in the slot's present version, see [`MapWrites::left`].
    pub migrated: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Then these entries are set, or removed.
    pub entries: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Those of the entries that were removed before they were set.
    pub anew: BTreeSet<Vec<u8>>,
}

impl MapWrites {
    /// The migrated entries that the call has not set or removed itself. The time of their last write stays.
    pub fn left(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let left = self.migrated.iter().filter(|(map_key, _)| !self.entries.contains_key(*map_key));
        left.map(|(map_key, value)| (map_key.as_slice(), value.as_slice()))
    }

    /// Sets an entry.
    pub(crate) fn put(&mut self, map_key: &[u8], value: &[u8]) {
        if let Some(None) = self.entries.insert(map_key.to_vec(), Some(value.to_vec())) {
            self.anew.insert(map_key.to_vec());
        }
    }
}

/// The writes of one call, the last one of each place.
#[derive(Debug)]
pub struct CallWrites {
    /// One a slot.
    values: Vec<ValueWrites>,
    lists: BTreeMap<(u32, usize), ListWrites>,
    maps: BTreeMap<(u32, usize), MapWrites>,
    /// The time of each key's writes, in microseconds.
    written: Vec<i64>,
    /// Per key: whether values, and whether anything is written.
    marks: Vec<u8>,
    changed: Vec<u32>,
}

#[derive(Debug, Default)]
struct ValueWrites {
    /// Per key, where its last write is in `values`, and [`ANEW`] or [`STAYS`]; empty before the first write of a call.
    of_key: Vec<u32>,
    values: Values,
}

const UNTOUCHED: u32 = u32::MAX;
/// A flag of a write: the call had removed the value before.
const ANEW: u32 = 1 << 31;
/// A flag of a write: it is the stored value, migrated.
const STAYS: u32 = 1 << 30;
const VALUES: u8 = 1;
const OTHERS: u8 = 2;

impl CallWrites {
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            values: (0..slots).map(|_| ValueWrites::default()).collect(),
            lists: BTreeMap::new(),
            maps: BTreeMap::new(),
            written: Vec::new(),
            marks: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// Begins a call on so many keys.
    pub(crate) fn clear(&mut self, keys: usize, written: impl Iterator<Item = i64>) {
        for slot in &mut self.values {
            slot.of_key.clear();
            slot.values.clear();
        }
        self.lists.clear();
        self.maps.clear();
        self.written.clear();
        self.written.extend(written);
        self.marks.clear();
        self.marks.resize(keys, 0);
        self.changed.clear();
    }

    /// Sets values of a slot, one for each of `keys`, which exist; an absent one removes.
    pub(crate) fn put_values(&mut self, slot: SlotId, keys: &[u32], values: Values) {
        let of_keys = self.marks.len();
        let Some(writes) = self.values.get_mut(slot.0) else { return };
        // Mostly this is all that a call writes: each of its keys, in their order.
        if self.changed.is_empty() && keys.len() == of_keys && keys.iter().zip(0..).all(|(key, at)| *key == at) {
            self.marks.fill(VALUES);
            self.changed.extend_from_slice(keys);
            writes.of_key.extend_from_slice(keys);
            writes.values = values;
            return;
        }
        for key in keys {
            mark(&mut self.marks, &mut self.changed, *key, VALUES);
        }
        writes.of_key.resize(of_keys, UNTOUCHED);
        // A call's values are counted in 30 bits: each takes a bit of validity at least, and their bytes are 31 bits.
        let first = u32::try_from(writes.values.len()).unwrap_or(UNTOUCHED);
        if first == 0 {
            writes.values = values;
        } else {
            (0..values.len()).for_each(|index| writes.values.push(values.get(index)));
        }
        for (index, key) in (first..).zip(keys) {
            if let Some(of_key) = writes.of_key.get_mut(*key as usize) {
                let before = std::mem::replace(of_key, index);
                if before != UNTOUCHED && (before & ANEW != 0 || writes.values.get(before as usize).is_none()) {
                    *of_key |= ANEW;
                }
            }
        }
    }

    /// Sets a value that was migrated, unless the call has written the place itself.
    pub(crate) fn put_migrated(&mut self, slot: SlotId, key: usize, value: &[u8]) {
        let (of_keys, Ok(number)) = (self.marks.len(), u32::try_from(key)) else { return };
        let Some(writes) = self.values.get_mut(slot.0) else { return };
        writes.of_key.resize(of_keys, UNTOUCHED);
        let Some(of_key) = writes.of_key.get_mut(key).filter(|of_key| **of_key == UNTOUCHED) else { return };
        *of_key = u32::try_from(writes.values.len()).unwrap_or(0) | STAYS;
        writes.values.push(Some(value));
        self.mark(number, VALUES);
    }

    pub(crate) fn list_mut(&mut self, slot: SlotId, key: u32) -> &mut ListWrites {
        self.mark(key, OTHERS);
        self.lists.entry((key, slot.0)).or_default()
    }

    pub(crate) fn map_mut(&mut self, slot: SlotId, key: u32) -> &mut MapWrites {
        self.mark(key, OTHERS);
        self.maps.entry((key, slot.0)).or_default()
    }

    pub(crate) fn list(&self, slot: SlotId, key: u32) -> Option<&ListWrites> {
        self.lists.get(&(key, slot.0))
    }

    pub(crate) fn map(&self, slot: SlotId, key: u32) -> Option<&MapWrites> {
        self.maps.get(&(key, slot.0))
    }

    fn mark(&mut self, key: u32, what: u8) {
        mark(&mut self.marks, &mut self.changed, key, what);
    }

    /// The keys that are written to, in the order of their first writes.
    pub fn changed(&self) -> impl Iterator<Item = usize> {
        self.changed.iter().map(|key| *key as usize)
    }

    /// Whether anything is written.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// When a key's writes were made, in microseconds of the clock that its slots live by.
    pub fn written(&self, key: usize) -> i64 {
        self.written.get(key).copied().unwrap_or(i64::MIN)
    }

    /// Whether value slots of a key are written.
    pub fn changes_values(&self, key: usize) -> bool {
        self.marks.get(key).is_some_and(|mark| mark & VALUES != 0)
    }

    /// Whether value slots of a key are written, and nothing else of it.
    pub fn changes_values_alone(&self, key: usize) -> bool {
        self.marks.get(key).is_some_and(|mark| *mark == VALUES)
    }

    /// What is done to a value slot of a key.
    #[inline]
    pub fn value(&self, slot: usize, key: usize) -> Change<'_> {
        let Some(writes) = self.values.get(slot) else { return Change::Keep };
        match writes.of_key.get(key) {
            None | Some(&UNTOUCHED) => Change::Keep,
            Some(index) => {
                let life = match (index & ANEW, index & STAYS) {
                    (0, 0) => Life::Goes,
                    (0, _) => Life::Stays,
                    _ => Life::Anew,
                };
                writes.values.get((index & !(ANEW | STAYS)) as usize).map_or(Change::Remove, |value| Change::Put(value, life))
            }
        }
    }

    /// What is done to lists of a key, with the slot's index.
    pub fn lists(&self, key: usize) -> impl Iterator<Item = (usize, &ListWrites)> {
        of_key(&self.lists, key)
    }

    /// What is done to maps of a key, with the slot's index.
    pub fn maps(&self, key: usize) -> impl Iterator<Item = (usize, &MapWrites)> {
        of_key(&self.maps, key)
    }
}

fn mark(marks: &mut [u8], changed: &mut Vec<u32>, key: u32, what: u8) {
    if let Some(mark) = marks.get_mut(key as usize) {
        if *mark == 0 {
            changed.push(key);
        }
        *mark |= what;
    }
}

fn of_key<T>(writes: &BTreeMap<(u32, usize), T>, key: usize) -> impl Iterator<Item = (usize, &T)> {
    // Key indices of a call are 32 bits.
    let key = u32::try_from(key).unwrap_or(u32::MAX);
    writes.range((key, 0)..=(key, usize::MAX)).map(|((_, slot), write)| (*slot, write))
}
