//! The host's side of a keyed call: reads what is stored, checks and collects what the operator writes and asks of timers.

use crate::error::TestError;
use crate::host::Recorder;
use crate::run::Run;
use crate::store::{Store, Write};
use serde_json::{Map as Object, Value};
use std::cell::RefCell;
use std::rc::Rc;
use stygian_sdk::contract::{Batch, Entries, Level, OutputSpec, SlotKind, SlotStates, TimerSpec, VarValues};
use stygian_sdk::{Host, KeyedHost, StateReader};

/// Entries that a scan gives at once: few, so that going on is tested.
const PIECE: usize = 3;

/// A timer that is set, in the order in which they fire: when, which, of which key.
pub(crate) type Pending = (i64, u32, usize);

/// What a call asked for beside rows; keys are those of the whole run.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) writes: Vec<Write>,
    /// `true` sets, `false` clears.
    pub(crate) timers: Vec<(bool, Pending)>,
}

/// Collects one call.
pub(crate) struct KeyedRecorder<'a> {
    rows: Recorder<'a>,
    timers: &'a [TimerSpec],
    store: Rc<RefCell<Store>>,
    /// The key of the whole run of each key of the call.
    keys: &'a [usize],
    asked: Asked,
    problem: Option<String>,
}

impl<'a> KeyedRecorder<'a> {
    pub(crate) fn new(
        outputs: &'a [OutputSpec],
        timers: &'a [TimerSpec],
        store: Rc<RefCell<Store>>,
        keys: &'a [usize],
        input: &'a [Object<String, Value>],
    ) -> Self {
        Self { rows: Recorder::new(outputs, input), timers, store, keys, asked: Asked::default(), problem: None }
    }

    pub(crate) fn finish(self, logs: Vec<(Level, String)>) -> Result<(Run, Asked), TestError> {
        match self.problem {
            Some(problem) => Err(TestError::Contract(problem)),
            None => Ok((self.rows.finish(logs)?, self.asked)),
        }
    }

    fn check(&mut self, what: Result<(), String>) {
        if let Err(problem) = what {
            self.problem.get_or_insert(problem);
        }
    }

    fn key(&self, key: u32) -> Result<usize, String> {
        let keys = self.keys.len();
        self.keys.get(key as usize).copied().ok_or_else(|| format!("key {key} was named, but there are {keys}"))
    }

    fn try_put_states(&mut self, slot: u32, keys: &[u32], states: &SlotStates) -> Result<(), String> {
        self.store.borrow().slot(slot, &[SlotKind::Value])?;
        same_length(keys.len(), blobs(&states.values)?.len())?;
        for (at, (key, bytes)) in keys.iter().zip(blobs(&states.values)?).enumerate() {
            let bytes = states.validity.as_ref().is_none_or(|bits| crate::cell::bit(bits, at)).then_some(bytes);
            let key = self.key(*key)?;
            self.asked.writes.push(Write::Set { slot, key, map_key: Vec::new(), bytes });
        }
        Ok(())
    }

    fn try_append(&mut self, slot: u32, key: u32, values: &VarValues) -> Result<(), String> {
        self.store.borrow().slot(slot, &[SlotKind::List])?;
        let key = self.key(key)?;
        self.asked.writes.extend(blobs(values)?.into_iter().map(|bytes| Write::Append { slot, key, bytes }));
        Ok(())
    }

    fn try_put(&mut self, slot: u32, key: u32, map_keys: &VarValues, values: &VarValues) -> Result<(), String> {
        self.store.borrow().slot(slot, &[SlotKind::Map])?;
        let (key, map_keys, values) = (self.key(key)?, blobs(map_keys)?, blobs(values)?);
        same_length(map_keys.len(), values.len())?;
        let sets = map_keys.into_iter().zip(values);
        self.asked.writes.extend(sets.map(|(map_key, bytes)| Write::Set { slot, key, map_key, bytes: Some(bytes) }));
        Ok(())
    }

    fn try_remove(&mut self, slot: u32, key: u32, map_keys: Option<&VarValues>) -> Result<(), String> {
        let key = self.key(key)?;
        let Some(map_keys) = map_keys else {
            self.store.borrow().slot(slot, &[SlotKind::List, SlotKind::Map])?;
            self.asked.writes.push(Write::Clear { slot, key });
            return Ok(());
        };
        self.store.borrow().slot(slot, &[SlotKind::Map])?;
        self.asked.writes.extend(blobs(map_keys)?.into_iter().map(|map_key| Write::Set { slot, key, map_key, bytes: None }));
        Ok(())
    }

