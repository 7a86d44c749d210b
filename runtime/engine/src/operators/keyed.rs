//! A keyed process plugin as an operator: rows in slices with the state of their keys, timers when their time has come.
//!
//! Every call reads state as the calls before it have left it, and its own writes are applied when it went well and not at all when it did
//! not. Timers fire in the order of their times, before the watermark goes on and before rows that come after it. Outputs have the
//! plugin's indices; the dead letters follow behind the last.

use crate::metrics::Counters;
use crate::operators::plugin::{apply, log};
use crate::{CallContext, Dropped, Operator, OperatorError, Output, SubtaskContext, dead_letters};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use std::sync::Arc;
use stygian_core::{EventTime, OperatorId, TimerClock};
use stygian_sandbox::{CallOutput, KeyedCall, KeyedOperator as Guest};
use stygian_state::{KeyBatch, KeyedState, StateCall};

/// How often timers may be called at one watermark: only timers that set timers without end reach it.
const MOST_TIMER_CALLS: usize = 1_000_000;

/// What a keyed operator is made of.
pub struct KeyedSpec {
    /// The plugin, opened for the input.
    pub plugin: Guest,
    /// Where key columns stand in the input.
    pub key: Vec<usize>,
    /// The operator's state in this subtask.
    pub state: KeyedState,
    /// The event time column of the input, by which state lives; `None`: it lives by processing time.
    pub event_time: Option<usize>,
    /// The schema of each output, as planned.
    pub outputs: Vec<SchemaRef>,
    /// Every call gets an instance of its own.
    pub fresh: bool,
}

/// A subtask's use of a keyed plugin.
pub struct Keyed {
    node: OperatorId,
    counters: Arc<Counters>,
    spec: Parts,
    /// Not there while a call has it, and not after a failure.
    state: Option<Box<KeyedState>>,
    keys: KeyBatch,
}

struct Parts {
    plugin: Guest,
    key: Vec<usize>,
    event_time: Option<usize>,
    outputs: Vec<SchemaRef>,
    fresh: bool,
}

impl Keyed {
    /// An operator without state.
    pub fn new(context: &SubtaskContext, spec: KeyedSpec) -> Self {
        let KeyedSpec { plugin, key, state, event_time, outputs, fresh } = spec;
        Self {
            node: context.node.clone(),
            counters: context.counters.clone(),
            spec: Parts { plugin, key, event_time, outputs, fresh },
            state: Some(Box::new(state)),
            keys: KeyBatch::default(),
        }
    }

    fn take_state(&mut self) -> Result<Box<KeyedState>, OperatorError> {
        self.state.take().ok_or(OperatorError::StateLost)
    }

    /// The clock that state lives by: event time where there is one.
    fn lives_by(&self, context: &CallContext) -> EventTime {
        if self.spec.event_time.is_some() { context.watermark } else { EventTime::from_micros(context.processing_time) }
    }

    /// One call on rows from `start` on; returns where it ended.
    fn call(&mut self, rows: &RecordBatch, start: usize, context: &CallContext, out: &mut Output) -> Result<usize, OperatorError> {
        let call = self.begin(rows, start, context)?;
        let slice = start..start + call.loaded().keys().key_of_row().len();
        if self.spec.fresh {
            self.spec.plugin.reset();
        }
        let called = self.spec.plugin.process(guest_context(context), rows, slice.clone(), call);
        let output = self.settle(called)?;
        self.put_out(&rows.slice(start, slice.len()), output, out)?;
        Ok(slice.end)
    }

    /// As many rows as fit a call together with the state of their keys; one at least.
    fn begin(&mut self, rows: &RecordBatch, start: usize, context: &CallContext) -> Result<StateCall, OperatorError> {
        let mut len = self.spec.plugin.slice_len(rows, start);
        let most = self.spec.plugin.limits().bytes_per_call.as_usize();
        let times = self.spec.event_time.and_then(|column| rows.column(column).as_primitive_opt::<TimestampMicrosecondType>());
        let now = self.lives_by(context);
        let time_of = |row: usize| match times {
            Some(times) if times.is_valid(row) => times.value(row),
            _ => now.micros(),
        };
        let mut state = self.take_state()?;
        loop {
            let call = state.begin(&self.keys, start..start + len, now, time_of)?;
            let bytes: usize = call.loaded().value_slots().map(|values| values.values().bytes().len()).sum();
            if len == 1 || bytes <= most {
                return Ok(call);
            }
            state = call.abort();
            len = len.div_ceil(2);
        }
    }

