//! The rows of a fired window: its bounds, its keys, its aggregates.

use crate::keys::{KeyCodec, KeyIndex};
use crate::{ExprError, WindowAggregatorSpec};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use std::ops::Range;
use std::sync::Arc;

/// The most rows of one batch of results.
pub const MAX_OUTPUT_ROWS: usize = 8192;

/// The result of one window before it is cut into batches.
pub(crate) struct Fired<'a> {
    pub(crate) schema: &'a SchemaRef,
    pub(crate) codec: &'a KeyCodec,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) keys: KeyIndex,
    /// One array an aggregate, as the accumulators give them.
    pub(crate) aggregates: Vec<ArrayRef>,
}

impl Fired<'_> {
    /// Cuts the result into batches.
    pub(crate) fn into_batches(mut self, spec: &WindowAggregatorSpec, to: &mut Vec<RecordBatch>) -> Result<(), ExprError> {
        for ((_, aggregate), array) in spec.aggregates.iter().zip(&mut self.aggregates) {
            if array.data_type() != aggregate.data_type() {
                *array = arrow_cast::cast(array, aggregate.data_type()).map_err(|error| ExprError::arrow(aggregate.sql(), &error))?;
            }
        }
        let mut from = 0;
        while from < self.keys.len() {
            let until = self.keys.len().min(from + MAX_OUTPUT_ROWS);
            to.push(self.batch(from..until)?);
            from = until;
        }
        Ok(())
    }

    fn batch(&self, groups: Range<usize>) -> Result<RecordBatch, ExprError> {
        let fault = |error: ArrowError| ExprError::window(format!("the result does not fit its schema: {error}"));
        let rows = groups.len();
        let zone = match self.schema.field(0).data_type() {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => None,
        };
        let bounds = [self.start, self.end, self.end - 1].map(|time| {
            let times = TimestampMicrosecondArray::from_value(time, rows).with_timezone_opt(zone.clone());
            Arc::new(times) as ArrayRef
        });
        let keys = self.keys.columns(self.codec, groups.clone())?;
        let aggregates = self.aggregates.iter().map(|array| array.slice(groups.start, rows));
        let columns = bounds.into_iter().chain(keys).chain(aggregates).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(fault)
    }
}
