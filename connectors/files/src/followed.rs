//! Files that are followed: which there are, which are being read, and which have been read as far as they went.
//!
//! A file is known by what it is (`identity`), not by its name: one that is renamed goes on being the same split, and a new file of an
//! old name is a new one. A split is named after both (`followed_name`). A file is opened when it is first seen, so that a rotation
//! between then and its reading loses nothing.
//!
//! The reader of a file says when it is done: the file was rotated and nothing came any more, or it was cut. Such a file is watched for
//! as long as it is there; if it grows all the same, or after it was cut, it is read on as a new split, and nothing is read twice. After a
//! restart all this is known again from what the checkpoint holds of every split (`followed_restore`).

use crate::followed_file::{FollowedFile, Leftover};
use crate::followed_name::FollowedName;
use crate::identity::Identity;
use crate::location::{FoundFile, Location};
use crate::source::blocking;
use crate::text_input::TextInput;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
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
    pub(crate) location: Location,
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
    /// Where it was when it was first seen.
    pub(crate) path: PathBuf,
    /// Where its reading begins.
    pub(crate) base: u64,
    pub(crate) state: State,
}

#[derive(Debug)]
pub(crate) enum State {
    /// Seen and opened.
    Waiting(File),
    Read,
    /// Read up to here; [`CUT`]: and then it was cut.
    Done(u64),
}

/// More than any file has: whatever is in a file that was read up to here is to be read from its start.
pub(crate) const CUT: u64 = u64::MAX;

impl Followed {
    pub(crate) fn new(location: Location, following: Following) -> Self {
        Self { location, following, table: Mutex::default() }
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
            *own.lock() = crate::followed_restore::table(&own.location, &read)?;
            Ok(())
        })
        .await
    }

    fn look(&self) -> Result<Vec<Split>, ConnectorError> {
        let found = self.location.list_present()?;
        let mut table = self.lock();
        let present: BTreeSet<Identity> = found.iter().map(|file| file.identity).collect();
        table.files.retain(|identity, entry| !matches!(entry.state, State::Done(_)) || present.contains(identity));
        for file in found.iter().filter(|file| Compression::of_name(&file.name).is_none()) {
            self.look_at(&mut table, file)?;
        }
        let live = table.files.values().filter(|entry| !matches!(entry.state, State::Done(_)));
        let live = live.map(|entry| &entry.split).chain(table.leftovers.keys());
        let mut splits: Vec<Split> = live.map(|id| Split { id: id.clone(), bytes: None }).collect();
        if splits.len() > self.following.max_files {
            return Err(ConnectorError::Refused {
                what: self.location.shown(),
                reason: format!("{} files are to be followed, more than {}", splits.len(), self.following.max_files),
                hint: "choose a path that matches fewer, or raise `max_followed_files`".into(),
            });
        }
        splits.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(splits)
    }

    fn look_at(&self, table: &mut Table, found: &FoundFile) -> Result<(), ConnectorError> {
        let base = match table.files.get(&found.identity).map(|entry| &entry.state) {
            None => 0,
            Some(State::Done(at)) if found.bytes < *at => 0,
            Some(State::Done(at)) if found.bytes > *at => *at,
            Some(_) => return Ok(()),
        };
        let Some((file, path)) = self.location.open_present(&found.name)? else { return Ok(()) };
        let metadata = file.metadata().map_err(|e| ConnectorError::io("read", path.display().to_string(), e))?;
        // Another file has the name since it was listed: it is seen the next time.
        if Identity::of(&metadata) == found.identity {
            let split = table.name(found, base);
            table.files.insert(found.identity, Entry { split, path, base, state: State::Waiting(file) });
        }
        Ok(())
    }

    /// A reader of a split, and where it begins.
    pub(crate) fn open(self: &Arc<Self>, split: &SplitId, from: u64) -> Result<(Box<dyn TextInput>, u64), ConnectorError> {
        let mut table = self.lock();
        if let Some(leftover) = table.leftovers.remove(split) {
            return Ok((Box::new(leftover), from));
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
                let reader = FollowedFile::new(self.clone(), *identity, entry.path.clone(), file, self.following);
                Ok((Box::new(reader), from))
            }
            other => {
                entry.state = other;
                Err(gone())
            }
        }
    }

    /// A file's reader has ended: everything before `at` was read.
    pub(crate) fn done(&self, identity: Identity, at: u64) {
        if let Some(entry) = self.lock().files.get_mut(&identity) {
            entry.state = State::Done(at);
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
