//! Reads sections: every length is checked against what is left, and nothing is allocated by one.

use crate::StateError;
use crate::cell::{self, Cell};
use crate::section::origin::{Origin, SavedSlot, SavedSlots, Source};
use crate::section::{END, KEY, LIST, LISTS_ANEW, MAP, MAPS_ANEW, TIMER_CLEARED, TIMER_SET, TIMERS_ANEW, Table, VALUES_ANEW};
use crate::slot::{Slot, SlotId};
use crate::timers::Timer;
use stygian_core::{SectionKind, SlotKind, StateSection, TimerClock};

/// What a section says, piece by piece. Slots have the indices that the operator gives them now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// Nothing of the group is there: the first entry of a base.
    Base,
    /// Nothing is in a table but what follows.
    Anew(Table),
    /// The values of a key, by the index of the slot (none at those of lists and maps); none at all: the key has no values.
    Key {
        /// The key.
        key: &'a [u8],
        /// One a slot.
        cells: &'a [Option<Cell<'a>>],
    },
    /// The list of a key; nothing stays and nothing comes: it has none.
    List {
        /// The slot.
        slot: SlotId,
        /// The key.
        key: &'a [u8],
        /// The time of its last write, in microseconds.
        written: i64,
        /// So many bytes of its entries stay, all behind them go.
        stay: u64,
        /// Then these come: a varint of the length plus one, a varint of the version, and the bytes, for each.
        more: &'a [u8],
    },
    /// The map of a key has no entries but those that follow.
    MapAnew {
        /// The slot.
        slot: SlotId,
        /// The key.
        key: &'a [u8],
    },
    /// An entry of a key's map; without a cell there is none.
    MapEntry {
        /// The slot.
        slot: SlotId,
        /// The key.
        key: &'a [u8],
        /// The entry's own key.
        map_key: &'a [u8],
        /// Its value.
        cell: Option<Cell<'a>>,
    },
}

type Visit<'v> = dyn FnMut(Entry<'_>) -> Result<(), StateError> + 'v;

/// Visits what a section of keyed state says; the time that the state was at.
pub(crate) fn read_keyed(section: &StateSection, origin: &Origin<'_>, slots: &[Slot], visit: &mut Visit<'_>) -> Result<i64, StateError> {
    let mut source = Source::new(section);
    let saved = source.slots(origin, slots)?;
    let time = if saved.lives_by == origin.lives_by { saved.time } else { i64::MIN };
    let mut reader = Reader { cells: vec![None; slots.len()], source, saved, slots };
    if section.kind == SectionKind::Base {
        visit(Entry::Base)?;
    }
    while reader.entry(visit)? {}
    reader.end()?;
    Ok(time)
}

struct Reader<'a> {
    source: Source<'a>,
    saved: SavedSlots,
    slots: &'a [Slot],
    /// Room for the cells of a key.
    cells: Vec<Option<Cell<'a>>>,
}

impl<'a> Reader<'a> {
    /// Visits what the next entry says; whether there was one.
    fn entry(&mut self, visit: &mut Visit<'_>) -> Result<bool, StateError> {
        match self.source.byte()? {
            END => return Ok(false),
            VALUES_ANEW => visit(Entry::Anew(Table::Values))?,
            KEY => self.key(visit)?,
            LISTS_ANEW => visit(Entry::Anew(Table::Lists(self.slot(SlotKind::List)?.slot)))?,
            LIST => self.list(visit)?,
            MAPS_ANEW => visit(Entry::Anew(Table::Maps(self.slot(SlotKind::Map)?.slot)))?,
            MAP => self.map(visit)?,
            _ => return Err(self.source.damaged("no such kind of entry")),
        }
        Ok(true)
    }

    fn key(&mut self, visit: &mut Visit<'_>) -> Result<(), StateError> {
        let key = self.source.bytes()?;
        for at in 0..self.saved.slots.len() {
            if let Some(saved) = self.saved.slots.get(at).copied().filter(|saved| saved.kind == SlotKind::Value) {
                let cell = self.cell(saved)?;
                if let Some(place) = self.cells.get_mut(saved.slot.0) {
                    *place = cell;
                }
            }
        }
        visit(Entry::Key { key, cells: &self.cells })
    }

