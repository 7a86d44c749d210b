//! Rows made comparable.

use super::Finding;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;

/// One text a row, sorted: equal for batches that hold the same rows in any order.
pub type RowTexts = Vec<String>;

/// The rows of all batches, each as a text.
pub fn row_texts<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> RowTexts {
    let row = |batch: &RecordBatch, row: usize| {
        let values = batch.columns().iter().map(|column| format!("{:?}", column.slice(row, 1)));
        values.collect::<Vec<_>>().join("|")
    };
    let mut texts: RowTexts = batches.into_iter().flat_map(|batch| (0..batch.num_rows()).map(move |at| row(batch, at))).collect();
    texts.sort();
    texts
}

/// All batches as one.
///
/// # Errors
/// When one is of another schema.
pub fn joined<'a>(schema: &SchemaRef, batches: impl IntoIterator<Item = &'a RecordBatch>) -> Result<RecordBatch, Finding> {
    concat_batches(schema, batches).map_err(|e| format!("the batches do not fit together: {e}"))
}
