//! The list slots: of each key a head, and its entries in pieces that are named by where they begin.
//!
//! What is appended fills the last piece while that is small, so that neither many small appends make many records nor a long list is
//! written again for each.

use crate::StateError;
use crate::backend::ListPage;
use crate::cell::{self, Cell};
use crate::disk::data::{Data, Found, Place};
use crate::disk::keys::{self, Name};
use crate::disk::record::{ListHead, Record};
use crate::section::{SectionWriter, Table};
use crate::writes::ListWrites;
use std::collections::BTreeMap;
use stygian_core::EventTime;

/// A piece of this many bytes is not appended to by a later call; few in tests, so that lists have many.
const SMALL: u64 = if cfg!(test) { 8 } else { 1024 };
/// Of what one call appends, a piece of this many bytes is followed by another.
const LARGE: usize = if cfg!(test) { 16 } else { 16 * 1024 };

impl Data {
    fn list_head(&self, place: Place<'_>, key: &[u8]) -> Result<(Found, Option<ListHead>), StateError> {
        let found = self.find(keys::head(place.group, place.index, key))?;
        let head = self.read_list_head(place.index, &found)?;
        Ok((found, head))
    }

    /// What a head says; what a snapshot has told since it was written counts as saved.
    fn read_list_head(&self, slot: usize, found: &Found) -> Result<Option<ListHead>, StateError> {
        let Some(content) = found.content() else { return Ok(None) };
        let head = ListHead::read(content).ok_or_else(|| self.damaged(slot, "the head of a list cannot be read"))?;
        Ok(Some(if found.is_touched { head } else { ListHead { saved: head.bytes, ..head } }))
    }

    /// Entries from a byte on, up to about `most` bytes.
    pub(crate) fn list(&self, place: Place<'_>, key: &[u8], from: u64, most: usize, watermark: EventTime) -> Result<ListPage, StateError> {
        let mut page = ListPage::default();
        let (_, head) = self.list_head(place, key)?;
        let head = head.filter(|head| !place.slot.is_expired(head.written, watermark) && from < head.bytes);
        let Some(head) = head else { return Ok(page) };
        let mut at = from;
        for piece in self.pieces_from(place, key, from)? {
            let (_, start, cells) = self.piece(place, piece?)?;
            let mut rest = usize::try_from(at.saturating_sub(start)).ok().and_then(|at| cells.get(at..)).unwrap_or_default();
            while !rest.is_empty() {
                if !page.entries.is_empty() && page.entries.bytes().len() >= most {
                    page.next = Some(at);
                    return Ok(page);
                }
                let before = rest.len();
                let entry = self.entry_of(place, &mut rest)?;
                if entry.version != place.slot.version {
                    page.other_versions.push((page.entries.len(), entry.version));
                    page.places.push(at);
                }
                page.entries.push(entry.bytes);
                at += (before - rest.len()) as u64;
            }
        }
        if at == head.bytes { Ok(page) } else { Err(self.damaged(place.index, "a list is shorter than its head says")) }
    }

    /// The pieces of a list from the one with a byte on; nothing is pending of it.
    fn pieces_from(&self, place: Place<'_>, key: &[u8], from: u64) -> Result<crate::disk::store::Records, StateError> {
        let all = keys::pieces(place.group, place.index, key);
        let behind = keys::behind(&all);
        let start = if from == 0 {
            None
        } else {
            let up_to = keys::piece(place.group, place.index, key, &(from + 1).to_be_bytes());
            // The first that is no trace: those are left where pieces of an earlier list began.
            let is_piece = |was: &[u8]| Record::read(was).is_some_and(|record| record.content.is_some());
            self.store.stored(all.clone(), up_to).last(is_piece)?.map(|(key, _)| key.to_vec())
        };
        Ok(self.store.stored(start.unwrap_or(all), behind))
    }

    /// Where a piece begins, and its cells; none where it is a trace only.
    fn piece(&self, place: Place<'_>, (key, was): (fjall::UserKey, fjall::UserValue)) -> Result<(Found, u64, Vec<u8>), StateError> {
        let start = match keys::name(&key) {
            Some(Name::Piece { name, .. }) => name.try_into().ok().map(u64::from_be_bytes),
            _ => None,
        };
        let start = start.ok_or_else(|| self.damaged(place.index, "a piece of a list has no place"))?;
        let found = self.found(key.to_vec(), Some(was))?;
        let cells = found.content().unwrap_or_default().to_vec();
        Ok((found, start, cells))
    }

    fn entry_of<'a>(&self, place: Place<'_>, rest: &mut &'a [u8]) -> Result<Cell<'a>, StateError> {
        cell::take(rest, false).flatten().ok_or_else(|| self.damaged(place.index, "an entry of a list cannot be read"))
    }

