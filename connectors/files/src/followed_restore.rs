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
use crate::growing::{GrowingFile, GrowingFiles};
use crate::identity::Identity;
use crate::marks::{self, FollowedMark};
use std::collections::{BTreeMap, BTreeSet};
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
    file: Arc<dyn GrowingFile>,
    bytes: u64,
}

/// The table that goes on from `read`.
pub(crate) fn table(place: &dyn GrowingFiles, read: &[SplitProgress]) -> Result<Table, ConnectorError> {
    let mut files: BTreeMap<Identity, Vec<Known<'_>>> = BTreeMap::new();
    for progress in read {
        let known = Known::read(progress)?;
        files.entry(known.name.identity).or_default().push(known);
    }
    files.values_mut().for_each(|splits| splits.sort_by_key(|known| known.name.generation));
    let wanted: BTreeSet<Identity> = files.keys().copied().collect();
    let found = if wanted.is_empty() { BTreeMap::new() } else { place.find(&wanted)? };
    let mut table = Table::default();
    for (identity, splits) in files {
        let Some(newest) = splits.last() else { continue };
        table.generations.insert(identity, newest.name.generation);
        // One at a time: those that are read to their ends are not kept open.
        let opened = found.get(&identity).map(|path| place.open_found(identity, path, &newest.name.name)).transpose()?;
        match opened.flatten() {
            Some(file) => restore_file(&mut table, &splits, Present { bytes: file.size()?, file }, place.by_name())?,
            None => splits.iter().try_for_each(|known| known.may_be_gone(place))?,
        }
    }
    Ok(table)
}

/// Takes up a file that is there. `splits` are its generations, oldest first.
fn restore_file(table: &mut Table, splits: &[Known<'_>], present: Present, by_name: bool) -> Result<(), ConnectorError> {
    let Some((newest, older)) = splits.split_last() else { return Ok(()) };
    // Where the newest has not been read yet, it goes on where the one before it ended.
    let before = older.last().filter(|_| newest.name.base > 0);
    let mark = newest.mark.as_ref().or_else(|| before.and_then(|known| known.mark.as_ref()));
    let same = mark.map_or(Ok(true), |mark| mark.is_of_file(&*present.file, by_name))?;
    for (at, known) in splits.iter().enumerate().filter(|(_, known)| !known.progress.ended) {
        let newer = &splits[at + 1..];
        if known.is_read() || !newer.is_empty() {
            table.leftovers.insert(known.progress.id.clone(), known.leftover(newer, &present, same)?);
        }
    }
    let was_cut = mark.is_some_and(|mark| mark.cut.is_some());
    let read = newest.progress.next.0.max(newest.name.base);
    let as_it_was = same && !was_cut && present.bytes >= read;
    let modified = present.file.modified();
    let state = match (newest.is_read(), as_it_was) {
        (true, true) => State::Done(read),
        (true, false) => State::Done(CUT),
        (false, true) => State::Waiting(present.file),
        (false, false) => return Err(newest.replaced(&present)),
    };
    let (split, base, mark) = (newest.progress.id.clone(), newest.name.base, mark.copied());
    table.files.insert(newest.name.identity, Entry { split, base, mark, modified, state });
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
    fn may_be_gone(&self, place: &dyn GrowingFiles) -> Result<(), ConnectorError> {
        if self.progress.ended {
            return Ok(());
        }
        let reason = format!(
            "this file was read up to byte {}, and is in its folder no more, under whatever name; what followed is not read",
            self.progress.next.0.max(self.name.base)
        );
        let hint = "put it back, not a copy and not compressed, under any name; or start the job afresh";
        Err(ConnectorError::refused(place.shown_file(&self.name.name), reason, hint))
    }

    /// What is still to be read of this one, of which there are newer generations.
    fn leftover(&self, newer: &[Known<'_>], present: &Present, same: bool) -> Result<Leftover, ConnectorError> {
        let next = self.progress.next.0;
        let end = if self.is_read() { next } else { newer.first().map_or(0, |newer| newer.name.base) };
        // A generation that begins at byte 0 is of a file that was cut: what was in it before is gone.
        let gone = !same || newer.iter().any(|newer| newer.name.base == 0) || present.bytes < end;
        if !self.is_read() && (gone || end < next) {
            return Err(self.replaced(present));
        }
        Ok(Leftover { file: present.file.clone(), end })
    }

    fn replaced(&self, present: &Present) -> ConnectorError {
        let read = self.progress.next.0.max(self.name.base);
        let reason = if present.bytes < read {
            format!("this file was read up to byte {read}, and was cut: it has {} bytes", present.bytes)
        } else {
            format!("this file was read up to byte {read}, and was cut or replaced since: what it has now is not what it had")
        };
        let hint = "what it had is lost; start the job afresh, and rotate by renaming, not by copying and cutting";
        ConnectorError::refused(present.file.shown(), reason, hint)
    }
}
