//! Files that are followed: which there are, which are being read, and which have been read as far as they went.
//!
//! A file is known by what it is (`identity`), not by its name: one that is renamed goes on being the same split, and a new file of an
//! old name is a new one. A split is named after both (`followed_name`). A file is opened when it is first seen, so that a rotation
//! between then and its reading loses nothing. Where there are only names (`growing`), a file is another one when it begins otherwise.
//!
//! The reader of a file says when it is done: the file was rotated, or rests where there are only names, and nothing came any more, or it was
//! cut. Such a file is watched for as long as it is there; if it grows all the same, or after it was cut, it is read on as a new split, and
//! nothing is read twice. After a restart all this is known again from what the checkpoint holds of every split (`followed_restore`).

use crate::followed_file::{FollowedFile, Leftover, LeftoverText};
use crate::followed_name::FollowedName;
use crate::growing::{GrowingFile, GrowingFiles};
use crate::identity::Identity;
use crate::location::FoundFile;
use crate::marks::FollowedMark;
use crate::source::blocking;
use crate::text_input::TextInput;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stygian_api::{ConnectorError, Split, SplitProgress};
use stygian_core::SplitId;
use stygian_formats::Compression;

/// How files are followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Following {
    pub(crate) poll_interval: Duration,
    pub(crate) rotate_wait: Duration,
    pub(crate) max_files: usize,
}

/// The followed files of a source, shared with their readers.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) files: Arc<dyn GrowingFiles>,
    following: Following,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) files: BTreeMap<Identity, Entry>,
    /// The newest generation of every file there ever was.
    pub(crate) generations: BTreeMap<Identity, u32>,
    /// What is left to read of older generations after a restart.
    pub(crate) leftovers: BTreeMap<SplitId, Leftover>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) split: SplitId,
    /// Where its reading begins.
    pub(crate) base: u64,
    /// How it begins, as far as is known.
    pub(crate) mark: Option<FollowedMark>,
    /// When it was written last, at the last look.
    pub(crate) modified: Option<i64>,
    pub(crate) state: State,
}

#[derive(Debug)]
pub(crate) enum State {
    /// Seen and opened.
    Waiting(Arc<dyn GrowingFile>),
    Read,
    /// Read up to here; [`CUT`]: and then it was cut.
    Done(u64),
}

/// What a file is that was written since it was read.
#[derive(Clone, Copy, Debug)]
enum Change {
    Same,
    /// Another one of its name.
    Another,
    Unknown,
}

/// More than any file has: whatever is in a file that was read up to here is to be read from its start.
pub(crate) const CUT: u64 = u64::MAX;

impl Followed {
    pub(crate) fn new(files: Arc<dyn GrowingFiles>, following: Following) -> Self {
        Self { files, following, table: Mutex::default() }
    }

    pub(crate) fn poll_interval(&self) -> Duration {
        self.following.poll_interval
    }

    /// The files to follow, new ones among them.
    pub(crate) async fn splits(self: &Arc<Self>) -> Result<Vec<Split>, ConnectorError> {
        let own = self.clone();
        blocking(move || own.look()).await
    }

    /// Takes up what was read before the restart.
    pub(crate) async fn restore(self: &Arc<Self>, read: &[SplitProgress]) -> Result<(), ConnectorError> {
        let (own, read) = (self.clone(), read.to_vec());
        blocking(move || {
            *own.lock() = crate::followed_restore::table(&*own.files, &read)?;
            Ok(())
        })
        .await
    }

