//! `stygian checkpoints`: what lies in a job's checkpoint folder. Reads only; the job may be running.

use crate::args::{CheckpointsCommand, FolderArgs, OutputStyle};
use crate::failure::Failure;
use crate::storage::{self, Reach};
use crate::terminal::Terminal;
use anyhow::anyhow;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::HumanBytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;
use stygian_checkpoint::{CheckpointError, CheckpointStorage, Kind, Manifest, PluginFacts};
use stygian_core::CheckpointId;

/// Runs one of the commands.
pub(crate) fn run(command: &CheckpointsCommand, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            CheckpointsCommand::List(args) => list(args, terminal).await,
            CheckpointsCommand::Inspect(args) => inspect(args, terminal).await,
            CheckpointsCommand::Verify(args) => verify(args, terminal).await,
        }
    })
}

fn open(args: &FolderArgs) -> Result<CheckpointStorage, Failure> {
    storage::read(&args.folder, &Reach::of_caller()).map_err(Failure::input)
}

/// The ids that were asked for: one, or all.
async fn ids(storage: &CheckpointStorage, args: &FolderArgs) -> Result<Vec<CheckpointId>, Failure> {
    let all = storage.list().await.map_err(Failure::input)?;
    match args.id {
        Some(id) if all.contains(&CheckpointId(id)) => Ok(vec![CheckpointId(id)]),
        Some(id) => {
            let there: Vec<String> = all.iter().map(ToString::to_string).collect();
            Err(Failure::input(anyhow!("there is no checkpoint {id} in {}; there are: {}", storage.name(), there.join(", "))))
        }
        None if all.is_empty() => Err(Failure::input(anyhow!("there is no checkpoint in {}", storage.name()))),
        None => Ok(all),
    }
}

fn kind(manifest: &Manifest) -> &'static str {
    match manifest.kind {
        Kind::First => "first start",
        Kind::Checkpoint => "checkpoint",
        Kind::Savepoint => "savepoint",
        Kind::Takeover => "takeover",
        Kind::Skipped => "skipped",
    }
}

fn line(id: CheckpointId, read: &Result<Manifest, CheckpointError>) -> Value {
    match read {
        Ok(manifest) => {
            json!({
                "id": id.0, "job": manifest.job, "kind": kind(manifest), "created_micros": manifest.created_micros,
                "state_bytes": manifest.state_bytes(), "files": manifest.files.len(), "pending": manifest.pending_outputs(), "attempt": manifest.attempt,
            })
        }
        Err(error) => json!({ "id": id.0, "error": format!("{error:#}") }),
    }
}

