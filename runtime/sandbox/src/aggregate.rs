//! A user-defined aggregate at work in one subtask: columnar `accumulate`, `merge` and `finish` over accumulators that the host keeps.
//!
//! An accumulator is bytes of the plugin's own making, null for one that has seen nothing. Callers cut rows into slices; the accumulators of the
//! groups in a slice go in and out with it. A failed call has changed nothing, and its instance is thrown away.

// A failed call is rare and its error is looked into at once: by value it reads better than boxed.
#![allow(clippy::result_large_err)]

use crate::host::HostState;
use crate::instance::{Failed, Instance};
use crate::lift::Declared;
use crate::lower::Lowered;
use crate::migrate::Migrator;
use crate::plugin::Plugin;
use crate::seat::Seat;
use crate::wire::{self, Accumulate, Finish, MergeInto};
use crate::{BadOutput, CallContext, CallError, Capture, CaptureError, Limits, LogLine, SandboxError, Situation, Step, capture};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray};
use arrow_schema::SchemaRef;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use stygian_core::{ColumnType, Field, OutputShape, PluginDescription, SlotKind, StateSlot};
use stygian_state::{Migrate, SlotId, VarBytes};
use wasmtime::Store;

/// What goes into a call, for one that is made again.
#[derive(Clone, Debug)]
pub enum AggregateCall {
    /// Rows, by the columns that the plugin reads, and the accumulator that each is added to.
    Accumulate {
        /// The accumulators.
        accumulators: BinaryArray,
        /// The columns.
        rows: Vec<ArrayRef>,
        /// One a row.
        groups: Vec<u32>,
    },
    /// Accumulators that are merged into others, one by one.
    Merge {
        /// The others.
        into: BinaryArray,
        /// As many.
        from: BinaryArray,
    },
    /// Accumulators that results are made of.
    Finish {
        /// The accumulators.
        accumulators: BinaryArray,
    },
}

impl AggregateCall {
    /// How many rows, or accumulators, it works on.
    pub fn count(&self) -> usize {
        match self {
            Self::Accumulate { groups, .. } => groups.len(),
            Self::Merge { into: accumulators, .. } | Self::Finish { accumulators } => accumulators.len(),
        }
    }

    /// The call on some of them; rows are added to the same accumulators.
    #[must_use]
    pub fn slice(&self, part: &Range<usize>) -> Self {
        let of = |accumulators: &BinaryArray| accumulators.slice(part.start, part.len());
        match self {
            Self::Accumulate { accumulators, rows, groups } => {
                let rows = rows.iter().map(|column| column.slice(part.start, part.len())).collect();
                Self::Accumulate { accumulators: accumulators.clone(), rows, groups: groups[part.clone()].to_vec() }
            }
            Self::Merge { into, from } => Self::Merge { into: of(into), from: of(from) },
            Self::Finish { accumulators } => Self::Finish { accumulators: of(accumulators) },
        }
    }
}

/// A user-defined aggregate. Not for sharing between threads; it may move between calls.
#[derive(Debug)]
pub struct AggregateOperator {
    seat: Seat<Functions>,
    /// The columns that it reads.
    input: Vec<Field>,
    accumulator: Declared,
    result: Declared,
    /// The plugin's name, and what it says of its accumulators.
    plugin: String,
    slot: StateSlot,
    migrator: Migrator,
}

#[derive(Clone, Copy)]
struct Functions {
    accumulate: Accumulate,
    merge: MergeInto,
    finish: Finish,
}

impl Functions {
    fn of(instance: &mut Instance) -> Result<Self, Failed> {
        Ok(Self {
            accumulate: instance.typed(Step::Accumulate, INTERFACE, "accumulate", |func, store| Accumulate::new(func, store))?,
            merge: instance.typed(Step::Merge, INTERFACE, "merge", |func, store| MergeInto::new(func, store))?,
            finish: instance.typed(Step::Finish, INTERFACE, "finish", |func, store| Finish::new(func, store))?,
        })
    }
}

const INTERFACE: &str = "aggregate";

