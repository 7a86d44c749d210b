//! What an operator's call may ask of its host, as a trait, so that a test can stand in for it.

use crate::bindings::stygian::plugin::{output, state_access, timers};
use crate::contract::{Batch, Entries, SlotStates, VarValues};

/// Where the rows of one call go. Nothing is applied before the call has returned ok.
pub trait Host {
    /// Passes input rows (strictly ascending) on to an output of shape `selected`.
    fn select(&mut self, output: u32, rows: &[u32]);

    /// Passes rows to an output of shape `own` (no parents) or `extended` (the input row of each; none: row i of input row i).
    fn emit(&mut self, output: u32, rows: &Batch, parents: Option<&[u32]>);

    /// Sends an input row to the dead letters instead.
    fn dead_letter(&mut self, row: u32, reason: &str);
}

/// The host of a component: its imports. They exist inside the sandbox only; natively every call panics.
#[derive(Clone, Copy, Debug)]
pub struct Imports;

impl Host for Imports {
    fn select(&mut self, output: u32, rows: &[u32]) {
        output::select(output, rows);
    }

    fn emit(&mut self, output: u32, rows: &Batch, parents: Option<&[u32]>) {
        output::emit(output, rows, parents);
    }

    fn dead_letter(&mut self, row: u32, reason: &str) {
        output::dead_letter(row, reason);
    }
}

/// How many bytes of a list or map one read may bring: 64 KiB.
pub(crate) const SCAN_BYTES: u32 = 64 << 10;

/// What a keyed operator's call may ask of its host besides: state and timers of the call's keys, which are named by index.
pub trait KeyedHost: Host {
    /// Sets the value slots of these keys; a null value removes.
    fn put_states(&mut self, slot: u32, keys: &[u32], values: &SlotStates);

    /// Adds to the end of a list slot.
    fn append(&mut self, slot: u32, key: u32, values: &VarValues);

    /// Sets entries of a map slot.
    fn put(&mut self, slot: u32, key: u32, map_keys: &VarValues, values: &VarValues);

    /// Removes entries of a map slot; none: all of a map or list slot.
    fn remove(&mut self, slot: u32, key: u32, map_keys: Option<&VarValues>);

    /// Sets timers, each at a time in microseconds of its clock.
    fn set_timers(&mut self, timer: u32, keys: &[u32], at: &[i64]);

    /// Removes timers that have not fired.
    fn clear_timers(&mut self, timer: u32, keys: &[u32], at: &[i64]);
}

/// Reads list and map slots of a call's keys. The SDK reads what was there when the call began: what the call writes it knows itself.
pub trait StateReader {
    /// Entries of a map slot.
    fn get(&self, slot: u32, key: u32, map_keys: &VarValues) -> SlotStates;

    /// A piece of a list slot, or of a map slot by ascending map key: from the start, or where an earlier piece ended.
    fn scan(&self, slot: u32, key: u32, from: Option<u64>, most_bytes: u32) -> Entries;
}

impl KeyedHost for Imports {
    fn put_states(&mut self, slot: u32, keys: &[u32], values: &SlotStates) {
        state_access::put_states(slot, keys, values);
    }

    fn append(&mut self, slot: u32, key: u32, values: &VarValues) {
        state_access::append(slot, key, values);
    }

    fn put(&mut self, slot: u32, key: u32, map_keys: &VarValues, values: &VarValues) {
        state_access::put(slot, key, map_keys, values);
    }

    fn remove(&mut self, slot: u32, key: u32, map_keys: Option<&VarValues>) {
        state_access::remove(slot, key, map_keys);
    }

    fn set_timers(&mut self, timer: u32, keys: &[u32], at: &[i64]) {
        timers::set_timers(timer, keys, at);
    }

    fn clear_timers(&mut self, timer: u32, keys: &[u32], at: &[i64]) {
        timers::clear_timers(timer, keys, at);
    }
}

impl StateReader for Imports {
    fn get(&self, slot: u32, key: u32, map_keys: &VarValues) -> SlotStates {
        state_access::get(slot, key, map_keys)
    }

    fn scan(&self, slot: u32, key: u32, from: Option<u64>, most_bytes: u32) -> Entries {
        state_access::scan(slot, key, from, most_bytes)
    }
}
