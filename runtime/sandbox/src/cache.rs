//! The folder of compiled code. Whoever can write there can run code as us, so it is ours alone or not used at all.
//!
//! Checked when opened: every folder on the way is a real folder (no symbolic link) of ours or root's that nobody else may write, or sticky
//! as `/tmp` is (there others cannot replace what is ours); the folder itself is ours with mode 0700. From then on files are
//! reached through the open folder, without following links, written under a temporary name and renamed. An entry is a header, the
//! SHA-256 of the code, the code; an entry in doubt counts as absent. The number of entries is bounded.

use crate::SandboxError;
use crate::compiled::Compiled;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const MAGIC: &[u8; 16] = b"stygian-code-1\n\0";
/// Entries kept; beyond, the ones written longest ago go. A process of many plugins rarely has half as many.
const MOST_ENTRIES: usize = 256;
const HEADER: usize = MAGIC.len() + 32;

/// An open cache folder.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: OwnedFd,
    path: PathBuf,
}

impl Cache {
    /// Opens the folder, making it where it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, SandboxError> {
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

    /// The code under a key, unless there is none or it is in doubt.
    pub(crate) fn get(&self, key: &str, limit: usize) -> Option<Compiled> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.folder, key, flags, Mode::empty()) {
            Err(Errno::NOENT) => return None,
            Err(error) => return self.doubt(key, &error.to_string()),
            Ok(file) => file,
        };
        match read(file, limit) {
            Ok(bytes) => Some(Compiled::vouched(bytes)),
            Err(reason) => self.doubt(key, &reason),
        }
    }

    fn doubt(&self, key: &str, reason: &str) -> Option<Compiled> {
        tracing::warn!(folder = %self.path.display(), key, reason, "compiled code is in doubt, compiling again");
        None
    }

    /// Stores code under a key.
    pub(crate) fn put(&self, key: &str, code: &Compiled) -> Result<(), SandboxError> {
        static TURN: AtomicU64 = AtomicU64::new(0);
        let temporary = format!(".{key}.{}.{}", std::process::id(), TURN.fetch_add(1, Ordering::Relaxed));
        self.write(&temporary, key, code).map_err(|source| {
            // What cannot be written can most likely not be removed; the next `put` has another name.
            let _ = rustix::fs::unlinkat(&self.folder, &temporary, AtFlags::empty());
            failed(&self.path, "writing compiled code", source)
        })?;
        if let Err(error) = self.tidy() {
            tracing::warn!(folder = %self.path.display(), error = %error, "cannot remove old compiled code");
        }
        Ok(())
    }

    /// Removes the oldest entries beyond [`MOST_ENTRIES`], also what writers left that were killed.
    fn tidy(&self) -> Result<(), Errno> {
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.folder)? {
            let name = entry?.file_name().to_owned();
            let stat = rustix::fs::statat(&self.folder, &name, AtFlags::SYMLINK_NOFOLLOW);
            if let Ok(stat) = stat
                && FileType::from_raw_mode(stat.st_mode) != FileType::Directory
            {
                entries.push((stat.st_mtime, stat.st_mtime_nsec, name));
            }
        }
        entries.sort_unstable();
        for (.., name) in entries.iter().take(entries.len().saturating_sub(MOST_ENTRIES)) {
            match rustix::fs::unlinkat(&self.folder, name, AtFlags::empty()) {
                // Another process tidies too.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write(&self, temporary: &str, key: &str, code: &Compiled) -> std::io::Result<()> {
        // A process of the same id may have died here; nobody else can have made this name.
        let _ = rustix::fs::unlinkat(&self.folder, temporary, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.folder, temporary, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(MAGIC)?;
        file.write_all(&Sha256::digest(code.bytes()))?;
        file.write_all(code.bytes())?;
        file.sync_all()?;
        Ok(rustix::fs::renameat(&self.folder, temporary, &self.folder, key)?)
    }
}

/// Reads an entry; the error says what is wrong with it.
fn read(file: OwnedFd, limit: usize) -> Result<Vec<u8>, String> {
    let stat = rustix::fs::fstat(&file).map_err(|e| e.to_string())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !is_ours(&stat) || writable_by_others(&stat) {
        return Err("it is no file of ours alone".to_owned());
    }
    let most = u64::try_from(limit.saturating_add(HEADER)).unwrap_or(u64::MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(0).min(limit));
    File::from(file).take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    let Some((header, code)) = bytes.split_at_checked(HEADER) else { return Err("it is cut short".to_owned()) };
    if header[..MAGIC.len()] != *MAGIC || code.len() > limit {
        return Err("it is no entry of this version".to_owned());
    }
    if header[MAGIC.len()..] != *Sha256::digest(code) {
        return Err("it does not match its checksum".to_owned());
    }
    bytes.drain(..HEADER);
    Ok(bytes)
}

/// The names on the way from the root; `..` is refused because it makes the checks of what is before it worthless.
fn plain_names(path: &Path) -> Result<Vec<&OsStr>, SandboxError> {
    path.components()
        .filter_map(|part| match part {
            Component::RootDir | Component::CurDir => None,
            Component::Normal(name) => Some(Ok(name)),
            Component::ParentDir | Component::Prefix(_) => Some(Err(unsafe_folder(path, "it contains `..`; name it without".to_owned()))),
        })
        .collect()
}

fn check_parent(path: &Path, parent: &Path, folder: &OwnedFd) -> Result<(), SandboxError> {
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

fn check_own(path: &Path, folder: &OwnedFd) -> Result<(), SandboxError> {
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

fn unsafe_folder(path: &Path, reason: String) -> SandboxError {
    SandboxError::UnsafeCache { path: path.to_owned(), reason }
}

fn no_folder(path: &Path, reached: &Path) -> SandboxError {
    unsafe_folder(path, format!("`{}` is a symbolic link or no folder; name the folder by its real path", reached.display()))
}

fn failed(path: &Path, doing: &'static str, source: std::io::Error) -> SandboxError {
    SandboxError::Cache { path: path.to_owned(), doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn reason(path: &Path) -> String {
        Cache::open(path).expect_err("an unsafe folder").to_string()
    }

    #[test]
    fn makes_a_private_folder_and_returns_what_was_put() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("a/b");
        let cache = Cache::open(&path).expect("a cache");
        assert_eq!(path.metadata().expect("a folder").permissions().mode() & 0o777, 0o700);
        assert!(cache.get("key", 100).is_none());
        cache.put("key", &Compiled::vouched(b"code".to_vec())).expect("written");
        assert_eq!(cache.get("key", 100).expect("an entry").bytes(), b"code");
        assert!(cache.get("key", 3).is_none(), "larger than the limit");
        assert_eq!(path.read_dir().expect("a folder").count(), 1, "no temporary file is left");
    }

    #[test]
    fn keeps_the_newest_entries() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("cache");
        let cache = Cache::open(&path).expect("a cache");
        for n in 0..MOST_ENTRIES {
            let old = std::fs::File::create(path.join(format!("old-{n}"))).expect("created");
            old.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("dated");
        }
        cache.put("new", &Compiled::vouched(b"code".to_vec())).expect("written");
        assert_eq!(path.read_dir().expect("a folder").count(), MOST_ENTRIES);
        assert!(cache.get("new", 100).is_some());
    }

    #[test]
    fn refuses_folders_that_others_could_use_or_replace() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("cache");
        Cache::open(&path).expect("a cache");

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o750)).expect("chmod");
        assert!(reason(&path).contains("chmod 700"));

        let link = root.path().join("link");
        symlink(&path, &link).expect("a link");
        assert!(reason(&link).contains("symbolic link"));
        assert!(reason(&link.join("below")).contains("symbolic link"));
        assert!(reason(&path.join("../cache")).contains("`..`"));

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).expect("chmod");
        assert!(reason(&path.join("below")).contains("others may write"));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o1777)).expect("chmod");
        Cache::open(&path.join("below")).expect("safe below a sticky folder");
    }

    #[test]
    fn doubts_entries_that_were_changed_cut_linked_or_opened_to_others() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("cache");
        let (cache, file) = (Cache::open(&path).expect("a cache"), path.join("key"));
        let put = || cache.put("key", &Compiled::vouched(b"some code".to_vec())).expect("written");

        put();
        let whole = std::fs::read(&file).expect("an entry");
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&file, &flipped).expect("written");
            assert!(cache.get("key", 100).is_none(), "byte {at}");
            std::fs::write(&file, &whole[..at]).expect("written");
            assert!(cache.get("key", 100).is_none(), "cut at {at}");
        }

        put();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).expect("chmod");
        assert!(cache.get("key", 100).is_none());

        put();
        std::fs::rename(&file, path.join("elsewhere")).expect("renamed");
        symlink(path.join("elsewhere"), &file).expect("a link");
        assert!(cache.get("key", 100).is_none());
        put();
        assert!(cache.get("key", 100).is_some(), "a new entry takes the link's place");
    }
}
