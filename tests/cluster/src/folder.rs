//! The folder of a cluster, and who owns it.
//!
//! Its file `owner` holds the process id of its owner, who has it locked for as long as it lives: a lock that can be taken means that the
//! cluster is gone, whatever the file says. Temporary folders that were left by processes without a chance to clean up are removed by
//! the next start.

use anyhow::{Context, Result, bail, ensure};
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const PREFIX: &str = "stygian-cluster-";
const OWNER: &str = "owner";

/// A file that says: this is here to be looked at.
const KEPT: &str = "kept";

/// With this in the environment no folder is removed at once.
const KEEP: &str = "STYGIAN_CLUSTER_KEEP";

/// How long folders stay that are here to be looked at.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// A cluster's folder, locked.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    temporary: Option<TempDir>,
    keep: bool,
    _lock: File,
}

impl Folder {
    /// A temporary one, or the given one, empty. Until it is said that it may go it is kept, for what went wrong to be looked at.
    pub(crate) fn new(given: Option<&Path>) -> Result<Self> {
        let (path, temporary) = match given {
            Some(given) => (emptied(given)?, None),
            None => {
                sweep(&std::env::temp_dir());
                let made = tempfile::Builder::new().prefix(PREFIX).tempdir().context("cannot make a temporary folder")?;
                (made.path().to_owned(), Some(made))
            }
        };
        let lock = own(&path)?;
        for inner in ["conf", "kdc", "keytabs", "tls", "log", "caches"] {
            std::fs::create_dir(path.join(inner))?;
        }
        Ok(Self { path, temporary, keep: true, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, inner: impl AsRef<Path>) -> PathBuf {
        self.path.join(inner)
    }

    /// Whether it is to stay when the cluster ends. One that was given always does.
    pub(crate) fn keep(&mut self, keep: bool) {
        self.keep = keep || std::env::var_os(KEEP).is_some();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.keep
            && let Some(temporary) = self.temporary.take()
        {
            // Without the mark it is only removed sooner.
            let _ = File::create(temporary.keep().join(KEPT));
        }
    }
}

/// The process that a folder's cluster belongs to; `None` when there is none any more.
///
/// # Errors
/// When the folder is none of a cluster.
pub fn owner_of(folder: &Path) -> Result<Option<u32>> {
    let path = folder.join(OWNER);
    let mut file = File::open(&path).with_context(|| format!("{} is no folder of a cluster", folder.display()))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok(Some(text.trim().parse().with_context(|| format!("{} holds no process id", path.display()))?))
        }
    }
}

/// Locks the file of the owner before it has its name, so that nobody ever finds it unlocked while its owner lives.
fn own(folder: &Path) -> Result<File> {
    let told = folder.display();
    // These stand in files of several kinds, with a syntax of their own each.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(byte);
    ensure!(folder.as_os_str().as_encoded_bytes().iter().all(plain), "{told}: the path may have letters, digits and . _ - + only");
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write into {told}"))?;
    file.as_file().lock()?;
    write!(file, "{}", std::process::id())?;
    file.persist_noclobber(folder.join(OWNER)).with_context(|| format!("{told} was taken by another cluster at this moment"))
}

/// The folder with nothing in it, if it is empty or was a cluster's that has ended.
fn emptied(folder: &Path) -> Result<PathBuf> {
    if folder.is_dir() && std::fs::read_dir(folder)?.next().is_some() {
        let told = folder.display();
        match owner_of(folder).with_context(|| format!("{told} is not empty"))? {
            Some(owner) => bail!("{told} belongs to a cluster of process {owner}, which runs: cluster down --dir {told}"),
            None => std::fs::remove_dir_all(folder).with_context(|| format!("cannot empty {told}"))?,
        }
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder.canonicalize()?)
}

/// Removes what other processes have left behind.
fn sweep(place: &Path) {
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && matches!(owner_of(&path), Ok(None)) && !wanted(&path) {
            // Another process may sweep, too; then there is nothing to do.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

fn wanted(folder: &Path) -> bool {
    let age = std::fs::metadata(folder.join(KEPT)).and_then(|mark| mark.modified()).ok().and_then(|kept| kept.elapsed().ok());
    age.is_some_and(|age| age < KEPT_FOR)
}
