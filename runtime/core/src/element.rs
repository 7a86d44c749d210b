//! What flows between subtasks.

use crate::{CheckpointId, EventTime};
use arrow_array::RecordBatch;

/// One element of a stream. The order of elements within a channel is the order they were sent in, and is part of the result's
/// correctness: a watermark speaks of the rows before it, a barrier parts the rows of two checkpoints.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamElement {
    /// Rows of the stream's schema; at least one.
    Batch(RecordBatch),
    /// No row with an event time before this one is expected any more (rows that come all the same are late).
    Watermark(EventTime),
    /// Everything before it belongs to this checkpoint, everything after it to a later one.
    Barrier(CheckpointId),
    /// The input has nothing to read for now and does not hold back the watermark until its next batch or watermark.
    Idle,
    /// Nothing follows. Counts as aligned. At the end of the data a last watermark stands before it; without one the stream was stopped, and
    /// its watermark stays where it is.
    EndOfInput,
}
