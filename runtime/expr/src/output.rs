//! The rows of a result: bounds of windows, a revision where results are replaced, keys, aggregates.

use crate::ExprError;
use crate::aggregator::Frame;
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType};
use std::ops::Range;
use std::sync::Arc;

/// The most rows of one batch of results.
pub const MAX_OUTPUT_ROWS: usize = 8192;

/// The windows that rows of a result are of.
pub(crate) enum Bounds {
    /// All of one: its start and end.
    Whole(i64, i64),
    /// Each of its own.
    Each(Vec<(i64, i64)>),
}

/// The key columns of some rows of a result.
pub(crate) type KeysOf<'a> = &'a dyn Fn(Range<usize>) -> Result<Vec<ArrayRef>, ExprError>;

/// A result before it is cut into batches.
pub(crate) struct Fired<'a> {
    pub(crate) rows: usize,
    pub(crate) bounds: Bounds,
    pub(crate) keys: KeysOf<'a>,
    /// Where results are replaced: how often each was given out before.
    pub(crate) revisions: Option<Vec<u32>>,
    /// One array an aggregate, as the accumulators give them.
    pub(crate) aggregates: Vec<ArrayRef>,
}

impl Fired<'_> {
    /// Cuts the result into batches.
    pub(crate) fn into_batches(mut self, frame: &Frame, to: &mut Vec<RecordBatch>) -> Result<(), ExprError> {
        for ((_, aggregate), array) in frame.spec.aggregates.iter().zip(&mut self.aggregates) {
            if array.data_type() != aggregate.data_type() {
                *array = arrow_cast::cast(array, aggregate.data_type()).map_err(|error| ExprError::arrow(aggregate.sql(), &error))?;
            }
        }
        let mut from = 0;
        while from < self.rows {
            let until = self.rows.min(from + MAX_OUTPUT_ROWS);
            to.push(self.batch(frame, from..until)?);
            from = until;
        }
        Ok(())
    }

    fn batch(&self, frame: &Frame, rows: Range<usize>) -> Result<RecordBatch, ExprError> {
        let fault = |error: ArrowError| ExprError::window(format!("the result does not fit its schema: {error}"));
        let zone = match frame.output.field(0).data_type() {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => None,
        };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(frame.output.fields().len());
        for times in self.bounds(rows.clone()) {
            columns.push(Arc::new(times.with_timezone_opt(zone.clone())));
        }
        if let Some(revisions) = &self.revisions {
            columns.push(Arc::new(Int64Array::from_iter_values(revisions[rows.clone()].iter().copied().map(i64::from))));
        }
        columns.extend((self.keys)(rows.clone())?);
        for ((_, aggregate), array) in frame.spec.aggregates.iter().zip(&self.aggregates) {
            let part = array.slice(rows.start, rows.len());
            match aggregate.is_external() {
                true => columns.extend(part.as_struct().columns().iter().cloned()),
                false => columns.push(part),
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(frame.output.clone(), columns, &options).map_err(fault)
    }

    /// Start, end and time of each row's window.
    fn bounds(&self, rows: Range<usize>) -> [TimestampMicrosecondArray; 3] {
        match &self.bounds {
            Bounds::Whole(start, end) => [*start, *end, *end - 1].map(|time| TimestampMicrosecondArray::from_value(time, rows.len())),
            Bounds::Each(all) => {
                let all = &all[rows];
                let times = |time: fn(&(i64, i64)) -> i64| TimestampMicrosecondArray::from_iter_values(all.iter().map(time));
                [times(|(start, _)| *start), times(|(_, end)| *end), times(|(_, end)| *end - 1)]
            }
        }
    }
}