    /// Applies what a call wrote if it went well; takes the state back in any case.
    fn settle(&mut self, called: KeyedCall) -> Result<CallOutput, OperatorError> {
        match called.result {
            Ok(output) => {
                self.state = Some(called.state.commit()?);
                log(&self.node, &output.logs);
                Ok(output)
            }
            Err(error) => {
                self.state = Some(called.state.abort());
                log(&self.node, &error.logs);
                Err(Box::new(error).into())
            }
        }
    }

    fn put_out(&self, rows: &RecordBatch, output: CallOutput, out: &mut Output) -> Result<(), OperatorError> {
        for (index, pieces) in output.outputs.into_iter().enumerate() {
            for piece in pieces {
                out.push(index, apply(rows, piece, &self.spec.outputs[index])?);
            }
        }
        if let Some(letters) = dead_letters::of_rows(&self.node, rows, &output.dead_letters)? {
            let first = || output.dead_letters.first().map(|row| row.reason.clone()).unwrap_or_default();
            self.counters.add_dead_letters(letters.num_rows(), first);
            out.push_aside(self.spec.outputs.len(), letters);
        }
        Ok(())
    }

    /// Fires what is due at `now`, and what that sets for a time up to `now`.
    fn fire(&mut self, clock: TimerClock, now: i64, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        let most = self.spec.plugin.limits().rows_per_call as usize;
        let judged_at = self.lives_by(context);
        for _ in 0..MOST_TIMER_CALLS {
            let call = match self.take_state()?.begin_timers(clock, now, most, judged_at)? {
                Ok(call) => call,
                Err(state) => {
                    self.state = Some(state);
                    return Ok(());
                }
            };
            if self.spec.fresh {
                self.spec.plugin.reset();
            }
            let called = self.spec.plugin.on_timers(guest_context(context), call);
            let output = self.settle(called)?;
            self.put_out(&RecordBatch::new_empty(Arc::new(arrow_schema::Schema::empty())), output, out)?;
        }
        Err(OperatorError::TimersWithoutEnd { calls: MOST_TIMER_CALLS, watermark: context.watermark })
    }
}

fn guest_context(context: &CallContext) -> stygian_sandbox::CallContext {
    let watermark = (context.watermark != EventTime::MIN).then_some(context.watermark.micros());
    stygian_sandbox::CallContext { watermark, processing_time: context.processing_time }
}

impl Operator for Keyed {
    fn process(&mut self, rows: RecordBatch, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        let key: Vec<ArrayRef> = self.spec.key.iter().map(|column| rows.column(*column).clone()).collect();
        let mut state = self.take_state()?;
        state.keys_of(&key, rows.num_rows(), &mut self.keys)?;
        self.state = Some(state);
        let mut start = 0;
        while start < rows.num_rows() {
            start = self.call(&rows, start, context, out)?;
        }
        Ok(())
    }

    fn watermark(&mut self, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        self.fire(TimerClock::EventTime, context.watermark.micros(), context, out)?;
        let now = self.lives_by(context);
        if let Some(state) = &mut self.state {
            state.sweep(now);
            self.counters.set_state(state.size(), state.timers().len());
        }
        Ok(())
    }

    fn next_deadline(&self) -> Option<i64> {
        self.state.as_ref()?.timers().next(TimerClock::ProcessingTime)
    }

    fn processing_time(&mut self, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        self.fire(TimerClock::ProcessingTime, context.processing_time, context, out)
    }

    fn end(&mut self) -> Dropped {
        let timers = self.state.as_ref().map_or(0, |state| state.timers().len());
        Dropped { timers, ..Dropped::default() }
    }
}
