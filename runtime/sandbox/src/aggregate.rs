//! A user-defined aggregate at work in one subtask: columnar `accumulate`, `merge` and `finish` over accumulators that the host keeps.
//!
//! An accumulator is bytes of the plugin's own making, null for one that has seen nothing. Callers cut rows into slices; the accumulators of the
//! groups in a slice go in and out with it. A failed call has changed nothing, and its instance is thrown away.

// A failed call is rare and its error is looked into at once: by value it reads better than boxed.
#![allow(clippy::result_large_err)]

use crate::instance::{Failed, Instance};
use crate::lift::Declared;
use crate::lower::Lowered;
use crate::plugin::Plugin;
use crate::wire::{self, Accumulate, Finish, MergeInto};
use crate::{BadOutput, CallError, LogLine, SandboxError, Situation, Step};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray};
use arrow_schema::SchemaRef;
use std::ops::Range;
use std::sync::Arc;
use stygian_core::{ColumnType, Field, OutputShape, PluginDescription};

/// A user-defined aggregate. Not for sharing between threads; it may move between calls.
pub struct AggregateOperator {
    plugin: Plugin,
    title: String,
    name: String,
    config: String,
    /// The types of the columns that it reads.
    columns: Vec<ColumnType>,
    accumulator: Declared,
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
    pub(crate) fn new(plugin: Plugin, name: &str, config: &str, description: &PluginDescription) -> Result<Self, SandboxError> {
        let title = format!("{}@{}", description.name, description.version);
        let columns = description.inputs.first().map_or(&[][..], |input| &input.columns);
        let columns = columns.iter().map(|field| field.column_type).collect();
        let accumulator = Field { name: "accumulator".to_owned(), column_type: ColumnType::Binary, nullable: true };
        let accumulator = Declared::new("accumulators", &[accumulator]);
        let result = match description.outputs.first().map(|output| (&output.name, &output.shape)) {
            Some((name, OutputShape::Own(fields))) => Declared::new(name, fields),
            _ => {
                let reason = "an aggregate has one output with columns of its own".to_owned();
                return Err(SandboxError::Description { path: plugin.path().to_owned(), reason });
            }
        };
        let (name, config) = (name.to_owned(), config.to_owned());
        Ok(Self { plugin, title, name, config, columns, accumulator, result, live: None, logs: Vec::new() })
    }

    /// The columns of a result, one row an accumulator.
    pub fn result(&self) -> &SchemaRef {
        &self.result.schema
    }

    /// What it had to say since this was asked last; escaped.
    pub fn take_logs(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.logs)
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

    /// Adds row `i` of `rows` (the columns that the plugin reads, in its order) to the accumulator `groups[i]`. Returns all accumulators; a null
    /// one has seen nothing.
    ///
    /// # Errors
    /// When the call fails or breaks a rule; the accumulators are as they were.
    pub fn accumulate(&mut self, accumulators: &BinaryArray, rows: &[ArrayRef], groups: &[u32]) -> Result<BinaryArray, CallError> {
        let slice = 0..groups.len();
        let columns = self.columns.iter().zip(rows).map(|(kind, array)| Lowered::new(*kind, array.as_ref(), &slice));
        let (Some(columns), Some(states)) = (columns.collect::<Option<Vec<Lowered<'_>>>>(), lowered(accumulators)) else {
            let wrong = Situation::WrongInput("a column is not what it was planned to be".to_owned());
            return Err(self.error(slice, (Step::Accumulate, wrong)));
        };
        let columns: Vec<wire::Column<'_>> = columns.iter().map(Lowered::column).collect();
        // Callers hand over slices, whose rows are 32 bits.
        let batch = wire::Batch { rows: u32::try_from(groups.len()).unwrap_or(u32::MAX), columns: &columns };
        let said =
            self.call(Step::Accumulate, slice.clone(), |live, store| live.accumulate.call(store, slot_states(&states), batch, groups))?;
        self.accumulators(Step::Accumulate, slice, said, accumulators.len())
    }

    /// Merges accumulators into others, one by one; both of one length.
    ///
    /// # Errors
    /// As [`AggregateOperator::accumulate`].
    pub fn merge(&mut self, into: &BinaryArray, from: &BinaryArray) -> Result<BinaryArray, CallError> {
        let (Some(to), Some(from)) = (lowered(into), lowered(from)) else { return Err(self.foreign(Step::Merge, into.len())) };
        let said = self.call(Step::Merge, 0..into.len(), |live, store| live.merge.call(store, slot_states(&to), slot_states(&from)))?;
        self.accumulators(Step::Merge, 0..into.len(), said, into.len())
    }

    /// One result row an accumulator, which stay as they are.
    ///
    /// # Errors
    /// As [`AggregateOperator::accumulate`].
    pub fn finish(&mut self, accumulators: &BinaryArray) -> Result<Vec<ArrayRef>, CallError> {
        let Some(states) = lowered(accumulators) else { return Err(self.foreign(Step::Finish, accumulators.len())) };
        let said = self.call(Step::Finish, 0..accumulators.len(), |live, store| live.finish.call(store, slot_states(&states)))?;
        let (expected, found) = (accumulators.len(), said.rows as usize);
        let rows =
            if expected == found { self.result.check(said) } else { Err(BadOutput::ValueCount { function: "finish", expected, found }) };
        match rows {
            Ok(rows) => Ok(rows.columns().to_vec()),
            Err(bad) => Err(self.broken(0..expected, (Step::Finish, bad.into()))),
        }
    }

    /// Accumulators from a guest: as many as went in, checked like a column of binary.
    fn accumulators(
        &mut self,
        step: Step,
        rows: Range<usize>,
        said: wire::OutSlotStates,
        expected: usize,
    ) -> Result<BinaryArray, CallError> {
        let column = wire::OutColumn { validity: said.validity, values: wire::OutValues::Binary(said.values) };
        // As many as were handed over, which is 32 bits.
        let batch = wire::OutBatch { rows: u32::try_from(expected).unwrap_or(u32::MAX), columns: vec![column] };
        match self.accumulator.check(batch) {
            Ok(rows) => Ok(rows.column(0).as_binary::<i32>().clone()),
            Err(bad) => Err(self.broken(rows, (step, bad.into()))),
        }
    }

    fn foreign(&mut self, step: Step, rows: usize) -> CallError {
        self.error(0..rows, (step, Situation::WrongInput("accumulators that are no bytes".to_owned())))
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

/// Accumulators as the contract has them.
fn lowered(accumulators: &BinaryArray) -> Option<Lowered<'_>> {
    Lowered::new(ColumnType::Binary, accumulators, &(0..accumulators.len()))
}

fn slot_states<'a>(lowered: &'a Lowered<'_>) -> wire::SlotStates<'a> {
    let wire::Column { validity, values } = lowered.column();
    let values = match values {
        wire::Values::Text(values) | wire::Values::Binary(values) => values,
        // `lowered` makes binary alone.
        _ => wire::VarValues { offsets: &[0], bytes: &[] },
    };
    wire::SlotStates { validity, values }
}
