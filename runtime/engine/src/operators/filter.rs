//! `filter`: the rows for which a condition is true.

use crate::{CallContext, Operator, OperatorError, Output};
use arrow_array::RecordBatch;
use stygian_expr::Predicate;

/// Passes on the rows that satisfy a predicate; null counts as false. One output.
pub struct Filter(pub Predicate);

impl Operator for Filter {
    fn process(&mut self, rows: RecordBatch, _context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        out.push(0, self.0.select(&rows)?);
        Ok(())
    }
}
