//! Checkpoint storage: manifests, state files and plugins in one folder of an object store.
//!
//! Only complete things are ever seen: a file appears under its name when all of it is durable, and a manifest is created only where there
//! is none of its id. A manifest that exists is committed; if it cannot be read, that is an error for a person and never a reason to
//! take an older one. Who decides what is written when is the coordinator; what to do at a start is decided in [`crate::recovery`].

use crate::codec::MAX_MANIFEST_BYTES;
use crate::error::{CheckpointError, Damage};
use crate::layout;
use crate::local::{self, FolderLock};
use crate::manifest::Manifest;
use crate::names::{AttemptId, Digest, StateFileName};
use crate::state_file::StateFileWriter;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use stygian_core::CheckpointId;

/// Where the checkpoints of one job lie. Methods run on the I/O runtime.
#[derive(Debug)]
pub struct CheckpointStorage {
    store: Arc<dyn ObjectStore>,
    what: String,
    /// An error of a write means that nothing was written and nothing will be: true of a local folder, not of a server that may still be at
    /// it.
    pub(crate) settled: bool,
    files: AtomicU32,
    _lock: Option<FolderLock>,
}

impl CheckpointStorage {
    /// A storage over any object store; `what` names it in messages (`hdfs://nn/checkpoints/clicks`). Nothing but the exclusive creation of
    /// manifests keeps a second process out.
    pub fn new(store: Arc<dyn ObjectStore>, what: impl Into<String>) -> Self {
        Self { store, what: what.into(), settled: false, files: AtomicU32::new(0), _lock: None }
    }

    /// A local folder, made (mode 0700) where it is missing, and locked for as long as this value lives. Files and folders are synced.
    /// Blocks shortly.
    ///
    /// # Errors
    /// [`CheckpointError::InUse`] when another process has it, [`CheckpointError::Unsafe`] when others may write to it.
    pub fn local(folder: &std::path::Path) -> Result<Self, CheckpointError> {
        let folder = local::prepare(folder)?;
        let lock = local::lock(&folder)?;
        local::sweep(&folder)?;
        Ok(Self { _lock: Some(lock), ..Self::over(&folder)? })
    }

    /// A local folder for reading only: not made, not locked. What is read may be collected as garbage by the job meanwhile.
    ///
    /// # Errors
    /// When there is no such folder, or others may write to it.
    pub fn local_for_reading(folder: &std::path::Path) -> Result<Self, CheckpointError> {
        let folder = folder.canonicalize().map_err(|source| CheckpointError::storage("open", folder.display().to_string(), source))?;
        local::check(&folder)?;
        Self::over(&folder)
    }

    fn over(folder: &std::path::Path) -> Result<Self, CheckpointError> {
        let what = folder.display().to_string();
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|source| CheckpointError::storage("open", what.clone(), source))?;
        Ok(Self { settled: true, ..Self::new(Arc::new(store.with_fsync(true)), what) })
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.what
    }

    /// The ids of all manifests, ascending.
    ///
    /// # Errors
    /// When the folder cannot be listed, or a file in it is meant to be a manifest and is called as none.
    pub async fn list(&self) -> Result<Vec<CheckpointId>, CheckpointError> {
        let mut ids = Vec::new();
        for name in self.names_in(layout::MANIFESTS).await? {
            match layout::manifest_id(&name) {
                None => {}
                Some(Ok(id)) => ids.push(id),
                Some(Err(())) => {
                    let file = self.full(&Path::from_iter([layout::MANIFESTS, &name]));
                    let damage = Damage::Senseless("no manifest has such a name; move it away if it is a copy".into());
                    return Err(CheckpointError::damaged(file, damage));
                }
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`CheckpointError::NoSuchCheckpoint`]; [`CheckpointError::Damaged`] or [`CheckpointError::Version`] when it is there and cannot be
    /// read.
    pub async fn open(&self, id: CheckpointId) -> Result<Manifest, CheckpointError> {
        self.find(id).await?.ok_or_else(|| CheckpointError::NoSuchCheckpoint { id, storage: self.what.clone() })
    }

    /// As [`CheckpointStorage::open`]; `None`: there is none.
    pub(crate) async fn find(&self, id: CheckpointId) -> Result<Option<Manifest>, CheckpointError> {
        let path = layout::manifest(id);
        let Some(bytes) = self.read_all(&path, MAX_MANIFEST_BYTES).await? else { return Ok(None) };
        let file = self.full(&path);
        let manifest = Manifest::decode(&bytes, &file)?;
        if manifest.id != id {
            return Err(CheckpointError::damaged(file, Damage::Senseless(format!("it is the manifest of checkpoint {}", manifest.id))));
        }
        Ok(Some(manifest))
    }

    /// A writer of a new state file of a checkpoint; its name is given to no other.
    pub fn write_state(&self, id: CheckpointId, attempt: AttemptId) -> StateFileWriter {
        let name = StateFileName::new(id, attempt, self.files.fetch_add(1, Ordering::Relaxed));
        StateFileWriter::new(Arc::clone(&self.store), self.what.clone(), name)
    }

    /// Keeps a plugin's component beside the checkpoints, unless it is there already.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep_plugin(&self, component: &[u8]) -> Result<Digest, CheckpointError> {
        let digest = Digest::of(component);
        let path = layout::plugin(&digest);
        match self.store.head(&path).await {
            Ok(there) if there.size == component.len() as u64 => return Ok(digest),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(self.failed("read", &path, source)),
        }
        self.store.put(&path, Bytes::copy_from_slice(component).into()).await.map_err(|source| self.failed("write", &path, source))?;
        Ok(digest)
    }

    /// The component of a plugin that was kept; at most `limit` bytes.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] when it is gone, too large, or not what its digest says.
    pub async fn plugin(&self, digest: &Digest, limit: u64) -> Result<Bytes, CheckpointError> {
        let path = layout::plugin(digest);
        let damaged = |damage| CheckpointError::damaged(self.full(&path), damage);
        let bytes = self.read_all(&path, limit).await?.ok_or_else(|| damaged(Damage::Gone))?;
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(damaged(Damage::Checksum)) }
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// A file's name for messages.
    pub(crate) fn full(&self, path: &Path) -> String {
        format!("{}/{path}", self.what)
    }

    pub(crate) fn failed(&self, doing: &'static str, path: &Path, source: object_store::Error) -> CheckpointError {
        CheckpointError::storage(doing, self.full(path), source)
    }

    /// The names of the files in a folder.
    pub(crate) async fn names_in(&self, folder: &str) -> Result<Vec<String>, CheckpointError> {
        let prefix = Path::from(folder);
        let listed: Result<Vec<_>, _> = self.store.list(Some(&prefix)).try_collect().await;
        let listed = match listed {
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            listed => listed.map_err(|source| self.failed("list", &prefix, source))?,
        };
        let direct = listed.iter().filter(|entry| entry.location.parts_count() == 2);
        Ok(direct.filter_map(|entry| entry.location.filename().map(str::to_owned)).collect())
    }

    /// A file's bytes; `None` if there is none. Its length is checked before it is read.
    pub(crate) async fn read_all(&self, path: &Path, limit: u64) -> Result<Option<Bytes>, CheckpointError> {
        let got = match self.store.get(path).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            got => got.map_err(|source| self.failed("read", path, source))?,
        };
        if got.meta.size > limit {
            return Err(CheckpointError::damaged(self.full(path), Damage::TooLarge(got.meta.size)));
        }
        got.bytes().await.map(Some).map_err(|source| self.failed("read", path, source))
    }
}
