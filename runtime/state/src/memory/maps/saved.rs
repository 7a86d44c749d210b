//! Map slots on their way into sections and out of them.

use crate::cell::Cell;
use crate::memory::Place;
use crate::memory::maps::{Entry, Map, MapTable};
use crate::section::{SectionWriter, Table};
use crate::seed;
use crate::touched::{Name, Touched};
use crate::versions::Versions;
use crate::writes::Life;

impl MapTable {
    /// Writes all maps, or what has changed since the last snapshot; `whole`: of a base.
    pub(crate) fn snapshot(&mut self, whole: bool, place: Place<'_>, into: &mut SectionWriter) {
        let (tracked, names) = (self.touched.is_tracked(), self.touched.take());
        if whole || !tracked {
            if !whole {
                into.anew(Table::Maps(place.id()));
            }
            self.maps.iter_mut().for_each(|map| map.save(place, into));
            return;
        }
        let seed = seed::seed();
        for names in names.sorted().chunk_by(|one, other| one.0 == other.0) {
            let Some((key, first)) = names.first() else { continue };
            match (self.maps.find_mut(seed::hash(key, seed), |map| *map.key == **key), first) {
                (Some(map), None) => map.save(place, into),
                (Some(map), Some(_)) => map.save_changed(names, place, into),
                (None, None) => into.map(place.id(), key, true, std::iter::empty()),
                (None, Some(_)) => into.map(place.id(), key, false, names.iter().filter_map(|name| Some((name.1?, None)))),
            }
        }
    }

    /// The next snapshot has to say what becomes of a key's whole map.
    pub(crate) fn mark_map_unsaved(&mut self, key: &[u8]) {
        self.touched.push((key, None), self.bytes);
    }

    /// The next snapshot has to say what becomes of an entry.
    pub(crate) fn mark_unsaved(&mut self, key: &[u8], map_key: &[u8]) {
        let found = self.maps.find_mut(seed::hash(key, seed::seed()), |map| *map.key == *key);
        let entry = found.and_then(|map| map.entries.get_mut(map_key));
        if !entry.is_some_and(|entry| std::mem::replace(&mut entry.noted, true)) {
            self.touched.push((key, Some(map_key)), self.bytes);
        }
    }

    /// There is nothing: what follows is what was saved.
    pub(crate) fn restore_anew(&mut self, place: Place<'_>, versions: &mut Versions) {
        let entries = self.maps.iter().flat_map(|map| map.entries.values());
        entries.for_each(|entry| versions.replace(place.index, Some(entry.version), None));
        *self = Self { touched: Touched::restored(), ..Self::default() };
    }

    /// A key has no map: what follows is what was saved.
    pub(crate) fn restore_map_anew(&mut self, key: &[u8], place: Place<'_>, versions: &mut Versions) {
        self.clear((key, seed::hash(key, seed::seed())), place, versions);
        self.touched.settle();
    }

    /// Sets or removes an entry as it was saved.
    pub(crate) fn restore(&mut self, key: &[u8], place: Place<'_>, map_key: &[u8], cell: Option<Cell<'_>>, versions: &mut Versions) {
        let found = (key, seed::hash(key, seed::seed()));
        let Some(cell) = cell else {
            self.remove(found, place, map_key, versions);
            return;
        };
        self.put(found, place, map_key, (cell, Life::Anew), versions);
        let map = self.maps.find_mut(found.1, |map| *map.key == *key);
        if let Some(entry) = map.and_then(|map| map.entries.get_mut(map_key)) {
            entry.noted = false;
        }
    }
}

impl Map {
    /// Writes all entries.
    fn save(&mut self, place: Place<'_>, into: &mut SectionWriter) {
        into.map(place.id(), &self.key, true, self.entries.iter().map(|(map_key, entry)| (&**map_key, Some(entry.cell()))));
        self.entries.values_mut().for_each(|entry| entry.noted = false);
    }

    /// Writes the entries of these names, or that they are gone.
    fn save_changed(&mut self, names: &[Name<'_>], place: Place<'_>, into: &mut SectionWriter) {
        for map_key in names.iter().filter_map(|name| name.1) {
            if let Some(entry) = self.entries.get_mut(map_key) {
                entry.noted = false;
            }
        }
        let entries = names.iter().filter_map(|name| name.1).map(|map_key| (map_key, self.entries.get(map_key).map(Entry::cell)));
        into.map(place.id(), &self.key, false, entries);
    }
}
