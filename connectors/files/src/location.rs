//! Which files a `path` means: a file, all files below a folder, or those that a glob matches.
//!
//! Everything lies below a root: the part of the path before the first wildcard. Files are known by their path from there. Links that
//! lead out of the root are not followed unless told; folders are never entered through links.

use crate::identity::Identity;
use crate::inputs::{Inputs, Listed, Place};
use crate::local::{self, Local};
use globset::{GlobBuilder, GlobMatcher};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use stygian_api::ConnectorError;

/// A path of the pipeline file, understood.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    /// As people know it.
    root: PathBuf,
    wanted: Wanted,
    follow_links: bool,
}

/// Which files below a root are meant.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// The one of this name.
    One(String),
    All,
    Matching(GlobMatcher),
}

impl Wanted {
    /// A path that is no folder, as a root and what is meant below it; `is_there`: there is a file of just this name.
    pub(crate) fn split(path: &Path, is_there: bool) -> Result<(PathBuf, Self), String> {
        let is_glob = |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
        if is_there || !path.components().any(|part| is_glob(&part)) {
            let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| format!("`{}` names no file", path.display()))?;
            return Ok((path.parent().unwrap_or(Path::new("")).to_owned(), Self::One(name.to_owned())));
        }
        let fixed: PathBuf = path.components().take_while(|part| !is_glob(part)).collect();
        let pattern: PathBuf = path.components().skip_while(|part| !is_glob(part)).collect();
        let glob = GlobBuilder::new(&pattern.to_string_lossy()).literal_separator(true).build().map_err(|e| e.to_string())?;
        Ok((fixed, Self::Matching(glob.compile_matcher())))
    }

    pub(crate) fn means(&self, name: &str) -> bool {
        match self {
            Self::One(one) => name == one,
            Self::All => true,
            Self::Matching(glob) => glob.is_match(name),
        }
    }
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FoundFile {
    /// From the root, with `/` between folders.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) identity: Identity,
    /// When it was written last: microseconds since 1970.
    pub(crate) modified: i64,
}

impl FoundFile {
    fn new(name: String, metadata: &Metadata) -> Self {
        Self { name, bytes: metadata.len(), identity: Identity::of(metadata), modified: local::modified(metadata) }
    }
}

impl FoundFile {
    fn listed(self) -> Listed {
        Listed { name: self.name, bytes: self.bytes, modified: self.modified }
    }
}

impl Location {
    /// Looks at the path; relative ones start at `base`.
    pub(crate) fn new(base: &Path, path: &str, follow_links: bool) -> Result<Self, String> {
        let whole = base.join(path);
        if whole.is_dir() {
            return Ok(Self { root: whole, wanted: Wanted::All, follow_links });
        }
        // The folder of the pipeline file may have any name.
        let (below, wanted) = Wanted::split(Path::new(path), whole.exists())?;
        Ok(Self { root: base.join(below), wanted, follow_links })
    }

    /// Every file, ordered by name.
    pub(crate) fn list(&self) -> Result<Vec<FoundFile>, ConnectorError> {
        let mut files = match &self.wanted {
            Wanted::One(name) => {
                let path = self.root.join(name);
                vec![FoundFile::new(name.clone(), &path.metadata().map_err(|e| failed(&path, e))?)]
            }
            Wanted::All => self.walk(|_| true)?,
            Wanted::Matching(glob) => self.walk(|name| glob.is_match(name))?,
        };
        files.sort();
        Ok(files)
    }

    /// As [`Self::list`]; a single file that is not there (yet, or just now) is no error.
    pub(crate) fn list_present(&self) -> Result<Vec<FoundFile>, ConnectorError> {
        match &self.wanted {
            Wanted::One(name) if !self.root.join(name).exists() => Ok(Vec::new()),
            _ => self.list(),
        }
    }

    /// Opens a file, and says where it is to be looked for again; `None` if it is gone by now.
    pub(crate) fn open_present(&self, name: &str) -> Result<Option<(File, PathBuf)>, ConnectorError> {
        let path = self.root.join(name);
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        if path.canonicalize().is_err_and(|error| gone(&error)) {
            return Ok(None);
        }
        match File::open(self.resolve(name)?) {
            Err(error) if gone(&error) => Ok(None),
            opened => opened.map(|file| Some((file, path.clone()))).map_err(|e| failed(&path, e)),
        }
    }

