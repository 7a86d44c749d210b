//! The map slots: of each key a head with the number of its entries, and a record for each entry, so that they stand in the order of their
//! map keys.

use crate::StateError;
use crate::backend::MapPage;
use crate::cell::{self, Cell};
use crate::disk::counts::ENTRY;
use crate::disk::data::{Data, Found, Place};
use crate::disk::keys::{self, Name};
use crate::disk::record::MapHead;
use crate::section::{SectionWriter, Table};
use crate::writes::{Life, MapWrites};
use stygian_core::EventTime;

/// A head that is changed: it is written when all entries are.
struct Open {
    found: Found,
    /// Whether there was one.
    was: bool,
    head: MapHead,
    changed: bool,
}

impl Data {
    /// An entry's cell, if it has not expired.
    pub(crate) fn entry(
        &self,
        place: Place<'_>,
        key: &[u8],
        map_key: &[u8],
        watermark: EventTime,
    ) -> Result<Option<(u32, Vec<u8>)>, StateError> {
        let found = self.find(keys::piece(place.group, place.index, key, map_key))?;
        let cell = self.read_entry(place, &found)?.filter(|cell| !place.slot.is_expired(cell.written, watermark));
        Ok(cell.map(|cell| (cell.version, cell.bytes.to_vec())))
    }

    /// Entries behind a map key, up to about `most` bytes.
    pub(crate) fn entries(
        &self,
        place: Place<'_>,
        key: &[u8],
        after: Option<&[u8]>,
        most: usize,
        watermark: EventTime,
    ) -> Result<MapPage, StateError> {
        let (mut page, all) = (MapPage::default(), keys::pieces(place.group, place.index, key));
        let behind = keys::behind(&all);
        // The first key behind another one is that with a zero at its end.
        let from = after.map_or(all, |after| [keys::piece(place.group, place.index, key, after), vec![0]].concat());
        if from.len() > keys::MOST_BYTES {
            return Ok(page);
        }
        for record in self.store.stored(from, behind) {
            let (record, was) = record?;
            let found = self.found(record.to_vec(), Some(was))?;
            let (Some(Name::Piece { name, .. }), Some(cell)) = (keys::name(&found.key), self.read_entry(place, &found)?) else { continue };
            if place.slot.is_expired(cell.written, watermark) {
                continue;
            }
            if !page.keys.is_empty() && page.keys.bytes().len() + page.values.bytes().len() >= most {
                page.more = true;
                return Ok(page);
            }
            if cell.version != place.slot.version {
                page.other_versions.push((page.keys.len(), cell.version));
            }
            page.keys.push(name);
            page.values.push(cell.bytes);
        }
        Ok(page)
    }

    fn read_entry<'a>(&self, place: Place<'_>, found: &'a Found) -> Result<Option<Cell<'a>>, StateError> {
        let Some(mut rest) = found.content() else { return Ok(None) };
        let cell = cell::take(&mut rest, place.expires()).flatten().filter(|_| rest.is_empty());
        cell.map(Some).ok_or_else(|| self.damaged(place.index, "an entry of a map cannot be read"))
    }

    fn read_map_head(&self, slot: usize, found: &Found) -> Result<Option<MapHead>, StateError> {
        let Some(content) = found.content() else { return Ok(None) };
        let head = MapHead::read(content).ok_or_else(|| self.damaged(slot, "the head of a map cannot be read"))?;
        Ok(Some(if found.is_touched { head } else { MapHead { anew: false, ..head } }))
    }

    fn open_map(&self, place: Place<'_>, key: &[u8]) -> Result<Open, StateError> {
        let found = self.find(keys::head(place.group, place.index, key))?;
        let head = self.read_map_head(place.index, &found)?;
        // What was there has to be told as gone: by its entries, or because it was lost.
        let fresh = MapHead { anew: found.is_touched, entries: 0 };
        Ok(Open { was: head.is_some(), head: head.unwrap_or(fresh), found, changed: false })
    }

    fn close_map(&mut self, place: Place<'_>, key: &[u8], map: Open) -> Result<(), StateError> {
        let Open { found, was, head, changed } = map;
        let is = head.entries > 0;
        if is && !was {
            self.counts.add_key(place.group, key);
        }
        if was && !is {
            self.counts.take_key(place.group, key);
        }
        match is {
            true if changed => self.put(found, place.index, &head.write()),
            false if was => self.remove(found),
            _ => Ok(()),
        }
    }

