//! A plugin as an operator: calls into the sandbox, and what they return applied to columns that never went there.
//!
//! Rows of a call that failed are tried again in halves (`poison`), on fresh instances; those the plugin fails on alone are given up.
//! A selection is applied to all columns of the input, an extension adds its columns to the input's (shared where no row moved), rows of
//! their own go on as they came. Outputs have the plugin's indices; the dead letters follow behind the last.

use crate::metrics::Counters;
use crate::poison::{Attempts, GivenUp, Poison, Stuck};
use crate::{CallContext, Operator, OperatorError, Output, PoisonPolicy, SubtaskContext, dead_letters};
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow_buffer::BooleanBufferBuilder;
use arrow_schema::{ArrowError, SchemaRef};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use stygian_core::{EventTime, OperatorId};
use stygian_sandbox::{CallError, CallInput, CallOutput, Capture, CaptureError, Captures, DeadRow, Merge, Piece};

/// How a plugin is called.
#[derive(Clone, Debug, Default)]
pub struct PluginOptions {
    /// Every call gets an instance of its own.
    pub fresh: bool,
    /// What becomes of rows that make it fail.
    pub poison: PoisonPolicy,
    /// Where the inputs of failed calls are saved.
    pub captures: Option<Arc<Captures>>,
}

/// A subtask's use of a plugin.
pub struct PluginOperator {
    node: OperatorId,
    plugin: stygian_sandbox::Operator,
    /// The schema of each output, as planned.
    outputs: Vec<SchemaRef>,
    /// Every call is made on an instance of its own.
    fresh: bool,
    captures: Option<Arc<Captures>>,
    poison: Poison,
    counters: Arc<Counters>,
}

impl PluginOperator {
    /// An operator whose outputs have these schemas.
    pub fn new(context: &SubtaskContext, plugin: stygian_sandbox::Operator, outputs: Vec<SchemaRef>, options: PluginOptions) -> Self {
        let (node, counters) = (context.node.clone(), context.counters.clone());
        let PluginOptions { fresh, poison, captures } = options;
        let poison = Poison::new(node.clone(), poison, plugin.limits().call_cpu.0, counters.clone());
        let plugin = plugin.with_fresh_instances(fresh);
        Self { node, plugin, outputs, fresh, captures, poison, counters }
    }

    /// What the plugin makes of the rows, one call a slice, and the rows that it cannot be made to take.
    fn call(&mut self, context: stygian_sandbox::CallContext, rows: &RecordBatch) -> Result<(CallOutput, Vec<GivenUp>), OperatorError> {
        self.poison.add_rows(rows.num_rows());
        let input = self.plugin.input(rows).map_err(Box::new)?;
        let (mut merge, mut given_up, mut slice) = (self.plugin.merge(&input), Vec::new(), 0..0);
        while slice.end < rows.num_rows() {
            slice = self.plugin.next_slice(&input, slice.end);
            match self.plugin.call(context, &input, &slice) {
                Ok(part) => merge.add(part, &slice),
                Err(error) => {
                    let (plugin, captures) = (&mut self.plugin, self.captures.as_deref());
                    let mut again = Again { node: &self.node, plugin, context, input: &input, merge: &mut merge, captures };
                    given_up.extend(self.poison.rescue(slice.clone(), error.into(), self.fresh, &mut again)?);
                }
            }
        }
        Ok((self.plugin.finish(merge).map_err(Box::new)?, given_up))
    }

    /// The rows that the plugin refused, and those that were given up if they go to the dead letters; in the order of rows.
    fn dead(&self, mut refused: Vec<DeadRow>, given_up: &[GivenUp]) -> Vec<DeadRow> {
        if !given_up.is_empty() && self.poison.dead_letters() {
            for GivenUp { rows, reason } in given_up {
                // Batches have fewer rows than 32 bits count.
                refused.extend(rows.clone().map(|row| DeadRow { row: u32::try_from(row).unwrap_or(u32::MAX), reason: reason.clone() }));
            }
            refused.sort_by_key(|dead| dead.row);
        }
        refused
    }
}

/// What a plugin had to say.
pub(crate) fn log(node: &OperatorId, lines: &[stygian_sandbox::LogLine]) {
    for line in lines {
        tracing::info!(operator = %node, level = ?line.level, "{}", line.message);
    }
}

