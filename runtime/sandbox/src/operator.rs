//! A plugin at work in one subtask: cuts batches into slices, calls the guest once for each, and puts the answers together.
//!
//! It owns at most one instance. An instance whose call failed is thrown away, so a failure has changed nothing; which rows to try again
//! or to give up is left to the engine. With [`Operator::with_fresh_instances`] no instance is called twice.

// A failed call is rare and its error is looked into at once: by value it reads better than boxed.
#![allow(clippy::result_large_err)]

use crate::host::{Handed, HostState, Output, OutputKind};
use crate::instance::Instance;
use crate::lower::{Lowered, slice_len};
use crate::merge::Merge;
use crate::plugin::Plugin;
use crate::seat::Seat;
use crate::wire::{self, Process};
use crate::{CallContext, CallError, CallOutput, Capture, CaptureError, Piece, SandboxError, Situation, Step, wiring};
use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;
use stygian_core::{ColumnType, PluginDescription};
use wasmtime::Store;

/// Calls with so many columns allocate nothing for them.
const FEW: usize = 8;

type Columns<'a> = SmallVec<[(ColumnType, &'a dyn Array); FEW]>;

/// The columns of a batch that a plugin reads.
pub struct CallInput<'a> {
    columns: Columns<'a>,
    rows: usize,
}

impl std::fmt::Debug for CallInput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallInput").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// An operator of one subtask. Not for sharing between threads; it may move between calls.
#[derive(Debug)]
pub struct Operator {
    seat: Seat<Process>,
    input: SchemaRef,
    columns: Vec<(usize, ColumnType)>,
}

impl Operator {
    pub(crate) fn new(
        plugin: Plugin,
        name: &str,
        config: &str,
        description: &PluginDescription,
        input: &SchemaRef,
    ) -> Result<Self, SandboxError> {
        let columns = wiring::input(name, description, input)?;
        let outputs = description.outputs.iter().map(Output::new).collect();
        let seat = Seat::new(plugin, name, config, description, outputs, "operator", Instance::process_func);
        Ok(Self { seat, input: input.clone(), columns })
    }

    /// Makes and opens an instance, unless there is one.
    pub(crate) fn open(&mut self) -> Result<(), CallError> {
        self.seat.open()
    }

    /// With `fresh`, every guest call (a slice of a batch) gets a new instance: for where nothing may leak from one call to the next.
    #[must_use]
    pub fn with_fresh_instances(self, fresh: bool) -> Self {
        Self { seat: self.seat.with_fresh_instances(fresh), ..self }
    }

    /// Throws the instance away; the next call gets a fresh one.
    pub fn reset(&mut self) {
        self.seat.reset();
    }

    /// Runs the plugin on a batch of the schema it was made for: as [`Operator::call`] on one slice after the other.
    ///
    /// # Errors
    /// When a guest call fails or breaks a rule; nothing of the batch counts then. The error names the rows of that call; rows before them
    /// went well and give the same again.
    pub fn process(&mut self, context: CallContext, rows: &RecordBatch) -> Result<CallOutput, CallError> {
        let input = self.input(rows)?;
        let (mut merge, mut slice) = (self.merge(&input), 0..0);
        while slice.end < input.rows {
            slice = self.next_slice(&input, slice.end);
            merge.add(self.call(context, &input, &slice)?, &slice);
        }
        self.finish(merge)
    }