    fn list(&mut self, visit: &mut Visit<'_>) -> Result<(), StateError> {
        let saved = self.slot(SlotKind::List)?;
        let key = self.source.bytes()?;
        let written = if saved.expires { self.source.time()? } else { self.time_of(saved) };
        let (stay, more) = (self.source.number()?, self.source.bytes()?);
        let mut rest = more;
        while !rest.is_empty() {
            if cell::take(&mut rest, false).flatten().is_none() {
                return Err(self.source.damaged("a list whose entries do not fill it"));
            }
        }
        visit(Entry::List { slot: saved.slot, key, written, stay, more })
    }

    fn map(&mut self, visit: &mut Visit<'_>) -> Result<(), StateError> {
        let saved = self.slot(SlotKind::Map)?;
        let (slot, key) = (saved.slot, self.source.bytes()?);
        if self.source.flag()? {
            visit(Entry::MapAnew { slot, key })?;
        }
        while let Some(length) = self.source.number()?.checked_sub(1) {
            let split = usize::try_from(length).ok().and_then(|length| self.source.rest.split_at_checked(length));
            let (map_key, rest) = split.ok_or_else(|| self.source.damaged("it ends too early"))?;
            self.source.rest = rest;
            let cell = self.cell(saved)?;
            visit(Entry::MapEntry { slot, key, map_key, cell })?;
        }
        Ok(())
    }

    /// A slot of a kind, by its index in the section.
    fn slot(&mut self, kind: SlotKind) -> Result<SavedSlot, StateError> {
        let at = self.source.number()?;
        let saved = usize::try_from(at).ok().and_then(|at| self.saved.slots.get(at)).filter(|saved| saved.kind == kind);
        saved.copied().ok_or_else(|| self.source.damaged("no such slot of this kind"))
    }

    fn cell(&mut self, saved: SavedSlot) -> Result<Option<Cell<'a>>, StateError> {
        let cell = cell::take(&mut self.source.rest, saved.expires).ok_or_else(|| self.source.damaged("no value"))?;
        // A slot that expires now and did not when it was saved, or the other way round.
        Ok(cell.map(|cell| Cell { written: if saved.expires { cell.written } else { self.time_of(saved) }, ..cell }))
    }

    /// The time of what was saved without one.
    fn time_of(&self, saved: SavedSlot) -> i64 {
        let expires_now = self.slots.get(saved.slot.0).is_some_and(|slot| slot.ttl_micros.is_some());
        if expires_now { self.saved.time } else { i64::MIN }
    }

    fn end(self) -> Result<(), StateError> {
        if self.source.rest.is_empty() { Ok(()) } else { Err(self.source.damaged("something follows its end")) }
    }
}

/// What a section says of timers.
pub(crate) enum TimerEntry {
    /// None waits: the first entry of a base.
    Anew,
    /// One waits.
    Set(TimerClock, Timer),
    /// One does not wait.
    Cleared(TimerClock, Timer),
}

/// Visits what a section of timers says.
pub(crate) fn read_timers(
    section: &StateSection,
    origin: &Origin<'_>,
    timers: &[(String, TimerClock)],
    visit: &mut dyn FnMut(TimerEntry) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let mut source = Source::new(section);
    let saved = source.timers(origin, timers)?;
    if section.kind == SectionKind::Base {
        visit(TimerEntry::Anew)?;
    }
    let timer = |source: &mut Source<'_>| -> Result<(TimerClock, Timer), StateError> {
        let saved = usize::try_from(source.number()?).ok().and_then(|at| saved.get(at).copied());
        let (timer, clock) = saved.ok_or_else(|| source.damaged("no such timer"))?;
        Ok((clock, Timer { at: source.time()?, timer, key: source.bytes()?.into(), group: section.group }))
    };
    loop {
        match source.byte()? {
            END if source.rest.is_empty() => return Ok(()),
            END => return Err(source.damaged("something follows its end")),
            TIMERS_ANEW => visit(TimerEntry::Anew)?,
            TIMER_SET => {
                let (clock, timer) = timer(&mut source)?;
                visit(TimerEntry::Set(clock, timer))?;
            }
            TIMER_CLEARED => {
                let (clock, timer) = timer(&mut source)?;
                visit(TimerEntry::Cleared(clock, timer))?;
            }
            _ => return Err(source.damaged("no such kind of entry")),
        }
    }
}
