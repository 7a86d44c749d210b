//! One file that is followed: read as far as it goes, then looked at until it has grown, was rotated, or was cut. How it begins is told as
//! soon as it is known (and told better as long as it has fewer bytes than are compared), and that it was cut before its end is.

use crate::followed::{CUT, Followed, Following};
use crate::growing::GrowingFile;
use crate::identity::Identity;
use crate::marks::{self, FollowedMark, HEAD};
use crate::source::blocking;
use crate::text_input::TextInput;
use ::bytes::Bytes;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Instant;
use stygian_api::{ConnectorError, Mark};

/// A file that may grow. It stays open, until it has been read.
pub(crate) struct FollowedFile {
    followed: Arc<Followed>,
    identity: Identity,
    file: Arc<dyn GrowingFile>,
    following: Following,
    /// Since when it has not been at its place, or rested where there are only names, without growing.
    quiet_since: Option<Instant>,
    end: Option<u64>,
    /// What it is known by.
    mark: FollowedMark,
    /// That is not told yet.
    untold: bool,
    /// How long it was, and when it had been written, when it was compared with that.
    compared: (u64, Option<i64>),
    /// Whether what was read of it ends with a line.
    whole_line: bool,
    /// It was read up to here (or [`CUT`]), which is not said yet: the mark comes first, as the next split may be named then.
    done: Option<u64>,
}

/// What a look at the file showed.
enum Look {
    /// What there is from the place asked for.
    More(Bytes),
    /// There is more, which cannot be read before who writes it closes it.
    Waits,
    Nothing {
        /// Whether its name is still its own.
        in_place: bool,
    },
    /// It is shorter than what was read of it, or begins otherwise.
    Cut(u64),
}

impl FollowedFile {
    /// `known`: how a file begins that has to be this one.
    pub(crate) fn new(
        followed: Arc<Followed>,
        identity: Identity,
        file: Arc<dyn GrowingFile>,
        known: Option<FollowedMark>,
        following: Following,
    ) -> Self {
        let (mark, untold) = (known.unwrap_or_else(|| FollowedMark::of(&[])), known.is_some());
        let (quiet_since, end, compared, whole_line, done) = (None, None, (0, None), true, None);
        Self { followed, identity, file, following, quiet_since, end, mark, untold, compared, whole_line, done }
    }

    async fn look(&mut self, at: u64, have: usize, want: usize) -> Result<Look, ConnectorError> {
        let (file, begins, by_name, compared) = (self.file.clone(), self.mark, self.followed.files.by_name(), self.compared);
        let (look, head) = blocking(move || {
            let (known, size) = (at + have as u64, file.size()?);
            let now = (size, file.modified());
            if size < known {
                return Ok((Look::Cut(size), None));
            }
            let look = match size > known {
                false => Look::Nothing { in_place: file.is_in_place() },
                true => match file.read_at(at, want)? {
                    bytes if by_name && bytes.len() <= have => Look::Waits,
                    bytes => Look::More(bytes),
                },
            };
            // Behind the bytes: if another file has its name by then, they may be of that one.
            let is_due = begins.head_bytes < HEAD.min(size) || (by_name && now != compared);
            let head = is_due.then(|| file.read_at(0, usize::try_from(HEAD).unwrap_or(usize::MAX))).transpose()?;
            match head.as_ref().filter(|_| by_name).map(|head| begins.is_of(head)) {
                Some(Some(false)) => Ok((Look::Cut(size), None)),
                Some(None) if size < begins.head_bytes => Ok((Look::Cut(size), None)),
                Some(None) => Ok((Look::Waits, None)),
                Some(Some(true)) | None => Ok((look, head.map(|head| (head, now)))),
            }
        })
        .await?;
        if let Some((head, now)) = head {
            let mark = FollowedMark::of(&head);
            self.untold |= mark != self.mark;
            (self.mark, self.compared) = (mark, now);
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

    /// Whether it may be given up though it is there: it was read to the end of a line, and whether it grows any more only its folder tells, which
    /// is looked at anyway. An open file costs nothing, and its name may be taken from it any time.
    fn may_rest(&self, known: u64, have: &Bytes) -> bool {
        self.followed.files.by_name() && known > 0 && have.is_empty() && self.whole_line
    }
}

/// A part of a file that was given up when the next split of it began, and is still to be read after a restart.
#[derive(Debug)]
pub(crate) struct Leftover {
    pub(crate) file: Arc<dyn GrowingFile>,
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
        let read = blocking(move || file.read_at(at, left)).await?;
        if read.len() < left {
            let reason = format!("it ends at byte {}, and was read up to byte {} before", at + read.len() as u64, self.end);
            return Err(ConnectorError::refused(self.file.shown(), reason, "do not cut files that are followed; rotate them by renaming"));
        }
        Ok(read)
    }

    fn take_mark(&mut self) -> Option<Mark> {
        None
    }
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
                (self.quiet_since, self.whole_line) = (None, bytes.last() == Some(&b'\n'));
                return Ok(bytes);
            }
            Look::Waits => self.quiet_since = None,
            Look::Nothing { in_place: true } if !self.may_rest(known, &have) => self.quiet_since = None,
            Look::Nothing { in_place } => {
                let since = *self.quiet_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= self.following.rotate_wait {
                    if !in_place {
                        tracing::info!(path = self.file.shown(), bytes = known, "this followed file was renamed or deleted, and is read");
                    }
                    self.end_at(known, known);
                    return Ok(have);
                }
            }
            Look::Cut(size) => {
                tracing::warn!(
                    path = self.file.shown(),
                    read = known,
                    bytes = size,
                    "this followed file was cut or replaced and is read from its start again; what was not read before is lost; \
                     rotate by renaming, not by copying and cutting, and give new files new names"
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
            self.followed.done(self.identity, done, self.mark);
        }
        None
    }
}
