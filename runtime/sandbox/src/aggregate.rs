//! A user-defined aggregate at work in one subtask: columnar `accumulate`, `merge` and `finish` over accumulators that the host keeps.
//!
//! An accumulator is bytes of the plugin's own making, absent for one that has seen nothing. Rows are cut into slices as for every plugin;
//! the accumulators of the groups in a slice go in and out with it. A failed call has changed nothing, and its instance is thrown away.

// A failed call is rare and its error is looked into at once: by value it reads better than boxed.
#![allow(clippy::result_large_err)]

use crate::host_keyed::slot_states;
use crate::instance::{Failed, Instance};
use crate::keyed::slot_states as lowered_states;
use crate::lift::Declared;
use crate::lower::{Lowered, slice_len};
use crate::plugin::Plugin;
use crate::wire::{self, Accumulate, Finish, MergeInto};
use crate::{BadOutput, CallError, Limits, LogLine, SandboxError, Situation, Step, wiring};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use std::ops::Range;
use std::sync::Arc;
use stygian_core::{ColumnType, OutputShape, PluginDescription};
use stygian_state::Values;

/// A user-defined aggregate. Not for sharing between threads; it may move between calls.
pub struct AggregateOperator {
    plugin: Plugin,
    title: String,
    name: String,
    config: String,
    columns: Vec<(usize, ColumnType)>,
    result: Declared,
    live: Option<Live>,
    logs: Vec<LogLine>,
}

struct Live {
    instance: Instance,
    functions: Functions,
}

#[derive(Clone, Copy)]
struct Functions {
    accumulate: Accumulate,
    merge: MergeInto,
    finish: Finish,
}

impl std::fmt::Debug for AggregateOperator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AggregateOperator").field("name", &self.name).field("plugin", &self.title).finish_non_exhaustive()
    }
}

const INTERFACE: &str = "aggregate";

impl AggregateOperator {
    pub(crate) fn new(
        plugin: Plugin,
        name: &str,
        config: &str,
        description: &PluginDescription,
        input: &SchemaRef,
    ) -> Result<Self, SandboxError> {
        let title = format!("{}@{}", description.name, description.version);
        let declared = description.inputs.first().map_or(&[][..], |input| &input.columns);
        let columns = wiring::columns(declared, input).map_err(|mismatches| SandboxError::Input {
            operator: name.to_owned(),
            plugin: title.clone(),
            mismatches,
        })?;
        let result = match description.outputs.first().map(|output| (&output.name, &output.shape)) {
            Some((name, OutputShape::Own(fields))) => Declared::new(name, fields),
            _ => {
                let reason = "an aggregate has one output with columns of its own".to_owned();
                return Err(SandboxError::Description { path: plugin.path().to_owned(), reason });
            }
        };
        let (name, config) = (name.to_owned(), config.to_owned());
        Ok(Self { plugin, title, name, config, columns, result, live: None, logs: Vec::new() })
    }

    /// The limits of its calls.
    pub fn limits(&self) -> &Limits {
        self.plugin.limits()
    }

    /// The columns of a result, one row an accumulator.
    pub fn result(&self) -> &SchemaRef {
        &self.result.schema
    }

