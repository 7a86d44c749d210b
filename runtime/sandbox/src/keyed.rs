//! A keyed process plugin at work in one subtask: one guest call on rows or on timers, with the state of their keys.
//!
//! Which rows make a call, and what their keys and state are, is the engine's: it begins a [`StateCall`], hands it over, and gets it back with
//! the call's writes in it, to commit or to drop. As everywhere, an instance whose call failed is thrown away.

// A failed call is rare and its error is looked into at once: by value it reads better than boxed.
#![allow(clippy::result_large_err)]

use crate::host::{HostState, Output};
use crate::instance::{Failed, Instance};
use crate::lower::{Lowered, slice_len};
use crate::migrate::Migrator;
use crate::operator::finish;
use crate::plugin::Plugin;
use crate::seat::Seat;
use crate::wire::{self, KeyedProcess, OnTimers};
use crate::{CallContext, CallError, CallOutput, Capture, CaptureError, Limits, SandboxError, Situation, Step, capture, wiring};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use std::ops::Range;
use stygian_core::{ColumnType, EventTime, Field, PluginDescription};
use stygian_state::{Loaded, StateCall, Values};
use wasmtime::Store;

/// An operator of one subtask. Not for sharing between threads; it may move between calls.
#[derive(Debug)]
pub struct KeyedOperator {
    seat: Seat<Functions>,
    input: SchemaRef,
    columns: Vec<(usize, ColumnType)>,
    /// The columns of the key.
    key: Vec<Field>,
    /// Not there while a call has it.
    migrator: Option<Box<Migrator>>,
}

#[derive(Clone, Copy)]
struct Functions {
    process: KeyedProcess,
    on_timers: OnTimers,
}

impl Functions {
    fn of(instance: &mut Instance) -> Result<Self, Failed> {
        let process = instance.typed(Step::Process, INTERFACE, "process", |func, store| KeyedProcess::new(func, store))?;
        let on_timers = instance.typed(Step::OnTimers, INTERFACE, "on-timers", |func, store| OnTimers::new(func, store))?;
        Ok(Self { process, on_timers })
    }
}

