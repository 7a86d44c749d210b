//! What this connector asks of the place where files lie: a local disk, or HDFS. All of it waits for an answer, so it is called where
//! blocking is allowed.

use ::bytes::Bytes;
use object_store::ObjectStore;
use std::fmt;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use stygian_api::ConnectorError;

/// A place where files lie. Paths are those of the place itself.
pub(crate) trait FileSystem: fmt::Debug + Send + Sync {
    /// A path as people know it.
    fn shown(&self, path: &Path) -> String;

    /// Makes a folder and those above it, durably. One that is there is well.
    fn create_folder(&self, folder: &Path) -> Result<(), ConnectorError>;

    /// A new file, in a folder that is there; its name must be new.
    fn create(&self, path: &Path) -> Result<Box<dyn NewFile>, ConnectorError>;

    /// The length of a file; `None` if there is none. Links are not followed, and what is no file is refused.
    fn length(&self, path: &Path) -> Result<Option<u64>, ConnectorError>;

    /// Reads a file from its beginning.
    fn open(&self, path: &Path) -> Result<Box<dyn Read>, ConnectorError>;

    /// The bytes of a part of a file; fewer where it ends before, or what follows is being written and cannot be read yet.
    fn read(&self, path: &Path, range: Range<u64>) -> Result<Bytes, ConnectorError>;

    /// Renames a file, unless there is one of the new name.
    fn rename_new(&self, from: &Path, to: &Path) -> Result<(), ConnectorError>;

    /// Makes renames in a folder durable.
    fn sync_folder(&self, folder: &Path) -> Result<(), ConnectorError>;

    /// What is in a folder, in any order; `None` if there is no such folder. Names that are no UTF-8 are left out, and so is
    /// what is gone when it is looked at.
    fn entries(&self, folder: &Path) -> Result<Option<Vec<Entry>>, ConnectorError>;

    /// Where ranges of a file can be read.
    fn store(&self, path: &Path) -> Result<(Arc<dyn ObjectStore>, object_store::path::Path), ConnectorError>;

    /// Deletes a file; false if it was gone already.
    fn remove(&self, path: &Path) -> Result<bool, ConnectorError>;

    /// Whether answers take so long that several are better waited for at once.
    fn is_far(&self) -> bool {
        false
    }
}

/// Something in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) kind: EntryKind,
    /// Of a file.
    pub(crate) bytes: u64,
    /// When it was written last: microseconds since 1970.
    pub(crate) modified: i64,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Folder,
    /// Links, sockets and the like.
    Other,
}

/// A file that is being written.
pub(crate) trait NewFile: Write + Send {
    /// Makes what was written durable under the file's name: `length` bytes.
    ///
    /// # Errors
    /// Also when somebody else has written, removed or replaced it meanwhile, as a run that took this one for dead.
    fn finish(self: Box<Self>, length: u64) -> Result<(), ConnectorError>;
}

/// An error of I/O on a file; one that a file system has wrapped into it comes out as it was.
pub(crate) fn failed(doing: &'static str, shown: String, error: std::io::Error) -> ConnectorError {
    match error.downcast::<ConnectorError>() {
        Ok(own) => own,
        Err(error) => ConnectorError::io(doing, shown, error),
    }
}
