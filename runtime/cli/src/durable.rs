//! What a run goes on from: its checkpoints' folder is taken over, and the checkpoint found there must fit the pipeline as it is now.

use crate::args::RunArgs;
use crate::commit_point;
use crate::failure::Failure;
use crate::folders;
use crate::load::Loaded;
use crate::storage::{self, Reach};
use crate::terminal::Terminal;
use anyhow::{Context, anyhow};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use stygian_api::CommitPoint;
use stygian_checkpoint::{
    AttemptId, CheckpointError, CheckpointSettings, CheckpointStorage, ExpectedUuid, JobUuid, Kind, Manifest, OperatorPlugins, PlannedJob,
    PluginFacts, RecoveryError, RestorePlan, StartFrom, StartingRun, restore,
};
use stygian_core::{CheckpointId, OperatorId};
use stygian_engine::{CheckpointCounters, CheckpointSpec, Clock, JobSpec, SystemClock};
use stygian_pipeline::{Checkpoint, Mode};

/// Files in HDFS are dear to make.
const INTERVAL_IN_HDFS: Duration = Duration::from_secs(60);

/// A plugin that an operator runs.
pub(crate) struct UsedPlugin {
    pub(crate) operator: OperatorId,
    /// The aggregate of its window that it computes; `None`: it is the operator.
    pub(crate) aggregate: Option<String>,
    pub(crate) name: String,
    pub(crate) version: semver::Version,
    pub(crate) component: Arc<[u8]>,
}

/// The job is another process's now. That is final.
#[derive(Debug)]
pub(crate) struct TakenOver {
    /// By what that is known.
    pub(crate) by: String,
}

impl fmt::Display for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "another process has taken the job over ({}), so this one is out; let only one run", self.by)
    }
}

impl std::error::Error for TakenOver {}

/// A job's checkpoints, over all starts of it in this process.
pub(crate) struct Durable {
    storage: Arc<CheckpointStorage>,
    /// How HDFS is reached.
    reach: Reach,
    settings: CheckpointSettings,
    at_least_once: bool,
    folder: PathBuf,
    /// The newest that is known to be committed.
    taken: Option<CheckpointId>,
    /// The newest that was seen.
    seen: Option<CheckpointId>,
    /// Checkpoints are committed by a record outside: one that is seen need not be committed.
    is_recorded: bool,
    /// The job's identity, since its first start.
    uuid: Option<JobUuid>,
    /// The runs of this process.
    attempts: Vec<AttemptId>,
    /// Whether what was asked for on the command line has been done.
    started: bool,
    counters: CheckpointCounters,
}

impl Durable {
    /// Opens and locks the folder of a pipeline's checkpoints; `None`: it makes none.
    ///
    /// # Errors
    /// When there is no place for them, or another process has it.
    pub(crate) fn open(loaded: &Loaded) -> Result<Option<Self>, Failure> {
        let Some(wanted) = &loaded.plan.checkpoint else { return Ok(None) };
        let folder = folders::of_checkpoints(wanted, &loaded.plan.name, &loaded.base)
            .context("there is no place for checkpoints: set `folder` of `[checkpoint]`, or HOME")
            .map_err(Failure::input)?;
        let storage = Arc::new(storage::take(&folder, &loaded.reach).map_err(Failure::input)?);
        let settings = match &loaded.commit_point {
            Some(point) => commit_point::settings(&**point, wanted).map_err(|reason| Failure::input(anyhow!(reason)))?,
            None => settings(wanted),
        };
        let at_least_once = wanted.mode == Mode::AtLeastOnce;
        Ok(Some(Self {
            storage,
            reach: loaded.reach.clone(),
            settings,
            at_least_once,
            folder,
            taken: None,
            seen: None,
            is_recorded: false,
            uuid: None,
            attempts: Vec::new(),
            started: false,
            counters: CheckpointCounters::default(),
        }))
    }

