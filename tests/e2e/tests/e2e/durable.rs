//! What a job with checkpoints does when it is stopped, killed, started twice, or started on what somebody has damaged or changed.

use crate::process::{end, signal, start, wait_for};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;
use stygian_e2e::{Ended, Program, components, read_output};

/// Running totals by user of files that may be added to.
pub(crate) const TOTALS: &str = r#"
name = "totals"

[checkpoint]
folder = "checkpoints"
interval = "50ms"

[restart]
delay = "100ms"

[source.sales]
connector = "files"
path = "sales/*.jsonl"
format = "json"
schema = { user = "text not null", amount = "float64" }
follow = true
poll_interval = "10ms"

[operator.totals]
input = "sales"
plugin = "totals@0.1"
key_by = ["user"]

[sink.running]
input = "totals"
connector = "files"
path = "out/running"
format = "json"
"#;

pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) sold: u64,
    users: u64,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::of(3)
    }

    /// One with so many users.
    pub(crate) fn of(users: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("sales")).expect("made");
        Self { folder, sold: 0, users }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Sells to the users in turn.
    pub(crate) fn sell(&mut self, rows: u64) {
        let (file, rows) = (self.path().join("sales/a.jsonl"), self.rows(rows));
        let mut file = std::fs::File::options().append(true).create(true).open(file).expect("opened");
        file.write_all(&rows).expect("written");
    }

    /// The next rows that are sold, to be put somewhere else.
    pub(crate) fn rows(&mut self, rows: u64) -> Vec<u8> {
        let of = |row: u64| format!("{{\"user\":\"u{}\",\"amount\":{}}}\n", row % self.users, row);
        let text: String = (self.sold..self.sold + rows).map(of).collect();
        self.sold += rows;
        text.into_bytes()
    }

    pub(crate) fn args(&self) -> Vec<&'static str> {
        vec!["--plugins", components().to_str().expect("text")]
    }

    fn run(&self, pipeline: &str, args: &[&str]) -> Ended {
        std::fs::write(self.path().join("pipeline.toml"), pipeline).expect("written");
        let args: Vec<&str> = ["run", "pipeline.toml"].into_iter().chain(self.args()).chain(args.iter().copied()).collect();
        Program::find().expect("built").run(self.path(), &args).expect("runs")
    }

    /// The counts of each user's rows that are visible, if none is there twice and none is left out.
    pub(crate) fn visible(&self) -> u64 {
        let out = self.path().join("out/running");
        let rows = if out.is_dir() { read_output(&out).expect("whole files") } else { Vec::new() };
        for user in 0..self.users {
            let of_user = rows.iter().filter(|row| row["user"] == format!("u{user}"));
            let mut counts: Vec<u64> = of_user.filter_map(|row| row["count"].as_u64()).collect();
            counts.sort_unstable();
            let expected: Vec<u64> = (1..=counts.len() as u64).collect();
            assert_eq!(counts, expected, "user {user}");
        }
        rows.len() as u64
    }

    pub(crate) fn wait_for_all(&self) {
        wait_for("all rows", || (self.visible() == self.sold).then_some(()));
    }

    pub(crate) fn manifests(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.path().join("checkpoints/checkpoints")).expect("there");
        let mut all: Vec<PathBuf> = folder.map(|entry| entry.expect("an entry").path()).collect();
        all.sort();
        all
    }

    /// Starts the pipeline that was run last, with these places set.
    pub(crate) fn launch(&self, points: &str) -> Child {
        let args: Vec<&str> = ["run", "pipeline.toml"].into_iter().chain(self.args()).collect();
        Program::find().expect("built").command(self.path(), &args).env("FAILPOINTS", points).spawn().expect("starts")
    }

    /// Runs until everything sold is visible, then ends the run by a signal.
    fn run_until_visible(&self, kill: &str) -> (String, String, Option<i32>) {
        self.run_until_visible_as(TOTALS, &["--output", "json"], kill)
    }

    pub(crate) fn run_until_visible_as(&self, pipeline: &str, args: &[&str], kill: &str) -> (String, String, Option<i32>) {
        let child = start(self.path(), pipeline, &[&self.args()[..], args].concat());
        self.wait_for_all();
        signal(&child, kill);
        end(child)
    }
}

