//! Committing: the exclusive creation of a manifest, and what its errors mean.
//!
//! Manifests follow each other without a gap, and each is created only where there is none of its id. So of two processes that both believe
//! to run the job, one creates the next manifest and the other finds it there. Old manifests are deleted in time, however, and a process
//! that slept long enough could create one that others have created and deleted again. So a manifest counts as committed only when, after
//! its creation, none of a higher id is there: manifests are deleted only when there is a higher one.
//!
//! Why that is enough: whoever creates n (after it saw n - 1 as the newest) and then sees nothing above n was the first to create n,
//! because the first one's n could only be gone after an n + 1 was committed, and of all that were committed since, the highest is still
//! there.

use crate::codec::MAX_MANIFEST_BYTES;
use crate::coordinator::Written;
use crate::error::CheckpointError;
use crate::layout;
use crate::manifest::Manifest;
use crate::names::AttemptId;
use crate::storage::CheckpointStorage;
use bytes::Bytes;
use object_store::{ObjectStore, PutMode, PutOptions};
use stygian_core::CheckpointId;
use stygian_core::kill_point::kill_point;

/// How the attempt to commit a manifest ended.
#[derive(Debug)]
pub enum CommitOutcome {
    /// It is committed, now and for good.
    Committed,
    /// Another process has the job: this one must stop and make nothing visible.
    Fenced {
        /// The checkpoint that tells.
        by: CheckpointId,
        /// The run that wrote it, where that could be read.
        attempt: Option<AttemptId>,
    },
    /// It is not there and will not come; the id may be used again for nothing but [`crate::Kind::Skipped`].
    NotWritten(CheckpointError),
    /// It may be there, or come later. Only trying again, or a recovery, can tell.
    Unknown(CheckpointError),
}

impl CommitOutcome {
    /// The fact for the coordinator.
    pub fn written(&self) -> Written {
        match self {
            Self::Committed => Written::Committed,
            Self::Fenced { by, attempt: Some(attempt) } => Written::Fenced(format!("checkpoint {by} of run {attempt}")),
            Self::Fenced { by, attempt: None } => Written::Fenced(format!("checkpoint {by}")),
            Self::NotWritten(error) => Written::NotWritten(with_cause(error)),
            Self::Unknown(error) => Written::Unknown(with_cause(error)),
        }
    }
}

fn with_cause(error: &CheckpointError) -> String {
    let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{cause}")
}

impl CheckpointStorage {
    /// Commits `manifest`, which follows the newest one. `skipped` are the manifests that fill the ids between the two, in order (see
    /// [`crate::Kind::Skipped`]); they may be there already if this was tried before. Trying again after [`CommitOutcome::Unknown`] with
    /// the same arguments is safe.
    pub async fn commit(&self, skipped: &[Manifest], manifest: &Manifest) -> CommitOutcome {
        for manifest in skipped.iter().chain([manifest]) {
            match self.create(manifest).await {
                CommitOutcome::Committed => {}
                // What comes after a manifest that could not be written was not even begun.
                outcome => return outcome,
            }
        }
        match self.taken_over(manifest.id).await {
            Ok(Some(newest)) => self.fenced(newest).await,
            Ok(None) => CommitOutcome::Committed,
            Err(error) => CommitOutcome::Unknown(error),
        }
    }

    /// The newest checkpoint, if it is a later one than `own`, the last that this run has committed: then another run has the job. To be
    /// asked before a file that is gone is called damage: the other one may have deleted it.
    ///
    /// # Errors
    /// When the storage cannot be listed.
    pub async fn taken_over(&self, own: CheckpointId) -> Result<Option<CheckpointId>, CheckpointError> {
        Ok(self.list().await?.last().copied().filter(|newest| *newest > own))
    }

    /// Creates one manifest; an error is resolved by reading back.
    async fn create(&self, manifest: &Manifest) -> CommitOutcome {
        let bytes = match manifest.encode().map(Bytes::from) {
            Ok(bytes) => bytes,
            Err(error) => return CommitOutcome::NotWritten(error),
        };
        let path = layout::manifest(manifest.id);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        kill_point("manifest-unwritten");
        let error = match self.store().put_opts(&path, bytes.clone().into(), options).await {
            Ok(_) => {
                kill_point("manifest-written");
                return CommitOutcome::Committed;
            }
            Err(source) => self.failed("write", &path, source),
        };
        let found = match self.read_all(&path, MAX_MANIFEST_BYTES).await {
            Ok(None) if self.settled => return CommitOutcome::NotWritten(error),
            Ok(None) | Err(_) => return CommitOutcome::Unknown(error),
            Ok(Some(found)) if found == bytes => return CommitOutcome::Committed,
            Ok(Some(found)) => Manifest::decode(&found, &self.full(&path)),
        };
        match found {
            Ok(found) if found.attempt == manifest.attempt => CommitOutcome::Unknown(error),
            Ok(found) => CommitOutcome::Fenced { by: manifest.id, attempt: Some(found.attempt) },
            // Not by us: we have never written anything that cannot be read.
            Err(damaged) => CommitOutcome::Unknown(damaged),
        }
    }

    /// There is a higher manifest: another process went on from ours, or went past it long ago. Which of the two it is cannot be told, so
    /// ours stays where it is: garbage below the newest one, which nobody starts from.
    async fn fenced(&self, newest: CheckpointId) -> CommitOutcome {
        let attempt = self.open(newest).await.ok().map(|manifest| manifest.attempt);
        CommitOutcome::Fenced { by: newest, attempt }
    }
}
