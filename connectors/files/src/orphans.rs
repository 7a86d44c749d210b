//! Finds and deletes the files that earlier runs of a job began and no checkpoint knows.
//!
//! Looked into are the sink's folder and, below it, folders named as partitions (`column=value`), whatever the columns are now. Links are not
//! followed. Empty folders are left: another job may be about to write into one.

use crate::in_progress::Owner;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use stygian_api::ConnectorError;
use stygian_core::kill_point::kill_point;

/// Deletes what `owner` began below `root`, except those in `keep`, which are relative to it; gives back how many files that were.
pub(crate) fn delete(root: &Path, owner: &Owner, keep: &BTreeSet<String>) -> Result<usize, ConnectorError> {
    let (mut deleted, mut folders) = (0, vec![String::new()]);
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        let entries = match path.read_dir() {
            // A sink that has not written yet has no folder.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.map_err(|e| failed("read", &path, e))?,
        };
        for entry in entries {
            let entry = entry.map_err(|e| failed("read", &path, e))?;
            let kind = entry.file_type().map_err(|e| failed("read", &entry.path(), e))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let relative = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if kind.is_dir() && name.contains('=') {
                folders.push(relative);
            } else if kind.is_file() && owner.owns(&name) && !keep.contains(&relative) {
                kill_point("orphan");
                deleted += usize::from(remove(&entry.path()).map_err(|e| failed("delete", &entry.path(), e))?);
            }
        }
    }
    if deleted > 0 {
        tracing::info!(folder = %root.display(), files = deleted, "deleted files that earlier runs had begun");
    }
    Ok(deleted)
}

/// False if it was gone already.
fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}

fn failed(doing: &'static str, path: &Path, error: io::Error) -> ConnectorError {
    ConnectorError::io(doing, path.display().to_string(), error)
}
