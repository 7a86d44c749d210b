//! Followed files, by a job that crashes: found again after rotations, and refused when rows would be lost.

use crate::common::{put, source, told};
use arrow_array::cast::AsArray;
use proptest::prelude::*;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stygian_api::conformance::{ReadCheckpoint, ReadRun};
use stygian_api::{Fetched, Source, SplitProgress};
use stygian_core::{Offset, SplitId};

const QUICK: &str = "format = \"raw\"\nfollow = true\npoll_interval = \"1ms\"\nrotate_wait = \"30ms\"\n";

async fn open(folder: &Path, path: &str) -> Arc<dyn Source> {
    source(folder, &format!("path = \"{path}\"\n{QUICK}")).await.expect("a source")
}

/// A folder with logs, and a job that reads them.
struct Logs {
    folder: tempfile::TempDir,
    path: &'static str,
    run: Option<ReadRun>,
}

impl Logs {
    fn new(path: &'static str) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), path, run: None }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let file = File::options().append(true).create(true).open(self.file(name));
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("appended");
    }

    fn rename(&self, from: &str, to: &str) {
        fs::create_dir_all(self.file(to).parent().expect("a folder"))
            .and_then(|()| fs::rename(self.file(from), self.file(to)))
            .expect("renamed");
    }

    /// Starts a process, and reads until these lines are there and nothing else comes.
    async fn reads(&mut self, from: Option<&ReadCheckpoint>, expected: &[&str]) -> ReadCheckpoint {
        self.start(from).await.expect("started");
        self.reads_on(expected).await
    }

    async fn start(&mut self, from: Option<&ReadCheckpoint>) -> Result<(), String> {
        self.run = None;
        self.run = Some(ReadRun::start(open(self.folder.path(), self.path).await, from.cloned()).await?);
        Ok(())
    }

    async fn turn(&mut self) {
        let run = self.run.as_mut().expect("running");
        run.look().await.expect("splits");
        for reader in (0..run.open()).rev() {
            run.step(reader, 100).await.expect("fetched");
        }
    }

    async fn reads_on(&mut self, expected: &[&str]) -> ReadCheckpoint {
        let start = Instant::now();
        while self.lines().await.len() < expected.len() && start.elapsed() < Duration::from_secs(20) {
            self.turn().await;
        }
        for _ in 0..5 {
            self.turn().await;
        }
        assert_eq!(self.lines().await, expected);
        self.run.as_ref().expect("running").checkpoint()
    }

    async fn until_open(&mut self, count: usize) -> ReadCheckpoint {
        let start = Instant::now();
        while self.run.as_ref().expect("running").open() != count && start.elapsed() < Duration::from_secs(20) {
            self.turn().await;
        }
        let run = self.run.as_ref().expect("running");
        assert_eq!(run.open(), count);
        run.checkpoint()
    }

    async fn lines(&self) -> Vec<String> {
        let schema_of = open(self.folder.path(), self.path).await;
        let rows = self.run.as_ref().expect("running").checkpoint().rows(&*schema_of, &[]).expect("rows");
        let lines = rows.column(0).as_string::<i32>().iter().map(|line| line.expect("not null").to_owned());
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        lines
    }

    async fn refuses(&mut self, from: &ReadCheckpoint) -> String {
        self.start(Some(from)).await.expect_err("refused")
    }
}

#[tokio::test]
async fn a_file_that_was_rotated_while_nobody_read_is_read_to_its_end() {
    // The name it gets may be one that the path does not mean, hidden, or deeper down where all of the folder is meant.
    for (path, rotated) in [("in/app.log", "in/app.log.1"), ("in/app.log", "in/.old"), ("in", "in/app.log.1"), ("in/app.*", "in/deep/.old")]
    {
        let mut logs = Logs::new(path);
        put(logs.folder.path(), "in/app.log", "1\n2\nhal");
        let from = logs.reads(None, &["1", "2"]).await;
        logs.append("in/app.log", "f\n3\n");
        logs.rename("in/app.log", rotated);
        logs.append("in/app.log", "4\n");
        logs.append(rotated, "5\n");
        logs.reads(Some(&from), &["1", "2", "3", "4", "5", "half"]).await;
        // It is done with as any other that was renamed.
        let from = logs.until_open(1).await;
        logs.append("in/app.log", "6\n");
        logs.reads(Some(&from), &["1", "2", "3", "4", "5", "6", "half"]).await;
    }
}

