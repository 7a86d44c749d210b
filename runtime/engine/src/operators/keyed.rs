//! A keyed process plugin as an operator: rows in slices with the state of their keys, timers when their time has come.
//!
//! Every call reads state as the calls before it have left it, and its own writes are applied when it went well and not at all when it did
//! not; the rows or timers of a call that failed are tried again in halves (`poison`), by keys where state of an older version could not be migrated
//! (`by_key`). Timers fire in the order of their times, before the watermark goes on and before rows that come after it. Outputs have the
//! plugin's indices; the dead letters follow behind the last.

mod again;
mod by_key;

use crate::metrics::Counters;
use crate::operators::plugin::{apply, log, save_capture};
use crate::poison::{GivenUp, Poison};
use crate::{CallContext, Dropped, Operator, OperatorError, Output, PoisonPolicy, Snapshot, SubtaskContext, dead_letters};
use again::{Again, TimersAgain};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use arrow_schema::{Schema, SchemaRef};
use by_key::AgainByKey;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use stygian_core::{EventTime, KeyGroup, OperatorId, SavedSection, StateSection, TimerClock};
use stygian_sandbox::{CallError, CallOutput, Capture, CaptureError, Captures, DeadRow, KeyedCall, KeyedOperator as Guest, Step};
use stygian_state::{FiredTimer, KeyBatch, KeyedState, StateCall, VersionCount};

/// How often timers may be called at one watermark: only timers that set timers without end reach it.
const MOST_TIMER_CALLS: usize = 1_000_000;

/// How often it is counted what is kept, where no watermark comes: in microseconds.
const SIZE_EVERY: i64 = 1_000_000;

/// How often some of what has expired is dropped where state lives by processing time, which no watermark tells: in microseconds.
const SWEEP_EVERY: i64 = 200_000;

/// What a keyed operator is made of.
pub struct KeyedSpec {
    /// The plugin, opened for the input.
    pub plugin: Guest,
    /// Where key columns stand in the input, and their names.
    pub key: Vec<(usize, String)>,
    /// The operator's state in this subtask.
    pub state: KeyedState,
    /// The event time column of the input, by which state lives; `None`: it lives by processing time.
    pub event_time: Option<usize>,
    /// The schema of each output, as planned.
    pub outputs: Vec<SchemaRef>,
    /// The names of the plugin's timers.
    pub timers: Vec<String>,
    /// Every call gets an instance of its own.
    pub fresh: bool,
    /// What becomes of rows that make it fail.
    pub poison: PoisonPolicy,
    /// Where the inputs of failed calls go; `None`: nowhere.
    pub captures: Option<Arc<Captures>>,
}

/// A subtask's use of a keyed plugin.
pub struct Keyed {
    calls: Calls,
    poison: Poison,
}

/// What calls are made with.
struct Calls {
    node: OperatorId,
    counters: Arc<Counters>,
    plugin: Guest,
    key: Vec<usize>,
    event_time: Option<usize>,
    outputs: Vec<SchemaRef>,
    fresh: bool,
    /// Not there while a call has it, and not after a failure.
    state: Option<Box<KeyedState>>,
    keys: KeyBatch,
    captures: Option<Arc<Captures>>,
    /// When it was last counted what is kept, in processing time.
    told_at: i64,
    /// When some of what has expired was dropped last, in processing time, where state lives by that.
    swept_at: i64,
    /// The names of key columns and of timers.
    key_names: Vec<String>,
    timers: Vec<String>,
}

impl Keyed {
    /// An operator without state.
    pub fn new(context: &SubtaskContext, spec: KeyedSpec) -> Self {
        let KeyedSpec { plugin, key, state, event_time, outputs, fresh, poison, captures, timers } = spec;
        let (node, counters) = (context.node.clone(), context.counters.clone());
        let poison = Poison::new(node.clone(), poison, plugin.limits().call_cpu.0, counters.clone());
        let (state, keys) = (Some(Box::new(state)), KeyBatch::default());
        let (key, key_names) = key.into_iter().unzip();
        Self {
            calls: Calls {
                node,
                counters,
                plugin,
                key,
                event_time,
                outputs,
                fresh,
                state,
                keys,
                captures,
                told_at: i64::MIN,
                swept_at: i64::MIN,
                key_names,
                timers,
            },
            poison,
        }
    }

