//! Finds and deletes the files that earlier runs of a job began and no checkpoint knows.
//!
//! Looked into are the sink's folder and, below it, folders named as partitions (`column=value`), whatever the columns are now. Links are not
//! followed. Empty folders are left: another job may be about to write into one.

use crate::file_system::{Entry, EntryKind, FileSystem};
use crate::in_progress::Owner;
use std::collections::BTreeSet;
use std::path::Path;
use stygian_api::ConnectorError;
use stygian_core::kill_point::kill_point;

/// Deletes what `owner` began below `root`, except those in `keep`, which are relative to it; gives back how many files that were.
pub(crate) fn delete(files: &dyn FileSystem, root: &Path, owner: &Owner, keep: &BTreeSet<String>) -> Result<usize, ConnectorError> {
    let (mut deleted, mut folders) = (0, vec![String::new()]);
    while let Some(folder) = folders.pop() {
        // A sink that has not written yet has no folder.
        for Entry { name, kind, .. } in files.entries(&root.join(&folder))?.unwrap_or_default() {
            let relative = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if kind == EntryKind::Folder && name.contains('=') {
                folders.push(relative);
            } else if kind == EntryKind::File && owner.owns(&name) && !keep.contains(&relative) {
                kill_point("orphan");
                deleted += usize::from(files.remove(&root.join(&relative))?);
            }
        }
    }
    if deleted > 0 {
        tracing::info!(folder = files.shown(root), files = deleted, "deleted files that earlier runs had begun");
    }
    Ok(deleted)
}
