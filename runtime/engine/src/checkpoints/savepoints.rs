//! Savepoints of a running job: who asks for one, and who waits for what comes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use stygian_checkpoint::CheckpointStorage;
use stygian_core::CheckpointId;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait.
pub(crate) const REQUESTS: usize = 16;

/// Asks a running job for savepoints. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Savepoints(mpsc::Sender<Request>);

/// Why there is no savepoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SavepointError {
    /// The job says why.
    #[error("{0}")]
    Failed(String),
    /// The job has ended before.
    #[error("the job ended before the savepoint was complete")]
    JobEnded,
}

/// Somebody wants a savepoint.
#[derive(Debug)]
pub(crate) struct Request {
    to: Arc<CheckpointStorage>,
    /// The job is to stop behind it.
    pub(crate) last: bool,
    answer: oneshot::Sender<Result<CheckpointId, String>>,
}

impl Savepoints {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (to, requests) = mpsc::channel(REQUESTS);
        (Self(to), requests)
    }

    /// Makes a savepoint in `to`, an empty storage, while the job goes on. Returns the id of its checkpoint when it is complete.
    ///
    /// # Errors
    /// When its checkpoint failed, it could not be copied, or the job ended before.
    pub async fn take(&self, to: Arc<CheckpointStorage>) -> Result<CheckpointId, SavepointError> {
        self.ask(to, false).await
    }

    /// As [`Savepoints::take`], and stops the job behind it: no row behind the savepoint is made visible.
    ///
    /// # Errors
    /// As [`Savepoints::take`]; the job stops all the same, with its last checkpoint.
    pub async fn take_and_stop(&self, to: Arc<CheckpointStorage>) -> Result<CheckpointId, SavepointError> {
        self.ask(to, true).await
    }

    async fn ask(&self, to: Arc<CheckpointStorage>, last: bool) -> Result<CheckpointId, SavepointError> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Request { to, last, answer }).await.map_err(|_| SavepointError::JobEnded)?;
        answered.await.map_err(|_| SavepointError::JobEnded)?.map_err(SavepointError::Failed)
    }
}

/// The requests that wait for an answer, by the names that the coordinator knows them by.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    waiting: BTreeMap<String, Request>,
    numbered: u64,
}

impl Asked {
    /// Takes a request in; what it is called from now on.
    pub(crate) fn take(&mut self, request: Request) -> String {
        self.numbered += 1;
        let name = self.numbered.to_string();
        self.waiting.insert(name.clone(), request);
        name
    }

    /// Where the savepoint is to be copied to.
    pub(crate) fn target(&self, request: &str) -> Option<Arc<CheckpointStorage>> {
        self.waiting.get(request).map(|request| request.to.clone())
    }

    /// Answers a request. Who has asked may be gone.
    pub(crate) fn answer(&mut self, request: &str, result: Result<CheckpointId, String>) {
        if let Some(Request { answer, .. }) = self.waiting.remove(request) {
            let _ = answer.send(result);
        }
    }
}