    /// Fires what is due, and what that sets for a time that has come.
    fn fire(&mut self, due: Due<'_>, out: &mut Output) -> Result<(), OperatorError> {
        let (most, fresh) = (self.calls.plugin.limits().rows_per_call as usize, self.calls.fresh);
        for _ in 0..MOST_TIMER_CALLS {
            let Some(Fired { count, failure }) = self.calls.fire(&due, most, out)? else { return Ok(()) };
            self.poison.add_rows(count);
            let Some(error) = failure else { continue };
            let buries = self.poison.dead_letters();
            let mut again = TimersAgain { calls: &mut self.calls, due, out: &mut *out, buries, fatal: None };
            let given_up = self.poison.rescue(0..count, error, fresh, &mut again);
            again.fatal.map_or(given_up, Err)?;
        }
        Err(OperatorError::TimersWithoutEnd { calls: MOST_TIMER_CALLS, watermark: due.context.watermark })
    }

    /// Tries a slice again whose call failed (`fresh`: on an instance that had made no call before).
    fn rescue_rows(
        &mut self,
        part: Part<'_>,
        slice: Range<usize>,
        error: Box<CallError>,
        fresh: bool,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let mut again = Again { calls: &mut self.calls, part, out: &mut *out, failed: slice.clone(), fatal: None };
        let given_up = self.poison.rescue(slice, error, fresh, &mut again);
        let given_up = again.fatal.map_or(given_up, Err)?;
        self.bury(part.rows, &given_up, out)
    }

    /// Tries a slice again whose call failed as state could not be migrated. The keys of another batch are taken then.
    fn rescue_keys(&mut self, part: Part<'_>, slice: Range<usize>, error: Box<CallError>, out: &mut Output) -> Result<(), OperatorError> {
        let fresh = self.calls.fresh;
        let mut again = AgainByKey::new(&mut self.calls, part, &slice, &mut *out)?;
        let given_up = self.poison.rescue(0..again.keys(), error, fresh, &mut again);
        let (dead, left) = again.finish(given_up)?;
        if self.poison.dead_letters() {
            self.calls.put_dead(part.rows, &dead, out)?;
        }
        for (rows, error) in left {
            self.calls.keys_of(&rows)?;
            let part = Part { rows: &rows, context: part.context };
            self.rescue_rows(part, 0..rows.num_rows(), error, true, out)?;
        }
        Ok(())
    }

    /// The rows that were given up, if they go to the dead letters.
    fn bury(&self, rows: &RecordBatch, given_up: &[GivenUp], out: &mut Output) -> Result<(), OperatorError> {
        if !self.poison.dead_letters() {
            return Ok(());
        }
        let dead = given_up.iter().flat_map(|GivenUp { rows, reason }| {
            // Batches have fewer rows than 32 bits count.
            rows.clone().map(|row| DeadRow { row: u32::try_from(row).unwrap_or(u32::MAX), reason: reason.clone() })
        });
        self.calls.put_dead(rows, &dead.collect::<Vec<_>>(), out)
    }
}

impl Calls {
    /// Counts what is kept; not at every batch, as that looks at every key group.
    fn tell_size(&self) {
        if let Some(state) = &self.state {
            self.counters.set_state(state.size(), state.timers().len());
        }
    }

    fn take_state(&mut self) -> Result<Box<KeyedState>, OperatorError> {
        self.state.take().ok_or(OperatorError::StateLost)
    }

    /// The clock that state lives by: event time where there is one.
    fn lives_by(&self, context: &CallContext) -> EventTime {
        if self.event_time.is_some() { context.watermark } else { EventTime::from_micros(context.processing_time) }
    }

    /// When some of what has expired is dropped next; `None`: nothing expires by processing time, or nothing is kept.
    fn next_sweep(&self) -> Option<i64> {
        let state = self.state.as_ref().filter(|_| self.event_time.is_none())?;
        (state.expires() && state.size().keys > 0).then(|| self.swept_at.saturating_add(SWEEP_EVERY))
    }

    /// Drops some of what has expired by processing time, if it is time to.
    fn sweep(&mut self, now: i64) -> Result<(), OperatorError> {
        let is_time = self.next_sweep().is_some_and(|at| at <= now);
        let Some(state) = self.state.as_mut().filter(|_| is_time) else { return Ok(()) };
        state.sweep(EventTime::from_micros(now))?;
        self.swept_at = now;
        self.tell_size();
        Ok(())
    }

    fn key_columns(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.key.iter().map(|column| rows.column(*column).clone()).collect()
    }

    /// Takes the keys of a batch, for the calls on its rows.
    fn keys_of(&mut self, rows: &RecordBatch) -> Result<(), OperatorError> {
        let key = self.key_columns(rows);
        let mut state = self.take_state()?;
        state.keys_of(&key, rows.num_rows(), &mut self.keys)?;
        self.state = Some(state);
        Ok(())
    }

