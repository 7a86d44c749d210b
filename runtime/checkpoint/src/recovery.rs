//! Recovery: what a starting run goes on from. The decisions are pure; [`CheckpointStorage::take_over`] carries them out.
//!
//! A run begins by committing a manifest of its own, with which it keeps every older run of the job from committing: checkpoint 0 at a
//! first start, else the newest manifest's content under the next id. What it must not do is start from anything but the newest manifest by
//! itself: readers may have seen output of it. So a newest manifest that is there but damaged is an error, and so are state files without
//! any manifest. (A manifest that was never completed is not there.)

use crate::commit::CommitOutcome;
use crate::error::{CHOICES, CheckpointError};
use crate::layout;
use crate::manifest::{Kind, Manifest};
use crate::names::{AttemptId, JobUuid};
use crate::storage::CheckpointStorage;
use stygian_core::{CheckpointId, MaxParallelism};

/// How often a run tries to take over while another one commits under its eyes.
const TAKEOVER_TRIES: u32 = 16;
/// How often the newest manifest is looked for while it is deleted under our eyes.
const LOOKS: u32 = 16;

/// Who starts.
#[derive(Clone, Debug)]
pub struct StartingRun {
    /// The pipeline's name.
    pub job: String,
    /// The identity to give to the job if it has none yet, drawn at random; or the one it must have.
    pub uuid: ExpectedUuid,
    /// This run.
    pub attempt: AttemptId,
    /// The job's key groups. That a restored job has as many is checked with the other facts of its plan.
    pub max_parallelism: MaxParallelism,
    /// For people.
    pub wall_micros: i64,
}

/// What is known of a job's identity before its storage was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedUuid {
    /// Nothing: a new job gets this one.
    New(JobUuid),
    /// Something else (a commit record) has told it.
    Known(JobUuid),
}

/// What a person wants to go on from.
#[derive(Clone, Debug, PartialEq)]
pub enum StartFrom {
    /// The newest checkpoint; from nothing only if there never was one.
    Newest,
    /// What a commit record outside says was committed last: this one. Manifests above it were never committed, and are passed over.
    Recorded(Box<Manifest>),
    /// `--recover-latest`: the newest checkpoint that is whole, which is this one; what came after it is given up.
    Whole(Box<Manifest>),
    /// `--from-savepoint`: this content, whose files were copied into the job's storage ([`CheckpointStorage::adopt`]).
    Savepoint(Box<Manifest>),
    /// `--fresh`: from nothing, whatever there is.
    Nothing,
}

/// What is in a storage.
#[derive(Debug)]
pub struct Found {
    /// The ids of all manifests, ascending.
    pub ids: Vec<CheckpointId>,
    /// The newest manifest, or why it cannot be read; `None`: there is none.
    pub newest: Option<Result<Manifest, CheckpointError>>,
    /// Whether there are state files.
    pub state: bool,
}

/// Why a run cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The storage, or what is in it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The manifests are gone.
    #[error("{storage} has state files but no checkpoint: its manifests are lost; {CHOICES}")]
    Lost {
        /// The folder.
        storage: String,
    },
    /// The checkpoints are those of another job.
    #[error(
        "the checkpoints in {storage} are those of job `{found}`, not of `{job}`; give this job a folder of its own, and start it with \
         `--from-savepoint` if it is to go on with a savepoint of the other"
    )]
    OtherJob {
        /// The folder.
        storage: String,
        /// The name in the manifest.
        found: String,
        /// The name of the pipeline.
        job: String,
    },
    /// The job was started anew somewhere else.
    #[error("the checkpoints in {storage} are those of run history {found}, but what was committed elsewhere is of {expected}; {CHOICES}")]
    OtherHistory {
        /// The folder.
        storage: String,
        /// The identity in the manifest.
        found: JobUuid,
        /// The identity told by the commit record.
        expected: JobUuid,
    },
    /// Others kept committing.
    #[error("another process runs this job and keeps committing to {storage} (now checkpoint {newest}); stop it")]
    Busy {
        /// The folder.
        storage: String,
        /// The last one seen.
        newest: CheckpointId,
    },
}