    /// The columns of a batch that the plugin reads.
    ///
    /// # Errors
    /// When the batch does not have the schema that the operator was made for.
    pub fn input<'a>(&mut self, rows: &'a RecordBatch) -> Result<CallInput<'a>, CallError> {
        let count = rows.num_rows();
        let columns = self.columns_of(rows);
        let columns = columns.map_err(|reason| self.seat.wrong_input(Step::Process, 0..count, reason))?;
        Ok(CallInput { columns, rows: count })
    }

    /// The rows from `start` on that one call should get: within `rows_per_call` and `bytes_per_call`, at least one.
    pub fn next_slice(&self, input: &CallInput<'_>, start: usize) -> Range<usize> {
        let limits = self.seat.limits();
        let (most_rows, most_bytes) = (limits.rows_per_call as usize, limits.bytes_per_call.as_usize());
        start..start + slice_len(&input.columns, start, input.rows, most_rows, most_bytes)
    }

    /// Calls the plugin with some rows of a batch. Row indices in the output count from the first of them.
    ///
    /// # Errors
    /// When the call fails or breaks a rule: it has changed nothing, and the next call gets a fresh instance.
    pub fn call(&mut self, context: CallContext, input: &CallInput<'_>, rows: &Range<usize>) -> Result<CallOutput, CallError> {
        let lowered =
            input.columns.iter().map(|(kind, array)| Lowered::new(*kind, *array, rows)).collect::<Option<SmallVec<[Lowered<'_>; FEW]>>>();
        let Some(lowered) = lowered else { return Err(self.seat.wrong_input(Step::Process, rows.clone(), "a column changed its type")) };
        let columns: SmallVec<[wire::Column<'_>; FEW]> = lowered.iter().map(Lowered::column).collect();
        // A slice has at most `rows_per_call` rows, which is 32 bits.
        let batch = wire::Batch { rows: u32::try_from(rows.len()).unwrap_or(u32::MAX), columns: &columns };
        let call = |process: Process, store: &mut Store<HostState>| process.call(store, context.into(), batch);
        let mut output = self.seat.call(Step::Process, rows, Some(batch.rows), call, |(), host| finish(host))?;
        output.logs = self.seat.take_logs();
        Ok(output)
    }

    /// Where what comes of the calls on a batch is put together.
    pub fn merge(&self, input: &CallInput<'_>) -> Merge {
        Merge::new(self.seat.outputs(), input.rows)
    }

    /// What all calls on a batch have come to.
    ///
    /// # Errors
    /// When the parts do not fit together, which would be a fault of the host.
    pub fn finish(&mut self, merge: Merge) -> Result<CallOutput, CallError> {
        merge.finish().map_err(|reason| self.seat.error(0..0, (Step::Process, Situation::Host(reason))))
    }

    /// The limits of its calls.
    pub fn limits(&self) -> &crate::Limits {
        self.seat.limits()
    }

    /// All that it takes to make a call again which failed, on another machine too.
    ///
    /// # Errors
    /// When the input cannot be written down.
    pub fn capture(
        &self,
        context: CallContext,
        input: &CallInput<'_>,
        rows: &Range<usize>,
        error: &CallError,
    ) -> Result<Capture, CaptureError> {
        let fields = wiring::fields(&self.columns, &self.input);
        let columns = input.columns.iter().map(|(column_type, array)| (*column_type, array.slice(rows.start, rows.len())));
        Capture::new(self.seat.plugin(), self.seat.config(), context, fields, columns, rows.len(), error)
    }

    /// The declared columns; the error says how the batch differs from what was promised.
    fn columns_of<'a>(&self, rows: &'a RecordBatch) -> Result<Columns<'a>, String> {
        if Arc::ptr_eq(&self.input, rows.schema_ref()) {
            // Arrow has compared the columns with their schema.
            return Ok(self.columns.iter().map(|(index, column_type)| (*column_type, rows.column(*index).as_ref())).collect());
        }
        let column = |(index, column_type): &(usize, ColumnType)| {
            let name = self.input.field(*index).name();
            let named = rows.schema_ref().fields().get(*index).is_some_and(|field| field.name() == name);
            let array = rows.columns().get(*index).map(AsRef::as_ref).filter(|_| named);
            let fits = array.filter(|array: &&dyn Array| ColumnType::of(array.data_type()) == Some(*column_type));
            fits.map(|array| (*column_type, array)).ok_or_else(|| format!("column {index} is not `{name}` ({column_type})"))
        };
        self.columns.iter().map(column).collect()
    }
}

/// Takes what a call that returned ok has handed over.
pub(crate) fn finish(state: &mut HostState) -> Result<CallOutput, Situation> {
    let Handed { selected, emitted, dead } = &mut state.handed;
    let mut dead = std::mem::take(dead);
    dead.sort_by_key(|dead| dead.row);
    if let Some(pair) = dead.windows(2).find(|pair| pair[0].row == pair[1].row) {
        return Err(crate::BadOutput::DeadTwice { row: pair[0].row }.into());
    }
    let pieces = selected.iter_mut().zip(emitted).map(|(selected, pieces)| {
        let (selected, mut pieces) = (std::mem::take(selected), std::mem::take(pieces));
        pieces.retain(|piece| !matches!(piece, Piece::Emitted { rows, .. } if rows.num_rows() == 0));
        if !selected.is_empty() {
            pieces.push(Piece::Selected(UInt32Array::from(selected)));
        }
        pieces
    });
    Ok(CallOutput { outputs: pieces.collect(), dead_letters: dead, logs: Vec::new() })
}

/// Whether rows of this output have parents.
pub(crate) fn has_parents(output: &Output) -> bool {
    matches!(output.kind, OutputKind::Extended(_))
}