    /// Where files of these identities are now, whatever they are called, hidden ones too. Of a single file the folder is looked into that it is
    /// in, else everything below the root. A folder that cannot be read is passed over: what is in it counts as gone.
    pub(crate) fn find(&self, wanted: &BTreeSet<Identity>) -> Result<BTreeMap<Identity, PathBuf>, ConnectorError> {
        let (real_root, mut found, mut folders) = (self.real_root()?, BTreeMap::new(), vec![self.root.clone()]);
        let one = if let Wanted::One(name) = &self.wanted { Some(self.root.join(name)) } else { None };
        if let Some(Ok(real)) = one.as_ref().map(|path| path.canonicalize()) {
            folders.extend(real.parent().map(Path::to_owned));
        }
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().into_iter().flatten().flatten() {
                let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
                if kind.is_dir() {
                    folders.extend(one.is_none().then_some(path));
                    continue;
                }
                let Ok(metadata) = path.metadata() else { continue };
                let identity = Identity::of(&metadata);
                let allowed = || !kind.is_symlink() || one.is_some() || self.may_follow(&path, &real_root);
                if metadata.is_file() && wanted.contains(&identity) && allowed() {
                    found.insert(identity, path);
                }
            }
        }
        Ok(found)
    }

    /// The path of a name, for messages and to be looked at again.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// For messages.
    pub(crate) fn shown(&self) -> String {
        self.root.display().to_string()
    }

    /// Where a file of this name is, if it is one of ours and not outside by way of a link.
    pub(crate) fn resolve(&self, name: &str) -> Result<PathBuf, ConnectorError> {
        let path = self.root.join(name);
        let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let real = path.canonicalize().map_err(|e| failed(&path, e))?;
        let inside = matches!(self.wanted, Wanted::One(_)) || self.follow_links || real.starts_with(self.real_root()?);
        if plain && inside {
            return Ok(real);
        }
        Err(ConnectorError::Refused {
            what: path.display().to_string(),
            reason: format!("it lies outside of {}", self.root.display()),
            hint: "set `follow_links = true` if what is there is to be trusted".into(),
        })
    }

    fn real_root(&self) -> Result<PathBuf, ConnectorError> {
        self.root.canonicalize().map_err(|e| failed(&self.root, e))
    }

    fn walk(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<FoundFile>, ConnectorError> {
        let (real_root, mut files, mut folders) = (self.real_root()?, Vec::new(), vec![String::new()]);
        while let Some(folder) = folders.pop() {
            let path = self.root.join(&folder);
            for entry in path.read_dir().map_err(|e| failed(&path, e))? {
                let entry = entry.map_err(|e| failed(&path, e))?;
                let Some(name) = visible_name(&entry.path())? else { continue };
                let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                let kind = entry.file_type().map_err(|e| failed(&entry.path(), e))?;
                if kind.is_dir() {
                    folders.push(name);
                } else if wanted(&name) && (!kind.is_symlink() || self.may_follow(&entry.path(), &real_root)) {
                    match entry.path().metadata() {
                        Ok(metadata) if metadata.is_file() => files.push(FoundFile::new(name, &metadata)),
                        Ok(_) => {}
                        // Renamed or removed since the folder was listed.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(failed(&entry.path(), error)),
                    }
                }
            }
        }
        Ok(files)
    }

    fn may_follow(&self, link: &Path, real_root: &Path) -> bool {
        let inside = link.canonicalize().is_ok_and(|real| self.follow_links || real.starts_with(real_root));
        if !inside {
            tracing::warn!(path = %link.display(), "this link is passed over: it leads nowhere or out of the source's folder");
        }
        inside
    }
}

impl Inputs for Location {
    fn list(&self) -> Result<Vec<Listed>, ConnectorError> {
        Ok(Self::list(self)?.into_iter().map(FoundFile::listed).collect())
    }

    fn list_present(&self) -> Result<Vec<Listed>, ConnectorError> {
        Ok(Self::list_present(self)?.into_iter().map(FoundFile::listed).collect())
    }

    fn shown(&self) -> String {
        Self::shown(self)
    }

    fn shown_file(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn place(&self, name: &str) -> Result<Place, ConnectorError> {
        Ok(Place { files: Arc::new(Local), path: self.resolve(name)? })
    }
}

/// The file name, unless it is hidden; names have to be UTF-8, because offsets are filed under them.
fn visible_name(path: &Path) -> Result<Option<String>, ConnectorError> {
    let name = path.file_name().unwrap_or_default();
    let name = name.to_str().ok_or_else(|| failed(path, io::Error::other("the name is not UTF-8; rename the file")))?;
    Ok((!name.starts_with(['.', '_'])).then(|| name.to_owned()))
}

fn failed(path: &Path, error: io::Error) -> ConnectorError {
    ConnectorError::io("read", path.display().to_string(), error)
}
