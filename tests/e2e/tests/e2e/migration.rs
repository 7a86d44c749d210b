//! A job whose plugin gets a new version with other state: it goes on from what the old one has kept, key by key; it is refused where the new
//! one cannot read that; and a value that cannot be migrated costs the rows of its key alone.

use crate::process::{end, signal, start, wait_for};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;
use stygian_e2e::{Differences, Ended, Program, components, read_json_lines, read_output};

/// The job with version 1 of its plugin.
const OLD: &str = include_str!("../../cases/migration/pipeline.toml");

fn with_plugin(plugin: &str) -> String {
    OLD.replace("tally@1", plugin)
}

fn case() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/migration")
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("payments")).expect("made");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn append(&self, file: &str, lines: &[u8]) {
        let file = self.path().join("payments").join(file);
        let mut file = std::fs::File::options().append(true).create(true).open(file).expect("opened");
        file.write_all(lines).expect("written");
    }

    /// Adds the case's payments of a month.
    fn pay(&self, month: &str) {
        for entry in std::fs::read_dir(case().join(month)).expect("the case") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            self.append(name, &std::fs::read(&path).expect("read"));
        }
    }

    fn start(&self, plugin: &str, more: &[&str]) -> Child {
        let plugins = components().to_str().expect("text");
        let args: Vec<&str> = ["--plugins", plugins].into_iter().chain(more.iter().copied()).collect();
        start(self.path(), &with_plugin(plugin), &args)
    }

    /// A run that ends by itself.
    fn run(&self, plugin: &str, more: &[&str]) -> Ended {
        std::fs::write(self.path().join("pipeline.toml"), with_plugin(plugin)).expect("written");
        let plugins = components().to_str().expect("text");
        let args: Vec<&str> = ["run", "pipeline.toml", "--plugins", plugins].into_iter().chain(more.iter().copied()).collect();
        Program::find().expect("built").run(self.path(), &args).expect("runs")
    }

    fn rows(&self, sink: &str) -> Vec<Value> {
        let out = self.path().join("out").join(sink);
        if out.is_dir() { read_output(&out).expect("whole files") } else { Vec::new() }
    }

    fn wait_for_rows(&self, sink: &str, count: usize) {
        wait_for(&format!("{count} rows of {sink}"), || (self.rows(sink).len() >= count).then_some(()));
    }

    /// Runs until so many rows are visible, then ends the run by a signal.
    fn run_until(&self, plugin: &str, more: &[&str], rows: usize, kill: &str) {
        let child = self.start(plugin, more);
        self.wait_for_rows("paid", rows);
        signal(&child, kill);
        let (_, err, status) = end(child);
        assert_eq!(status, (kill == "-INT").then_some(0), "{err}");
    }

    /// How many values the newest checkpoint has, by slot and version.
    fn versions(&self) -> Value {
        let inspected = Program::find().expect("built").run(self.path(), &["checkpoints", "inspect", "checkpoints", "--output", "json"]);
        let manifest: Value = serde_json::from_str(&inspected.expect("runs").out).expect("JSON");
        let operators = manifest["operators"].as_array().expect("operators").clone();
        let tally = operators.into_iter().find(|operator| operator["operator"] == "tally").expect("the operator");
        tally["values_by_slot_and_version"].clone()
    }
}

fn expected(name: &str) -> Vec<Value> {
    read_json_lines(&case().join("expected").join(name)).expect("the oracle's rows")
}

fn with_parallelism(parallelism: u16) -> [String; 2] {
    ["--set".to_owned(), format!("settings.parallelism={parallelism}")]
}

/// January by version 1, all by version 2; `kill`: how the runs are ended, and how the second is interrupted once more.
fn migrated(parallelism: (u16, u16), kill: &str) {
    let (place, january, all) = (Place::new(), expected("january.jsonl"), expected("all.jsonl"));
    let (before, after) = (with_parallelism(parallelism.0), with_parallelism(parallelism.1));
    let (before, after) = (before.each_ref().map(String::as_str), after.each_ref().map(String::as_str));
    place.pay("january");
    place.run_until("tally@1", &before, january.len(), kill);
    Differences::check(place.rows("paid"), january.clone()).expect("as expected");
    assert!(place.versions()["total"]["1"].as_u64() == Some(12) && place.versions()["total"]["2"].is_null());
    place.pay("march");
    if kill == "-KILL" {
        // Somewhere on its way.
        place.run_until("tally2@2", &after, january.len() + 1, kill);
    }
    place.run_until("tally2@2", &after, all.len(), kill);
    Differences::check(place.rows("paid"), all).expect("as expected");
    if kill == "-INT" {
        let versions = place.versions();
        assert_eq!((&versions["total"], &versions["january"]), (&json!({ "2": 13 }), &json!({ "2": 12 })), "{versions}");
        assert!(versions["payments"]["1"].as_u64() > Some(0), "of users who only had a timer nobody has read the list: {versions}");
    }
}

