//! Keyed state as the host keeps it, by slot, key and entry. A value slot has one entry; items of a list are entries numbered in order.
//!
//! An entry of a slot with a time to live is gone once the watermark is at or past its last write's event time plus that time; the items of a
//! list all at once, by the list's last append. Where the input has no event time, processing time counts instead. The end of the input, which
//! is the last watermark, is no time: nothing expires by it.

use std::collections::BTreeMap;
use stygian_sdk::contract::{SlotKind, StateSlot};

/// Microseconds a millisecond.
const MILLI: u64 = 1_000;

/// Slot, key, and the bytes of the map key (none for a value slot).
type Place = (u32, usize, Vec<u8>);

#[derive(Clone, Debug)]
struct Entry {
    bytes: Vec<u8>,
    /// The time of the last write, where there is one.
    written: Option<i64>,
}

/// One thing that a call writes.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// Sets or removes the entry of a map key, or the value of a value slot.
    Set { slot: u32, key: usize, map_key: Vec<u8>, bytes: Option<Vec<u8>> },
    /// Adds to a list.
    Append { slot: u32, key: usize, bytes: Vec<u8> },
    /// Removes all entries.
    Clear { slot: u32, key: usize },
}

/// The state of all keys.
#[derive(Debug)]
pub(crate) struct Store {
    slots: Vec<StateSlot>,
    entries: BTreeMap<Place, Entry>,
    /// The time that state is judged by, where there is one.
    pub(crate) now: Option<i64>,
}

impl Store {
    pub(crate) fn new(slots: Vec<StateSlot>) -> Self {
        Self { slots, entries: BTreeMap::new(), now: None }
    }

    /// The slot of an index, if it is of this kind.
    pub(crate) fn slot(&self, slot: u32, kinds: &[SlotKind]) -> Result<&StateSlot, String> {
        let found = self.slots.get(slot as usize).ok_or_else(|| format!("slot {slot} was named, but there are {}", self.slots.len()))?;
        if kinds.contains(&found.kind) { Ok(found) } else { Err(format!("slot `{}` is of kind {:?}", found.name, found.kind)) }
    }

    /// The indices of all value slots.
    pub(crate) fn value_slots(&self) -> impl Iterator<Item = u32> {
        (0_u32..).zip(&self.slots).filter(|(_, slot)| slot.kind == SlotKind::Value).map(|(index, _)| index)
    }

    fn lives(&self, slot: u32, entry: &Entry) -> bool {
        let ttl = self.slots.get(slot as usize).and_then(|slot| slot.ttl_millis);
        match (ttl, entry.written, self.now) {
            (Some(ttl), Some(written), Some(now)) => {
                now < written.saturating_add(i64::try_from(ttl.saturating_mul(MILLI)).unwrap_or(i64::MAX))
            }
            _ => true,
        }
    }

    /// An entry that has not outlived its time.
    pub(crate) fn get(&self, slot: u32, key: usize, map_key: &[u8]) -> Option<&[u8]> {
        let entry = self.entries.get(&(slot, key, map_key.to_vec()))?;
        self.lives(slot, entry).then_some(entry.bytes.as_slice())
    }

    /// All entries of a key, by ascending map key or in the order of the list.
    pub(crate) fn scan(&self, slot: u32, key: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        let all = self.entries.range((slot, key, Vec::new())..(slot, key + 1, Vec::new()));
        let living = all.filter(move |(_, entry)| self.lives(slot, entry));
        living.map(|((.., map_key), entry)| (map_key.as_slice(), entry.bytes.as_slice()))
    }

    /// How many values, items and entries there are that have not outlived their time.
    pub(crate) fn count(&self) -> usize {
        self.entries.iter().filter(|((slot, ..), entry)| self.lives(*slot, entry)).count()
    }

    /// Writes, at a time of the clock that state lives by.
    pub(crate) fn apply(&mut self, write: Write, at: Option<i64>) {
        match write {
            Write::Set { slot, key, map_key, bytes: None } => drop(self.entries.remove(&(slot, key, map_key))),
            Write::Set { slot, key, map_key, bytes: Some(bytes) } => self.set((slot, key, map_key), bytes, at),
            Write::Append { slot, key, bytes } => self.append((slot, key), bytes, at),
            Write::Clear { slot, key } => self.clear((slot, key)),
        }
    }