fn flip(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).expect("read");
    bytes[at] ^= 1;
    std::fs::write(file, bytes).expect("written");
}

#[test]
fn a_stopped_job_goes_on_where_it_was() {
    let mut place = Place::new();
    for round in 1..=3 {
        place.sell(round * 100);
        let (out, err, status) = place.run_until_visible("-INT");
        assert_eq!(status, Some(0), "{err}");
        let summary: Value = serde_json::from_str(&out).expect("a JSON summary");
        assert_eq!((&summary["status"], &summary["dropped_rows"]), (&"stopped".into(), &0.into()));
        // Each round has read what was new and nothing else.
        assert_eq!(summary["nodes"][0]["rows_out"], round * 100);
        place.sell(7);
        let (_, err, status) = place.run_until_visible("-KILL");
        assert_eq!((status, err.contains("error")), (None, false), "{err}");
        assert!(err.contains("going on from checkpoint"), "{err}");
    }
}

#[test]
fn checkpoints_are_listed_and_inspected() {
    let mut place = Place::new();
    place.sell(30);
    let (_, err, status) = place.run_until_visible("-INT");
    assert_eq!(status, Some(0), "{err}");
    let ask = |args: &[&str]| Program::find().expect("built").run(place.path(), &[&["checkpoints"], args].concat()).expect("runs");
    let asked = |args: &[&str]| {
        let ended = ask(args);
        assert_eq!(ended.status, Some(0), "{}", ended.err);
        ended.out
    };
    let there: Vec<u64> =
        place.manifests().iter().map(|file| file.file_stem().expect("a name").to_str().expect("text").parse().expect("an id")).collect();
    let newest = there.last().copied().expect("a checkpoint");
    let listed: Vec<Value> =
        asked(&["list", "checkpoints", "--output", "json"]).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |key: &str| -> Vec<Value> { listed.iter().map(|line| line[key].clone()).collect() };
    assert_eq!(of("id"), there.iter().map(|id| Value::from(*id)).collect::<Vec<_>>());
    assert!(listed.iter().all(|line| line["job"] == "totals"), "{listed:?}");
    let last = listed.last().expect("a checkpoint");
    assert!(last["kind"] == "checkpoint" && last["state_bytes"].as_u64() > Some(0) && last["files"].as_u64() > Some(0), "{last}");
    let text = asked(&["list", "checkpoints"]);
    let line = text.lines().last().expect("a line").split_whitespace().take(2).collect::<Vec<_>>();
    assert_eq!((line, text.lines().count()), (vec![newest.to_string().as_str(), "checkpoint"], there.len() + 1), "{text}");

    let whole: Value = serde_json::from_str(&asked(&["inspect", "checkpoints", "--output", "json"])).expect("JSON");
    let totals = &whole["operators"].as_array().expect("operators").iter().find(|operator| operator["operator"] == "totals").expect("it");
    assert_eq!((&whole["id"], &totals["plugin"]), (&newest.into(), &"totals@0.1.0".into()), "{whole}");
    // One value of each user; all bytes of the one file are read.
    let values: u64 = totals["values_by_slot_and_version"].as_object().expect("slots").values().filter_map(|of| of["1"].as_u64()).sum();
    assert!(values > 0 && values.is_multiple_of(3), "{totals}");
    let read = std::fs::metadata(place.path().join("sales/a.jsonl")).expect("there").len();
    assert_eq!(whole["sources"][0]["splits"][0]["offset"], read, "{whole}");
    let text = asked(&["inspect", "checkpoints", &newest.to_string()]);
    for part in [
        format!("checkpoint {newest} (checkpoint) of job `totals`, made "),
        "operator totals: ".to_owned(),
        ", plugin totals@0.1.0".to_owned(),
        ", version 1: 3 values\n".to_owned(),
        "source sales: 1 splits, 0 of them read to the end\n".to_owned(),
        format!(" at {read}\n"),
    ] {
        assert!(text.contains(&part), "`{part}` is missing: {text}");
    }
    let absent = ask(&["inspect", "checkpoints", "99999"]);
    assert_eq!(absent.status, Some(2), "{}", absent.err);
    assert!(absent.err.contains("there is no checkpoint 99999 in ") && absent.err.contains(&newest.to_string()), "{}", absent.err);
}

