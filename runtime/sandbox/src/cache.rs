//! The folder of compiled code. Whoever can write there can run code as us, so it is a [`PrivateFolder`] or not used at all.
//!
//! An entry is a header, the SHA-256 of the code, the code; an entry in doubt counts as absent. The number of entries is bounded.

use crate::SandboxError;
use crate::compiled::Compiled;
use crate::folder::{FolderError, PrivateFolder};
use sha2::{Digest, Sha256};
use std::path::Path;

const MAGIC: &[u8; 16] = b"stygian-code-1\n\0";
/// Entries kept; beyond, the ones written longest ago go. A process of many plugins rarely has half as many.
const MOST_ENTRIES: usize = 256;
const HEADER: usize = MAGIC.len() + 32;

/// An open cache folder.
#[derive(Debug)]
pub(crate) struct Cache(PrivateFolder);

impl Cache {
    /// Opens the folder, making it where it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, SandboxError> {
        Ok(Self(PrivateFolder::open(path)?))
    }

    /// The code under a key, unless there is none or it is in doubt.
    pub(crate) fn get(&self, key: &str, limit: usize) -> Option<Compiled> {
        match self.0.read(key, limit.saturating_add(HEADER)).and_then(|bytes| bytes.map(checked).transpose()) {
            Ok(code) => code.map(Compiled::vouched),
            Err(reason) => {
                tracing::warn!(folder = %self.0.path().display(), key, reason, "compiled code is in doubt, compiling again");
                None
            }
        }
    }

    /// Stores code under a key.
    pub(crate) fn put(&self, key: &str, code: &Compiled) -> Result<(), SandboxError> {
        self.0.write(key, &[MAGIC, &Sha256::digest(code.bytes()), code.bytes()])?;
        if let Err(error) = self.0.tidy(key, MOST_ENTRIES, u64::MAX) {
            tracing::warn!(folder = %self.0.path().display(), error = %error, "cannot remove old compiled code");
        }
        Ok(())
    }
}

/// The code of an entry; the error says what is wrong with it.
fn checked(mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let Some((header, code)) = bytes.split_at_checked(HEADER) else { return Err("it is cut short".to_owned()) };
    if header[..MAGIC.len()] != *MAGIC {
        return Err("it is no entry of this version".to_owned());
    }
    if header[MAGIC.len()..] != *Sha256::digest(code) {
        return Err("it does not match its checksum".to_owned());
    }
    bytes.drain(..HEADER);
    Ok(bytes)
}

impl From<FolderError> for SandboxError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Unsafe { path, reason } => Self::UnsafeCache { path, reason },
            FolderError::Io { path, doing, source } => Self::Cache { path, doing, source },
        }
    }
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
