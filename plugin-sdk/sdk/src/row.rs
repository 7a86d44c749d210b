//! Rows over columns: a struct's fields are the columns of a batch, in order. The derives `Row` and `OutputRow` implement both traits.

use crate::contract::{Column, Field};
use crate::input::Input;
use crate::value::ReadValue;

/// A row that borrows from the columns of an input.
pub trait InputRow<'a>: Sized {
    /// The bound columns: looked up and checked once a batch.
    type Columns;

    /// The columns that are read, in order.
    fn fields() -> Vec<Field>;

    /// Checks the types and lengths of a batch's columns. An error names the column: the host passed what was not declared.
    fn bind(input: Input<'a>) -> Result<Self::Columns, String>;

    /// A row of bound columns. The row must be less than the batch's count.
    fn read(columns: &Self::Columns, row: usize) -> Self;

    /// A row of bound columns, without a check.
    ///
    /// # Safety
    /// The row is less than the batch's count.
    #[allow(unsafe_code)]
    unsafe fn read_unchecked(columns: &Self::Columns, row: usize) -> Self;
}

/// A key of one column, which `key_by` names: inside it is called `key`.
impl<'a, T: ReadValue<'a>> InputRow<'a> for T {
    type Columns = T::Column;

    fn fields() -> Vec<Field> {
        vec![T::field("key")]
    }

    fn bind(input: Input<'a>) -> Result<T::Column, String> {
        bind_column::<T>(input, 0, "key")
    }

    #[inline]
    fn read(column: &T::Column, row: usize) -> Self {
        <T as ReadValue<'a>>::read(column, row)
    }

    #[inline]
    #[allow(unsafe_code)]
    unsafe fn read_unchecked(column: &T::Column, row: usize) -> Self {
        // SAFETY: the caller's.
        unsafe { <T as ReadValue<'a>>::read_unchecked(column, row) }
    }
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

    /// Adds this row to builders that were made with room for it.
    ///
    /// # Safety
    /// Fewer rows than the builders were made for have been added.
    #[allow(unsafe_code)]
    unsafe fn push_reserved(self, builders: &mut Self::Builders);

    /// Drops all rows but the first `rows`.
    fn truncate(builders: &mut Self::Builders, rows: usize);

    /// The columns.
    fn finish(builders: Self::Builders) -> Vec<Column>;
}

/// Binds the column at an index; for generated code.
pub fn bind_column<'a, T: ReadValue<'a>>(input: Input<'a>, at: usize, name: &str) -> Result<T::Column, String> {
    let column = input.batch().columns.get(at).ok_or_else(|| format!("column `{name}` was not passed"))?;
    T::bind(column, input.extent()).map_err(|mismatch| format!("column `{name}` {mismatch}"))
}