#[test]
fn a_second_process_is_told_who_has_the_job() {
    let mut place = Place::new();
    place.sell(10);
    let child = start(place.path(), TOTALS, &place.args());
    place.wait_for_all();
    let second = place.run(TOTALS, &[]);
    assert_eq!(second.status, Some(2), "{}", second.err);
    assert!(second.err.contains(&format!("process {}", child.id())) && second.err.contains("checkpoints"), "{}", second.err);
    place.sell(10);
    place.wait_for_all();
    signal(&child, "-INT");
    assert_eq!(end(child).2, Some(0));
}

#[test]
fn a_damaged_manifest_is_never_a_start_from_nothing() {
    let mut place = Place::new();
    place.sell(10);
    place.run_until_visible("-INT");
    let newest = place.manifests().pop().expect("a manifest");
    flip(&newest, 200);
    let refused = place.run(TOTALS, &[]);
    assert_eq!(refused.status, Some(2), "{}", refused.err);
    for word in [newest.file_name().expect("a name").to_str().expect("text"), "--recover-latest", "--fresh", "--from-savepoint"] {
        assert!(refused.err.contains(word), "{word}: {}", refused.err);
    }
    let verified = Program::find().expect("built").run(place.path(), &["checkpoints", "verify", "checkpoints"]).expect("runs");
    assert_eq!(verified.status, Some(1));
    assert!(verified.out.contains("whole") && verified.out.contains(newest.file_name().expect("a name").to_str().expect("text")));
    // Somebody puts it back.
    flip(&newest, 200);
    place.sell(5);
    place.run_until_visible("-INT");
}

#[test]
fn a_flipped_bit_in_a_state_file_is_named() {
    let mut place = Place::new();
    place.sell(30);
    place.run_until_visible("-INT");
    let states = std::fs::read_dir(place.path().join("checkpoints/state")).expect("there");
    let files: Vec<PathBuf> = states.map(|entry| entry.expect("an entry").path()).collect();
    assert!(!files.is_empty());
    files.iter().for_each(|file| flip(file, 60));
    let refused = place.run(TOTALS, &[]);
    assert_eq!(refused.status, Some(1), "{}", refused.err);
    let named = |file: &PathBuf| refused.err.contains(file.file_name().expect("a name").to_str().expect("text"));
    assert!(files.iter().any(named) && refused.err.contains("--fresh"), "{}", refused.err);
    assert_eq!(place.visible(), place.sold, "nothing was changed");
}

#[test]
fn what_cannot_be_restored_is_refused_before_anything_runs() {
    let mut place = Place::new();
    place.sell(30);
    place.run_until_visible("-INT");
    let without = TOTALS.replace("[operator.totals]", "[operator.sums]").replace("input = \"totals\"", "input = \"sums\"");
    let manifests = place.manifests();
    let refused = place.run(&without, &[]);
    assert_eq!(refused.status, Some(2), "{}", refused.err);
    assert!(refused.err.contains("totals") && refused.err.contains("--drop-state totals"), "{}", refused.err);
    assert_eq!(place.manifests(), manifests, "nothing was committed");
    let groups = place.run(TOTALS, &["--set", "settings.max_parallelism=64"]);
    assert_eq!(groups.status, Some(2), "{}", groups.err);
    assert!(groups.err.contains("max_parallelism") && groups.err.contains("128"), "{}", groups.err);
    // At another parallelism it goes on.
    place.sell(30);
    let mut args = place.args();
    args.extend(["--set", "settings.parallelism=3"]);
    let child = start(place.path(), TOTALS, &args);
    place.wait_for_all();
    signal(&child, "-INT");
    assert_eq!(end(child).2, Some(0));
}

/// What `status` says of the checkpoints.
fn told(place: &Place) -> Value {
    let status = Program::find().expect("built").run(place.path(), &["status", "totals", "--output", "json"]).expect("runs");
    serde_json::from_str::<Value>(&status.out).map_or(Value::Null, |status| status["checkpoints"].clone())
}

