//! A plugin at work in one subtask: cuts batches into slices, calls the guest once for each, and puts the answers together.
//!
//! It owns at most one instance. An instance whose call failed is thrown away, so a failure has changed nothing; which rows to try again
//! or to give up is left to the engine. With [`Operator::with_fresh_instances`] no instance is called twice.

// A failed call is rare and its error is looked into at once: by value it reads better than boxed.
#![allow(clippy::result_large_err)]

use crate::host::{Handed, HostState, Output, OutputKind};
use crate::instance::{Failed, Instance};
use crate::lower::{Lowered, slice_len};
use crate::merge::Merge;
use crate::plugin::Plugin;
use crate::wire::{self, Process};
use crate::{CallContext, CallError, CallOutput, Capture, CaptureError, LogLine, Piece, SandboxError, Situation, Step, wiring};
use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use std::ops::Range;
use std::sync::Arc;
use stygian_core::{ColumnType, Field, PluginDescription};

/// The columns of a batch that a plugin reads.
pub struct CallInput<'a> {
    columns: Vec<(ColumnType, &'a dyn Array)>,
    rows: usize,
}

impl std::fmt::Debug for CallInput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallInput").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// An operator of one subtask. Not for sharing between threads; it may move between calls.
pub struct Operator {
    plugin: Plugin,
    /// The plugin's name and version.
    title: String,
    name: String,
    config: String,
    input: SchemaRef,
    columns: Vec<(usize, ColumnType)>,
    outputs: Arc<[Output]>,
    live: Option<(Instance, Process)>,
    /// Every call gets an instance of its own.
    fresh: bool,
    /// What was said on opening, for the next call's output.
    logs: Vec<LogLine>,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").field("name", &self.name).field("plugin", &self.title).finish_non_exhaustive()
    }
}

impl Operator {
    pub(crate) fn new(
        plugin: Plugin,
        name: &str,
        config: &str,
        description: &PluginDescription,
        input: &SchemaRef,
    ) -> Result<Self, SandboxError> {
        let title = format!("{}@{}", description.name, description.version);
        // `describe` of an operator plugin is refused unless it has one input.
        let declared = description.inputs.first().map_or(&[][..], |input| &input.columns);
        let columns = wiring::columns(declared, input).map_err(|mismatches| SandboxError::Input {
            operator: name.to_owned(),
            plugin: title.clone(),
            mismatches,
        })?;
        let outputs = description.outputs.iter().map(Output::new).collect();
        let (name, config, input) = (name.to_owned(), config.to_owned(), input.clone());
        Ok(Self { plugin, title, name, config, input, columns, outputs, live: None, fresh: false, logs: Vec::new() })
    }

    /// Makes and opens an instance, unless there is one.
    pub(crate) fn open(&mut self) -> Result<(), CallError> {
        if self.live.is_none() {
            self.live = Some(self.instance().map_err(|failed| self.error(0..0, failed))?);
        }
        Ok(())
    }

    fn instance(&mut self) -> Result<(Instance, Process), Failed> {
        let mut instance = self.plugin.open_instance("operator", &self.outputs, &self.config)?;
        let process = instance.process_func()?;
        self.logs.append(&mut instance.state().logs);
        Ok((instance, process))
    }

    /// With `fresh`, every guest call (a slice of a batch) gets a new instance: for where nothing may leak from one call to the next.
    #[must_use]
    pub fn with_fresh_instances(self, fresh: bool) -> Self {
        Self { fresh, ..self }
    }

    /// Throws the instance away; the next call gets a fresh one.
    pub fn reset(&mut self) {
        self.live = None;
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
        let columns = columns.map_err(|reason| self.error(0..count, (Step::Process, Situation::WrongInput(reason))))?;
        Ok(CallInput { columns, rows: count })
    }

    /// The rows from `start` on that one call should get: within `rows_per_call` and `bytes_per_call`, at least one.
    pub fn next_slice(&self, input: &CallInput<'_>, start: usize) -> Range<usize> {
        let limits = self.plugin.limits();
        let (most_rows, most_bytes) = (limits.rows_per_call as usize, limits.bytes_per_call.as_usize());
        start..start + slice_len(&input.columns, start, input.rows, most_rows, most_bytes)
    }

    /// Calls the plugin with some rows of a batch. Row indices in the output count from the first of them.
    ///
    /// # Errors
    /// When the call fails or breaks a rule: it has changed nothing, and the next call gets a fresh instance.
    pub fn call(&mut self, context: CallContext, input: &CallInput<'_>, rows: &Range<usize>) -> Result<CallOutput, CallError> {
        let context = wire::CallContext { watermark: context.watermark, processing_time: context.processing_time };
        self.process_slice(context, &input.columns, rows)
    }