async fn list(args: &FolderArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let storage = open(args)?;
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["id", "kind", "made", "state", "files", "pending"]);
    let mut damaged = false;
    for id in ids(&storage, args).await? {
        let read = storage.open(id).await;
        damaged |= read.is_err();
        match (args.output, &read) {
            (OutputStyle::Json, read) => terminal.out(&format!("{}\n", line(id, read)))?,
            (OutputStyle::Text, Ok(manifest)) => {
                let state = HumanBytes(manifest.state_bytes()).to_string();
                let cells = [id.to_string(), kind(manifest).to_owned(), made(manifest), state, manifest.files.len().to_string()];
                table.add_row(cells.into_iter().chain([manifest.pending_outputs().to_string()]));
            }
            (OutputStyle::Text, Err(error)) => drop(table.add_row([id.to_string(), format!("cannot be read: {error}")])),
        }
    }
    if args.output == OutputStyle::Text {
        (3..6).filter_map(|column| table.column_mut(column).map(|column| column.set_cell_alignment(CellAlignment::Right))).for_each(drop);
        terminal.out(&format!("{table}\n"))?;
    }
    Ok(if damaged { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// When it was made, as UTC.
fn made(manifest: &Manifest) -> String {
    match manifest.created_micros {
        0 => String::new(),
        micros => stygian_core::EventTime::from_micros(micros).to_string(),
    }
}

async fn inspect(args: &FolderArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let storage = open(args)?;
    let id = ids(&storage, args).await?.last().copied();
    let Some(id) = id else { return Ok(ExitCode::SUCCESS) };
    let manifest = storage.open(id).await.map_err(Failure::input)?;
    match args.output {
        OutputStyle::Json => terminal.out(&format!("{:#}\n", described(&manifest)))?,
        OutputStyle::Text => terminal.out(&text(&manifest))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn named(plugin: &PluginFacts) -> String {
    format!("{}@{}", plugin.name, plugin.version)
}

fn described(manifest: &Manifest) -> Value {
    let operators = manifest.operators.iter().map(|(id, state)| {
        let plugin = state.plugins.own.as_ref().map(named);
        let aggregates: BTreeMap<&String, String> = state.plugins.aggregates.iter().map(|(name, plugin)| (name, named(plugin))).collect();
        let watermark = state.watermark.map(|watermark| watermark.to_string());
        json!({
            "operator": id, "plugin": plugin, "aggregates": aggregates, "watermark": watermark, "state_bytes": state.bytes(), "sections": state.sections.len(),
            "values_by_slot_and_version": state.state_versions,
        })
    });
    let splits = |splits: &Vec<stygian_checkpoint::SplitState>| -> Vec<Value> {
        let split = |split: &stygian_checkpoint::SplitState| json!({ "split": split.split, "offset": split.offset, "ended": split.ended });
        splits.iter().map(split).collect()
    };
    let sources = manifest.sources.iter().map(|(id, of)| json!({ "source": id, "splits": splits(of) }));
    let pending =
        manifest.pending.iter().map(|(id, of)| json!({ "sink": id, "outputs": of.iter().map(|p| &p.output).collect::<Vec<_>>() }));
    json!({
        "id": manifest.id, "job": manifest.job, "uuid": manifest.uuid, "attempt": manifest.attempt, "kind": kind(manifest),
        "made": made(manifest), "max_parallelism": manifest.max_parallelism.get(), "operators": operators.collect::<Vec<_>>(),
        "sources": sources.collect::<Vec<_>>(), "pending": pending.collect::<Vec<_>>(),
        "files": manifest.files.iter().map(|(name, facts)| json!({ "file": name, "bytes": facts.bytes })).collect::<Vec<_>>(),
    })
}

fn text(manifest: &Manifest) -> String {
    let mut text = format!("checkpoint {} ({}) of job `{}`", manifest.id, kind(manifest), manifest.job);
    let made = made(manifest);
    if !made.is_empty() {
        text.push_str(&format!(", made {made}"));
    }
    text.push_str(&format!("\n{} of state in {} files\n", HumanBytes(manifest.state_bytes()), manifest.files.len()));
    for (id, state) in &manifest.operators {
        let plugin = state.plugins.own.as_ref().map(|plugin| format!(", plugin {}", named(plugin))).unwrap_or_default();
        let watermark = state.watermark.map(|watermark| format!(", watermark {watermark}")).unwrap_or_default();
        text.push_str(&format!("operator {id}: {} of state{plugin}{watermark}\n", HumanBytes(state.bytes())));
        for (aggregate, plugin) in &state.plugins.aggregates {
            text.push_str(&format!("    {aggregate} by plugin {}\n", named(plugin)));
        }
        for (slot, versions) in &state.state_versions {
            for (version, count) in versions {
                text.push_str(&format!("    {slot}, version {version}: {count} values\n"));
            }
        }
    }
    for (id, splits) in &manifest.sources {
        let ended = splits.iter().filter(|split| split.ended).count();
        text.push_str(&format!("source {id}: {} splits, {ended} of them read to the end\n", splits.len()));
        for split in splits.iter().filter(|split| !split.ended) {
            text.push_str(&format!("    {} at {}\n", stygian_core::escape(split.split.as_str(), 200), split.offset));
        }
    }
    for (id, pending) in &manifest.pending {
        text.push_str(&format!("sink {id}: {} outputs finished and not known to be visible\n", pending.len()));
    }
    text
}

async fn verify(args: &FolderArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let storage = open(args)?;
    let mut damaged = 0;
    for id in ids(&storage, args).await? {
        let damages = match storage.verify(id).await {
            Ok(damages) => damages,
            Err(error) => vec![error],
        };
        damaged += usize::from(!damages.is_empty());
        let told: Vec<String> = damages.into_iter().map(|error| format!("{:#}", anyhow!(error))).collect();
        match args.output {
            OutputStyle::Json => terminal.out(&format!("{}\n", json!({ "id": id.0, "whole": told.is_empty(), "damages": told })))?,
            OutputStyle::Text if told.is_empty() => terminal.out(&format!("checkpoint {id}: whole\n"))?,
            OutputStyle::Text => told.iter().try_for_each(|damage| terminal.out(&format!("checkpoint {id}: {damage}\n")))?,
        }
    }
    Ok(if damaged == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
