//! The value slots of one key group's keys: an arena of records, and a table of their places.
//!
//! A record is, without padding: room for the slots in bytes and two flags (u32), length of the key (u32), the key, the slots, each a cell
//! ([`crate::cell`]). A record is written in place as long as its slots fit the room that it has; else it moves to the end. What it leaves
//! behind is reclaimed when more than half of the arena is such.
//!
//! For snapshots, a record that has changed is flagged, and its place is noted when the flag is set; keys that are gone are remembered by
//! name. Records of a table that is to be written whole have the flag from the start, so that nothing is noted of them.

mod saved;

use crate::StateError;
use crate::cell::{self, Cell};
use crate::memory::Place;
use crate::seed;
use crate::slot::Slot;
use crate::touched::Touched;
use crate::varint;
use crate::versions::Versions;
use crate::writes::Change;
use hashbrown::HashTable;
use std::ops::Range;
use stygian_core::{EventTime, short};

/// A record that does not exist.
pub(crate) const NOWHERE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct ValueTable {
    arena: Vec<u8>,
    places: HashTable<u32>,
    /// How often records have moved: places from before are void.
    compactions: u32,
    /// Apart, as tables lie side by side and every key of a call comes by.
    saving: Box<Saving>,
}

/// What is remembered for the next snapshot and for compaction.
#[derive(Debug, Default)]
struct Saving {
    /// Bytes of the arena that are no records any more.
    garbage: usize,
    /// Where the flag of a change was set; not all of these are records still.
    changed: Vec<u32>,
    /// Keys that are gone.
    touched: Touched,
}

const HEADER: usize = 8;
/// A flag in the room of a record: it has changed since the last snapshot.
const CHANGED: u32 = 1 << 31;
/// A flag in the room of a record: it is none any more.
const DEAD: u32 = 1 << 30;
/// The room itself.
const ROOM: u32 = DEAD - 1;

/// A key and the place of its record.
#[derive(Clone, Copy)]
pub(crate) struct Found<'k> {
    pub(crate) key: &'k [u8],
    pub(crate) hash: u64,
    pub(crate) place: u32,
}

impl ValueTable {
    /// The place of a key's record; [`NOWHERE`] if it has none. Valid until the next write.
    #[inline]
    pub(crate) fn find(&self, key: &[u8], hash: u64) -> u32 {
        self.places.find(hash, |place| short::same(self.key(*place), key)).copied().unwrap_or(NOWHERE)
    }

    /// The place of the first record that a key of this hash may have; [`NOWHERE`] if it has none. The record is not looked at.
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> u32 {
        self.places.find(hash, |_| true).copied().unwrap_or(NOWHERE)
    }

    /// The place of a key's record, which is mostly the one that was guessed.
    #[inline]
    pub(crate) fn find_from(&self, guessed: u32, key: &[u8], hash: u64) -> u32 {
        if guessed == NOWHERE || short::same(self.key(guessed), key) { guessed } else { self.find(key, hash) }
    }

    /// How often records have moved.
    pub(crate) fn compactions(&self) -> u32 {
        self.compactions
    }

