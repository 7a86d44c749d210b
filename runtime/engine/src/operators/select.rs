//! `select`: new columns computed from each row.

use crate::{CallContext, Operator, OperatorError, Output};
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use stygian_expr::Expression;

/// Evaluates one expression a column. One output.
pub struct Select {
    schema: SchemaRef,
    columns: Vec<Expression>,
}

impl Select {
    /// One expression for each column of the schema, in order.
    pub fn new(schema: SchemaRef, columns: Vec<Expression>) -> Self {
        Self { schema, columns }
    }
}

impl Operator for Select {
    fn process(&mut self, rows: RecordBatch, _context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        let columns = self.columns.iter().map(|column| column.evaluate(&rows)).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        out.push(0, RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?);
        Ok(())
    }
}