    fn try_timers(&mut self, set: bool, timer: u32, keys: &[u32], at: &[i64]) -> Result<(), String> {
        if timer as usize >= self.timers.len() {
            return Err(format!("timer {timer} was named, but there are {}", self.timers.len()));
        }
        same_length(keys.len(), at.len())?;
        for (key, at) in keys.iter().zip(at) {
            let pending = (*at, timer, self.key(*key)?);
            self.asked.timers.push((set, pending));
        }
        Ok(())
    }
}

fn same_length(one: usize, other: usize) -> Result<(), String> {
    if one == other { Ok(()) } else { Err(format!("lists of one length are {one} and {other} long")) }
}

/// All values.
pub(crate) fn blobs(values: &VarValues) -> Result<Vec<Vec<u8>>, String> {
    let slice = |pair: &[i32]| {
        let range = usize::try_from(pair[0]).ok()?..usize::try_from(pair[1]).ok()?;
        values.bytes.get(range).map(<[u8]>::to_vec)
    };
    values.offsets.windows(2).map(|pair| slice(pair).ok_or_else(|| "offsets do not ascend within their bytes".to_owned())).collect()
}

/// Values in one buffer.
pub(crate) fn var_values<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> VarValues {
    let mut all = VarValues { offsets: vec![0], bytes: Vec::new() };
    for value in values {
        all.bytes.extend_from_slice(value);
        all.offsets.push(i32::try_from(all.bytes.len()).unwrap_or(i32::MAX));
    }
    all
}

/// Values in one buffer, some of them absent.
pub(crate) fn states(values: &[Option<&[u8]>]) -> SlotStates {
    let mut validity = vec![0; values.len().div_ceil(8)];
    for (at, _) in values.iter().enumerate().filter(|(_, value)| value.is_some()) {
        validity[at / 8] |= 1 << (at % 8);
    }
    SlotStates { validity: Some(validity), values: var_values(values.iter().map(|value| value.unwrap_or_default())) }
}

impl Host for KeyedRecorder<'_> {
    fn select(&mut self, output: u32, rows: &[u32]) {
        self.rows.select(output, rows);
    }

    fn emit(&mut self, output: u32, rows: &Batch, parents: Option<&[u32]>) {
        self.rows.emit(output, rows, parents);
    }

    fn dead_letter(&mut self, row: u32, reason: &str) {
        self.rows.dead_letter(row, reason);
    }
}

impl KeyedHost for KeyedRecorder<'_> {
    fn put_states(&mut self, slot: u32, keys: &[u32], values: &SlotStates) {
        let done = self.try_put_states(slot, keys, values);
        self.check(done);
    }

    fn append(&mut self, slot: u32, key: u32, values: &VarValues) {
        let done = self.try_append(slot, key, values);
        self.check(done);
    }

    fn put(&mut self, slot: u32, key: u32, map_keys: &VarValues, values: &VarValues) {
        let done = self.try_put(slot, key, map_keys, values);
        self.check(done);
    }

    fn remove(&mut self, slot: u32, key: u32, map_keys: Option<&VarValues>) {
        let done = self.try_remove(slot, key, map_keys);
        self.check(done);
    }

    fn set_timers(&mut self, timer: u32, keys: &[u32], at: &[i64]) {
        let done = self.try_timers(true, timer, keys, at);
        self.check(done);
    }

    fn clear_timers(&mut self, timer: u32, keys: &[u32], at: &[i64]) {
        let done = self.try_timers(false, timer, keys, at);
        self.check(done);
    }
}

/// Reads the list and map slots of a call's keys.
pub(crate) struct Reader {
    pub(crate) store: Rc<RefCell<Store>>,
    pub(crate) keys: Vec<usize>,
}

impl StateReader for Reader {
    fn get(&self, slot: u32, key: u32, map_keys: &VarValues) -> SlotStates {
        let store = self.store.borrow();
        let map_keys = blobs(map_keys).unwrap_or_default();
        let found: Vec<_> = map_keys.iter().map(|map_key| store.get(slot, *self.keys.get(key as usize)?, map_key)).collect();
        states(&found)
    }

    fn scan(&self, slot: u32, key: u32, from: Option<u64>, _most_bytes: u32) -> Entries {
        let store = self.store.borrow();
        let from = from.and_then(|from| usize::try_from(from).ok()).unwrap_or(0);
        let all: Vec<_> = self.keys.get(key as usize).map(|key| store.scan(slot, *key).collect()).unwrap_or_default();
        let piece: Vec<_> = all.iter().skip(from).take(PIECE).collect();
        let end = from + piece.len();
        let is_map = store.slot(slot, &[SlotKind::Map]).is_ok();
        Entries {
            keys: var_values(piece.iter().filter(|_| is_map).map(|(map_key, _)| *map_key)),
            values: var_values(piece.iter().map(|(_, bytes)| *bytes)),
            next: (end < all.len()).then_some(end as u64),
        }
    }
}
