//! One file that is followed: read as far as it goes, then looked at until it has grown, was rotated, or was cut. How it begins is told as
//! soon as it is known (and told better as long as it has fewer bytes than are compared), and that it was cut before its end is.

use crate::checksum::Checksum;
use crate::followed::{CUT, Followed, Following};
use crate::identity::Identity;
use crate::marks::{self, FollowedMark, HEAD};
use crate::source::blocking;
use crate::text_input::TextInput;
use ::bytes::Bytes;
use async_trait::async_trait;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use stygian_api::{ConnectorError, Mark};

/// A file that may grow. It stays open under whatever name, until it has been read.
pub(crate) struct FollowedFile {
    followed: Arc<Followed>,
    identity: Identity,
    /// Where it was when it was opened.
    path: PathBuf,
    file: Arc<File>,
    following: Following,
    /// Since when it has not been at its place, without growing.
    gone_since: Option<Instant>,
    end: Option<u64>,
    /// What it is known by.
    mark: FollowedMark,
    /// That is not told yet.
    untold: bool,
    /// It was read up to here (or [`CUT`]), which is not said yet: the mark comes first, as the next split may be named then.
    done: Option<u64>,
}

/// What a look at the file showed.
enum Look {
    /// What there is from the place asked for.
    More(Bytes),
    Nothing {
        /// Whether its name is still its own.
        in_place: bool,
    },
    /// It is shorter than what was read of it.
    Cut(u64),
}

impl FollowedFile {
    pub(crate) fn new(followed: Arc<Followed>, identity: Identity, path: PathBuf, file: File, following: Following) -> Self {
        Self {
            followed,
            identity,
            path,
            file: Arc::new(file),
            following,
            gone_since: None,
            end: None,
            mark: FollowedMark::of(&[]),
            untold: false,
            done: None,
        }
    }

    async fn look(&mut self, at: u64, have: usize, want: usize) -> Result<Look, ConnectorError> {
        let (file, path, identity) = (self.file.clone(), self.path.clone(), self.identity);
        let known_head = self.mark.head_bytes;
        let (look, mark) = blocking(move || {
            let failed = |e: io::Error| ConnectorError::io("read", path.display().to_string(), e);
            let known = at + have as u64;
            let size = file.metadata().map_err(failed)?.len();
            if size < known {
                return Ok((Look::Cut(size), None));
            }
            let mark = (known_head < HEAD.min(size)).then(|| FollowedMark::of_file(&file)).transpose().map_err(failed)?;
            if size > known {
                return Ok((Look::More(read_at(&file, at, want).map_err(failed)?), mark));
            }
            let in_place = path.metadata().is_ok_and(|metadata| Identity::of(&metadata) == identity);
            Ok((Look::Nothing { in_place }, mark))
        })
        .await?;
        if let Some(mark) = mark {
            (self.mark, self.untold) = (mark, true);
        }
        Ok(look)
    }

    /// Ends here: what was read so far is all there is.
    fn end_at(&mut self, at: u64, done: u64) {
        if done == CUT {
            (self.mark.cut, self.untold) = (Some(at), true);
        }
        (self.end, self.done) = (Some(at), Some(done));
    }
}

impl FollowedMark {
    fn of(head: &[u8]) -> Self {
        Self { head_bytes: head.len() as u64, head: Checksum::of(head), cut: None }
    }

    fn of_file(file: &File) -> io::Result<Self> {
        read_at(file, 0, usize::try_from(HEAD).unwrap_or(usize::MAX)).map(|head| Self::of(&head))
    }

    /// Whether the file begins as it did.
    pub(crate) fn is_of(&self, file: &File) -> io::Result<bool> {
        let wanted = usize::try_from(self.head_bytes.min(HEAD)).unwrap_or(0);
        Ok(Checksum::of(&read_at(file, 0, wanted)?) == self.head)
    }
}

/// A part of a file that was given up when the next split of it began, and is still to be read after a restart.
#[derive(Debug)]
pub(crate) struct Leftover {
    pub(crate) file: Arc<File>,
    pub(crate) shown: String,
    /// Where the next split begins.
    pub(crate) end: u64,
}

#[async_trait]
impl TextInput for Leftover {
    fn end(&self) -> Option<u64> {
        Some(self.end)
    }

    async fn more(&mut self, at: u64, _: Bytes, want: usize) -> Result<Bytes, ConnectorError> {
        let (file, left) = (self.file.clone(), usize::try_from(self.end.saturating_sub(at)).unwrap_or(want).min(want));
        let read = blocking(move || read_at(&file, at, left).map_err(|e| ConnectorError::io("read", "a followed file", e))).await?;
        if read.len() < left {
            let reason = format!("it ends at byte {}, and was read up to byte {} before", at + read.len() as u64, self.end);
            return Err(ConnectorError::refused(self.shown.clone(), reason, "do not cut files that are followed; rotate them by renaming"));
        }
        Ok(read)
    }

    fn take_mark(&mut self) -> Option<Mark> {
        None
    }
}

/// As much as there is, at most `want` bytes.
fn read_at(file: &File, at: u64, want: usize) -> io::Result<Bytes> {
    let (mut bytes, mut filled) = (vec![0; want], 0);
    while filled < want {
        match file.read_at(&mut bytes[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes.into())
}

#[async_trait]
impl TextInput for FollowedFile {
    fn end(&self) -> Option<u64> {
        self.end
    }

    async fn more(&mut self, at: u64, have: Bytes, want: usize) -> Result<Bytes, ConnectorError> {
        let known = at + have.len() as u64;
        match self.look(at, have.len(), want).await? {
            Look::More(bytes) => {
                self.gone_since = None;
                return Ok(bytes);
            }
            Look::Nothing { in_place: true } => self.gone_since = None,
            Look::Nothing { in_place: false } => {
                let since = *self.gone_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= self.following.rotate_wait {
                    tracing::info!(path = %self.path.display(), bytes = known, "this followed file was renamed or deleted, and is read");
                    self.end_at(known, known);
                    return Ok(have);
                }
            }
            Look::Cut(size) => {
                tracing::warn!(
                    path = %self.path.display(), read = known, bytes = size,
                    "this followed file was cut and is read from its start again; what was not read before is lost; \
                     rotate by renaming, not by copying and cutting"
                );
                self.end_at(known, CUT);
                return Ok(have);
            }
        }
        tokio::time::sleep(self.following.poll_interval).await;
        // A new buffer, however small: the old one would stay in memory as a whole for as long as the file rests.
        Ok(Bytes::copy_from_slice(&have))
    }

    fn take_mark(&mut self) -> Option<Mark> {
        if std::mem::take(&mut self.untold) {
            return marks::mark(&self.mark);
        }
        if let Some(done) = self.done.take() {
            self.followed.done(self.identity, done);
        }
        None
    }
}
