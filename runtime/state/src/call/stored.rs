//! Puts back what was stored of a call's keys, in the versions that it was written in: for calls that are made again elsewhere.

use crate::cell::{self, Cell};
use crate::section::Entry;
use crate::slot::SlotId;
use crate::{KeyedState, StateCall, StateError};
use std::collections::BTreeMap;
use stygian_core::SlotKind;

/// A value, or an entry of a list or map, as it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredValue<'a> {
    /// The slot, which the state has.
    pub slot: SlotId,
    /// The index of the key in the call.
    pub key: usize,
    /// Of an entry of a map.
    pub map_key: Option<&'a [u8]>,
    /// The version that it was written in.
    pub version: u32,
    /// The value.
    pub bytes: &'a [u8],
}

impl StateCall {
    /// Ends the call and stores these values of its keys in place of what there was, all written at one time; those of a list in this order.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn restore(self, stored: &[StoredValue<'_>], written: i64) -> Result<Box<KeyedState>, StateError> {
        let mut state = self.state;
        let expires = |slot: SlotId| state.slots.get(slot.0).is_some_and(|slot| slot.ttl_micros.is_some());
        let mut values: BTreeMap<usize, Vec<Option<Cell<'_>>>> = BTreeMap::new();
        let mut lists: BTreeMap<(usize, SlotId), Vec<u8>> = BTreeMap::new();
        let mut maps = Vec::new();
        for value in stored {
            let StoredValue { slot, key, version, bytes, .. } = *value;
            let cell = Cell { version, written: if expires(slot) { written } else { i64::MIN }, bytes };
            match state.slots.get(slot.0).map(|slot| slot.kind) {
                Some(SlotKind::Value) => {
                    let cells = values.entry(key).or_insert_with(|| vec![None; state.slots.len()]);
                    cells.get_mut(slot.0).into_iter().for_each(|place| *place = Some(cell));
                }
                Some(SlotKind::List) => cell::push(lists.entry((key, slot)).or_default(), false, Some(&cell)),
                Some(SlotKind::Map) => maps.push((key, slot, value.map_key.unwrap_or_default(), cell)),
                None => {}
            }
        }
        let (keys, backend) = (&state.loaded.keys, &mut state.backend);
        let mut put = |key: usize, entry: Entry<'_>| backend.restore(keys.group(key), &entry);
        for (key, cells) in &values {
            put(*key, Entry::Key { key: keys.keys().get(*key), cells })?;
        }
        for ((key, slot), more) in &lists {
            put(*key, Entry::List { slot: *slot, key: keys.keys().get(*key), written, stay: 0, more })?;
        }
        for (key, slot, map_key, cell) in maps {
            put(key, Entry::MapEntry { slot, key: keys.keys().get(key), map_key, cell: Some(cell) })?;
        }
        Ok(state)
    }
}
