//! The value slots of one key group's keys: an arena of records, and a table of their places.
//!
//! A record is, without padding: room for the slots in bytes (u32), length of the key (u32), the key, the slots. A slot is a varint of
//! its length plus one (0: no value, nothing follows), a varint of its version, the time of its last write (i64, only in slots that
//! expire), and its bytes. A record is written in place as long as its slots fit the room that it has; else it moves to the end. What it
//! leaves behind is reclaimed when more than half of the arena is such.

use crate::StateError;
use crate::memory::varint;
use crate::seed;
use crate::slot::Slot;
use crate::writes::Change;
use hashbrown::HashTable;
use stygian_core::{EventTime, short};

/// A record that does not exist.
pub(crate) const NOWHERE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct ValueTable {
    arena: Vec<u8>,
    places: HashTable<u32>,
    garbage: usize,
    /// How often records have moved: places from before are void.
    compactions: u32,
}

const HEADER: usize = 8;

/// A value as it is stored.
struct Cell<'a> {
    version: u32,
    written: i64,
    bytes: &'a [u8],
}

impl ValueTable {
    /// The place of a key's record; [`NOWHERE`] if it has none. Valid until the next write.
    #[inline]
    pub(crate) fn find(&self, key: &[u8], hash: u64) -> u32 {
        self.places.find(hash, |place| short::same(self.key(*place), key)).copied().unwrap_or(NOWHERE)
    }

    /// How often records have moved.
    pub(crate) fn compactions(&self) -> u32 {
        self.compactions
    }

    /// Visits the value of every value slot of a record.
    #[inline]
    pub(crate) fn read<'a>(&'a self, place: u32, slots: &[Slot], watermark: EventTime, mut visit: impl FnMut(usize, Option<&'a [u8]>)) {
        let mut rest = self.slots(place);
        for (index, slot) in slots.iter().enumerate().filter(|(_, slot)| is_value(slot)) {
            let cell = take_cell(&mut rest, slot);
            visit(index, cell.filter(|cell| !slot.is_expired(cell.written, watermark)).map(|cell| cell.bytes));
        }
    }

