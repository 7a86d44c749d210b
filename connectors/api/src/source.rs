//! Reading: splits and their readers.
//!
//! A checkpoint keeps of every split a [`SplitProgress`]: the offset up to which its rows are in the checkpoint, whether it was at its end
//! there, and its newest [`Mark`]. A run that goes on from it makes its sources anew, tells each with [`Source::restore`] what was read,
//! asks for splits, and opens each of them once: at the offset of its progress, or at 0 if it has none. Splits that were at their end are not
//! opened again. So every row is read once, or the run ends with an error that says which split cannot be gone on with.

use crate::{ConnectorError, Decoder, Messages, Probe};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
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

/// What tells a split from another that has come to its place since (a file's size and times, how it begins): the connector's own words,
/// opaque to the engine, kept in checkpoints beside the offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mark(pub serde_json::Value);

/// How far a split had been read at the checkpoint that a run goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitProgress {
    /// The split.
    pub id: SplitId,
    /// Rows before this are in the checkpoint; 0 if none is.
    pub next: Offset,
    /// Whether its reader had said [`Fetched::End`], and all that came before it is in the checkpoint.
    pub ended: bool,
    /// The last [`Fetched::Mark`] that came before `next`; `None`: there was none.
    pub mark: Option<Mark>,
}

/// A source, checked but not yet reading. Shared by all of its subtasks.
#[async_trait]
pub trait Source: Send + Sync {
    /// The schema of the rows.
    fn schema(&self) -> SchemaRef;

    /// Whether it ends by itself.
    fn bounded(&self) -> bool;

    /// How many of its splits a subtask may read at once, each whenever it has something; at least one. Default: a source that ends is read one
    /// split after the other, as many may be files; one that does not end is read all at once.
    fn at_once(&self) -> usize {
        if self.bounded() { 1 } else { usize::MAX }
    }

    /// How often to ask for splits again, where new ones can appear while the job runs (files in a folder, partitions of a topic); `None`:
    /// there will be none. A source that ends by itself has none.
    fn new_splits_every(&self) -> Option<Duration>;

    /// Tells what was read before: called once, before everything below, when a run goes on from a checkpoint, with every split that any run
    /// up to the checkpoint was given, those at their end too. Afterwards `splits` names, under the ids they had, those that were not at
    /// their end, and besides them what is new; it may name those at their end again, which the engine passes over. Runs on the I/O
    /// runtime, may take as long as looking at every split, and changes nothing outside.
    ///
    /// # Errors
    /// When a split that was not at its end is gone or shorter than what was read of it, or a split is not the one that was read:
    /// going on would lose or double rows.
    async fn restore(&self, read: &[SplitProgress]) -> Result<(), ConnectorError>;

    /// The splits there are, in the order they should be read. Of a source with new splits, all that are to be read now: those named before
    /// go on being read, whether they are named again or not, and a name never stands for another split. They are read
    /// [`Source::at_once`]. Runs on the I/O runtime.
    ///
    /// # Errors
    /// When the outside cannot be asked.
    async fn splits(&self) -> Result<Vec<Split>, ConnectorError>;

    /// A reader of `split` that begins at `from`, which is 0 or was handed out as `next`, maybe by another process: everything before it has
    /// been read already. Finding the place may take time (a compressed file is decompressed up to it), but no more memory than reading. Runs
    /// on the I/O runtime.
    ///
    /// # Errors
    /// When the split is gone, is shorter than `from`, or is not the one that `restore` was told of.
    async fn open(&self, split: &SplitId, from: Offset) -> Result<Box<dyn SplitReader>, ConnectorError>;

    /// Whether it wants to be told of commits. Default: no.
    fn wants_commits(&self) -> bool {
        false
    }

    /// Told after a checkpoint of this run was committed, how far the splits are read in it: for who looks on from outside, such as tools
    /// that show the lag of a consumer group. Nothing depends on it: an error is logged, and the next commit tells more. Not called again
    /// before it is back. Runs on the I/O runtime.
    ///
    /// # Errors
    /// When the outside does not take it.
    async fn committed(&self, _read: &[SplitProgress]) -> Result<(), ConnectorError> {
        Ok(())
    }

    /// What `stygian doctor` tries of it, in order. Default: nothing, for what needs nothing from outside but files.
    fn probes(&self) -> Vec<Probe> {
        Vec::new()
    }

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
    /// What the split is known by from now on: comes before the first rows where the source has one, and whenever there is a better one.
    Mark(Mark),
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

    /// How many rows there are to read behind what was fetched, as far as it is known without asking. Default: `None`, not known.
    fn behind(&self) -> Option<u64> {
        None
    }
}
