//! Which finished files are held back, for how long, and which of them are to be merged: decisions over what is known, nothing is touched.
//!
//! A file is held from the commit of its checkpoint on, if it is small, until it is merged or has become too old. Files of one folder are merged
//! when together they are as large as a file gets, or when the oldest has waited for half of the time it may; the other half
//! is for the merging and the checkpoint that names what came of it. Only files of this run are held: what a run finds pending at its start
//! becomes visible as it is. What was merged is held once, until the checkpoint after the first that names it.

use crate::pending_file::PendingFile;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use stygian_api::Pending;

/// What small files are, and how long they are held back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compaction {
    /// Smaller ones, in bytes.
    pub(crate) below: u64,
    pub(crate) delay: Duration,
}

impl Compaction {
    /// Whether a file that a committed checkpoint holds is not to be made visible yet.
    pub(crate) fn holds(&self, file: &PendingFile, now: i64) -> bool {
        !file.parts.is_empty() || file.held_since.is_some_and(|since| !self.is_over(since, now, 1))
    }

    /// Whether this part of the delay is over, its half or the whole of it. A clock that was set back ends it.
    fn is_over(&self, since: i64, now: i64, part: u32) -> bool {
        let waited = u64::try_from(now.saturating_sub(since)).map(Duration::from_micros);
        waited.is_ok_and(|waited| waited >= self.delay / part) || waited.is_err()
    }
}

/// What is held back, in the order in which it was finished.
#[derive(Debug, Default)]
pub(crate) struct Holding(Vec<Held>);

#[derive(Debug)]
struct Held {
    file: PendingFile,
    /// As it was given.
    given: Pending,
    /// It could not be merged.
    alone: bool,
}

impl Holding {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn hold(&mut self, file: PendingFile, given: Pending) {
        self.0.push(Held { file, given, alone: false });
    }

    /// All of it, as it was given.
    pub(crate) fn given(&self) -> Vec<Pending> {
        self.0.iter().map(|held| held.given.clone()).collect()
    }

    pub(crate) fn take_all(&mut self) -> Vec<PendingFile> {
        std::mem::take(&mut self.0).into_iter().map(|held| held.file).collect()
    }

    /// What is to be made visible now: what was merged, and what has waited too long, unless `can_go` says that its rows are in a merged file
    /// already, which the next checkpoint names.
    pub(crate) fn take_due(&mut self, compaction: &Compaction, now: i64, mut can_go: impl FnMut(&str) -> bool) -> Vec<PendingFile> {
        let is_due = |held: &mut Held| {
            let over = held.file.held_since.is_some_and(|since| compaction.is_over(since, now, 1));
            !held.file.parts.is_empty() || (over && can_go(&held.file.from))
        };
        self.0.extract_if(.., is_due).map(|held| held.file).collect()
    }

    /// What was merged, as it was given; by in-progress names.
    pub(crate) fn take_merged(&mut self, parts: &[PendingFile]) -> Vec<Pending> {
        let parts = in_progress_names(parts);
        self.0.extract_if(.., |held| parts.contains(&*held.file.from)).map(|held| held.given).collect()
    }

    /// These could not be merged, which is not tried again.
    pub(crate) fn leave_alone(&mut self, parts: &[PendingFile]) {
        let parts = in_progress_names(parts);
        self.0.iter_mut().filter(|held| parts.contains(&*held.file.from)).for_each(|held| held.alone = true);
    }

    /// Files that are to be merged, each group into one of about `roll_bytes`. `busy` names those that are merged already.
    pub(crate) fn choose(&self, compaction: &Compaction, roll_bytes: u64, now: i64, busy: &BTreeSet<&str>) -> Vec<Vec<PendingFile>> {
        let mut folders = BTreeMap::<&str, Vec<&PendingFile>>::new();
        let free = self.0.iter().filter(|held| !held.alone && held.file.parts.is_empty() && !busy.contains(&*held.file.from));
        free.for_each(|held| folders.entry(held.file.folder()).or_default().push(&held.file));
        let of_folder = |files: Vec<&PendingFile>| {
            let mut groups = Vec::<Vec<PendingFile>>::new();
            let mut bytes = u64::MAX;
            for file in files {
                bytes = bytes.saturating_add(file.length);
                match groups.last_mut().filter(|_| bytes <= roll_bytes) {
                    Some(group) => group.push(file.clone()),
                    None => {
                        groups.push(vec![file.clone()]);
                        bytes = file.length;
                    }
                }
            }
            // The last one may still grow.
            let waited =
                |group: &Vec<PendingFile>| group.iter().filter_map(|file| file.held_since).any(|since| compaction.is_over(since, now, 2));
            if groups.last().is_some_and(|last| bytes < roll_bytes && !waited(last)) {
                groups.pop();
            }
            groups
        };
        folders.into_values().flat_map(of_folder).filter(|group| group.len() > 1).collect()
    }
}

