//! The beginning of a section: what it is of, and whose. What was saved is matched by name with what the operator declares now.

use crate::section::{FORMAT, MAGIC};
use crate::slot::{Slot, SlotId};
use crate::{StateError, varint};
use std::fmt::Display;
use stygian_core::{ColumnType, KeyGroup, MaxParallelism, SectionKind, SlotKind, StateSection, TimerClock};

/// The part of values, lists and maps.
pub(crate) const PART_KEYED: &str = "keyed";
/// The part of timers.
pub(crate) const PART_TIMERS: &str = "timers";

/// What a state says of itself in every section.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) keys: &'a [ColumnType],
    pub(crate) groups: MaxParallelism,
    pub(crate) lives_by: TimerClock,
    pub(crate) time: i64,
}

impl Origin<'_> {
    /// The beginning of a section of slots.
    pub(crate) fn begin_keyed(&self, kind: SectionKind, group: KeyGroup, slots: &[Slot]) -> Vec<u8> {
        let mut bytes = self.begin((0, kind, group), slots.len());
        for slot in slots {
            varint::push_bytes(&mut bytes, slot.name.as_bytes());
            bytes.extend([code_of_kind(slot.kind), u8::from(slot.ttl_micros.is_some())]);
        }
        bytes
    }

    /// The beginning of a section of timers.
    pub(crate) fn begin_timers(&self, kind: SectionKind, group: KeyGroup, timers: &[(String, TimerClock)]) -> Vec<u8> {
        let mut bytes = self.begin((1, kind, group), timers.len());
        for (name, clock) in timers {
            varint::push_bytes(&mut bytes, name.as_bytes());
            bytes.extend([code_of_clock(*clock), 0]);
        }
        bytes
    }

    fn begin(&self, (part, kind, group): (u8, SectionKind, KeyGroup), names: usize) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([FORMAT, part, code_of_section(kind)]);
        varint::push(&mut bytes, u64::from(group.0));
        varint::push(&mut bytes, u64::from(self.groups.get()));
        varint::push(&mut bytes, self.keys.len() as u64);
        self.keys.iter().for_each(|key| varint::push_bytes(&mut bytes, key.to_string().as_bytes()));
        bytes.push(code_of_clock(self.lives_by));
        bytes.extend(self.time.to_le_bytes());
        varint::push(&mut bytes, names as u64);
        bytes
    }
}

fn code_of_section(kind: SectionKind) -> u8 {
    match kind {
        SectionKind::Base => 0,
        SectionKind::Change => 1,
    }
}

fn code_of_clock(clock: TimerClock) -> u8 {
    match clock {
        TimerClock::EventTime => 0,
        TimerClock::ProcessingTime => 1,
    }
}

fn code_of_kind(kind: SlotKind) -> u8 {
    match kind {
        SlotKind::Value => 0,
        SlotKind::List => 1,
        SlotKind::Map => 2,
    }
}

/// Reads from the front of a section, and says where it failed.
pub(crate) struct Source<'a> {
    section: &'a StateSection,
    pub(crate) rest: &'a [u8],
}

impl<'a> Source<'a> {
    pub(crate) fn new(section: &'a StateSection) -> Self {
        Self { section, rest: &section.bytes }
    }

    pub(crate) fn damaged(&self, what: &str) -> StateError {
        let at = self.section.bytes.len() - self.rest.len();
        StateError::DamagedSection { part: self.section.part, group: self.section.group.0, at, what: what.to_owned() }
    }

    pub(crate) fn number(&mut self) -> Result<u64, StateError> {
        varint::take(&mut self.rest).ok_or_else(|| self.damaged("no number"))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, StateError> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| self.damaged("it ends too early"))?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, StateError> {
        match self.byte()? {
            flag @ 0..=1 => Ok(flag == 1),
            _ => Err(self.damaged("neither yes nor no")),
        }
    }

    pub(crate) fn time(&mut self) -> Result<i64, StateError> {
        let (time, rest) = self.rest.split_first_chunk().ok_or_else(|| self.damaged("it ends too early"))?;
        self.rest = rest;
        Ok(i64::from_le_bytes(*time))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], StateError> {
        varint::take_bytes(&mut self.rest).ok_or_else(|| self.damaged("it ends too early"))
    }

