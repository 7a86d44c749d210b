//! The folder of a subtask: ours alone, of one process at a time, with an index that says whether what lies there can be trusted.
//!
//! ```text
//! lock          flocked by the process that has the folder; its process id, for messages
//! index         a line with the XXH3-64 of the rest in hex, then JSON: `Index`
//! store-NUMBER  the store's own files; a number is never used again
//! NUMBER.log    what a generation has changed (`log`)
//! ```
//!
//! The index is replaced as a whole. Only what it names counts: without it, or with one that does not fit, the folder is emptied.

use crate::StateError;
use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use xxhash_rust::xxh3::xxh3_64;

/// Of everything in the folder; another one is never read.
const FORMAT: u32 = 1;
const INDEX: &str = "index";
const LOCK: &str = "lock";
/// A subtask that has just ended in this process may still be closing its files.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be known before anything else in the folder is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    pub(crate) format: u32,
    /// Whose state it is, and what it was declared as.
    pub(crate) owner: String,
    /// The start of the machine that it was written in.
    pub(crate) boot: String,
    /// Everything is on the disk, not only with the operating system.
    pub(crate) durable: bool,
    /// The store's folder.
    pub(crate) store: String,
    /// The generations whose logs are complete, each following the one before; none: nothing is to be trusted.
    pub(crate) generations: Vec<u64>,
}

/// A folder that this process has.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    boot: String,
    _lock: File,
}

impl Folder {
    /// Makes a folder where it is missing, with mode 0700, checks that it is ours, and takes it.
    ///
    /// # Errors
    /// When it cannot be made, others may write to it, or another process has it.
    pub(crate) fn take(path: &Path) -> Result<Self, StateError> {
        make(path).map_err(|error| failed("make a folder for", path, &error))?;
        check(path)?;
        let lock = lock(path)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        Ok(Self { path: path.to_owned(), boot, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn log(&self, generation: u64) -> PathBuf {
        self.path.join(format!("{generation}.log"))
    }

    /// A new index of an owner, which trusts nothing yet.
    pub(crate) fn index(&self, owner: String) -> Index {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let store = format!("store-{}", since.as_nanos());
        Index { format: FORMAT, owner, boot: self.boot.clone(), durable: false, store, generations: Vec::new() }
    }

    /// The index, if it is whole, of this owner, and what it names is what was written last: of this start of the machine, or durable.
    pub(crate) fn trusted(&self, owner: &str) -> Option<Index> {
        let text = fs::read_to_string(self.path.join(INDEX)).ok()?;
        let (sum, body) = text.split_once('\n')?;
        let index: Index = serde_json::from_str(body).ok().filter(|_| sum == sum_of(body))?;
        let written = index.durable || (index.boot == self.boot && !self.boot.is_empty());
        let plain = index.store.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (index.format == FORMAT && index.owner == owner && written && plain && !index.generations.is_empty()).then_some(index)
    }

    /// Replaces the index. A durable one is on the disk when this returns.
    pub(crate) fn write(&self, index: &Index) -> Result<(), StateError> {
        let index = Index { boot: self.boot.clone(), ..index.clone() };
        let (new, place) = (self.path.join("index#new"), self.path.join(INDEX));
        let written = || -> io::Result<()> {
            let body = serde_json::to_string(&index)?;
            let mut file = File::create(&new)?;
            write!(file, "{}\n{body}", sum_of(&body))?;
            if index.durable {
                file.sync_all()?;
            }
            fs::rename(&new, &place)?;
            if index.durable { File::open(&self.path)?.sync_all() } else { Ok(()) }
        };
        written().map_err(|error| failed("write the index of", &self.path, &error))
    }

    /// From here on nothing in the folder is trusted by who opens it next.
    pub(crate) fn distrust(&self) {
        // Where even that fails, the index may be trusted although it should not be: what it names is checked when it is read.
        let _ = fs::remove_file(self.path.join(INDEX));
    }

    /// Deletes everything but the lock, and what an index names.
    pub(crate) fn clean(&self, keep: Option<&Index>) -> Result<(), StateError> {
        let cleaned = || -> io::Result<()> {
            if keep.is_none() {
                self.distrust();
            }
            for entry in fs::read_dir(&self.path)? {
                let entry = entry?;
                let name = entry.file_name();
                if name != LOCK && !keep.is_some_and(|keep| keep.names(&name.to_string_lossy())) {
                    if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) }?;
                }
            }
            Ok(())
        };
        cleaned().map_err(|error| failed("empty the folder of", &self.path, &error))
    }
}

impl Index {
    fn names(&self, file: &str) -> bool {
        let log = |generation: &u64| file.strip_suffix(".log") == Some(generation.to_string().as_str());
        file == INDEX || file == self.store || self.generations.iter().any(log)
    }
}

fn sum_of(body: &str) -> String {
    format!("{:016x}", xxh3_64(body.as_bytes()))
}

pub(crate) fn failed(doing: &'static str, folder: &Path, why: &dyn std::fmt::Display) -> StateError {
    let hint = "see that the disk has room and that the folder is this user's own";
    StateError::Disk { doing, folder: folder.display().to_string(), why: why.to_string(), hint }
}

fn make(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn check(folder: &Path) -> Result<(), StateError> {
    let metadata = fs::symlink_metadata(folder).map_err(|error| failed("open", folder, &error))?;
    let us = rustix::process::geteuid().as_raw();
    let reason = if !metadata.is_dir() {
        "it is not a folder".to_owned()
    } else if metadata.uid() != us {
        format!("it belongs to user {}, and this process is user {us}", metadata.uid())
    } else if metadata.mode() & 0o022 != 0 {
        format!("its mode is {:04o}, so others may write to it", metadata.mode() & 0o7777)
    } else {
        return Ok(());
    };
    let hint = "name a folder of your own (`folder` in `[state]`), or `chmod 700` it";
    Err(StateError::Disk { doing: "keep", folder: folder.display().to_string(), why: reason, hint })
}

fn lock(folder: &Path) -> Result<File, StateError> {
    let path = folder.join(LOCK);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR);
    let mut file = File::from(opened.map_err(|error| failed("lock", folder, &io::Error::from(error)))?);
    let began = Instant::now();
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = holder(&mut file);
                if holder != Some(std::process::id()) || began.elapsed() > PATIENCE {
                    let holder = holder.map_or("another process".to_owned(), |process| format!("process {process}"));
                    return Err(StateError::DiskInUse { folder: folder.display().to_string(), holder });
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(failed("lock", folder, &io::Error::from(error))),
        }
    }
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(|error| failed("lock", folder, &error))?;
    Ok(file)
}