    /// Visits the value of every value slot of a record.
    #[inline]
    pub(crate) fn read<'a>(&'a self, place: u32, slots: &[Slot], watermark: EventTime, mut visit: impl FnMut(Place<'_>, Option<Cell<'a>>)) {
        let mut rest = self.slots(place);
        if let [slot] = slots
            && slot.is_value()
            && let Some(length) = only_value(rest, slot)
        {
            let cell = Cell { version: slot.version, written: i64::MIN, bytes: rest.get(2..2 + length).unwrap_or_default() };
            return visit(Place { index: 0, slot }, Some(cell));
        }
        for (index, slot) in slots.iter().enumerate().filter(|(_, slot)| slot.is_value()) {
            let cell = take_cell(&mut rest, slot);
            visit(Place { index, slot }, cell.filter(|cell| !slot.is_expired(cell.written, watermark)));
        }
    }

    /// Changes a record where it stands, if every value that is set replaces one of the same length and version and none is removed. Otherwise
    /// it is left half changed, for [`ValueTable::write`] to change it whole.
    #[inline]
    pub(crate) fn overwrite<'a>(&mut self, place: u32, slots: &[Slot], written: i64, change: impl Fn(usize) -> Change<'a>) -> bool {
        if place == NOWHERE {
            return false;
        }
        let Header { flags, slots: range } = Header::of(&self.arena, place);
        let Some(record) = self.arena.get_mut(range) else { return false };
        if let [slot] = slots
            && slot.is_value()
            && let Change::Put(bytes, _) = change(0)
            && only_value(record, slot) == Some(bytes.len())
            && let Some(value) = record.get_mut(2..2 + bytes.len())
        {
            short::overwrite(value, bytes);
            if flags & CHANGED == 0 {
                self.mark(place);
            }
            return true;
        }
        let mut at = 0;
        for (index, slot) in slots.iter().enumerate().filter(|(_, slot)| slot.is_value()) {
            let mut rest = record.get(at..).unwrap_or_default();
            let (before, cell) = (rest.len(), take_cell(&mut rest, slot));
            let (next, length) = (at + before - rest.len(), cell.as_ref().map_or(0, |cell| cell.bytes.len()));
            match change(index) {
                Change::Keep => {}
                Change::Put(bytes, life) if cell.is_some_and(|cell| cell.bytes.len() == bytes.len() && cell.version == slot.version) => {
                    let value = next - length;
                    if slot.ttl_micros.is_some() {
                        let written = life.written(written, cell.map(|cell| cell.written));
                        record[value - 8..value].copy_from_slice(&written.to_le_bytes());
                    }
                    short::overwrite(&mut record[value..next], bytes);
                }
                Change::Put(..) | Change::Remove => return false,
            }
            at = next;
        }
        if flags & CHANGED == 0 {
            self.mark(place);
        }
        true
    }

    /// Notes that a record has changed.
    fn mark(&mut self, place: u32) {
        // The room is the first number of the record.
        if let Some(room) = self.arena.get_mut(place as usize..).and_then(|record| record.first_chunk_mut()) {
            let flags = u32::from_le_bytes(*room);
            if flags & CHANGED == 0 {
                *room = (flags | CHANGED).to_le_bytes();
                self.saving.changed.push(place);
            }
        }
    }

    /// Changes a key's record, which is at `place`.
    pub(crate) fn write<'a>(
        &mut self,
        found: Found<'_>,
        slots: &[Slot],
        written: i64,
        scratch: &mut Vec<u8>,
        versions: &mut Versions,
        change: impl Fn(usize) -> Change<'a>,
    ) -> Result<(), StateError> {
        scratch.clear();
        let (mut rest, mut any) = (self.slots(found.place), false);
        for (index, slot) in slots.iter().enumerate().filter(|(_, slot)| slot.is_value()) {
            let before = rest;
            let cell = take_cell(&mut rest, slot);
            any |= match change(index) {
                Change::Keep if cell.is_some() => {
                    scratch.extend_from_slice(&before[..before.len() - rest.len()]);
                    true
                }
                Change::Keep => {
                    varint::push(scratch, 0);
                    false
                }
                Change::Remove => {
                    versions.replace(index, cell.map(|cell| cell.version), None);
                    varint::push(scratch, 0);
                    false
                }
                Change::Put(bytes, life) => {
                    let new = Cell { version: slot.version, written: life.written(written, cell.map(|cell| cell.written)), bytes };
                    versions.replace(index, cell.map(|cell| cell.version), Some(slot.version));
                    cell::push(scratch, slot.ttl_micros.is_some(), Some(&new));
                    true
                }
            };
        }
        self.replace(found, any.then_some(scratch.as_slice()), true)
    }

    /// Gives a key these slots, or none; `changed`: since the last snapshot.
    fn replace(&mut self, Found { key, hash, place }: Found<'_>, slots: Option<&[u8]>, changed: bool) -> Result<(), StateError> {
        match slots {
            None if place == NOWHERE => return Ok(()),
            Some(slots) if place != NOWHERE && slots.len() <= self.room(place) => {
                let start = self.slots_start(place);
                let end = start + self.room(place);
                self.arena[start..start + slots.len()].copy_from_slice(slots);
                self.arena[start + slots.len()..end].fill(0);
                if changed {
                    self.mark(place);
                }
                return Ok(());
            }
            _ => {}
        }
        if place != NOWHERE {
            self.forget(place, hash);
        }
        match slots {
            Some(slots) => self.append((key, hash), slots, changed)?,
            None if changed => self.saving.touched.push((key, None), self.arena.len() / 2),
            None => {}
        }
        self.compact();
        Ok(())
    }

    /// Drops the records all of whose values have expired.
    pub(crate) fn sweep(&mut self, slots: &[Slot], watermark: EventTime, versions: &mut Versions) {
        if !slots.iter().any(|slot| slot.is_value() && slot.ttl_micros.is_some()) {
            return;
        }
        let mut dead = Vec::new();
        for place in self.places.iter().copied() {
            let mut alive = false;
            self.read(place, slots, watermark, |_, value| alive |= value.is_some());
            if !alive {
                dead.push(place);
            }
        }
        let seed = seed::seed();
        for place in dead {
            let key = key(&self.arena, place);
            let hash = seed::hash(key, seed);
            self.saving.touched.push((key, None), self.arena.len() / 2);
            self.uncount(place, slots, versions);
            self.forget(place, hash);
        }
        self.compact();
    }

    pub(crate) fn keys(&self) -> u64 {
        self.places.len() as u64
    }

    pub(crate) fn bytes(&self) -> usize {
        self.arena.capacity() + self.places.allocation_size()
    }

    /// Counts the values of a record no more.
    fn uncount(&self, place: u32, slots: &[Slot], versions: &mut Versions) {
        self.read(place, slots, EventTime::MIN, |place, cell| versions.replace(place.index, cell.map(|cell| cell.version), None));
    }

    fn room(&self, place: u32) -> usize {
        room(&self.arena, place as usize)
    }

    #[inline]
    fn key(&self, place: u32) -> &[u8] {
        key(&self.arena, place)
    }

    fn slots_start(&self, place: u32) -> usize {
        place as usize + HEADER + number(&self.arena, place as usize + 4)
    }

    /// The slots of a record; nothing where there is no record, which reads as slots without values.
    fn slots(&self, place: u32) -> &[u8] {
        if place == NOWHERE {
            return &[];
        }
        self.arena.get(Header::of(&self.arena, place).slots).unwrap_or_default()
    }

    fn append(&mut self, (key, hash): (&[u8], u64), slots: &[u8], changed: bool) -> Result<(), StateError> {
        let need = HEADER + key.len() + slots.len();
        let place = u32::try_from(self.arena.len()).ok().filter(|place| *place as usize + need < NOWHERE as usize);
        let (place, room) = place.zip(u32::try_from(slots.len()).ok().filter(|room| *room <= ROOM)).ok_or(StateError::GroupTooLarge)?;
        if self.arena.capacity() - self.arena.len() < need {
            // A quarter more, not twice as much: there are many groups, and the room of each counts.
            self.arena.reserve_exact(need.max(self.arena.len() / 4).max(64));
        }
        if changed && self.saving.touched.is_tracked() {
            self.saving.changed.push(place);
        }
        let flagged = room | if changed { CHANGED } else { 0 };
        // The key fits, as the sum does.
        for number in [flagged, u32::try_from(key.len()).unwrap_or(0)] {
            self.arena.extend_from_slice(&number.to_le_bytes());
        }
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(slots);
        let (arena, seed) = (&self.arena, seed::seed());
        self.places.insert_unique(hash, place, |place| seed::hash(self::key(arena, *place), seed));
        Ok(())
    }

    fn forget(&mut self, place: u32, hash: u64) {
        self.saving.garbage += self.slots_start(place) - place as usize + self.room(place);
        if let Some(room) = self.arena.get_mut(place as usize..).and_then(|record| record.first_chunk_mut()) {
            *room = (u32::from_le_bytes(*room) | DEAD).to_le_bytes();
        }
        if let Ok(entry) = self.places.find_entry(hash, |other| *other == place) {
            entry.remove();
        }
    }

    fn compact(&mut self) {
        if self.saving.garbage >= 4096 && self.saving.garbage * 2 >= self.arena.len() {
            self.compact_to((self.arena.len() - self.saving.garbage) * 9 / 8, <[u8]>::len);
        }
    }

    /// Moves the records together, into a new arena of this capacity; of each its slots keep so many bytes.
    fn compact_to(&mut self, capacity: usize, keep: impl Fn(&[u8]) -> usize) {
        let mut arena = Vec::with_capacity(capacity);
        self.saving.changed.clear();
        for place in &mut self.places {
            let start = *place as usize;
            let (header, slots) = (flags(&self.arena, start), start + HEADER + number(&self.arena, start + 4));
            let room = keep(self.arena.get(slots..slots + (header & ROOM) as usize).unwrap_or_default());
            // No larger than before, so both fit.
            *place = u32::try_from(arena.len()).unwrap_or(NOWHERE);
            // Those of a table that is to be written whole are all flagged, and none is noted.
            if self.saving.touched.is_tracked() && header & CHANGED != 0 {
                self.saving.changed.push(*place);
            }
            arena.extend_from_slice(&(header & !ROOM | u32::try_from(room).unwrap_or(0)).to_le_bytes());
            arena.extend_from_slice(self.arena.get(start + 4..slots + room).unwrap_or_default());
        }
        self.arena = arena;
        self.saving.garbage = 0;
        self.compactions = self.compactions.wrapping_add(1);
    }
}