    /// Takes over the job's checkpoints: from now on no other process can commit one.
    ///
    /// # Errors
    /// When the checkpoints are damaged, or do not fit the pipeline; nothing has been changed then.
    pub(crate) async fn take_over(
        &mut self,
        spec: &JobSpec,
        plugins: Vec<UsedPlugin>,
        point: Option<Arc<dyn CommitPoint>>,
        args: &RunArgs,
        terminal: &Terminal,
    ) -> Result<CheckpointSpec, Failure> {
        let mut planned = spec.planned(args.drop_state.iter().map(OperatorId::new).collect());
        self.check_is_not_taken().await?;
        let record = match &point {
            Some(point) => commit_point::fence(&**point).await?,
            None => None,
        };
        let new = ExpectedUuid::New(JobUuid::from_random(random()?));
        let known = record.as_ref().filter(|_| self.started || !args.fresh).and_then(commit_point::identity);
        let run = StartingRun {
            job: spec.name.clone(),
            uuid: known.unwrap_or(new),
            attempt: AttemptId::from_random(random()?),
            max_parallelism: planned.max_parallelism,
            wall_micros: SystemClock.now(),
        };
        self.attempts.push(run.attempt);
        let mut from =
            if self.started { StartFrom::Newest } else { start_from(&self.storage, &self.reach, run.attempt, args, terminal).await? };
        if let (StartFrom::Newest, Some(point)) = (&from, &point) {
            from = commit_point::recorded(&self.storage, &**point, record.as_ref()).await?;
        }
        let content = content(&self.storage, &from).await?;
        self.check_is_ours(content.as_ref())?;
        if let Some(content) = content {
            if self.started {
                // What was dropped at the first start may be gone from the checkpoints by now.
                planned.drop_state.retain(|node| content.holds(node));
            }
            let restore = fit(&content, &planned)?;
            if !matches!(from, StartFrom::Newest) {
                // It becomes the newest one, and what cannot be gone on from must not be in the way of what was there before.
                spec.check_pending(&restore).await.map_err(|error| {
                    let text = anyhow!("cannot go on from checkpoint {}: {}", content.id, error.chain());
                    if error.may_pass() { Failure::Run(text) } else { Failure::input(text) }
                })?;
            }
        }
        let manifest = self.storage.take_over(&run, &from).await.map_err(refused)?;
        if let Some(point) = &point {
            commit_point::begin(&**point, &manifest).await?;
        }
        let plugins = keep(&self.storage, plugins).await?;
        if !args.quiet {
            tell(&manifest, &from, &self.folder, args, terminal);
        }
        (self.taken, self.seen, self.uuid) = (Some(manifest.id), Some(manifest.id), Some(manifest.uuid));
        self.is_recorded = point.is_some();
        let restore = fit(&manifest, &planned)?;
        let (storage, settings, at_least_once) = (self.storage.clone(), self.settings, self.at_least_once);
        let (attempt, counters) = (run.attempt, self.counters.clone());
        Ok(CheckpointSpec { storage, settings, at_least_once, commit_point: point, attempt, plugins, counters, restore })
    }

    /// A job that has run and failed goes on only if no other process has gone on with it meanwhile: that one would be fenced, would fail and
    /// go on in turn.
    async fn check_is_not_taken(&self) -> Result<(), Failure> {
        if !self.started {
            return Ok(());
        }
        self.taken_over().await.map_err(refused)?.map_or(Ok(()), |other| Err(Failure::Run(other.into())))
    }

    /// The other process that has gone on with the job since this one took it over.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) async fn taken_over(&self) -> Result<Option<TakenOver>, CheckpointError> {
        if self.taken.is_none() {
            return Ok(None);
        }
        let newest = self.storage.look().await?.newest.and_then(Result::ok);
        let other = newest.filter(|newest| !self.attempts.contains(&newest.attempt));
        Ok(other.map(|newest| TakenOver { by: format!("checkpoint {} is of run {}", newest.id, newest.attempt) }))
    }

    /// A job that has run goes on from what it has committed, or not at all.
    fn check_is_ours(&self, content: Option<&Manifest>) -> Result<(), Failure> {
        let (Some(uuid), Some(taken)) = (self.uuid, self.taken) else { return Ok(()) };
        if content.is_some_and(|content| content.uuid == uuid && content.id >= taken) {
            return Ok(());
        }
        let found = match content {
            Some(content) => {
                format!("the newest there is checkpoint {}{}", content.id, if content.uuid == uuid { "" } else { " of another run" })
            }
            None => "there is none".to_owned(),
        };
        let folder = self.folder.display();
        let text = format!("cannot go on from checkpoint {taken}, which this run has seen in {folder}: {found}; put the folder back");
        Err(anyhow!("{text} (is its file system mounted?), or start anew with `--fresh`").into())
    }

    /// Where they lie.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a checkpoint was committed since the job was started last, or this was asked last.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) async fn came_on(&mut self) -> Result<bool, Failure> {
        let newest = self.storage.list().await?.last().copied();
        let came_on = newest > self.seen;
        self.seen = newest.max(self.seen);
        if !self.is_recorded {
            self.taken = self.seen;
        }
        Ok(came_on)
    }

    /// The next start goes on from the newest checkpoint, whatever was asked for on the command line.
    pub(crate) fn go_on(&mut self) {
        self.started = true;
    }
}

