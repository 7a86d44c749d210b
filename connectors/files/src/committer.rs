//! Makes finished files visible: renames them from their in-progress names, once, however often it is asked to.
//!
//! A crash can come between any two renames, and before a rename is durable; both leave a file under exactly one of its two names. So the
//! rule is: under its in-progress name it is renamed; under its final name it is done, if it is the file that was finished (length and
//! checksum); under none or both something else has been at work, and nothing is touched.

use crate::checksum::Checksum;
use crate::file_system::{FileSystem, failed};
use crate::in_progress::Owner;
use crate::orphans;
use crate::source::blocking;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
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

    fn read(files: &dyn FileSystem, root: &Path, pending: &Pending) -> Result<Self, ConnectorError> {
        Self::deserialize(&pending.0).map_err(|e| {
            let reason = format!("a pending file is not understood: {e}");
            let hint = "go on with the version of stygian that wrote the checkpoint";
            ConnectorError::refused(files.shown(root), reason, hint)
        })
    }

    /// That the file at `path` is this one, as far as is looked.
    fn check(&self, files: &dyn FileSystem, path: &Path, found: u64, look: Look) -> Result<(), ConnectorError> {
        if found != self.length {
            return Err(refused(files, path, format!("it has {found} bytes instead of {}", self.length)));
        }
        if look == Look::AtLength {
            return Ok(());
        }
        let checksum = Checksum::of_file(files.open(path)?).map_err(|e| failed("read", files.shown(path), e))?;
        if checksum == self.checksum {
            return Ok(());
        }
        Err(refused(files, path, format!("it is not what was written: its checksum is {checksum} instead of {}", self.checksum)))
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
    pub(crate) files: Arc<dyn FileSystem>,
    pub(crate) root: PathBuf,
    /// The sink's node.
    pub(crate) sink: String,
}

impl Renamer {
    async fn commit_all(&self, pending: &[Pending], look: Look) -> Result<(), ConnectorError> {
        let (files, root, pending) = (self.files.clone(), self.root.clone(), pending.to_vec());
        blocking(move || commit_all(&*files, &root, &pending, look)).await
    }
}

#[async_trait]
impl Committer for Renamer {
    async fn commit(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        self.commit_all(pending, Look::AtLength).await
    }

    async fn recover(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        self.commit_all(pending, Look::AtBytes).await
    }

    async fn clean(&mut self, job: &str, keep: &[Pending]) -> Result<usize, ConnectorError> {
        let (files, root, owner) = (self.files.clone(), self.root.clone(), Owner::new(job, &self.sink));
        let keep = keep.iter().map(|pending| PendingFile::read(&*files, &root, pending).map(|file| file.from));
        let keep: BTreeSet<String> = keep.collect::<Result<_, _>>()?;
        blocking(move || orphans::delete(&*files, &root, &owner, &keep)).await
    }
}

fn commit_all(files: &dyn FileSystem, root: &Path, pending: &[Pending], look: Look) -> Result<(), ConnectorError> {
    let mut folders = BTreeSet::new();
    let done = pending.iter().try_for_each(|pending| {
        let to = commit_one(files, root, &PendingFile::read(files, root, pending)?, look)?;
        folders.extend(to.parent().map(Path::to_owned));
        Ok(())
    });
    // Also after a failure: what was renamed stays. Also where nothing was renamed now: an earlier rename may not be durable yet.
    done.and(folders.iter().try_for_each(|folder| files.sync_folder(folder)))
}

fn commit_one(files: &dyn FileSystem, root: &Path, file: &PendingFile, look: Look) -> Result<PathBuf, ConnectorError> {
    let (from, to) = (inside(files, root, &file.from)?, inside(files, root, &file.to)?);
    match (files.length(&from)?, files.length(&to)?) {
        (Some(found), None) => {
            kill_point("unrenamed");
            let renamed = file.check(files, &from, found, look).and_then(|()| files.rename_new(&from, &to));
            match renamed {
                Ok(()) => kill_point("renamed"),
                Err(error) => renamed_by_another(files, &from, &to, file)?.ok_or(error)?,
            }
        }
        // Whoever renamed it is not known, so that it is the right one is made sure of.
        (None, Some(found)) => file.check(files, &to, found, Look::AtBytes)?,
        // Or it was renamed between the two looks.
        (Some(_), Some(_)) => {
            let not_ours = || refused(files, &to, "there is a file of this name, and it is not ours".into());
            renamed_by_another(files, &from, &to, file)?.ok_or_else(not_ours)?;
        }
        (None, None) => return Err(refused(files, &from, "the finished file is gone".into())),
    }
    Ok(to)
}

/// Whether a run that lost the job to this one, or has it now, was quicker: then the file is there under its final name alone.
fn renamed_by_another(files: &dyn FileSystem, from: &Path, to: &Path, file: &PendingFile) -> Result<Option<()>, ConnectorError> {
    match (files.length(from)?, files.length(to)?) {
        (None, Some(found)) => file.check(files, to, found, Look::AtBytes).map(Some),
        _ => Ok(None),
    }
}

fn inside(files: &dyn FileSystem, root: &Path, name: &str) -> Result<PathBuf, ConnectorError> {
    let mut parts = Path::new(name).components().peekable();
    if parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_))) {
        return Ok(root.join(name));
    }
    Err(refused(files, root, format!("a pending file has the name `{}`", stygian_core::escape(name, 100))))
}

fn refused(files: &dyn FileSystem, path: &Path, reason: String) -> ConnectorError {
    let hint = "look for what moved or replaced files in the sink's folder; nothing was overwritten";
    ConnectorError::refused(files.shown(path), reason, hint)
}