    /// What it had to say since this was asked last; escaped.
    pub fn take_logs(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.logs)
    }

    /// Throws the instance away; the next call gets a fresh one.
    pub fn reset(&mut self) {
        self.live = None;
    }

    /// Makes and opens an instance, unless there is one.
    pub(crate) fn open(&mut self) -> Result<(), CallError> {
        if self.live.is_none() {
            self.live = Some(self.instance().map_err(|failed| self.error(0..0, failed))?);
        }
        Ok(())
    }

    fn instance(&mut self) -> Result<Live, Failed> {
        let mut instance = self.plugin.open_instance(INTERFACE, &Arc::default(), &self.config)?;
        let functions = Functions {
            accumulate: instance.typed(Step::Accumulate, INTERFACE, "accumulate", |func, store| Accumulate::new(func, store))?,
            merge: instance.typed(Step::Merge, INTERFACE, "merge", |func, store| MergeInto::new(func, store))?,
            finish: instance.typed(Step::Finish, INTERFACE, "finish", |func, store| Finish::new(func, store))?,
        };
        self.logs.append(&mut instance.state().logs);
        Ok(Live { instance, functions })
    }

    /// How many rows from `start` on fit a call, their accumulators not counted; at least one.
    pub fn slice_len(&self, rows: &RecordBatch, start: usize) -> usize {
        let limits = self.plugin.limits();
        let input = self.columns.iter().filter_map(|(index, kind)| Some((*kind, rows.columns().get(*index)?.as_ref())));
        let input: Vec<(ColumnType, &dyn Array)> = input.collect();
        slice_len(&input, start, rows.num_rows(), limits.rows_per_call as usize, limits.bytes_per_call.as_usize())
    }

    /// Adds the rows of a slice to their accumulators: `group_of_row` has the index of each row's. Returns all accumulators.
    ///
    /// # Errors
    /// When the call fails or breaks a rule; the accumulators are as they were.
    pub fn accumulate(
        &mut self,
        accumulators: &Values,
        rows: &RecordBatch,
        slice: Range<usize>,
        group_of_row: &[u32],
    ) -> Result<Values, CallError> {
        let columns = self.columns.iter().map(|(index, kind)| Lowered::new(*kind, rows.columns().get(*index)?.as_ref(), &slice));
        let Some(columns) = columns.collect::<Option<Vec<Lowered<'_>>>>() else {
            let wrong = Situation::WrongInput("a column is not what it was planned to be".to_owned());
            return Err(self.error(slice, (Step::Accumulate, wrong)));
        };
        let columns: Vec<wire::Column<'_>> = columns.iter().map(Lowered::column).collect();
        // A slice has at most `rows_per_call` rows, which is 32 bits.
        let batch = wire::Batch { rows: u32::try_from(slice.len()).unwrap_or(u32::MAX), columns: &columns };
        let states = lowered_states(accumulators);
        let said =
            self.call(Step::Accumulate, slice.clone(), |live, store| live.accumulate.call(store, states, batch, group_of_row))?;
        self.accumulators(Step::Accumulate, slice, said, accumulators.len())
    }

    /// Merges accumulators into others, one by one; both of one length.
    ///
    /// # Errors
    /// As [`AggregateOperator::accumulate`].
    pub fn merge(&mut self, into: &Values, from: &Values) -> Result<Values, CallError> {
        let states = (lowered_states(into), lowered_states(from));
        let said = self.call(Step::Merge, 0..into.len(), |live, store| live.merge.call(store, states.0, states.1))?;
        self.accumulators(Step::Merge, 0..into.len(), said, into.len())
    }

    /// One result row an accumulator, which stay as they are.
    ///
    /// # Errors
    /// As [`AggregateOperator::accumulate`].
    pub fn finish(&mut self, accumulators: &Values) -> Result<Vec<ArrayRef>, CallError> {
        let states = lowered_states(accumulators);
        let said = self.call(Step::Finish, 0..accumulators.len(), |live, store| live.finish.call(store, states))?;
        let (expected, found) = (accumulators.len(), said.rows as usize);
        let rows = if expected == found {
            self.result.check(said)
        } else {
            Err(BadOutput::ValueCount { function: "finish", expected, found })
        };
        match rows {
            Ok(rows) => Ok(rows.columns().to_vec()),
            Err(bad) => Err(self.broken(0..expected, (Step::Finish, bad.into()))),
        }
    }

    fn accumulators(&mut self, step: Step, rows: Range<usize>, said: wire::OutSlotStates, expected: usize) -> Result<Values, CallError> {
        let function = if step == Step::Merge { "merge" } else { "accumulate" };
        let checked = slot_states(said).and_then(|values| match values.len() {
            found if found == expected => Ok(values),
            found => Err(BadOutput::ValueCount { function, expected, found }),
        });
        checked.map_err(|bad| self.broken(rows, (step, bad.into())))
    }

    /// A call whose answer breaks the contract: its instance goes as if it had trapped.
    fn broken(&mut self, rows: Range<usize>, failed: Failed) -> CallError {
        self.live = None;
        self.error(rows, failed)
    }

    fn call<T>(
        &mut self,
        step: Step,
        rows: Range<usize>,
        call: impl FnOnce(Functions, &mut wasmtime::Store<crate::host::HostState>) -> wasmtime::Result<Result<T, String>>,
    ) -> Result<T, CallError> {
        let mut live = match self.live.take().map_or_else(|| self.instance(), Ok) {
            Ok(live) => live,
            Err(failed) => return Err(self.error(rows, failed)),
        };
        let functions = live.functions;
        let result = live.instance.run(step, None, |store| call(functions, store));
        self.logs.append(&mut live.instance.state().logs);
        match result {
            Ok(said) => {
                self.live = Some(live);
                Ok(said)
            }
            Err(failed) => Err(self.error(rows, failed)),
        }
    }

    fn error(&mut self, rows: Range<usize>, (step, situation): Failed) -> CallError {
        let (plugin, operator, logs) = (self.title.clone(), self.name.clone(), std::mem::take(&mut self.logs));
        CallError { plugin, operator, rows, step, situation, logs }
    }
}
