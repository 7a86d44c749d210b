//! The state of a subtask on its way into a checkpoint and out of it.

use crate::section::{Origin, PART_KEYED, PART_TIMERS, SectionWriter, TimerEntry, TimerWriter, read_keyed, read_timers};
use crate::{KeyedState, SlotId, StateError};
use stygian_core::{KeyGroup, SavedSection, SectionKind, StateSection, TimerClock};

/// How many values there are of one version of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionCount {
    /// The slot's name.
    pub slot: String,
    /// The version.
    pub version: u32,
    /// Values, or entries of lists and maps, that were written in it.
    pub values: u64,
}

impl KeyedState {
    /// The names of the timers, in the order of their clocks, by which they are found again in a checkpoint. Without, they go by their numbers.
    #[must_use]
    pub fn with_timer_names<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        for ((timer, _), name) in self.timer_names.iter_mut().zip(names) {
            name.clone_into(timer);
        }
        self
    }

    /// The clock of the times that are passed to [`KeyedState::begin`]: event time unless this says otherwise. Saved values that expire are only
    /// restored into a state that lives by the same.
    #[must_use]
    pub fn living_by(mut self, clock: TimerClock) -> Self {
        self.lives_by = clock;
        self
    }

    /// Writes the state of key groups into sections, part `keyed` and part `timers`, ascending by group. Of a group that is `whole` a base with
    /// all it holds, if it holds anything or was ever saved; of others a change with what was written or removed since the last
    /// snapshot, if anything was. To be called between calls; from here on all of it counts as saved. `whole` is asked of every key group of
    /// the job.
    ///
    /// # Errors
    /// When stored state cannot be read.
    pub fn snapshot(&mut self, whole: impl Fn(KeyGroup) -> bool) -> Result<Vec<StateSection>, StateError> {
        let Self { codec, backend, timers, slots, timer_names, lives_by, time, .. } = self;
        let origin = Origin { keys: codec.columns(), groups: codec.groups(), lives_by: *lives_by, time: *time };
        let mut sections = Vec::new();
        for group in (0..codec.groups().get()).map(KeyGroup) {
            let whole = whole(group);
            let kind = if whole { SectionKind::Base } else { SectionKind::Change };
            if backend.is_unsaved(group, whole) {
                let mut into = SectionWriter::new(&origin, kind, group, slots);
                backend.snapshot(group, whole, &mut into)?;
                sections.push(StateSection { part: PART_KEYED, group, kind, bytes: into.finish() });
            }
            if timers.is_unsaved(group, whole) {
                let mut into = TimerWriter::new(&origin, kind, group, timer_names);
                timers.snapshot(group, whole, timer_names, &mut into);
                sections.push(StateSection { part: PART_TIMERS, group, kind, bytes: into.finish() });
            }
        }
        backend.snapshot_ended(&sections, *time)?;
        Ok(sections)
    }

    /// Before anything is restored: the parts of the state that the backend has kept from an earlier process just as these sections, all of a
    /// checkpoint's, hold them. Sections of these parts must not be restored then.
    ///
    /// # Errors
    /// When the backend fails, or what it has kept is over the limits.
    pub fn resume(&mut self, saved: &[SavedSection]) -> Result<&'static [&'static str], StateError> {
        let keyed: Vec<SavedSection> = saved.iter().filter(|section| section.part == PART_KEYED).copied().collect();
        let Some(time) = self.backend.resume(&keyed)? else { return Ok(&[]) };
        self.time = self.time.max(time);
        self.check_limits()?;
        Ok(&[PART_KEYED])
    }

    /// Takes in a section that was saved: of each part and group its base, then the changes in the order in which they were taken. What comes
    /// from sections counts as saved.
    ///
    /// # Errors
    /// When the section is damaged, is of slots, timers, keys or clocks that the operator does not have, or makes the state larger than its
    /// limits. The state must not be used then.
    pub fn restore(&mut self, section: &StateSection) -> Result<(), StateError> {
        let Self { codec, backend, timers, slots, timer_names, lives_by, time, .. } = self;
        let origin = Origin { keys: codec.columns(), groups: codec.groups(), lives_by: *lives_by, time: *time };
        let group = section.group;
        match section.part {
            PART_KEYED => {
                *time = read_keyed(section, &origin, slots, &mut |entry| backend.restore(group, &entry))?.max(*time);
                backend.section_restored(section)?;
            }
            PART_TIMERS => read_timers(section, &origin, timer_names, &mut |entry| {
                match entry {
                    TimerEntry::Anew => timers.restore_anew(group),
                    TimerEntry::Set(clock, timer) => timers.restore(true, clock, timer),
                    TimerEntry::Cleared(clock, timer) => timers.restore(false, clock, timer),
                }
                Ok(())
            })?,
            part => return Err(StateError::UnknownPart { part }),
        }
        if self.check_limits().is_err() {
            self.backend.shrink();
        }
        self.check_limits()
    }

    /// Takes what a section says as not saved, since the checkpoint that it was taken for has failed: the next snapshot contains it again as it
    /// stands then. After a base has failed, that is all of its group. Sections that were taken after it go on top of it: they are no use
    /// without it and have to be marked too, but for bases.
    ///
    /// # Errors
    /// When the section is not one of this state, or stored state cannot be read.
    pub fn mark_unsaved(&mut self, section: &StateSection) -> Result<(), StateError> {
        let Self { codec, backend, timers, slots, timer_names, lives_by, time, .. } = self;
        let origin = Origin { keys: codec.columns(), groups: codec.groups(), lives_by: *lives_by, time: *time };
        let group = section.group;
        match section.part {
            PART_KEYED => {
                read_keyed(section, &origin, slots, &mut |entry| backend.mark_unsaved(group, &entry))?;
                backend.section_lost(section)
            }
            PART_TIMERS => read_timers(section, &origin, timer_names, &mut |entry| {
                match entry {
                    TimerEntry::Anew => timers.lose(group),
                    TimerEntry::Set(clock, timer) | TimerEntry::Cleared(clock, timer) => timers.touch(clock, &timer),
                }
                Ok(())
            }),
            part => Err(StateError::UnknownPart { part }),
        }
    }

    /// How many values there are of each version of each slot, by slot in the order of declaration and version ascending; versions without
    /// values are left out. Values that have expired count until they are dropped.
    pub fn versions(&self) -> Vec<VersionCount> {
        let of_slot = |(index, slot): (usize, &crate::Slot)| {
            let slot = slot.name.clone();
            self.backend.versions(SlotId(index)).into_iter().map(move |(version, values)| VersionCount {
                slot: slot.clone(),
                version,
                values,
            })
        };
        self.slots.iter().enumerate().flat_map(of_slot).collect()
    }
}

#[cfg(test)]
mod tests;
