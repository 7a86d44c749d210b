//! A map slot of one key group's keys: for each key its entries in the order of their map keys, each with the time of its last write.
//!
//! For snapshots, the names of entries that were touched are remembered, and those of keys whose map was removed.

use crate::backend::MapPage;
use crate::cell::Cell;
use crate::memory::Place;
use crate::seed;
use crate::slot::Slot;
use crate::touched::Touched;
use crate::versions::Versions;
use crate::writes::{Life, MapWrites};
use hashbrown::HashTable;
use std::collections::BTreeMap;
use std::ops::Bound;
use stygian_core::EventTime;

mod saved;

#[derive(Debug)]
struct Map {
    key: Box<[u8]>,
    entries: BTreeMap<Box<[u8]>, Entry>,
}

#[derive(Debug)]
struct Entry {
    written: i64,
    value: Box<[u8]>,
    version: u32,
    /// Whether its name is remembered for the next snapshot.
    noted: bool,
}

#[derive(Debug, Default)]
pub(crate) struct MapTable {
    maps: HashTable<Map>,
    bytes: usize,
    touched: Touched,
}

/// What a map costs beside its entries, and an entry beside its bytes: itself and its allocations.
const OVERHEAD: usize = size_of::<Map>() + 32;
const ENTRY_OVERHEAD: usize = size_of::<Box<[u8]>>() + size_of::<Entry>() + 32;

