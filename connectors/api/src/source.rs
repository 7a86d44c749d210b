//! Reading: splits and their readers.

use crate::{ConnectorError, Decoder, Messages};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use std::time::Duration;
use stygian_core::{EventTime, Offset, SplitId};

/// A part of a source that is read in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Stable across restarts.
    pub id: SplitId,
    /// Bytes to read, where known: splits are spread by it.
    pub bytes: Option<u64>,
}

/// A source, checked but not yet reading. Shared by all of its subtasks.
#[async_trait]
pub trait Source: Send + Sync {
    /// The schema of the rows.
    fn schema(&self) -> SchemaRef;

    /// Whether it ends by itself.
    fn bounded(&self) -> bool;

    /// How often to ask for splits again, where new ones can appear while the job runs (files in a folder, partitions of a topic); `None`:
    /// there will be none. A source that ends by itself has none.
    fn new_splits_every(&self) -> Option<Duration>;

    /// The splits there are, in the order they should be read. Of a source with new splits, all that are to be read now: those named before
    /// go on being read, whether they are named again or not, and a name never stands for another split. Those of a source that ends
    /// by itself are read one after the other, those of others all at once. Runs on the I/O runtime.
    ///
    /// # Errors
    /// When the outside cannot be asked.
    async fn splits(&self) -> Result<Vec<Split>, ConnectorError>;

    /// A reader of `split` that begins at `from`: everything before that offset has been read already. Runs on the I/O runtime.
    ///
    /// # Errors
    /// When the split is gone, or is shorter than `from`.
    async fn open(&self, split: &SplitId, from: Offset) -> Result<Box<dyn SplitReader>, ConnectorError>;

    /// The decoder of what its readers fetch, one a subtask; `None` if they fetch columns.
    fn decoder(&self) -> Option<Box<dyn Decoder>>;
}

/// What a reader got.
#[derive(Debug)]
pub enum Fetched {
    /// Rows to decode; reading on begins at `next`.
    Messages {
        /// The rows; at least one.
        messages: Messages,
        /// The offset behind them.
        next: Offset,
    },
    /// Finished rows; reading on begins at `next`.
    Rows {
        /// The rows; at least one.
        rows: RecordBatch,
        /// The offset behind them.
        next: Offset,
    },
    /// No row of the split before this point of event time follows: for sources that know it, whatever their rows say.
    Watermark(EventTime),
    /// Nothing for now; ask again.
    Nothing,
    /// The split is at its end and will not grow.
    End,
}

/// Reads one split in order.
#[async_trait]
pub trait SplitReader: Send {
    /// The next rows: at most `rows` of them. Waits a bounded time (100 ms or so) for the first. Runs on the I/O runtime; dropping the future
    /// loses nothing that a new reader from the last `next` would not read again.
    ///
    /// # Errors
    /// When reading fails; the reader is then of no more use.
    async fn fetch(&mut self, rows: usize) -> Result<Fetched, ConnectorError>;
}
