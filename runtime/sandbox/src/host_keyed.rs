//! The host's side of a keyed call: state and timers, checked and counted here, buffered and read in a [`StateCall`].

use crate::host::{Checked, Context, HostState};
use crate::migrate::Migrator;
use crate::wire::{AnswerEntries, AnswerSlotStates, AnswerVarValues, OutSlotStates, OutVarValues};
use crate::{BadOutput, Situation};
use stygian_core::SlotKind;
use stygian_state::{Entries, SlotId, StateCall, Values, VarBytes};
use stygian_wit::interface;
use wasmtime::component::Linker;

type Answer<T> = Result<T, Situation>;

impl HostState {
    /// The call on state that runs, once the call of `function` is counted.
    fn state(&mut self, function: &'static str) -> Answer<&mut StateCall> {
        self.count_call()?;
        self.keyed.as_mut().ok_or_else(|| BadOutput::OutsideProcess { function }.into())
    }

    /// The same, with slot and key checked.
    fn state_at(&mut self, function: &'static str, slot: u32, key: u32, kinds: &[SlotKind]) -> Answer<(&mut StateCall, SlotId)> {
        let call = self.state(function)?;
        let slot = slot_of(call, function, slot, kinds)?;
        check_keys(call, function, &[key])?;
        Ok((call, slot))
    }

    /// The same for a read, with whoever migrates what it finds.
    fn read_at(
        &mut self,
        function: &'static str,
        slot: u32,
        key: u32,
        kinds: &[SlotKind],
    ) -> Answer<(&mut StateCall, SlotId, Option<&mut Migrator>)> {
        let (_, slot) = self.state_at(function, slot, key, kinds)?;
        let call = self.keyed.as_mut().ok_or(BadOutput::OutsideProcess { function })?;
        Ok((call, slot, self.migrator.as_deref_mut()))
    }

    fn count_state(&mut self, bytes: usize) -> Checked {
        let limit = self.limits.state_bytes;
        self.used.state_bytes = self.used.state_bytes.saturating_add(bytes as u64);
        if self.used.state_bytes > limit.0 { Err(Situation::TooMuchState { limit }) } else { Ok(()) }
    }

    pub(crate) fn put_states(&mut self, slot: u32, keys: &[u32], values: OutSlotStates) -> Checked {
        const FUNCTION: &str = "put-states";
        let values = slot_states(values)?;
        self.count_state(values.values().bytes().len() + size_of_val(keys))?;
        let call = self.state(FUNCTION)?;
        let slot = slot_of(call, FUNCTION, slot, &[SlotKind::Value])?;
        check_keys(call, FUNCTION, keys)?;
        check_count(FUNCTION, keys.len(), values.len())?;
        call.put_values(slot, keys, values).map_err(Situation::State)
    }

    pub(crate) fn get(&mut self, slot: u32, key: u32, map_keys: OutVarValues) -> Answer<AnswerSlotStates> {
        let map_keys = var_values(map_keys)?;
        self.count_state(map_keys.bytes().len() + size_of_val(map_keys.offsets()))?;
        // Map keys that name one entry again and again ask for far more than they are: what is past the limit is not read.
        let most = self.limits.state_bytes.as_usize();
        let (call, slot, migrator) = self.read_at("get", slot, key, &[SlotKind::Map])?;
        let found = match migrator {
            Some(migrator) => call.get_migrated(slot, key, &map_keys, most, migrator)?,
            None => call.get(slot, key, &map_keys, most)?,
        };
        self.count_state(found.values().bytes().len())?;
        Ok(AnswerSlotStates { validity: found.validity().map(<[u8]>::to_vec), values: answer(found.values()) })
    }

    pub(crate) fn scan(&mut self, slot: u32, key: u32, from: Option<u64>, most_bytes: u32) -> Answer<AnswerEntries> {
        // One entry always comes, however small the page; all of them count.
        let most = (most_bytes as usize).min(self.limits.state_bytes.as_usize());
        let (call, slot, migrator) = self.read_at("scan", slot, key, &[SlotKind::List, SlotKind::Map])?;
        let Entries { keys, values, next, kept } = match migrator {
            Some(migrator) => call.scan_migrated(slot, key, from, most, migrator)?,
            None => call.scan(slot, key, from, most)?,
        };
        self.count_state(keys.bytes().len() + values.bytes().len() + kept)?;
        Ok(AnswerEntries { keys: answer(&keys), values: answer(&values), next })
    }

    pub(crate) fn append(&mut self, slot: u32, key: u32, entries: OutVarValues) -> Checked {
        let entries = var_values(entries)?;
        self.count_state(entries.bytes().len() + size_of_val(entries.offsets()))?;
        let (call, slot) = self.state_at("append", slot, key, &[SlotKind::List])?;
        call.append(slot, key, &entries).map_err(Situation::State)
    }

    pub(crate) fn put(&mut self, slot: u32, key: u32, map_keys: OutVarValues, values: OutVarValues) -> Checked {
        let (map_keys, values) = (var_values(map_keys)?, var_values(values)?);
        self.count_state(map_keys.bytes().len() + values.bytes().len() + 2 * size_of_val(map_keys.offsets()))?;
        check_count("put", map_keys.len(), values.len())?;
        let (call, slot) = self.state_at("put", slot, key, &[SlotKind::Map])?;
        call.put(slot, key, &map_keys, &values).map_err(Situation::State)
    }

    pub(crate) fn remove(&mut self, slot: u32, key: u32, map_keys: Option<OutVarValues>) -> Checked {
        let map_keys = map_keys.map(var_values).transpose()?;
        self.count_state(map_keys.as_ref().map_or(0, |keys| keys.bytes().len() + size_of_val(keys.offsets())))?;
        let kinds: &[SlotKind] = if map_keys.is_some() { &[SlotKind::Map] } else { &[SlotKind::Map, SlotKind::List] };
        let (call, slot) = self.state_at("remove", slot, key, kinds)?;
        call.remove(slot, key, map_keys.as_ref());
        Ok(())
    }