#[tokio::test]
async fn a_file_that_is_gone_is_refused_unless_it_was_read_to_its_end() {
    let mut logs = Logs::new("in/app.log");
    put(logs.folder.path(), "in/app.log", "1\n");
    let from = logs.reads(None, &["1"]).await;
    logs.rename("in/app.log", "elsewhere/app.log");
    logs.append("in/app.log", "2\n");
    let error = logs.refuses(&from).await;
    assert!(error.contains("in/app.log: this file was read up to byte 2, and is in its folder no more, under whatever name; "), "{error}");
    logs.rename("elsewhere/app.log", "in/app.log.1");
    logs.reads(Some(&from), &["1", "2"]).await;
    let from = logs.until_open(1).await;
    fs::remove_file(logs.file("in/app.log.1")).expect("removed");
    logs.reads(Some(&from), &["1", "2"]).await;
}

#[tokio::test]
async fn a_file_that_was_cut_or_replaced_while_nobody_read_is_refused() {
    let mut logs = Logs::new("app.log");
    put(logs.folder.path(), "app.log", "1\n2\n");
    let from = logs.reads(None, &["1", "2"]).await;
    let file = File::options().write(true).open(logs.file("app.log")).expect("a file");
    file.set_len(2).expect("cut");
    let error = logs.refuses(&from).await;
    assert!(error.contains("app.log: this file was read up to byte 4, and was cut: it has 2 bytes; what it had is lost; "), "{error}");
    file.set_len(0).expect("cut");
    logs.append("app.log", "3\n4\n5\n");
    let error = logs.refuses(&from).await;
    assert!(error.contains("app.log: this file was read up to byte 4, and was cut or replaced since: what it has now is not"), "{error}");
    file.set_len(0).expect("cut");
    logs.append("app.log", "1\n2\n3\n");
    logs.reads(Some(&from), &["1", "2", "3"]).await;
    // A copy is another file.
    fs::copy(logs.file("app.log"), logs.file("copy")).expect("copied");
    logs.rename("copy", "app.log");
    let error = logs.refuses(&from).await;
    assert!(error.contains("is in its folder no more"), "{error}");
}

#[tokio::test]
async fn a_file_that_grew_after_it_was_given_up_is_read_on_after_a_restart() {
    let mut logs = Logs::new("in");
    put(logs.folder.path(), "in/app.log", "1\n");
    logs.reads(None, &["1"]).await;
    logs.rename("in/app.log", "in/app.log.1");
    let ended = logs.until_open(0).await;
    logs.append("in/app.log.1", "2\n");
    // Once while nobody reads, once before the crash.
    let from = logs.reads(Some(&ended), &["1", "2"]).await;
    let names: Vec<String> = from.progress().iter().map(|progress| progress.id.to_string()).collect();
    assert_eq!(names.len(), 2);
    assert!(names.iter().any(|name| name.starts_with("app.log.1@") && name.ends_with(".2+2")), "{names:?}");
    logs.append("in/app.log.1", "3\n");
    let from = logs.reads(Some(&from), &["1", "2", "3"]).await;
    logs.rename("in/app.log.1", "in/app.log.2");
    logs.reads(Some(&from), &["1", "2", "3"]).await;
}

#[tokio::test]
async fn a_split_that_was_named_and_not_read_begins_where_it_should() {
    let mut logs = Logs::new("in");
    put(logs.folder.path(), "in/app.log", "1\n");
    logs.reads(None, &["1"]).await;
    logs.rename("in/app.log", "in/app.log.1");
    logs.until_open(0).await;
    logs.append("in/app.log.1", "2\n");
    let run = logs.run.as_mut().expect("running");
    run.look().await.expect("splits");
    let from = run.checkpoint();
    assert!(from.progress().iter().any(|progress| !progress.ended && progress.next == Offset(0)));
    logs.rename("in/app.log.1", "in/app.log.2");
    logs.reads(Some(&from), &["1", "2"]).await;
    File::options().write(true).open(logs.file("in/app.log.2")).and_then(|file| file.set_len(1)).expect("cut");
    let error = logs.refuses(&from).await;
    assert!(error.contains("in/app.log.2: this file was read up to byte 2, and was cut: it has 1 bytes"), "{error}");
}