#[test]
fn a_new_version_goes_on_from_what_the_old_one_has_kept() {
    for parallelism in [(1, 1), (3, 3), (1, 3)] {
        migrated(parallelism, "-INT");
    }
}

#[test]
fn a_new_version_goes_on_after_kills_too() {
    for parallelism in [(1, 1), (3, 3)] {
        migrated(parallelism, "-KILL");
    }
}

/// A job that version 1 has left with the payments of three users.
fn left(payments: &[(&str, i32)]) -> Place {
    let place = Place::new();
    pay(&place, payments, "2024-01-05T00:00:00Z");
    place.run_until("tally@1", &[], payments.len(), "-INT");
    place
}

fn pay(place: &Place, payments: &[(&str, i32)], at: &str) {
    for (user, cents) in payments {
        place.append("a.jsonl", format!("{{\"user\":\"{user}\",\"cents\":{cents},\"kind\":0,\"at\":\"{at}\"}}\n").as_bytes());
    }
}

/// What a run is told, without the number of the checkpoint.
fn refusal(ended: &Ended) -> String {
    assert_eq!(ended.status, Some(2), "{}", ended.err);
    let (head, tail) = ended.err.split_once("checkpoint ").expect("a refusal");
    format!("{head}checkpoint {}", tail.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[test]
fn a_version_that_cannot_read_what_is_kept_is_refused_before_anything_runs() {
    let place = left(&[("a", 5), ("b", 7), ("b", 1)]);
    let expect = |ended: &Ended, file: &str| {
        let text = std::fs::read_to_string(case().join(file)).expect("the text");
        assert_eq!(refusal(ended).trim(), text.trim());
    };
    expect(&place.run("tally2-bare@2", &[]), "not_migrated.txt");
    assert_eq!(place.rows("paid").len(), 3);
    // Back again, once a later version has written something.
    pay(&place, &[("b", 2)], "2024-01-06T00:00:00Z");
    place.run_until("tally2@2", &[], 4, "-INT");
    expect(&place.run("tally@1", &[]), "downgrade.txt");
}

const DEAD: &str = "
[sink.dead]
input = \"tally.dead_letters\"
connector = \"files\"
path = \"out/dead\"
format = \"json\"
";

/// User `b` has lost its total: version 2 panics on it.
fn with_a_lost_total() -> Place {
    let place = left(&[("a", 5), ("b", -1), ("c", 7)]);
    pay(&place, &[("a", 1), ("b", 1), ("c", 1), ("b", 2), ("a", 2), ("d", 4)], "2024-03-05T00:00:00Z");
    place
}

#[test]
fn a_value_that_cannot_be_migrated_costs_the_rows_and_timers_of_its_key_alone() {
    for on_error in ["dead-letter", "skip"] {
        let place = with_a_lost_total();
        let policy = format!("plugin = \"tally2@2\"\non_error = \"{on_error}\"\nmax_poison_rate = 1.0");
        let pipeline = OLD.replace("plugin = \"tally@1\"", &policy) + DEAD;
        let child = start(place.path(), &pipeline, &["--plugins", components().to_str().expect("text")]);
        // Of the others: three payments before, four since, and the ends of two Januaries.
        place.wait_for_rows("paid", 9);
        if on_error == "dead-letter" {
            place.wait_for_rows("dead", 3);
        }
        signal(&child, "-INT");
        let (_, err, status) = end(child);
        assert_eq!(status, Some(0), "{err}");
        let row = |user: &str, what: &str, total: i64, since: u64, of_kind: u64, largest: i64| json!({ "user": user, "what": what, "total": total, "since": since, "of_kind": of_kind, "largest": largest });
        let paid = vec![
            row("a", "cents", 5, 0, 1, 5),
            row("b", "cents", -1, 0, 1, -1),
            row("c", "cents", 7, 0, 1, 7),
            row("a", "mills", 60, 1, 2, 50),
            row("a", "mills", 80, 2, 3, 50),
            row("c", "mills", 80, 1, 2, 70),
            row("d", "mills", 40, 1, 1, 40),
            row("a", "january", 50, 0, 0, 0),
            row("c", "january", 70, 0, 0, 0),
        ];
        Differences::check(place.rows("paid"), paid).expect("as expected");
        let dead = place.rows("dead");
        let letter = |letter: &Value| -> Value { serde_json::from_str(letter["row"].as_str().expect("text")).expect("JSON") };
        assert!(dead.iter().all(|dead| dead["reason"].as_str().expect("text").contains("a total of -1 cents")), "{dead:?}");
        assert!(dead.iter().all(|dead| letter(dead)["user"] == "b"), "{dead:?}");
        assert_eq!(dead.iter().filter(|dead| letter(dead).get("timer").is_some()).count(), dead.len().min(1));
        assert_eq!(dead.len(), if on_error == "skip" { 0 } else { 3 }, "{dead:?}");
        let versions = place.versions();
        assert_eq!((&versions["total"], &versions["january"]), (&json!({ "1": 1, "2": 3 }), &json!({ "1": 1, "2": 2 })), "{versions}");
    }
}

/// Most rows are of a user whose state cannot be migrated: a value that comes with the call, or an entry that is read in it.
#[test]
fn the_rows_of_many_other_keys_go_through_beside_a_busy_one_that_fails() {
    let users: Vec<String> = (0..40).map(|user| format!("user-{user}")).collect();
    for lost in [-1, -2] {
        let before: Vec<(&str, i32)> = users.iter().map(|user| (user.as_str(), if user == "user-7" { lost } else { 3 })).collect();
        let place = left(&before);
        let rows: Vec<(&str, i32)> = (0..2000).map(|n| (users[if n % 2 == 0 { 7 } else { n / 2 % 40 }].as_str(), 5)).collect();
        let of_others = rows.iter().filter(|(user, _)| *user != "user-7").count();
        // January does not end.
        pay(&place, &rows, "2024-01-06T00:00:00Z");
        let policy = "plugin = \"tally2@2\"\non_error = \"dead-letter\"\nmax_poison_rate = 1.0";
        let pipeline = OLD.replace("plugin = \"tally@1\"", policy) + DEAD;
        let child = start(place.path(), &pipeline, &["--plugins", components().to_str().expect("text")]);
        place.wait_for_rows("paid", users.len() + of_others);
        place.wait_for_rows("dead", rows.len() - of_others);
        signal(&child, "-INT");
        let (_, err, status) = end(child);
        assert_eq!(status, Some(0), "{err}");
        assert_eq!((place.rows("paid").len(), place.rows("dead").len()), (users.len() + of_others, rows.len() - of_others));
        for user in &users {
            let of_user = place.rows("paid").into_iter().filter(|row| row["user"] == user.as_str() && row["what"] == "mills");
            let mut totals: Vec<i64> = of_user.filter_map(|row| row["total"].as_i64()).collect();
            totals.sort_unstable();
            let count = if user == "user-7" { 0 } else { rows.iter().filter(|(of, _)| of == user).count() };
            assert_eq!(totals, (1..).map(|n| 30 + 50 * n).take(count).collect::<Vec<i64>>(), "{user}: each row once, and in its order");
        }
        let reason = if lost == -1 { "a total of -1 cents" } else { "a payment of -2 cents" };
        assert!(place.rows("dead").iter().all(|dead| dead["reason"].as_str().expect("text").contains(reason)));
        assert_eq!(place.versions()["payments"]["1"], json!(1), "the old bytes stay: {}", place.versions());
    }
}

#[test]
fn a_failed_migration_names_what_it_was_and_is_replayed_elsewhere() {
    let place = with_a_lost_total();
    let ended = place.run("tally2@2", &[]);
    assert_eq!(ended.status, Some(1), "{}", ended.err);
    for part in [
        "operator `tally` (plugin tally2@2.0.0)",
        "`migrate` of 1 value of slot `",
        "from version 1 to 2",
        "a total of -1 cents",
        "plugin replay ",
    ] {
        assert!(ended.err.contains(part), "`{part}` is missing: {}", ended.err);
    }
    let elsewhere = tempfile::tempdir().expect("a folder");
    let file = std::fs::read_dir(place.path().join("captures")).expect("a folder").next().expect("a capture").expect("a file").path();
    std::fs::copy(&file, elsewhere.path().join("call.capture")).expect("copied");
    drop(place);
    let replayed = Program::find().expect("built").run(elsewhere.path(), &["plugin", "replay", "call.capture", "--output", "json"]);
    let replayed: Value = serde_json::from_str(&replayed.expect("starts").out).expect("JSON");
    assert_eq!((&replayed["verdict"], &replayed["call"]["failure"]["step"]), (&json!("same"), &json!("`migrate`")), "{replayed:#}");
}

#[test]
fn a_plugin_shows_what_it_migrates() {
    let component = components().join("tally2.wasm");
    let component = component.to_str().expect("text");
    let program = Program::find().expect("built");
    let inspected = program.run(Path::new("."), &["plugin", "inspect", component]).expect("starts");
    assert!(inspected.out.contains("state payments (list, version 2, migrates from 1)"), "{}", inspected.out);
    let inspected = program.run(Path::new("."), &["plugin", "inspect", component, "--output", "json"]).expect("starts");
    let inspected: Value = serde_json::from_str(&inspected.out).expect("JSON");
    assert_eq!(inspected["description"]["state"][0]["migrates_from"], json!([1]));
    let place = tempfile::tempdir().expect("a folder");
    std::fs::write(place.path().join("rows.jsonl"), "{\"key\":\"u\",\"cents\":3,\"kind\":0}\n").expect("written");
    let tested = program.run(place.path(), &["plugin", "test", component, "--input", "rows.jsonl"]).expect("starts");
    assert_eq!(tested.status, Some(0), "{}", tested.err);
    assert!(tested.err.contains("state total (value, version 2, migrates from 1)"), "{}", tested.err);
}