    /// Applies what a call does to a map at a time.
    pub(crate) fn write_map(&mut self, place: Place<'_>, key: &[u8], written: i64, write: &MapWrites) -> Result<(), StateError> {
        let mut map = self.open_map(place, key)?;
        if write.clear {
            self.clear_map(place, key, &mut map)?;
        }
        for (map_key, bytes) in write.left() {
            let cell = Cell { version: place.slot.version, written, bytes };
            self.write_entry(place, (key, map_key), Some((cell, Life::Stays)), &mut map)?;
        }
        for (map_key, value) in &write.entries {
            let cell = value.as_ref().map(|bytes| Cell { version: place.slot.version, written, bytes });
            let life = if write.anew.contains(map_key) { Life::Anew } else { Life::Goes };
            self.write_entry(place, (key, map_key), cell.map(|cell| (cell, life)), &mut map)?;
        }
        self.close_map(place, key, map)
    }

    fn clear_map(&mut self, place: Place<'_>, key: &[u8], map: &mut Open) -> Result<(), StateError> {
        if map.head.entries == 0 {
            return Ok(());
        }
        for record in self.store.scan(&keys::pieces(place.group, place.index, key))? {
            let (record, was) = record?;
            let found = self.found(record.to_vec(), Some(was))?;
            self.remove_entry(place, found)?;
        }
        (map.head, map.changed) = (MapHead { anew: true, entries: 0 }, true);
        Ok(())
    }

    /// Removes an entry; whether there was one.
    fn remove_entry(&mut self, place: Place<'_>, found: Found) -> Result<bool, StateError> {
        let Some(cell) = self.read_entry(place, &found)? else { return Ok(false) };
        let Some(Name::Piece { name, .. }) = keys::name(&found.key) else { return Ok(false) };
        self.counts.versions.replace(place.index, Some(cell.version), None);
        self.counts.take_bytes(ENTRY + (name.len() + cell.bytes.len()) as u64);
        self.remove(found)?;
        Ok(true)
    }