/// The process that wrote its id; it may be just about to.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.take(32).read_to_string(&mut text)).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn filled(folder: &Folder) -> Index {
        let index = Index { generations: vec![3, 4], ..folder.index("me".into()) };
        folder.write(&index).expect("written");
        fs::create_dir_all(folder.path().join(&index.store)).expect("made");
        index
    }

    #[test]
    fn an_index_is_trusted_by_its_owner_while_it_is_whole() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = Folder::take(&root.path().join("a/b")).expect("free");
        assert_eq!(fs::metadata(folder.path()).expect("there").mode() & 0o777, 0o700);
        assert_eq!(folder.trusted("me"), None);
        let index = filled(&folder);
        assert_eq!((folder.trusted("me"), folder.trusted("you")), (Some(index.clone()), None));
        folder.write(&Index { generations: Vec::new(), ..index.clone() }).expect("written");
        assert_eq!(folder.trusted("me"), None);
        folder.write(&index).expect("written");
        let file = folder.path().join(INDEX);
        let text = fs::read_to_string(&file).expect("there");
        for damaged in [text.replace("[3,4]", "[3,5]"), text[..text.len() - 1].to_owned(), String::new()] {
            fs::write(&file, damaged).expect("written");
            assert_eq!(folder.trusted("me"), None);
        }
    }

    #[test]
    fn after_a_restart_of_the_machine_only_what_is_durable_is_trusted() {
        let root = tempfile::tempdir().expect("a folder");
        let mut folder = Folder::take(&root.path().join("a")).expect("free");
        let index = filled(&folder);
        folder.boot = "another".into();
        assert_eq!(folder.trusted("me"), None);
        folder.write(&Index { durable: true, ..index }).expect("written");
        folder.boot = "a third".into();
        assert!(folder.trusted("me").is_some());
    }

    #[test]
    fn cleaning_keeps_what_the_index_names() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = Folder::take(&root.path().join("a")).expect("free");
        let index = filled(&folder);
        for name in ["3.log", "4.log", "5.log", "index#new", "store-1"] {
            fs::write(folder.path().join(name), "x").expect("written");
        }
        let names = || {
            let entries = fs::read_dir(folder.path()).expect("there");
            let mut names: Vec<String> = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        };
        folder.clean(Some(&index)).expect("cleaned");
        assert_eq!(names(), ["3.log", "4.log", INDEX, LOCK, &index.store]);
        folder.clean(None).expect("cleaned");
        assert_eq!(names(), [LOCK]);
    }

    #[test]
    fn a_folder_that_others_may_write_or_that_is_a_link_is_refused() {
        let root = tempfile::tempdir().expect("a folder");
        let open = root.path().join("open");
        fs::create_dir(&open).expect("made");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o770)).expect("set");
        let error = Folder::take(&open).expect_err("refused").to_string();
        assert!(error.contains("0770") && error.contains("chmod 700"), "{error}");
        let link = root.path().join("link");
        std::os::unix::fs::symlink(root.path(), &link).expect("made");
        let error = Folder::take(&link).expect_err("refused").to_string();
        assert!(error.contains("not a folder"), "{error}");
    }
}