impl MapTable {
    pub(crate) fn get(&self, found: (&[u8], u64), slot: &Slot, map_key: &[u8], watermark: EventTime) -> Option<Cell<'_>> {
        let entry = self.find(found)?.entries.get(map_key).filter(|entry| !slot.is_expired(entry.written, watermark))?;
        Some(entry.cell())
    }

    pub(crate) fn page(&self, found: (&[u8], u64), slot: &Slot, after: Option<&[u8]>, most: usize, watermark: EventTime) -> MapPage {
        let mut page = MapPage::default();
        let Some(map) = self.find(found) else { return page };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = map.entries.range::<[u8], _>((from, Bound::Unbounded));
        for (map_key, entry) in entries.filter(|(_, entry)| !slot.is_expired(entry.written, watermark)) {
            if !page.keys.is_empty() && page.keys.bytes().len() + page.values.bytes().len() >= most {
                page.more = true;
                return page;
            }
            if entry.version != slot.version {
                page.other_versions.push((page.keys.len(), entry.version));
            }
            page.keys.push(map_key);
            page.values.push(&entry.value);
        }
        page
    }

    fn find(&self, (key, hash): (&[u8], u64)) -> Option<&Map> {
        self.maps.find(hash, |map| *map.key == *key)
    }

    pub(crate) fn write(&mut self, found: (&[u8], u64), place: Place<'_>, written: i64, write: &MapWrites, versions: &mut Versions) {
        if write.clear {
            self.clear(found, place, versions);
        }
        let migrated = write.left().map(|(map_key, value)| (map_key, Some(value), Life::Stays));
        let entries = write.entries.iter().map(|(map_key, value)| {
            let life = if write.anew.contains(map_key) { Life::Anew } else { Life::Goes };
            (map_key.as_slice(), value.as_deref(), life)
        });
        for (map_key, value, life) in migrated.chain(entries) {
            let noted = match value {
                Some(bytes) => self.put(found, place, map_key, (Cell { version: place.slot.version, written, bytes }, life), versions),
                None => self.remove(found, place, map_key, versions),
            };
            if !noted {
                self.touched.push((found.0, Some(map_key)), self.bytes);
            }
        }
    }

    /// Sets an entry; whether its name is remembered already.
    fn put(
        &mut self,
        (key, hash): (&[u8], u64),
        place: Place<'_>,
        map_key: &[u8],
        (cell, life): (Cell<'_>, Life),
        versions: &mut Versions,
    ) -> bool {
        let seed = seed::seed();
        let found = self.maps.entry(hash, |map| *map.key == *key, |map| seed::hash(&map.key, seed));
        let mut found = found.or_insert_with(|| {
            self.bytes += OVERHEAD + key.len();
            Map { key: key.into(), entries: BTreeMap::new() }
        });
        self.bytes += cell.bytes.len();
        let entries = &mut found.get_mut().entries;
        if let Some(entry) = entries.get_mut(map_key) {
            self.bytes -= entry.value.len();
            versions.replace(place.index, Some(entry.version), Some(cell.version));
            (entry.written, entry.version) = (life.written(cell.written, Some(entry.written)), cell.version);
            entry.value = cell.bytes.into();
            return std::mem::replace(&mut entry.noted, true);
        }
        self.bytes += ENTRY_OVERHEAD + map_key.len();
        versions.replace(place.index, None, Some(cell.version));
        entries.insert(map_key.into(), Entry { written: cell.written, value: cell.bytes.into(), version: cell.version, noted: true });
        false
    }

    /// Removes an entry; whether there is nothing to be remembered.
    fn remove(&mut self, (key, hash): (&[u8], u64), place: Place<'_>, map_key: &[u8], versions: &mut Versions) -> bool {
        let Ok(mut found) = self.maps.find_entry(hash, |map| *map.key == *key) else { return true };
        let Some(entry) = found.get_mut().entries.remove(map_key) else { return true };
        self.bytes -= entry.bytes(map_key);
        versions.replace(place.index, Some(entry.version), None);
        if found.get().entries.is_empty() {
            self.bytes -= OVERHEAD + key.len();
            found.remove();
        }
        entry.noted
    }

    fn clear(&mut self, (key, hash): (&[u8], u64), place: Place<'_>, versions: &mut Versions) {
        if let Ok(found) = self.maps.find_entry(hash, |map| *map.key == *key) {
            let (map, _) = found.remove();
            self.bytes -= map.bytes();
            map.entries.values().for_each(|entry| versions.replace(place.index, Some(entry.version), None));
            self.touched.push((key, None), self.bytes);
        }
    }

    pub(crate) fn sweep(&mut self, place: Place<'_>, watermark: EventTime, versions: &mut Versions) {
        if place.slot.ttl_micros.is_none() {
            return;
        }
        let (bytes, touched) = (&mut self.bytes, &mut self.touched);
        self.maps.retain(|map| {
            let key = &map.key;
            map.entries.retain(|map_key, entry| {
                let expired = place.slot.is_expired(entry.written, watermark);
                if expired {
                    *bytes -= entry.bytes(map_key);
                    versions.replace(place.index, Some(entry.version), None);
                    if !entry.noted {
                        touched.push((key, Some(map_key)), *bytes);
                    }
                }
                !expired
            });
            *bytes -= if map.entries.is_empty() { OVERHEAD + map.key.len() } else { 0 };
            !map.entries.is_empty()
        });
    }

    pub(crate) fn keys(&self) -> u64 {
        self.maps.len() as u64
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn touched(&self) -> &Touched {
        &self.touched
    }

    /// Gives back what room it can: none, as entries are allocated one by one.
    pub(crate) fn shrink(&mut self) {
        let seed = seed::seed();
        self.maps.shrink_to_fit(|map| seed::hash(&map.key, seed));
    }

    /// The next snapshot has to say everything.
    pub(crate) fn lose(&mut self) {
        self.touched.lose();
    }
}

impl Map {
    fn bytes(&self) -> usize {
        OVERHEAD + self.key.len() + self.entries.iter().map(|(map_key, entry)| entry.bytes(map_key)).sum::<usize>()
    }
}

impl Entry {
    fn bytes(&self, map_key: &[u8]) -> usize {
        ENTRY_OVERHEAD + map_key.len() + self.value.len()
    }

    fn cell(&self) -> Cell<'_> {
        Cell { version: self.version, written: self.written, bytes: &self.value }
    }
}