    /// Applies what a call does to a list, at a time and a watermark.
    pub(crate) fn write_list(
        &mut self,
        place: Place<'_>,
        key: &[u8],
        (written, watermark): (i64, EventTime),
        write: &ListWrites,
    ) -> Result<(), StateError> {
        if write.clear {
            self.remove_list(place, key)?;
        }
        if write.append.is_empty() && write.migrated.is_empty() {
            return Ok(());
        }
        let (_, head) = self.list_head(place, key)?;
        let (mut since, mut cells) = (if write.append.is_empty() { i64::MIN } else { written }, Vec::new());
        if let Some(head) = head {
            since = since.max(head.written);
            if place.slot.is_expired(head.written, watermark) {
                self.remove_list(place, key)?;
            } else if !write.migrated.is_empty() {
                cells = self.migrated(place, key, &write.migrated)?;
                self.remove_list(place, key)?;
            }
        }
        for bytes in write.append.iter() {
            cell::push(&mut cells, false, Some(&Cell { version: place.slot.version, written, bytes }));
        }
        self.append(place, key, since, &cells)
    }

    /// All entries of a list, some of them in another form.
    fn migrated(&self, place: Place<'_>, key: &[u8], migrated: &BTreeMap<u64, Vec<u8>>) -> Result<Vec<u8>, StateError> {
        let all = self.cells_from(place, key, 0)?;
        let (mut rest, mut cells) = (all.as_slice(), Vec::with_capacity(all.len()));
        while !rest.is_empty() {
            let at = (all.len() - rest.len()) as u64;
            let mut entry = self.entry_of(place, &mut rest)?;
            if let Some(bytes) = migrated.get(&at) {
                entry = Cell { version: place.slot.version, bytes, ..entry };
            }
            cell::push(&mut cells, false, Some(&entry));
        }
        Ok(cells)
    }

    /// Appends cells, and dates the list.
    fn append(&mut self, place: Place<'_>, key: &[u8], written: i64, cells: &[u8]) -> Result<(), StateError> {
        let (found, head) = self.list_head(place, key)?;
        if head.is_none() {
            self.counts.add_key(place.group, key);
        }
        let mut head = ListHead { written, ..head.unwrap_or_default() };
        self.counts.add_bytes(cells.len() as u64);
        let mut rest = cells;
        while !rest.is_empty() {
            let is_small = head.bytes > head.last && head.bytes - head.last < SMALL;
            if !is_small {
                head.last = head.bytes;
            }
            let piece = self.find(keys::piece(place.group, place.index, key, &head.last.to_be_bytes()))?;
            let mut content = if is_small { piece.content().unwrap_or_default().to_vec() } else { Vec::new() };
            let room = LARGE.saturating_sub(content.len());
            let taken = self.take_entries(place, &mut rest, room)?;
            content.extend_from_slice(taken);
            head.bytes += taken.len() as u64;
            self.put(piece, place.index, &content)?;
        }
        self.put(found, place.index, &head.write())
    }

    /// Takes entries of about so many bytes, one at least, and counts them.
    fn take_entries<'a>(&mut self, place: Place<'_>, rest: &mut &'a [u8], room: usize) -> Result<&'a [u8], StateError> {
        let all = *rest;
        while !rest.is_empty() && (all.len() == rest.len() || all.len() - rest.len() < room) {
            let entry = self.entry_of(place, rest)?;
            self.counts.versions.replace(place.index, None, Some(entry.version));
        }
        Ok(&all[..all.len() - rest.len()])
    }

    pub(crate) fn remove_list(&mut self, place: Place<'_>, key: &[u8]) -> Result<(), StateError> {
        let (found, head) = self.list_head(place, key)?;
        let Some(head) = head else { return Ok(()) };
        for piece in self.store.scan(&keys::pieces(place.group, place.index, key))? {
            let (piece, _, cells) = self.piece(place, piece?)?;
            let mut rest = cells.as_slice();
            while !rest.is_empty() {
                let entry = self.entry_of(place, &mut rest)?;
                self.counts.versions.replace(place.index, Some(entry.version), None);
            }
            self.remove(piece)?;
        }
        self.counts.take_bytes(head.bytes);
        self.counts.take_key(place.group, key);
        self.remove(found)
    }

    /// All entries of a list, from a byte on, as they stand.
    fn cells_from(&self, place: Place<'_>, key: &[u8], from: u64) -> Result<Vec<u8>, StateError> {
        let mut all = Vec::new();
        for piece in self.pieces_from(place, key, from)? {
            let (_, start, cells) = self.piece(place, piece?)?;
            let skip = usize::try_from(from.saturating_sub(start)).unwrap_or(usize::MAX);
            all.extend_from_slice(cells.get(skip..).unwrap_or_default());
        }
        Ok(all)
    }

