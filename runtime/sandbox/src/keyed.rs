//! A keyed process plugin at work in one subtask: one guest call on rows or on timers, with the state of their keys.
//!
//! Which rows make a call, and what their keys and state are, is the engine's: it begins a [`StateCall`], hands it over, and gets it back with
//! the call's writes in it, to commit or to drop. As everywhere, an instance whose call failed is thrown away.

// A failed call is rare and its error is looked into at once: by value it reads better than boxed.
#![allow(clippy::result_large_err)]

use crate::host::{HostState, Output};
use crate::instance::{Failed, Instance};
use crate::lower::{Lowered, slice_len};
use crate::operator::finish;
use crate::plugin::Plugin;
use crate::wire::{self, KeyedProcess, OnTimers};
use crate::{CallContext, CallError, CallOutput, Limits, LogLine, SandboxError, Situation, Step, wiring};
use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use std::ops::Range;
use std::sync::Arc;
use stygian_core::{ColumnType, PluginDescription};
use stygian_state::{Loaded, StateCall, Values};
use wasmtime::Store;

/// An operator of one subtask. Not for sharing between threads; it may move between calls.
pub struct KeyedOperator {
    plugin: Plugin,
    /// The plugin's name and version.
    title: String,
    name: String,
    config: String,
    input: SchemaRef,
    columns: Vec<(usize, ColumnType)>,
    outputs: Arc<[Output]>,
    live: Option<Live>,
    /// What was said on opening, for the next call's output.
    logs: Vec<LogLine>,
}

struct Live {
    instance: Instance,
    functions: Functions,
}

#[derive(Clone, Copy)]
struct Functions {
    process: KeyedProcess,
    on_timers: OnTimers,
}

impl std::fmt::Debug for KeyedOperator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedOperator").field("name", &self.name).field("plugin", &self.title).finish_non_exhaustive()
    }
}

/// A call that came back: what it made, or why it failed. Its state is given back in both cases; after a failure it must be dropped.
#[derive(Debug)]
pub struct KeyedCall {
    /// Rows, dead letters and log lines, by the rows of the slice.
    pub result: Result<CallOutput, CallError>,
    /// The state with the call's writes.
    pub state: StateCall,
}

