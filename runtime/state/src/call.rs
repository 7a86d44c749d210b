//! One call's view of the state: what was loaded, and its own writes on top.
//!
//! Nothing reaches the backend before [`StateCall::commit`]. Indices of slots and keys are checked by who lets strangers call (the
//! sandbox): here an index that does not exist reads nothing and writes nothing.

use crate::StateError;
use crate::backend::MapPage;
use crate::distinct::DistinctKeys;
use crate::keyed::{KeyedState, Loaded};
use crate::slot::{Slot, SlotId};
use crate::timers::{FiredTimer, Timer};
use crate::values::{Values, VarBytes};
use crate::writes::{Change, ListWrites, MapWrites};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use stygian_core::ByteSize;

/// A call that runs.
#[derive(Debug)]
pub struct StateCall {
    state: Box<KeyedState>,
    fired: Vec<FiredTimer>,
    timers: Vec<TimerWrite>,
    /// Where scans stand, by the number that they were given.
    cursors: Vec<Cursor>,
}

#[derive(Debug)]
struct Cursor {
    slot: SlotId,
    key: u32,
    place: Place,
}

/// Where the next page of a scan begins.
#[derive(Debug)]
enum Place {
    /// At the backend's place in a list, or, from [`APPENDED`] on, in what the call has appended.
    List(u64),
    /// Behind this map key.
    Map(Vec<u8>),
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

/// Entries of a list or a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// Map keys, ascending; none for lists.
    pub keys: VarBytes,
    /// The values.
    pub values: VarBytes,
    /// What to pass on to get the next ones; `None`: these were the last.
    pub next: Option<u64>,
    /// Bytes that the call keeps until its end, to know where `next` is.
    pub kept: usize,
}

/// Places in what a call has appended to a list begin here; those below are the backend's.
const APPENDED: u64 = 1 << 63;

impl StateCall {
    pub(crate) fn new(state: Box<KeyedState>, fired: Vec<FiredTimer>) -> Self {
        Self { state, fired, timers: Vec::new(), cursors: Vec::new() }
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

    /// Reads entries of a map, one answer a map key; fewer where they are more than `most` bytes, which end with the one that is too much.
    ///
    /// # Errors
    /// When stored state cannot be read.
    pub fn get(&self, slot: SlotId, key: u32, map_keys: &VarBytes, most: usize) -> Result<Values, StateError> {
        let (writes, mut found) = (self.state.writes.map(slot, key), Values::default());
        for map_key in map_keys.iter() {
            match writes.and_then(|writes| written(writes, map_key)) {
                Some(own) => found.push(own),
                None => {
                    let stored = self.state.backend.entry(
                        slot,
                        &self.state.loaded.keys,
                        key as usize,
                        map_key,
                        self.state.loaded.stored.watermark,
                    )?;
                    found.push(stored.as_ref().map(|(_, value)| value.as_slice()));
                }
            }
            if found.values().bytes().len() > most {
                break;
            }
        }
        Ok(found)
    }

    /// Reads a list, or a map in the order of its keys, from some place on, about `most` bytes.
    ///
    /// # Errors
    /// When stored state cannot be read, or no scan of this slot and key has ended at the place.
    pub fn scan(&mut self, slot: SlotId, key: u32, from: Option<u64>, most: usize) -> Result<Entries, StateError> {
        let place = from.map(|from| self.place(slot, key, from)).transpose()?;
        let (entries, next) = match self.state.slots.get(slot.0).map(|slot| slot.kind) {
            Some(stygian_core::SlotKind::List) => self.scan_list(slot, key, place, most)?,
            Some(stygian_core::SlotKind::Map) => self.scan_map(slot, key, place, most)?,
            _ => return Ok(Entries::default()),
        };
        let Some(place) = next else { return Ok(entries) };
        let kept = match &place {
            Place::List(_) => 0,
            Place::Map(map_key) => map_key.len(),
        };
        let next = Some(self.cursors.len() as u64);
        self.cursors.push(Cursor { slot, key, place });
        Ok(Entries { next, kept, ..entries })
    }

    /// The place of a number that a scan of this slot and key was given.
    fn place(&self, slot: SlotId, key: u32, from: u64) -> Result<&Place, StateError> {
        let cursor = usize::try_from(from).ok().and_then(|at| self.cursors.get(at));
        let cursor = cursor.filter(|cursor| cursor.slot == slot && cursor.key == key);
        cursor.map(|cursor| &cursor.place).ok_or_else(|| StateError::NoSuchPlace { slot: name(&self.state, slot.0), from })
    }

    fn scan_list(&self, slot: SlotId, key: u32, place: Option<&Place>, most: usize) -> Result<(Entries, Option<Place>), StateError> {
        let from = place.map_or(0, |place| match place {
            Place::List(at) => *at,
            Place::Map(_) => 0,
        });
        let (state, writes) = (&self.state, self.state.writes.list(slot, key));
        let appended = writes.map_or(0, |writes| writes.append.len() as u64);
        if from < APPENDED && !writes.is_some_and(|writes| writes.clear) {
            let page = state.backend.list(slot, &state.loaded.keys, key as usize, from, most, state.loaded.stored.watermark)?;
            if !page.entries.is_empty() {
                let next = page.next.or((appended > 0).then_some(APPENDED));
                return Ok((Entries { values: page.entries, ..Entries::default() }, next.map(Place::List)));
            }
        }
        let mut values = VarBytes::default();
        let mut at = from.saturating_sub(APPENDED);
        while at < appended && (values.is_empty() || values.bytes().len() < most) {
            // Below the number of entries, which are in memory.
            values.push(writes.map_or(&[][..], |writes| writes.append.get(usize::try_from(at).unwrap_or(usize::MAX))));
            at += 1;
        }
        Ok((Entries { values, ..Entries::default() }, (at < appended).then_some(Place::List(APPENDED + at))))
    }

    fn scan_map(&self, slot: SlotId, key: u32, place: Option<&Place>, most: usize) -> Result<(Entries, Option<Place>), StateError> {
        let after = place.and_then(|place| match place {
            Place::List(_) => None,
            Place::Map(map_key) => Some(map_key.as_slice()),
        });
        let (state, none) = (&self.state, MapWrites::default());
        let writes = state.writes.map(slot, key).unwrap_or(&none);
        let stored = if writes.clear {
            MapPage::default()
        } else {
            state.backend.entries(slot, &state.loaded.keys, key as usize, after, most, state.loaded.stored.watermark)?
        };
        let (entries, last) = merge(&stored, writes, after, most);
        Ok((entries, last.map(Place::Map)))
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
                list.clear = true;
            }
            None => *self.state.writes.map_mut(slot, key) = MapWrites { clear: true, ..MapWrites::default() },
            Some(map_keys) => {
                let map = self.state.writes.map_mut(slot, key);
                map.entries.extend(map_keys.iter().map(|map_key| (map_key.to_vec(), None)));
            }
        }
    }

    /// What it has written so far.
    pub fn written(&self) -> Written {
        let writes = &self.state.writes;
        let mut written = Written { timers: self.timers.clone(), ..Written::default() };
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
        let mut state = self.state;
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

/// What a call has written to a map entry: `None` if nothing.
fn written<'a>(writes: &'a MapWrites, map_key: &[u8]) -> Option<Option<&'a [u8]>> {
    match writes.entries.get(map_key) {
        Some(own) => Some(own.as_deref()),
        None => writes.clear.then_some(None),
    }
}

