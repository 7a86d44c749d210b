//! A scalar SQL expression, compiled once and evaluated a batch at a time.

use crate::{ExprError, compile};
use arrow_array::{ArrayRef, RecordBatch, new_empty_array};
use arrow_schema::{DataType, SchemaRef};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Column;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A compiled scalar expression over the columns of one schema. Cheap to clone; shared between threads.
///
/// Names of columns are those of the schema, letter by letter (quoted where they are no plain words); functions are those of
/// [`crate::function_names`]. Texts come out as `Utf8`, timestamps in microseconds. Sums, differences and products of integers
/// that do not fit wrap around; divisions by zero and casts that fail are errors (`try_cast` makes null of them).
#[derive(Clone)]
pub struct Expression {
    sql: Arc<str>,
    input: SchemaRef,
    physical: Arc<dyn PhysicalExpr>,
    data_type: DataType,
    nullable: bool,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression").field("sql", &self.sql).field("data_type", &self.data_type).finish_non_exhaustive()
    }
}

impl Expression {
    /// Compiles `sql` for rows of `input`.
    ///
    /// # Errors
    /// When the text is no expression, names what there is not, or says what is refused.
    pub fn compile(sql: &str, input: &SchemaRef) -> Result<Self, ExprError> {
        let scalar = compile::scalar(sql, input)?;
        Ok(Self {
            sql: sql.into(),
            input: input.clone(),
            physical: scalar.physical,
            data_type: scalar.data_type,
            nullable: scalar.nullable,
        })
    }

    /// The text it was compiled from.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// What it yields.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Whether it can yield null.
    pub fn nullable(&self) -> bool {
        self.nullable
    }

    /// The column's name, if it is nothing but a column.
    pub fn column_name(&self) -> Option<&str> {
        self.physical.downcast_ref::<Column>().map(Column::name)
    }

    /// One value a row.
    ///
    /// # Errors
    /// When a row has no value (a division by zero, a cast that fails), a result is too large, or the rows are of another schema.
    pub fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef, ExprError> {
        check_rows(&self.input, rows)?;
        // Some functions of DataFusion fail on no rows.
        if rows.num_rows() == 0 {
            return Ok(new_empty_array(&self.data_type));
        }
        evaluate(&self.sql, &self.physical, rows)
    }
}

/// One value a row. An expression changes nothing, so a panic of a function's on strange values can end it like any error.
pub(crate) fn evaluate(sql: &str, expr: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<ArrayRef, ExprError> {
    let run = || expr.evaluate(rows).and_then(|value| value.into_array(rows.num_rows()));
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(array) => array.map_err(|error| ExprError::evaluate(sql, &error)),
        Err(_) => Err(ExprError::Evaluate {
            sql: sql.to_owned(),
            message: "a function cannot cope with these values; guard it with `case when`".to_owned(),
        }),
    }
}

/// Checks that `rows` have the columns of `input`; names and nullability may differ, places and types may not.
pub(crate) fn check_rows(input: &SchemaRef, rows: &RecordBatch) -> Result<(), ExprError> {
    let schema = rows.schema_ref();
    if Arc::ptr_eq(input, schema) {
        return Ok(());
    }
    for (index, field) in input.fields().iter().enumerate() {
        let found = schema.fields().get(index).map(|field| field.data_type());
        if found != Some(field.data_type()) {
            return Err(ExprError::WrongRows {
                column: field.name().clone(),
                found: found.map_or_else(|| "missing".to_owned(), ToString::to_string),
                expected: field.data_type().to_string(),
            });
        }
    }
    Ok(())
}