    fn text(&mut self) -> Result<&'a str, StateError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| self.damaged("a name that is no text"))
    }

    fn clock(&mut self) -> Result<TimerClock, StateError> {
        let clocks = [TimerClock::EventTime, TimerClock::ProcessingTime];
        let code = self.byte()?;
        clocks.into_iter().find(|clock| code_of_clock(*clock) == code).ok_or_else(|| self.damaged("no such clock"))
    }

    fn kind(&mut self) -> Result<SlotKind, StateError> {
        let kinds = [SlotKind::Value, SlotKind::List, SlotKind::Map];
        let code = self.byte()?;
        kinds.into_iter().find(|kind| code_of_kind(*kind) == code).ok_or_else(|| self.damaged("no such kind of slot"))
    }

    /// The beginning up to the names: checked against what the section should be and whose; the clock and time of it.
    fn origin(&mut self, part: u8, origin: &Origin<'_>) -> Result<(TimerClock, i64), StateError> {
        let magic = self.rest.get(..MAGIC.len()) == Some(&MAGIC);
        self.rest = self.rest.get(MAGIC.len()..).filter(|_| magic).ok_or_else(|| self.damaged("it does not begin as a section does"))?;
        let format = self.byte()?;
        if format != FORMAT {
            return Err(StateError::UnknownFormat { part: self.section.part, format, known: FORMAT });
        }
        let same = self.byte()? == part && self.byte()? == code_of_section(self.section.kind);
        if !same || self.number()? != u64::from(self.section.group.0) {
            return Err(self.damaged("it is of another part, kind or key group than it is filed under"));
        }
        let groups = self.number()?;
        if groups != u64::from(origin.groups.get()) {
            return Err(StateError::OtherGroups { saved: groups, declared: origin.groups.get() });
        }
        let mut keys = Vec::new();
        for _ in 0..self.number()? {
            keys.push(self.text()?);
        }
        let declared: Vec<String> = origin.keys.iter().map(ColumnType::to_string).collect();
        if keys != declared {
            return Err(StateError::OtherKey { saved: keys.join(", "), declared: declared.join(", ") });
        }
        Ok((self.clock()?, self.time()?))
    }

    /// The beginning of a section of slots.
    pub(crate) fn slots(&mut self, origin: &Origin<'_>, declared: &[Slot]) -> Result<SavedSlots, StateError> {
        let (lives_by, time) = self.origin(0, origin)?;
        let mut saved = SavedSlots { slots: Vec::new(), lives_by, time };
        for _ in 0..self.number()? {
            let (name, kind, expires) = (self.text()?, self.kind()?, self.flag()?);
            let at = declared.iter().position(|slot| slot.name == name);
            let (at, slot) = at.and_then(|at| Some((at, declared.get(at)?))).ok_or_else(|| {
                let declared = list(declared.iter().map(|slot| &slot.name));
                StateError::NotDeclared { what: "slot", name: name.to_owned(), declared }
            })?;
            if slot.kind != kind {
                return Err(other_kind("slot", name, kind, slot.kind));
            }
            if slot.ttl_micros.is_some() && lives_by != origin.lives_by {
                return Err(StateError::OtherClock {
                    slot: name.to_owned(),
                    saved: lives_by.to_string(),
                    declared: origin.lives_by.to_string(),
                });
            }
            if saved.slots.iter().any(|other| other.slot.0 == at) {
                return Err(self.damaged("two slots of one name"));
            }
            saved.slots.push(SavedSlot { slot: SlotId(at), kind, expires });
        }
        Ok(saved)
    }

    /// The beginning of a section of timers: the declared index and the clock of each of its own.
    pub(crate) fn timers(&mut self, origin: &Origin<'_>, declared: &[(String, TimerClock)]) -> Result<Vec<(u32, TimerClock)>, StateError> {
        self.origin(1, origin)?;
        let mut saved = Vec::new();
        for _ in 0..self.number()? {
            let (name, clock, _) = (self.text()?, self.clock()?, self.flag()?);
            let found = (0..).zip(declared).find(|(_, (other, _))| other == name);
            let (at, (_, now)) = found.ok_or_else(|| {
                let declared = list(declared.iter().map(|(name, _)| name));
                StateError::NotDeclared { what: "timer", name: name.to_owned(), declared }
            })?;
            if *now != clock {
                return Err(other_kind("timer", name, clock, *now));
            }
            saved.push((at, clock));
        }
        Ok(saved)
    }
}

/// The slots of a section, by their index in it.
pub(crate) struct SavedSlots {
    pub(crate) slots: Vec<SavedSlot>,
    /// The clock of all times.
    pub(crate) lives_by: TimerClock,
    /// The time of values that have none.
    pub(crate) time: i64,
}

#[derive(Clone, Copy)]
pub(crate) struct SavedSlot {
    /// As it is declared now.
    pub(crate) slot: SlotId,
    pub(crate) kind: SlotKind,
    /// Whether its cells have a time.
    pub(crate) expires: bool,
}

fn other_kind(what: &'static str, name: &str, saved: impl Display, declared: impl Display) -> StateError {
    StateError::OtherKind { what, name: name.to_owned(), saved: saved.to_string(), declared: declared.to_string() }
}

fn list<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
