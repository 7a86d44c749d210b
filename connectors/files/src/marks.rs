//! What files are known by in checkpoints, beside their split's name: enough to see that another file has come to a file's place, or that it
//! was written to, since it was read.
//!
//! Checkpoints hold these as JSON. Fields that are not known are refused: what they ask to be compared would not be.

use crate::bytes::FileBytes;
use crate::checksum::Checksum;
use crate::inputs::Listed;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stygian_api::{ConnectorError, Mark};

/// The first bytes of a file that are compared; fewer if it has fewer.
pub(crate) const HEAD: u64 = 1024;

/// A file that is read once, as it was when it was opened: it must not change any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileMark {
    bytes: u64,
    /// When it was written last: microseconds since 1970.
    modified: i64,
    /// Of its first [`HEAD`] bytes.
    head: Checksum,
}

impl FileMark {
    /// Reads the head.
    pub(crate) async fn of(file: &FileBytes) -> Result<Self, ConnectorError> {
        let head = file.read(0..file.size.min(HEAD)).await?;
        Ok(Self { bytes: file.size, modified: file.modified, head: Checksum::of(&head) })
    }

    /// That the file is still this one, as far as a list of the folder tells. `path` is for the message.
    pub(crate) fn check_listed(&self, path: &str, now: &Listed) -> Result<(), ConnectorError> {
        self.check(path, &Self { bytes: now.bytes, modified: now.modified, head: self.head })
    }

    /// That the file, of which `now` is what it is known by now, is still this one.
    pub(crate) fn check(&self, path: &str, now: &Self) -> Result<(), ConnectorError> {
        let reason = if self.bytes != now.bytes {
            format!("the file had {} bytes when it was read, and has {}", self.bytes, now.bytes)
        } else if self.head != now.head {
            "the file does not begin as it did when it was read".into()
        } else if self.modified != now.modified {
            let seconds = |micros: i64| micros.div_euclid(1_000_000);
            let (then, now) = (seconds(self.modified), seconds(now.modified));
            format!("the file has been written since it was read: its time was {then} s after 1970, and is {now} s")
        } else {
            return Ok(());
        };
        let hint = "put back the file that was read before, with its time (as `cp -p` does), and give new files new names; \
                    or start the job afresh";
        Err(ConnectorError::refused(path, reason, hint))
    }
}

/// A file that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FollowedMark {
    /// So many of its first bytes are compared, at most [`HEAD`]: those it had when it was looked at.
    pub(crate) head_bytes: u64,
    /// Of these.
    pub(crate) head: Checksum,
    /// It was cut after it was read up to this byte: what is there now is not what was read.
    pub(crate) cut: Option<u64>,
}

/// What a checkpoint holds of `split`.
pub(crate) fn read<T: DeserializeOwned>(split: &str, mark: Option<&Mark>) -> Result<Option<T>, ConnectorError> {
    mark.map(|mark| T::deserialize(&mark.0)).transpose().map_err(|e| {
        let reason = format!("what the checkpoint knows of this file is not understood: {e}");
        ConnectorError::refused(split, reason, "go on with the options and the version of stygian that wrote the checkpoint")
    })
}

/// For a checkpoint.
pub(crate) fn mark(of: &impl Serialize) -> Option<Mark> {
    serde_json::to_value(of).ok().map(Mark)
}
