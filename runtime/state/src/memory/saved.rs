//! Key groups in memory on their way into sections and out of them.
//!
//! Each table of a group (values, lists and maps by slot) tells by itself whether its changes are enough or all of it has to be written.
//! Entries come from a reader that has found their slots among the declared ones, so there is a table at each of their indices.

use crate::StateError;
use crate::memory::others::Others;
use crate::memory::values::ValueTable;
use crate::memory::{MemoryBackend, Place};
use crate::section::{Entry, SectionWriter, Table};
use crate::slot::Slot;
use crate::touched::Touched;
use stygian_core::SlotKind;

impl Others {
    fn is_unsaved(&self, whole: bool) -> bool {
        let unsaved = |touched: &Touched, keys: u64| if whole { touched.is_saved() || keys > 0 } else { touched.is_unsaved(keys == 0) };
        self.lists.iter().any(|lists| unsaved(lists.touched(), lists.keys()))
            || self.maps.iter().any(|maps| unsaved(maps.touched(), maps.keys()))
    }

    fn lose(&mut self, slots: &[Slot]) {
        for (index, slot) in slots.iter().enumerate() {
            match slot.kind {
                SlotKind::Value => {}
                SlotKind::List => self.lists[index].lose(),
                SlotKind::Map => self.maps[index].lose(),
            }
        }
    }
}

impl MemoryBackend {
    pub(super) fn group_is_unsaved(&self, group: usize, whole: bool) -> bool {
        let values = |values: &ValueTable| if whole { values.is_saved() || !values.is_empty() } else { values.is_unsaved() };
        self.values.get(group).is_some_and(values)
            || self.others.get(group).and_then(Option::as_deref).is_some_and(|others| others.is_unsaved(whole))
    }

    pub(super) fn save_group(&mut self, group: usize, whole: bool, into: &mut SectionWriter) {
        let slots = self.slots.clone();
        // Neither value slots nor a group that has no values are worth an entry.
        let values = self.values_mut(group);
        if whole || values.is_unsaved() {
            values.snapshot(whole, &slots, into);
        }
        if let Some(others) = self.others.get_mut(group).and_then(Option::as_deref_mut) {
            for (index, slot) in slots.iter().enumerate() {
                let place = Place { index, slot };
                let (lists, maps) = (&mut others.lists[index], &mut others.maps[index]);
                if slot.kind == SlotKind::List && (whole || lists.touched().is_unsaved(lists.keys() == 0)) {
                    lists.snapshot(whole, place, into);
                }
                if slot.kind == SlotKind::Map && (whole || maps.touched().is_unsaved(maps.keys() == 0)) {
                    maps.snapshot(whole, place, into);
                }
            }
        }
        if whole && self.size_of(group).keys == 0 {
            self.drop_group(group);
        }
    }

    /// Gives back the room of a group of which there is nothing. That it was saved is remembered: the base that says so may fail, and has to
    /// be written again then.
    fn drop_group(&mut self, group: usize) {
        let before = self.size_of(group);
        *self.values_mut(group) = ValueTable::saved();
        if let Some(others) = self.others.get_mut(group) {
            *others = None;
        }
        self.count(group, before);
    }

    pub(super) fn mark_entry(&mut self, group: usize, entry: &Entry<'_>) {
        match *entry {
            Entry::Base => {
                self.values_mut(group).lose();
                let slots = self.slots.clone();
                self.others_mut(group).0.lose(&slots);
            }
            Entry::Anew(Table::Values) => self.values_mut(group).lose(),
            Entry::Anew(Table::Lists(slot)) => self.others_mut(group).0.lists[slot.0].lose(),
            Entry::Anew(Table::Maps(slot)) => self.others_mut(group).0.maps[slot.0].lose(),
            Entry::Key { key, .. } => self.values_mut(group).mark_unsaved(key),
            Entry::List { slot, key, stay, .. } => {
                self.others_mut(group).0.lists[slot.0].mark_unsaved(key, usize::try_from(stay).unwrap_or(usize::MAX));
            }
            Entry::MapAnew { slot, key } => self.others_mut(group).0.maps[slot.0].mark_map_unsaved(key),
            Entry::MapEntry { slot, key, map_key, .. } => self.others_mut(group).0.maps[slot.0].mark_unsaved(key, map_key),
        }
    }

    pub(super) fn restore_entry(&mut self, group: usize, entry: &Entry<'_>) -> Result<(), StateError> {
        let slots = self.slots.clone();
        match *entry {
            Entry::Base => {
                self.restore_values_anew(group);
                let (others, versions) = self.others_mut(group);
                for (index, slot) in slots.iter().enumerate() {
                    others.lists[index].restore_anew(Place { index, slot }, versions);
                    others.maps[index].restore_anew(Place { index, slot }, versions);
                }
            }
            Entry::Anew(Table::Values) => self.restore_values_anew(group),
            Entry::Anew(Table::Lists(slot)) => {
                let (others, versions) = self.others_mut(group);
                others.lists[slot.0].restore_anew(Place { index: slot.0, slot: &slots[slot.0] }, versions);
            }
            Entry::Anew(Table::Maps(slot)) => {
                let (others, versions) = self.others_mut(group);
                others.maps[slot.0].restore_anew(Place { index: slot.0, slot: &slots[slot.0] }, versions);
            }
            Entry::Key { key, cells } => {
                self.values_mut(group);
                self.values[group].restore(key, &slots, cells, &mut self.scratch, &mut self.versions)?;
            }
            Entry::List { slot, key, written, stay, more } => {
                let (others, versions) = self.others_mut(group);
                let place = Place { index: slot.0, slot: &slots[slot.0] };
                others.lists[slot.0].restore(key, place, (written, stay, more), versions)?;
            }
            Entry::MapAnew { slot, key } => {
                let (others, versions) = self.others_mut(group);
                others.maps[slot.0].restore_map_anew(key, Place { index: slot.0, slot: &slots[slot.0] }, versions);
            }
            Entry::MapEntry { slot, key, map_key, cell } => {
                let (others, versions) = self.others_mut(group);
                others.maps[slot.0].restore(key, Place { index: slot.0, slot: &slots[slot.0] }, map_key, cell, versions);
            }
        }
        Ok(())
    }

    fn restore_values_anew(&mut self, group: usize) {
        let slots = self.slots.clone();
        self.values_mut(group);
        self.values[group].restore_anew(&slots, &mut self.versions);
    }
}