impl AggregateOperator {
    pub(crate) fn new(plugin: Plugin, name: &str, config: &str, description: &PluginDescription) -> Result<Self, SandboxError> {
        let input = description.inputs.first().map_or(&[][..], |input| &input.columns).to_vec();
        let accumulator = Field { name: "accumulator".to_owned(), column_type: ColumnType::Binary, nullable: true };
        let accumulator = Declared::new("accumulators", &[accumulator]);
        let result = match description.outputs.first().map(|output| (&output.name, &output.shape)) {
            Some((name, OutputShape::Own(fields))) => Declared::new(name, fields),
            _ => {
                let reason = "an aggregate has one output with columns of its own".to_owned();
                return Err(SandboxError::Description { path: plugin.path().to_owned(), reason });
            }
        };
        let slot = description.slots.first().cloned();
        let slot = slot.unwrap_or(StateSlot {
            name: "accumulator".to_owned(),
            kind: SlotKind::Value,
            version: 1,
            reads: BTreeSet::new(),
            ttl_millis: None,
        });
        let migrator = Migrator::new(plugin.clone(), name, config, description, INTERFACE);
        let seat = Seat::new(plugin, name, config, description, Arc::default(), INTERFACE, Functions::of);
        Ok(Self { seat, input, accumulator, result, plugin: description.name.clone(), slot, migrator })
    }

    /// The columns of a result, one row an accumulator.
    pub fn result(&self) -> &SchemaRef {
        &self.result.schema
    }

    /// The plugin's name, and what its accumulators are: version 1 where it declares no slot for them.
    pub fn accumulators(&self) -> (&str, &StateSlot) {
        (&self.plugin, &self.slot)
    }

    /// What it had to say since this was asked last; escaped.
    pub fn take_logs(&mut self) -> Vec<LogLine> {
        [self.seat.take_logs(), self.migrator.take_logs()].concat()
    }

    /// Accumulators that were stored in an older version, in the present one; null ones stay null.
    ///
    /// # Errors
    /// As [`AggregateOperator::accumulate`].
    pub fn migrate(&mut self, from_version: u32, accumulators: &BinaryArray) -> Result<BinaryArray, CallError> {
        let rows = 0..accumulators.len();
        let old: VarBytes = accumulators.iter().flatten().collect();
        self.migrator.begin();
        let new = self.migrator.migrate(SlotId(0), from_version, &old);
        let failed = self.migrator.end(&rows);
        match (new, failed) {
            (Ok(new), _) => {
                let mut places = 0..;
                Ok(accumulators.iter().map(|old| old.and_then(|_| places.next()).map(|at| new.get(at))).collect())
            }
            (Err(_), Some(failed)) => Err(failed),
            (Err(situation), None) => Err(self.seat.error(rows, (Step::Migrate, situation))),
        }
    }

    /// Makes and opens an instance, unless there is one.
    pub(crate) fn open(&mut self) -> Result<(), CallError> {
        self.seat.open()
    }

    /// The limits of its calls.
    pub fn limits(&self) -> &Limits {
        self.seat.limits()
    }

    /// Throws the instances away; the next call gets fresh ones.
    pub fn reset(&mut self) {
        self.migrator.reset();
        self.seat.reset();
    }

    /// Makes a call: the accumulators, which are one column, or the columns of the results.
    ///
    /// # Errors
    /// As [`AggregateOperator::accumulate`].
    pub fn call(&mut self, call: &AggregateCall) -> Result<Vec<ArrayRef>, CallError> {
        let column = |accumulators: BinaryArray| vec![Arc::new(accumulators) as ArrayRef];
        match call {
            AggregateCall::Accumulate { accumulators, rows, groups } => self.accumulate(accumulators, rows, groups).map(column),
            AggregateCall::Merge { into, from } => self.merge(into, from).map(column),
            AggregateCall::Finish { accumulators } => self.finish(accumulators),
        }
    }