/// The manifest that the run has to commit; when that is fenced, look again and decide again.
///
/// # Errors
/// When the run must not start.
pub fn decide(run: &StartingRun, from: &StartFrom, found: &Found, storage: &str) -> Result<Manifest, RecoveryError> {
    let newest = found.ids.last().copied();
    let id = newest.map_or(CheckpointId(0), |newest| CheckpointId(newest.0 + 1));
    let take_over = |content: &Manifest| Manifest {
        job: run.job.clone(),
        created_micros: run.wall_micros,
        ..content.again(id, run.attempt, Kind::Takeover)
    };
    let first =
        |uuid| Manifest { created_micros: run.wall_micros, ..Manifest::first(run.job.clone(), uuid, id, run.attempt, run.max_parallelism) };
    let new_uuid = match run.uuid {
        ExpectedUuid::New(uuid) | ExpectedUuid::Known(uuid) => uuid,
    };
    if let Some(Ok(newest)) = &found.newest
        && newest.job != run.job
    {
        // Whatever is asked for: it would end the other job.
        return Err(RecoveryError::OtherJob { storage: storage.to_owned(), found: newest.job.clone(), job: run.job.clone() });
    }
    match (from, &found.newest) {
        (StartFrom::Nothing, _) => Ok(first(new_uuid)),
        (StartFrom::Savepoint(content), newest) => {
            // The job stays itself where it has been before.
            let uuid = newest.as_ref().and_then(|newest| newest.as_ref().ok()).map_or(new_uuid, |newest| newest.uuid);
            Ok(Manifest { uuid, ..take_over(content) })
        }
        (StartFrom::Recorded(content) | StartFrom::Whole(content), _) => check_history(run, content, storage).map(|()| take_over(content)),
        (StartFrom::Newest, Some(Ok(newest))) => check_history(run, newest, storage).map(|()| take_over(newest)),
        (StartFrom::Newest, Some(Err(error))) => Err(again(error).into()),
        (StartFrom::Newest, None) if found.state => Err(RecoveryError::Lost { storage: storage.to_owned() }),
        (StartFrom::Newest, None) => Ok(first(new_uuid)),
    }
}

fn check_history(run: &StartingRun, found: &Manifest, storage: &str) -> Result<(), RecoveryError> {
    match run.uuid {
        ExpectedUuid::Known(expected) if expected != found.uuid => {
            Err(RecoveryError::OtherHistory { storage: storage.to_owned(), found: found.uuid, expected })
        }
        _ => Ok(()),
    }
}

/// An error told once more.
fn again(error: &CheckpointError) -> CheckpointError {
    match error {
        CheckpointError::Damaged { file, damage } => CheckpointError::damaged(file.clone(), damage.clone()),
        CheckpointError::Version { file, found, known } => CheckpointError::Version { file: file.clone(), found: *found, known: *known },
        other => CheckpointError::storage("read", "the newest manifest", other.to_string()),
    }
}

impl CheckpointStorage {
    /// What there is to start from.
    ///
    /// # Errors
    /// When the storage cannot be read. A manifest that is damaged is not an error here.
    pub async fn look(&self) -> Result<Found, CheckpointError> {
        let mut tries = 0;
        let (ids, newest) = loop {
            let ids = self.list().await?;
            let Some(id) = ids.last() else { break (ids, None) };
            match self.open(*id).await {
                // It was deleted under our eyes, since there is a newer one.
                Err(CheckpointError::NoSuchCheckpoint { .. }) if tries < LOOKS => tries += 1,
                Err(error @ (CheckpointError::Storage { .. } | CheckpointError::NoSuchCheckpoint { .. })) => return Err(error),
                read => break (ids, Some(read)),
            }
        };
        let state = !self.names_in(layout::STATE).await?.is_empty();
        Ok(Found { ids, newest, state })
    }

    /// Makes this run the one that may commit: commits its first manifest, and returns it. What it holds as pending is yet to be made
    /// visible.
    ///
    /// # Errors
    /// When the run must not start, or the storage cannot be read or written.
    pub async fn take_over(&self, run: &StartingRun, from: &StartFrom) -> Result<Manifest, RecoveryError> {
        let mut last = None;
        for _ in 0..TAKEOVER_TRIES {
            let found = match self.look().await {
                // The newest manifest was deleted under our eyes, since there is a newer one.
                Err(CheckpointError::NoSuchCheckpoint { id, .. }) => {
                    last = Some(RecoveryError::Busy { storage: self.name().to_owned(), newest: id });
                    continue;
                }
                found => found?,
            };
            let manifest = decide(run, from, &found, self.name())?;
            last = Some(match self.commit(&[], &manifest).await {
                CommitOutcome::Committed => return Ok(manifest),
                CommitOutcome::NotWritten(error) => return Err(error.into()),
                CommitOutcome::Fenced { by, .. } => RecoveryError::Busy { storage: self.name().to_owned(), newest: by },
                // If ours comes to be there after all, the next look finds it, and goes on from it.
                CommitOutcome::Unknown(error) => error.into(),
            });
        }
        Err(last.unwrap_or_else(|| RecoveryError::Lost { storage: self.name().to_owned() }))
    }
}
