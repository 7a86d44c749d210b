//! Writing: writers, and what they have finished but not yet made visible.

use crate::ConnectorError;
use arrow_array::RecordBatch;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stygian_core::SubtaskId;

/// The kinds of streams a sink can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// Only rows that stay.
    Append,
    /// Changes too.
    Changelog,
}

/// Which writer of which run this is; part of the names it gives.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// The writer's subtask.
    pub subtask: SubtaskId,
    /// Different for every run of a job.
    pub attempt: String,
}

/// Something finished that waits to be made visible: the connector's own words, opaque to the engine, stored in checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pending(pub serde_json::Value);

/// A sink, checked but not yet writing. Shared by all of its subtasks.
#[async_trait]
pub trait Sink: Send + Sync {
    /// What it can take.
    fn accepts(&self) -> Accepts;

    /// A writer for a subtask. Runs on the I/O runtime.
    ///
    /// # Errors
    /// When the outside refuses.
    async fn open(&self, context: SinkContext) -> Result<Box<dyn SinkWriter>, ConnectorError>;

    /// What makes finished work visible; one a job.
    fn committer(&self) -> Box<dyn Committer>;
}

/// Writes the rows of one subtask. All methods run on the I/O runtime, one at a time.
#[async_trait]
pub trait SinkWriter: Send {
    /// Takes rows; at least one.
    ///
    /// # Errors
    /// When they cannot be written; the job then ends, and what is pending stays so.
    async fn write(&mut self, rows: RecordBatch) -> Result<(), ConnectorError>;

    /// Called about once a second, rows or none: the place to roll by time.
    ///
    /// # Errors
    /// As for `write`.
    async fn tick(&mut self) -> Result<(), ConnectorError>;

    /// What rolling has finished since the last call.
    fn take_pending(&mut self) -> Vec<Pending>;

    /// Finishes everything written so far (a barrier, or the end): returns all that is pending and not yet handed over. Writing may go on.
    ///
    /// # Errors
    /// As for `write`.
    async fn pre_commit(&mut self) -> Result<Vec<Pending>, ConnectorError>;
}

/// Makes finished work visible. Committing the same thing twice is committing it once.
#[async_trait]
pub trait Committer: Send {
    /// Makes these visible, in order.
    ///
    /// # Errors
    /// When one cannot be; those before it are visible.
    async fn commit(&mut self, pending: &[Pending]) -> Result<(), ConnectorError>;
}
