//! Where captures are kept: a folder of ours alone, bounded in files and bytes.
//!
//! A run saves its first failed calls, up to the bound, and no more, so that a plugin which fails all the time does not write all the
//! time; the folder keeps the newest, also of earlier runs. Saving is a short write on the thread that found the failure; it is made at
//! most `files` times a run.

use super::{Capture, CaptureError, MAX_CAPTURE_BYTES};
use crate::folder::PrivateFolder;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use stygian_core::ByteSize;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureLimits {
    /// Files saved in a run, and kept in the folder. Default: 16.
    pub files: usize,
    /// Bytes of all files in the folder, 64 MiB by default. A capture has the plugin in it.
    pub bytes: ByteSize,
}

impl Default for CaptureLimits {
    fn default() -> Self {
        Self { files: 16, bytes: ByteSize::mib(64) }
    }
}

/// A folder of captures. It is made when the first one is saved.
#[derive(Debug)]
pub struct Captures {
    path: PathBuf,
    run: String,
    limits: CaptureLimits,
    saved: Mutex<Saved>,
}

#[derive(Debug, Default)]
struct Saved {
    folder: Option<PrivateFolder>,
    files: usize,
}

impl Captures {
    /// The captures of a run; `run` tells its files from those of other runs.
    pub fn new(path: impl Into<PathBuf>, run: &str, limits: CaptureLimits) -> Self {
        Self { path: path.into(), run: plain(run), limits, saved: Mutex::default() }
    }

    /// Saves what `capture` makes, unless this run has saved enough; where it is then. `name` is what the file's name begins with.
    ///
    /// # Errors
    /// When it cannot be made or written. It counts as saved all the same, so that a full disk is not tried again and again.
    pub fn save(&self, name: &str, capture: impl FnOnce() -> Result<Capture, CaptureError>) -> Result<Option<PathBuf>, CaptureError> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if saved.files >= self.limits.files {
            return Ok(None);
        }
        saved.files += 1;
        let file = format!("{}-{}-{}.capture", plain(name), self.run, saved.files);
        let bytes = capture()?.to_bytes()?;
        let limit = self.limits.bytes.min(ByteSize(MAX_CAPTURE_BYTES as u64));
        if bytes.len() as u64 > limit.0 {
            return Err(CaptureError::TooLarge { bytes: ByteSize(bytes.len() as u64), limit });
        }
        let folder = match &mut saved.folder {
            Some(folder) => folder,
            none => none.insert(PrivateFolder::open(&self.path)?),
        };
        folder.write(&file, &[&bytes])?;
        if let Err(error) = folder.tidy(&file, self.limits.files, self.limits.bytes.0) {
            tracing::warn!(folder = %folder.path().display(), error = %error, "cannot remove old captures");
        }
        Ok(Some(folder.path().join(file)))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A part of a file's name: letters, digits, `_` and `-` as they are, all else as `_`; not empty, at most 100 characters.
fn plain(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.chars().take(100).map(allowed).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}
