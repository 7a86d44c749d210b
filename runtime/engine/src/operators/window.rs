//! `window`: aggregates by key over windows of event time; fires when the watermark passes a window's end.

use crate::metrics::Counters;
use crate::{CallContext, Dropped, Operator, OperatorError, Output};
use arrow_array::RecordBatch;
use std::sync::Arc;
use stygian_expr::{WindowAggregator, WindowAggregatorSpec};

/// Two outputs: the results, and the rows that came after all their windows had fired.
pub struct Window {
    aggregator: WindowAggregator,
    counters: Arc<Counters>,
}

impl Window {
    /// An aggregator without any rows.
    ///
    /// # Errors
    /// When an aggregate cannot be made.
    pub fn new(spec: Arc<WindowAggregatorSpec>, counters: Arc<Counters>) -> Result<Self, OperatorError> {
        Ok(Self { aggregator: WindowAggregator::new(spec)?, counters })
    }
}

const RESULTS: usize = 0;
const LATE: usize = 1;

impl Operator for Window {
    fn process(&mut self, rows: RecordBatch, _context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        if let Some(late) = self.aggregator.push(&rows)? {
            self.counters.add_late_rows(late.num_rows());
            out.push_aside(LATE, late);
        }
        Ok(())
    }

    fn watermark(&mut self, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        for results in self.aggregator.advance(context.watermark)? {
            out.push(RESULTS, results);
        }
        Ok(())
    }

    fn end(&mut self) -> Dropped {
        Dropped { windows: self.aggregator.open_windows(), rows: self.aggregator.held_rows(), timers: 0 }
    }
}
