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
use values::{NOWHERE, ValueTable};

/// Keyed state in memory.
#[derive(Debug)]
pub struct MemoryBackend {
    slots: Arc<[Slot]>,
    /// By number; those without state are not there.
    groups: Vec<Option<Box<Group>>>,
    /// The group that is swept next.
    sweep: usize,
    size: StateSize,
    scratch: Vec<u8>,
}

/// The state of one key group.
#[derive(Debug)]
struct Group {
    values: ValueTable,
    /// One a slot; those of other kinds stay empty.
    lists: Vec<ListTable>,
    maps: Vec<MapTable>,
}

impl Group {
    fn new(slots: usize) -> Self {
        Self {
            values: ValueTable::default(),
            lists: (0..slots).map(|_| ListTable::default()).collect(),
            maps: (0..slots).map(|_| MapTable::default()).collect(),
        }
    }

    fn size(&self) -> StateSize {
        let (lists, maps) = (self.lists.iter(), self.maps.iter());
        let keys = self.values.keys() + lists.clone().map(ListTable::keys).sum::<u64>() + maps.clone().map(MapTable::keys).sum::<u64>();
        let bytes = self.values.bytes() + lists.map(ListTable::bytes).sum::<usize>() + maps.map(MapTable::bytes).sum::<usize>();
        StateSize { keys, bytes: ByteSize(bytes as u64) }
    }
}

impl MemoryBackend {
    /// No state yet.
    pub fn new(slots: Arc<[Slot]>) -> Self {
        Self { slots, groups: Vec::new(), sweep: 0, size: StateSize::default(), scratch: Vec::new() }
    }

    fn group(&self, group: KeyGroup) -> Option<&Group> {
        self.groups.get(usize::from(group.0))?.as_deref()
    }

    fn list_table(&self, slot: SlotId, keys: &DistinctKeys, key: usize) -> Option<(&ListTable, &Slot)> {
        self.group(keys.group(key))?.lists.get(slot.0).zip(self.slots.get(slot.0))
    }

    fn map_table(&self, slot: SlotId, keys: &DistinctKeys, key: usize) -> Option<(&MapTable, &Slot)> {
        self.group(keys.group(key))?.maps.get(slot.0).zip(self.slots.get(slot.0))
    }
}

/// A place together with how often its table had moved its records: what [`StateBackend::load`] leaves for the write.
fn place_at(table: &ValueTable, place: u32) -> u64 {
    u64::from(table.compactions()) << 32 | u64::from(place)
}

/// The place that was loaded, if nothing has moved since; else it is looked for again.
#[allow(clippy::cast_possible_truncation)] // the lower half
fn place_of(table: &ValueTable, loaded: Option<u64>, (key, hash): (&[u8], u64)) -> u32 {
    match loaded {
        Some(loaded) if loaded == place_at(table, loaded as u32) => loaded as u32,
        _ => table.find(key, hash),
    }
}

/// The group's state, made where there is none.
fn group_mut(groups: &mut Vec<Option<Box<Group>>>, group: KeyGroup, slots: usize) -> &mut Group {
    let at = usize::from(group.0);
    if groups.len() <= at {
        groups.resize_with(at + 1, || None);
    }
    groups[at].get_or_insert_with(|| Box::new(Group::new(slots)))
}

impl StateBackend for MemoryBackend {
    fn load(&mut self, keys: &DistinctKeys, watermark: EventTime, into: &mut Stored) -> Result<(), StateError> {
        for key in 0..keys.len() {
            let group = self.groups.get(usize::from(keys.group(key).0)).and_then(Option::as_deref);
            let place = group.map_or(NOWHERE, |group| group.values.find(keys.keys().get(key), keys.hash(key)));
            // A group that is made by the write of another key has not moved anything yet either.
            into.places.push(group.map_or(u64::from(NOWHERE), |group| place_at(&group.values, place)));
            let values = &mut into.values;
            let visit = |slot: usize, value: Option<&[u8]>| {
                if let Some(values) = values.get_mut(slot) {
                    values.push(value);
                }
            };
            match group {
                Some(group) => group.values.read(place, &self.slots, watermark, visit),
                None => ValueTable::default().read(NOWHERE, &self.slots, watermark, visit),
            }
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
            let group = group_mut(&mut self.groups, keys.group(key), slots.len());
            let (written, found) = (writes.written(key), keys.key_and_hash(key));
            let place = place_of(&group.values, stored.places.get(key).copied(), found);
            if writes.changes_values_alone(key) && group.values.overwrite(place, &slots, written, |slot| writes.value(slot, key)) {
                continue;
            }
            let before = group.size();
            if writes.changes_values(key) {
                group.values.write((found.0, found.1, place), &slots, written, &mut self.scratch, |slot| writes.value(slot, key))?;
            }
            for (at, list) in writes.lists(key) {
                let Some((slot, lists)) = slots.get(at).zip(group.lists.get_mut(at)) else { continue };
                if list.clear {
                    lists.remove(found);
                }
                if !list.append.is_empty() {
                    lists.append(found, slot, written, stored.watermark, &list.append);
                }
            }
            for (at, map) in writes.maps(key) {
                if let Some(maps) = group.maps.get_mut(at) {
                    maps.write(found, written, map);
                }
            }
            let after = group.size();
            self.size.keys = self.size.keys + after.keys - before.keys;
            self.size.bytes = ByteSize(self.size.bytes.0 + after.bytes.0 - before.bytes.0);
        }
        Ok(())
    }

    fn sweep(&mut self, watermark: EventTime) {
        let at = self.sweep;
        self.sweep = if at + 1 < self.groups.len() { at + 1 } else { 0 };
        let Some(group) = self.groups.get_mut(at).and_then(Option::as_deref_mut) else { return };
        let before = group.size();
        group.values.sweep(&self.slots, watermark);
        for (index, slot) in self.slots.iter().enumerate() {
            group.lists[index].sweep(slot, watermark);
            group.maps[index].sweep(slot, watermark);
        }
        let after = group.size();
        self.size.keys -= before.keys - after.keys;
        self.size.bytes = ByteSize((self.size.bytes.0 + after.bytes.0).saturating_sub(before.bytes.0));
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
