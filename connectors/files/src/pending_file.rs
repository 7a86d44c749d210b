//! A finished file that waits for its final name, as checkpoints hold it.

use crate::checksum::Checksum;
use crate::file_system::{FileSystem, failed};
use serde::Deserialize;
use std::path::{Component, Path, PathBuf};
use stygian_api::{ConnectorError, Pending};

/// A finished file that waits for its final name. All names are relative to the sink's folder.
///
/// Checkpoints hold this as JSON. A field that is not known is refused, because what it asks for would be left undone; so is a checksum of
/// another name. The first four fields are needed; the others came later, and are left out where there is nothing to say.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PendingFile {
    pub(crate) from: String,
    pub(crate) to: String,
    /// In bytes.
    pub(crate) length: u64,
    /// Of all its bytes, as they lie in the file.
    pub(crate) checksum: Checksum,
    /// Set for a file that may be held back, to be merged: when it was finished, in microseconds since 1970.
    #[serde(default)]
    pub(crate) held_since: Option<i64>,
    /// The in-progress names of the files that were merged into it. They are garbage once it is in a committed checkpoint.
    #[serde(default)]
    pub(crate) parts: Vec<String>,
}

/// How closely a finished file is looked at before it is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// In the run that wrote it moments ago: its bytes were counted and summed as they were written, and are durable.
    AtLength,
    /// After a restart: between then and now lies a crash, maybe of the machine, and once the file is visible nobody can take it back. That is
    /// worth reading again what the last checkpoints had pending, which is not much.
    AtBytes,
}

impl PendingFile {
    pub(crate) fn into_pending(self) -> Pending {
        let Self { from, to, length, checksum, held_since, parts } = self;
        let mut words = serde_json::json!({ "from": from, "to": to, "length": length, "checksum": checksum.to_string() });
        if let Some(words) = words.as_object_mut() {
            words.extend(held_since.map(|since| ("held_since".to_owned(), since.into())));
            words.extend(Some(parts).filter(|parts| !parts.is_empty()).map(|parts| ("parts".to_owned(), parts.into())));
        }
        Pending(words)
    }

    pub(crate) fn read(files: &dyn FileSystem, root: &Path, pending: &Pending) -> Result<Self, ConnectorError> {
        Self::deserialize(&pending.0).map_err(|e| {
            let reason = format!("a pending file is not understood: {e}");
            let hint = "go on with the version of stygian that wrote the checkpoint";
            ConnectorError::refused(files.shown(root), reason, hint)
        })
    }

    /// That the file at `path` is this one, as far as is looked.
    pub(crate) fn check(&self, files: &dyn FileSystem, path: &Path, found: u64, look: Look) -> Result<(), ConnectorError> {
        if found != self.length {
            return Err(refused(files, path, format!("it has {found} bytes instead of {}", self.length)));
        }
        if look == Look::AtLength {
            return Ok(());
        }
        let checksum = Checksum::of_file(files.open(path)?).map_err(|e| failed("read", files.shown(path), e))?;
        if checksum == self.checksum {
            return Ok(());
        }
        Err(refused(files, path, format!("it is not what was written: its checksum is {checksum} instead of {}", self.checksum)))
    }

    /// The folder it lies in; empty for the sink's own.
    pub(crate) fn folder(&self) -> &str {
        self.to.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// The path of a name that a checkpoint holds.
pub(crate) fn inside(files: &dyn FileSystem, root: &Path, name: &str) -> Result<PathBuf, ConnectorError> {
    let mut parts = Path::new(name).components().peekable();
    if parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_))) {
        return Ok(root.join(name));
    }
    Err(refused(files, root, format!("a pending file has the name `{}`", stygian_core::escape(name, 100))))
}

pub(crate) fn refused(files: &dyn FileSystem, path: &Path, reason: String) -> ConnectorError {
    let hint = "look for what moved or replaced files in the sink's folder; nothing was overwritten";
    ConnectorError::refused(files.shown(path), reason, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::Local;

    fn file() -> PendingFile {
        let (from, to) = (".part-0.csv=job=sink.inprogress".to_owned(), "part-0.csv".to_owned());
        PendingFile { from, to, length: 7, checksum: Checksum::of(b"stygian"), held_since: None, parts: Vec::new() }
    }

    /// Frozen: checkpoints hold these, and those that were written before files were merged have only the first four.
    #[test]
    fn checkpoints_of_before_are_read_and_fields_that_are_not_known_are_refused() {
        let mut words = serde_json::json!({
            "from": ".part-0.csv=job=sink.inprogress", "to": "part-0.csv", "length": 7,
            "checksum": Checksum::of(b"stygian").to_string(),
        });
        let read = |words: &serde_json::Value| PendingFile::read(&Local, Path::new("out"), &Pending(words.clone()));
        assert_eq!(read(&words).expect("read"), file());
        assert_eq!(file().into_pending().0, words);
        words["held_since"] = 5.into();
        words["parts"] = vec!["a", "b"].into();
        let merged = PendingFile { held_since: Some(5), parts: vec!["a".into(), "b".into()], ..file() };
        assert_eq!(read(&words).expect("read"), merged);
        assert_eq!(merged.into_pending().0, words);
        words["until"] = 5.into();
        assert!(read(&words).expect_err("unknown").to_string().contains("go on with the version of stygian that wrote the checkpoint"));
    }
}
