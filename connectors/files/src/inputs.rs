//! Which files a source reads, wherever they lie.

use crate::bytes::FileBytes;
use crate::file_system::{EntryKind, FileSystem};
use crate::location::Wanted;
use crate::source::blocking;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use stygian_api::ConnectorError;

/// How the names of files end that `hdfs dfs -put` is at.
const BEING_PUT: &str = "._COPYING_";

/// The files that a path means. All of it blocks.
pub(crate) trait Inputs: fmt::Debug + Send + Sync {
    /// Every file, ordered by name.
    fn list(&self) -> Result<Vec<Listed>, ConnectorError>;

    /// As [`Inputs::list`]; a single file that is not there (yet, or just now) is no error.
    fn list_present(&self) -> Result<Vec<Listed>, ConnectorError>;

    /// Everything lies below it; for messages.
    fn shown(&self) -> String;

    /// A file's path, for messages.
    fn shown_file(&self, name: &str) -> String;

    /// Where a file of this name is, if it is one of ours.
    fn place(&self, name: &str) -> Result<Place, ConnectorError>;
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    /// From the root, with `/` between folders.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// When it was written last: microseconds since 1970.
    pub(crate) modified: i64,
}

/// Where a file is to be read.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) files: Arc<dyn FileSystem>,
    pub(crate) path: PathBuf,
}

/// Opens the file that is known under this name.
pub(crate) async fn open_file(inputs: &Arc<dyn Inputs>, name: &str) -> Result<FileBytes, ConnectorError> {
    let (inputs, name) = (inputs.clone(), name.to_owned());
    let opened = blocking(move || {
        let Place { files, path } = inputs.place(&name)?;
        Ok((files.store(&path)?, files.shown(&path)))
    });
    let ((store, location), shown) = opened.await?;
    FileBytes::open(store, location, shown).await
}

/// Files of a file system that has no links.
#[derive(Clone, Debug)]
pub(crate) struct PlainInputs {
    files: Arc<dyn FileSystem>,
    root: PathBuf,
    wanted: Wanted,
}

impl PlainInputs {
    /// Looks at the path, which is one of the file system.
    pub(crate) fn new(files: Arc<dyn FileSystem>, path: &Path) -> Result<Self, ConnectorError> {
        let (root, wanted) = if files.entries(path)?.is_some() { (path.to_owned(), Wanted::All) } else { split(&*files, path)? };
        Ok(Self { files, root, wanted })
    }

    fn walk(&self) -> Result<Vec<Listed>, ConnectorError> {
        let (mut found, mut folders) = (Vec::new(), vec![String::new()]);
        while let Some(folder) = folders.pop() {
            for entry in self.files.entries(&self.root.join(&folder))?.unwrap_or_default() {
                if entry.name.starts_with(['.', '_']) || entry.name.ends_with(BEING_PUT) {
                    continue;
                }
                let name = if folder.is_empty() { entry.name } else { format!("{folder}/{}", entry.name) };
                match entry.kind {
                    EntryKind::Folder => folders.push(name),
                    EntryKind::File if self.wanted.means(&name) => {
                        found.push(Listed { name, bytes: entry.bytes, modified: entry.modified });
                    }
                    EntryKind::File | EntryKind::Other => {}
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

fn split(files: &dyn FileSystem, path: &Path) -> Result<(PathBuf, Wanted), ConnectorError> {
    let refused = |reason: String| ConnectorError::refused(files.shown(path), reason, "look at `path`");
    let (root, wanted) = Wanted::split(path, files.length(path)?.is_some()).map_err(refused)?;
    Ok((root, wanted))
}

impl Inputs for PlainInputs {
    fn list(&self) -> Result<Vec<Listed>, ConnectorError> {
        let found = self.list_present()?;
        match &self.wanted {
            Wanted::One(name) if found.is_empty() => {
                let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
                Err(ConnectorError::io("read", self.shown_file(name), gone))
            }
            _ => Ok(found),
        }
    }

    fn list_present(&self) -> Result<Vec<Listed>, ConnectorError> {
        let Wanted::One(name) = &self.wanted else { return self.walk() };
        let entries = self.files.entries(&self.root)?.unwrap_or_default();
        let found = entries.into_iter().find(|entry| entry.name == *name);
        if found.as_ref().is_some_and(|entry| entry.kind == EntryKind::Folder) {
            let reason = "it was not there when the job was started, and is a folder now";
            return Err(ConnectorError::refused(self.shown_file(name), reason, "start the job again, to read what is in the folder"));
        }
        let found = found.filter(|entry| entry.kind == EntryKind::File);
        Ok(found.map(|entry| Listed { name: entry.name, bytes: entry.bytes, modified: entry.modified }).into_iter().collect())
    }

    fn shown(&self) -> String {
        self.files.shown(&self.root)
    }

    fn shown_file(&self, name: &str) -> String {
        self.files.shown(&self.root.join(name))
    }

    fn place(&self, name: &str) -> Result<Place, ConnectorError> {
        if Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
            return Ok(Place { files: self.files.clone(), path: self.root.join(name) });
        }
        let reason = format!("it lies outside of {}", self.shown());
        Err(ConnectorError::refused(self.shown_file(name), reason, "look at `path`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::Local;
    use std::fs;

    fn names(root: &Path, path: &str) -> Vec<String> {
        let inputs = PlainInputs::new(Arc::new(Local), &root.join(path)).expect("a path");
        inputs.list().expect("listed").into_iter().map(|listed| listed.name).collect()
    }

    #[test]
    fn a_path_is_a_file_a_folder_or_a_glob() {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["a.csv", "b.json", "day=1/c.json", "day=1/.d.json", "_tmp/e.json", "f[1].json", "g.json._COPYING_"] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, "x").expect("written");
        }
        assert_eq!(names(folder.path(), ""), ["a.csv", "b.json", "day=1/c.json", "f[1].json"]);
        assert_eq!(names(folder.path(), "a.csv"), ["a.csv"]);
        // What is there by this name is no glob.
        assert_eq!(names(folder.path(), "f[1].json"), ["f[1].json"]);
        assert_eq!(names(folder.path(), "*.json"), ["b.json", "f[1].json"]);
        assert_eq!(names(folder.path(), "**/*.json"), ["b.json", "day=1/c.json", "f[1].json"]);
        assert_eq!(names(folder.path(), "day=*/*"), ["c.json"].map(|name| format!("day=1/{name}")));
        let missing = PlainInputs::new(Arc::new(Local), &folder.path().join("gone.csv")).expect("a path");
        assert_eq!(missing.list_present().expect("listed"), []);
        assert!(missing.list().is_err() && missing.place("../b").is_err());
        fs::create_dir(folder.path().join("gone.csv")).expect("made");
        let error = missing.list_present().expect_err("it is no file");
        assert!(error.to_string().contains("and is a folder now"), "{error}");
    }
}
