//! The commit point of a job whose output becomes visible by transactions outside: the checkpoint is recorded in the transaction that makes
//! its output visible, so both are committed or neither is.
//!
//! Without one, a checkpoint is committed by its manifest. With one, the manifest comes first and only says what would be committed; the
//! record says what is. The order of a run's calls: [`CommitPoint::fence`] once, before anything else; [`CommitPoint::commit`] of the
//! checkpoint that the run begins with, which holds no output; then, while writers write, `commit` of every later checkpoint, each once all
//! writers have finished what belongs to it and before the next barrier is sent.

use crate::{ConnectorError, Probe};
use async_trait::async_trait;
use std::fmt;
use std::time::Duration;

/// Which checkpoint of which job is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRecord {
    /// The job's UUID, as text.
    pub job: String,
    /// The checkpoint's id.
    pub checkpoint: u64,
}

impl fmt::Display for CommitRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "checkpoint {} of job {}", self.checkpoint, self.job)
    }
}

/// Why a commit did not come back as done.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another run has the job: nothing of this one will become visible any more.
    #[error("another process has taken the job over")]
    Fenced(#[source] ConnectorError),
    /// It may be committed, or be committed later: the same call again goes on with it.
    #[error("it is not known whether it is committed")]
    Unknown(#[source] ConnectorError),
    /// It is not committed and never will be; what was written for it is gone. Only a new run can go on.
    #[error("it was not committed")]
    Failed(#[source] ConnectorError),
}

/// See the module's text. Shared by the writers of all sinks that commit by it. All methods run on the I/O runtime.
#[async_trait]
pub trait CommitPoint: Send + Sync {
    /// What and where, for messages, such as "transactions `clicks-0` and `clicks-1` on localhost:9092"; the same text means the same one.
    fn name(&self) -> String;

    /// By what names the outside knows it, such as transactional ids; for commands that look at it.
    fn ids(&self) -> Vec<String>;

    /// How long what was written may wait for its commit; after that the outside withdraws it.
    fn open_within(&self) -> Duration;

    /// What was committed last, for whoever looks on: nothing is fenced. `None`: nothing ever was, or the record is gone.
    ///
    /// # Errors
    /// When the outside refuses or cannot be reached.
    async fn look(&self) -> Result<Option<CommitRecord>, ConnectorError>;

    /// What `stygian doctor` tries of it; a job that runs is not disturbed.
    fn probe(&self) -> Probe;

    /// Makes this run the only one that can commit: what runs before it have begun and not committed is withdrawn, and they cannot commit any
    /// more. Gives back what was committed last; `None`: nothing ever was, or the record is gone.
    ///
    /// # Errors
    /// When the outside refuses or cannot be reached.
    async fn fence(&self) -> Result<Option<CommitRecord>, ConnectorError>;

    /// Commits `record` together with all that was written up to its barrier. May be called again with the same record after
    /// [`CommitError::Unknown`].
    ///
    /// # Errors
    /// See [`CommitError`].
    async fn commit(&self, record: &CommitRecord) -> Result<(), CommitError>;
}