    /// Where what comes of the calls on a batch is put together.
    pub fn merge(&self, input: &CallInput<'_>) -> Merge {
        Merge::new(&self.outputs, input.rows)
    }

    /// What all calls on a batch have come to.
    ///
    /// # Errors
    /// When the parts do not fit together, which would be a fault of the host.
    pub fn finish(&mut self, merge: Merge) -> Result<CallOutput, CallError> {
        merge.finish().map_err(|reason| self.error(0..0, (Step::Process, Situation::Host(reason))))
    }

    /// The limits of its calls.
    pub fn limits(&self) -> &crate::Limits {
        self.plugin.limits()
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
        let fields = self.columns.iter().map(|(index, column_type)| {
            let field = self.input.field(*index);
            Field { name: field.name().clone(), column_type: *column_type, nullable: field.is_nullable() }
        });
        let columns = input.columns.iter().map(|(column_type, array)| (*column_type, array.slice(rows.start, rows.len())));
        Capture::new(&self.plugin, &self.config, context, fields.collect(), columns, rows.len(), error)
    }

    /// The declared columns; the error says how the batch differs from what was promised.
    fn columns_of<'a>(&self, rows: &'a RecordBatch) -> Result<Vec<(ColumnType, &'a dyn Array)>, String> {
        let same = Arc::ptr_eq(&self.input, rows.schema_ref());
        let column = |(index, column_type): &(usize, ColumnType)| {
            let name = self.input.field(*index).name();
            let named = same || rows.schema_ref().fields().get(*index).is_some_and(|field| field.name() == name);
            let array = rows.columns().get(*index).map(AsRef::as_ref).filter(|_| named);
            let fits = array.filter(|array: &&dyn Array| ColumnType::of(array.data_type()) == Some(*column_type));
            fits.map(|array| (*column_type, array)).ok_or_else(|| format!("column {index} is not `{name}` ({column_type})"))
        };
        self.columns.iter().map(column).collect()
    }

    fn process_slice(
        &mut self,
        context: wire::CallContext,
        input: &[(ColumnType, &dyn Array)],
        slice: &Range<usize>,
    ) -> Result<CallOutput, CallError> {
        let error = |operator: &mut Self, failed| operator.error(slice.clone(), failed);
        let (mut instance, process) = match self.live.take() {
            Some(live) => live,
            None => self.instance().map_err(|failed| error(self, failed))?,
        };
        let lowered = input.iter().map(|(kind, array)| Lowered::new(*kind, *array, slice)).collect::<Option<Vec<_>>>();
        let lowered = lowered.ok_or_else(|| error(self, (Step::Process, Situation::WrongInput("a column changed its type".to_owned()))))?;
        let columns: Vec<wire::Column<'_>> = lowered.iter().map(Lowered::column).collect();
        // A slice has at most `rows_per_call` rows, which is 32 bits.
        let batch = wire::Batch { rows: u32::try_from(slice.len()).unwrap_or(u32::MAX), columns: &columns };
        let result = instance.process(process, context, batch).and_then(|()| finish(instance.state()).map_err(|s| (Step::Process, s)));
        self.logs.append(&mut instance.state().logs);
        match result {
            Ok(mut output) => {
                output.logs = std::mem::take(&mut self.logs);
                self.live = (!self.fresh).then_some((instance, process));
                Ok(output)
            }
            Err(failed) => Err(error(self, failed)),
        }
    }

    fn error(&mut self, rows: Range<usize>, (step, situation): Failed) -> CallError {
        let (plugin, operator, logs) = (self.title.clone(), self.name.clone(), std::mem::take(&mut self.logs));
        CallError { plugin, operator, rows, step, situation, logs }
    }
}

/// Takes what a call that returned ok has handed over.
pub(crate) fn finish(state: &mut HostState) -> Result<CallOutput, Situation> {
    let Handed { selected, emitted, mut dead } = std::mem::take(&mut state.handed);
    dead.sort_by_key(|dead| dead.row);
    if let Some(pair) = dead.windows(2).find(|pair| pair[0].row == pair[1].row) {
        return Err(crate::BadOutput::DeadTwice { row: pair[0].row }.into());
    }
    let pieces = selected.into_iter().zip(emitted).map(|(selected, mut pieces)| {
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
