//! What a store of keyed state has to do.
//!
//! One subtask owns a backend and calls it from one thread at a time. Reads take the watermark and never return what has expired. Writes
//! come a call at a time, checked and complete: a backend applies them or returns an error, after which the job ends.

use crate::distinct::DistinctKeys;
use crate::slot::SlotId;
use crate::values::VarBytes;
use crate::writes::{CallWrites, Stored};
use crate::{Entry, OtherVersions, SectionWriter, StateError};
use std::collections::BTreeMap;
use std::fmt::Debug;
use stygian_core::{ByteSize, EventTime, KeyGroup, SavedSection, StateSection};

/// Entries of a list, from some place on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The entries, in the order in which they were appended.
    pub entries: VarBytes,
    /// Where the next page begins; `None`: these were the last.
    pub next: Option<u64>,
    /// Which of the entries, ascending, are of another version than the slot is declared with, and of which.
    pub other_versions: OtherVersions,
    /// The place of each of those in the list: [`crate::ListWrites::migrated`] names it where the entry is written in the present version.
    /// It stands as long as nothing is written.
    pub places: Vec<u64>,
}

/// Entries of a map, from some map key on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapPage {
    /// Map keys, ascending.
    pub keys: VarBytes,
    /// The value of each.
    pub values: VarBytes,
    /// Whether there are entries behind the last one.
    pub more: bool,
    /// Which of the entries, ascending, are of another version than the slot is declared with, and of which.
    pub other_versions: OtherVersions,
}

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSize {
    /// Keys that have state; one that has values, lists and maps may count once for each.
    pub keys: u64,
    /// Bytes that they take, the room of tables included.
    pub bytes: ByteSize,
}

/// A store of keyed state.
pub trait StateBackend: Send + Debug {
    /// Looks up the value slots of keys: `into.values` gets one [`crate::Values`] a slot, which stays empty for lists and maps.
    /// `into.places` may hold what the backend likes to know when the same keys are written.
    ///
    /// # Errors
    /// When stored bytes cannot be read.
    fn load(&mut self, keys: &DistinctKeys, watermark: EventTime, into: &mut Stored) -> Result<(), StateError>;

    /// Entries of a list, from the place that the last page named (0 at first) up to about `most_bytes`; at least one, if there is one.
    ///
    /// # Errors
    /// When stored bytes cannot be read.
    fn list(
        &self,
        slot: SlotId,
        keys: &DistinctKeys,
        key: usize,
        from: u64,
        most_bytes: usize,
        watermark: EventTime,
    ) -> Result<ListPage, StateError>;

    /// An entry of a map: the version it was written in, and its value.
    ///
    /// # Errors
    /// When stored bytes cannot be read.
    fn entry(
        &self,
        slot: SlotId,
        keys: &DistinctKeys,
        key: usize,
        map_key: &[u8],
        watermark: EventTime,
    ) -> Result<Option<(u32, Vec<u8>)>, StateError>;

    /// Entries of a map behind `after` (from the first on where there is none) up to about `most_bytes`; at least one, if there is one.
    ///
    /// # Errors
    /// When stored bytes cannot be read.
    fn entries(
        &self,
        slot: SlotId,
        keys: &DistinctKeys,
        key: usize,
        after: Option<&[u8]>,
        most_bytes: usize,
        watermark: EventTime,
    ) -> Result<MapPage, StateError>;

    /// Applies the writes of a call on these keys, which were loaded as `stored` since the last write.
    ///
    /// # Errors
    /// When it cannot; what is stored is undefined then.
    fn write(&mut self, keys: &DistinctKeys, stored: &Stored, writes: &CallWrites) -> Result<(), StateError>;

    /// Drops some of what has expired; called now and then, so that keys that never come again do not stay for ever.
    ///
    /// # Errors
    /// When stored bytes cannot be read or written.
    fn sweep(&mut self, watermark: EventTime) -> Result<(), StateError>;

    /// What is kept.
    fn size(&self) -> StateSize;

    /// Whether [`StateBackend::snapshot`] of a group has something to say: `whole`: it holds something, or an earlier snapshot may have said
    /// that it does; else: something has changed since the last one.
    fn is_unsaved(&self, group: KeyGroup, whole: bool) -> bool;

    /// Writes what a group holds. `whole`: for a base, everything, and no table is said to begin anew. Else what has changed since the last
    /// snapshot, or a whole table that begins anew where that is less to remember. From here on all of it counts as saved.
    ///
    /// # Errors
    /// When stored bytes cannot be read.
    fn snapshot(&mut self, group: KeyGroup, whole: bool, into: &mut SectionWriter) -> Result<(), StateError>;

    /// Takes what an entry says of a group as not saved, as it stands now: the next snapshot has to say it again. For a base, and for a table
    /// that begins anew, that is everything.
    ///
    /// # Errors
    /// When stored bytes cannot be read.
    fn mark_unsaved(&mut self, group: KeyGroup, entry: &Entry<'_>) -> Result<(), StateError>;

    /// Does what an entry of a saved section says. What has come from sections alone counts as saved.
    ///
    /// # Errors
    /// When it does not fit what is there: what is stored is undefined then.
    fn restore(&mut self, group: KeyGroup, entry: &Entry<'_>) -> Result<(), StateError>;

    /// Asked before anything is restored: whether it has kept, from an earlier process, exactly what these sections of the part `keyed` hold;
    /// then it has that from here on, all of it counts as saved, and the answer is the time that the state was at. `None`: it has nothing,
    /// and the sections are to be restored. May take long.
    ///
    /// # Errors
    /// When it can neither go on from what was kept nor begin anew.
    fn resume(&mut self, saved: &[SavedSection]) -> Result<Option<i64>, StateError>;

    /// A snapshot of all groups is complete: these are all its sections, in the order of their groups; `time` is what the state is at.
    ///
    /// # Errors
    /// When it cannot note that.
    fn snapshot_ended(&mut self, sections: &[StateSection], time: i64) -> Result<(), StateError>;

    /// A section of the last snapshot came to nothing, and its entries were all marked.
    ///
    /// # Errors
    /// When it cannot note that.
    fn section_lost(&mut self, section: &StateSection) -> Result<(), StateError>;

    /// The entries of a section were all restored.
    ///
    /// # Errors
    /// When it cannot note that.
    fn section_restored(&mut self, section: &StateSection) -> Result<(), StateError>;

    /// How many values (entries of lists and maps) of a slot there are by the version they were written in; those that have expired and were
    /// not dropped yet count.
    fn versions(&self, slot: SlotId) -> BTreeMap<u32, u64>;

    /// Gives back what room it can, so that the size depends on what is held and not on how it came; called when restored state seems too
    /// large.
    fn shrink(&mut self);
}
