//! Rows that could not be processed, as a stream of their own that any sink can take.

use arrow_array::builder::{BinaryBuilder, StringBuilder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::{Arc, LazyLock};

/// Raw bytes kept of one dead letter; the rest is cut.
pub const RAW_LIMIT: usize = 64 * 1024;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("operator", DataType::Utf8, false),
        Field::new("split", DataType::Utf8, true),
        Field::new("offset", DataType::UInt64, true),
        Field::new("reason", DataType::Utf8, false),
        Field::new("row", DataType::Utf8, true),
        Field::new("raw", DataType::Binary, true),
    ]))
});

/// One row that could not be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetter<'a> {
    /// The source or operator that refused it.
    pub operator: &'a str,
    /// Where it was read, if that is known.
    pub split: Option<&'a str>,
    /// Its offset in the split.
    pub offset: Option<u64>,
    /// Why it was refused.
    pub reason: &'a str,
    /// The row as it was read (a source) or as JSON (an operator).
    pub raw: &'a [u8],
}

/// Collects dead letters into batches of [`DeadLetters::schema`]: `operator`, `split`, `offset`, `reason`, and the row as `row` where it
/// is UTF-8, else as bytes in `raw`; both are cut at [`RAW_LIMIT`] bytes.
#[derive(Debug, Default)]
pub struct DeadLetters {
    operator: StringBuilder,
    split: StringBuilder,
    offset: UInt64Builder,
    reason: StringBuilder,
    row: StringBuilder,
    raw: BinaryBuilder,
    rows: usize,
}

impl DeadLetters {
    /// The schema of every dead-letter stream.
    pub fn schema() -> SchemaRef {
        SCHEMA.clone()
    }

    /// Adds one.
    pub fn push(&mut self, letter: &DeadLetter<'_>) {
        self.operator.append_value(letter.operator);
        self.split.append_option(letter.split);
        self.offset.append_option(letter.offset);
        self.reason.append_value(letter.reason);
        match text(letter.raw) {
            Some(text) => {
                self.row.append_value(text);
                self.raw.append_null();
            }
            None => {
                self.row.append_null();
                self.raw.append_value(&letter.raw[..letter.raw.len().min(RAW_LIMIT)]);
            }
        }
        self.rows += 1;
    }

    /// How many wait in here.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether none waits in here.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Takes what was added so far; `None` if nothing was.
    pub fn take(&mut self) -> Option<RecordBatch> {
        if self.is_empty() {
            return None;
        }
        self.rows = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.operator.finish()),
            Arc::new(self.split.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.row.finish()),
            Arc::new(self.raw.finish()),
        ];
        // The builders above and the schema are of the same types in the same order and of one length.
        RecordBatch::try_new(Self::schema(), columns).ok()
    }
}

/// The bytes as text, cut at a character boundary; `None` if they are no UTF-8.
fn text(raw: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(raw).ok()?;
    Some(&text[..text.floor_char_boundary(RAW_LIMIT)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;

    #[test]
    fn keeps_text_as_text_and_other_bytes_as_bytes() {
        let mut letters = DeadLetters::default();
        assert_eq!(letters.take(), None);
        for raw in [b"{]".as_slice(), b"\xff"] {
            letters.push(&DeadLetter { operator: "events", split: Some("a.json"), offset: Some(7), reason: "no JSON", raw });
        }
        let batch = letters.take().expect("two rows");
        assert_eq!(batch.column(4).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("{]"), None]);
        assert_eq!(batch.column(5).as_binary::<i32>().iter().collect::<Vec<_>>(), [None, Some(b"\xff".as_slice())]);
        assert!(letters.is_empty());
    }

    #[test]
    fn cuts_long_rows_at_a_character() {
        let long = "ä".repeat(RAW_LIMIT);
        assert_eq!(text(long.as_bytes()).map(str::len), Some(RAW_LIMIT));
    }
}
