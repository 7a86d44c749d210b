//! Garbage: what no committed checkpoint needs that is to be kept. The choice is pure; [`CheckpointStorage::collect_garbage`] carries it
//! out.
//!
//! Never deleted are: the newest manifests up to the number that is kept; every manifest above the newest committed one; every file that
//! one of these names; every file that was written for a checkpoint above the newest committed one, as it may be about to be named.
//! Manifests go before files, so that no manifest names a file that is gone, whenever the process is killed; files go by what is left.

use crate::error::CheckpointError;
use crate::layout;
use crate::manifest::{Kind, Manifest};
use crate::names::{AttemptId, Digest, StateFileName};
use crate::storage::CheckpointStorage;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use stygian_core::CheckpointId;
use stygian_core::kill_point::kill_point;

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Every manifest: what it was written for and what it names.
    pub manifests: BTreeMap<CheckpointId, Named>,
    /// Every state file.
    pub files: BTreeSet<StateFileName>,
    /// Every plugin.
    pub plugins: BTreeSet<Digest>,
    /// Paths of files that were begun and never finished, with the checkpoints that they are of.
    pub leftovers: BTreeMap<String, CheckpointId>,
}

/// What a manifest names.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Why it was written.
    pub kind: Kind,
    /// Its state files.
    pub files: BTreeSet<StateFileName>,
    /// Its plugins.
    pub plugins: BTreeSet<Digest>,
}

impl Named {
    /// What a manifest names.
    pub fn by(manifest: &Manifest) -> Self {
        Self { kind: manifest.kind, files: manifest.files.keys().cloned().collect(), plugins: manifest.plugins().cloned().collect() }
    }
}

/// What can be deleted, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Manifests.
    pub manifests: Vec<CheckpointId>,
    /// State files.
    pub files: Vec<StateFileName>,
    /// Plugins.
    pub plugins: Vec<Digest>,
    /// Paths of files that were never finished.
    pub leftovers: Vec<String>,
}

/// Which manifests stay: the newest committed one, the newest `retained` that are checkpoints of their own (a takeover or a skipped id only
/// repeats the one before it), and all above.
pub fn kept(kinds: &BTreeMap<CheckpointId, Kind>, committed: CheckpointId, retained: NonZeroU16) -> BTreeSet<CheckpointId> {
    let own = |kind: &Kind| matches!(kind, Kind::First | Kind::Checkpoint | Kind::Savepoint);
    let below = kinds.range(..=committed).rev().filter(|(_, kind)| own(kind)).map(|(id, _)| *id).take(retained.get().into());
    kinds.range(committed..).map(|(id, _)| *id).chain(below).collect()
}

/// What the running job still needs, whatever its manifests say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// Its plugins.
    pub plugins: BTreeSet<Digest>,
    /// Checkpoints that are being copied.
    pub checkpoints: BTreeSet<CheckpointId>,
}

/// What can be deleted once `committed` is the newest committed checkpoint.
pub fn garbage(there: &Inventory, committed: CheckpointId, retained: NonZeroU16, in_use: &InUse) -> Garbage {
    if !there.manifests.contains_key(&committed) {
        // Somebody else deletes here; what is still needed cannot be told.
        return Garbage::default();
    }
    let kinds = there.manifests.iter().map(|(id, named)| (*id, named.kind)).collect();
    let mut kept = kept(&kinds, committed, retained);
    kept.extend(&in_use.checkpoints);
    let (stay, go): (Vec<_>, Vec<_>) = there.manifests.iter().partition(|(id, _)| kept.contains(id));
    let named: BTreeSet<&StateFileName> = stay.iter().flat_map(|(_, named)| &named.files).collect();
    let plugins: BTreeSet<&Digest> = stay.iter().flat_map(|(_, named)| &named.plugins).chain(&in_use.plugins).collect();
    let files = there.files.iter().filter(|file| file.checkpoint() <= committed && !named.contains(file));
    Garbage {
        manifests: go.into_iter().map(|(id, _)| *id).collect(),
        files: files.cloned().collect(),
        plugins: there.plugins.iter().filter(|digest| !plugins.contains(digest)).cloned().collect(),
        leftovers: there.leftovers.iter().filter(|(_, id)| **id <= committed).map(|(path, _)| path.clone()).collect(),
    }
}

impl CheckpointStorage {
    /// Deletes what is garbage once this run has committed `committed`. Nothing is deleted when a manifest that stays cannot be read, or
    /// when another run has taken over.
    ///
    /// # Errors
    /// When something cannot be read or deleted; what is left is garbage for the next time.
    pub async fn collect_garbage(
        &self,
        committed: CheckpointId,
        attempt: AttemptId,
        retained: NonZeroU16,
        in_use: &InUse,
    ) -> Result<Garbage, CheckpointError> {
        let Some(there) = self.inventory(committed, attempt).await? else { return Ok(Garbage::default()) };
        let garbage = garbage(&there, committed, retained, in_use);
        let manifests = garbage.manifests.iter().map(|id| layout::manifest(*id));
        let files = garbage.files.iter().map(layout::state);
        let leftovers = garbage.leftovers.iter().map(|path| Path::from(path.as_str()));
        for path in manifests.chain(files).chain(garbage.plugins.iter().map(layout::plugin)).chain(leftovers) {
            kill_point("garbage");
            match self.store().delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => return Err(self.failed("delete", &path, source)),
            }
        }
        Ok(garbage)
    }

    /// What is there; `None`: another run is at work.
    async fn inventory(&self, committed: CheckpointId, attempt: AttemptId) -> Result<Option<Inventory>, CheckpointError> {
        // Files first: what is written after this look is not in it.
        let state = self.names_in(layout::STATE).await?;
        let files = state.iter().filter_map(|name| name.parse().ok()).collect();
        let in_state = state.iter().map(|name| (layout::STATE, name));
        let beside = self.names_in(layout::MANIFESTS).await?;
        let all = in_state.chain(beside.iter().map(|name| (layout::MANIFESTS, name)));
        let leftovers = all.filter_map(|(folder, name)| Some((format!("{folder}/{name}"), layout::leftover(name)?))).collect();
        let plugins = self.names_in(layout::PLUGINS).await?;
        let plugins = plugins.iter().filter_map(|name| name.strip_suffix(".wasm")?.parse().ok()).collect();
        let mut manifests = BTreeMap::new();
        for id in self.list().await? {
            let Some(manifest) = self.find(id).await? else { return Ok(None) };
            if id >= committed && manifest.attempt != attempt {
                return Ok(None);
            }
            manifests.insert(id, Named::by(&manifest));
        }
        Ok(Some(Inventory { manifests, files, plugins, leftovers }))
    }
}
