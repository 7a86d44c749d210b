//! `top`: the first rows of each window, when the watermark passes its end. At the end of the data all windows are given out.

use crate::metrics::Counters;
use crate::{CallContext, Dropped, Operator, OperatorError, Output};
use arrow_array::RecordBatch;
use std::sync::Arc;
use stygian_expr::TopSpec;

/// Two outputs: the first rows with their rank, and the rows that came after all their windows had been given out.
pub struct Top {
    rows: stygian_expr::Top,
    counters: Arc<Counters>,
}

impl Top {
    /// One that has seen nothing.
    ///
    /// # Errors
    /// When the spec cannot be.
    pub fn new(spec: Arc<TopSpec>, counters: Arc<Counters>) -> Result<Self, OperatorError> {
        Ok(Self { rows: stygian_expr::Top::new(spec)?, counters })
    }
}

impl Operator for Top {
    fn process(&mut self, rows: RecordBatch, _context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        if let Some(late) = self.rows.push(&rows)? {
            self.counters.add_late_rows(late.num_rows());
            out.push_aside(1, late);
        }
        Ok(())
    }

    fn watermark(&mut self, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        for first in self.rows.advance(context.watermark)? {
            out.push(0, first);
        }
        Ok(())
    }

    fn end(&mut self) -> Dropped {
        Dropped { windows: self.rows.open_windows(), rows: self.rows.held_rows(), timers: 0 }
    }
}
