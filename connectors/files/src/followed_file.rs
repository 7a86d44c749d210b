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
use std::time::{Duration, Instant};
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

/// Reads a leftover. Where a file is known by its name, bytes that were read once may be in a block that is being written on by now, and cannot
/// be read before that is whole.
pub(crate) struct LeftoverText {
    pub(crate) leftover: Leftover,
    /// How long to wait for that; `None`: what is not there will not come.
    pub(crate) waits: Option<Duration>,
}

#[async_trait]
impl TextInput for LeftoverText {
    fn end(&self) -> Option<u64> {
        Some(self.leftover.end)
    }

    async fn more(&mut self, at: u64, have: Bytes, want: usize) -> Result<Bytes, ConnectorError> {
        let (file, end) = (self.leftover.file.clone(), self.leftover.end);
        let left = usize::try_from(end.saturating_sub(at)).unwrap_or(want).min(want);
        let (read, size) = blocking(move || Ok((file.read_at(at, left)?, file.size()?))).await?;
        if read.len() == left || read.len() > have.len() {
            return Ok(read);
        }
        match self.waits.filter(|_| size >= end) {
            Some(wait) => {
                tokio::time::sleep(wait).await;
                Ok(Bytes::copy_from_slice(&have))
            }
            None => {
                let reason = format!("it ends at byte {}, and was read up to byte {end} before", at + read.len() as u64);
                let hint = "do not cut files that are followed; rotate them by renaming";
                Err(ConnectorError::refused(self.leftover.file.shown(), reason, hint))
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A file of 8 bytes of which so many can be read by now, or which was cut.
    #[derive(Debug)]
    struct Written {
        readable: AtomicU64,
        size: AtomicU64,
    }

    impl GrowingFile for Written {
        fn shown(&self) -> String {
            "events.log".into()
        }

        fn size(&self) -> Result<u64, ConnectorError> {
            Ok(self.size.load(Ordering::Relaxed))
        }

        fn read_at(&self, at: u64, want: usize) -> Result<Bytes, ConnectorError> {
            let end = self.readable.load(Ordering::Relaxed).min(at + want as u64);
            Ok(Bytes::from_static(b"1\n2\n3\n4\n")
                .slice(usize::try_from(at.min(end)).expect("small")..usize::try_from(end).expect("small")))
        }

        fn is_in_place(&self) -> bool {
            true
        }

        fn modified(&self) -> Option<i64> {
            Some(0)
        }
    }

    #[tokio::test]
    async fn what_is_left_of_a_file_that_is_being_written_waits_until_it_can_be_read() {
        let file = Arc::new(Written { readable: AtomicU64::new(3), size: AtomicU64::new(8) });
        let mut text = LeftoverText { leftover: Leftover { file: file.clone(), end: 6 }, waits: Some(Duration::ZERO) };
        assert_eq!(text.more(0, Bytes::new(), 100).await.expect("some of it"), "1\n2");
        assert_eq!(text.more(2, Bytes::from_static(b"2"), 100).await.expect("waits"), "2");
        file.readable.store(8, Ordering::Relaxed);
        assert_eq!(text.more(2, Bytes::from_static(b"2"), 100).await.expect("the rest of this part"), "2\n3\n");
        for (readable, size, waits) in [(3, 5, Some(Duration::ZERO)), (3, 8, None)] {
            file.readable.store(readable, Ordering::Relaxed);
            file.size.store(size, Ordering::Relaxed);
            text.waits = waits;
            let error = text.more(2, Bytes::from_static(b"2"), 100).await.expect_err("it was cut");
            assert!(error.to_string().contains("it ends at byte 3, and was read up to byte 6"), "{error}");
        }
    }
}
