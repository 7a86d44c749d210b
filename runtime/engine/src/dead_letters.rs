//! Dead letters of operators: refused rows as JSON, each with the operator's name and its reason.

use crate::error::OperatorError;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_json::LineDelimitedWriter;
use stygian_core::{DeadLetter, DeadLetters, OperatorId};
use stygian_sandbox::DeadRow;

/// The dead-letter rows for refused rows of a batch; `None` if there are none.
pub(crate) fn of_rows(operator: &OperatorId, rows: &RecordBatch, refused: &[DeadRow]) -> Result<Option<RecordBatch>, OperatorError> {
    if refused.is_empty() {
        return Ok(None);
    }
    let indices: UInt32Array = refused.iter().map(|row| row.row).collect();
    let taken = arrow_select::take::take_record_batch(rows, &indices)?;
    let mut json = LineDelimitedWriter::new(Vec::new());
    json.write(&taken)?;
    json.finish()?;
    let json = json.into_inner();
    let mut letters = DeadLetters::default();
    // JSON has no line breaks inside a row: they are escaped.
    for (raw, row) in json.split(|byte| *byte == b'\n').zip(refused) {
        letters.push(&DeadLetter { operator: operator.as_str(), split: None, offset: None, reason: &row.reason, raw });
    }
    Ok(letters.take())
}
