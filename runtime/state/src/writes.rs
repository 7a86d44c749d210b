//! What a call has loaded and what it has written so far, both by the index of the key.

use crate::slot::SlotId;
use crate::values::{Values, VarBytes};
use std::collections::BTreeMap;
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
}

impl Stored {
    pub(crate) fn new(slots: usize) -> Self {
        Self { values: vec![Values::default(); slots], places: Vec::new(), watermark: EventTime::MIN }
    }

    pub(crate) fn clear(&mut self, watermark: EventTime) {
        self.values.iter_mut().for_each(Values::clear);
        self.places.clear();
        self.watermark = watermark;
    }
}

/// What a call does to a value slot of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Nothing.
    Keep,
    /// Sets the value.
    Put(&'a [u8]),
    /// Removes it.
    Remove,
}

/// What a call does to a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListWrites {
    /// First, everything is removed.
    pub clear: bool,
    /// Then these entries are added.
    pub append: VarBytes,
}

/// What a call does to a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapWrites {
    /// First, everything is removed.
    pub clear: bool,
    /// Then these entries are set, or removed.
    pub entries: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
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
    /// Per key, where its last write is in `values`; empty before the first write of a call.
    of_key: Vec<u32>,
    values: Values,
}

const UNTOUCHED: u32 = u32::MAX;
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
        for key in keys {
            self.mark(*key, VALUES);
        }
        let Some(writes) = self.values.get_mut(slot.0) else { return };
        writes.of_key.resize(of_keys, UNTOUCHED);
        // A call's values are counted in 32 bits, as its keys are.
        let first = u32::try_from(writes.values.len()).unwrap_or(UNTOUCHED);
        if first == 0 {
            writes.values = values;
        } else {
            (0..values.len()).for_each(|index| writes.values.push(values.get(index)));
        }
        for (index, key) in (first..).zip(keys) {
            if let Some(of_key) = writes.of_key.get_mut(*key as usize) {
                *of_key = index;
            }
        }
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
        if let Some(mark) = self.marks.get_mut(key as usize) {
            if *mark == 0 {
                self.changed.push(key);
            }
            *mark |= what;
        }
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
            Some(index) => writes.values.get(*index as usize).map_or(Change::Remove, Change::Put),
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

fn of_key<T>(writes: &BTreeMap<(u32, usize), T>, key: usize) -> impl Iterator<Item = (usize, &T)> {
    // Key indices of a call are 32 bits.
    let key = u32::try_from(key).unwrap_or(u32::MAX);
    writes.range((key, 0)..=(key, usize::MAX)).map(|((_, slot), write)| (*slot, write))
}
