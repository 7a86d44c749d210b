//! The backend in memory: per key group a table of records for the value slots, and a table for each list and map slot.

mod lists;
mod maps;
mod values;
mod varint;

use crate::StateError;
use crate::backend::{ListPage, MapPage, StateBackend, StateSize};
use crate::distinct::DistinctKeys;
use crate::slot::{Slot, SlotId};
use crate::writes::{CallWrites, Stored};
use lists::ListTable;
use maps::MapTable;
use std::sync::Arc;
use stygian_core::{ByteSize, EventTime, KeyGroup};
use values::ValueTable;

/// Keyed state in memory.
#[derive(Debug)]
pub struct MemoryBackend {
    slots: Arc<[Slot]>,
    /// By number of the group; side by side, as every key of a call comes here.
    values: Vec<ValueTable>,
    /// By number of the group; those without lists and maps are not there.
    others: Vec<Option<Box<Others>>>,
    /// The group that is swept next.
    sweep: usize,
    size: StateSize,
    scratch: Vec<u8>,
}

/// The lists and maps of one key group.
#[derive(Debug)]
struct Others {
    /// One a slot; those of other kinds stay empty.
    lists: Vec<ListTable>,
    maps: Vec<MapTable>,
}

impl Others {
    fn new(slots: usize) -> Self {
        Self { lists: (0..slots).map(|_| ListTable::default()).collect(), maps: (0..slots).map(|_| MapTable::default()).collect() }
    }

    fn size(&self) -> StateSize {
        let (lists, maps) = (self.lists.iter(), self.maps.iter());
        let keys = lists.clone().map(ListTable::keys).sum::<u64>() + maps.clone().map(MapTable::keys).sum::<u64>();
        let bytes = lists.map(ListTable::bytes).sum::<usize>() + maps.map(MapTable::bytes).sum::<usize>();
        StateSize { keys, bytes: ByteSize(bytes as u64) }
    }
}

impl MemoryBackend {
    /// No state yet.
    pub fn new(slots: Arc<[Slot]>) -> Self {
        Self { slots, values: Vec::new(), others: Vec::new(), sweep: 0, size: StateSize::default(), scratch: Vec::new() }
    }

    fn others(&self, group: KeyGroup) -> Option<&Others> {
        self.others.get(usize::from(group.0))?.as_deref()
    }

    fn list_table(&self, slot: SlotId, keys: &DistinctKeys, key: usize) -> Option<(&ListTable, &Slot)> {
        self.others(keys.group(key))?.lists.get(slot.0).zip(self.slots.get(slot.0))
    }

    fn map_table(&self, slot: SlotId, keys: &DistinctKeys, key: usize) -> Option<(&MapTable, &Slot)> {
        self.others(keys.group(key))?.maps.get(slot.0).zip(self.slots.get(slot.0))
    }

    /// What all value slots of a group, and all its lists and maps, take.
    fn size_of(&self, group: usize) -> StateSize {
        let others = self.others.get(group).and_then(Option::as_deref).map(Others::size).unwrap_or_default();
        let (keys, bytes) = self.values.get(group).map_or((0, 0), |values| (values.keys(), values.bytes()));
        StateSize { keys: keys + others.keys, bytes: ByteSize(bytes as u64 + others.bytes.0) }
    }

    /// Counts what a change of a group has added, or taken away.
    fn count(&mut self, group: usize, before: StateSize) {
        let after = self.size_of(group);
        self.size.keys = (self.size.keys + after.keys).saturating_sub(before.keys);
        self.size.bytes = ByteSize((self.size.bytes.0 + after.bytes.0).saturating_sub(before.bytes.0));
    }

    /// Changes lists and maps of a key.
    fn write_others(&mut self, keys: &DistinctKeys, key: usize, watermark: EventTime, writes: &CallWrites) {
        let (group, written, found) = (usize::from(keys.group(key).0), writes.written(key), keys.key_and_hash(key));
        if self.others.len() <= group {
            self.others.resize_with(group + 1, || None);
        }
        let others = self.others[group].get_or_insert_with(|| Box::new(Others::new(self.slots.len())));
        for (at, list) in writes.lists(key) {
            let Some((slot, lists)) = self.slots.get(at).zip(others.lists.get_mut(at)) else { continue };
            if list.clear {
                lists.remove(found);
            }
            if !list.append.is_empty() {
                lists.append(found, slot, written, watermark, &list.append);
            }
        }
        for (at, map) in writes.maps(key) {
            if let Some(maps) = others.maps.get_mut(at) {
                maps.write(found, written, map);
            }
        }
    }
}

/// A place together with how often its table had moved its records: what [`StateBackend::load`] leaves for the write.
fn place_at(table: &ValueTable, place: u32) -> u64 {
    u64::from(table.compactions()) << 32 | u64::from(place)
}

