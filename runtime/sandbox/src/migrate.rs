//! Values of older versions on their way through the plugin's `migrate`.
//!
//! A call may come by them while it runs (it scans a list), and an instance that is in a call cannot be called; so `migrate` has an instance
//! of its own, made when it is needed and thrown away after the first call that did not need it. It is limited as every call is: each time
//! it gets at most the rows and bytes of one, and all migrations of a call share one call's time and bytes of state.

// A failed call is rare and its error is looked into at once: by value it reads better than boxed.
#![allow(clippy::result_large_err)]

use crate::call_error::Migrating;
use crate::clock::CallClock;
use crate::host_keyed::var_values;
use crate::instance::{Failed, Instance};
use crate::plugin::Plugin;
use crate::seat::Seat;
use crate::wire::{self, MigrateValues};
use crate::{BadOutput, CallError, LogLine, Situation, Step};
use std::ops::Range;
use std::sync::Arc;
use stygian_core::{PluginDescription, StateSlot};
use stygian_state::{Migrate, SlotId, StateError, VarBytes};

/// Migrates what the calls of one subtask's operator come by.
#[derive(Debug)]
pub(crate) struct Migrator {
    seat: Seat<MigrateValues>,
    slots: Vec<StateSlot>,
    /// What the present call has had of its limits.
    used: Used,
    /// Why it failed.
    failed: Option<CallError>,
}

#[derive(Debug, Default)]
struct Used {
    clock: CallClock,
    calls: u64,
    bytes: u64,
}

impl Migrator {
    pub(crate) fn new(plugin: Plugin, name: &str, config: &str, description: &PluginDescription, interface: &'static str) -> Self {
        let seat = Seat::new(plugin, name, config, description, Arc::default(), interface, Instance::migrate_func);
        Self { seat, slots: description.slots.clone(), used: Used::default(), failed: None }
    }

    /// A call begins.
    pub(crate) fn begin(&mut self) {
        (self.used, self.failed) = (Used::default(), None);
    }

    /// It is over: how a migration of it failed, if one did. An instance that it has not needed goes.
    pub(crate) fn end(&mut self, rows: &Range<usize>) -> Option<CallError> {
        if self.used.calls == 0 {
            self.seat.reset();
        }
        self.failed.take().map(|error| CallError { rows: rows.clone(), ..error })
    }

    /// Throws the instance away.
    pub(crate) fn reset(&mut self) {
        self.seat.reset();
    }

    /// What it had to say since this was asked last; escaped.
    pub(crate) fn take_logs(&mut self) -> Vec<LogLine> {
        self.seat.take_logs()
    }

    /// Remembers why the call fails.
    fn fail(&mut self, slot: SlotId, from_version: u32, values: usize, error: CallError) -> Situation {
        let situation = error.situation.clone();
        let (name, to) = self.slots.get(slot.0).map(|slot| (slot.name.clone(), slot.version)).unwrap_or_default();
        let migrating = Some(Migrating { slot: name, from_version, to_version: to, values });
        self.failed.get_or_insert(CallError { migrating, ..error });
        situation
    }

    /// Some of the values, by one call of the guest.
    fn call(&mut self, slot: SlotId, from_version: u32, values: &VarBytes, range: Range<usize>) -> Result<VarBytes, CallError> {
        if !self.slots.get(slot.0).is_some_and(|slot| slot.reads.contains(&from_version)) {
            let what = format!("there are values of version {from_version}, which the plugin does not migrate");
            return Err(self.seat.error(0..0, (Step::Migrate, Situation::Host(what))));
        }
        self.used.calls += 1;
        let limits = self.seat.limits().clone();
        if let Err(situation) = self.used.clock.tick(&limits) {
            return Err(self.seat.error(0..0, (Step::Migrate, situation)));
        }
        let (offsets, bytes) = part(values, &range);
        let old = wire::VarValues { offsets: &offsets, bytes };
        // A plugin has a hundred slots at most.
        let index = u32::try_from(slot.0).unwrap_or(u32::MAX);
        let (expected, had) = (range.len(), self.used.bytes);
        let new = self.seat.call(
            Step::Migrate,
            &(0..0),
            None,
            |migrate, store| migrate.call(store, index, from_version, old),
            |said, _| {
                let new = var_values(said)?;
                if new.len() != expected {
                    return Err(BadOutput::MigratedCount { expected, found: new.len() }.into());
                }
                if had.saturating_add(new.bytes().len() as u64) > limits.state_bytes.0 {
                    return Err(Situation::TooMuchState { limit: limits.state_bytes });
                }
                Ok(new)
            },
        )?;
        self.used.bytes += new.bytes().len() as u64;
        Ok(new)
    }
}

impl Migrate for Migrator {
    type Error = Situation;

    fn migrate(&mut self, slot: SlotId, from_version: u32, values: &VarBytes) -> Result<VarBytes, Situation> {
        let (mut new, mut start) = (VarBytes::with_capacity(values.len(), values.bytes().len()), 0);
        while start < values.len() {
            let limits = self.seat.limits();
            let end = slice_end(values, start, limits.rows_per_call as usize, limits.bytes_per_call.as_usize());
            let some = self.call(slot, from_version, values, start..end);
            let some = some.map_err(|error| self.fail(slot, from_version, end - start, error))?;
            some.iter().for_each(|value| new.push(value));
            start = end;
        }
        Ok(new)
    }

    fn refused(&mut self, slot: SlotId, from_version: u32, error: StateError) -> Situation {
        let error = self.seat.error(0..0, (Step::Migrate, Situation::State(error)));
        self.fail(slot, from_version, 1, error)
    }
}

/// Where the values from `start` on that one call gets end: at least one.
fn slice_end(values: &VarBytes, start: usize, most: usize, most_bytes: usize) -> usize {
    let last = values.len().min(start.saturating_add(most.max(1)));
    let mut bytes = 0;
    let fits = |at: &usize| {
        bytes += values.get(*at).len();
        bytes <= most_bytes
    };
    start + (start..last).take_while(fits).count().max(1)
}

/// Some of the values, their offsets from 0 on.
fn part<'a>(values: &'a VarBytes, range: &Range<usize>) -> (Vec<i32>, &'a [u8]) {
    let offsets = values.offsets().get(range.start..=range.end).unwrap_or(&[0]);
    let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
    // Offsets are not negative and within the bytes by construction.
    let bytes = values.bytes().get(first.unsigned_abs() as usize..last.unsigned_abs() as usize).unwrap_or_default();
    (offsets.iter().map(|offset| offset - first).collect(), bytes)
}

impl Instance {
    /// `migration.migrate`, type-checked.
    pub(crate) fn migrate_func(&mut self) -> Result<MigrateValues, Failed> {
        self.typed(Step::Migrate, "migration", "migrate", |func, store| MigrateValues::new(func, store))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_gets_as_many_values_as_fit_and_one_at_least() {
        let values = VarBytes::from_iter([&b"aaa"[..], b"", b"bb", b"cccccc", b"d"]);
        let slices = |most, most_bytes| {
            let (mut ends, mut start) = (Vec::new(), 0);
            while start < values.len() {
                start = slice_end(&values, start, most, most_bytes);
                ends.push(start);
            }
            ends
        };
        assert_eq!(slices(9, 99), [5]);
        assert_eq!(slices(2, 99), [2, 4, 5]);
        assert_eq!(slices(9, 5), [3, 4, 5]);
        assert_eq!(slices(0, 0), [1, 2, 3, 4, 5]);
        assert_eq!(part(&values, &(2..4)), (vec![0, 2, 8], &b"bbcccccc"[..]));
    }
}