    fn append(&mut self, (slot, key): (u32, usize), bytes: Vec<u8>, at: Option<i64>) {
        let list = (slot, key, Vec::new())..(slot, key + 1, Vec::new());
        if self.entries.range(list.clone()).any(|(_, entry)| !self.lives(slot, entry)) {
            self.clear((slot, key));
        }
        let last = self.entries.range(list.clone()).next_back();
        let next = last.and_then(|((.., index), _)| index.as_slice().try_into().ok()).map_or(0, |index| u64::from_be_bytes(index) + 1);
        let written = last.and_then(|(_, entry)| entry.written).max(at);
        self.entries.range_mut(list).for_each(|(_, entry)| entry.written = written);
        self.entries.insert((slot, key, next.to_be_bytes().to_vec()), Entry { bytes, written });
    }

    fn clear(&mut self, place: (u32, usize)) {
        self.entries.retain(|(slot, key, _), _| (*slot, *key) != place);
    }

    /// A late write does not shorten the life of what it writes over.
    fn set(&mut self, place: Place, bytes: Vec<u8>, at: Option<i64>) {
        let before = self.entries.get(&place).and_then(|entry| entry.written);
        self.entries.insert(place, Entry { bytes, written: at.max(before) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(kind: SlotKind, ttl_millis: Option<u64>) -> Store {
        Store::new(vec![StateSlot { name: "s".to_owned(), kind, version: 1, ttl_millis }])
    }

    fn set(byte: u8) -> Write {
        Write::Set { slot: 0, key: 3, map_key: Vec::new(), bytes: Some(vec![byte]) }
    }

    #[test]
    fn a_value_is_gone_once_the_watermark_is_at_its_end() {
        let mut store = store(SlotKind::Value, Some(2));
        store.apply(set(7), Some(1_000));
        for (watermark, there) in [(None, true), (Some(2_999), true), (Some(3_000), false), (Some(3_001), false)] {
            store.now = watermark;
            assert_eq!(store.get(0, 3, &[]).is_some(), there, "{watermark:?}");
        }
    }

    #[test]
    fn a_write_starts_the_time_to_live_again_and_a_late_one_does_not_shorten_it() {
        let mut store = store(SlotKind::Value, Some(2));
        for (at, lives_until) in [(1_000, 3_000), (2_000, 4_000), (500, 4_000)] {
            store.apply(set(7), Some(at));
            store.now = Some(lives_until - 1);
            assert!(store.get(0, 3, &[]).is_some());
            store.now = Some(lives_until);
            assert!(store.get(0, 3, &[]).is_none());
        }
    }

    #[test]
    fn a_list_lives_as_a_whole_from_its_last_item_on() {
        let mut store = store(SlotKind::List, Some(2));
        let items = |store: &Store| store.scan(0, 3).map(|(_, bytes)| bytes[0]).collect::<Vec<_>>();
        for (at, byte) in [(1_000, 1), (2_000, 2), (500, 3)] {
            store.apply(Write::Append { slot: 0, key: 3, bytes: vec![byte] }, Some(at));
        }
        store.now = Some(3_999);
        assert_eq!(items(&store), [1, 2, 3]);
        store.now = Some(4_000);
        assert_eq!((items(&store), store.count()), (vec![], 0));
        store.apply(Write::Append { slot: 0, key: 3, bytes: vec![4] }, Some(4_000));
        assert_eq!(items(&store), [4]);
    }

    #[test]
    fn lists_keep_their_order_and_neighbours_are_left_alone() {
        let mut store = store(SlotKind::List, None);
        for (key, byte) in [(3, 9), (3, 1), (4, 5), (3, 4)] {
            store.apply(Write::Append { slot: 0, key, bytes: vec![byte] }, None);
        }
        let items = |store: &Store, key| store.scan(0, key).map(|(_, bytes)| bytes[0]).collect::<Vec<_>>();
        assert_eq!((items(&store, 3), items(&store, 4)), (vec![9, 1, 4], vec![5]));
        store.apply(Write::Clear { slot: 0, key: 3 }, None);
        assert_eq!((items(&store, 3), items(&store, 4), store.count()), (vec![], vec![5], 1));
    }
}
