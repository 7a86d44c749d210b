//! `union`: the rows of several streams of one schema as one stream.

use crate::{CallContext, Operator, OperatorError, Output};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

/// Passes everything on as rows of this schema, which may allow nulls where an input does not: the inputs have been merged in front of
/// it. One output.
pub struct Union(pub SchemaRef);

impl Operator for Union {
    fn process(&mut self, rows: RecordBatch, _context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        out.push(0, RecordBatch::try_new(self.0.clone(), rows.columns().to_vec())?);
        Ok(())
    }
}
