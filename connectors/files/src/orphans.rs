//! Finds and deletes the files that earlier runs of a job began and no checkpoint knows.
//!
//! Looked into are the sink's folder and, below it, folders named as partitions (`column=value`), whatever the columns are now. Links are not
//! followed. Empty folders are left: another job may be about to write into one.

use crate::file_system::{Entry, EntryKind, FileSystem};
use crate::in_progress::{Owner, final_name_of};
use crate::pending_file::inside;
use std::collections::BTreeSet;
use std::path::Path;
use stygian_api::{ConnectorError, Orphan};
use stygian_core::kill_point::kill_point;

/// What `owner` began below `root`, except those in `keep`; all names are relative to it.
pub(crate) fn find(files: &dyn FileSystem, root: &Path, owner: &Owner, keep: &BTreeSet<String>) -> Result<Vec<Orphan>, ConnectorError> {
    let (mut found, mut folders) = (Vec::new(), vec![String::new()]);
    while let Some(folder) = folders.pop() {
        // A sink that has not written yet has no folder.
        for Entry { name, kind, .. } in files.entries(&root.join(&folder))?.unwrap_or_default() {
            let relative = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if kind == EntryKind::Folder && name.contains('=') {
                folders.push(relative);
            } else if kind == EntryKind::File && owner.owns(&name) && !keep.contains(&relative) {
                found.push(Orphan(relative));
            }
        }
    }
    Ok(found)
}

/// Deletes these; gives back how many were still there.
pub(crate) fn delete(files: &dyn FileSystem, root: &Path, orphans: &[Orphan]) -> Result<usize, ConnectorError> {
    let mut deleted = 0;
    for Orphan(name) in orphans {
        kill_point("orphan");
        if files.remove(&inside(files, root, name)?)? {
            deleted += 1;
        } else {
            is_not_visible(files, root, name)?;
        }
    }
    if deleted > 0 {
        tracing::info!(folder = files.shown(root), files = deleted, "deleted files that earlier runs had begun");
    }
    Ok(deleted)
}

/// An orphan that is gone may have been made visible by an earlier run, which had begun with that before it lost the job.
fn is_not_visible(files: &dyn FileSystem, root: &Path, name: &str) -> Result<(), ConnectorError> {
    let Some(name) = final_name_of(name) else { return Ok(()) };
    let visible = inside(files, root, &name)?;
    if files.length(&visible)?.is_none() {
        return Ok(());
    }
    let reason = "an earlier run, which went on meanwhile, has made it visible: what is read again now would be there twice";
    Err(ConnectorError::refused(files.shown(&visible), reason, "end the earlier run, remove this file, and start the job again"))
}
