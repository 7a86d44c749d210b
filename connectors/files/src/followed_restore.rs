//! What is known of followed files after a restart: from the checkpoint's splits, and from how the files are now.
//!
//! A file is found again by what it is, wherever it was renamed to. What was not read to its end is read on, if it begins as it did and has at
//! least the bytes that were read; else going on would lose rows without a word, and is refused. What was read to its end is watched again,
//! and is read from its start if it was cut, or is another file by now.
//!
//! A checkpoint may hold two generations of a file of which the older one is not at its end: its last rows were on their way when the reader
//! gave it up, and the newer one had been begun by then. The rest of the older one ends where the newer one begins, or is nothing if the
//! file was cut then and all that was read of it is in the checkpoint.

use crate::followed::{CUT, Entry, State, Table};
use crate::followed_file::Leftover;
use crate::followed_name::FollowedName;
use crate::identity::Identity;
use crate::location::Location;
use crate::marks::{self, FollowedMark};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stygian_api::{ConnectorError, SplitProgress};

/// A split of the checkpoint.
struct Known<'a> {
    progress: &'a SplitProgress,
    name: FollowedName,
    mark: Option<FollowedMark>,
}

/// A file that is there still.
struct Present {
    file: File,
    path: PathBuf,
    bytes: u64,
}

/// The table that goes on from `read`.
pub(crate) fn table(location: &Location, read: &[SplitProgress]) -> Result<Table, ConnectorError> {
    let mut files: BTreeMap<Identity, Vec<Known<'_>>> = BTreeMap::new();
    for progress in read {
        let known = Known::read(progress)?;
        files.entry(known.name.identity).or_default().push(known);
    }
    let wanted: BTreeSet<Identity> = files.keys().copied().collect();
    let places = if wanted.is_empty() { BTreeMap::new() } else { location.find(&wanted)? };
    let mut table = Table::default();
    for (identity, mut splits) in files {
        splits.sort_by_key(|known| known.name.generation);
        let newest = splits.last().map_or(0, |known| known.name.generation);
        table.generations.insert(identity, newest);
        let present = places.get(&identity).map(|path| Present::open(path, identity)).transpose()?.flatten();
        match present {
            Some(present) => restore_file(&mut table, location, &splits, present)?,
            None => splits.iter().try_for_each(|known| known.may_be_gone(location))?,
        }
    }
    Ok(table)
}

/// Takes up a file that is there. `splits` are its generations, oldest first.
fn restore_file(table: &mut Table, location: &Location, splits: &[Known<'_>], present: Present) -> Result<(), ConnectorError> {
    let Some((newest, older)) = splits.split_last() else { return Ok(()) };
    for (at, known) in splits.iter().enumerate().filter(|(_, known)| !known.progress.ended) {
        let newer = &splits[at + 1..];
        if known.is_read() || !newer.is_empty() {
            table.leftovers.insert(known.progress.id.clone(), known.leftover(newer, &present)?);
        }
    }
    // Where the newest has not been read yet, it goes on where the one before it ended.
    let before = older.last().filter(|_| newest.name.base > 0);
    let mark = newest.mark.as_ref().or_else(|| before.and_then(|known| known.mark.as_ref()));
    let same = mark.map_or(Ok(true), |mark| mark.is_of(&present.file)).map_err(|e| failed(&present.path, e))?;
    let was_cut = mark.is_some_and(|mark| mark.cut.is_some());
    let read = newest.progress.next.0.max(newest.name.base);
    let as_it_was = same && !was_cut && present.bytes >= read;
    let state = match (newest.is_read(), as_it_was) {
        (true, true) => State::Done(read),
        (true, false) => State::Done(CUT),
        (false, true) => State::Waiting(present.file),
        (false, false) => return Err(newest.replaced(&present)),
    };
    let (split, path) = (newest.progress.id.clone(), location.path(&newest.name.name));
    table.files.insert(newest.name.identity, Entry { split, path, base: newest.name.base, state });
    Ok(())
}

impl<'a> Known<'a> {
    fn read(progress: &'a SplitProgress) -> Result<Self, ConnectorError> {
        let unknown = |()| {
            let hint = "go on with `follow` as it was, or start the job afresh";
            ConnectorError::refused(progress.id.as_str(), "this is no split of files that are followed", hint)
        };
        let name = progress.id.as_str().parse().map_err(unknown)?;
        Ok(Self { progress, name, mark: marks::read(progress.id.as_str(), progress.mark.as_ref())? })
    }

    /// Whether all that was read of it is in the checkpoint, and nothing more is to come.
    fn is_read(&self) -> bool {
        let cut = self.mark.as_ref().and_then(|mark| mark.cut);
        self.progress.ended || cut.is_some_and(|end| self.progress.next.0 >= end)
    }

    /// That nothing is lost if the file is gone.
    fn may_be_gone(&self, location: &Location) -> Result<(), ConnectorError> {
        if self.progress.ended {
            return Ok(());
        }
        let reason = format!(
            "this file was read up to byte {}, and is in its folder no more, under whatever name; what followed is not read",
            self.progress.next.0.max(self.name.base)
        );
        let hint = "put it back, not a copy and not compressed, under any name; or start the job afresh";
        Err(ConnectorError::refused(location.path(&self.name.name).display().to_string(), reason, hint))
    }

    /// What is still to be read of this one, of which there are newer generations.
    fn leftover(&self, newer: &[Known<'_>], present: &Present) -> Result<Leftover, ConnectorError> {
        let next = self.progress.next.0;
        let end = if self.is_read() { next } else { newer.first().map_or(0, |newer| newer.name.base) };
        // A generation that begins at byte 0 is of a file that was cut: what was in it before is gone.
        let gone = newer.iter().any(|newer| newer.name.base == 0) || present.bytes < end;
        if !self.is_read() && (gone || end < next) {
            return Err(self.replaced(present));
        }
        let shown = present.path.display().to_string();
        let file = present.file.try_clone().map_err(|e| failed(&present.path, e))?;
        Ok(Leftover { file: Arc::new(file), shown, end })
    }

    fn replaced(&self, present: &Present) -> ConnectorError {
        let read = self.progress.next.0.max(self.name.base);
        let reason = if present.bytes < read {
            format!("this file was read up to byte {read}, and was cut: it has {} bytes", present.bytes)
        } else {
            format!("this file was read up to byte {read}, and was cut or replaced since: what it has now is not what it had")
        };
        let hint = "what it had is lost; start the job afresh, and rotate by renaming, not by copying and cutting";
        ConnectorError::refused(present.path.display().to_string(), reason, hint)
    }
}

impl Present {
    /// `None` if it has been renamed or removed since it was found.
    fn open(path: &Path, identity: Identity) -> Result<Option<Self>, ConnectorError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|e| failed(path, e))?,
        };
        let metadata = file.metadata().map_err(|e| failed(path, e))?;
        let bytes = metadata.len();
        Ok((Identity::of(&metadata) == identity).then(|| Self { file, path: path.to_owned(), bytes }))
    }
}

fn failed(path: &Path, error: io::Error) -> ConnectorError {
    ConnectorError::io("read", path.display().to_string(), error)
}