/// The beginning of a record.
struct Header {
    /// The room of the slots, and its flags.
    flags: u32,
    /// Where in the arena the slots are.
    slots: Range<usize>,
}

impl Header {
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // the lower half
    fn of(arena: &[u8], place: u32) -> Self {
        let start = place as usize;
        let both = arena.get(start..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let (flags, slots) = (both as u32, start + HEADER + (both >> 32) as usize);
        Self { flags, slots: slots..slots + (flags & ROOM) as usize }
    }
}

/// The room of a record and its flags.
#[inline]
fn flags(arena: &[u8], place: usize) -> u32 {
    arena.get(place..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[inline]
fn room(arena: &[u8], place: usize) -> usize {
    (flags(arena, place) & ROOM) as usize
}

/// A number of a header. Places are only made by `append`, so a header and what it tells of are within the arena.
#[inline]
fn number(arena: &[u8], at: usize) -> usize {
    arena.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
}

#[inline]
fn key(arena: &[u8], place: u32) -> &[u8] {
    let start = place as usize + HEADER;
    arena.get(start..start + number(arena, start - 4)).unwrap_or_default()
}

/// The length of the value of a record with one slot, which begins at the third byte, where it is of the slot's version, does not expire, and is
/// so short that the numbers before it are a byte each: what most records are.
#[inline]
fn only_value(cells: &[u8], slot: &Slot) -> Option<usize> {
    let [one_more @ 1..0x80, version @ ..0x80, value @ ..] = cells else { return None };
    let length = usize::from(*one_more) - 1;
    (u32::from(*version) == slot.version && slot.ttl_micros.is_none() && length <= value.len()).then_some(length)
}

/// How many bytes of a record's slots are not just room.
fn filled(cells: &[u8], slots: &[Slot]) -> usize {
    let mut rest = cells;
    for slot in slots.iter().filter(|slot| slot.is_value()) {
        take_cell(&mut rest, slot);
    }
    cells.len() - rest.len()
}

/// Takes a slot from the front; one without a value where nothing is left.
#[inline(always)] // the compiler leaves a call a slot in the two hottest loops else
fn take_cell<'a>(rest: &mut &'a [u8], slot: &Slot) -> Option<Cell<'a>> {
    cell::take(rest, slot.ttl_micros.is_some()).flatten()
}
