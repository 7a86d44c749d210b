//! The backend in memory: per key group a table of records for the value slots, and a table for each list and map slot.

mod lists;
mod maps;
mod others;
mod saved;
mod values;

use crate::StateError;
use crate::backend::{ListPage, MapPage, StateBackend, StateSize};
use crate::distinct::DistinctKeys;
use crate::slot::{Slot, SlotId};
use crate::versions::Versions;
use crate::writes::{CallWrites, OtherVersion, Stored};
use crate::{Entry, SectionWriter};
use lists::ListTable;
use maps::MapTable;
use others::Others;
use std::collections::BTreeMap;
use std::sync::Arc;
use stygian_core::{ByteSize, EventTime, KeyGroup, SavedSection, StateSection};
use values::{Found, ValueTable};

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
    versions: Versions,
    scratch: Vec<u8>,
}

/// A slot and its index.
#[derive(Clone, Copy)]
struct Place<'s> {
    index: usize,
    slot: &'s Slot,
}

impl Place<'_> {
    fn id(self) -> SlotId {
        SlotId(self.index)
    }
}

impl MemoryBackend {
    /// No state yet.
    pub fn new(slots: Arc<[Slot]>) -> Self {
        let versions = Versions::new(&slots);
        Self { slots, values: Vec::new(), others: Vec::new(), sweep: 0, size: StateSize::default(), versions, scratch: Vec::new() }
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

    fn values_mut(&mut self, group: usize) -> &mut ValueTable {
        if self.values.len() <= group {
            self.values.resize_with(group + 1, ValueTable::default);
        }
        &mut self.values[group]
    }

    /// The lists and maps of a group, and how many values there are of each version.
    fn others_mut(&mut self, group: usize) -> (&mut Others, &mut Versions) {
        if self.others.len() <= group {
            self.others.resize_with(group + 1, || None);
        }
        let others = self.others[group].get_or_insert_with(|| Box::new(Others::new(self.slots.len())));
        (others, &mut self.versions)
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
        let none = ValueTable::default();
        let table = |key: usize| self.values.get(usize::from(keys.group(key).0)).unwrap_or(&none);
        // Tables first, records then: many look-ups are under way at once if none waits for what another one finds.
        into.places.extend((0..keys.len()).map(|key| u64::from(table(key).guess(keys.hash(key)))));
        for (key, place) in into.places.iter_mut().enumerate() {
            let table = table(key);
            // What was just written there.
            #[allow(clippy::cast_possible_truncation)]
            let found = table.find_from(*place as u32, keys.keys().get(key), keys.hash(key));
            *place = place_at(table, found);
            table.read(found, &self.slots, watermark, |place, cell| {
                if let Some(values) = into.values.get_mut(place.index) {
                    values.push(cell.map(|cell| cell.bytes));
                }
                if let Some(cell) = cell.filter(|cell| cell.version != place.slot.version) {
                    into.other_versions.push(OtherVersion { slot: place.id(), key, version: cell.version });
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
    ) -> Result<Option<(u32, Vec<u8>)>, StateError> {
        let table = self.map_table(slot, keys, key);
        let cell = table.and_then(|(table, slot)| table.get(keys.key_and_hash(key), slot, map_key, watermark));
        Ok(cell.map(|cell| (cell.version, cell.bytes.to_vec())))
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
            let (table, written, change) = (self.values_mut(group), writes.written(key), |slot| writes.value(slot, key));
            let loaded = stored.places.get(key).copied().and_then(|loaded| still_at(table, loaded));
            if writes.changes_values_alone(key) && loaded.is_some_and(|place| table.overwrite(place, &slots, written, change)) {
                continue;
            }
            let before = self.size_of(group);
            if writes.changes_values(key) {
                let (key, hash) = keys.key_and_hash(key);
                let table = &mut self.values[group];
                let found = Found { key, hash, place: loaded.unwrap_or_else(|| table.find(key, hash)) };
                table.write(found, &slots, written, &mut self.scratch, &mut self.versions, change)?;
            }
            if !writes.changes_values_alone(key) {
                let (others, versions) = self.others_mut(group);
                others.write((keys.key_and_hash(key), key), &slots, stored.watermark, writes, versions);
            }
            self.count(group, before);
        }
        Ok(())
    }

    fn sweep(&mut self, watermark: EventTime) -> Result<(), StateError> {
        let at = self.sweep;
        self.sweep = if at + 1 < self.values.len().max(self.others.len()) { at + 1 } else { 0 };
        let before = self.size_of(at);
        if let Some(values) = self.values.get_mut(at) {
            values.sweep(&self.slots, watermark, &mut self.versions);
        }
        if let Some(others) = self.others.get_mut(at).and_then(Option::as_deref_mut) {
            others.sweep(&self.slots, watermark, &mut self.versions);
        }
        self.count(at, before);
        Ok(())
    }

    fn is_unsaved(&self, group: KeyGroup, whole: bool) -> bool {
        self.group_is_unsaved(usize::from(group.0), whole)
    }

    fn snapshot(&mut self, group: KeyGroup, whole: bool, into: &mut SectionWriter) -> Result<(), StateError> {
        self.save_group(usize::from(group.0), whole, into);
        Ok(())
    }

    fn mark_unsaved(&mut self, group: KeyGroup, entry: &Entry<'_>) -> Result<(), StateError> {
        self.mark_entry(usize::from(group.0), entry);
        Ok(())
    }

    fn restore(&mut self, group: KeyGroup, entry: &Entry<'_>) -> Result<(), StateError> {
        let group = usize::from(group.0);
        let before = self.size_of(group);
        self.restore_entry(group, entry)?;
        self.count(group, before);
        Ok(())
    }

    /// Nothing in memory outlives the process.
    fn resume(&mut self, _saved: &[SavedSection]) -> Result<Option<i64>, StateError> {
        Ok(None)
    }

    fn snapshot_ended(&mut self, _sections: &[StateSection], _time: i64) -> Result<(), StateError> {
        Ok(())
    }

    fn section_lost(&mut self, _section: &StateSection) -> Result<(), StateError> {
        Ok(())
    }

    fn section_restored(&mut self, _section: &StateSection) -> Result<(), StateError> {
        Ok(())
    }

    fn versions(&self, slot: SlotId) -> BTreeMap<u32, u64> {
        self.versions.of(slot.0)
    }

    fn shrink(&mut self) {
        for group in 0..self.values.len().max(self.others.len()) {
            let before = self.size_of(group);
            if let Some(values) = self.values.get_mut(group) {
                values.shrink(&self.slots);
            }
            if let Some(others) = self.others.get_mut(group).and_then(Option::as_deref_mut) {
                others.shrink();
            }
            self.count(group, before);
        }
    }

    fn size(&self) -> StateSize {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;
    use crate::writes::{Change, Life};
    use proptest::prelude::*;

    #[test]
    fn what_was_deleted_stays_deleted_when_the_checkpoint_that_says_so_fails() {
        assert_eq!(conformance::check_emptied(&|slots| Box::new(MemoryBackend::new(slots))), Ok(()));
    }

    #[test]
    fn a_key_is_told_from_those_whose_hashes_look_alike() {
        let slots = [Slot { name: "number".into(), kind: stygian_core::SlotKind::Value, version: 1, ttl_micros: None }];
        let (mut table, mut versions, mut scratch, seed) = (ValueTable::default(), Versions::new(&slots), Vec::new(), crate::seed::seed());
        // A table knows 7 bits of a hash, so some of 1,000 are alike.
        for number in 0..1_000_u32 {
            let key = number.to_le_bytes();
            let found = Found { key: &key, hash: crate::seed::hash(&key, seed), place: values::NOWHERE };
            let put = |_| Change::Put(&key, Life::Goes);
            table.write(found, &slots, i64::MIN, &mut scratch, &mut versions, put).expect("small");
        }
        for number in 0..2_000_u32 {
            let key = number.to_le_bytes();
            let hash = crate::seed::hash(&key, seed);
            let (place, mut value) = (table.find_from(table.guess(hash), &key, hash), None);
            table.read(place, &slots, EventTime::MIN, |_, cell| value = cell.map(|cell| cell.bytes.to_vec()));
            assert_eq!(value, (number < 1_000).then(|| key.to_vec()));
        }
    }

    proptest! {
        #[test]
        fn does_what_every_backend_must(seed in any::<u64>()) {
            let checked = conformance::check(&|slots| Box::new(MemoryBackend::new(slots)), seed, 80);
            prop_assert_eq!(checked, Ok(()));
        }
    }
}