impl KeyedOperator {
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
        let outputs = description.outputs.iter().map(Output::new).collect();
        let (name, config, input) = (name.to_owned(), config.to_owned(), input.clone());
        Ok(Self { plugin, title, name, config, input, columns, outputs, live: None, logs: Vec::new() })
    }

    /// The limits of its calls.
    pub fn limits(&self) -> &Limits {
        self.plugin.limits()
    }

    /// Makes and opens an instance, unless there is one.
    pub(crate) fn open(&mut self) -> Result<(), CallError> {
        if self.live.is_none() {
            self.live = Some(self.instance().map_err(|failed| self.error(0..0, failed))?);
        }
        Ok(())
    }

    fn instance(&mut self) -> Result<Live, Failed> {
        let mut instance = self.plugin.open_instance("keyed-operator", &self.outputs, &self.config)?;
        let process = instance.typed(Step::Process, "keyed-operator", "process", |func, store| KeyedProcess::new(func, store))?;
        let on_timers = instance.typed(Step::OnTimers, "keyed-operator", "on-timers", |func, store| OnTimers::new(func, store))?;
        self.logs.append(&mut instance.state().logs);
        Ok(Live { instance, functions: Functions { process, on_timers } })
    }

    /// Throws the instance away; the next call gets a fresh one.
    pub fn reset(&mut self) {
        self.live = None;
    }

    /// How many rows from `start` on fit a call, their keys' state not counted; at least one.
    pub fn slice_len(&self, rows: &RecordBatch, start: usize) -> usize {
        let limits = self.plugin.limits();
        let input = self.columns.iter().filter_map(|(index, kind)| Some((*kind, rows.columns().get(*index)?.as_ref())));
        let input: Vec<(ColumnType, &dyn Array)> = input.collect();
        slice_len(&input, start, rows.num_rows(), limits.rows_per_call as usize, limits.bytes_per_call.as_usize())
    }

    /// Calls the plugin on rows of a batch of the schema it was made for. `state` was begun for the keys of these rows.
    pub fn process(&mut self, context: CallContext, rows: &RecordBatch, slice: Range<usize>, state: StateCall) -> KeyedCall {
        let wrong = |what: &str| (Step::Process, Situation::WrongInput(what.to_owned()));
        let columns = self.columns.iter().map(|(index, kind)| {
            let named = rows.schema_ref().fields().get(*index).is_some_and(|field| field.name() == self.input.field(*index).name());
            rows.columns().get(*index).filter(|_| named).and_then(|array| Lowered::new(*kind, array.as_ref(), &slice))
        });
        let columns: Option<Vec<Lowered<'_>>> = columns.collect();
        let Some(columns) = columns else {
            let error = self.error(slice, wrong("a column is not what it was planned to be"));
            return KeyedCall { result: Err(error), state };
        };
        let columns: Vec<wire::Column<'_>> = columns.iter().map(Lowered::column).collect();
        // A slice has at most `rows_per_call` rows, which is 32 bits.
        let count = u32::try_from(slice.len()).unwrap_or(u32::MAX);
        let loaded = state.loaded();
        let (key_columns, states) = match lower_keys(&loaded) {
            Some(lowered) => lowered,
            None => return KeyedCall { result: Err(self.error(slice, wrong("a key column does not cross into plugins"))), state },
        };
        let key_columns: Vec<wire::Column<'_>> = key_columns.iter().map(Lowered::column).collect();
        let batch = wire::KeyedBatch {
            rows: wire::Batch { rows: count, columns: &columns },
            key_set: wire::KeySet { keys: wire::Batch { rows: key_count(&loaded), columns: &key_columns }, states: &states },
            key_of_row: loaded.keys().key_of_row(),
        };
        self.call(Step::Process, slice, count, state, |live, store| live.process.call(store, lowered(context), 0, batch))
    }

    /// Calls the plugin on timers that are due, for which `state` was begun.
    pub fn on_timers(&mut self, context: CallContext, state: StateCall) -> KeyedCall {
        let fired = state.fired().iter().map(|fired| wire::FiredTimer { timer: fired.timer, key: fired.key, at: fired.at });
        let (fired, loaded): (Vec<wire::FiredTimer>, _) = (fired.collect(), state.loaded());
        let Some((key_columns, states)) = lower_keys(&loaded) else {
            let wrong = (Step::OnTimers, Situation::WrongInput("a key column does not cross into plugins".to_owned()));
            return KeyedCall { result: Err(self.error(0..fired.len(), wrong)), state };
        };
        let key_columns: Vec<wire::Column<'_>> = key_columns.iter().map(Lowered::column).collect();
        let key_set = wire::KeySet { keys: wire::Batch { rows: key_count(&loaded), columns: &key_columns }, states: &states };
        let batch = wire::FiredTimers { key_set, timers: &fired };
        self.call(Step::OnTimers, 0..fired.len(), 0, state, |live, store| live.on_timers.call(store, lowered(context), batch))
    }

    /// One call, with the state where imports find it.
    fn call(
        &mut self,
        step: Step,
        slice: Range<usize>,
        rows: u32,
        state: StateCall,
        call: impl FnOnce(Functions, &mut Store<HostState>) -> wasmtime::Result<Result<(), String>>,
    ) -> KeyedCall {
        let mut live = match self.live.take().map_or_else(|| self.instance(), Ok) {
            Ok(live) => live,
            Err(failed) => return KeyedCall { result: Err(self.error(slice, failed)), state },
        };
        live.instance.state().keyed = Some(state);
        let functions = live.functions;
        let result = live.instance.run(step, Some(rows), |store| call(functions, store));
        let host = live.instance.state();
        self.logs.append(&mut host.logs);
        // Put there above, and imports only borrow it.
        #[allow(clippy::expect_used)]
        let state = host.keyed.take().expect("the state of the call");
        match result.and_then(|()| finish(host).map_err(|situation| (step, situation))) {
            Ok(mut output) => {
                output.logs = std::mem::take(&mut self.logs);
                self.live = Some(live);
                KeyedCall { result: Ok(output), state }
            }
            Err(failed) => KeyedCall { result: Err(self.error(slice, failed)), state },
        }
    }

    /// A failure on these rows that is not the plugin's.
    pub fn host_fault(&mut self, rows: Range<usize>, what: &str) -> CallError {
        self.error(rows, (Step::Process, Situation::Host(what.to_owned())))
    }

    fn error(&mut self, rows: Range<usize>, (step, situation): Failed) -> CallError {
        let (plugin, operator, logs) = (self.title.clone(), self.name.clone(), std::mem::take(&mut self.logs));
        CallError { plugin, operator, rows, step, situation, logs }
    }
}

fn lowered(context: CallContext) -> wire::CallContext {
    wire::CallContext { watermark: context.watermark, processing_time: context.processing_time }
}

fn key_count(loaded: &Loaded) -> u32 {
    // No more than rows or timers of a call, which are 32 bits.
    u32::try_from(loaded.keys().len()).unwrap_or(u32::MAX)
}

/// Key columns, and the states of the value slots.
fn lower_keys(loaded: &Loaded) -> Option<(Vec<Lowered<'_>>, Vec<wire::SlotStates<'_>>)> {
    let columns =
        loaded.keys().columns().iter().map(|keys| Lowered::new(ColumnType::of(keys.data_type())?, keys.as_ref(), &(0..keys.len())));
    Some((columns.collect::<Option<_>>()?, loaded.value_slots().map(slot_states).collect()))
}

/// States as the contract has them.
fn slot_states(values: &Values) -> wire::SlotStates<'_> {
    let (offsets, bytes) = (values.values().offsets(), values.values().bytes());
    wire::SlotStates { validity: values.validity(), values: wire::VarValues { offsets, bytes } }
}
