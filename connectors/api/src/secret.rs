//! Secrets in a pipeline file: never the text itself, only where it is.

use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// The longest secret.
const MAX_BYTES: u64 = 64 * 1024;

/// Where a secret is: `{ file = "..." }` or `{ env = "..." }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// A file, relative to the pipeline file, that only its owner can read; a line end behind it is not part of it.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
}

/// A secret, which shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The text, for whoever needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why there is no secret to be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret in {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others can read the file.
    #[error("the secret in {path} can be read by others than its owner (mode {mode:o}); `chmod 600 {path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is no text, empty, or too long.
    #[error("the secret in {place} is {what}")]
    NoText {
        /// The file or the variable.
        place: String,
        /// What it is instead.
        what: &'static str,
    },
    /// The variable is not set.
    #[error("the environment has no variable `{0}`, which should hold a secret")]
    NotSet(String),
}

impl Secret {
    /// The secret itself; paths start at `base`.
    ///
    /// # Errors
    /// When it cannot be read, or not only by its owner.
    pub fn read(&self, base: &Path) -> Result<SecretText, SecretError> {
        match self {
            Self::File(path) => read_file(&base.join(path)),
            Self::Env(name) => match std::env::var(name) {
                Ok(text) => checked(text, || format!("the variable `{name}`")),
                Err(std::env::VarError::NotPresent) => Err(SecretError::NotSet(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => Err(no_text(format!("the variable `{name}`"), "no text")),
            },
        }
    }
}

fn read_file(path: &Path) -> Result<SecretText, SecretError> {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Open { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let place = || path.display().to_string();
    if bytes.len() as u64 > MAX_BYTES {
        return Err(no_text(place(), "longer than 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| no_text(place(), "no text"))?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    checked(text.to_owned(), place)
}

fn checked(text: String, place: impl FnOnce() -> String) -> Result<SecretText, SecretError> {
    if text.is_empty() { Err(no_text(place(), "empty")) } else { Ok(SecretText(text)) }
}

fn no_text(place: String, what: &'static str) -> SecretError {
    SecretError::NoText { place, what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(folder: &Path, mode: u32, bytes: &[u8]) -> Secret {
        let path = folder.join("password");
        std::fs::write(&path, bytes).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        Secret::File("password".into())
    }

    #[test]
    fn a_file_of_its_owner_is_read_without_its_line_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = file(folder.path(), 0o600, b"hunter2 \r\n").read(folder.path()).expect("a secret");
        assert_eq!(read.reveal(), "hunter2 ");
        assert_eq!(format!("{read:?}"), "***");
    }

    #[test]
    fn what_others_can_read_or_is_no_text_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let told = |mode, bytes: &[u8]| file(folder.path(), mode, bytes).read(folder.path()).expect_err("refused").to_string();
        let path = folder.path().join("password").display().to_string();
        assert_eq!(told(0o640, b"x"), format!("the secret in {path} can be read by others than its owner (mode 640); `chmod 600 {path}`"));
        assert_eq!(told(0o600, b"\n"), format!("the secret in {path} is empty"));
        assert_eq!(told(0o600, b"\xff"), format!("the secret in {path} is no text"));
        assert_eq!(told(0o600, &[b'x'; 70_000]), format!("the secret in {path} is longer than 64 KiB"));
        let unset = Secret::Env("STYGIAN_NO_SUCH_SECRET".into()).read(folder.path()).expect_err("refused").to_string();
        assert_eq!(unset, "the environment has no variable `STYGIAN_NO_SUCH_SECRET`, which should hold a secret");
    }
}
