//! What a run goes on from: its checkpoints' folder is taken over, and the checkpoint found there must fit the pipeline as it is now.

use crate::args::RunArgs;
use crate::failure::Failure;
use crate::folders;
use crate::terminal::Terminal;
use anyhow::{Context, anyhow};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use stygian_checkpoint::{
    AttemptId, CheckpointSettings, CheckpointStorage, ExpectedUuid, JobUuid, Kind, Manifest, PlannedJob, PluginFacts, RestorePlan,
    StartFrom, StartingRun, restore,
};
use stygian_core::OperatorId;
use stygian_engine::{CheckpointSpec, JobSpec};
use stygian_pipeline::Checkpoint;

/// A plugin that an operator runs.
pub(crate) struct UsedPlugin {
    pub(crate) name: String,
    pub(crate) version: semver::Version,
    pub(crate) component: Arc<[u8]>,
}

/// Where a job's checkpoints lie.
///
/// # Errors
/// When the pipeline does not say, and there is no user's folder.
pub(crate) fn folder(wanted: &Checkpoint, job: &str, base: &Path) -> anyhow::Result<PathBuf> {
    match &wanted.folder {
        // The folder is only used where nobody else can reach it, so by its real path.
        Some(folder) => Ok(std::fs::canonicalize(base).unwrap_or_else(|_| base.to_owned()).join(folder)),
        None => folders::checkpoints(job).context("there is no place for checkpoints: set `folder` of `[checkpoint]`, or HOME"),
    }
}

/// Takes over the job's checkpoints: from now on no other process can commit one.
///
/// # Errors
/// When another process runs the job, when the checkpoints are damaged, or when they do not fit the pipeline; nothing has been changed then.
pub(crate) async fn take_over(
    spec: &JobSpec,
    (wanted, folder): (&Checkpoint, &Path),
    plugins: BTreeMap<OperatorId, UsedPlugin>,
    args: &RunArgs,
    terminal: &Terminal,
) -> Result<CheckpointSpec, Failure> {
    let planned = spec.planned(args.drop_state.iter().map(OperatorId::new).collect());
    let storage = CheckpointStorage::local(folder).map_err(Failure::input)?;
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let run = StartingRun {
        job: spec.name.clone(),
        uuid: ExpectedUuid::New(JobUuid::from_random(random()?)),
        attempt: AttemptId::from_random(random()?),
        max_parallelism: planned.max_parallelism,
        wall_micros: i64::try_from(wall.as_micros()).unwrap_or(i64::MAX),
    };
    let from = start_from(&storage, run.attempt, args, terminal).await?;
    if let Some(content) = content(&storage, &from).await? {
        fit(&content, &planned)?;
    }
    let manifest = storage.take_over(&run, &from).await.map_err(Failure::input)?;
    let mut facts = BTreeMap::new();
    for (operator, UsedPlugin { name, version, component }) in plugins {
        let digest = storage.keep_plugin(&component).await?;
        facts.insert(operator, PluginFacts { name, version, digest });
    }
    tell(&manifest, folder, terminal);
    let restore = fit(&manifest, &planned)?;
    Ok(CheckpointSpec { storage: Arc::new(storage), settings: settings(wanted), attempt: run.attempt, plugins: facts, restore })
}

async fn start_from(storage: &CheckpointStorage, attempt: AttemptId, args: &RunArgs, terminal: &Terminal) -> Result<StartFrom, Failure> {
    if let Some(folder) = &args.from_savepoint {
        let from = CheckpointStorage::local_for_reading(folder).map_err(Failure::input)?;
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

/// What would be gone on from.
async fn content(storage: &CheckpointStorage, from: &StartFrom) -> Result<Option<Manifest>, Failure> {
    match from {
        StartFrom::Nothing => Ok(None),
        StartFrom::Whole(manifest) | StartFrom::Savepoint(manifest) => Ok(Some((**manifest).clone())),
        StartFrom::Newest => Ok(storage.look().await.map_err(Failure::input)?.newest.and_then(Result::ok)),
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

fn tell(manifest: &Manifest, folder: &Path, terminal: &Terminal) {
    let folder = folder.display();
    match (manifest.kind, manifest.id.0.checked_sub(1)) {
        (Kind::First, _) => terminal.err(&format!("a first start; checkpoints go to {folder}\n")),
        (_, Some(before)) => terminal.err(&format!("going on from checkpoint {before} in {folder}\n")),
        (_, None) => {}
    }
}

fn settings(wanted: &Checkpoint) -> CheckpointSettings {
    let default = CheckpointSettings::default();
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
