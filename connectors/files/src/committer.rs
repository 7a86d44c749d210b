//! Makes finished files visible: renames them from their in-progress names, once, however often it is asked to.
//!
//! A crash can come between any two renames, and before a rename is durable; both leave a file under exactly one of its two names. So the
//! rule is: under its in-progress name it is renamed; under its final name it is done, if it is the file that was finished (length and
//! checksum); under none or both something else has been at work, and nothing is touched.

use crate::checksum::Checksum;
use crate::folder;
use crate::in_progress::Owner;
use crate::orphans;
use crate::source::blocking;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use stygian_api::{Committer, ConnectorError, Pending};
use stygian_core::kill_point::kill_point;

/// A finished file that waits for its final name. Both names are relative to the sink's folder.
///
/// Checkpoints hold this as JSON. A field that is not known is refused, because what it asks for would be left undone; so is a checksum of
/// another name. All fields are needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PendingFile {
    pub(crate) from: String,
    pub(crate) to: String,
    /// In bytes.
    pub(crate) length: u64,
    /// Of all its bytes, as they lie in the file.
    pub(crate) checksum: Checksum,
}

impl PendingFile {
    pub(crate) fn into_pending(self) -> Pending {
        let Self { from, to, length, checksum } = self;
        Pending(serde_json::json!({ "from": from, "to": to, "length": length, "checksum": checksum.to_string() }))
    }

    fn read(root: &Path, pending: &Pending) -> Result<Self, ConnectorError> {
        Self::deserialize(&pending.0).map_err(|e| {
            let reason = format!("a pending file is not understood: {e}");
            let hint = "go on with the version of stygian that wrote the checkpoint";
            ConnectorError::refused(root.display().to_string(), reason, hint)
        })
    }

    /// That the file at `path` is this one, as far as is looked.
    fn check(&self, path: &Path, found: u64, look: Look) -> Result<(), ConnectorError> {
        if found != self.length {
            return Err(refused(path, format!("it has {found} bytes instead of {}", self.length)));
        }
        if look == Look::AtLength {
            return Ok(());
        }
        let checksum = Checksum::of_file(path).map_err(|e| io("read", path, e))?;
        if checksum == self.checksum {
            return Ok(());
        }
        Err(refused(path, format!("it is not what was written: its checksum is {checksum} instead of {}", self.checksum)))
    }
}

/// How closely a finished file is looked at before it is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// In the run that wrote it moments ago: its bytes were counted and summed as they were written, and are durable.
    AtLength,
    /// After a restart: between then and now lies a crash, maybe of the machine, and once the file is visible nobody can take it back. That is
    /// worth reading again what the last checkpoints had pending, which is not much.
    AtBytes,
}

/// Renames files below a folder.
#[derive(Debug)]
pub(crate) struct Renamer {
    pub(crate) root: PathBuf,
    /// The sink's node.
    pub(crate) sink: String,
}

#[async_trait]
impl Committer for Renamer {
    async fn commit(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        let (root, pending) = (self.root.clone(), pending.to_vec());
        blocking(move || commit_all(&root, &pending, Look::AtLength)).await
    }

    async fn recover(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        let (root, pending) = (self.root.clone(), pending.to_vec());
        blocking(move || commit_all(&root, &pending, Look::AtBytes)).await
    }

    async fn clean(&mut self, job: &str, keep: &[Pending]) -> Result<usize, ConnectorError> {
        let (root, owner) = (self.root.clone(), Owner::new(job, &self.sink));
        let keep = keep.iter().map(|pending| PendingFile::read(&root, pending).map(|file| file.from));
        let keep: BTreeSet<String> = keep.collect::<Result<_, _>>()?;
        blocking(move || orphans::delete(&root, &owner, &keep)).await
    }
}

fn commit_all(root: &Path, pending: &[Pending], look: Look) -> Result<(), ConnectorError> {
    let mut folders = BTreeSet::new();
    let done = pending.iter().try_for_each(|pending| {
        let to = commit_one(root, &PendingFile::read(root, pending)?, look)?;
        folders.extend(to.parent().map(Path::to_owned));
        Ok(())
    });
    // Also after a failure: what was renamed stays. Also where nothing was renamed now: an earlier rename may not be durable yet.
    let synced = folders.iter().try_for_each(|folder| folder::sync(folder).map_err(|e| io("write", folder, e)));
    done.and(synced)
}

fn commit_one(root: &Path, file: &PendingFile, look: Look) -> Result<PathBuf, ConnectorError> {
    let (from, to) = (inside(root, &file.from)?, inside(root, &file.to)?);
    match (length(&from)?, length(&to)?) {
        (Some(found), None) => {
            file.check(&from, found, look)?;
            kill_point("unrenamed");
            folder::rename_new(&from, &to).map_err(|e| io("rename", &from, e))?;
            kill_point("renamed");
        }
        // Whoever renamed it is not known, so that it is the right one is made sure of.
        (None, Some(found)) => file.check(&to, found, Look::AtBytes)?,
        (Some(_), Some(_)) => return Err(refused(&to, "there is a file of this name, and it is not ours".into())),
        (None, None) => return Err(refused(&from, "the finished file is gone".into())),
    }
    Ok(to)
}

/// The length of a file; `None` if there is none. Links are not followed.
fn length(path: &Path) -> Result<Option<u64>, ConnectorError> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => Err(refused(path, "it is no file".into())),
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
    let hint = "look for what moved or replaced files in the sink's folder; nothing was overwritten";
    ConnectorError::refused(path.display().to_string(), reason, hint)
}

fn io(doing: &'static str, path: &Path, error: std::io::Error) -> ConnectorError {
    ConnectorError::io(doing, path.display().to_string(), error)
}