/// Stored entries with a call's writes on top, about `most` bytes, and the last map key if there may be more.
fn merge(stored: &MapPage, writes: &MapWrites, after: Option<&[u8]>, most: usize) -> (Entries, Option<Vec<u8>>) {
    // Beyond the end of a page that is not the last, writes have to wait for the stored entries between.
    let last_stored = stored.keys.len().checked_sub(1).map(|last| stored.keys.get(last)).filter(|_| stored.more);
    let range = (after.map_or(Bound::Unbounded, Bound::Excluded), last_stored.map_or(Bound::Unbounded, Bound::Included));
    let is_empty = matches!(range, (Bound::Excluded(a), Bound::Included(b)) if a >= b);
    let own = (!is_empty).then(|| writes.entries.range::<[u8], _>(range)).into_iter().flatten();
    let mut all: BTreeMap<&[u8], Option<&[u8]>> = stored.keys.iter().zip(stored.values.iter().map(Some)).collect();
    all.extend(own.map(|(map_key, value)| (map_key.as_slice(), value.as_deref())));
    let (mut entries, mut last) = (Entries::default(), None);
    for (map_key, value) in &all {
        if !entries.keys.is_empty() && entries.keys.bytes().len() + entries.values.bytes().len() >= most {
            return (entries, last);
        }
        last = Some(map_key.to_vec());
        if let Some(value) = value {
            entries.keys.push(map_key);
            entries.values.push(value);
        }
    }
    (entries, last.filter(|_| stored.more))
}

fn name(state: &KeyedState, slot: usize) -> String {
    state.slots.get(slot).map(|slot| slot.name.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyBatch, KeyCodec, StateLimits};
    use arrow_array::{ArrayRef, StringArray};
    use stygian_core::{ColumnType, EventTime, MaxParallelism, SlotKind};

    #[test]
    fn what_is_asked_for_too_often_is_not_read_to_the_end() {
        let slot = Slot { name: "map".into(), kind: SlotKind::Map, version: 1, ttl_micros: None };
        let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::DEFAULT);
        let mut state = Box::new(KeyedState::in_memory(codec, [slot], [], StateLimits::default()));
        let (names, mut keys): (ArrayRef, _) = (Arc::new(StringArray::from(vec!["a"])), KeyBatch::default());
        state.keys_of(&[names], 1, &mut keys).expect("a key");
        let mut call = state.begin(&keys, 0..1, EventTime::MIN, |_| 0).expect("a call");
        let strings = |strings: &[&[u8]]| strings.iter().copied().collect::<VarBytes>();
        call.put(SlotId(0), 0, &strings(&[b"k"]), &strings(&[b"large"])).expect("within the limit");
        let answers = |most| call.get(SlotId(0), 0, &strings(&[&b"k"[..]; 100]), most).map(|found| found.len());
        assert_eq!([answers(1000), answers(500), answers(499), answers(12)], [100, 100, 100, 3].map(Ok));
    }
}
