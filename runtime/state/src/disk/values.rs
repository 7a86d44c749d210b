//! The value slots: of each key one record, whose cells are laid out as in a section.

use crate::StateError;
use crate::cell::{self, Cell};
use crate::disk::data::{Data, Found, Place};
use crate::disk::keys;
use crate::section::{SectionWriter, Table};
use crate::slot::{Slot, SlotId};
use crate::writes::{Change, OtherVersion, Stored};
use stygian_core::{EventTime, KeyGroup};

impl Data {
    /// The cell of every value slot of a record, by the slot's index.
    fn cells<'a>(&self, content: Option<&'a [u8]>, mut visit: impl FnMut(usize, &Slot, Option<Cell<'a>>)) -> Result<(), StateError> {
        let mut rest = content.unwrap_or_default();
        for (index, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.is_value()) {
            let cell = if content.is_some() {
                cell::take(&mut rest, slot.ttl_micros.is_some()).ok_or_else(|| self.damaged(index, "a record ends too early"))?
            } else {
                None
            };
            visit(index, slot, cell);
        }
        Ok(())
    }

    /// Adds the values of a key to what a call has loaded.
    pub(crate) fn read_values(&self, found: &Found, key: usize, watermark: EventTime, into: &mut Stored) -> Result<(), StateError> {
        self.cells(found.content(), |index, slot, cell| {
            let cell = cell.filter(|cell| !slot.is_expired(cell.written, watermark));
            if let Some(values) = into.values.get_mut(index) {
                values.push(cell.map(|cell| cell.bytes));
            }
            if let Some(cell) = cell.filter(|cell| cell.version != slot.version) {
                into.other_versions.push(OtherVersion { slot: SlotId(index), key, version: cell.version });
            }
        })
    }

    /// Changes the values of a key.
    pub(crate) fn write_values<'c>(
        &mut self,
        key: (KeyGroup, &[u8]),
        found: Found,
        written: i64,
        change: impl Fn(usize) -> Change<'c>,
    ) -> Result<(), StateError> {
        let (mut content, mut any) = (std::mem::take(&mut self.scratch), false);
        content.clear();
        self.cells(found.content(), |index, slot, cell| {
            let cell = match change(index) {
                Change::Keep => cell,
                Change::Remove => None,
                Change::Put(bytes, life) => {
                    Some(Cell { version: slot.version, written: life.written(written, cell.map(|cell| cell.written)), bytes })
                }
            };
            any |= cell.is_some();
            cell::push(&mut content, slot.ttl_micros.is_some(), cell.as_ref());
        })?;
        let replaced = self.replace_values(key, found, any.then_some(&content));
        self.scratch = content;
        replaced
    }

    /// Gives a key these cells, or none, as a section has them.
    pub(crate) fn restore_values(&mut self, group: KeyGroup, key: &[u8], cells: &[Option<Cell<'_>>]) -> Result<(), StateError> {
        let mut content = Vec::new();
        for (slot, cell) in self.slots.iter().zip(cells).filter(|(slot, _)| slot.is_value()) {
            cell::push(&mut content, slot.ttl_micros.is_some(), cell.as_ref());
        }
        let found = self.find(keys::values(group, key))?;
        self.replace_values((group, key), found, cells.iter().any(Option::is_some).then_some(&content))
    }

    fn replace_values(&mut self, (group, key): (KeyGroup, &[u8]), found: Found, content: Option<&Vec<u8>>) -> Result<(), StateError> {
        let mut versions = Vec::new();
        self.cells(found.content(), |index, _, cell| versions.push((index, cell.map(|cell| cell.version), None)))?;
        let mut old = versions.iter_mut();
        self.cells(content.map(Vec::as_slice), |_, _, cell| {
            if let Some((_, _, new)) = old.next() {
                *new = cell.map(|cell| cell.version);
            }
        })?;
        versions.into_iter().for_each(|(index, old, new)| self.counts.versions.replace(index, old, new));
        match (found.content().map(<[u8]>::len), content.is_some()) {
            (None, true) => self.counts.add_key(group, key),
            (Some(_), false) => self.counts.take_key(group, key),
            _ => {}
        }
        self.counts.take_bytes(found.content().map_or(0, <[u8]>::len) as u64);
        self.counts.add_bytes(content.map_or(0, Vec::len) as u64);
        match content {
            Some(content) => self.put(found, self.first_value_slot(), content),
            None => self.remove(found),
        }
    }

    fn first_value_slot(&self) -> usize {
        self.slots.iter().position(Slot::is_value).unwrap_or(0)
    }

    /// Drops a key's values if all of them have expired.
    pub(crate) fn sweep_values(&mut self, group: KeyGroup, key: &[u8], found: Found, watermark: EventTime) -> Result<(), StateError> {
        let mut alive = false;
        self.cells(found.content(), |_, slot, cell| alive |= cell.is_some_and(|cell| !slot.is_expired(cell.written, watermark)))?;
        if alive || found.content().is_none() { Ok(()) } else { self.replace_values((group, key), found, None) }
    }

    pub(crate) fn save_all_values(&mut self, group: KeyGroup, anew: bool, into: &mut SectionWriter) -> Result<(), StateError> {
        if anew {
            into.anew(Table::Values);
        }
        for record in self.store.scan(&keys::of_values(group))? {
            let (key, was) = record?;
            let found = self.found(key.to_vec(), Some(was))?;
            match (keys::name(&found.key), found.content()) {
                (Some(keys::Name::Values(key)), Some(content)) => into.key_of_cells(key, content),
                _ => self.told.push(found.key),
            }
        }
        Ok(())
    }

    /// Writes what has become of a key.
    pub(crate) fn save_values(&mut self, key: &[u8], found: Found, into: &mut SectionWriter) {
        match found.content() {
            Some(content) => into.key_of_cells(key, content),
            None => {
                into.key(key, self.slots.iter().map(|_| None));
                self.told.push(found.key);
            }
        }
    }

    /// The values of a group are gone: what follows is what was saved.
    pub(crate) fn restore_values_anew(&mut self, group: KeyGroup) -> Result<(), StateError> {
        for record in self.store.scan(&keys::of_values(group))? {
            let (key, was) = record?;
            let found = self.found(key.to_vec(), Some(was))?;
            if let Some(keys::Name::Values(key)) = keys::name(&found.key.clone()) {
                self.replace_values((group, key), found, None)?;
            }
            self.store.relieve()?;
        }
        Ok(())
    }
}

impl Place<'_> {
    pub(crate) fn id(self) -> SlotId {
        SlotId(self.index)
    }

    pub(crate) fn expires(self) -> bool {
        self.slot.ttl_micros.is_some()
    }
}
