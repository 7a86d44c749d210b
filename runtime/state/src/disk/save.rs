//! Key groups on their way into sections and out of them.
//!
//! What a snapshot has to say of a group is read from the generation's log, which names every record that was touched. A group of which nothing
//! was saved and nothing logged, or whose last base was lost, is said whole.

use crate::StateError;
use crate::disk::data::{Data, Place};
use crate::disk::folder;
use crate::disk::keys::{self, Name};
use crate::disk::log::{self, LogReader};
use crate::section::{Entry, SectionWriter, Table};
use std::collections::HashMap;
use std::path::Path;
use stygian_core::{KeyGroup, SavedSection, SectionKind, SlotKind, StateSection};
use xxhash_rust::xxh3::xxh3_64;

impl Data {
    /// Whether a snapshot of a group has something to say.
    pub(crate) fn is_unsaved(&self, group: KeyGroup, whole: bool) -> bool {
        let known = self.groups.get(&group).copied().unwrap_or_default();
        let any = known.sections != 0 || self.counts.keys_of(usize::from(group.0)) > 0;
        if whole || self.says_all(group) { any } else { self.store.is_touched(usize::from(group.0)) }
    }

    fn says_all(&self, group: KeyGroup) -> bool {
        self.store.generation == 0 || self.groups.get(&group).is_some_and(|group| group.lost)
    }

    /// Writes what a group holds, or what has changed of it; `log` is that of the generation.
    pub(crate) fn snapshot(&mut self, group: KeyGroup, whole: bool, log: &Path, into: &mut SectionWriter) -> Result<(), StateError> {
        self.store.end_batch()?;
        if whole || self.says_all(group) {
            return self.save_all(group, !whole, into);
        }
        if self.touched.is_none() {
            let read = touched(log).map_err(|error| folder::failed("read the log of", &self.folder, &error))?;
            self.touched = Some(read);
        }
        let records = self.touched.as_mut().and_then(|touched| touched.remove(&group)).unwrap_or_default();
        for of_key in records.chunk_by(|one, other| is_of_same(one, other)) {
            self.save_changed(group, of_key, into)?;
        }
        Ok(())
    }

    /// Writes what has become of the values, the list or the map of a key, whose touched records these are.
    fn save_changed(&mut self, group: KeyGroup, records: &[Vec<u8>], into: &mut SectionWriter) -> Result<(), StateError> {
        let slots = self.slots.clone();
        let Some((first, name)) = records.first().and_then(|first| Some((first, keys::name(first)?))) else { return Ok(()) };
        let (slot, key) = match name {
            Name::Values(key) => {
                let found = self.find(first.clone())?;
                self.save_values(key, found, into);
                return Ok(());
            }
            Name::Head { slot, key } | Name::Piece { slot, key, .. } => (slot, key),
        };
        let Some(place) = slots.get(slot).map(|declared| Place { group, index: slot, slot: declared }) else { return Ok(()) };
        match place.slot.kind {
            SlotKind::Value => {}
            SlotKind::Map => self.save_map(place, key, records, into)?,
            SlotKind::List => {
                // Whatever was done to its pieces, the head was touched with them.
                let head = self.find(keys::head(group, slot, key))?;
                self.save_list(place, key, head, into)?;
                self.tell_traces(records)?;
            }
        }
        Ok(())
    }

    /// Records of which nothing is left but a trace can go, as the snapshot tells them.
    pub(crate) fn tell_traces(&mut self, records: &[Vec<u8>]) -> Result<(), StateError> {
        for record in records {
            let found = self.find(record.clone())?;
            if found.was.is_some() && found.content().is_none() {
                self.told.push(found.key);
            }
        }
        Ok(())
    }

    /// All sections of a snapshot were taken: these. Traces that they tell of go.
    pub(crate) fn snapshot_ended(&mut self, sections: &[&StateSection]) -> Result<(), StateError> {
        self.touched = None;
        for key in std::mem::take(&mut self.told) {
            self.store.set(key, None);
            self.store.relieve()?;
        }
        self.store.end_batch()?;
        self.groups.values_mut().for_each(|group| (group.before, group.lost) = (None, false));
        for section in sections {
            let base = section.kind == SectionKind::Base;
            let group = self.groups.entry(section.group).or_default();
            group.before = Some(group.sections);
            group.sections = log::chained(group.sections, base, xxh3_64(&section.bytes));
        }
        Ok(())
    }

    /// A section of the last snapshot came to nothing.
    pub(crate) fn section_lost(&mut self, section: &StateSection) -> Result<(), StateError> {
        let group = self.groups.entry(section.group).or_default();
        if let Some(before) = group.before.take() {
            group.sections = before;
        }
        self.store.end_batch()
    }

