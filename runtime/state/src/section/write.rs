//! Writes sections.

use crate::cell::{self, Cell};
use crate::section::{END, KEY, LIST, LISTS_ANEW, MAP, MAPS_ANEW, Origin, TIMER_CLEARED, TIMER_SET, TIMERS_ANEW, VALUES_ANEW};
use crate::slot::{Slot, SlotId};
use crate::timers::Timer;
use crate::varint;
use std::sync::Arc;
use stygian_core::{KeyGroup, SectionKind, TimerClock};

/// What a part of a key group's state is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// All value slots of all keys.
    Values,
    /// The lists of a slot.
    Lists(SlotId),
    /// The maps of a slot.
    Maps(SlotId),
}

/// The keyed state of one key group on its way into bytes. What is written goes on top of what was before, unless a table is said to begin
/// anew; a base begins with nothing in any case.
#[derive(Debug)]
pub struct SectionWriter {
    bytes: Vec<u8>,
    slots: Arc<[Slot]>,
}

impl SectionWriter {
    pub(crate) fn new(origin: &Origin<'_>, kind: SectionKind, group: KeyGroup, slots: &Arc<[Slot]>) -> Self {
        Self { bytes: origin.begin_keyed(kind, group, slots), slots: slots.clone() }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(END);
        self.bytes
    }

    /// Nothing is in a table but what is written of it from here on.
    pub fn anew(&mut self, table: Table) {
        match table {
            Table::Values => self.bytes.push(VALUES_ANEW),
            Table::Lists(slot) => self.entry(LISTS_ANEW, slot),
            Table::Maps(slot) => self.entry(MAPS_ANEW, slot),
        }
    }

    /// The value slots of a key, one cell a *value* slot in the order of declaration; `None` for all: it has no values.
    pub fn key<'c>(&mut self, key: &[u8], cells: impl Iterator<Item = Option<Cell<'c>>>) {
        self.bytes.push(KEY);
        varint::push_bytes(&mut self.bytes, key);
        let expire = self.slots.iter().filter(|slot| slot.is_value()).map(|slot| slot.ttl_micros.is_some());
        for (expires, cell) in expire.zip(cells) {
            cell::push(&mut self.bytes, expires, cell.as_ref());
        }
    }

    /// The value slots of a key whose cells are laid out as the format has them already.
    pub(crate) fn key_of_cells(&mut self, key: &[u8], cells: &[u8]) {
        self.bytes.push(KEY);
        varint::push_bytes(&mut self.bytes, key);
        self.bytes.extend_from_slice(cells);
    }

    /// The list of a key: of its entries the first `stay` bytes stay, all behind them go and `more` comes. Entries are a varint of the length
    /// plus one, a varint of the version, and the bytes; nothing stays and nothing comes: there is no list.
    pub fn list(&mut self, slot: SlotId, key: &[u8], written: i64, stay: u64, more: &[u8]) {
        self.entry(LIST, slot);
        varint::push_bytes(&mut self.bytes, key);
        if self.expires(slot) {
            self.bytes.extend(written.to_le_bytes());
        }
        varint::push(&mut self.bytes, stay);
        varint::push_bytes(&mut self.bytes, more);
    }

    /// Entries of the map of a key, those that are gone without a cell; `anew`: it has no others.
    pub fn map<'c>(&mut self, slot: SlotId, key: &[u8], anew: bool, entries: impl Iterator<Item = (&'c [u8], Option<Cell<'c>>)>) {
        self.begin_map(slot, key, anew);
        entries.for_each(|(map_key, cell)| self.map_entry(slot, map_key, cell.as_ref()));
        self.end_map();
    }

    /// As [`SectionWriter::map`], entry by entry.
    pub(crate) fn begin_map(&mut self, slot: SlotId, key: &[u8], anew: bool) {
        self.entry(MAP, slot);
        varint::push_bytes(&mut self.bytes, key);
        self.bytes.push(u8::from(anew));
    }

    pub(crate) fn map_entry(&mut self, slot: SlotId, map_key: &[u8], cell: Option<&Cell<'_>>) {
        varint::push(&mut self.bytes, map_key.len() as u64 + 1);
        self.bytes.extend_from_slice(map_key);
        let expires = self.expires(slot);
        cell::push(&mut self.bytes, expires, cell);
    }

    pub(crate) fn end_map(&mut self) {
        self.bytes.push(END);
    }

    fn entry(&mut self, kind: u8, slot: SlotId) {
        self.bytes.push(kind);
        varint::push(&mut self.bytes, slot.0 as u64);
    }

    fn expires(&self, slot: SlotId) -> bool {
        self.slots.get(slot.0).is_some_and(|slot| slot.ttl_micros.is_some())
    }
}

/// The timers of one key group on their way into bytes.
pub(crate) struct TimerWriter(Vec<u8>);

impl TimerWriter {
    pub(crate) fn new(origin: &Origin<'_>, kind: SectionKind, group: KeyGroup, timers: &[(String, TimerClock)]) -> Self {
        Self(origin.begin_timers(kind, group, timers))
    }

    pub(crate) fn anew(&mut self) {
        self.0.push(TIMERS_ANEW);
    }

    pub(crate) fn timer(&mut self, set: bool, Timer { at, timer, key, .. }: &Timer) {
        self.0.push(if set { TIMER_SET } else { TIMER_CLEARED });
        varint::push(&mut self.0, u64::from(*timer));
        self.0.extend(at.to_le_bytes());
        varint::push_bytes(&mut self.0, key);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.push(END);
        self.0
    }
}
