//! Jobs whose checkpoints are committed by a transaction outside: which one it is, and what a start goes on from according to it.

use crate::durable::{self, TakenOver};
use crate::failure::Failure;
use anyhow::anyhow;
use std::sync::Arc;
use std::time::Duration;
use stygian_api::{CommitError, CommitPoint, CommitRecord, ConnectorError, Sink};
use stygian_checkpoint::{CheckpointError, CheckpointSettings, CheckpointStorage, ExpectedUuid, Kind, Manifest, StartFrom};
use stygian_core::CheckpointId;
use stygian_pipeline::Checkpoint;

/// How often a commit of unknown outcome is tried again at a start.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_secs(2);

/// What a commit may take once its checkpoint is complete.
const COMMIT: Duration = Duration::from_secs(30);
/// A checkpoint must have so long.
const LEAST_TIMEOUT: Duration = Duration::from_secs(1);

/// What a person can do where the record and the checkpoints do not fit together.
const CHOICES: &str = "go on from a savepoint with `--from-savepoint DIR`, from the newest checkpoint with `--recover-latest` (output written \
                       after it stays and comes again), or start from nothing with `--fresh`";

/// The commit point of sinks in an exactly-once job, in the order of the pipeline file; `None`: manifests alone commit its checkpoints.
///
/// # Errors
/// The sink that has another one than those before it, and why that cannot be.
pub(crate) fn of<'a>(sinks: impl Iterator<Item = (&'a str, &'a Arc<dyn Sink>)>) -> Result<Option<Arc<dyn CommitPoint>>, (String, String)> {
    let mut found: Option<(&str, Arc<dyn CommitPoint>)> = None;
    for (name, sink) in sinks {
        let Some(point) = sink.commit_point() else { continue };
        match &found {
            Some((first, other)) if other.name() != point.name() => {
                return Err((name.to_owned(), two_points(first, &other.name(), name, &point.name())));
            }
            Some(_) => {}
            None => found = Some((name, point)),
        }
    }
    Ok(found.map(|(_, point)| point))
}

/// That one transaction cannot span two clusters.
fn two_points(first: &str, first_point: &str, second: &str, second_point: &str) -> String {
    format!(
        "sinks `{first}` ({first_point}) and `{second}` ({second_point}) would commit by two transactions, which cannot be exactly-once; write to \
         one cluster, make two pipelines of it, or set mode = \"at-least-once\" in [checkpoint]"
    )
}

/// When checkpoints are made that `point` commits. What was written behind a barrier waits for the commit of the checkpoint after it: that one
/// begins an `interval` later, or once the one before it is done, and takes its own time.
///
/// # Errors
/// What does not fit the time that the outside gives, and what to do.
pub(crate) fn settings(point: &dyn CommitPoint, wanted: &Checkpoint) -> Result<CheckpointSettings, String> {
    let mut settings = durable::settings(wanted);
    // Rows behind the barrier of a checkpoint that fails are in a transaction of their own, which no later one can take in.
    settings.tolerated_failures = 0;
    let CheckpointSettings { interval, min_pause, .. } = settings;
    let longest = |timeout: Duration| interval.max(timeout + min_pause) + timeout + COMMIT;
    let within = point.open_within();
    let most = within.saturating_sub(COMMIT + min_pause).div_f64(2.0).min(within.saturating_sub(COMMIT + interval));
    if wanted.timeout.is_none() {
        settings.timeout = settings.timeout.min(most);
    }
    if most >= LEAST_TIMEOUT && longest(settings.timeout) <= within {
        return Ok(settings);
    }
    let words = format!(
        "a transaction is ended by the broker after {within:?} (`transaction_timeout` of the sink), and with interval = {interval:?} and timeout = \
         {:?} in [checkpoint] it may have to wait for {:?}",
        settings.timeout.max(LEAST_TIMEOUT),
        longest(settings.timeout.max(LEAST_TIMEOUT))
    );
    let lower = if most >= LEAST_TIMEOUT { format!("set `timeout` to {}s or less, or ", most.as_secs()) } else { String::new() };
    Err(format!("{words}; {lower}raise `transaction_timeout` (the broker's `transaction.max.timeout.ms` limits it)"))
}

/// Fences the commit point, and says what was committed last.
pub(crate) async fn fence(point: &dyn CommitPoint) -> Result<Option<CommitRecord>, Failure> {
    asked(point.fence().await)
}

/// What the outside answered.
pub(crate) fn asked<T>(answer: Result<T, ConnectorError>) -> Result<T, Failure> {
    answer.map_err(|error| if error.may_pass() { anyhow!(error).into() } else { Failure::input(anyhow!(error)) })
}

/// The identity that the job has by its record.
pub(crate) fn identity(record: &CommitRecord) -> Option<ExpectedUuid> {
    record.job.parse().ok().map(ExpectedUuid::Known)
}

/// What a start without a wish goes on from.
///
/// # Errors
/// When the record and the checkpoints do not fit together: a start from either would lose or double rows.
pub(crate) async fn recorded(
    storage: &CheckpointStorage,
    point: &dyn CommitPoint,
    record: Option<&CommitRecord>,
) -> Result<StartFrom, Failure> {
    let (place, name) = (storage.name(), point.name());
    let Some(record) = record else {
        let found = storage.look().await?;
        let untouched = |newest: &Manifest| newest.kind == Kind::First && found.ids.len() == 1;
        return match &found.newest {
            None => Ok(StartFrom::Newest),
            // It was begun and never got as far as a record; nothing was read.
            Some(Ok(newest)) if untouched(newest) => Ok(StartFrom::Newest),
            _ => Err(Failure::input(anyhow!(
                "there are checkpoints in {place}, but {name} has no record of one that was committed: the job did not write there before, or the \
                 broker has forgotten it (`offsets.retention.minutes`); {CHOICES}"
            ))),
        };
    };
    match storage.open(CheckpointId(record.checkpoint)).await {
        Ok(manifest) => Ok(StartFrom::Recorded(Box::new(manifest))),
        Err(error @ CheckpointError::Storage { .. }) => Err(error.into()),
        Err(error) => Err(Failure::input(anyhow!(error).context(format!(
            "{name} says that {record} was committed last, and it cannot be read from {place}; put the folder back if it is elsewhere, or {CHOICES}"
        )))),
    }
}

/// Commits the checkpoint that a run begins with.
pub(crate) async fn begin(point: &dyn CommitPoint, manifest: &Manifest) -> Result<(), Failure> {
    let record = CommitRecord { job: manifest.uuid.to_string(), checkpoint: manifest.id.0 };
    let mut tries = 0;
    loop {
        match point.commit(&record).await {
            Ok(()) => return Ok(()),
            Err(CommitError::Unknown(_)) if tries < TRIES => tokio::time::sleep(BETWEEN_TRIES).await,
            Err(CommitError::Fenced(error)) => return Err(Failure::Run(TakenOver { by: error.to_string() }.into())),
            Err(error) => return Err(anyhow!(error).context(format!("could not begin with {record} by {}", point.name())).into()),
        }
        tries += 1;
    }
}
