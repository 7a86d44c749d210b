//! A local folder for checkpoints: ours alone, and of one writing process at a time.
//!
//! The lock is `flock` on the file `lock` in the folder: the kernel gives it up when the process ends, however it ends. The file holds the
//! process id of who took it last, for messages only; it is never deleted, since a deleted lock keeps nobody out.

use crate::error::CheckpointError;
use crate::layout;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use stygian_core::kill_point::is_set;

const BELOW: [&str; 3] = [layout::MANIFESTS, layout::STATE, layout::PLUGINS];

/// Holds a folder's lock until it is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

/// Makes the folder, those in it and those above it where they are missing, durably, mode 0700; then checks that they are ours.
pub(crate) fn prepare(folder: &Path) -> Result<PathBuf, CheckpointError> {
    make(folder).map_err(|source| failed("make", folder, source))?;
    let folder = folder.canonicalize().map_err(|source| failed("open", folder, source))?;
    check(&folder)?;
    for below in BELOW {
        let below = folder.join(below);
        make(&below).map_err(|source| failed("make", &below, source))?;
        check(&below)?;
    }
    Ok(folder)
}

/// Checks that a folder is ours and that nobody else may write to it.
pub(crate) fn check(folder: &Path) -> Result<(), CheckpointError> {
    let unsafe_for = |reason: String| CheckpointError::Unsafe { path: folder.into(), reason };
    let metadata = fs::metadata(folder).map_err(|source| failed("open", folder, source))?;
    let us = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() {
        return Err(unsafe_for("it is not a folder".into()));
    }
    if metadata.uid() != us {
        return Err(unsafe_for(format!("it belongs to user {}, this process is user {us}; give it to that user", metadata.uid())));
    }
    if metadata.mode() & 0o022 != 0 {
        let mode = metadata.mode() & 0o7777;
        return Err(unsafe_for(format!("its mode is {mode:04o}, so others may replace what is in it; `chmod 700` it")));
    }
    Ok(())
}

/// Takes the folder's lock, or says who has it.
pub(crate) fn lock(folder: &Path) -> Result<FolderLock, CheckpointError> {
    let path = folder.join(layout::LOCK);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR);
    let mut file = File::from(opened.map_err(|source| failed("lock", &path, source.into()))?);
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) if is_set("no-lock") => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(CheckpointError::InUse { path: folder.into(), holder: holder(&mut file) }),
        Err(source) => return Err(failed("lock", &path, source.into())),
    }
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(|source| failed("lock", &path, source))?;
    Ok(FolderLock { _file: file })
}

/// What the holder wrote; it may be just about to.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    match text.trim().parse::<u32>() {
        Ok(process) if read.is_ok() => format!("process {process}"),
        _ => "another process".into(),
    }
}

/// Deletes what a killed process had begun to write under a temporary name (`NAME#1`); only the holder of the lock may. The object store
/// never lists these files.
pub(crate) fn sweep(folder: &Path) -> Result<(), CheckpointError> {
    if is_set("no-lock") {
        // Another process may be writing them.
        return Ok(());
    }
    for below in BELOW {
        let below = folder.join(below);
        let entries = fs::read_dir(&below).map_err(|source| failed("list", &below, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| failed("list", &below, source))?;
            if is_temporary(&entry.file_name().to_string_lossy()) {
                fs::remove_file(entry.path()).map_err(|source| failed("delete", &entry.path(), source))?;
            }
        }
    }
    Ok(())
}

fn is_temporary(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(parent) = folder.parent() else { return Ok(()) };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    make(parent)?;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made.and_then(|()| File::open(parent)?.sync_all()),
    }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> CheckpointError {
    CheckpointError::storage(doing, path.display().to_string(), source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_folder_is_ours_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = prepare(&root.path().join("a/b")).expect("made");
        assert_eq!(fs::metadata(&folder).expect("there").mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(root.path().join("a")).expect("there").mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused() {
        let root = tempfile::tempdir().expect("a folder");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o770)).expect("set");
        let error = prepare(root.path()).expect_err("refused").to_string();
        assert!(error.contains("0770") && error.contains("chmod 700"), "{error}");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o750)).expect("set");
        prepare(root.path()).expect("others may read");
        fs::set_permissions(root.path().join("state"), fs::Permissions::from_mode(0o770)).expect("set");
        assert!(prepare(root.path()).expect_err("refused").to_string().contains("/state is not safe"));
    }

    #[test]
    fn a_second_writer_is_told_who_holds_the_folder() {
        let root = tempfile::tempdir().expect("a folder");
        let first = lock(root.path()).expect("free");
        let error = lock(root.path()).expect_err("held").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(error.contains(&root.path().display().to_string()), "{error}");
        drop(first);
        lock(root.path()).expect("free again");
    }

    #[test]
    fn only_temporary_files_are_swept() {
        let root = tempfile::tempdir().expect("a folder");
        prepare(root.path()).expect("made");
        let state = root.path().join("state");
        for name in ["a.state", "a.state#1", "a.state#12", "a#b"] {
            fs::write(state.join(name), "x").expect("written");
        }
        sweep(root.path()).expect("swept");
        let mut left: Vec<_> = fs::read_dir(&state).expect("there").map(|e| e.expect("an entry").file_name()).collect();
        left.sort();
        assert_eq!(left, ["a#b", "a.state"]);
    }
}
