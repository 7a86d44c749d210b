//! Bytes to columns and back, row by row addressed and batch by batch worked.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use std::ops::Range;

/// Undecoded rows: slices of one owned buffer, each with its offset in the split.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    /// The buffer.
    pub buffer: Bytes,
    /// Where each message lies in the buffer.
    pub ranges: Vec<Range<usize>>,
    /// The offset of each message in its split; as many as `ranges`.
    pub offsets: Vec<u64>,
    /// What came beside each message (a key, a timestamp), as columns with a row for every message: for the decoder of the same source,
    /// which knows what they are. `None`: nothing did.
    pub beside: Option<RecordBatch>,
}

impl Messages {
    /// How many.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The bytes of every message, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges.iter().map(|range| &self.buffer[range.clone()])
    }
}

/// A message that is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Which message of the poll.
    pub message: usize,
    /// Why.
    pub reason: String,
}

/// What came of decoding a poll.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The good rows, in order.
    pub rows: RecordBatch,
    /// The others, in order.
    pub bad: Vec<BadRow>,
}

/// Decodes the messages of one split. Holds no rows between calls.
pub trait Decoder: Send {
    /// The schema of the rows.
    fn schema(&self) -> &SchemaRef;

    /// Decodes a poll: every message becomes exactly one row or one bad row. Runs on a compute thread and must not block.
    fn decode(&mut self, messages: &Messages) -> Decoded;
}

/// Encodes rows for a sink that writes messages or lines.
pub trait Encoder: Send {
    /// Appends the encoded rows to `out`.
    ///
    /// # Errors
    /// Says which value cannot be written.
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), String>;
}
