//! One call's view of the state: what was loaded, and its own writes on top.
//!
//! Nothing reaches the backend before [`StateCall::commit`]. Indices of slots and keys are checked by who lets strangers call (the
//! sandbox): here an index that does not exist reads nothing and writes nothing.

mod migrate;
mod scan;
mod stored;

use crate::StateError;
use crate::distinct::DistinctKeys;
use crate::keyed::{KeyedState, Loaded};
use crate::slot::{Slot, SlotId};
use crate::timers::{FiredTimer, Timer};
use crate::values::{Values, VarBytes};
use crate::writes::{Change, ListWrites, MapWrites, OtherVersion};
pub use migrate::Migrate;
use scan::Cursor;
pub use scan::{Entries, OtherVersions};
use std::sync::Arc;
pub use stored::StoredValue;
use stygian_core::ByteSize;

/// A call that runs.
#[derive(Debug)]
pub struct StateCall {
    state: Box<KeyedState>,
    fired: Vec<FiredTimer>,
    timers: Vec<TimerWrite>,
    /// The values that came with the call in another version and were migrated.
    migrated: Vec<OtherVersion>,
    /// Where scans stand, by the number that they were given.
    cursors: Vec<Cursor>,
}

/// What a call has written, to be compared with what another one has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Slot, key, value; `None`: it was removed.
    values: Vec<(usize, usize, Option<Vec<u8>>)>,
    lists: Vec<(usize, usize, ListWrites)>,
    maps: Vec<(usize, usize, MapWrites)>,
    timers: Vec<TimerWrite>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TimerWrite {
    set: bool,
    timer: u32,
    key: u32,
    at: i64,
}

impl StateCall {
    pub(crate) fn new(state: Box<KeyedState>, fired: Vec<FiredTimer>) -> Self {
        Self { state, fired, timers: Vec::new(), migrated: Vec::new(), cursors: Vec::new() }
    }

    /// The distinct keys.
    pub fn keys(&self) -> &DistinctKeys {
        &self.state.loaded.keys
    }

    /// What the call began with, to be read while the call is elsewhere.
    pub fn loaded(&self) -> Arc<Loaded> {
        self.state.loaded.clone()
    }

    /// The declared slots.
    pub fn slots(&self) -> &[Slot] {
        &self.state.slots
    }

    /// Per slot, the value of each key; empty for lists and maps.
    pub fn values(&self) -> &[Values] {
        &self.state.loaded.stored.values
    }

    /// How many timers are declared.
    pub fn timers_declared(&self) -> usize {
        self.state.clocks.len()
    }

    /// The timers that are due, of a call on timers.
    pub fn fired(&self) -> &[FiredTimer] {
        &self.fired
    }

    /// Sets a value slot of these keys, one value each; an absent one removes.
    ///
    /// # Errors
    /// When a value is too large.
    pub fn put_values(&mut self, slot: SlotId, keys: &[u32], values: Values) -> Result<(), StateError> {
        self.check_sizes(slot, values.values())?;
        self.state.writes.put_values(slot, keys, values);
        Ok(())
    }

    /// Adds to the end of a list.
    ///
    /// # Errors
    /// When an entry is too large.
    pub fn append(&mut self, slot: SlotId, key: u32, entries: &VarBytes) -> Result<(), StateError> {
        self.check_sizes(slot, entries)?;
        let list = self.state.writes.list_mut(slot, key);
        entries.iter().for_each(|entry| list.append.push(entry));
        Ok(())
    }

    /// Sets entries of a map, one value a map key.
    ///
    /// # Errors
    /// When a value is too large.
    pub fn put(&mut self, slot: SlotId, key: u32, map_keys: &VarBytes, values: &VarBytes) -> Result<(), StateError> {
        self.check_sizes(slot, map_keys)?;
        self.check_sizes(slot, values)?;
        let map = self.state.writes.map_mut(slot, key);
        map_keys.iter().zip(values.iter()).for_each(|(map_key, value)| map.put(map_key, value));
        Ok(())
    }