    pub(crate) fn save_all_lists(&mut self, place: Place<'_>, anew: bool, into: &mut SectionWriter) -> Result<(), StateError> {
        if anew {
            into.anew(Table::Lists(place.id()));
        }
        // The head of a list stands before its pieces.
        let mut list: Option<(Vec<u8>, ListHead, Vec<u8>)> = None;
        for record in self.store.scan(&keys::of_slot(place.group, place.index))? {
            let (key, was) = record?;
            let found = self.found(key.to_vec(), Some(was))?;
            match (keys::name(&found.key), found.content(), &mut list) {
                (Some(Name::Head { key, .. }), Some(_), _) => {
                    let head = self.read_list_head(place.index, &found)?.unwrap_or_default();
                    if let Some((key, head, cells)) = list.replace((key.to_vec(), head, Vec::new())) {
                        into.list(place.id(), &key, head.written, 0, &cells);
                    }
                }
                (Some(Name::Piece { .. }), Some(content), Some((_, _, cells))) => cells.extend_from_slice(content),
                (_, None, _) => self.told.push(found.key),
                _ => return Err(self.damaged(place.index, "a piece of a list belongs to none")),
            }
        }
        if let Some((key, head, cells)) = list {
            into.list(place.id(), &key, head.written, 0, &cells);
        }
        Ok(())
    }

    /// Writes what has become of a list.
    pub(crate) fn save_list(&mut self, place: Place<'_>, key: &[u8], found: Found, into: &mut SectionWriter) -> Result<(), StateError> {
        match self.read_list_head(place.index, &found)? {
            Some(head) => {
                let more = if head.saved < head.bytes { self.cells_from(place, key, head.saved)? } else { Vec::new() };
                into.list(place.id(), key, head.written, head.saved, &more);
            }
            None => {
                into.list(place.id(), key, i64::MIN, 0, &[]);
                self.told.push(found.key);
            }
        }
        Ok(())
    }

    /// The next snapshot has to say what becomes of a list behind its first bytes.
    pub(crate) fn mark_list(&mut self, place: Place<'_>, key: &[u8], stay: u64) -> Result<(), StateError> {
        let (found, head) = self.list_head(place, key)?;
        match head {
            Some(head) => self.put(found, place.index, &ListHead { saved: head.saved.min(stay), ..head }.write()),
            None => self.store.touch(found.key),
        }
    }

    /// Changes a list as it was saved.
    pub(crate) fn restore_list(
        &mut self,
        place: Place<'_>,
        key: &[u8],
        (written, stay, more): (i64, u64, &[u8]),
    ) -> Result<(), StateError> {
        if stay == 0 && more.is_empty() {
            return self.remove_list(place, key);
        }
        let (_, head) = self.list_head(place, key)?;
        if stay == head.map_or(0, |head| head.bytes) {
            return self.append(place, key, written, more);
        }
        self.store.end_batch()?;
        let mut cells = if head.is_some() { self.cells_from(place, key, 0)? } else { Vec::new() };
        let end = usize::try_from(stay).ok().filter(|stay| is_end(&cells, *stay));
        let end = end.ok_or_else(|| StateError::Damaged {
            slot: place.slot.name.clone(),
            what: "a change of a list begins where none of its entries ends".to_owned(),
        })?;
        cells.truncate(end);
        cells.extend_from_slice(more);
        self.remove_list(place, key)?;
        self.append(place, key, written, &cells)
    }

    /// The lists of a slot are gone: what follows is what was saved.
    pub(crate) fn restore_lists_anew(&mut self, place: Place<'_>) -> Result<(), StateError> {
        for record in self.store.scan(&keys::of_slot(place.group, place.index))? {
            if let Some(Name::Head { key, .. }) = keys::name(&record?.0) {
                self.remove_list(place, key)?;
                self.store.relieve()?;
            }
        }
        Ok(())
    }

    /// Drops a list that has expired.
    pub(crate) fn sweep_list(&mut self, place: Place<'_>, key: &[u8], found: &Found, watermark: EventTime) -> Result<(), StateError> {
        match self.read_list_head(place.index, found)? {
            Some(head) if place.slot.is_expired(head.written, watermark) => self.remove_list(place, key),
            _ => Ok(()),
        }
    }
}

/// Whether one of the entries ends there, or the first begins.
fn is_end(entries: &[u8], at: usize) -> bool {
    let mut rest = entries;
    while entries.len() - rest.len() < at && cell::take(&mut rest, false).flatten().is_some() {}
    entries.len() - rest.len() == at
}
