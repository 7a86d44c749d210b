//! Files that may grow while they are read, and where they lie: on this machine, where an open file stays itself under any name, or in a place like
//! HDFS, where a file is known by its name alone, and a look at its folder tells how long each of them is.

use crate::checksum::Checksum;
use crate::identity::Identity;
use crate::inputs::{Inputs, Listed, Place, PlainInputs};
use crate::local;
use crate::location::{FoundFile, Location};
use crate::marks::{FollowedMark, HEAD};
use ::bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stygian_api::ConnectorError;

/// Where files lie that may grow. All of it blocks.
pub(crate) trait GrowingFiles: fmt::Debug + Send + Sync {
    /// Those that are there, by name.
    fn list(&self) -> Result<Vec<FoundFile>, ConnectorError>;

    /// Opens a file that was found; `None`: it is gone, or another one has its name.
    fn open(&self, found: &FoundFile) -> Result<Option<Arc<dyn GrowingFile>>, ConnectorError>;

    /// Where those of these are that are there still, whatever they are called now.
    fn find(&self, wanted: &BTreeSet<Identity>) -> Result<BTreeMap<Identity, PathBuf>, ConnectorError>;

    /// Opens a file that was found there, which had this name when it was first seen; `None` as for `open`.
    fn open_found(&self, identity: Identity, path: &Path, name: &str) -> Result<Option<Arc<dyn GrowingFile>>, ConnectorError>;

    /// Everything lies below it; for messages.
    fn shown(&self) -> String;

    /// A file's path, for messages.
    fn shown_file(&self, name: &str) -> String;

    /// Whether files are known by their names alone: one of a known name may be another one.
    fn by_name(&self) -> bool;
}

/// A file that may grow. All of it blocks.
pub(crate) trait GrowingFile: fmt::Debug + Send + Sync {
    /// Its path, for messages.
    fn shown(&self) -> String;

    /// In bytes, as far as is known.
    fn size(&self) -> Result<u64, ConnectorError>;

    /// What there is from `at` on, at most `want` bytes. Fewer: it ends there, or what follows is being written and cannot be read yet.
    fn read_at(&self, at: u64, want: usize) -> Result<Bytes, ConnectorError>;

    /// Whether its name is still its own.
    fn is_in_place(&self) -> bool;

    /// When it was written last, at the last look, where that counts: where files are known by their names.
    fn modified(&self) -> Option<i64>;
}

impl FollowedMark {
    pub(crate) fn of(head: &[u8]) -> Self {
        Self { head_bytes: head.len() as u64, head: Checksum::of(head), cut: None }
    }

    /// Whether a file that begins so is the one; `None`: that is too little to tell.
    pub(crate) fn is_of(&self, head: &[u8]) -> Option<bool> {
        let known = usize::try_from(self.head_bytes.min(HEAD)).unwrap_or(0);
        head.get(..known).map(|head| Checksum::of(head) == self.head)
    }

    /// The same of a file. Too little of one that is known by its name may be an end that is being written.
    pub(crate) fn is_of_file(&self, file: &dyn GrowingFile, by_name: bool) -> Result<bool, ConnectorError> {
        let head = file.read_at(0, usize::try_from(HEAD).unwrap_or(usize::MAX))?;
        let may_be = by_name && file.size()? >= self.head_bytes;
        Ok(self.is_of(&head).unwrap_or(may_be))
    }
}

/// A file of this machine that is open.
#[derive(Debug)]
struct OpenFile {
    file: File,
    /// Where it was when it was opened.
    path: PathBuf,
    /// Where it was when it was first seen.
    place: PathBuf,
    identity: Identity,
}

impl OpenFile {
    /// `None`: it is another one.
    fn of(file: File, path: PathBuf, place: PathBuf, identity: Identity) -> Result<Option<Arc<dyn GrowingFile>>, ConnectorError> {
        let metadata = file.metadata().map_err(|e| ConnectorError::io("read", path.display().to_string(), e))?;
        Ok((Identity::of(&metadata) == identity).then(|| Arc::new(Self { file, path, place, identity }) as Arc<dyn GrowingFile>))
    }

    fn failed(&self, error: io::Error) -> ConnectorError {
        ConnectorError::io("read", self.shown(), error)
    }
}

impl GrowingFile for OpenFile {
    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn size(&self) -> Result<u64, ConnectorError> {
        Ok(self.file.metadata().map_err(|e| self.failed(e))?.len())
    }

    fn read_at(&self, at: u64, want: usize) -> Result<Bytes, ConnectorError> {
        local::read_at(&self.file, at, want).map_err(|e| self.failed(e))
    }

    fn is_in_place(&self) -> bool {
        self.place.metadata().is_ok_and(|metadata| Identity::of(&metadata) == self.identity)
    }

