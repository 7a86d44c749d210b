//! A folder that is ours alone, for files that nobody else may read or replace: compiled code, captures.
//!
//! Checked when opened: every folder on the way is a real folder (no symbolic link) of ours or root's that nobody else may write, or sticky
//! as `/tmp` is (there others cannot replace what is ours); the folder itself is ours with mode 0700. From then on files are
//! reached through the open folder, without following links, written with mode 0600 under a temporary name and renamed.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Others could read or replace what is in it.
    #[error("the folder {} is not safe: {reason}", path.display())]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// It cannot be read or written.
    #[error("cannot use the folder {} ({doing})", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    folder: OwnedFd,
    path: PathBuf,
}

impl PrivateFolder {
    /// Opens the folder, making it where it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        let path = std::path::absolute(path).map_err(|source| failed(path, "finding it", source))?;
        let names: Vec<&OsStr> = plain_names(&path)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut folder = rustix::fs::open("/", flags, Mode::empty()).map_err(|e| failed(&path, "opening /", e.into()))?;
        let mut reached = PathBuf::from("/");
        for name in names {
            check_parent(&path, &reached, &folder)?;
            reached.push(name);
            folder = match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&folder, name, Mode::RWXU) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(failed(&path, "making it", error.into())),
                    }
                    rustix::fs::openat(&folder, name, flags, Mode::empty()).map_err(|e| failed(&path, "opening it", e.into()))?
                }
                Err(Errno::LOOP | Errno::NOTDIR) => return Err(no_folder(&path, &reached)),
                Err(error) => return Err(failed(&path, "opening it", error.into())),
                Ok(next) => next,
            };
        }
        check_own(&path, &folder)?;
        Ok(Self { folder, path })
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file's bytes, at most `limit` of them; `None` if there is no such file. The error says what is wrong with it.
    pub(crate) fn read(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, String> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::openat(&self.folder, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.to_string()),
            Ok(file) => read(file, limit).map(Some),
        }
    }

    /// Writes a file, in the place of one of that name; `name` is a plain name that does not begin with a dot.
    pub(crate) fn write(&self, name: &str, parts: &[&[u8]]) -> Result<(), FolderError> {
        static TURN: AtomicU64 = AtomicU64::new(0);
        let temporary = format!(".{name}.{}.{}", std::process::id(), TURN.fetch_add(1, Ordering::Relaxed));
        self.write_as(&temporary, name, parts).map_err(|source| {
            // What cannot be written can most likely not be removed; the next write has another name.
            let _ = rustix::fs::unlinkat(&self.folder, &temporary, AtFlags::empty());
            failed(&self.path, "writing a file", source)
        })
    }

    fn write_as(&self, temporary: &str, name: &str, parts: &[&[u8]]) -> std::io::Result<()> {
        // A process of the same id may have died here; nobody else can have made this name.
        let _ = rustix::fs::unlinkat(&self.folder, temporary, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.folder, temporary, flags, Mode::RUSR | Mode::WUSR)?);
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        Ok(rustix::fs::renameat(&self.folder, temporary, &self.folder, name)?)
    }

    /// Removes the files written longest ago beyond a number of files and of bytes, also what writers left that were killed. `newest` was
    /// written just now, whatever the clock of the file system can tell.
    pub(crate) fn tidy(&self, newest: &str, most_files: usize, most_bytes: u64) -> Result<(), Errno> {
        let (mut files, mut kept, mut bytes) = (Vec::new(), 0, 0_u64);
        for entry in rustix::fs::Dir::read_from(&self.folder)? {
            let name = entry?.file_name().to_owned();
            let stat = rustix::fs::statat(&self.folder, &name, AtFlags::SYMLINK_NOFOLLOW);
            if let Ok(stat) = stat
                && FileType::from_raw_mode(stat.st_mode) != FileType::Directory
            {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                files.push((name.to_bytes() == newest.as_bytes(), stat.st_mtime, stat.st_mtime_nsec, name, size));
            }
        }
        files.sort_unstable();
        for (.., name, size) in files.iter().rev() {
            (kept, bytes) = (kept + 1, bytes.saturating_add(*size));
            if kept <= most_files && bytes <= most_bytes {
                continue;
            }
            match rustix::fs::unlinkat(&self.folder, name, AtFlags::empty()) {
                // Another process tidies too.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reads a file; the error says what is wrong with it.
fn read(file: OwnedFd, limit: usize) -> Result<Vec<u8>, String> {
    let stat = rustix::fs::fstat(&file).map_err(|e| e.to_string())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !is_ours(&stat) || writable_by_others(&stat) {
        return Err("it is no file of ours alone".to_owned());
    }
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(0).min(limit));
    File::from(file).take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() > limit { Err("it is too large".to_owned()) } else { Ok(bytes) }
}

/// The names on the way from the root; `..` is refused because it makes the checks of what is before it worthless.
fn plain_names(path: &Path) -> Result<Vec<&OsStr>, FolderError> {
    path.components()
        .filter_map(|part| match part {
            Component::RootDir | Component::CurDir => None,
            Component::Normal(name) => Some(Ok(name)),
            Component::ParentDir | Component::Prefix(_) => Some(Err(unsafe_folder(path, "it contains `..`; name it without".to_owned()))),
        })
        .collect()
}

fn check_parent(path: &Path, parent: &Path, folder: &OwnedFd) -> Result<(), FolderError> {
    let stat = rustix::fs::fstat(folder).map_err(|e| failed(path, "looking at a parent", e.into()))?;
    let parent = parent.display();
    if !is_ours(&stat) && stat.st_uid != 0 {
        let reason = format!("`{parent}` belongs to another user (uid {}), who could replace it; choose another place", stat.st_uid);
        return Err(unsafe_folder(path, reason));
    }
    if writable_by_others(&stat) && !Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX) {
        return Err(unsafe_folder(path, format!("others may write `{parent}` and replace what is in it; run `chmod go-w {parent}`")));
    }
    Ok(())
}

fn check_own(path: &Path, folder: &OwnedFd) -> Result<(), FolderError> {
    let stat = rustix::fs::fstat(folder).map_err(|e| failed(path, "looking at it", e.into()))?;
    if !is_ours(&stat) {
        return Err(unsafe_folder(path, format!("it belongs to another user (uid {}); choose another place", stat.st_uid)));
    }
    if Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
        let shown = path.display();
        return Err(unsafe_folder(path, format!("others may use it; empty it and run `chmod 700 {shown}`")));
    }
    Ok(())
}

fn is_ours(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}

fn writable_by_others(stat: &Stat) -> bool {
    Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH)
}

fn unsafe_folder(path: &Path, reason: String) -> FolderError {
    FolderError::Unsafe { path: path.to_owned(), reason }
}

fn no_folder(path: &Path, reached: &Path) -> FolderError {
    unsafe_folder(path, format!("`{}` is a symbolic link or no folder; name the folder by its real path", reached.display()))
}

fn failed(path: &Path, doing: &'static str, source: std::io::Error) -> FolderError {
    FolderError::Io { path: path.to_owned(), doing, source }
}
