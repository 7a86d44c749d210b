//! The backend on disk: for state that is larger than memory. A cache that the checkpoint rebuilds, or finds to be just what it holds.
//!
//! Records lie in fjall (`store`; their keys are told in `keys`, what they say in `record`), a batch a call, without waiting for the disk. The
//! time from one snapshot to the next is a *generation*, and has a log (`log`) of what every record was when it was first touched in it. The
//! log is
//!
//! - what the next snapshot has to say: the names of what has changed, which so take no memory; and
//! - the way back: after the process has ended, however it did, the state is taken back to the beginning of the generation whose sections the
//!   checkpoint has, and nothing of them is read. Sections are compared by one number a key group, made of the checksums of all that were saved
//!   of it, so it does not matter under which id a checkpoint has them, or whether it is a savepoint.
//!
//! A folder is trusted when everything fits (`folder`, [`DiskBackend::resume`]): the format, whose state it is and how it is declared, the logs
//! without a gap, the number of batches in the store, and the machine has not been restarted since, unless everything was synced. Otherwise it
//! is emptied and the sections are restored. An error of the disk ends that trust too. Without snapshots nothing is logged, and the folder is
//! emptied at the start.
//!
//! What is in memory: fjall's caches and buffers, of the size that is set; the keys and values of the present call; and while a snapshot is taken,
//! its sections and the names of what has changed.

mod counts;
mod data;
mod folder;
mod keys;
mod lists;
mod log;
mod maps;
mod record;
mod resume;
mod save;
mod store;
mod sweep;
#[cfg(test)]
mod tests;
mod values;

use crate::StateError;
use crate::backend::{ListPage, MapPage, StateBackend, StateSize};
use crate::distinct::DistinctKeys;
use crate::slot::{Slot, SlotId};
use crate::writes::{CallWrites, Stored};
use crate::{Entry, SectionWriter};
use data::{Data, Place};
use folder::{Folder, Index};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use stygian_core::{ByteSize, EventTime, KeyGroup, SavedSection, StateSection};

/// Where the state of one subtask lies on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPlace {
    /// Its folder, of this subtask alone; made with mode 0700 where it is missing.
    pub folder: PathBuf,
    /// About how much memory the store's caches and buffers may take; 4 MiB at least.
    pub memory: ByteSize,
    /// All that must be the same for what lies there to be used again, in words: job, operator, subtask and its key groups, key columns,
    /// clock. The slots are added.
    pub owner: String,
}

/// Keyed state on disk.
#[derive(Debug)]
pub struct DiskBackend {
    // First, as the store has to be closed before the folder is given up.
    data: Option<Data>,
    folder: Folder,
    slots: Arc<[Slot]>,
    memory: ByteSize,
    index: Index,
    /// Sections were or could have been restored: what is changed from here on is to be logged.
    from_checkpoint: bool,
}

impl DiskBackend {
    /// Takes a folder. What lies there is looked at by [`StateBackend::resume`]; if anything else comes first, it is deleted.
    ///
    /// # Errors
    /// When the folder cannot be made, others may write to it, or another process has it.
    pub fn open(place: &DiskPlace, slots: Arc<[Slot]>) -> Result<Self, StateError> {
        let folder = Folder::take(&place.folder)?;
        let declared = slots.iter().map(|slot| format!("{} {} v{} ttl {:?}", slot.name, slot.kind, slot.version, slot.ttl_micros));
        let owner = format!("{}; slots {}", place.owner, declared.collect::<Vec<_>>().join(", "));
        let index = folder.index(owner);
        Ok(Self { data: None, folder, slots, memory: place.memory, index, from_checkpoint: false })
    }

    /// The state, empty if nothing was there before.
    fn begun(&mut self) -> Result<&mut Data, StateError> {
        if self.data.is_none() {
            self.folder.clean(None)?;
            self.index = self.folder.index(std::mem::take(&mut self.index.owner));
            let store = store::Store::open(self.folder.path(), &self.index.store, self.memory)?;
            self.data = Some(Data::new(self.slots.clone(), self.folder.path().to_owned(), store));
        }
        self.data.as_mut().ok_or_else(|| store::damaged(self.folder.path(), "it is not there"))
    }

    /// The state, whose changes are logged if it came from a checkpoint.
    fn running(&mut self) -> Result<&mut Data, StateError> {
        if self.from_checkpoint && self.begun()?.store.generation == 0 {
            self.next_generation(i64::MIN)?;
        }
        self.begun()
    }

    fn place(&self, slot: SlotId, keys: &DistinctKeys, key: usize) -> Option<(&Data, Place<'_>)> {
        let place = self.slots.get(slot.0).map(|declared| Place { group: keys.group(key), index: slot.0, slot: declared });
        self.data.as_ref().zip(place)
    }

