//! The state of a subtask over its records: what all kinds of slots share.

use crate::StateError;
use crate::disk::counts::Counts;
use crate::disk::keys;
use crate::disk::record::Record;
use crate::disk::store::{self, Store};
use crate::slot::Slot;
use crate::writes::{CallWrites, Stored};
use crate::{DistinctKeys, SectionWriter};
use fjall::UserValue;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use stygian_core::{EventTime, KeyGroup};

/// The state of a subtask.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) slots: Arc<[Slot]>,
    pub(crate) folder: PathBuf,
    pub(crate) store: Store,
    pub(crate) counts: Counts,
    pub(crate) groups: BTreeMap<KeyGroup, Group>,
    /// What the last call has loaded, and how many calls there were: what it has left for its write.
    loaded: Vec<Option<UserValue>>,
    calls: u32,
    /// Where the next sweep begins.
    pub(crate) sweep: Vec<u8>,
    /// Records that were added and that no sweep has answered yet.
    pub(crate) added: usize,
    /// Of the snapshot that is being taken, the records that were touched by group, in order.
    pub(crate) touched: Option<HashMap<KeyGroup, Vec<Vec<u8>>>>,
    /// Traces that the snapshot has told, which can go.
    pub(crate) told: Vec<Vec<u8>>,
    pub(crate) scratch: Vec<u8>,
}

/// What snapshots have told of a group.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Group {
    /// One number for the sections that were saved; 0: none was.
    pub(crate) sections: u64,
    /// What it was before the last snapshot.
    pub(crate) before: Option<u64>,
    /// The next snapshot has to say everything.
    pub(crate) lost: bool,
}

/// A slot of a group, and its index.
#[derive(Clone, Copy)]
pub(crate) struct Place<'s> {
    pub(crate) group: KeyGroup,
    pub(crate) index: usize,
    pub(crate) slot: &'s Slot,
}

/// A record, by its key: as it is stored, and what it says.
pub(crate) struct Found {
    pub(crate) key: Vec<u8>,
    pub(crate) was: Option<UserValue>,
    /// It was touched in this generation.
    pub(crate) is_touched: bool,
    /// Where in it what it says begins; `None`: nothing is there.
    content: Option<usize>,
}

impl Found {
    pub(crate) fn content(&self) -> Option<&[u8]> {
        self.was.as_deref()?.get(self.content?..)
    }
}

impl Data {
    pub(crate) fn new(slots: Arc<[Slot]>, folder: PathBuf, store: Store) -> Self {
        Self {
            counts: Counts::new(&slots),
            slots,
            folder,
            store,
            groups: BTreeMap::new(),
            loaded: Vec::new(),
            calls: 0,
            sweep: Vec::new(),
            added: 0,
            touched: None,
            told: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// What is stored of a slot is not what was written.
    pub(crate) fn damaged(&self, slot: usize, what: &str) -> StateError {
        store::damaged(&self.folder, &format!("{what} in slot `{}`", self.slot_name(slot)))
    }

    fn slot_name(&self, slot: usize) -> String {
        self.slots.get(slot).map(|slot| slot.name.clone()).unwrap_or_default()
    }

    /// The record at a key.
    pub(crate) fn find(&self, key: Vec<u8>) -> Result<Found, StateError> {
        let was = self.store.get(&key)?;
        self.found(key, was)
    }

    pub(crate) fn found(&self, key: Vec<u8>, was: Option<UserValue>) -> Result<Found, StateError> {
        let Some(bytes) = was.as_deref() else { return Ok(Found { key, was, is_touched: false, content: None }) };
        let record = Record::read(bytes).ok_or_else(|| store::damaged(&self.folder, "a record has no generation"))?;
        let content = record.content.map(|content| bytes.len() - content.len());
        let is_touched = self.store.generation > 0 && record.generation == self.store.generation;
        Ok(Found { key, is_touched, content, was })
    }

    /// Stores what a record says from here on. The key was checked when it was first written.
    pub(crate) fn put(&mut self, found: Found, slot: usize, content: &[u8]) -> Result<(), StateError> {
        if found.key.len() > keys::MOST_BYTES {
            return Err(StateError::KeyTooLong { slot: self.slot_name(slot), bytes: found.key.len(), limit: keys::MOST_BYTES });
        }
        self.added += usize::from(found.content.is_none());
        self.store.put(found.key, found.was.as_ref(), content)
    }

    /// Nothing is at a record from here on.
    pub(crate) fn remove(&mut self, found: Found) -> Result<(), StateError> {
        if found.content.is_none() {
            return Ok(());
        }
        self.store.remove(found.key, found.was.as_ref())
    }

    /// Loads the values of a call's keys.
    pub(crate) fn load(&mut self, keys: &DistinctKeys, watermark: EventTime, into: &mut Stored) -> Result<(), StateError> {
        self.loaded.clear();
        self.calls = self.calls.wrapping_add(1);
        for key in 0..keys.len() {
            let found = self.find(keys::values(keys.group(key), keys.keys().get(key)))?;
            self.read_values(&found, key, watermark, into)?;
            into.places.push(u64::from(self.calls) << 32 | self.loaded.len() as u64);
            self.loaded.push(found.was);
        }
        Ok(())
    }

    /// The values of a call's key, as they were loaded if nothing was written since.
    fn loaded(&self, keys: &DistinctKeys, stored: &Stored, key: usize) -> Result<Found, StateError> {
        let record = keys::values(keys.group(key), keys.keys().get(key));
        let place = stored.places.get(key).copied().unwrap_or(0);
        // The upper half, and the lower.
        #[allow(clippy::cast_possible_truncation)]
        let loaded = self.loaded.get(place as u32 as usize).filter(|_| place >> 32 == u64::from(self.calls));
        match loaded {
            Some(was) => self.found(record, was.clone()),
            None => self.find(record),
        }
    }

    /// Applies the writes of a call.
    pub(crate) fn write(&mut self, keys: &DistinctKeys, stored: &Stored, writes: &CallWrites) -> Result<(), StateError> {
        let slots = self.slots.clone();
        for key in writes.changed() {
            let (group, bytes, written) = (keys.group(key), keys.keys().get(key), writes.written(key));
            if writes.changes_values(key) {
                let found = self.loaded(keys, stored, key)?;
                self.write_values((group, bytes), found, written, |slot| writes.value(slot, key))?;
            }
            for (index, list) in writes.lists(key) {
                let Some(slot) = slots.get(index) else { continue };
                self.write_list(Place { group, index, slot }, bytes, (written, stored.watermark), list)?;
            }
            for (index, map) in writes.maps(key) {
                let Some(slot) = slots.get(index) else { continue };
                self.write_map(Place { group, index, slot }, bytes, written, map)?;
            }
        }
        self.store.end_batch()?;
        // What was loaded is not what is there any more.
        self.calls = self.calls.wrapping_add(1);
        Ok(())
    }

    /// Writes all that a group holds.
    pub(crate) fn save_all(&mut self, group: KeyGroup, anew: bool, into: &mut SectionWriter) -> Result<(), StateError> {
        let slots = self.slots.clone();
        self.save_all_values(group, anew, into)?;
        for (index, slot) in slots.iter().enumerate() {
            let place = Place { group, index, slot };
            match slot.kind {
                stygian_core::SlotKind::Value => {}
                stygian_core::SlotKind::List => self.save_all_lists(place, anew, into)?,
                stygian_core::SlotKind::Map => self.save_all_maps(place, anew, into)?,
            }
        }
        Ok(())
    }
}
