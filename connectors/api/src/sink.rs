//! Writing: writers, and what they have finished but not yet made visible.
//!
//! What a writer finishes passes through three hands: the writer hands it over as [`Pending`], a checkpoint keeps it, and once the checkpoint
//! is committed the [`Committer`] makes it visible. Nothing becomes visible in any other way, so what is visible belongs to a committed
//! checkpoint (or to a run without checkpoints), and a run that goes on from one never has to take anything back. It finishes what the
//! checkpoint has pending ([`Committer::recover`]), deletes what the runs before it began in vain ([`Committer::delete_orphans`]), and opens
//! writers then; what was begun is never written on.

use crate::{CommitPoint, ConnectorError, Probe};
use arrow_array::RecordBatch;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use stygian_core::SubtaskId;

/// The kinds of streams a sink can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// Only rows that stay.
    Append,
    /// Changes too.
    Changelog,
}

/// Which writer of which run of which job this is; part of the names it gives.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// The job's UUID, as text: the same in all its runs, and no other job's. The job and the sink's node tell whose unfinished work is.
    pub job: String,
    /// The writer's subtask.
    pub subtask: SubtaskId,
    /// Different for every run of a job.
    pub attempt: String,
    /// Whether what is written becomes visible by the job's commit point ([`Sink::commit_point`]), which was fenced for this run; else as soon
    /// as it is written, or by the committer.
    pub transactional: bool,
}

/// Something finished that waits to be made visible: the connector's own words, opaque to the engine, stored in checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pending(pub serde_json::Value);

/// Something begun that no checkpoint knows: its name, in the connector's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan(pub String);

/// Finished work that a committer has merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// What was merged, of what the committer held back.
    pub parts: Vec<Pending>,
    /// What takes its place.
    pub into: Pending,
}

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

    /// What `stygian doctor` tries of it, in order. Default: nothing, for what needs nothing from outside but files.
    fn probes(&self) -> Vec<Probe> {
        Vec::new()
    }

    /// The option by which finished work is held back beyond a checkpoint ([`Committer::commit_or_hold`]): such a sink is of no use where output
    /// becomes visible without checkpoints, and a pipeline that says so is refused. Default: none.
    fn holds_by(&self) -> Option<&'static str> {
        None
    }

    /// What makes finished work visible; one a job.
    fn committer(&self) -> Box<dyn Committer>;

    /// The transactions outside by which its work becomes visible in an exactly-once job, whose checkpoints are then committed by them; all
    /// sinks of a job that share them give the same one. `None`: its work becomes visible by its committer alone.
    fn commit_point(&self) -> Option<Arc<dyn CommitPoint>>;
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

/// Makes finished work visible, and sees to what was left behind by a crash. All methods run on the I/O runtime, one at a time. Each may be
/// called again with the same things, by this committer or by one made later in another process, and does nothing twice.
#[async_trait]
pub trait Committer: Send {
    /// Makes these visible, in order, after the commit of the checkpoint that holds them; behind whatever is still held back.
    ///
    /// # Errors
    /// When one cannot be made visible, or is visible but is not what was finished. Those before it are visible, it and those after it are as
    /// they were, and nothing of others was overwritten.
    async fn commit(&mut self, pending: &[Pending]) -> Result<(), ConnectorError>;

    /// As `commit`, but what is better merged may be held back: all that is held now is given back, and only that. Every later checkpoint names it, as
    /// it was given here, until a later call does not give it back or it is merged ([`Committer::take_merged`]); it is not given to a later
    /// call. Called after every checkpoint as long as anything is held, if only with nothing. Default: holds nothing.
    ///
    /// # Errors
    /// As for `commit`.
    async fn commit_or_hold(&mut self, pending: &[Pending]) -> Result<Vec<Pending>, ConnectorError> {
        self.commit(pending).await.map(|()| Vec::new())
    }

    /// What was merged since this was last asked. From now on checkpoints name it in place of its parts, and it is given to be committed when the
    /// first of them is: not before may the parts go, as until then a restart goes on from them. Does not wait. Default: nothing is merged.
    fn take_merged(&mut self) -> Vec<Merged> {
        Vec::new()
    }

    /// Whether a run can go on from a checkpoint that holds these, as far as that shows without reading them. Touches nothing. Called for all of a
    /// job's sinks before any of them recovers, so that a run that cannot go on leaves everything as it was. Default: `recover` tells.
    ///
    /// # Errors
    /// When one is neither pending nor visible, or would be visible twice.
    async fn check(&mut self, _pending: &[Pending]) -> Result<(), ConnectorError> {
        Ok(())
    }

    /// As `commit`, in a run that goes on from the committed checkpoint that holds these: some may be visible already, some may be damaged.
    /// Besides what `commit` does it makes sure of what it has not seen written itself. Nothing is held back: an earlier run that does not know yet
    /// that it is dead may still be making visible what it held. Called before orphans are looked for, and before writers are opened.
    ///
    /// # Errors
    /// As for `commit`; also when what was finished is gone, or is not what it was. A run must not go on then.
    async fn recover(&mut self, pending: &[Pending]) -> Result<(), ConnectorError>;

    /// Finds what earlier runs of `job` (its UUID, as in [`SinkContext::job`]) began for this sink and is not in `keep`. `keep`: whatever any
    /// checkpoint that may still be restored has pending. What is visible, and what belongs to other jobs and sinks, is none of it. Called
    /// before writers are opened: an open writer's work would be found, too. Default: nothing is left behind.
    ///
    /// # Errors
    /// When it cannot be found.
    async fn orphans(&mut self, _job: &str, _keep: &[Pending]) -> Result<Vec<Orphan>, ConnectorError> {
        Ok(Vec::new())
    }

    /// Deletes these; gives back how many were still there. Called when it is certain that they were found before any later run took the
    /// job over: what such a run begins must not go. A run that is dead without knowing it finds its work gone, which is an error to it.
    ///
    /// # Errors
    /// When one of them cannot be deleted.
    async fn delete_orphans(&mut self, _orphans: Vec<Orphan>) -> Result<usize, ConnectorError> {
        Ok(0)
    }
}
