//! Followed files: as they grow, are rotated by renaming, are cut, are deleted, and appear.

use crate::common::{put, source, told};
use arrow_array::cast::AsArray;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stygian_api::{Decoder, Fetched, Source, SplitReader};
use stygian_core::{Offset, SplitId};

const QUICK: &str = "format = \"raw\"\nfollow = true\npoll_interval = \"1ms\"\nrotate_wait = \"1s\"\n";

/// Reads as a job does: asks for splits again and again, and reads all of them in turn.
struct Reading {
    source: Arc<dyn Source>,
    decoder: Box<dyn Decoder>,
    /// `None`: at its end.
    readers: BTreeMap<SplitId, Option<Box<dyn SplitReader>>>,
    lines: Vec<String>,
}

impl Reading {
    async fn of(folder: &Path, options: &str) -> Self {
        let source = source(folder, &format!("{options}\n{QUICK}")).await.expect("a source");
        assert!(!source.bounded() && source.new_splits_every() == Some(Duration::from_millis(1)));
        let decoder = source.decoder().expect("a decoder");
        Self { source, decoder, readers: BTreeMap::new(), lines: Vec::new() }
    }

    async fn turn(&mut self) {
        for split in self.source.splits().await.expect("splits") {
            if !self.readers.contains_key(&split.id) {
                let reader = self.source.open(&split.id, Offset(0)).await.expect("a reader");
                self.readers.insert(split.id, Some(reader));
            }
        }
        for open in self.readers.values_mut() {
            let Some(reader) = open else { continue };
            match reader.fetch(100).await.expect("fetched") {
                Fetched::Messages { messages, .. } => {
                    let rows = self.decoder.decode(&messages).rows;
                    self.lines.extend(rows.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
                }
                Fetched::End => *open = None,
                _ => {}
            }
        }
    }

    /// Reads until these lines are there, in any order, and none else for a while after.
    async fn expect(&mut self, expected: &[&str]) {
        let start = Instant::now();
        while self.lines.len() < expected.len() && start.elapsed() < Duration::from_secs(20) {
            self.turn().await;
        }
        for _ in 0..5 {
            self.turn().await;
        }
        self.lines.sort();
        assert_eq!(self.lines, expected);
    }

    fn open(&self) -> usize {
        self.readers.values().flatten().count()
    }

    async fn until_open(&mut self, count: usize) {
        let start = Instant::now();
        while self.open() != count && start.elapsed() < Duration::from_secs(20) {
            self.turn().await;
        }
        assert_eq!(self.open(), count);
    }
}

fn append(path: &Path, text: &str) {
    File::options().append(true).create(true).open(path).and_then(|mut file| file.write_all(text.as_bytes())).expect("appended");
}

#[tokio::test]
async fn reads_what_a_file_grows_by_line_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("app.log");
    let mut reading = Reading::of(folder.path(), "path = \"app.log\"").await;
    reading.expect(&[]).await;
    append(&log, "1\n2\nhal");
    reading.expect(&["1", "2"]).await;
    append(&log, "f");
    reading.expect(&["1", "2"]).await;
    append(&log, "\n\n");
    reading.expect(&["", "1", "2", "half"]).await;
}

#[tokio::test]
async fn a_renamed_file_is_read_to_its_last_line_and_the_new_one_from_its_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, old) = (folder.path().join("in/app.log"), folder.path().join("in/app.log.1"));
    put(folder.path(), "in/app.log", "1\n");
    // The folder has the renamed file, too: it is not read again.
    for path in ["in", "in/app.log"] {
        let mut reading = Reading::of(folder.path(), &format!("path = \"{path}\"")).await;
        reading.expect(&["1"]).await;
        fs::rename(&log, &old).expect("rotated");
        append(&old, "2\nunfin");
        append(&log, "3\n");
        reading.expect(&["1", "2", "3"]).await;
        append(&old, "ished");
        reading.until_open(1).await;
        reading.expect(&["1", "2", "3", "unfinished"]).await;
        append(&log, "4\n");
        reading.expect(&["1", "2", "3", "4", "unfinished"]).await;
        fs::remove_file(&old).expect("removed");
        put(folder.path(), "in/app.log", "1\n");
    }
}

#[tokio::test]
async fn many_rotations_lose_and_double_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("app.log");
    let mut reading = Reading::of(folder.path(), "path = \"app.log*\"").await;
    let mut expected = Vec::new();
    for round in 0..30 {
        for line in 0..3 {
            append(&log, &format!("{round:02}-{line}\n"));
            expected.push(format!("{round:02}-{line}"));
            if (round + line) % 4 == 0 {
                reading.turn().await;
            }
        }
        // As logrotate does: the oldest is deleted, so that its inode is free for the next new file.
        for n in (1..3).rev() {
            let _ = fs::rename(folder.path().join(format!("app.log.{n}")), folder.path().join(format!("app.log.{}", n + 1)));
        }
        fs::rename(&log, folder.path().join("app.log.1")).expect("rotated");
        reading.turn().await;
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    reading.expect(&expected).await;
}

#[tokio::test]
async fn a_file_that_was_cut_is_read_from_its_start_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("app.log");
    append(&log, "1\n2\n");
    let mut reading = Reading::of(folder.path(), "path = \"app.log\"").await;
    reading.expect(&["1", "2"]).await;
    File::options().write(true).open(&log).and_then(|file| file.set_len(0)).expect("cut");
    reading.until_open(0).await;
    // It is longer than before when it is seen again.
    append(&log, "3\n4\n5\n");
    reading.expect(&["1", "2", "3", "4", "5"]).await;
    append(&log, "6\n");
    reading.expect(&["1", "2", "3", "4", "5", "6"]).await;
    assert_eq!(reading.open(), 1);
}

#[tokio::test]
async fn new_files_are_found_and_deleted_ones_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "in/a.log", "a\n");
    put(folder.path(), "in/old.log.gz", "not read");
    let mut reading = Reading::of(folder.path(), "path = \"in/*.log*\"").await;
    reading.expect(&["a"]).await;
    put(folder.path(), "in/b.log", "b\n");
    reading.expect(&["a", "b"]).await;
    fs::remove_file(folder.path().join("in/a.log")).expect("removed");
    reading.until_open(1).await;
    put(folder.path(), "in/a.log", "a2\n");
    reading.expect(&["a", "a2", "b"]).await;
}

#[tokio::test]
async fn a_file_that_grows_after_it_was_given_up_is_read_on() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "in/app.log", "1\n");
    let old = folder.path().join("in/app.log.1");
    let mut reading = Reading::of(folder.path(), "path = \"in\"").await;
    reading.expect(&["1"]).await;
    fs::rename(folder.path().join("in/app.log"), &old).expect("rotated");
    reading.until_open(0).await;
    append(&old, "2\n");
    reading.expect(&["1", "2"]).await;
}

#[tokio::test]
async fn a_split_is_read_once_and_an_unknown_one_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "a.log", "a\n");
    let source = source(folder.path(), &format!("path = \"a.log\"\n{QUICK}")).await.expect("a source");
    let split = source.splits().await.expect("splits").remove(0).id;
    assert!(split.as_str().starts_with("a.log@"), "{split}");
    source.open(&split, Offset(0)).await.expect("a reader");
    for id in [split, SplitId::new("a.log")] {
        let error = told(&source.open(&id, Offset(0)).await.err().expect("refused"));
        assert!(error.contains("there is no such file to follow, or it is being read already"), "{error}");
    }
}