/// The place that was loaded, if nothing has moved since.
#[allow(clippy::cast_possible_truncation)] // the lower half
fn still_at(table: &ValueTable, loaded: u64) -> Option<u32> {
    (loaded == place_at(table, loaded as u32)).then_some(loaded as u32)
}

impl StateBackend for MemoryBackend {
    fn load(&mut self, keys: &DistinctKeys, watermark: EventTime, into: &mut Stored) -> Result<(), StateError> {
        // Places first, values then: many look-ups are under way at once if nothing else stands between them.
        let none = ValueTable::default();
        let table = |key: usize| self.values.get(usize::from(keys.group(key).0)).unwrap_or(&none);
        into.places.extend((0..keys.len()).map(|key| {
            let table = table(key);
            place_at(table, table.find(keys.keys().get(key), keys.hash(key)))
        }));
        for key in 0..keys.len() {
            let (table, place) = (table(key), into.places.get(key).copied().unwrap_or_default());
            // The lower half.
            #[allow(clippy::cast_possible_truncation)]
            table.read(place as u32, &self.slots, watermark, |slot, value| {
                if let Some(values) = into.values.get_mut(slot) {
                    values.push(value);
                }
            });
        }
        Ok(())
    }

    fn list(
        &self,
        slot: SlotId,
        keys: &DistinctKeys,
        key: usize,
        from: u64,
        most_bytes: usize,
        watermark: EventTime,
    ) -> Result<ListPage, StateError> {
        let table = self.list_table(slot, keys, key);
        let read = |(table, slot): (&ListTable, &Slot)| table.read(keys.key_and_hash(key), slot, from, most_bytes, watermark);
        Ok(table.map(read).unwrap_or_default())
    }

    fn entry(
        &self,
        slot: SlotId,
        keys: &DistinctKeys,
        key: usize,
        map_key: &[u8],
        watermark: EventTime,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let table = self.map_table(slot, keys, key);
        Ok(table.and_then(|(table, slot)| table.get(keys.key_and_hash(key), slot, map_key, watermark)).map(<[u8]>::to_vec))
    }

    fn entries(
        &self,
        slot: SlotId,
        keys: &DistinctKeys,
        key: usize,
        after: Option<&[u8]>,
        most_bytes: usize,
        watermark: EventTime,
    ) -> Result<MapPage, StateError> {
        let table = self.map_table(slot, keys, key);
        let read = |(table, slot): (&MapTable, &Slot)| table.page(keys.key_and_hash(key), slot, after, most_bytes, watermark);
        Ok(table.map(read).unwrap_or_default())
    }

    fn write(&mut self, keys: &DistinctKeys, stored: &Stored, writes: &CallWrites) -> Result<(), StateError> {
        let slots = self.slots.clone();
        for key in writes.changed() {
            let group = usize::from(keys.group(key).0);
            if self.values.len() <= group {
                self.values.resize_with(group + 1, ValueTable::default);
            }
            let (table, written, change) = (&mut self.values[group], writes.written(key), |slot| writes.value(slot, key));
            let loaded = stored.places.get(key).copied().and_then(|loaded| still_at(table, loaded));
            if writes.changes_values_alone(key) && loaded.is_some_and(|place| table.overwrite(place, &slots, written, change)) {
                continue;
            }
            let before = self.size_of(group);
            if writes.changes_values(key) {
                let (key, hash) = keys.key_and_hash(key);
                let table = &mut self.values[group];
                let place = loaded.unwrap_or_else(|| table.find(key, hash));
                table.write((key, hash, place), &slots, written, &mut self.scratch, change)?;
            }
            if !writes.changes_values_alone(key) {
                self.write_others(keys, key, stored.watermark, writes);
            }
            self.count(group, before);
        }
        Ok(())
    }

    fn sweep(&mut self, watermark: EventTime) {
        let at = self.sweep;
        self.sweep = if at + 1 < self.values.len().max(self.others.len()) { at + 1 } else { 0 };
        let before = self.size_of(at);
        if let Some(values) = self.values.get_mut(at) {
            values.sweep(&self.slots, watermark);
        }
        if let Some(others) = self.others.get_mut(at).and_then(Option::as_deref_mut) {
            for (index, slot) in self.slots.iter().enumerate() {
                others.lists[index].sweep(slot, watermark);
                others.maps[index].sweep(slot, watermark);
            }
        }
        self.count(at, before);
    }

    fn size(&self) -> StateSize {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn does_what_every_backend_must(seed in any::<u64>()) {
            let checked = conformance::check(|slots| Box::new(MemoryBackend::new(slots)), seed, 60);
            prop_assert_eq!(checked, Ok(()));
        }
    }
}