    pub(crate) fn section_restored(&mut self, section: &StateSection) -> Result<(), StateError> {
        let group = self.groups.entry(section.group).or_default();
        group.sections = log::chained(group.sections, section.kind == SectionKind::Base, xxh3_64(&section.bytes));
        self.store.end_batch()
    }

    /// Takes what an entry says as not saved.
    pub(crate) fn mark_unsaved(&mut self, group: KeyGroup, entry: &Entry<'_>) -> Result<(), StateError> {
        let slots = self.slots.clone();
        let place = |index: usize| slots.get(index).map(|slot| Place { group, index, slot });
        match *entry {
            Entry::Base | Entry::Anew(_) => self.groups.entry(group).or_default().lost = true,
            Entry::Key { key, .. } => self.store.touch(keys::values(group, key))?,
            Entry::List { slot, key, stay, .. } => place(slot.0).map_or(Ok(()), |place| self.mark_list(place, key, stay))?,
            Entry::MapAnew { slot, key } => place(slot.0).map_or(Ok(()), |place| self.mark_map(place, key))?,
            Entry::MapEntry { slot, key, map_key, .. } => self.store.touch(keys::piece(group, slot.0, key, map_key))?,
        }
        self.store.relieve()
    }

    /// Does what an entry of a saved section says.
    pub(crate) fn restore(&mut self, group: KeyGroup, entry: &Entry<'_>) -> Result<(), StateError> {
        let slots = self.slots.clone();
        let place = |index: usize| slots.get(index).map(|slot| Place { group, index, slot });
        match *entry {
            Entry::Base => self.restore_anew(group)?,
            Entry::Anew(Table::Values) => self.restore_values_anew(group)?,
            Entry::Anew(Table::Lists(slot)) => place(slot.0).map_or(Ok(()), |place| self.restore_lists_anew(place))?,
            Entry::Anew(Table::Maps(slot)) => place(slot.0).map_or(Ok(()), |place| self.restore_maps_anew(place))?,
            Entry::Key { key, cells } => self.restore_values(group, key, cells)?,
            Entry::List { slot, key, written, stay, more } => {
                place(slot.0).map_or(Ok(()), |place| self.restore_list(place, key, (written, stay, more)))?;
            }
            Entry::MapAnew { slot, key } => place(slot.0).map_or(Ok(()), |place| self.restore_map_anew(place, key))?,
            Entry::MapEntry { slot, key, map_key, cell } => {
                place(slot.0).map_or(Ok(()), |place| self.restore_entry(place, key, map_key, cell))?;
            }
        }
        self.store.relieve()
    }

    /// A group holds nothing.
    fn restore_anew(&mut self, group: KeyGroup) -> Result<(), StateError> {
        if self.counts.keys_of(usize::from(group.0)) == 0 {
            return Ok(());
        }
        let slots = self.slots.clone();
        self.restore_values_anew(group)?;
        for (index, slot) in slots.iter().enumerate() {
            let place = Place { group, index, slot };
            match slot.kind {
                SlotKind::Value => {}
                SlotKind::List => self.restore_lists_anew(place)?,
                SlotKind::Map => self.restore_maps_anew(place)?,
            }
        }
        Ok(())
    }
}

/// Whether two records are of the values, the list or the map of one key.
fn is_of_same(one: &[u8], other: &[u8]) -> bool {
    let of = |record| match keys::name(record) {
        Some(Name::Head { slot, key } | Name::Piece { slot, key, .. }) => Some((slot, key)),
        _ => None,
    };
    of(one).is_some_and(|of_one| of(other) == Some(of_one))
}

/// The records of each group that a log names, in order.
fn touched(log: &Path) -> std::io::Result<HashMap<KeyGroup, Vec<Vec<u8>>>> {
    let mut touched: HashMap<KeyGroup, Vec<Vec<u8>>> = HashMap::new();
    let mut log = LogReader::open(log)?;
    while let Some(batch) = log.next()? {
        batch.each(|key, _| {
            if let Some(group) = keys::group(key) {
                touched.entry(group).or_default().push(key.to_vec());
            }
        })?;
    }
    touched.values_mut().for_each(|records| records.sort_unstable());
    Ok(touched)
}

/// One number for the sections of each group.
pub(crate) fn sections_of(saved: &[SavedSection]) -> std::collections::BTreeMap<KeyGroup, u64> {
    let mut all = std::collections::BTreeMap::new();
    for section in saved {
        let of_group: &mut u64 = all.entry(section.group).or_default();
        *of_group = log::chained(*of_group, section.kind == SectionKind::Base, section.sum);
    }
    all
}
