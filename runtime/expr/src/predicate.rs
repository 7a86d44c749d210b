//! A condition on rows: a boolean expression whose null counts as false.

use crate::{ExprError, Expression};
use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use arrow_select::filter::{filter_record_batch, prep_null_mask_filter};

/// A compiled condition over the columns of one schema. Cheap to clone; shared between threads.
#[derive(Clone, Debug)]
pub struct Predicate {
    expression: Expression,
}

impl Predicate {
    /// Compiles `sql` for rows of `input`.
    ///
    /// # Errors
    /// As [`Expression::compile`], and when the expression is not boolean.
    pub fn compile(sql: &str, input: &SchemaRef) -> Result<Self, ExprError> {
        let expression = Expression::compile(sql, input)?;
        match expression.data_type() {
            DataType::Boolean => Ok(Self { expression }),
            found => Err(ExprError::NotBoolean { sql: sql.to_owned(), found: found.clone() }),
        }
    }

    /// The text it was compiled from.
    pub fn sql(&self) -> &str {
        self.expression.sql()
    }

    /// Which rows it holds for; never null.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn evaluate(&self, rows: &RecordBatch) -> Result<BooleanArray, ExprError> {
        let array = self.expression.evaluate(rows)?;
        let mask = array.as_boolean();
        Ok(if mask.null_count() == 0 { BooleanArray::new(mask.values().clone(), None) } else { prep_null_mask_filter(mask) })
    }

    /// The rows it holds for; the batch itself where it holds for all.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn select(&self, rows: &RecordBatch) -> Result<RecordBatch, ExprError> {
        let mask = self.evaluate(rows)?;
        match mask.true_count() {
            all if all == rows.num_rows() => Ok(rows.clone()),
            0 => Ok(rows.slice(0, 0)),
            _ => filter_record_batch(rows, &mask).map_err(|error| ExprError::arrow(self.sql(), &error)),
        }
    }
}
