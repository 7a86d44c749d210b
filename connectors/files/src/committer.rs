//! Makes finished files visible: renames them from their in-progress names, once, however often it is asked to.

use crate::folder;
use crate::source::blocking;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use stygian_api::{Committer, ConnectorError, Pending};

/// A finished file that waits for its final name. Both names are relative to the sink's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PendingFile {
    pub(crate) from: String,
    pub(crate) to: String,
    /// In bytes.
    pub(crate) length: u64,
}

impl PendingFile {
    pub(crate) fn into_pending(self) -> Pending {
        Pending(serde_json::json!({ "from": self.from, "to": self.to, "length": self.length }))
    }
}

/// Renames files below a folder.
#[derive(Debug)]
pub(crate) struct Renamer {
    pub(crate) root: PathBuf,
}

#[async_trait]
impl Committer for Renamer {
    async fn commit(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        let (root, pending) = (self.root.clone(), pending.to_vec());
        blocking(move || commit_all(&root, &pending)).await
    }
}

fn commit_all(root: &Path, pending: &[Pending]) -> Result<(), ConnectorError> {
    let mut folders = BTreeSet::new();
    let done = pending.iter().try_for_each(|pending| {
        let to = commit_one(root, &pending.0)?;
        folders.extend(to.parent().map(Path::to_owned));
        Ok(())
    });
    // Also after a failure: what was renamed stays.
    let synced = folders.iter().try_for_each(|folder| folder::sync(folder).map_err(|e| io("write", folder, e)));
    done.and(synced)
}

fn commit_one(root: &Path, pending: &serde_json::Value) -> Result<PathBuf, ConnectorError> {
    let file = PendingFile::deserialize(pending).map_err(|e| refused(root, format!("a pending file is not understood: {e}")))?;
    let (from, to) = (inside(root, &file.from)?, inside(root, &file.to)?);
    match (length(&from)?, length(&to)?) {
        (Some(found), None) if found == file.length => {
            folder::rename_new(&from, &to).map_err(|e| io("rename", &from, e))?;
        }
        (None, Some(found)) if found == file.length => {}
        (Some(found), None) => return Err(refused(&from, format!("it has {found} bytes instead of {}", file.length))),
        (None, Some(found)) => return Err(refused(&to, format!("it has {found} bytes instead of {}", file.length))),
        (Some(_), Some(_)) => return Err(refused(&to, "there is a file of this name, and it is not ours".into())),
        (None, None) => return Err(refused(&from, "the finished file is gone".into())),
    }
    Ok(to)
}

/// The length of a file; `None` if there is none. Links are not followed.
fn length(path: &Path) -> Result<Option<u64>, ConnectorError> {
    match path.symlink_metadata() {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", path, error)),
    }
}

fn inside(root: &Path, name: &str) -> Result<PathBuf, ConnectorError> {
    let mut parts = Path::new(name).components().peekable();
    if parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_))) {
        return Ok(root.join(name));
    }
    Err(refused(root, format!("a pending file has the name `{}`", stygian_core::escape(name, 100))))
}

fn refused(path: &Path, reason: String) -> ConnectorError {
    let hint = "look for what moved or replaced files in the sink's folder; nothing was overwritten".into();
    ConnectorError::Refused { what: path.display().to_string(), reason, hint }
}

fn io(doing: &'static str, path: &Path, error: std::io::Error) -> ConnectorError {
    ConnectorError::io(doing, path.display().to_string(), error)
}