#[tokio::test]
async fn a_cut_that_was_seen_before_the_crash_is_remembered() {
    let mut logs = Logs::new("app.log");
    put(logs.folder.path(), "app.log", "same\n1\n");
    logs.reads(None, &["1", "same"]).await;
    let file = File::options().write(true).open(logs.file("app.log")).expect("a file");
    file.set_len(0).expect("cut");
    let run = logs.run.as_mut().expect("running");
    while run.open() > 0 {
        run.step(0, 9).await.expect("ended");
    }
    let from = run.checkpoint();
    // It is as long again, and begins as before.
    logs.append("app.log", "same\n1\n2\n");
    // Whether or not the checkpoint has seen the end.
    let mut before_end = from.clone();
    before_end.reopen();
    logs.reads(Some(&before_end), &["1", "1", "2", "same", "same"]).await;
    let from = logs.reads(Some(&from), &["1", "1", "2", "same", "same"]).await;
    logs.append("app.log", "3\n");
    logs.reads(Some(&from), &["1", "1", "2", "3", "same", "same"]).await;
}

/// It has more bytes than are compared, so that only its length tells.
#[tokio::test]
async fn a_long_file_that_was_cut_is_refused() {
    let mut logs = Logs::new("app.log");
    let line = "x".repeat(1999);
    put(logs.folder.path(), "app.log", format!("{line}\n{line}\n"));
    let from = logs.reads(None, &[&line, &line]).await;
    File::options().write(true).open(logs.file("app.log")).and_then(|file| file.set_len(3999)).expect("cut");
    let error = logs.refuses(&from).await;
    assert!(error.contains("app.log: this file was read up to byte 4000, and was cut: it has 3999 bytes"), "{error}");
}

#[tokio::test]
async fn a_header_is_passed_over_once_a_file_and_not_where_reading_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, old) = (folder.path().join("in/app.csv"), folder.path().join("in/app.csv.1"));
    put(folder.path(), "in/app.csv", "user\n1\n");
    let options = format!("path = \"in\"\nschema = {{ user = \"text\" }}\n{}", QUICK.replace("raw", "csv"));
    let (mut from, mut expected) = (None, 1);
    for (appended, rotated) in [("", false), ("2\n", false), ("3\n4\n", true), ("", false)] {
        File::options().append(true).open(&log).and_then(|mut file| file.write_all(appended.as_bytes())).expect("appended");
        expected += appended.len() / 2;
        if rotated {
            fs::rename(&log, &old).expect("renamed");
            put(folder.path(), "in/app.csv", "user\n5\n");
            expected += 1;
        }
        let mut run = ReadRun::start(source(folder.path(), &options).await.expect("a source"), from).await.expect("started");
        for _ in 0..30 {
            run.look().await.expect("splits");
            for reader in (0..run.open()).rev() {
                run.step(reader, 1).await.expect("fetched");
            }
        }
        let read = run.checkpoint();
        let of = source(folder.path(), &options).await.expect("a source");
        assert_eq!((read.rows(&*of, &[]).expect("rows").num_rows(), read.bad()), (expected, 0), "{appended:?}");
        from = Some(read);
    }
}