    /// Changes a record where it stands, if every value that is set replaces one of the same length and version and none is removed. Otherwise
    /// it is left half changed, for [`ValueTable::write`] to change it whole.
    #[inline]
    pub(crate) fn overwrite<'a>(&mut self, place: u32, slots: &[Slot], written: i64, change: impl Fn(usize) -> Change<'a>) -> bool {
        if place == NOWHERE {
            return false;
        }
        let (start, room) = (self.slots_start(place), self.room(place));
        let Some(record) = self.arena.get_mut(start..start + room) else { return false };
        let mut at = 0;
        for (index, slot) in slots.iter().enumerate().filter(|(_, slot)| is_value(slot)) {
            let mut rest = record.get(at..).unwrap_or_default();
            let (before, cell) = (rest.len(), take_cell(&mut rest, slot));
            let (next, length) = (at + before - rest.len(), cell.as_ref().map_or(0, |cell| cell.bytes.len()));
            match change(index) {
                Change::Keep => {}
                Change::Put(bytes) if cell.is_some_and(|cell| cell.bytes.len() == bytes.len() && cell.version == slot.version) => {
                    let value = next - length;
                    if slot.ttl_micros.is_some() {
                        record[value - 8..value].copy_from_slice(&written.to_le_bytes());
                    }
                    short::overwrite(&mut record[value..next], bytes);
                }
                Change::Put(_) | Change::Remove => return false,
            }
            at = next;
        }
        true
    }

    /// Changes a key's record, which is at `place`.
    pub(crate) fn write<'a>(
        &mut self,
        (key, hash, place): (&[u8], u64, u32),
        slots: &[Slot],
        written: i64,
        scratch: &mut Vec<u8>,
        change: impl Fn(usize) -> Change<'a>,
    ) -> Result<(), StateError> {
        scratch.clear();
        let (mut rest, mut any) = (self.slots(place), false);
        for (index, slot) in slots.iter().enumerate().filter(|(_, slot)| is_value(slot)) {
            let before = rest;
            let present = take_cell(&mut rest, slot).is_some();
            match change(index) {
                Change::Keep if present => scratch.extend_from_slice(&before[..before.len() - rest.len()]),
                Change::Keep | Change::Remove => varint::push(scratch, 0),
                Change::Put(bytes) => push_cell(scratch, slot, &Cell { version: slot.version, written, bytes }),
            }
            any |= match change(index) {
                Change::Keep => present,
                Change::Remove => false,
                Change::Put(_) => true,
            };
        }
        if place == NOWHERE && !any {
            return Ok(());
        }
        if place != NOWHERE && any && scratch.len() <= self.room(place) {
            let start = self.slots_start(place);
            let end = start + self.room(place);
            self.arena[start..start + scratch.len()].copy_from_slice(scratch);
            self.arena[start + scratch.len()..end].fill(0);
            return Ok(());
        }
        if place != NOWHERE {
            self.forget(place, hash);
        }
        if any {
            self.append(key, hash, scratch)?;
        }
        self.compact();
        Ok(())
    }

    /// Drops the records all of whose values have expired.
    pub(crate) fn sweep(&mut self, slots: &[Slot], watermark: EventTime) {
        if !slots.iter().any(|slot| is_value(slot) && slot.ttl_micros.is_some()) {
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
            let hash = seed::hash(self.key(place), seed);
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

    fn room(&self, place: u32) -> usize {
        number(&self.arena, place as usize)
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
        let start = self.slots_start(place);
        self.arena.get(start..start + self.room(place)).unwrap_or_default()
    }

    fn append(&mut self, key: &[u8], hash: u64, slots: &[u8]) -> Result<(), StateError> {
        let need = HEADER + key.len() + slots.len();
        let place = u32::try_from(self.arena.len()).ok().filter(|place| *place as usize + need < NOWHERE as usize);
        let place = place.ok_or(StateError::GroupTooLarge)?;
        if self.arena.capacity() - self.arena.len() < need {
            // A quarter more, not twice as much: there are many groups, and the room of each counts.
            self.arena.reserve_exact(need.max(self.arena.len() / 4).max(64));
        }
        // Both fit, as their sum does.
        for length in [slots.len(), key.len()] {
            self.arena.extend_from_slice(&u32::try_from(length).unwrap_or(0).to_le_bytes());
        }
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(slots);
        let (arena, seed) = (&self.arena, seed::seed());
        self.places.insert_unique(hash, place, |place| seed::hash(self::key(arena, *place), seed));
        Ok(())
    }

    fn forget(&mut self, place: u32, hash: u64) {
        self.garbage += self.slots_start(place) - place as usize + self.room(place);
        if let Ok(entry) = self.places.find_entry(hash, |other| *other == place) {
            entry.remove();
        }
    }

    fn compact(&mut self) {
        if self.garbage < 4096 || self.garbage * 2 < self.arena.len() {
            return;
        }
        let mut arena = Vec::with_capacity((self.arena.len() - self.garbage) * 9 / 8);
        for place in &mut self.places {
            let start = *place as usize;
            let end = start + HEADER + number(&self.arena, start + 4) + number(&self.arena, start);
            // No larger than before, so it fits.
            *place = u32::try_from(arena.len()).unwrap_or(NOWHERE);
            arena.extend_from_slice(self.arena.get(start..end).unwrap_or_default());
        }
        self.arena = arena;
        self.garbage = 0;
        self.compactions = self.compactions.wrapping_add(1);
    }
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

fn is_value(slot: &Slot) -> bool {
    slot.kind == stygian_core::SlotKind::Value
}

fn push_cell(to: &mut Vec<u8>, slot: &Slot, cell: &Cell<'_>) {
    varint::push(to, cell.bytes.len() as u64 + 1);
    varint::push(to, u64::from(cell.version));
    if slot.ttl_micros.is_some() {
        to.extend_from_slice(&cell.written.to_le_bytes());
    }
    to.extend_from_slice(cell.bytes);
}

/// Takes a slot from the front; one without a value where nothing is left.
#[inline(always)] // the compiler leaves a call a slot in the two hottest loops else
fn take_cell<'a>(rest: &mut &'a [u8], slot: &Slot) -> Option<Cell<'a>> {
    let length = usize::try_from(varint::take(rest)?).ok()?.checked_sub(1)?;
    let version = u32::try_from(varint::take(rest)?).ok()?;
    let mut written = i64::MIN;
    if slot.ttl_micros.is_some() {
        let (bytes, behind) = rest.split_first_chunk()?;
        (written, *rest) = (i64::from_le_bytes(*bytes), behind);
    }
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(Cell { version, written, bytes })
}