/// Keeps plugins beside the checkpoints; what manifests are to say of them.
async fn keep(storage: &CheckpointStorage, plugins: Vec<UsedPlugin>) -> Result<BTreeMap<OperatorId, OperatorPlugins>, CheckpointError> {
    let mut kept: BTreeMap<OperatorId, OperatorPlugins> = BTreeMap::new();
    for UsedPlugin { operator, aggregate, name, version, component } in plugins {
        let facts = PluginFacts { name, version, digest: storage.keep_plugin(&component).await? };
        let of_operator = kept.entry(operator).or_default();
        match aggregate {
            Some(aggregate) => drop(of_operator.aggregates.insert(aggregate, facts)),
            None => of_operator.own = Some(facts),
        }
    }
    Ok(kept)
}

async fn start_from(
    storage: &CheckpointStorage,
    reach: &Reach,
    attempt: AttemptId,
    args: &RunArgs,
    terminal: &Terminal,
) -> Result<StartFrom, Failure> {
    if let Some(folder) = &args.from_savepoint {
        let from = storage::read(folder, reach).map_err(Failure::input)?;
        let content = storage.adopt(&from, attempt).await.map_err(Failure::input)?;
        return Ok(StartFrom::Savepoint(Box::new(content)));
    }
    if args.fresh {
        return Ok(StartFrom::Nothing);
    }
    if !args.recover_latest {
        return Ok(StartFrom::Newest);
    }
    let (whole, damages) = storage.newest_whole().await?;
    for damage in damages {
        terminal.err(&format!("passed over: {:#}\n", anyhow!(damage)));
    }
    let whole =
        whole.ok_or_else(|| Failure::input(anyhow!("no checkpoint in {} is whole; `--fresh` starts from nothing", storage.name())))?;
    Ok(StartFrom::Whole(Box::new(whole)))
}

/// A storage that does not work may work the next time; what it holds stays wrong.
fn refused(error: impl Into<RecoveryError>) -> Failure {
    match error.into() {
        error @ RecoveryError::Checkpoint(CheckpointError::Storage { .. }) => error.into(),
        error => Failure::input(error),
    }
}

/// What would be gone on from.
async fn content(storage: &CheckpointStorage, from: &StartFrom) -> Result<Option<Manifest>, Failure> {
    match from {
        StartFrom::Nothing => Ok(None),
        StartFrom::Recorded(manifest) | StartFrom::Whole(manifest) | StartFrom::Savepoint(manifest) => Ok(Some((**manifest).clone())),
        StartFrom::Newest => Ok(storage.look().await.map_err(refused)?.newest.and_then(Result::ok)),
    }
}

fn fit(manifest: &Manifest, planned: &PlannedJob) -> Result<RestorePlan, Failure> {
    restore::plan(manifest, planned).map_err(|refusals| {
        let mut text = format!("error: the pipeline does not fit checkpoint {}, which the job would go on from:\n", manifest.id);
        refusals.iter().for_each(|refusal| text.push_str(&format!("  {refusal}\n")));
        text.push_str("nothing was changed; `--fresh` starts from nothing\n");
        Failure::Input(text)
    })
}

fn tell(manifest: &Manifest, from: &StartFrom, folder: &Path, args: &RunArgs, terminal: &Terminal) {
    let (folder, savepoint) = (folder.display(), args.from_savepoint.as_deref().unwrap_or(Path::new("")).display());
    let stays = "output that was written after it stays";
    let text = match (from, manifest.id.0.checked_sub(1)) {
        (StartFrom::Savepoint(content), _) => {
            format!("going on from checkpoint {} in {savepoint}; {stays}; checkpoints go to {folder}\n", content.id)
        }
        (StartFrom::Whole(content), _) => {
            format!("going on from checkpoint {} in {folder}, the newest that is whole; {stays}\n", content.id)
        }
        (StartFrom::Recorded(content), _) => format!("going on from checkpoint {} in {folder}\n", content.id),
        (StartFrom::Newest, Some(before)) if manifest.kind != Kind::First => format!("going on from checkpoint {before} in {folder}\n"),
        _ => format!("a first start; checkpoints go to {folder}\n"),
    };
    terminal.err(&text);
}

pub(crate) fn settings(wanted: &Checkpoint) -> CheckpointSettings {
    let mut default = CheckpointSettings::default();
    if wanted.folder.as_deref().and_then(storage::in_hdfs).is_some() {
        default.interval = INTERVAL_IN_HDFS;
    }
    CheckpointSettings {
        interval: wanted.interval.map_or(default.interval, |interval| interval.0),
        timeout: wanted.timeout.map_or(default.timeout, |timeout| timeout.0),
        min_pause: wanted.min_pause.map_or(default.min_pause, |pause| pause.0),
        tolerated_failures: wanted.tolerated_failures.unwrap_or(default.tolerated_failures),
        retained: wanted.retained.unwrap_or(default.retained),
        rebase: default.rebase,
    }
}

/// 128 bits that nobody else has.
fn random() -> anyhow::Result<u128> {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.context("could not read random bytes from /dev/urandom")?;
    Ok(u128::from_le_bytes(bytes))
}