    /// Removes entries of a map; without `map_keys` all of them, or all of a list.
    pub fn remove(&mut self, slot: SlotId, key: u32, map_keys: Option<&VarBytes>) {
        let is_list = self.state.slots.get(slot.0).is_some_and(|slot| slot.kind == stygian_core::SlotKind::List);
        match map_keys {
            None if is_list => {
                let list = self.state.writes.list_mut(slot, key);
                list.append.clear();
                list.migrated.clear();
                list.clear = true;
            }
            None => *self.state.writes.map_mut(slot, key) = MapWrites { clear: true, ..MapWrites::default() },
            Some(map_keys) => {
                let map = self.state.writes.map_mut(slot, key);
                map.entries.extend(map_keys.iter().map(|map_key| (map_key.to_vec(), None)));
            }
        }
    }

    /// What it has written so far, values that were migrated included.
    pub fn written(&self) -> Written {
        let writes = &self.state.writes;
        let mut written = Written { timers: self.timers.clone(), ..Written::default() };
        written.values.extend(self.migrated_and_left().map(|(slot, key, value)| (slot.0, key, Some(value.to_vec()))));
        for key in 0..self.keys().len() {
            for slot in 0..self.state.slots.len() {
                match writes.value(slot, key) {
                    Change::Keep => {}
                    Change::Put(value, _) => written.values.push((slot, key, Some(value.to_vec()))),
                    Change::Remove => written.values.push((slot, key, None)),
                }
            }
            written.lists.extend(writes.lists(key).map(|(slot, list)| (slot, key, list.clone())));
            written.maps.extend(writes.maps(key).map(|(slot, map)| (slot, key, map.clone())));
        }
        written
    }

    /// Sets timers of these keys.
    pub fn set_timers(&mut self, timer: u32, keys: &[u32], at: &[i64]) {
        self.timers.extend(keys.iter().zip(at).map(|(key, at)| TimerWrite { set: true, timer, key: *key, at: *at }));
    }

    /// Removes timers of these keys that wait.
    pub fn clear_timers(&mut self, timer: u32, keys: &[u32], at: &[i64]) {
        self.timers.extend(keys.iter().zip(at).map(|(key, at)| TimerWrite { set: false, timer, key: *key, at: *at }));
    }

    /// The call went well: applies what it wrote. Timers that were due are gone, unless they were set again.
    ///
    /// # Errors
    /// When a limit is passed or the backend fails; the job has to end then.
    pub fn commit(mut self) -> Result<Box<KeyedState>, StateError> {
        let fired = std::mem::take(&mut self.fired);
        for FiredTimer { timer, key, at } in fired {
            self.change_timer(TimerWrite { set: false, timer, key, at });
        }
        for write in std::mem::take(&mut self.timers) {
            self.change_timer(write);
        }
        let left: Vec<_> = self.migrated_and_left().map(|(slot, key, value)| (slot, key, value.to_vec())).collect();
        let mut state = self.state;
        left.iter().for_each(|(slot, key, value)| state.writes.put_migrated(*slot, *key, value));
        if !state.writes.is_empty() {
            state.backend.write(&state.loaded.keys, &state.loaded.stored, &state.writes)?;
        }
        state.check_limits()?;
        Ok(state)
    }

    /// The call failed: nothing has happened.
    pub fn abort(self) -> Box<KeyedState> {
        self.state
    }

    fn change_timer(&mut self, TimerWrite { set, timer, key, at }: TimerWrite) {
        let Some(clock) = self.state.clocks.get(timer as usize).copied() else { return };
        let keys = &self.state.loaded.keys;
        let timer = Timer { at, timer, key: keys.keys().get(key as usize).into(), group: keys.group(key as usize) };
        if set {
            self.state.timers.set(clock, timer);
        } else {
            self.state.timers.clear(clock, &timer);
        }
    }

    fn check_sizes(&self, slot: SlotId, values: &VarBytes) -> Result<(), StateError> {
        let limit = self.state.limits.value_bytes;
        // All of them together are seldom too large, and only then is one.
        if values.bytes().len() <= limit.as_usize() {
            return Ok(());
        }
        let largest = values.iter().map(<[u8]>::len).max().unwrap_or(0);
        if largest <= limit.as_usize() {
            return Ok(());
        }
        Err(StateError::ValueTooLarge { slot: name(&self.state, slot.0), size: ByteSize(largest as u64), limit })
    }
}

fn name(state: &KeyedState, slot: usize) -> String {
    state.slots.get(slot).map(|slot| slot.name.clone()).unwrap_or_default()
}
