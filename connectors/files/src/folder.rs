//! Folders and renames that survive a crash of the machine.

use rustix::fs::{CWD, RenameFlags};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes a folder and those above it, and makes their entries durable.
pub(crate) fn create(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(parent) = folder.parent() else { return fs::create_dir(folder) };
    if !parent.as_os_str().is_empty() {
        create(parent)?;
    }
    match fs::create_dir(folder) {
        // Another subtask was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made.and_then(|()| sync(parent)),
    }
}

/// Makes a folder's entries durable.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    let here = Path::new(".");
    File::open(if folder.as_os_str().is_empty() { here } else { folder })?.sync_all()
}

/// Renames, unless there is a file of the new name.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // File systems without this call; the names are of one attempt, so nobody else makes one of them meanwhile.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if to.symlink_metadata().is_err() => fs::rename(from, to),
        renamed => renamed.map_err(Into::into),
    }
}
