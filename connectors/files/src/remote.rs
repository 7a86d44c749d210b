//! Files in HDFS.

use crate::file_system::{Entry, EntryKind, FileSystem, NewFile};
use ::bytes::Bytes;
use object_store::ObjectStore;
use std::io::{self, Cursor, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use stygian_api::{ConnectorContext, ConnectorError, Probe, in_hdfs};
use stygian_hdfs::{Hdfs, Writer};

/// Bytes are handed over, and read, in pieces of this size.
const PIECE: usize = 1024 * 1024;

/// HDFS, waited for by threads that may.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    hdfs: Hdfs,
}

impl Remote {
    /// The HDFS of a path that is in one, and the path there; `None`: it is a local one. Asks nothing of it yet.
    pub(crate) fn of(path: &str, context: &ConnectorContext) -> Option<Result<(Self, PathBuf), ConnectorError>> {
        match in_hdfs(path) {
            Ok(false) => None,
            Ok(true) => {
                let opened = Hdfs::of(path, &context.hdfs, context.principal.as_deref());
                Some(opened.map(|(hdfs, path)| (Self { hdfs }, path.into())))
            }
            Err(reason) => Some(Err(ConnectorError::refused(path, reason, "write a local path, or one that begins with hdfs://"))),
        }
    }

    /// What is tried of a folder there.
    pub(crate) fn probes(&self, folder: &Path) -> Vec<Probe> {
        self.hdfs.probes(&folder.to_string_lossy())
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, ConnectorError>>) -> Result<T, ConnectorError> {
        self.hdfs.wait(answer)
    }
}

impl FileSystem for Remote {
    fn shown(&self, path: &Path) -> String {
        self.hdfs.url(&path.to_string_lossy())
    }

    fn create_folder(&self, folder: &Path) -> Result<(), ConnectorError> {
        self.wait(self.hdfs.make_folders(&folder.to_string_lossy()))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn NewFile>, ConnectorError> {
        let writer = self.wait(self.hdfs.create(&path.to_string_lossy()))?;
        Ok(Box::new(RemoteFile { files: self.clone(), path: path.to_owned(), writer, piece: Vec::new() }))
    }

    fn length(&self, path: &Path) -> Result<Option<u64>, ConnectorError> {
        match self.wait(self.hdfs.status(&path.to_string_lossy()))? {
            Some(found) if found.is_file => Ok(Some(found.len)),
            Some(_) => Err(ConnectorError::refused(self.shown(path), "it is no file", "look for what moved or replaced files there")),
            None => Ok(None),
        }
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Read>, ConnectorError> {
        let length = self.length(path)?.unwrap_or(0);
        Ok(Box::new(RemoteRead { files: self.clone(), path: path.to_owned(), at: 0, length, piece: Cursor::default() }))
    }

    fn read(&self, path: &Path, range: Range<u64>) -> Result<Bytes, ConnectorError> {
        self.wait(self.hdfs.read(&path.to_string_lossy(), range))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<(), ConnectorError> {
        self.wait(self.hdfs.rename_new(&from.to_string_lossy(), &to.to_string_lossy()))
    }

    /// A NameNode has written down what it has answered.
    fn sync_folder(&self, _: &Path) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn entries(&self, folder: &Path) -> Result<Option<Vec<Entry>>, ConnectorError> {
        let path = folder.to_string_lossy();
        if self.wait(self.hdfs.status(&path))?.is_none_or(|found| found.is_file) {
            return Ok(None);
        }
        let entry = |entry: stygian_hdfs::Entry| {
            let modified = entry.status.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
            Entry {
                name: entry.name,
                kind: if entry.status.is_file { EntryKind::File } else { EntryKind::Folder },
                bytes: entry.status.len,
                modified: i64::try_from(modified.as_micros()).unwrap_or(i64::MAX),
            }
        };
        let listed = self.wait(self.hdfs.list(&path))?;
        Ok(listed.map(|entries| entries.into_iter().map(entry).collect()))
    }

    fn store(&self, path: &Path) -> Result<(Arc<dyn ObjectStore>, object_store::path::Path), ConnectorError> {
        let location = object_store::path::Path::parse(path.to_string_lossy().trim_start_matches('/'));
        let location = location.map_err(|e| ConnectorError::io("read", self.shown(path), e))?;
        Ok((self.hdfs.object_store("/")?, location))
    }

    fn remove(&self, path: &Path) -> Result<bool, ConnectorError> {
        self.wait(self.hdfs.remove(&path.to_string_lossy()))
    }

    fn is_far(&self) -> bool {
        true
    }
}

/// A file that is being written.
struct RemoteFile {
    files: Remote,
    path: PathBuf,
    writer: Writer,
    piece: Vec<u8>,
}

impl RemoteFile {
    fn send(&mut self) -> Result<(), ConnectorError> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.piece);
        self.files.hdfs.wait(self.writer.write(piece.into()))
    }
}

impl Write for RemoteFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.capacity() == 0 {
            self.piece.reserve(PIECE);
        }
        let count = bytes.len().min(PIECE - self.piece.len().min(PIECE - 1));
        let taken = bytes.get(..count).unwrap_or(bytes);
        self.piece.extend_from_slice(taken);
        if self.piece.len() >= PIECE {
            self.send().map_err(io::Error::other)?;
        }
        Ok(taken.len())
    }

    /// What is not a whole piece waits for more.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for RemoteFile {
    fn finish(mut self: Box<Self>, length: u64) -> Result<(), ConnectorError> {
        self.send()?;
        let Self { files, path, writer, .. } = *self;
        files.wait(writer.finish())?;
        // By its name: it may have been removed or replaced meanwhile.
        let found = files.length(&path)?;
        if found == Some(length) {
            return Ok(());
        }
        let found = found.map_or_else(|| "it is gone".to_owned(), |found| format!("it has {found}"));
        let reason = format!("{length} bytes were written, and {found}: somebody else wrote, moved or removed it meanwhile");
        Err(ConnectorError::refused(files.shown(&path), reason, "look for what else writes into the sink's folder"))
    }
}

/// A file that is read from its beginning, a piece at a time.
struct RemoteRead {
    files: Remote,
    path: PathBuf,
    at: u64,
    length: u64,
    piece: Cursor<Bytes>,
}

impl Read for RemoteRead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.piece.position() >= self.piece.get_ref().len() as u64 && self.at < self.length {
            let end = self.length.min(self.at + PIECE as u64);
            let piece = self.files.read(&self.path, self.at..end).map_err(io::Error::other)?;
            if piece.is_empty() {
                return Err(io::Error::other(format!("it ends at {}, and had {} bytes", self.at, self.length)));
            }
            self.at += piece.len() as u64;
            self.piece = Cursor::new(piece);
        }
        self.piece.read(into)
    }
}
