//! A plugin as an operator: calls into the sandbox, and what they return applied to columns that never went there.
//!
//! A selection is applied to all columns of the input, an extension adds its columns to the input's (shared where no row moved), rows of
//! their own go on as they came. Outputs have the plugin's indices; the dead letters follow behind the last.

use crate::metrics::Counters;
use crate::{CallContext, Operator, OperatorError, Output, SubtaskContext, dead_letters};
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow_buffer::BooleanBufferBuilder;
use arrow_schema::{ArrowError, SchemaRef};
use std::sync::Arc;
use stygian_core::{EventTime, OperatorId};
use stygian_sandbox::Piece;

/// A subtask's use of a plugin.
pub struct PluginOperator {
    node: OperatorId,
    plugin: stygian_sandbox::Operator,
    /// The schema of each output, as planned.
    outputs: Vec<SchemaRef>,
    counters: Arc<Counters>,
}

impl PluginOperator {
    /// An operator whose outputs have these schemas. With `fresh`, every call into the sandbox is made on an instance of its own.
    pub fn new(context: &SubtaskContext, plugin: stygian_sandbox::Operator, outputs: Vec<SchemaRef>, fresh: bool) -> Self {
        let plugin = plugin.with_fresh_instances(fresh);
        Self { node: context.node.clone(), plugin, outputs, counters: context.counters.clone() }
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
        let returned = self.plugin.process(call, &rows).map_err(Box::new)?;
        log(&self.node, &returned.logs);
        for (output, pieces) in returned.outputs.into_iter().enumerate() {
            for piece in pieces {
                out.push(output, apply(&rows, piece, &self.outputs[output])?);
            }
        }
        if let Some(letters) = dead_letters::of_rows(&self.node, &rows, &returned.dead_letters)? {
            let first = || returned.dead_letters.first().map(|row| row.reason.clone()).unwrap_or_default();
            self.counters.add_dead_letters(letters.num_rows(), first);
            out.push_aside(self.outputs.len(), letters);
        }
        Ok(())
    }
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