/// In-progress names.
fn in_progress_names(files: &[PendingFile]) -> BTreeSet<&str> {
    files.iter().map(|file| &*file.from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Checksum;
    use proptest::prelude::*;

    const COMPACTION: Compaction = Compaction { below: 100, delay: Duration::from_micros(10) };

    fn file(name: &str, length: u64, since: i64) -> PendingFile {
        let (from, to) = (format!(".{name}=j=s.inprogress"), name.to_owned());
        PendingFile { from, to, length, checksum: Checksum::of(b""), held_since: Some(since), parts: Vec::new() }
    }

    fn holding(files: impl IntoIterator<Item = PendingFile>) -> Holding {
        let mut holding = Holding::default();
        files.into_iter().for_each(|file| holding.hold(file.clone(), file.into_pending()));
        holding
    }

    fn names(groups: &[Vec<PendingFile>]) -> Vec<Vec<&str>> {
        groups.iter().map(|group| group.iter().map(|file| file.to.as_str()).collect()).collect()
    }

    #[test]
    fn a_file_is_held_until_its_time_is_over() {
        assert!(COMPACTION.holds(&file("a", 5, 100), 109) && !COMPACTION.holds(&file("a", 5, 100), 110));
        assert!(!COMPACTION.holds(&file("a", 5, 100), 99), "the clock was set back");
        assert!(!COMPACTION.holds(&PendingFile { held_since: None, ..file("a", 5, 0) }, 100), "it is large");
        let mut holding = holding([file("a", 5, 100), file("b", 5, 101), file("c", 5, 100)]);
        let due = holding.take_due(&COMPACTION, 110, |from| !from.starts_with(".c"));
        assert_eq!(names(&[due]), [["a"]], "c is merged already");
        assert_eq!(names(&[holding.take_due(&COMPACTION, 111, |_| true)]), [["b", "c"]]);
    }

    #[test]
    fn files_of_a_folder_are_merged_when_they_are_enough_or_have_waited_for_half_of_the_time() {
        let holding = holding([file("x/a", 40, 100), file("y/b", 40, 100), file("x/c", 40, 101), file("x/d", 40, 104)]);
        let chosen = |now, busy: &str| {
            let groups = holding.choose(&COMPACTION, 100, now, &BTreeSet::from([&*format!(".x/{busy}=j=s.inprogress")]));
            groups.iter().map(|group| group.iter().map(|file| file.to.clone()).collect::<Vec<_>>().concat()).collect::<Vec<_>>()
        };
        assert_eq!(chosen(104, "-"), ["x/ax/c"], "enough, and the next may still grow");
        assert_eq!(chosen(104, "a"), [""; 0]);
        assert_eq!(chosen(106, "a"), ["x/cx/d"]);
        // A single one is not merged with itself.
        assert_eq!(chosen(109, "c"), ["x/ax/d"]);
    }

    proptest! {
        #[test]
        fn groups_are_of_one_folder_in_order_and_not_too_large(sizes in prop::collection::vec((0..3_u8, 0..60_u64), 0..30), now in 0..20_i64) {
            let files: Vec<_> = sizes.iter().zip(0_i64..).map(|((folder, size), n)| file(&format!("{folder}/{n:02}"), *size, n / 3)).collect();
            let groups = holding(files).choose(&COMPACTION, 100, now, &BTreeSet::new());
            for group in &groups {
                prop_assert!(group.len() > 1 && group.iter().map(|file| file.length).sum::<u64>() <= 100);
                prop_assert!(group.iter().all(|file| file.folder() == group[0].folder()));
            }
            let chosen: Vec<&PendingFile> = groups.iter().flatten().collect();
            for folder in ["0", "1", "2"] {
                let of_folder: Vec<_> = chosen.iter().filter(|file| file.folder() == folder).map(|file| &file.to).collect();
                prop_assert!(of_folder.is_sorted() && of_folder.windows(2).all(|two| two[0] != two[1]));
            }
        }
    }
}