    /// Sets an entry, or removes it.
    fn write_entry(
        &mut self,
        place: Place<'_>,
        (key, map_key): (&[u8], &[u8]),
        cell: Option<(Cell<'_>, Life)>,
        map: &mut Open,
    ) -> Result<(), StateError> {
        let found = self.find(keys::piece(place.group, place.index, key, map_key))?;
        let Some((cell, life)) = cell else {
            if self.remove_entry(place, found)? {
                (map.head.entries, map.changed) = (map.head.entries.saturating_sub(1), true);
            }
            return Ok(());
        };
        let old = self.read_entry(place, &found)?;
        let new = Cell { written: life.written(cell.written, old.map(|old| old.written)), ..cell };
        let was = old.map(|old| (old.version, old.bytes.len()));
        self.counts.versions.replace(place.index, was.map(|(version, _)| version), Some(new.version));
        match was {
            Some((_, bytes)) => self.counts.take_bytes(bytes as u64),
            None => {
                self.counts.add_bytes(ENTRY + map_key.len() as u64);
                (map.head.entries, map.changed) = (map.head.entries + 1, true);
            }
        }
        self.counts.add_bytes(new.bytes.len() as u64);
        let mut content = Vec::with_capacity(new.bytes.len() + 14);
        cell::push(&mut content, place.expires(), Some(&new));
        self.put(found, place.index, &content)
    }

    pub(crate) fn save_all_maps(&mut self, place: Place<'_>, anew: bool, into: &mut SectionWriter) -> Result<(), StateError> {
        if anew {
            into.anew(Table::Maps(place.id()));
        }
        for record in self.store.scan(&keys::of_slot(place.group, place.index))? {
            let (key, was) = record?;
            let found = self.found(key.to_vec(), Some(was))?;
            match (keys::name(&found.key), found.content().is_some()) {
                (Some(Name::Head { key, .. }), true) => self.save_whole_map(place, key, into)?,
                (_, true) => {}
                (_, false) => self.told.push(found.key),
            }
        }
        Ok(())
    }

    /// Writes a map with all its entries.
    fn save_whole_map(&mut self, place: Place<'_>, key: &[u8], into: &mut SectionWriter) -> Result<(), StateError> {
        into.begin_map(place.id(), key, true);
        for record in self.store.scan(&keys::pieces(place.group, place.index, key))? {
            let (record, was) = record?;
            let found = self.found(record.to_vec(), Some(was))?;
            if let (Some(Name::Piece { name, .. }), Some(cell)) = (keys::name(&found.key), self.read_entry(place, &found)?) {
                into.map_entry(place.id(), name, Some(&cell));
            }
        }
        into.end_map();
        Ok(())
    }

    /// Writes what has become of a map whose records of these keys were touched, the head first if it is among them.
    pub(crate) fn save_map(
        &mut self,
        place: Place<'_>,
        key: &[u8],
        records: &[Vec<u8>],
        into: &mut SectionWriter,
    ) -> Result<(), StateError> {
        let (mut entries, mut is_open) = (records, false);
        if let [first, rest @ ..] = records
            && let Some(Name::Head { .. }) = keys::name(first)
        {
            let found = self.find(first.clone())?;
            match self.read_map_head(place.index, &found)? {
                None => {
                    into.map(place.id(), key, true, std::iter::empty());
                    self.told.extend(records.iter().cloned());
                    return Ok(());
                }
                Some(head) if head.anew => {
                    self.tell_traces(rest)?;
                    return self.save_whole_map(place, key, into);
                }
                Some(_) => entries = rest,
            }
        }
        for record in entries {
            let found = self.find(record.clone())?;
            let Some(Name::Piece { name, .. }) = keys::name(record) else { continue };
            if !std::mem::replace(&mut is_open, true) {
                into.begin_map(place.id(), key, false);
            }
            let cell = self.read_entry(place, &found)?;
            into.map_entry(place.id(), name, cell.as_ref());
            if cell.is_none() {
                self.told.push(found.key);
            }
        }
        if is_open {
            into.end_map();
        }
        Ok(())
    }

    /// The next snapshot has to say what becomes of a whole map.
    pub(crate) fn mark_map(&mut self, place: Place<'_>, key: &[u8]) -> Result<(), StateError> {
        let found = self.find(keys::head(place.group, place.index, key))?;
        match self.read_map_head(place.index, &found)? {
            Some(head) => self.put(found, place.index, &MapHead { anew: true, ..head }.write()),
            None => self.store.touch(found.key),
        }
    }

    /// A key has no map: what follows is what was saved.
    pub(crate) fn restore_map_anew(&mut self, place: Place<'_>, key: &[u8]) -> Result<(), StateError> {
        let mut map = self.open_map(place, key)?;
        self.clear_map(place, key, &mut map)?;
        self.close_map(place, key, map)
    }

    /// Sets or removes an entry as it was saved.
    pub(crate) fn restore_entry(&mut self, place: Place<'_>, key: &[u8], map_key: &[u8], cell: Option<Cell<'_>>) -> Result<(), StateError> {
        let mut map = self.open_map(place, key)?;
        self.write_entry(place, (key, map_key), cell.map(|cell| (cell, Life::Anew)), &mut map)?;
        self.close_map(place, key, map)
    }

    /// The maps of a slot are gone: what follows is what was saved.
    pub(crate) fn restore_maps_anew(&mut self, place: Place<'_>) -> Result<(), StateError> {
        for record in self.store.scan(&keys::of_slot(place.group, place.index))? {
            if let Some(Name::Head { key, .. }) = keys::name(&record?.0) {
                self.restore_map_anew(place, key)?;
                self.store.relieve()?;
            }
        }
        Ok(())
    }

    /// Drops an entry that has expired.
    pub(crate) fn sweep_entry(&mut self, place: Place<'_>, key: &[u8], found: Found, watermark: EventTime) -> Result<(), StateError> {
        if !self.read_entry(place, &found)?.is_some_and(|cell| place.slot.is_expired(cell.written, watermark)) {
            return Ok(());
        }
        let mut map = self.open_map(place, key)?;
        if self.remove_entry(place, found)? {
            (map.head.entries, map.changed) = (map.head.entries.saturating_sub(1), true);
        }
        self.close_map(place, key, map)
    }
}