    /// Begins a call on rows from `start` on, `most` at most: as many as fit together with the state of their keys; one at least.
    fn begin(&mut self, rows: &RecordBatch, start: usize, most: usize, context: &CallContext) -> Result<StateCall, OperatorError> {
        let mut len = self.plugin.slice_len(rows, start).min(most);
        let most_bytes = self.plugin.limits().bytes_per_call.as_usize();
        let times = self.event_time.and_then(|column| rows.column(column).as_primitive_opt::<TimestampMicrosecondType>());
        let now = self.lives_by(context);
        let time_of = |row: usize| match times {
            Some(times) if times.is_valid(row) => times.value(row),
            _ => now.micros(),
        };
        let mut state = self.take_state()?;
        loop {
            let call = state.begin(&self.keys, start..start + len, now, time_of)?;
            let bytes: usize = call.loaded().value_slots().map(|values| values.values().bytes().len()).sum();
            if len == 1 || bytes <= most_bytes {
                return Ok(call);
            }
            state = call.abort();
            len = len.div_ceil(2);
        }
    }

    /// One call on the rows that were begun, from `start` on: which rows they were, and how the plugin failed if it did.
    fn run(&mut self, part: &Part<'_>, start: usize, call: StateCall, out: &mut Output) -> Result<Called, OperatorError> {
        let slice = start..start + call.loaded().keys().key_of_row().len();
        if self.fresh {
            self.plugin.reset();
        }
        let called = self.plugin.process(guest_context(part.context), part.rows, slice.clone(), call);
        let failure = match self.settle(called)? {
            Ok(output) => {
                self.put_out(&part.rows.slice(start, slice.len()), output, out)?;
                None
            }
            Err(error) => Some(error),
        };
        Ok(Called { slice, failure })
    }

    /// Applies what a call wrote if it went well; takes the state back in any case.
    fn settle(&mut self, called: KeyedCall) -> Result<Result<CallOutput, Box<CallError>>, OperatorError> {
        match called.result {
            Ok(output) => {
                self.state = Some(called.state.commit()?);
                log(&self.node, &output.logs);
                Ok(Ok(output))
            }
            Err(error) => {
                self.state = Some(called.state.abort());
                Ok(Err(Box::new(error)))
            }
        }
    }

    fn put_out(&self, rows: &RecordBatch, output: CallOutput, out: &mut Output) -> Result<(), OperatorError> {
        for (index, pieces) in output.outputs.into_iter().enumerate() {
            for piece in pieces {
                out.push(index, apply(rows, piece, &self.outputs[index])?);
            }
        }
        self.put_dead(rows, &output.dead_letters, out)
    }

    fn put_dead(&self, rows: &RecordBatch, dead: &[DeadRow], out: &mut Output) -> Result<(), OperatorError> {
        if let Some(letters) = dead_letters::of_rows(&self.node, rows, dead)? {
            let first = || dead.first().map(|row| row.reason.clone()).unwrap_or_default();
            self.counters.add_dead_letters(letters.num_rows(), first);
            out.push_aside(self.outputs.len(), letters);
        }
        Ok(())
    }

    /// Calls the plugin on timers that are due, `most` at most: how many they were and how it failed, if it did; `None`: none is due.
    fn fire(&mut self, due: &Due<'_>, most: usize, out: &mut Output) -> Result<Option<Fired>, OperatorError> {
        let Some(call) = self.begin_timers(due, most)? else { return Ok(None) };
        let count = call.fired().len();
        if self.fresh {
            self.plugin.reset();
        }
        let called = self.plugin.on_timers(guest_context(due.context), call);
        let failure = match self.settle(called)? {
            Ok(output) => {
                self.put_out(&RecordBatch::new_empty(Arc::new(Schema::empty())), output, out)?;
                None
            }
            Err(error) => Some(error),
        };
        Ok(Some(Fired { count, failure }))
    }

    fn begin_timers(&mut self, due: &Due<'_>, most: usize) -> Result<Option<StateCall>, OperatorError> {
        let judged_at = self.lives_by(due.context);
        match self.take_state()?.begin_timers(due.clock, due.now, most, judged_at)? {
            Ok(call) => Ok(Some(call)),
            Err(state) => {
                self.state = Some(state);
                Ok(None)
            }
        }
    }

    /// Saves what a failed call was; `None` where that is off, was done often enough, or cannot be done, which is said.
    fn save(&self, capture: impl FnOnce(&Guest) -> Result<Capture, CaptureError>) -> Option<PathBuf> {
        self.captures.as_deref().and_then(|captures| save_capture(captures, &self.node, || capture(&self.plugin)))
    }