#[test]
fn a_failure_that_may_pass_starts_the_job_again() {
    let mut place = Place::new();
    place.sell(30);
    let child = start(place.path(), TOTALS, &place.args());
    place.wait_for_all();
    let before = wait_for("many checkpoints", || told(&place)["committed"].as_u64().filter(|committed| *committed >= 20));
    let (out, aside) = (place.path().join("out"), place.path().join("aside"));
    std::fs::rename(&out, &aside).expect("moved");
    std::fs::write(&out, "in the way").expect("written");
    place.sell(30);
    std::thread::sleep(std::time::Duration::from_millis(700));
    std::fs::remove_file(&out).expect("removed");
    std::fs::rename(&aside, &out).expect("moved back");
    place.wait_for_all();
    // Those of the starts before count too.
    let after = told(&place);
    assert!(after["committed"].as_u64() > Some(before), "{before}, then {after}");
    signal(&child, "-INT");
    let (_, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    assert!(err.contains("started again from its last checkpoint"), "{err}");
}

/// Sales by ten seconds, of files that are there.
const SALES: &str = r#"
name = "sales"

[checkpoint]
folder = "checkpoints"

[source.sales]
connector = "files"
path = "sales/*.jsonl"
format = "json"
schema = { amount = "int64", at = "timestamp_utc" }
event_time = "at"

[operator.sums]
input = "sales"
window = { tumbling = "10s" }
aggregate = { amount = "sum(amount)" }

[sink.report]
input = "sums"
connector = "files"
path = "out/report"
format = "json"
"#;

#[test]
fn a_job_whose_input_has_ended_goes_on_with_more_of_it() {
    let place = Place::new();
    let sell = |file: &str, rows: &[(u32, i64)]| {
        let row = |(second, amount): &(u32, i64)| format!("{{\"amount\":{amount},\"at\":\"2026-01-01T00:00:{second:02}Z\"}}\n");
        std::fs::write(place.path().join("sales").join(file), rows.iter().map(row).collect::<String>()).expect("written");
    };
    let sums = || {
        let mut sums: Vec<i64> =
            read_output(&place.path().join("out/report")).expect("whole").iter().filter_map(|row| row["amount"].as_i64()).collect();
        sums.sort_unstable();
        sums
    };
    sell("a.jsonl", &[(1, 1), (5, 2), (12, 4)]);
    assert_eq!(place.run(SALES, &[]).status, Some(0));
    assert_eq!(sums(), [3, 4]);
    // Windows that have fired at the end stay shut, those behind them do not.
    sell("b.jsonl", &[(19, 8), (20, 16), (31, 32)]);
    let ended = place.run(SALES, &["--output", "json"]);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    assert_eq!(sums(), [3, 4, 16, 32]);
    let summary: Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_eq!(summary["nodes"][1]["late_rows"], 1, "{summary}");
    assert_eq!(place.run(SALES, &[]).status, Some(0));
    assert_eq!(sums(), [3, 4, 16, 32]);
}

/// Two of three subtasks of the source have no file to read.
#[test]
fn a_stop_during_the_start_is_heard() {
    let mut place = Place::new();
    place.sell(3000);
    let three = ["--set", "settings.parallelism=3"];
    let bounded = TOTALS.replace("follow = true\npoll_interval = \"10ms\"\n", "");
    for millis in (10..90).step_by(2) {
        let mut child = start(place.path(), &bounded, &[&place.args()[..], &three].concat());
        std::thread::sleep(std::time::Duration::from_millis(millis));
        signal(&child, "-INT");
        wait_for("the end", || child.try_wait().expect("known"));
        let (_, err, status) = end(child);
        // Before it listens for signals, one ends it.
        assert!(matches!(status, Some(0) | None), "after {millis} ms: {err}");
    }
    assert_eq!(place.run(&bounded, &three).status, Some(0));
    assert_eq!(place.visible(), place.sold);
}

#[test]
fn a_job_whose_checkpoints_vanish_is_not_started_from_nothing() {
    let mut place = Place::new();
    place.sell(30);
    let pipeline = TOTALS.replace("delay = \"100ms\"", "strategy = \"fixed\"\ndelay = \"1s\"\nattempts = 2");
    let child = start(place.path(), &pipeline, &place.args());
    place.wait_for_all();
    let (out, aside) = (place.path().join("out"), place.path().join("aside"));
    std::fs::rename(&out, &aside).expect("moved");
    std::fs::write(&out, "in the way").expect("written");
    place.sell(30);
    let phase = || Program::find().expect("built").run(place.path(), &["status", "totals", "--output", "json"]).expect("runs").out;
    wait_for("a restart", || phase().contains("\"restarting\"").then_some(()));
    std::fs::remove_file(&out).expect("removed");
    std::fs::rename(&aside, &out).expect("moved back");
    std::fs::rename(place.path().join("checkpoints"), place.path().join("elsewhere")).expect("moved");
    let (_, err, status) = end(child);
    assert_eq!(status, Some(1), "{err}");
    assert!(err.contains("cannot go on from checkpoint") && err.contains("there is none"), "{err}");
    assert_eq!(place.visible(), 30, "nothing is read again");
}

#[test]
fn a_plugin_that_is_gone_is_taken_from_the_checkpoint() {
    let mut place = Place::new();
    place.sell(30);
    place.run_until_visible("-KILL");
    place.sell(30);
    std::fs::create_dir(place.path().join("elsewhere")).expect("made");
    let child = start(place.path(), TOTALS, &["--plugins", "elsewhere"]);
    place.wait_for_all();
    signal(&child, "-INT");
    let (_, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    assert!(err.contains("the plugin of `totals` is not where the pipeline says; going on with totals@0.1.0 of checkpoint"), "{err}");
    std::fs::remove_dir_all(place.path().join("checkpoints")).expect("removed");
    std::fs::write(place.path().join("pipeline.toml"), TOTALS).expect("written");
    let gone = Program::find().expect("built").run(place.path(), &["run", "pipeline.toml"]).expect("runs");
    assert_eq!(gone.status, Some(2), "{}", gone.err);
    assert!(gone.err.contains("there is no plugin `totals@"), "{}", gone.err);
}

#[test]
fn a_kept_plugin_that_is_damaged_is_told_as_damaged() {
    let mut place = Place::new();
    place.sell(30);
    place.run_until_visible("-INT");
    let kept = std::fs::read_dir(place.path().join("checkpoints/plugins")).expect("there").next().expect("one").expect("an entry").path();
    flip(&kept, 100);
    let run = || Program::find().expect("built").run(place.path(), &["run", "pipeline.toml", "--plugins", "elsewhere"]).expect("runs");
    let refused = run();
    assert_eq!(refused.status, Some(2), "{}", refused.err);
    let file = kept.file_name().expect("a name").to_str().expect("text");
    for part in ["there is no plugin `totals@", "damaged", file] {
        assert!(refused.err.contains(part), "`{part}` is missing: {}", refused.err);
    }
    // So is a manifest, which would say what was kept.
    flip(&kept, 100);
    let newest = place.manifests().pop().expect("a manifest");
    flip(&newest, 200);
    let refused = run();
    assert_eq!(refused.status, Some(2), "{}", refused.err);
    let file = newest.file_name().expect("a name").to_str().expect("text");
    assert!(refused.err.contains("damaged") && refused.err.contains(file), "{}", refused.err);
    flip(&newest, 200);
    place.sell(5);
    place.run_until_visible("-INT");
}

#[test]
fn at_least_once_loses_nothing_and_does_not_wait_for_checkpoints() {
    let mut place = Place::new();
    let often = TOTALS.replace("interval = \"50ms\"", "interval = \"50ms\"\nmode = \"at-least-once\"");
    let explained = {
        std::fs::write(place.path().join("pipeline.toml"), &often).expect("written");
        let args: Vec<&str> = ["explain", "pipeline.toml"].into_iter().chain(place.args()).collect();
        Program::find().expect("built").run(place.path(), &args).expect("runs").out
    };
    assert!(explained.contains("guarantees: at-least-once"), "{explained}");
    let out = place.path().join("out/running");
    let counts = || {
        let rows = read_output(&out).unwrap_or_default();
        rows.iter().filter(|row| row["user"] == "u0").filter_map(|row| row["count"].as_u64()).collect::<std::collections::BTreeSet<u64>>()
    };
    for round in 1..=3 {
        place.sell(300);
        let child = start(place.path(), &often, &place.args());
        wait_for("all rows", || (counts() == (1..=100 * round).collect()).then_some(()));
        signal(&child, "-KILL");
        end(child);
    }
    // Files become visible as they are finished, not with the checkpoint behind them.
    let seldom = often.replace("interval = \"50ms\"", "interval = \"1h\"");
    let seldom = format!("{seldom}roll_after = \"1s\"\n");
    place.sell(300);
    let child = start(place.path(), &seldom, &place.args());
    wait_for("all rows", || (counts() == (1..=400).collect()).then_some(()));
    signal(&child, "-INT");
    assert_eq!(end(child).2, Some(0));
}

#[test]
fn fresh_starts_from_nothing() {
    let mut place = Place::new();
    place.sell(30);
    place.run_until_visible("-INT");
    std::fs::remove_dir_all(place.path().join("out")).expect("removed");
    let mut args = place.args();
    args.push("--fresh");
    let child = start(place.path(), TOTALS, &args);
    place.wait_for_all();
    signal(&child, "-INT");
    assert_eq!(end(child).2, Some(0));
}

/// As where a machine is suspended between finding the newest checkpoint and reading it: the other process has deleted it by then.
#[test]
fn a_process_that_lost_the_job_while_it_started_says_so() {
    let mut place = Place::new();
    place.sell(30);
    let pipeline = TOTALS.replace("interval = \"50ms\"", "interval = \"50ms\"\nretained = 1");
    place.run_until_visible_as(&pipeline, &[], "-INT");
    let before = place.manifests();
    let late = place.launch("no-lock=return;restoring=sleep(4000)");
    wait_for("the first one to take the job over", || (place.manifests() != before).then_some(()));
    let state = std::fs::read_dir(place.path().join("checkpoints/state")).expect("there");
    let found: Vec<PathBuf> = state.map(|entry| entry.expect("an entry").path()).collect();
    let other = place.launch("no-lock=return");
    wait_for("the other one to delete what the first one is to read", || {
        place.sell(1);
        found.iter().all(|old| !old.exists()).then_some(())
    });
    let (_, err, status) = end(late);
    assert!(status == Some(1) && err.contains("another process has taken the job over (checkpoint "), "{status:?}: {err}");
    assert!(err.contains("is gone"), "what it met is told too: {err}");
    place.wait_for_all();
    signal(&other, "-INT");
    let (_, err, status) = end(other);
    assert_eq!(status, Some(0), "{err}");
}

/// The one that takes over finds files that the other one is about to rename, and renames in the meantime.
#[test]
fn a_job_is_taken_over_while_its_files_are_renamed() {
    let mut place = Place::new();
    place.sell(30);
    place.run_until_visible_as(TOTALS, &[], "-INT");
    let folder = place.path().to_owned();
    let begun = || {
        let mut names = std::fs::read_dir(folder.join("out/running")).expect("there").flatten().map(|entry| entry.file_name());
        names.any(|name| name.to_string_lossy().ends_with(".inprogress")).then_some(())
    };
    let one = place.launch("no-lock=return;unrenamed=sleep(1500)");
    let sold = std::fs::File::options().append(true).open(folder.join("sales/a.jsonl"));
    sold.and_then(|mut file| writeln!(file, "{{\"user\":\"u0\",\"amount\":30}}")).expect("written");
    wait_for("a file that is written", begun);
    // Six checkpoints later it waits to be renamed.
    std::thread::sleep(Duration::from_millis(300));
    let other = place.launch("no-lock=return;unrenamed=1*sleep(3000)->off");
    let (_, err, status) = end(one);
    assert!(status == Some(1) && err.contains("another process has taken"), "{status:?}: {err}");
    wait_for("all rows", || (place.visible() == 31).then_some(()));
    signal(&other, "-INT");
    let (_, err, status) = end(other);
    assert_eq!(status, Some(0), "{err}");
}