    /// What came of something: an error of the disk ends the trust in what lies there, and a fault of the store is an error.
    fn told<T>(&self, done: std::thread::Result<Result<T, StateError>>) -> Result<T, StateError> {
        let told = done.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Err(store::damaged(self.folder.path(), &text.unwrap_or_else(|| "the store failed without a word".to_owned())))
        });
        if let Err(StateError::Disk { .. }) = &told {
            self.folder.distrust();
        }
        told
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<T, StateError>) -> Result<T, StateError> {
        let done = catch_unwind(AssertUnwindSafe(|| change(self)));
        self.told(done)
    }

    fn read<T>(&self, read: impl FnOnce() -> Result<T, StateError>) -> Result<T, StateError> {
        self.told(catch_unwind(AssertUnwindSafe(read)))
    }
}

impl StateBackend for DiskBackend {
    fn load(&mut self, keys: &DistinctKeys, watermark: EventTime, into: &mut Stored) -> Result<(), StateError> {
        self.change(|own| own.running()?.load(keys, watermark, into))
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
        let Some((data, place)) = self.place(slot, keys, key) else { return Ok(ListPage::default()) };
        self.read(|| data.list(place, keys.keys().get(key), from, most_bytes, watermark))
    }

    fn entry(
        &self,
        slot: SlotId,
        keys: &DistinctKeys,
        key: usize,
        map_key: &[u8],
        watermark: EventTime,
    ) -> Result<Option<(u32, Vec<u8>)>, StateError> {
        let Some((data, place)) = self.place(slot, keys, key) else { return Ok(None) };
        self.read(|| data.entry(place, keys.keys().get(key), map_key, watermark))
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
        let Some((data, place)) = self.place(slot, keys, key) else { return Ok(MapPage::default()) };
        self.read(|| data.entries(place, keys.keys().get(key), after, most_bytes, watermark))
    }

    fn write(&mut self, keys: &DistinctKeys, stored: &Stored, writes: &CallWrites) -> Result<(), StateError> {
        self.change(|own| own.running()?.write(keys, stored, writes))
    }

    fn sweep(&mut self, watermark: EventTime) -> Result<(), StateError> {
        self.change(|own| own.running()?.sweep_some(watermark))
    }

    fn size(&self) -> StateSize {
        self.data.as_ref().map(|data| data.counts.size()).unwrap_or_default()
    }

    fn is_unsaved(&self, group: KeyGroup, whole: bool) -> bool {
        // What has just come from a checkpoint is saved, although no generation has begun yet.
        let restored = |data: &Data| self.from_checkpoint && data.store.generation == 0;
        self.data.as_ref().is_some_and(|data| (whole || !restored(data)) && data.is_unsaved(group, whole))
    }

    fn snapshot(&mut self, group: KeyGroup, whole: bool, into: &mut SectionWriter) -> Result<(), StateError> {
        self.change(|own| {
            let generation = own.running()?.store.generation;
            let log = own.folder.log(generation);
            own.begun()?.snapshot(group, whole, &log, into)
        })
    }

    fn mark_unsaved(&mut self, group: KeyGroup, entry: &Entry<'_>) -> Result<(), StateError> {
        self.change(|own| own.running()?.mark_unsaved(group, entry))
    }

    fn restore(&mut self, group: KeyGroup, entry: &Entry<'_>) -> Result<(), StateError> {
        self.change(|own| {
            own.distrust_all()?;
            own.begun()?.restore(group, entry)
        })
    }

    fn resume(&mut self, saved: &[SavedSection]) -> Result<Option<i64>, StateError> {
        self.resume_from(saved)
    }

    fn snapshot_ended(&mut self, sections: &[StateSection], time: i64) -> Result<(), StateError> {
        self.change(|own| {
            let keyed: Vec<&StateSection> = sections.iter().filter(|section| section.part == crate::section::PART_KEYED).collect();
            own.running()?.snapshot_ended(&keyed)?;
            own.next_generation(time)
        })
    }

    fn section_lost(&mut self, section: &StateSection) -> Result<(), StateError> {
        self.change(|own| own.running()?.section_lost(section))
    }

    fn section_restored(&mut self, section: &StateSection) -> Result<(), StateError> {
        self.change(|own| {
            own.distrust_all()?;
            own.from_checkpoint = true;
            own.begun()?.section_restored(section)
        })
    }

    fn versions(&self, slot: SlotId) -> BTreeMap<u32, u64> {
        self.data.as_ref().map(|data| data.counts.versions.of(slot.0)).unwrap_or_default()
    }

    /// What is counted does not depend on how it came.
    fn shrink(&mut self) {}
}
