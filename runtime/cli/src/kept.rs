//! Plugins that a job's last checkpoint has kept: what a run goes on with when their files are gone.

use crate::folders;
use crate::plugin_uses::{PluginPlace, plugins_of};
use crate::storage::{self, Reach};
use anyhow::anyhow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stygian_checkpoint::{CheckpointError, CheckpointStorage, Manifest, PluginFacts};
use stygian_core::{CheckpointId, OperatorId};
use stygian_pipeline::Pipeline;

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

/// Of each plugin that is not found, the one that its operator or aggregate had at the newest checkpoint, if there is one, or why that
/// cannot be read; by [`PluginPlace::key`].
pub(crate) async fn kept(
    pipeline: &Pipeline,
    reach: &Reach,
    base: &Path,
    plugin_folders: &[PathBuf],
    from: KeptIn<'_>,
) -> BTreeMap<String, Result<Kept, String>> {
    let is_gone = |place: &PluginPlace<'_>| folders::find_plugin(&place.plugin.plugin, base, plugin_folders).is_err();
    let gone: Vec<PluginPlace<'_>> = pipeline.operators.iter().flat_map(plugins_of).filter(is_gone).collect();
    let Some(wanted) = pipeline.checkpoint.as_ref().filter(|_| !gone.is_empty()) else { return BTreeMap::new() };
    let folder = match from {
        KeptIn::Nothing => None,
        KeptIn::Folder(folder) => Some(folder.to_owned()),
        KeptIn::Checkpoints => folders::of_checkpoints(wanted, &pipeline.name, base),
    };
    // A folder that is not there has kept nothing.
    let Some(folder) = folder.filter(|folder| storage::in_hdfs(folder).is_some() || folder.exists()) else { return BTreeMap::new() };
    let told = |error: anyhow::Error| format!("what a checkpoint has kept of it cannot be read: {error:#}");
    let (storage, newest) = match newest(&folder, reach).await {
        Ok(Some(found)) => found,
        Ok(None) => return BTreeMap::new(),
        Err(error) => {
            let text = told(error);
            return gone.iter().map(|place| (place.key(), Err(text.clone()))).collect();
        }
    };
    let mut kept = BTreeMap::new();
    for place in gone {
        if let Some(facts) = facts(&newest, place) {
            kept.insert(place.key(), read(&storage, &folder, newest.id, facts).await.map_err(|error| told(anyhow!(error))));
        }
    }
    kept
}

/// The newest checkpoint; `None`: there is none.
async fn newest(folder: &Path, reach: &Reach) -> anyhow::Result<Option<(CheckpointStorage, Manifest)>> {
    let storage = storage::read(folder, reach)?;
    let Some(newest) = storage.list().await?.last().copied() else { return Ok(None) };
    let manifest = storage.open(newest).await?;
    Ok(Some((storage, manifest)))
}

/// What a checkpoint says of the plugin of a place.
fn facts<'m>(manifest: &'m Manifest, place: PluginPlace<'_>) -> Option<&'m PluginFacts> {
    let plugins = &manifest.operators.get(&OperatorId::new(place.operator))?.plugins;
    match place.aggregate {
        Some(aggregate) => plugins.aggregates.get(aggregate),
        None => plugins.own.as_ref(),
    }
}

async fn read(storage: &CheckpointStorage, folder: &Path, id: CheckpointId, facts: &PluginFacts) -> Result<Kept, CheckpointError> {
    let component = storage.plugin(&facts.digest, MAX_BYTES).await?.to_vec().into();
    let path = folder.join("plugins").join(format!("{}.wasm", facts.digest));
    Ok(Kept { path, component, told: format!("{}@{} of checkpoint {id}", facts.name, facts.version) })
}