    /// The key columns of the timers that fired, their names and times: what their dead letters hold.
    fn timer_rows(&self, call: &StateCall) -> Result<RecordBatch, OperatorError> {
        let of: UInt32Array = call.fired().iter().map(|fired| fired.key).collect();
        let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
        for (name, column) in self.key_names.iter().zip(call.keys().columns()) {
            columns.push((name, arrow_select::take::take(column, &of, None)?));
        }
        let name = |fired: &FiredTimer| self.timers.get(fired.timer as usize).map_or("", String::as_str);
        let at = TimestampMicrosecondArray::from_iter_values(call.fired().iter().map(|fired| fired.at)).with_timezone("UTC");
        columns.push(("timer", Arc::new(StringArray::from_iter_values(call.fired().iter().map(name)))));
        columns.push(("timer_at", Arc::new(at)));
        Ok(RecordBatch::try_from_iter(columns)?)
    }
}

/// What makes timers due.
#[derive(Clone, Copy)]
struct Due<'a> {
    clock: TimerClock,
    now: i64,
    context: &'a CallContext,
}

/// A call on timers that was made.
struct Fired {
    count: usize,
    failure: Option<Box<CallError>>,
}

/// A batch that is worked on.
#[derive(Clone, Copy)]
struct Part<'a> {
    rows: &'a RecordBatch,
    context: &'a CallContext,
}

/// A call that was made.
struct Called {
    slice: Range<usize>,
    failure: Option<Box<CallError>>,
}

const STATE_FAULT: &str = "the state could not be kept";

fn guest_context(context: &CallContext) -> stygian_sandbox::CallContext {
    let watermark = (context.watermark != EventTime::MIN).then_some(context.watermark.micros());
    stygian_sandbox::CallContext { watermark, processing_time: context.processing_time }
}

impl Operator for Keyed {
    fn process(&mut self, rows: RecordBatch, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        self.calls.keys_of(&rows)?;
        self.poison.add_rows(rows.num_rows());
        if context.processing_time.saturating_sub(self.calls.told_at) >= SIZE_EVERY {
            self.calls.told_at = context.processing_time;
            self.calls.tell_size();
        }
        let (part, mut start) = (Part { rows: &rows, context }, 0);
        while start < rows.num_rows() {
            let call = self.calls.begin(&rows, start, rows.num_rows() - start, context)?;
            let Called { slice, failure } = self.calls.run(&part, start, call, out)?;
            start = slice.end;
            match failure {
                None => {}
                Some(error) if error.step == Step::Migrate => {
                    self.rescue_keys(part, slice, error, out)?;
                    self.calls.keys_of(&rows)?;
                }
                Some(error) => self.rescue_rows(part, slice, error, self.calls.fresh, out)?,
            }
        }
        Ok(())
    }

    fn watermark(&mut self, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        self.fire(Due { clock: TimerClock::EventTime, now: context.watermark.micros(), context }, out)?;
        let now = self.calls.lives_by(context);
        if let Some(state) = &mut self.calls.state {
            // At the end of the input nothing has expired that was not before: a later run may go on.
            if now != EventTime::MAX {
                state.sweep(now)?;
            }
        }
        self.calls.tell_size();
        Ok(())
    }

    fn next_deadline(&self) -> Option<i64> {
        let timer = self.calls.state.as_ref().and_then(|state| state.timers().next(TimerClock::ProcessingTime));
        timer.into_iter().chain(self.calls.next_sweep()).min()
    }

    fn processing_time(&mut self, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        self.fire(Due { clock: TimerClock::ProcessingTime, now: context.processing_time, context }, out)?;
        self.calls.sweep(context.processing_time)
    }

    fn snapshot(&mut self, whole: &dyn Fn(KeyGroup) -> bool) -> Result<Snapshot, OperatorError> {
        let state = self.calls.state.as_mut().ok_or(OperatorError::StateLost)?;
        let mut snapshot = Snapshot { sections: state.snapshot(whole)?, ..Snapshot::default() };
        for VersionCount { slot, version, values } in state.versions() {
            snapshot.versions.entry(slot).or_default().insert(version, values);
        }
        self.calls.tell_size();
        Ok(snapshot)
    }

    fn unsaved(&mut self, section: &StateSection) -> Result<(), OperatorError> {
        Ok(self.calls.state.as_mut().ok_or(OperatorError::StateLost)?.mark_unsaved(section)?)
    }

    fn resume(&mut self, saved: &[SavedSection]) -> Result<&'static [&'static str], OperatorError> {
        Ok(self.calls.state.as_mut().ok_or(OperatorError::StateLost)?.resume(saved)?)
    }

    fn restore(&mut self, section: &StateSection) -> Result<(), OperatorError> {
        Ok(self.calls.state.as_mut().ok_or(OperatorError::StateLost)?.restore(section)?)
    }

    fn end(&mut self) -> Dropped {
        let timers = self.calls.state.as_ref().map_or(0, |state| state.timers().len());
        Dropped { timers, ..Dropped::default() }
    }
}