    pub(crate) fn timers(&mut self, set: bool, timer: u32, keys: &[u32], at: &[i64]) -> Checked {
        let function = if set { "set-timers" } else { "clear-timers" };
        let limit = self.limits.timers;
        self.used.timers = self.used.timers.saturating_add(u32::try_from(keys.len()).unwrap_or(u32::MAX));
        if self.used.timers > limit {
            return Err(Situation::TooManyTimers { limit });
        }
        let call = self.state(function)?;
        let declared = call.timers_declared();
        if timer as usize >= declared {
            return Err(BadOutput::NoSuchTimer { index: timer, declared }.into());
        }
        check_keys(call, function, keys)?;
        check_count(function, keys.len(), at.len())?;
        if !set {
            call.clear_timers(timer, keys, at);
            return Ok(());
        }
        call.set_timers(timer, keys, at);
        // Each timer that waits keeps its key.
        let kept = keys.iter().map(|key| call.keys().keys().get(*key as usize).len()).sum();
        self.count_state(kept)
    }
}

fn slot_of(call: &StateCall, function: &'static str, index: u32, kinds: &[SlotKind]) -> Result<SlotId, BadOutput> {
    let declared = call.slots().len();
    match call.slots().get(index as usize) {
        None => Err(BadOutput::NoSuchSlot { function, index, declared }),
        Some(slot) if !kinds.contains(&slot.kind) => {
            let kind = match slot.kind {
                SlotKind::Value => "value",
                SlotKind::List => "list",
                SlotKind::Map => "map",
            };
            Err(BadOutput::WrongSlot { function, slot: slot.name.clone(), kind })
        }
        Some(_) => Ok(SlotId(index as usize)),
    }
}

fn check_keys(call: &StateCall, function: &'static str, keys: &[u32]) -> Result<(), BadOutput> {
    let most = call.keys().len();
    match keys.iter().copied().max() {
        Some(key) if key as usize >= most => Err(BadOutput::NoSuchKey { function, key, keys: most }),
        _ => Ok(()),
    }
}

fn check_count(function: &'static str, expected: usize, found: usize) -> Result<(), BadOutput> {
    if expected == found { Ok(()) } else { Err(BadOutput::ValueCount { function, expected, found }) }
}

/// Byte strings from a guest, checked.
pub(crate) fn var_values(said: OutVarValues) -> Result<VarBytes, BadOutput> {
    let (offsets, bytes) = (said.offsets.len(), said.bytes.len());
    let malformed = || BadOutput::Malformed(format!("{offsets} offsets that do not ascend within {bytes} bytes"));
    VarBytes::new(said.offsets, said.bytes).ok_or_else(malformed)
}

/// States from a guest, checked.
pub(crate) fn slot_states(said: OutSlotStates) -> Result<Values, BadOutput> {
    let values = var_values(said.values)?;
    let (bits, states) = (said.validity.as_ref().map_or(0, Vec::len), values.len());
    let malformed = || BadOutput::Malformed(format!("{bits} bytes of validity for {states} states"));
    Values::new(said.validity, values).ok_or_else(malformed)
}

fn answer(strings: &VarBytes) -> AnswerVarValues {
    AnswerVarValues { offsets: strings.offsets().to_vec(), bytes: strings.bytes().to_vec() }
}

/// Gives a linker the imports that only keyed plugins have.
pub(crate) fn add_imports(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut state = linker.instance(&interface("state-access"))?;
    state.func_wrap("put-states", |mut cx: Context<'_>, (slot, keys, values): (u32, Vec<u32>, OutSlotStates)| {
        let host = cx.data_mut();
        let result = host.put_states(slot, &keys, values);
        host.checked(result)
    })?;
    state.func_wrap("get", |mut cx: Context<'_>, (slot, key, map_keys): (u32, u32, OutVarValues)| {
        let host = cx.data_mut();
        let result = host.get(slot, key, map_keys);
        host.checked(result).map(|found| (found,))
    })?;
    state.func_wrap("scan", |mut cx: Context<'_>, (slot, key, from, most_bytes): (u32, u32, Option<u64>, u32)| {
        let host = cx.data_mut();
        let result = host.scan(slot, key, from, most_bytes);
        host.checked(result).map(|entries| (entries,))
    })?;
    state.func_wrap("append", |mut cx: Context<'_>, (slot, key, entries): (u32, u32, OutVarValues)| {
        let host = cx.data_mut();
        let result = host.append(slot, key, entries);
        host.checked(result)
    })?;
    state.func_wrap("put", |mut cx: Context<'_>, (slot, key, map_keys, values): (u32, u32, OutVarValues, OutVarValues)| {
        let host = cx.data_mut();
        let result = host.put(slot, key, map_keys, values);
        host.checked(result)
    })?;
    state.func_wrap("remove", |mut cx: Context<'_>, (slot, key, map_keys): (u32, u32, Option<OutVarValues>)| {
        let host = cx.data_mut();
        let result = host.remove(slot, key, map_keys);
        host.checked(result)
    })?;
    let mut timers = linker.instance(&interface("timers"))?;
    for (name, set) in [("set-timers", true), ("clear-timers", false)] {
        timers.func_wrap(name, move |mut cx: Context<'_>, (timer, keys, at): (u32, Vec<u32>, Vec<i64>)| {
            let host = cx.data_mut();
            let result = host.timers(set, timer, &keys, &at);
            host.checked(result)
        })?;
    }
    Ok(())
}
