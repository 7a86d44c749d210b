//! Files on this machine; folders and renames survive a crash of it.

use crate::file_system::{Entry, EntryKind, FileSystem, NewFile, failed};
use crate::identity::Identity;
use ::bytes::Bytes;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use rustix::fs::{CWD, RenameFlags};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stygian_api::ConnectorError;

/// The local disk.
#[derive(Debug)]
pub(crate) struct Local;

impl FileSystem for Local {
    fn shown(&self, path: &Path) -> String {
        path.display().to_string()
    }

    fn create_folder(&self, folder: &Path) -> Result<(), ConnectorError> {
        create_folder(folder).map_err(|e| at("create", folder, e))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn NewFile>, ConnectorError> {
        let file = File::options().write(true).create_new(true).open(path).map_err(|e| at("create", path, e))?;
        Ok(Box::new(LocalFile { file, path: path.to_owned() }))
    }

    fn length(&self, path: &Path) -> Result<Option<u64>, ConnectorError> {
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => {
                let hint = "look for what moved or replaced files in the sink's folder; nothing was overwritten";
                Err(ConnectorError::refused(self.shown(path), "it is no file", hint))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at("read", path, error)),
        }
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Read>, ConnectorError> {
        let file = File::open(path).map_err(|e| at("read", path, e))?;
        Ok(Box::new(file))
    }

    fn read(&self, path: &Path, range: Range<u64>) -> Result<Bytes, ConnectorError> {
        let file = File::open(path).map_err(|e| at("read", path, e))?;
        let want = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        read_at(&file, range.start, want).map_err(|e| at("read", path, e))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<(), ConnectorError> {
        let renamed = match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // File systems without this call; the names are of one attempt, so nobody else makes one of them meanwhile.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if to.symlink_metadata().is_err() => fs::rename(from, to),
            renamed => renamed.map_err(Into::into),
        };
        renamed.map_err(|e| at("rename", from, e))
    }

    fn sync_folder(&self, folder: &Path) -> Result<(), ConnectorError> {
        sync(folder).map_err(|e| at("write", folder, e))
    }

    fn entries(&self, folder: &Path) -> Result<Option<Vec<Entry>>, ConnectorError> {
        let listed = match folder.read_dir() {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            listed => listed.map_err(|e| at("read", folder, e))?,
        };
        let mut entries = Vec::new();
        for entry in listed {
            let entry = entry.map_err(|e| at("read", folder, e))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                metadata => metadata.map_err(|e| at("read", &entry.path(), e))?,
            };
            let kind = metadata.file_type();
            let kind = if kind.is_dir() {
                EntryKind::Folder
            } else if kind.is_file() {
                EntryKind::File
            } else {
                EntryKind::Other
            };
            entries.push(Entry { name, kind, bytes: metadata.len(), modified: modified(&metadata) });
        }
        Ok(Some(entries))
    }

    fn store(&self, path: &Path) -> Result<(Arc<dyn ObjectStore>, object_store::path::Path), ConnectorError> {
        // A pipeline of the current folder has relative ones.
        let absolute = std::path::absolute(path).map_err(|e| at("read", path, e))?;
        let location = object_store::path::Path::from_absolute_path(absolute);
        let location = location.map_err(|e| ConnectorError::io("read", self.shown(path), e))?;
        Ok((Arc::new(LocalFileSystem::new()), location))
    }

    fn remove(&self, path: &Path) -> Result<bool, ConnectorError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true).map_err(|e| at("delete", path, e)),
        }
    }
}

/// What there is of a file from a place on, at most `want` bytes.
pub(crate) fn read_at(file: &File, at: u64, want: usize) -> io::Result<Bytes> {
    let (mut bytes, mut filled) = (vec![0; want], 0);
    while filled < want {
        match file.read_at(&mut bytes[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes.into())
}

struct LocalFile {
    file: File,
    path: PathBuf,
}

impl Write for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl NewFile for LocalFile {
    fn finish(self: Box<Self>, length: u64) -> Result<(), ConnectorError> {
        let Self { file, path } = *self;
        file.sync_all().map_err(|e| at("write", &path, e))?;
        // By its name: it may have been removed or replaced meanwhile.
        let found = path.symlink_metadata().map_err(|e| at("write", &path, e))?;
        let own = file.metadata().map_err(|e| at("write", &path, e))?;
        if Identity::of(&found) != Identity::of(&own) || found.len() != length {
            let reason = format!("{length} bytes were written, and somebody else wrote or replaced it meanwhile");
            return Err(ConnectorError::refused(path.display().to_string(), reason, "look for what else writes into the sink's folder"));
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        sync(parent).map_err(|e| at("write", parent, e))
    }
}

/// When it was written last: microseconds since 1970.
pub(crate) fn modified(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000).saturating_add(metadata.mtime_nsec() / 1000)
}

fn at(doing: &'static str, path: &Path, error: io::Error) -> ConnectorError {
    failed(doing, path.display().to_string(), error)
}

/// Makes a folder and those above it, and makes their entries durable.
fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(parent) = folder.parent() else { return fs::create_dir(folder) };
    if !parent.as_os_str().is_empty() {
        create_folder(parent)?;
    }
    match fs::create_dir(folder) {
        // Another subtask was quicker.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made.and_then(|()| sync(parent)),
    }
}

/// Makes a folder's entries durable.
fn sync(folder: &Path) -> io::Result<()> {
    let here = Path::new(".");
    File::open(if folder.as_os_str().is_empty() { here } else { folder })?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_has_a_place_in_the_store() {
        let here = std::env::current_dir().expect("a folder");
        let (_, location) = Local.store(Path::new("./out/kind=a%2Fb/.part-0")).expect("a place");
        let (_, absolute) = Local.store(&here.join("out/kind=a%2Fb/.part-0")).expect("a place");
        assert_eq!(location, absolute);
    }
}
