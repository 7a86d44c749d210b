//! Drops what has expired, some records at a time: the whole state is not read for it.

use crate::StateError;
use crate::disk::data::{Data, Place};
use crate::disk::keys::{self, Name};
use stygian_core::{EventTime, SlotKind};

/// Records that a sweep looks at, at least and at most.
const LEAST: usize = if cfg!(test) { 7 } else { 1024 };
const MOST: usize = 1 << 17;

impl Data {
    /// Looks at the records behind those that the last sweep looked at: at two for each that was added since, so that however fast records come,
    /// what has expired is never much more than what has not.
    pub(crate) fn sweep_some(&mut self, watermark: EventTime) -> Result<(), StateError> {
        let slots = self.slots.clone();
        let most = (2 * self.added).clamp(LEAST, MOST);
        self.added = self.added.saturating_sub(MOST / 2);
        let mut last = None;
        let records = self.store.stored(self.sweep.clone(), keys::BATCHES.to_vec());
        for (number, record) in records.take(most).enumerate() {
            let (key, was) = record?;
            last = (number + 1 == most).then(|| [&key[..], &[0]].concat());
            let Some((group, name)) = keys::group(&key).zip(keys::name(&key)) else { continue };
            // Another record of this sweep may have changed it.
            let was = self.store.pending(&key).unwrap_or(Some(was));
            let found = self.found(key.to_vec(), was)?;
            let place =
                |index: usize, kind: SlotKind| slots.get(index).filter(|slot| slot.kind == kind).map(|slot| Place { group, index, slot });
            match name {
                Name::Values(key) => self.sweep_values(group, key, found, watermark)?,
                Name::Head { slot, key } => {
                    if let Some(place) = place(slot, SlotKind::List) {
                        self.sweep_list(place, key, &found, watermark)?;
                    }
                }
                Name::Piece { slot, key, .. } => {
                    if let Some(place) = place(slot, SlotKind::Map) {
                        self.sweep_entry(place, key, found, watermark)?;
                    }
                }
            }
        }
        self.sweep = last.unwrap_or_default();
        self.store.end_batch()
    }
}
