//! `dedup`: drops rows that repeat another one within a span of event time.

use crate::metrics::Counters;
use crate::{CallContext, Operator, OperatorError, Output, Snapshot, SubtaskContext};
use arrow_array::RecordBatch;
use std::sync::Arc;
use stygian_core::{EventTime, KeyGroup, MaxParallelism, StateSection};
use stygian_expr::DedupSpec;

/// Two outputs: the rows that repeat none, and those that came too late to tell. Dropped rows are counted.
pub struct Dedup {
    rows: stygian_expr::Dedup,
    groups: MaxParallelism,
    counters: Arc<Counters>,
}

impl Dedup {
    /// One that has seen nothing.
    ///
    /// # Errors
    /// When the spec cannot be.
    pub fn new(spec: Arc<DedupSpec>, context: &SubtaskContext) -> Result<Self, OperatorError> {
        Ok(Self { rows: stygian_expr::Dedup::new(spec)?, groups: context.groups, counters: context.counters.clone() })
    }
}

impl Operator for Dedup {
    fn process(&mut self, rows: RecordBatch, _context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        let parted = self.rows.push(&rows)?;
        self.counters.add_repeated_rows(parted.repeated);
        self.counters.add_late_rows(parted.late.num_rows());
        out.push(0, parted.kept);
        out.push_aside(1, parted.late);
        Ok(())
    }

    fn watermark(&mut self, context: &CallContext, _out: &mut Output) -> Result<(), OperatorError> {
        // Rows of a later run may repeat the last ones of this.
        if context.watermark != EventTime::MAX {
            self.rows.advance(context.watermark);
        }
        Ok(())
    }

    fn snapshot(&mut self, _whole: &dyn Fn(KeyGroup) -> bool) -> Result<Snapshot, OperatorError> {
        Ok(Snapshot { sections: self.rows.snapshot(self.groups)?, complete: Some("dedup"), ..Snapshot::default() })
    }

    fn restore(&mut self, section: &StateSection) -> Result<(), OperatorError> {
        Ok(self.rows.restore(section)?)
    }

    fn restore_watermark(&mut self, watermark: EventTime) {
        self.rows.restore_watermark(watermark);
    }
}
