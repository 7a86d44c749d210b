//! A map slot of one key group's keys: for each key its entries in the order of their map keys, each with the time of its last write.

use crate::backend::MapPage;
use crate::seed;
use crate::slot::Slot;
use crate::writes::MapWrites;
use hashbrown::HashTable;
use std::collections::BTreeMap;
use std::ops::Bound;
use stygian_core::EventTime;

#[derive(Debug)]
struct Map {
    key: Box<[u8]>,
    entries: BTreeMap<Box<[u8]>, Entry>,
}

#[derive(Debug)]
struct Entry {
    written: i64,
    value: Box<[u8]>,
}

#[derive(Debug, Default)]
pub(crate) struct MapTable {
    maps: HashTable<Map>,
    bytes: usize,
}

/// What a map costs beside its entries, and an entry beside its bytes: itself and its allocations.
const OVERHEAD: usize = size_of::<Map>() + 32;
const ENTRY_OVERHEAD: usize = size_of::<Box<[u8]>>() + size_of::<Entry>() + 32;

impl MapTable {
    pub(crate) fn get(&self, (key, hash): (&[u8], u64), slot: &Slot, map_key: &[u8], watermark: EventTime) -> Option<&[u8]> {
        let map = self.maps.find(hash, |map| *map.key == *key)?;
        let entry = map.entries.get(map_key).filter(|entry| !slot.is_expired(entry.written, watermark))?;
        Some(&entry.value)
    }

    pub(crate) fn page(&self, (key, hash): (&[u8], u64), slot: &Slot, after: Option<&[u8]>, most: usize, watermark: EventTime) -> MapPage {
        let mut page = MapPage::default();
        let Some(map) = self.maps.find(hash, |map| *map.key == *key) else { return page };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = map.entries.range::<[u8], _>((from, Bound::Unbounded));
        for (map_key, entry) in entries.filter(|(_, entry)| !slot.is_expired(entry.written, watermark)) {
            if !page.keys.is_empty() && page.keys.bytes().len() + page.values.bytes().len() >= most {
                page.more = true;
                return page;
            }
            page.keys.push(map_key);
            page.values.push(&entry.value);
        }
        page
    }

    pub(crate) fn write(&mut self, found: (&[u8], u64), written: i64, write: &MapWrites) {
        if write.clear {
            self.clear(found);
        }
        for (map_key, value) in &write.entries {
            match value {
                Some(value) => self.put(found, written, map_key, value),
                None => self.remove(found, map_key),
            }
        }
    }

    fn put(&mut self, (key, hash): (&[u8], u64), written: i64, map_key: &[u8], value: &[u8]) {
        let seed = seed::seed();
        let found = self.maps.entry(hash, |map| *map.key == *key, |map| seed::hash(&map.key, seed));
        let mut found = found.or_insert_with(|| {
            self.bytes += OVERHEAD + key.len();
            Map { key: key.into(), entries: BTreeMap::new() }
        });
        let replaced = found.get_mut().entries.insert(map_key.into(), Entry { written, value: value.into() });
        self.bytes += ENTRY_OVERHEAD + map_key.len() + value.len();
        self.bytes -= replaced.map_or(0, |entry| ENTRY_OVERHEAD + map_key.len() + entry.value.len());
    }

    fn remove(&mut self, (key, hash): (&[u8], u64), map_key: &[u8]) {
        let Ok(mut found) = self.maps.find_entry(hash, |map| *map.key == *key) else { return };
        if let Some(entry) = found.get_mut().entries.remove(map_key) {
            self.bytes -= ENTRY_OVERHEAD + map_key.len() + entry.value.len();
        }
        if found.get().entries.is_empty() {
            self.bytes -= OVERHEAD + key.len();
            found.remove();
        }
    }

    fn clear(&mut self, (key, hash): (&[u8], u64)) {
        if let Ok(found) = self.maps.find_entry(hash, |map| *map.key == *key) {
            let (map, _) = found.remove();
            self.bytes -= OVERHEAD + map.key.len();
            self.bytes -= map.entries.iter().map(|(key, entry)| ENTRY_OVERHEAD + key.len() + entry.value.len()).sum::<usize>();
        }
    }

    pub(crate) fn sweep(&mut self, slot: &Slot, watermark: EventTime) {
        if slot.ttl_micros.is_none() {
            return;
        }
        let bytes = &mut self.bytes;
        self.maps.retain(|map| {
            map.entries.retain(|key, entry| {
                let expired = slot.is_expired(entry.written, watermark);
                *bytes -= if expired { ENTRY_OVERHEAD + key.len() + entry.value.len() } else { 0 };
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
}
