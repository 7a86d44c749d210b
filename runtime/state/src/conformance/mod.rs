//! What every backend must do, as a suite that tests call: seeded random calls against a slow reference.
//!
//! The reference is a map of maps that knows nothing of places, records and pages; it dates every value and forgets what has expired when it
//! is read. Half of the calls are dropped, which must leave no trace.
//!
//! Between calls, snapshots are taken, of any groups as bases; they succeed or fail later, and fail in the middle of further calls. What has
//! succeeded is restored now and then, into one state or several by key group, and must be what it was when the snapshot was taken. Of a backend
//! that keeps something after its end ([`check_kept`]), that is used instead as often.
//!
//! A state that is restored is of the same slots or of their next version. Some calls then migrate what they come by, which must change
//! nothing but the form of the values: not how long they live, and not what becomes of them when the call is dropped.

mod checkpoints;
mod compare;
mod migrating;
mod random;
mod reference;

use crate::{KeyBatch, KeyCodec, KeyedState, Slot, SlotId, StateBackend, StateCall, StateError, StateLimits, VarBytes};
use arrow_array::{ArrayRef, StringArray};
use checkpoints::Checkpoints;
use compare::{compare, compare_collections, compare_timers};
use migrating::Marking;
use random::Random;
use reference::Reference;
use std::sync::Arc;
use stygian_core::{ColumnType, EventTime, MaxParallelism, SlotKind, TimerClock};

const VALUE: SlotId = SlotId(0);
const MORTAL: SlotId = SlotId(1);
const LIST: SlotId = SlotId(2);
const MAP: SlotId = SlotId(3);
/// Of all slots but the first.
const TTL: i64 = 20;
/// Of the timers.
const CLOCKS: [TimerClock; 2] = [TimerClock::EventTime, TimerClock::ProcessingTime];
/// Different keys.
const KEYS: u64 = 12;

/// The slots that the suite makes a backend for first; later it makes some for other versions of them.
pub fn slots() -> Arc<[Slot]> {
    slots_of(1)
}

fn slots_of(version: u32) -> Arc<[Slot]> {
    let slot = |name: &str, kind, ttl_micros| Slot { name: name.into(), kind, version, ttl_micros };
    [
        slot("value", SlotKind::Value, None),
        slot("mortal", SlotKind::Value, Some(TTL)),
        slot("list", SlotKind::List, Some(TTL)),
        slot("map", SlotKind::Map, Some(TTL)),
    ]
    .into()
}

/// Makes a backend for these slots.
pub type MakeBackend<'m> = &'m dyn Fn(Arc<[Slot]>) -> Box<dyn StateBackend>;

/// Ends a backend as the end of its process would, and opens what it has left for these slots.
pub type Reopen<'m> = &'m dyn Fn(Box<dyn StateBackend>, Arc<[Slot]>) -> Box<dyn StateBackend>;

/// Runs so many random calls, and what comes between them.
///
/// # Errors
/// The first difference to the reference.
pub fn check(make: MakeBackend<'_>, seed: u64, calls: usize) -> Result<(), String> {
    run(make, None, seed, calls).map(drop)
}

/// As [`check`], of a backend that keeps something after its end: how often that was what was wanted.
///
/// # Errors
/// The first difference to the reference.
pub fn check_kept(make: MakeBackend<'_>, reopen: Reopen<'_>, seed: u64, calls: usize) -> Result<usize, String> {
    run(make, Some(reopen), seed, calls)
}

/// A key group that was saved with something in it is emptied, and the base that says so fails: the next one has to say it again, or a restore
/// brings back what was deleted.
///
/// # Errors
/// What came back.
pub fn check_emptied(make: MakeBackend<'_>) -> Result<(), String> {
    let mut chain = Vec::new();
    let mut state = new_state(make, 1);
    for (round, fills) in [true, false, false].into_iter().enumerate() {
        let keys = keys_of(&mut state, &[7])?;
        let mut call = state.begin(&keys, 0..1, EventTime::from_micros(0), |_| 0).map_err(text)?;
        if fills {
            fill(&mut call).map_err(text)?;
        } else {
            call.put_values(VALUE, &[0], std::iter::once(None::<&[u8]>).collect()).map_err(text)?;
            [LIST, MAP].into_iter().for_each(|slot| call.remove(slot, 0, None));
            [0, 1].into_iter().for_each(|timer| call.clear_timers(timer, &[0], &[5]));
        }
        state = call.commit().map_err(text)?;
        let sections = state.snapshot(|_| true).map_err(text)?;
        // The second one fails. The engine does not tell of bases that have failed: it takes them again.
        if round != 1 {
            chain.extend(sections);
        }
    }
    let mut restored = new_state(make, 1);
    chain.iter().try_for_each(|section| restored.restore(section)).map_err(text)?;
    let (keys, timers) = (restored.size().keys, restored.timers().len());
    if (keys, timers) == (0, 0) { Ok(()) } else { Err(format!("{keys} keys and {timers} timers that were deleted are back")) }
}

