//! `stygian plugin test` of keyed plugins: rows call by call, each with the state that the calls before have left, then the timers that wait, as at
//! the end of the input. Each call is made on a fresh instance and twice on a used one, from the same state: results and writes must agree.

use super::inspect::in_words;
use super::test::{difference, impure, input_schema, read, rows_of};
use crate::args::TestArgs;
use crate::failure::Failure;
use crate::plugin::rows::show;
use crate::terminal::Terminal;
use anyhow::Context;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use std::sync::Arc;
use stygian_core::{EventTime, MaxParallelism, PluginDescription, TimerClock};
use stygian_sandbox::{CallContext, CallOutput, KeyedCall, KeyedOperator, Plugin};
use stygian_state::{KeyBatch, KeyCodec, KeyedState, Slot, StateCall, StateLimits, Written};

/// Timers that set timers for ever are left after so many calls.
const MOST_TIMER_CALLS: usize = 1_000;

pub(super) fn test(plugin: &Plugin, description: &PluginDescription, args: &TestArgs, terminal: &Terminal) -> Result<(), Failure> {
    let schema = schema(description).map_err(Failure::input)?;
    let batches = read(args, &schema).map_err(Failure::input)?;
    let mut tested = Tested::new(plugin, description, args, &schema)?;
    let mut totals = vec![0_usize; description.outputs.len()];
    let (mut rows, mut refused, mut timers) = (0, 0, 0);
    for batch in &batches {
        let output = tested.rows(batch, &rows_of(rows, batch))?;
        rows += batch.num_rows();
        refused += output.dead_letters.len();
        show(terminal, description, batch, &output, &mut totals)?;
    }
    let none = RecordBatch::new_empty(schema.clone());
    for clock in [TimerClock::EventTime, TimerClock::ProcessingTime] {
        for _ in 0..MOST_TIMER_CALLS {
            let Some((count, output)) = tested.timers(clock)? else { break };
            timers += count;
            show(terminal, description, &none, &output, &mut totals)?;
        }
    }
    let outputs: Vec<String> = description.outputs.iter().zip(&totals).map(|(output, rows)| format!("{rows} to {}", output.name)).collect();
    let outputs = outputs.join(", ");
    description.slots.iter().for_each(|slot| terminal.err(&format!("state {}\n", in_words(slot))));
    terminal.err(&format!("{rows} rows and {timers} timers in, {outputs}, {refused} dead letters; fresh and used instances agree\n"));
    Ok(())
}

/// The columns that the plugin reads, and those of its key that are not among them.
fn schema(description: &PluginDescription) -> anyhow::Result<SchemaRef> {
    let read = input_schema(description)?;
    let key = description.inputs.first().map_or(&[][..], |input| &input.key);
    let key = key.iter().filter(|field| read.column_with_name(&field.name).is_none()).map(|field| Arc::new(field.arrow()));
    Ok(Arc::new(Schema::new(read.fields().iter().cloned().chain(key).collect::<Vec<_>>())))
}

/// A plugin under test and its state.
struct Tested<'a> {
    plugin: &'a Plugin,
    args: &'a TestArgs,
    schema: &'a SchemaRef,
    used: KeyedOperator,
    /// Where the key columns stand.
    key: Vec<usize>,
    /// Not there after a call that failed.
    state: Option<Box<KeyedState>>,
}

const CONTEXT: CallContext = CallContext { watermark: None, processing_time: 0 };

impl<'a> Tested<'a> {
    fn new(plugin: &'a Plugin, description: &PluginDescription, args: &'a TestArgs, schema: &'a SchemaRef) -> Result<Self, Failure> {
        let key = description.inputs.first().map_or(&[][..], |input| &input.key);
        let types = key.iter().map(|field| field.column_type).collect();
        let slots: Vec<Slot> = description.slots.iter().map(Slot::from).collect();
        let clocks: Vec<TimerClock> = description.timers.iter().map(|timer| timer.clock).collect();
        let codec = KeyCodec::new(types, MaxParallelism::DEFAULT);
        let state = Box::new(KeyedState::in_memory(codec, slots, clocks, StateLimits::default()));
        let key = key.iter().filter_map(|field| Some(schema.column_with_name(&field.name)?.0)).collect();
        Ok(Self { plugin, args, schema, used: plugin.keyed_operator("test", &args.config, schema)?, key, state: Some(state) })
    }

    fn take(&mut self) -> Result<Box<KeyedState>, Failure> {
        Ok(self.state.take().context("the state went with a call that failed")?)
    }

    fn rows(&mut self, rows: &RecordBatch, what: &str) -> Result<CallOutput, Failure> {
        let columns: Vec<ArrayRef> = self.key.iter().map(|place| rows.column(*place).clone()).collect();
        let (mut state, mut keys) = (self.take()?, KeyBatch::default());
        state.keys_of(&columns, rows.num_rows(), &mut keys).map_err(Failure::from)?;
        self.state = Some(state);
        let all = 0..rows.num_rows();
        let begin = |state: Box<KeyedState>| state.begin(&keys, all.clone(), EventTime::MIN, |_| 0).map(Ok).map_err(Failure::from);
        let call = |plugin: &mut KeyedOperator, call| plugin.process(CONTEXT, rows, all.clone(), call);
        Ok(self.agree(what, begin, call)?.unwrap_or_default())
    }

    /// Timers that wait, some at once; `None`: there are none left.
    fn timers(&mut self, clock: TimerClock) -> Result<Option<(usize, CallOutput)>, Failure> {
        let (most, mut count) = (self.args.rows.max(1), 0);
        let begin = |state: Box<KeyedState>| {
            let begun = state.begin_timers(clock, i64::MAX, most, EventTime::MAX).map_err(Failure::from)?;
            Ok(begun.inspect(|call| count = call.fired().len()))
        };
        let output = self.agree("the timers", begin, |plugin, call| plugin.on_timers(CONTEXT, call))?;
        Ok(output.map(|output| (count, output)))
    }

    /// Makes a call on a fresh and twice on the used instance; the last one counts. `None`: there is none to make.
    fn agree(
        &mut self,
        what: &str,
        mut begin: impl FnMut(Box<KeyedState>) -> Result<Result<StateCall, Box<KeyedState>>, Failure>,
        mut call: impl FnMut(&mut KeyedOperator, StateCall) -> KeyedCall,
    ) -> Result<Option<CallOutput>, Failure> {
        let begun = match begin(self.take()?)? {
            Ok(begun) => begun,
            Err(state) => {
                self.state = Some(state);
                return Ok(None);
            }
        };
        let mut fresh_plugin = self.plugin.keyed_operator("test", &self.args.config, self.schema)?;
        let KeyedCall { result: fresh, state: mut called } = call(&mut fresh_plugin, begun);
        let wrote: Written = called.written();
        for _ in 0..2 {
            let begun = begin(called.abort())?.ok().context("a call that cannot be begun again")?;
            let KeyedCall { result: used, state } = call(&mut self.used, begun);
            let writes = (fresh.is_ok() && used.is_ok() && state.written() != wrote)
                .then(|| "a fresh instance writes another state, or other timers, than a used one".to_owned());
            if let Some(difference) = difference(&fresh, &used).or(writes) {
                return Err(impure(what, &difference));
            }
            called = state;
        }
        let output = fresh.with_context(|| format!("the call with {what}"))?;
        self.state = Some(called.commit().map_err(Failure::from)?);
        Ok(Some(output))
    }
}
