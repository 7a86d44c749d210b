//! Value slots on their way into sections and out of them.

use crate::StateError;
use crate::cell::{self, Cell};
use crate::memory::values::{CHANGED, DEAD, Found, HEADER, NOWHERE, Saving, ValueTable, filled, flags, key, number, room};
use crate::section::{SectionWriter, Table};
use crate::slot::Slot;
use crate::touched::Touched;
use crate::versions::Versions;

impl ValueTable {
    /// Whether a snapshot has something to say.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.saving.touched.is_unsaved(self.places.is_empty()) || !self.saving.changed.is_empty()
    }

    /// Whether a snapshot may have said something.
    pub(crate) fn is_saved(&self) -> bool {
        self.saving.touched.is_saved()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Writes all keys, or those that have changed or are gone since the last snapshot; `whole`: of a base.
    pub(crate) fn snapshot(&mut self, whole: bool, slots: &[Slot], into: &mut SectionWriter) {
        let mut changed = std::mem::take(&mut self.saving.changed);
        let (tracked, gone) = (self.saving.touched.is_tracked(), self.saving.touched.take());
        if whole || !tracked {
            if !whole {
                into.anew(Table::Values);
            }
            let mut place = 0;
            while place < self.arena.len() {
                self.save(place, slots, into);
                place += HEADER + number(&self.arena, place + 4) + room(&self.arena, place);
            }
            return;
        }
        changed.sort_unstable();
        changed.iter().for_each(|place| self.save(*place as usize, slots, into));
        let seed = crate::seed::seed();
        for (key, _) in gone.sorted() {
            // One that came again is flagged.
            if self.find(key, crate::seed::hash(key, seed)) == NOWHERE {
                into.key(key, slots.iter().map(|_| None));
            }
        }
    }

    /// Writes a record, if it is one still, and takes its flag away.
    fn save(&mut self, place: usize, slots: &[Slot], into: &mut SectionWriter) {
        let flags = flags(&self.arena, place);
        let Ok(at) = u32::try_from(place) else { return };
        if flags & DEAD != 0 {
            return;
        }
        let cells = self.slots(at);
        into.key_of_cells(key(&self.arena, at), cells.get(..filled(cells, slots)).unwrap_or_default());
        if let Some(room) = self.arena.get_mut(place..).and_then(|record| record.first_chunk_mut()) {
            *room = (flags & !CHANGED).to_le_bytes();
        }
    }

    /// The next snapshot has to say what becomes of a key.
    pub(crate) fn mark_unsaved(&mut self, key: &[u8]) {
        if !self.saving.touched.is_tracked() {
            return;
        }
        match self.find(key, crate::seed::hash(key, crate::seed::seed())) {
            NOWHERE => self.saving.touched.push((key, None), self.arena.len() / 2),
            place => self.mark(place),
        }
    }

    /// The next snapshot has to say everything.
    pub(crate) fn lose(&mut self) {
        self.saving.touched.lose();
    }

    /// One that is empty, as a snapshot may have said.
    pub(crate) fn saved() -> Self {
        Self { saving: Box::new(Saving { touched: Touched::restored(), ..Saving::default() }), ..Self::default() }
    }

    /// There is nothing: what follows is what was saved.
    pub(crate) fn restore_anew(&mut self, slots: &[Slot], versions: &mut Versions) {
        self.places.iter().for_each(|place| self.uncount(*place, slots, versions));
        *self = Self::saved();
    }

    /// Gives a key the values that were saved, one a slot.
    pub(crate) fn restore(
        &mut self,
        key: &[u8],
        slots: &[Slot],
        cells: &[Option<Cell<'_>>],
        scratch: &mut Vec<u8>,
        versions: &mut Versions,
    ) -> Result<(), StateError> {
        let hash = crate::seed::hash(key, crate::seed::seed());
        let place = self.find(key, hash);
        self.uncount(place, slots, versions);
        scratch.clear();
        for (index, (slot, cell)) in slots.iter().zip(cells).enumerate().filter(|(_, (slot, _))| slot.is_value()) {
            versions.replace(index, None, cell.map(|cell| cell.version));
            cell::push(scratch, slot.ttl_micros.is_some(), cell.as_ref());
        }
        let any = cells.iter().any(Option::is_some);
        self.replace(Found { key, hash, place }, any.then_some(scratch.as_slice()), false)
    }

    /// Gives back what room it can.
    pub(crate) fn shrink(&mut self, slots: &[Slot]) {
        self.compact_to(0, |cells| filled(cells, slots));
        self.arena.shrink_to_fit();
        let (arena, seed) = (&self.arena, crate::seed::seed());
        self.places.shrink_to_fit(|place| crate::seed::hash(key(arena, *place), seed));
    }
}
