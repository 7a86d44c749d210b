//! `branch`: parts a stream; each row goes to the first output whose condition it satisfies.

use crate::{CallContext, Operator, OperatorError, Output};
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use stygian_expr::Predicate;

/// One output a predicate, and a last one for the rows that satisfy none.
pub struct Branch(pub Vec<Predicate>);

impl Operator for Branch {
    fn process(&mut self, rows: RecordBatch, _context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        let mut rest = rows;
        for (output, predicate) in self.0.iter().enumerate() {
            if rest.num_rows() == 0 {
                return Ok(());
            }
            let chosen = predicate.evaluate(&rest)?;
            out.push(output, filter_record_batch(&rest, &chosen)?);
            rest = filter_record_batch(&rest, &BooleanArray::new(!chosen.values(), None))?;
        }
        out.push(self.0.len(), rest);
        Ok(())
    }
}
