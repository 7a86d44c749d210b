//! Plugins that a job's last checkpoint has kept: what a run goes on with when their files are gone.

use crate::folders;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stygian_checkpoint::{CheckpointError, CheckpointStorage};
use stygian_core::{OperatorId, PluginRef};
use stygian_pipeline::{OperatorKind, Pipeline};

/// No component is larger.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// A component, and what it is called.
#[derive(Clone)]
pub(crate) struct Kept {
    /// Its file, for messages.
    pub(crate) path: PathBuf,
    pub(crate) component: Arc<[u8]>,
    /// As the checkpoint says.
    pub(crate) told: String,
}

/// Where plugins may have been kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeptIn<'a> {
    /// The job starts from nothing, or does not run.
    Nothing,
    /// With the job's own checkpoints.
    Checkpoints,
    /// With the savepoint in this folder.
    Folder(&'a Path),
}

/// Of each operator whose plugin is not found, the one that it had at the newest checkpoint, if there is one.
pub(crate) async fn kept(pipeline: &Pipeline, base: &Path, plugin_folders: &[PathBuf], from: KeptIn<'_>) -> BTreeMap<String, Kept> {
    let is_gone = |plugin: &PluginRef| folders::find_plugin(plugin, base, plugin_folders).is_err();
    let gone = pipeline.operators.iter().filter_map(|node| match &node.kind {
        OperatorKind::Plugin(plugin) if is_gone(&plugin.plugin) => Some(node.name.get_ref().clone()),
        _ => None,
    });
    let gone: Vec<String> = gone.collect();
    let Some(wanted) = pipeline.checkpoint.as_ref().filter(|_| !gone.is_empty()) else { return BTreeMap::new() };
    let folder = match from {
        KeptIn::Nothing => None,
        KeptIn::Folder(folder) => Some(folder.to_owned()),
        KeptIn::Checkpoints => folders::of_checkpoints(wanted, &pipeline.name, base),
    };
    let Some(folder) = folder else { return BTreeMap::new() };
    // What cannot be read here is told when the job is started, or is not needed; a plugin that is missing then is told as missing.
    read(&folder, gone).await.unwrap_or_default()
}

async fn read(folder: &Path, operators: Vec<String>) -> Result<BTreeMap<String, Kept>, CheckpointError> {
    let storage = CheckpointStorage::local_for_reading(folder)?;
    let Some(newest) = storage.list().await?.last().copied() else { return Ok(BTreeMap::new()) };
    let manifest = storage.open(newest).await?;
    let mut kept = BTreeMap::new();
    for name in operators {
        let Some(facts) = manifest.operators.get(&OperatorId::new(&name)).and_then(|state| state.plugin.clone()) else { continue };
        let component = storage.plugin(&facts.digest, MAX_BYTES).await?.to_vec().into();
        let path = folder.join("plugins").join(format!("{}.wasm", facts.digest));
        kept.insert(name, Kept { path, component, told: format!("{}@{} of checkpoint {newest}", facts.name, facts.version) });
    }
    Ok(kept)
}