/// The first split of a file whose second was begun when the first one's last rows were on their way.
#[tokio::test]
async fn what_is_left_of_a_split_is_read_up_to_where_the_next_one_begins() {
    let mut logs = Logs::new("in");
    put(logs.folder.path(), "in/app.log", "1\n2\n3\n");
    logs.reads(None, &["1", "2", "3"]).await;
    logs.rename("in/app.log", "in/app.log.1");
    logs.until_open(0).await;
    logs.append("in/app.log.1", "4\n5\n");
    let mut progress = logs.reads_on(&["1", "2", "3", "4", "5"]).await.progress();
    progress.iter_mut().for_each(|progress| (progress.ended, progress.next) = (false, Offset(progress.next.0 - 2)));
    let left = async |progress: &[SplitProgress]| -> Result<Vec<String>, String> {
        let source = open(logs.folder.path(), "in").await;
        source.restore(progress).await.map_err(|e| told(&e))?;
        let splits = source.splits().await.map_err(|e| told(&e))?;
        let mut found = Vec::new();
        for progress in progress {
            assert!(splits.iter().any(|split| split.id == progress.id), "{}", progress.id);
            let mut reader = source.open(&progress.id, progress.next).await.map_err(|e| told(&e))?;
            let mut ended = false;
            for _ in 0..5 {
                match reader.fetch(9).await.map_err(|e| told(&e))? {
                    Fetched::Messages { messages, .. } => found.extend(messages.iter().map(|m| String::from_utf8_lossy(m).into_owned())),
                    Fetched::End => ended = true,
                    _ => {}
                }
            }
            found.push(format!("{} {ended}", progress.id.as_str().contains('+')));
        }
        Ok(found)
    };
    progress.sort_by_key(|progress| progress.id.as_str().contains('+'));
    assert_eq!(left(&progress).await, Ok(vec!["3".into(), "false true".into(), "5".into(), "true false".into()]));
    // The second began anew, as the file was cut.
    let cut = SplitId::new(progress[1].id.as_str().replace("+6", "+0"));
    let progress = [progress[0].clone(), SplitProgress { id: cut, mark: None, ..progress[1].clone() }];
    let error = left(&progress).await.expect_err("lost");
    assert!(error.contains("app.log.1: this file was read up to byte 4, and was cut or replaced since"), "{error}");
}

#[tokio::test]
async fn what_is_no_split_of_a_followed_file_is_refused() {
    let logs = Logs::new("in");
    put(logs.folder.path(), "in/app.log", "1\n");
    let of = |id: &str| [SplitProgress { id: SplitId::new(id), next: Offset(2), ended: false, mark: None }];
    let error = told(&open(logs.folder.path(), "in").await.restore(&of("app.log")).await.expect_err("refused"));
    assert_eq!(error, "app.log: this is no split of files that are followed; go on with `follow` as it was, or start the job afresh");
}

#[derive(Clone, Debug)]
enum Event {
    Append(usize),
    Rotate,
    Read,
    Checkpoint,
    Crash,
    Wait,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..6_usize).prop_map(Event::Append),
        2 => Just(Event::Rotate),
        4 => Just(Event::Read),
        2 => Just(Event::Checkpoint),
        2 => Just(Event::Crash),
        1 => Just(Event::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rotations_and_crashes_lose_and_double_nothing(events in prop::collection::vec(event(), 1..60), whole in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut logs = Logs::new(if whole { "in" } else { "in/app.log*" });
            put(logs.folder.path(), "in/app.log", "");
            let (mut written, mut rotations, mut from) = (0, 0, None);
            logs.start(None).await.expect("started");
            for event in events {
                match event {
                    Event::Append(count) => (0..count).for_each(|_| {
                        // Some long, so that how a file begins is not known at once; some in two pieces.
                        logs.append("in/app.log", &format!("{written:05}{}\n", "x".repeat(written % 7 * 90)));
                        written += 1;
                    }),
                    Event::Rotate => {
                        logs.rename("in/app.log", &format!("in/app.log.{rotations}"));
                        logs.append("in/app.log", "");
                        rotations += 1;
                    }
                    Event::Read => logs.turn().await,
                    Event::Checkpoint => from = logs.run.as_ref().map(ReadRun::checkpoint),
                    Event::Crash => logs.start(from.as_ref()).await.expect("started again"),
                    Event::Wait => tokio::time::sleep(Duration::from_millis(35)).await,
                }
            }
            logs.start(from.as_ref()).await.expect("started again");
            let expected: Vec<String> = (0..written).map(|n| format!("{n:05}{}", "x".repeat(n % 7 * 90))).collect();
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            logs.reads_on(&expected).await;
        });
    }
}