impl Operator for PluginOperator {
    fn process(&mut self, rows: RecordBatch, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        let watermark = (context.watermark != EventTime::MIN).then_some(context.watermark.micros());
        let call = stygian_sandbox::CallContext { watermark, processing_time: context.processing_time };
        let (returned, given_up) = self.call(call, &rows)?;
        log(&self.node, &returned.logs);
        for (output, pieces) in returned.outputs.into_iter().enumerate() {
            for piece in pieces {
                out.push(output, apply(&rows, piece, &self.outputs[output])?);
            }
        }
        let dead = self.dead(returned.dead_letters, &given_up);
        if let Some(letters) = dead_letters::of_rows(&self.node, &rows, &dead)? {
            let first = || dead.first().map(|row| row.reason.clone()).unwrap_or_default();
            self.counters.add_dead_letters(letters.num_rows(), first);
            out.push_aside(self.outputs.len(), letters);
        }
        Ok(())
    }
}

/// The calls of a slice that failed, made again.
struct Again<'a, 'b> {
    node: &'a OperatorId,
    plugin: &'a mut stygian_sandbox::Operator,
    context: stygian_sandbox::CallContext,
    input: &'a CallInput<'b>,
    merge: &'a mut Merge,
    captures: Option<&'a Captures>,
}

impl Attempts for Again<'_, '_> {
    fn run(&mut self, rows: &Range<usize>) -> Result<(), Stuck> {
        self.plugin.reset();
        let stuck = |error| Stuck { from: rows.start, error: Box::new(error) };
        let part = self.plugin.call(self.context, self.input, rows).map_err(stuck)?;
        self.merge.add(part, rows);
        Ok(())
    }

    fn capture(&mut self, rows: &Range<usize>, error: &CallError) -> Option<PathBuf> {
        let captures = self.captures?;
        save_capture(captures, self.node, || self.plugin.capture(self.context, self.input, rows, error))
    }
}

/// Saves a failed call; where it is, if there is room for it. That it cannot be saved is said and does no harm.
pub(crate) fn save_capture(
    captures: &Captures,
    node: &OperatorId,
    capture: impl FnOnce() -> Result<Capture, CaptureError>,
) -> Option<PathBuf> {
    captures.save(node.as_str(), capture).unwrap_or_else(|error| {
        tracing::warn!(operator = %node, error = &error as &dyn std::error::Error, "the input of a failed call could not be saved");
        None
    })
}

/// The rows of an output of the planned schema.
pub(crate) fn apply(input: &RecordBatch, piece: Piece, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    match piece {
        Piece::Selected(rows) => select(input, &rows),
        Piece::Emitted { rows, parents } => extend(input, &rows, parents.as_ref(), schema),
    }
}

/// The chosen rows, which ascend strictly. Many of them are copied in runs, few one by one.
fn select(input: &RecordBatch, rows: &UInt32Array) -> Result<RecordBatch, ArrowError> {
    if rows.len() == input.num_rows() {
        return Ok(input.clone());
    }
    if rows.len() < input.num_rows() / 4 {
        return arrow_select::take::take_record_batch(input, rows);
    }
    let mut chosen = BooleanBufferBuilder::new(input.num_rows());
    chosen.append_n(input.num_rows(), false);
    rows.values().iter().for_each(|row| chosen.set_bit(*row as usize, true));
    arrow_select::filter::filter_record_batch(input, &BooleanArray::new(chosen.finish(), None))
}

/// Emitted columns, and the input's where the schema has columns that were not emitted.
fn extend(
    input: &RecordBatch,
    emitted: &RecordBatch,
    parents: Option<&UInt32Array>,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str| -> Result<ArrayRef, ArrowError> {
        if let Some(own) = emitted.column_by_name(name) {
            return Ok(own.clone());
        }
        let inherited = input.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("no column `{name}`")))?;
        match parents {
            None => Ok(inherited.clone()),
            Some(parents) => arrow_select::take::take(inherited, parents, None),
        }
    };
    let columns = schema.fields().iter().map(|field| column(field.name())).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema.clone(), columns)
}
