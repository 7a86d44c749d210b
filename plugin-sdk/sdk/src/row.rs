//! Rows over columns: a struct's fields are the columns of a batch, in order. The derives `Row` and `OutputRow` implement both traits.

use crate::contract::{Batch, Column, Field};
use crate::value::Mismatch;

/// A row that borrows from the columns of an input.
pub trait InputRow<'a>: Sized {
    /// The bound columns: looked up and checked once a batch.
    type Columns;

    /// The columns that are read, in order.
    fn fields() -> Vec<Field>;

    /// Checks the types and lengths of a batch's columns. An error names the column: the host passed what was not declared.
    fn bind(batch: &'a Batch) -> Result<Self::Columns, String>;

    /// A row of bound columns. The row must be less than the batch's count.
    fn read(columns: &Self::Columns, row: usize) -> Self;
}

/// A row that is written to the columns of an output.
pub trait OutputRow: Sized {
    /// One builder a column.
    type Builders;

    /// The columns that are written, in order.
    fn fields() -> Vec<Field>;

    /// Empty columns with room for so many rows.
    fn builders(rows: usize) -> Self::Builders;

    /// Adds this row.
    fn push(self, builders: &mut Self::Builders);

    /// Drops all rows but the first `rows`.
    fn truncate(builders: &mut Self::Builders, rows: usize);

    /// The columns.
    fn finish(builders: Self::Builders) -> Vec<Column>;
}

/// Binds the column at an index; for generated code.
pub fn bind_column<'a, C, F>(batch: &'a Batch, at: usize, name: &str, bind: F) -> Result<C, String>
where
    F: FnOnce(&'a Column, usize) -> Result<C, Mismatch>,
{
    let column = batch.columns.get(at).ok_or_else(|| format!("column `{name}` was not passed"))?;
    bind(column, batch.rows as usize).map_err(|mismatch| format!("column `{name}` {mismatch}"))
}