    /// All that it takes to make a call again which failed.
    ///
    /// # Errors
    /// When the inputs cannot be written down, or are too large.
    pub fn capture(&self, call: &AggregateCall, error: &CallError) -> Result<Capture, CaptureError> {
        let (function, rows, inputs) = capture::aggregate::take(call)?;
        let (count, fields) = (inputs.groups.num_rows(), self.input.clone());
        let columns = self.input.iter().enumerate().map(|(at, field)| {
            let column = rows.get(at).cloned();
            (field.column_type, column.unwrap_or_else(|| arrow_array::new_empty_array(&field.column_type.arrow())))
        });
        let capture = Capture::new(self.seat.plugin(), self.seat.config(), CallContext::default(), fields, columns, count, error)?;
        Ok(capture.with_aggregate(function, inputs))
    }

    /// Adds row `i` of `rows` (the columns that the plugin reads, in its order) to the accumulator `groups[i]`. Returns all accumulators; a null
    /// one has seen nothing.
    ///
    /// # Errors
    /// When the call fails or breaks a rule; the accumulators are as they were.
    pub fn accumulate(&mut self, accumulators: &BinaryArray, rows: &[ArrayRef], groups: &[u32]) -> Result<BinaryArray, CallError> {
        let slice = 0..groups.len();
        let columns = self.input.iter().zip(rows).map(|(field, array)| Lowered::new(field.column_type, array.as_ref(), &slice));
        let (Some(columns), Some(states)) = (columns.collect::<Option<Vec<Lowered<'_>>>>(), lowered(accumulators)) else {
            return Err(self.seat.wrong_input(Step::Accumulate, slice, "a column is not what it was planned to be"));
        };
        let columns: Vec<wire::Column<'_>> = columns.iter().map(Lowered::column).collect();
        // Callers hand over slices, whose rows are 32 bits.
        let batch = wire::Batch { rows: u32::try_from(groups.len()).unwrap_or(u32::MAX), columns: &columns };
        let call =
            |functions: Functions, store: &mut Store<HostState>| functions.accumulate.call(store, slot_states(&states), batch, groups);
        let (declared, expected) = (&self.accumulator, accumulators.len());
        self.seat.call(Step::Accumulate, &slice, None, call, |said, _| checked(declared, said, expected))
    }

    /// Merges accumulators into others, one by one; both of one length.
    ///
    /// # Errors
    /// As [`AggregateOperator::accumulate`].
    pub fn merge(&mut self, into: &BinaryArray, from: &BinaryArray) -> Result<BinaryArray, CallError> {
        let count = into.len();
        let (Some(to), Some(from)) = (lowered(into), lowered(from)) else {
            return Err(self.seat.wrong_input(Step::Merge, 0..count, NO_BYTES));
        };
        let call = |functions: Functions, store: &mut Store<HostState>| functions.merge.call(store, slot_states(&to), slot_states(&from));
        let declared = &self.accumulator;
        self.seat.call(Step::Merge, &(0..count), None, call, |said, _| checked(declared, said, count))
    }

    /// One result row an accumulator, which stay as they are.
    ///
    /// # Errors
    /// As [`AggregateOperator::accumulate`].
    pub fn finish(&mut self, accumulators: &BinaryArray) -> Result<Vec<ArrayRef>, CallError> {
        let expected = accumulators.len();
        let Some(states) = lowered(accumulators) else { return Err(self.seat.wrong_input(Step::Finish, 0..expected, NO_BYTES)) };
        let call = |functions: Functions, store: &mut Store<HostState>| functions.finish.call(store, slot_states(&states));
        let declared = &self.result;
        self.seat.call(Step::Finish, &(0..expected), None, call, |said, _| match said.rows as usize {
            found if found == expected => Ok(declared.check(said)?.columns().to_vec()),
            found => Err(BadOutput::ValueCount { function: "finish", expected, found }.into()),
        })
    }
}

const NO_BYTES: &str = "accumulators that are no bytes";

/// Accumulators from a guest: as many as went in, checked like a column of binary.
fn checked(declared: &Declared, said: wire::OutSlotStates, expected: usize) -> Result<BinaryArray, Situation> {
    let column = wire::OutColumn { validity: said.validity, values: wire::OutValues::Binary(said.values) };
    // As many as were handed over, which is 32 bits.
    let batch = wire::OutBatch { rows: u32::try_from(expected).unwrap_or(u32::MAX), columns: vec![column] };
    Ok(declared.check(batch)?.column(0).as_binary::<i32>().clone())
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
