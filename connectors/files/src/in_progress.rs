//! The names of files that are being written or wait for a commit: `.NAME=JOB=SINK.inprogress`, where NAME is the one the file will have.
//!
//! So a name tells whose the file is. Jobs and sinks that write into one folder know their own from others', and delete none but those.
//! The parts hold no `=` (it is percent-encoded in them), so one part never passes for the end of another. The leading dot hides the file
//! from readers.

use crate::partition_name::of_part;

const BEGINS: &str = ".part-";

/// Whose files are.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    /// What the names of its in-progress files end with.
    ending: String,
}

impl Owner {
    /// The sink of this node, in the job of this UUID.
    pub(crate) fn new(job: &str, sink: &str) -> Self {
        Self { ending: format!("={}={}.inprogress", of_part(job), of_part(sink)) }
    }

    /// Whose a file is that has these names until it is committed and then.
    pub(crate) fn of_file(in_progress: &str, name: &str) -> Option<Self> {
        let ending = in_progress.strip_prefix('.')?.strip_prefix(name)?;
        Some(Self { ending: ending.to_owned() })
    }

    /// The name that a file has until it is committed.
    pub(crate) fn in_progress(&self, name: &str) -> String {
        format!(".{name}{}", self.ending)
    }

    /// Whether it gave this name.
    pub(crate) fn owns(&self, name: &str) -> bool {
        name.starts_with(BEGINS) && name.strip_suffix(&self.ending).is_some_and(|name| !name.contains('='))
    }
}

/// The name of a sink's file, without its folders: short enough for an in-progress name to fit into the 255 bytes that file systems have.
pub(crate) fn final_name(attempt: &str, subtask: impl std::fmt::Display, number: u64, extension: &str) -> String {
    format!("part-{}-{subtask}-{number}.{extension}", of_part(attempt))
}

/// The name that a file will have, of the one that it has until it is committed; both with their folders.
pub(crate) fn final_name_of(in_progress: &str) -> Option<String> {
    let name = in_progress.rsplit('/').next()?;
    let folder = in_progress.strip_suffix(name)?;
    let (name, _) = name.strip_prefix('.')?.split_once('=')?;
    Some(format!("{folder}{name}"))
}

/// The name of the file that one of this name and others are merged into. No other has it: merges of a run come one after the other, and one that
/// was given up is gone before the next.
pub(crate) fn merged_name(first: &str, extension: &str) -> Option<String> {
    let stem = first.strip_suffix(extension)?.strip_suffix('.')?;
    Some(format!("{stem}-m.{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_tells_job_and_sink() {
        let name = Owner::new("0190c0de-0000-7000-8000-000000000001", "report").in_progress(&final_name("a/../b", 3, 7, "jsonl.gz"));
        assert_eq!(name, ".part-a%2F..%2Fb-3-7.jsonl.gz=0190c0de-0000-7000-8000-000000000001=report.inprogress");
    }

    fn merged(name: &str, extension: &str) -> String {
        merged_name(name, extension).expect("one of ours")
    }

    #[test]
    fn a_name_tells_the_one_it_becomes() {
        let name = final_name("a=b", 3, 7, "csv");
        let in_progress = Owner::new("job", "sink").in_progress(&name);
        assert_eq!(final_name_of(&in_progress).as_deref(), Some(&*name));
        assert_eq!(final_name_of(&format!("day=1/kind=a/{in_progress}")), Some(format!("day=1/kind=a/{name}")));
        assert_eq!(final_name_of(&format!("day=1/{name}")), None);
    }

    #[test]
    fn a_merged_file_is_its_first_parts_owners() {
        let (owner, name) = (Owner::new("job", "a=b"), final_name("1", 3, 7, "csv"));
        let again = Owner::of_file(&owner.in_progress(&name), &name).expect("its owner");
        let merged = again.in_progress(&merged(&name, "csv"));
        assert_eq!(merged, ".part-1-3-7-m.csv=job=a%3Db.inprogress");
        assert!(owner.owns(&merged));
    }

    #[test]
    fn the_longest_name_fits_into_a_folder() {
        let long = "x".repeat(500);
        let name = Owner::new(&long, &long).in_progress(&merged(&final_name(&long, u16::MAX, u64::MAX, "jsonl.zst"), "jsonl.zst"));
        assert!(name.len() <= 255, "{} bytes", name.len());
    }

    proptest! {
        #[test]
        fn an_owner_knows_its_own_from_all_others(jobs in ["[a=.%]{0,3}", "[a=.%]{0,3}"], sinks in ["[a=.%]{0,3}", "[a=.%]{0,3}"], attempt in "[a=.%]{0,3}") {
            let [one, other] = [Owner::new(&jobs[0], &sinks[0]), Owner::new(&jobs[1], &sinks[1])];
            let name = one.in_progress(&final_name(&attempt, 0, 0, "csv"));
            prop_assert!(one.owns(&name));
            prop_assert_eq!(other.owns(&name), jobs[0] == jobs[1] && sinks[0] == sinks[1]);
            prop_assert!(!one.owns(&final_name(&attempt, 0, 0, "csv")));
        }
    }
}