    fn modified(&self) -> Option<i64> {
        None
    }
}

impl GrowingFiles for Location {
    fn list(&self) -> Result<Vec<FoundFile>, ConnectorError> {
        self.list_present()
    }

    fn open(&self, found: &FoundFile) -> Result<Option<Arc<dyn GrowingFile>>, ConnectorError> {
        match self.open_present(&found.name)? {
            Some((file, path)) => OpenFile::of(file, path.clone(), path, found.identity),
            None => Ok(None),
        }
    }

    fn find(&self, wanted: &BTreeSet<Identity>) -> Result<BTreeMap<Identity, PathBuf>, ConnectorError> {
        Self::find(self, wanted)
    }

    fn open_found(&self, identity: Identity, path: &Path, name: &str) -> Result<Option<Arc<dyn GrowingFile>>, ConnectorError> {
        match File::open(path) {
            // It has been renamed or removed since it was found.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => {
                let file = opened.map_err(|e| ConnectorError::io("read", path.display().to_string(), e))?;
                OpenFile::of(file, path.to_owned(), self.path(name), identity)
            }
        }
    }

    fn shown(&self) -> String {
        Self::shown(self)
    }

    fn shown_file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn by_name(&self) -> bool {
        false
    }
}

/// Files that are known by their names.
#[derive(Clone, Debug)]
pub(crate) struct NamedFiles {
    inputs: PlainInputs,
    /// Those that were there at the last look.
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
}

/// What a look told of a file.
#[derive(Clone, Copy, Debug)]
struct Seen {
    bytes: u64,
    modified: i64,
}

impl NamedFiles {
    pub(crate) fn new(inputs: PlainInputs) -> Self {
        Self { inputs, seen: Arc::default() }
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn named(&self, name: &str, seen: Seen) -> Result<Arc<dyn GrowingFile>, ConnectorError> {
        let place = self.inputs.place(name)?;
        Ok(Arc::new(NamedFile { place, files: self.clone(), name: name.to_owned(), seen: Mutex::new(seen) }))
    }
}

impl GrowingFiles for NamedFiles {
    fn list(&self) -> Result<Vec<FoundFile>, ConnectorError> {
        let found = self.inputs.list_present()?;
        let seen = |file: &Listed| (file.name.clone(), Seen { bytes: file.bytes, modified: file.modified });
        *self.seen() = found.iter().map(seen).collect();
        let identified = |Listed { name, bytes, modified }| FoundFile { identity: Identity::of_name(&name), name, bytes, modified };
        Ok(found.into_iter().map(identified).collect())
    }

    fn open(&self, found: &FoundFile) -> Result<Option<Arc<dyn GrowingFile>>, ConnectorError> {
        self.named(&found.name, Seen { bytes: found.bytes, modified: found.modified }).map(Some)
    }

    fn find(&self, wanted: &BTreeSet<Identity>) -> Result<BTreeMap<Identity, PathBuf>, ConnectorError> {
        let found = self.list()?.into_iter().filter(|found| wanted.contains(&found.identity));
        Ok(found.map(|found| (found.identity, found.name.into())).collect())
    }

    fn open_found(&self, _: Identity, _: &Path, name: &str) -> Result<Option<Arc<dyn GrowingFile>>, ConnectorError> {
        let seen = self.seen().get(name).copied();
        seen.map(|seen| self.named(name, seen)).transpose()
    }

    fn shown(&self) -> String {
        self.inputs.shown()
    }

    fn shown_file(&self, name: &str) -> String {
        self.inputs.shown_file(name)
    }

    fn by_name(&self) -> bool {
        true
    }
}

/// A file of a name. Asking how long it is costs nothing: the looks at its folder tell.
#[derive(Debug)]
struct NamedFile {
    files: NamedFiles,
    name: String,
    place: Place,
    /// At the last look at which it was there.
    seen: Mutex<Seen>,
}

impl NamedFile {
    fn seen(&self) -> Seen {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = self.files.seen().get(&self.name) {
            *seen = *now;
        }
        *seen
    }
}

impl GrowingFile for NamedFile {
    fn shown(&self) -> String {
        self.files.shown_file(&self.name)
    }

    fn size(&self) -> Result<u64, ConnectorError> {
        Ok(self.seen().bytes)
    }

    fn read_at(&self, at: u64, want: usize) -> Result<Bytes, ConnectorError> {
        let end = self.size()?.min(at.saturating_add(want as u64));
        if at >= end {
            return Ok(Bytes::new());
        }
        self.place.files.read(&self.place.path, at..end)
    }

    fn is_in_place(&self) -> bool {
        self.files.seen().contains_key(&self.name)
    }

    fn modified(&self) -> Option<i64> {
        Some(self.seen().modified)
    }
}