    fn look(&self) -> Result<Vec<Split>, ConnectorError> {
        let found = self.files.list()?;
        let changed = self.changed(&found);
        let mut table = self.lock();
        let present: BTreeSet<Identity> = found.iter().map(|file| file.identity).collect();
        table.files.retain(|identity, entry| !matches!(entry.state, State::Done(_)) || present.contains(identity));
        for file in found.iter().filter(|file| Compression::of_name(&file.name).is_none()) {
            self.look_at(&mut table, file, changed.get(&file.identity).copied())?;
        }
        let live = table.files.values().filter(|entry| !matches!(entry.state, State::Done(_)));
        let live = live.map(|entry| &entry.split).chain(table.leftovers.keys());
        let mut splits: Vec<Split> = live.map(|id| Split { id: id.clone(), bytes: None }).collect();
        if splits.len() > self.following.max_files {
            return Err(ConnectorError::Refused {
                what: self.files.shown(),
                reason: format!("{} files are to be followed, more than {}", splits.len(), self.following.max_files),
                hint: "choose a path that matches fewer, or raise `max_followed_files`".into(),
            });
        }
        splits.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(splits)
    }

    fn look_at(&self, table: &mut Table, found: &FoundFile, change: Option<Change>) -> Result<(), ConnectorError> {
        let (base, mark) = match table.files.get_mut(&found.identity) {
            None => (0, None),
            Some(entry) => {
                let State::Done(at) = entry.state else { return Ok(()) };
                // One that is known by its name has been compared when it was done; others are what they are.
                let same = match change {
                    Some(Change::Unknown) => return Ok(()),
                    None if self.files.by_name() && entry.modified != Some(found.modified) && found.bytes >= at => return Ok(()),
                    Some(Change::Another) => false,
                    Some(Change::Same) | None => true,
                };
                entry.modified = Some(found.modified);
                match at {
                    at if found.bytes < at || !same => (0, None),
                    at if found.bytes > at => (at, entry.mark),
                    _ => return Ok(()),
                }
            }
        };
        // Another file has the name since it was listed: it is seen the next time.
        if let Some(file) = self.files.open(found)? {
            let (split, modified) = (table.name(found, base), Some(found.modified));
            table.files.insert(found.identity, Entry { split, base, mark, modified, state: State::Waiting(file) });
        }
        Ok(())
    }

    /// What has become of files that were read and written since. Looked at while others may go on, as it takes its time.
    fn changed(&self, found: &[FoundFile]) -> BTreeMap<Identity, Change> {
        let mut changed = BTreeMap::new();
        for (file, mark) in self.written_since(found) {
            let is_same = |open: Arc<dyn GrowingFile>| mark.map_or(Ok(true), |mark| mark.is_of_file(&*open, true));
            let opened = self.files.open(file).and_then(|open| open.map(is_same).transpose());
            let change = match opened {
                Ok(Some(true)) => Change::Same,
                Ok(Some(false)) => {
                    let path = self.files.shown_file(&file.name);
                    tracing::warn!(path, "this followed file was replaced by another one, which is read from its start");
                    Change::Another
                }
                Ok(None) => Change::Unknown,
                // It may be gone by now. The next look asks again.
                Err(error) => {
                    tracing::warn!(%error, "a followed file that was written cannot be looked at, which is tried again");
                    Change::Unknown
                }
            };
            changed.insert(file.identity, change);
        }
        changed
    }