const INTERFACE: &str = "keyed-operator";

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
        let columns = wiring::input(name, description, input)?;
        let outputs = description.outputs.iter().map(Output::new).collect();
        let migrator = Some(Box::new(Migrator::new(plugin.clone(), name, config, description, INTERFACE)));
        let seat = Seat::new(plugin, name, config, description, outputs, INTERFACE, Functions::of);
        let key = description.inputs.first().map_or(&[][..], |input| &input.key).to_vec();
        Ok(Self { seat, input: input.clone(), columns, key, migrator })
    }

    /// The limits of its calls.
    pub fn limits(&self) -> &Limits {
        self.seat.limits()
    }

    /// Makes and opens an instance, unless there is one.
    pub(crate) fn open(&mut self) -> Result<(), CallError> {
        self.seat.open()
    }

    /// Throws the instances away; the next call gets fresh ones.
    pub fn reset(&mut self) {
        self.migrator.iter_mut().for_each(|migrator| migrator.reset());
        self.seat.reset();
    }

    /// How many rows from `start` on fit a call, their keys' state not counted; at least one.
    pub fn slice_len(&self, rows: &RecordBatch, start: usize) -> usize {
        let limits = self.seat.limits();
        let input = self.columns.iter().filter_map(|(index, kind)| Some((*kind, rows.columns().get(*index)?.as_ref())));
        let input: Vec<(ColumnType, &dyn Array)> = input.collect();
        slice_len(&input, start, rows.num_rows(), limits.rows_per_call as usize, limits.bytes_per_call.as_usize())
    }

    /// Calls the plugin on rows of a batch of the schema it was made for. `state` was begun for the keys of these rows; what it holds in older
    /// versions is migrated, before the call or when it reads it.
    pub fn process(&mut self, context: CallContext, rows: &RecordBatch, slice: Range<usize>, mut state: StateCall) -> KeyedCall {
        if let Err(error) = self.migrate(&slice, &mut state) {
            return KeyedCall { result: Err(error), state };
        }
        let columns = self.columns.iter().map(|(index, kind)| {
            let named = rows.schema_ref().fields().get(*index).is_some_and(|field| field.name() == self.input.field(*index).name());
            rows.columns().get(*index).filter(|_| named).and_then(|array| Lowered::new(*kind, array.as_ref(), &slice))
        });
        let columns: Option<Vec<Lowered<'_>>> = columns.collect();
        let Some(columns) = columns else {
            let error = self.seat.wrong_input(Step::Process, slice, "a column is not what it was planned to be");
            return KeyedCall { result: Err(error), state };
        };
        let columns: Vec<wire::Column<'_>> = columns.iter().map(Lowered::column).collect();
        // A slice has at most `rows_per_call` rows, which is 32 bits.
        let count = u32::try_from(slice.len()).unwrap_or(u32::MAX);
        let loaded = state.loaded();
        let Some((key_columns, states)) = lower_keys(&loaded) else {
            return KeyedCall { result: Err(self.seat.wrong_input(Step::Process, slice, FOREIGN_KEY)), state };
        };
        let key_columns: Vec<wire::Column<'_>> = key_columns.iter().map(Lowered::column).collect();
        let batch = wire::KeyedBatch {
            rows: wire::Batch { rows: count, columns: &columns },
            key_set: wire::KeySet { keys: wire::Batch { rows: key_count(&loaded), columns: &key_columns }, states: &states },
            key_of_row: loaded.keys().key_of_row(),
        };
        self.call(Step::Process, slice, count, state, |live, store| live.process.call(store, context.into(), 0, batch))
    }

    /// Calls the plugin on timers that are due, for which `state` was begun.
    pub fn on_timers(&mut self, context: CallContext, mut state: StateCall) -> KeyedCall {
        if let Err(error) = self.migrate(&(0..state.fired().len()), &mut state) {
            return KeyedCall { result: Err(error), state };
        }
        let fired = state.fired().iter().map(|fired| wire::FiredTimer { timer: fired.timer, key: fired.key, at: fired.at });
        let (fired, loaded): (Vec<wire::FiredTimer>, _) = (fired.collect(), state.loaded());
        let Some((key_columns, states)) = lower_keys(&loaded) else {
            return KeyedCall { result: Err(self.seat.wrong_input(Step::OnTimers, 0..fired.len(), FOREIGN_KEY)), state };
        };
        let key_columns: Vec<wire::Column<'_>> = key_columns.iter().map(Lowered::column).collect();
        let key_set = wire::KeySet { keys: wire::Batch { rows: key_count(&loaded), columns: &key_columns }, states: &states };
        let batch = wire::FiredTimers { key_set, timers: &fired };
        self.call(Step::OnTimers, 0..fired.len(), 0, state, |live, store| live.on_timers.call(store, context.into(), batch))
    }

    /// Migrates what comes with a call.
    fn migrate(&mut self, rows: &Range<usize>, state: &mut StateCall) -> Result<(), CallError> {
        let Some(migrator) = &mut self.migrator else { return Err(self.seat.error(rows.clone(), (Step::Migrate, lost()))) };
        migrator.begin();
        let Err(situation) = state.migrate_values(&mut **migrator) else { return Ok(()) };
        let failed = migrator.end(rows);
        Err(failed.unwrap_or_else(|| self.seat.error(rows.clone(), (Step::Migrate, situation))))
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
        let (mut slot, migrator) = (Some(state), &mut self.migrator);
        let with_state = |functions: Functions, store: &mut Store<HostState>| {
            let mut swap = |host: &mut HostState| {
                std::mem::swap(&mut host.keyed, &mut slot);
                std::mem::swap(&mut host.migrator, migrator);
            };
            swap(store.data_mut());
            let result = call(functions, store);
            swap(store.data_mut());
            result
        };
        let mut result = self.seat.call(step, &slice, Some(rows), with_state, |(), host| finish(host));
        // What a call fails of that came by a value that cannot be migrated is that.
        let failed = self.migrator.as_mut().and_then(|migrator| migrator.end(&slice));
        if let (Err(error), Some(failed)) = (&mut result, failed) {
            *error = CallError { logs: [std::mem::take(&mut error.logs), failed.logs].concat(), ..failed };
        }
        let mut logs = Vec::new();
        if result.is_ok() {
            logs = self.seat.take_logs();
            self.migrator.iter_mut().for_each(|migrator| logs.append(&mut migrator.take_logs()));
        }
        // Put there above, swapped twice or not at all, and imports only borrow it.
        #[allow(clippy::expect_used)]
        let state = slot.expect("the state of the call");
        KeyedCall { result: result.map(|output| CallOutput { logs, ..output }), state }
    }

    /// All that it takes to make a call on rows again which failed. `state` was begun anew for the same rows, whose key columns are `keys`, and
    /// is judged by `lives_at`.
    ///
    /// # Errors
    /// When the inputs cannot be written down, or are too large.
    pub fn capture(
        &self,
        context: CallContext,
        (rows, slice): (&RecordBatch, &Range<usize>),
        keys: &[ArrayRef],
        state: &mut StateCall,
        lives_at: EventTime,
        error: &CallError,
    ) -> Result<Capture, CaptureError> {
        let columns = self.columns.iter().map(|(index, kind)| (*kind, rows.column(*index).slice(slice.start, slice.len())));
        let keys = keys.iter().map(|column| column.slice(slice.start, slice.len())).collect();
        let keyed = capture::keyed::take(state, &self.key, Some(keys), lives_at, false)?;
        Ok(self.captured(context, columns, slice.len(), error)?.with_keyed(keyed))
    }

    /// As [`KeyedOperator::capture`], of a call on the timers that `state` was begun anew for; by processing time (`by_clock`) or event time.
    ///
    /// # Errors
    /// As [`KeyedOperator::capture`].
    pub fn capture_timers(
        &self,
        context: CallContext,
        state: &mut StateCall,
        lives_at: EventTime,
        by_clock: bool,
        error: &CallError,
    ) -> Result<Capture, CaptureError> {
        let none = self.columns.iter().map(|(index, kind)| (*kind, arrow_array::new_empty_array(self.input.field(*index).data_type())));
        let keyed = capture::keyed::take(state, &self.key, None, lives_at, by_clock)?;
        Ok(self.captured(context, none, 0, error)?.with_keyed(keyed))
    }

    fn captured(
        &self,
        context: CallContext,
        columns: impl Iterator<Item = (ColumnType, ArrayRef)>,
        rows: usize,
        error: &CallError,
    ) -> Result<Capture, CaptureError> {
        let fields = wiring::fields(&self.columns, &self.input);
        Capture::new(self.seat.plugin(), self.seat.config(), context, fields, columns, rows, error)
    }

    /// A failure on these rows that is not the plugin's.
    pub fn host_fault(&mut self, rows: Range<usize>, what: &str) -> CallError {
        self.seat.error(rows, (Step::Process, Situation::Host(what.to_owned())))
    }
}

/// A fault of the host's: whoever migrates is lent to a call and given back by it.
fn lost() -> Situation {
    Situation::Host("whoever migrates state went with an earlier call".to_owned())
}

const FOREIGN_KEY: &str = "a key column does not cross into plugins";

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