fn fill(call: &mut StateCall) -> Result<(), StateError> {
    let one = || VarBytes::from_iter([b"one".as_slice()]);
    call.put_values(VALUE, &[0], std::iter::once(Some(b"one".as_slice())).collect())?;
    call.append(LIST, 0, &one())?;
    call.put(MAP, 0, &one(), &one())?;
    [0, 1].into_iter().for_each(|timer| call.set_timers(timer, &[0], &[5]));
    Ok(())
}

fn run(make: MakeBackend<'_>, reopen: Option<Reopen<'_>>, seed: u64, calls: usize) -> Result<usize, String> {
    let mut suite = Suite {
        make,
        reopen,
        resumed: 0,
        state: new_state(make, 1),
        version: 1,
        reference: Reference::default(),
        watermark: 0,
        random: Random(seed | 1),
        checkpoints: Checkpoints::default(),
    };
    for number in 0..calls {
        suite.step().map_err(|what| format!("seed {seed}, call {number}: {what}"))?;
    }
    Ok(suite.resumed)
}

/// A state of a version of the suite's slots without anything in it.
fn new_state(make: MakeBackend<'_>, version: u32) -> Box<KeyedState> {
    state_over(make(slots_of(version)), version)
}

/// A state over a backend of a version of the suite's slots.
fn state_over(backend: Box<dyn StateBackend>, version: u32) -> Box<KeyedState> {
    // Few groups, so that keys meet in them.
    let groups = MaxParallelism::new(3).unwrap_or(MaxParallelism::DEFAULT);
    let codec = KeyCodec::new(vec![ColumnType::Text], groups);
    let state = KeyedState::new(codec, backend, slots_of(version), Arc::new(CLOCKS), StateLimits::default());
    Box::new(state.with_timer_names(["soon", "by the clock"]))
}

/// The keys of these numbers.
fn keys_of(state: &mut KeyedState, numbers: &[i64]) -> Result<KeyBatch, String> {
    let column: ArrayRef = Arc::new(StringArray::from_iter_values(numbers.iter().map(|number| format!("key-{number}"))));
    let mut keys = KeyBatch::default();
    state.keys_of(&[column], numbers.len(), &mut keys).map_err(text)?;
    Ok(keys)
}

/// An error as the suite tells it.
#[allow(clippy::needless_pass_by_value)] // as `map_err` has it
fn text(error: StateError) -> String {
    error.to_string()
}

/// A state, and what should be in it.
struct Suite<'m> {
    make: MakeBackend<'m>,
    reopen: Option<Reopen<'m>>,
    /// How often what a backend had left was what was wanted.
    resumed: usize,
    state: Box<KeyedState>,
    /// Of its slots.
    version: u32,
    reference: Reference,
    watermark: i64,
    random: Random,
    checkpoints: Checkpoints,
}

impl Suite<'_> {
    fn step(&mut self) -> Result<(), String> {
        self.watermark += self.random.below(4);
        self.call()?;
        if self.random.below(4) == 0 {
            self.fire()?;
        }
        if self.random.below(3) == 0 {
            self.state.sweep(EventTime::from_micros(self.watermark)).map_err(text)?;
        }
        if self.random.below(8) == 0 {
            self.state.backend.shrink();
        }
        compare_timers(&self.state, &self.reference)?;
        match self.random.below(8) {
            0 | 1 => self.checkpoint(),
            2 => self.restore(),
            _ => Ok(()),
        }
    }

    /// A call on some rows.
    fn call(&mut self) -> Result<(), String> {
        let numbers: Vec<i64> = (0..=self.random.below(8)).map(|_| self.random.below(KEYS)).collect();
        let (watermark, random) = (self.watermark, &mut self.random);
        // Late rows are dated before what is there.
        let written = watermark + random.below(12) - 8;
        let mut state = std::mem::replace(&mut self.state, new_state(self.make, self.version));
        let keys = keys_of(&mut state, &numbers)?;
        let mut call = state.begin(&keys, 0..numbers.len(), EventTime::from_micros(watermark), |_| written).map_err(text)?;
        let mut after = self.reference.clone();
        if random.below(2) == 0 {
            call.migrate_values(&mut Marking(self.version)).map_err(text)?;
        }
        compare(&mut call, &after, watermark, random)?;
        for _ in 0..random.below(12) {
            reference::write(&mut call, &mut after, (watermark, written), random)?;
        }
        // Reads see the call's own writes to lists and maps; values are those that came with the call.
        compare_collections(&mut call, &after, watermark, random)?;
        if random.below(2) == 0 {
            self.state = call.abort();
        } else {
            self.state = call.commit().map_err(text)?;
            self.reference = after;
        }
        Ok(())
    }

    /// A call on timers.
    fn fire(&mut self) -> Result<(), String> {
        let at = self.random.index(CLOCKS.len());
        let (Some(clock), Ok(timer)) = (CLOCKS.get(at), u32::try_from(at)) else { return Ok(()) };
        let state = std::mem::replace(&mut self.state, new_state(self.make, self.version));
        let begun = state.begin_timers(*clock, self.watermark, 3, EventTime::from_micros(self.watermark)).map_err(text)?;
        self.state = match begun {
            Err(state) => state,
            Ok(call) => {
                for fired in call.fired() {
                    self.reference.fire(timer, fired.at, call.keys().keys().get(fired.key as usize));
                }
                call.commit().map_err(text)?
            }
        };
        Ok(())
    }
}
