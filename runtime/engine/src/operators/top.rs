//! `top`: the first rows of each window, when the watermark passes its end. At the end of the data all windows are given out.

use crate::metrics::Counters;
use crate::{CallContext, Dropped, Operator, OperatorError, Output, Snapshot, SubtaskContext};
use arrow_array::RecordBatch;
use std::sync::Arc;
use stygian_core::{EventTime, KeyGroup, MaxParallelism, StateSection};
use stygian_expr::TopSpec;

/// Two outputs: the first rows with their rank, and the rows that came after all their windows had been given out.
pub struct Top {
    rows: stygian_expr::Top,
    /// At the end of the input: the end of the last window that was given out then.
    closed: Option<EventTime>,
    groups: MaxParallelism,
    counters: Arc<Counters>,
}

impl Top {
    /// One that has seen nothing.
    ///
    /// # Errors
    /// When the spec cannot be.
    pub fn new(spec: Arc<TopSpec>, context: &SubtaskContext) -> Result<Self, OperatorError> {
        Ok(Self { rows: stygian_expr::Top::new(spec)?, closed: None, groups: context.groups, counters: context.counters.clone() })
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
        if context.watermark == EventTime::MAX {
            // It may be told more than once.
            self.closed = self.rows.last_end().max(self.closed);
        }
        for first in self.rows.advance(context.watermark)? {
            out.push(0, first);
        }
        Ok(())
    }

    fn snapshot(&mut self, _whole: &dyn Fn(KeyGroup) -> bool) -> Result<Snapshot, OperatorError> {
        Ok(Snapshot { sections: self.rows.snapshot(self.groups)?, complete: Some("top"), ..Snapshot::default() })
    }

    fn restore(&mut self, section: &StateSection) -> Result<(), OperatorError> {
        Ok(self.rows.restore(section)?)
    }

    fn clock(&self, _now: EventTime) -> Option<EventTime> {
        self.closed
    }

    fn restore_watermark(&mut self, watermark: EventTime) {
        self.rows.restore_watermark(watermark);
    }

    fn end(&mut self) -> Dropped {
        Dropped { windows: self.rows.open_windows(), rows: self.rows.held_rows(), timers: 0 }
    }
}