    /// Files that are known by their names, were read, and were written since; and how they began, where that is known.
    fn written_since<'a>(&self, found: &'a [FoundFile]) -> Vec<(&'a FoundFile, Option<FollowedMark>)> {
        let table = self.lock();
        let written = |file: &'a FoundFile| {
            let entry = table.files.get(&file.identity)?;
            let State::Done(at) = entry.state else { return None };
            // What is shorter is another one anyway.
            let is_written = file.bytes >= at && entry.modified != Some(file.modified);
            is_written.then_some((file, entry.mark))
        };
        if self.files.by_name() { found.iter().filter_map(written).collect() } else { Vec::new() }
    }

    /// A reader of a split, and where it begins.
    pub(crate) fn open(self: &Arc<Self>, split: &SplitId, from: u64) -> Result<(Box<dyn TextInput>, u64), ConnectorError> {
        let mut table = self.lock();
        if let Some(leftover) = table.leftovers.remove(split) {
            let waits = self.files.by_name().then_some(self.following.poll_interval);
            return Ok((Box::new(LeftoverText { leftover, waits }), from));
        }
        let found = table.files.iter_mut().find(|(_, entry)| entry.split == *split);
        let gone = || ConnectorError::Refused {
            what: split.to_string(),
            reason: "there is no such file to follow, or it is being read already".into(),
            hint: "start the job afresh".into(),
        };
        let (identity, entry) = found.ok_or_else(gone)?;
        match std::mem::replace(&mut entry.state, State::Read) {
            State::Waiting(file) => {
                let from = from.max(entry.base);
                let known = entry.mark.filter(|_| self.files.by_name());
                let reader = FollowedFile::new(self.clone(), *identity, file, known, self.following);
                Ok((Box::new(reader), from))
            }
            other => {
                entry.state = other;
                Err(gone())
            }
        }
    }

    /// A file's reader has ended: everything before `at` was read of a file that begins so.
    pub(crate) fn done(&self, identity: Identity, at: u64, mark: FollowedMark) {
        if let Some(entry) = self.lock().files.get_mut(&identity) {
            (entry.state, entry.mark) = (State::Done(at), Some(mark));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// A name that no split had before.
    fn name(&mut self, found: &FoundFile, base: u64) -> SplitId {
        let generation = self.generations.entry(found.identity).or_default();
        *generation += 1;
        FollowedName { name: found.name.clone(), identity: found.identity, generation: *generation, base }.id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growing::NamedFiles;
    use crate::inputs::PlainInputs;
    use crate::local::Local;
    use bytes::Bytes;
    use std::path::Path;

    /// A folder of this machine, followed as if there were only names.
    fn by_name(folder: &Path) -> Arc<Followed> {
        let inputs = PlainInputs::new(Arc::new(Local), folder).expect("a folder");
        let following = Following { poll_interval: Duration::ZERO, rotate_wait: Duration::ZERO, max_files: 9 };
        Arc::new(Followed::new(Arc::new(NamedFiles::new(inputs)), following))
    }

    /// Writes it at another time than it was written before.
    async fn write(path: &Path, text: &str) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        std::fs::write(path, text).expect("written");
    }

    /// The one split there is, and what it begins with.
    async fn one(followed: &Arc<Followed>) -> (String, Box<dyn TextInput>, u64) {
        let splits = followed.splits().await.expect("splits");
        assert_eq!(splits.len(), 1, "{splits:?}");
        let (text, from) = followed.open(&splits[0].id, 0).expect("opened");
        (splits[0].id.to_string(), text, from)
    }

    /// Reads lines from there until the split ends.
    async fn lines(text: &mut dyn TextInput, from: u64) -> String {
        let (mut at, mut lines) = (from, String::new());
        while text.end() != Some(at) {
            let more = text.more(at, Bytes::new(), 100).await.expect("read");
            at += more.len() as u64;
            lines.push_str(std::str::from_utf8(&more).expect("text"));
        }
        while text.take_mark().is_some() {}
        lines
    }

    #[tokio::test]
    async fn a_file_that_is_known_by_its_name_is_read_on_when_it_grows_and_anew_when_it_is_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, followed) = (folder.path().join("a"), by_name(folder.path()));
        write(&path, "1\n2\n").await;
        let (first, mut text, from) = one(&followed).await;
        assert_eq!((lines(&mut *text, from).await, from), ("1\n2\n".into(), 0));
        assert_eq!(followed.splits().await.expect("splits"), [], "it rests, and is done");
        write(&path, "1\n2\n3\n").await;
        let (second, mut text, from) = one(&followed).await;
        assert_eq!((lines(&mut *text, from).await, from), ("3\n".into(), 4));
        assert_eq!(second, format!("{first}.2+4"));
        for (another, begins) in [("x\ny\nz\nw\n", 0), ("x\ny\nz\nw\n", 8), ("r\ny\nz\nw\n", 0), ("v\n", 0), ("v\nu\n", 2)] {
            write(&path, another).await;
            if begins == another.len() {
                assert_eq!(followed.splits().await.expect("splits"), [], "it was touched");
                continue;
            }
            let (_, mut text, from) = one(&followed).await;
            assert_eq!((lines(&mut *text, from).await, from), (another[begins..].into(), begins as u64), "{another}");
        }
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(followed.splits().await.expect("splits"), []);
        write(&path, "v\nu\n").await;
        let (_, mut text, from) = one(&followed).await;
        assert_eq!((lines(&mut *text, from).await, from), ("v\nu\n".into(), 0), "it was made anew");
    }

    #[tokio::test]
    async fn a_file_that_is_replaced_while_it_is_read_ends_and_is_read_anew() {
        for another in ["longer\nby far\n", "3\n4\n", "5\n"] {
            let folder = tempfile::tempdir().expect("a folder");
            let (path, followed) = (folder.path().join("a"), by_name(folder.path()));
            write(&path, "1\n2\n").await;
            let (_, mut text, _) = one(&followed).await;
            assert_eq!(text.more(0, Bytes::new(), 100).await.expect("read"), "1\n2\n");
            write(&path, another).await;
            followed.splits().await.expect("splits");
            assert_eq!(lines(&mut *text, 4).await, "");
            let (_, mut text, from) = one(&followed).await;
            assert_eq!((lines(&mut *text, from).await, from), (another.into(), 0));
        }
    }

    #[tokio::test]
    async fn a_last_line_waits_for_its_end_and_a_file_that_is_deleted_unread_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, followed) = (folder.path().join("a"), by_name(folder.path()));
        write(&path, "1\nha").await;
        let (_, mut text, _) = one(&followed).await;
        assert_eq!(text.more(0, Bytes::new(), 100).await.expect("read"), "1\nha");
        for _ in 0..3 {
            let half = Bytes::from_static(b"ha");
            assert_eq!((text.more(2, half, 100).await.expect("read"), text.end()), (Bytes::from_static(b"ha"), None));
        }
        write(&path, "1\nhalf\n").await;
        followed.splits().await.expect("splits");
        std::fs::remove_file(&path).expect("removed");
        let error = text.more(2, Bytes::from_static(b"ha"), 100).await.expect_err("it is gone");
        assert!(error.to_string().contains("could not read"), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_waits_for_the_end_of_its_line_and_is_replaced_is_read_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, followed) = (folder.path().join("a"), by_name(folder.path()));
        write(&path, "1\nha").await;
        let (_, mut text, _) = one(&followed).await;
        assert_eq!(text.more(0, Bytes::new(), 100).await.expect("read"), "1\nha");
        write(&path, "2\nwh").await;
        followed.splits().await.expect("splits");
        assert_eq!(text.more(2, Bytes::from_static(b"ha"), 100).await.expect("read"), "ha");
        assert_eq!(text.end(), Some(4), "it ends");
    }

    #[tokio::test]
    async fn a_file_that_is_another_one_after_a_restart_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, followed) = (folder.path().join("a"), by_name(folder.path()));
        let long = "1\n".repeat(600);
        write(&path, &long).await;
        let (id, mut text, _) = one(&followed).await;
        assert_eq!(text.more(0, Bytes::new(), 2000).await.expect("read"), long);
        let read = [SplitProgress { id: SplitId::new(id.clone()), next: stygian_core::Offset(4), ended: false, mark: text.take_mark() }];
        write(&path, &long.repeat(2)).await;
        let again = by_name(folder.path());
        again.restore(&read).await.expect("it has grown");
        assert_eq!(again.splits().await.expect("splits")[0].id.to_string(), id);
        for another in ["x\n".repeat(300), "x\n".repeat(900)] {
            write(&path, &another).await;
            let error = by_name(folder.path()).restore(&read).await.expect_err("another one");
            assert!(error.to_string().contains("cut or replaced since"), "{error}");
        }
    }
}
