//! Rows and timers that make a keyed plugin fail: what becomes of them, that the state is as if they had never been, and the same failure
//! replayed elsewhere with the state it had.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use stygian_e2e::{Ended, Program, components, read_output};

const ROWS: usize = 200;
const USERS: usize = 5;
const BAD: usize = 123;

/// A job that counts the rows of users; `config`: keys of its operator.
fn pipeline(config: &str, on_error: &str, parallelism: usize) -> String {
    format!(
        r#"
        name = "keyed-poison"
        [settings]
        parallelism = {parallelism}
        [captures]
        folder = "captures"
        [source.events]
        connector = "files"
        path = "rows.jsonl"
        format = "json"
        schema = {{ user = "text not null", n = "int64 not null", at = "timestamp_utc not null" }}
        event_time = "at"
        [operator.brittle]
        input = "events"
        plugin = "brittle"
        {config}
        key_by = ["user"]
        on_error = "{on_error}"
        max_poison_rate = 1.0
        [sink.counted]
        input = "brittle"
        connector = "files"
        path = "counted"
        format = "json"
        [sink.dead]
        input = "brittle.dead_letters"
        connector = "files"
        path = "dead"
        format = "json"
        "#
    )
}

/// The counts of each user, as they came.
fn counts(place: &Path) -> BTreeMap<String, Vec<u64>> {
    let mut counts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for row in read_output(&place.join("counted")).expect("rows") {
        counts.entry(row["user"].as_str().expect("a user").to_owned()).or_default().push(row["count"].as_u64().expect("a count"));
    }
    counts
}

/// A job on rows of five users, a second apart; row [`BAD`] is bad if `bad_row`, the timers of `u3` are if `bad_timers`.
fn run(folder: &Path, on_error: &str, parallelism: usize, (bad_row, bad_timers): (bool, bool)) -> Ended {
    let mut rows = String::new();
    for row in 0..ROWS {
        let n = if row == BAD && bad_row { -1 } else { i64::try_from(row).expect("small") };
        let (user, minute, second) = (row % USERS, row / 60, row % 60);
        writeln!(rows, "{{\"user\":\"u{user}\",\"n\":{n},\"at\":\"2024-01-01T00:{minute:02}:{second:02}Z\"}}").expect("text");
    }
    std::fs::write(folder.join("rows.jsonl"), rows).expect("written");
    let config = if bad_timers { "config = { bad_timers_of = 'u3' }" } else { "" };
    let pipeline = pipeline(config, on_error, parallelism);
    std::fs::write(folder.join("pipeline.toml"), pipeline).expect("written");
    let plugins = components().to_str().expect("text");
    let args = ["run", "pipeline.toml", "--plugins", plugins, "--output", "json"];
    Program::find().expect("built").run(folder, &args).expect("starts")
}

#[test]
fn bad_rows_and_timers_are_given_up_and_leave_the_state_as_it_was() {
    for (on_error, parallelism) in [("dead-letter", 1), ("dead-letter", 3), ("skip", 1)] {
        let place = tempfile::tempdir().expect("a folder");
        let ended = run(place.path(), on_error, parallelism, (true, true));
        assert_eq!(ended.status, Some(0), "{}", ended.err);
        // All rows but the bad one, each counted once and in its order.
        let counts = counts(place.path());
        for user in 0..USERS {
            let rows = (0..ROWS).filter(|row| row % USERS == user && *row != BAD).count() as u64;
            assert_eq!(counts[&format!("u{user}")], (1..=rows).collect::<Vec<_>>(), "u{user}");
        }
        // The bad row, and a timer for each row of u3 (which the bad row is of, and it set none).
        let timers = ROWS / USERS - 1;
        let summary: Value = serde_json::from_str(&ended.out).expect("JSON");
        let nodes = summary["nodes"].as_array().expect("nodes");
        let brittle = nodes.iter().find(|node| node["name"] == "brittle").expect("the operator");
        assert_eq!(brittle["poison_rows"], timers + 1, "{}", ended.out);
        let dead = if place.path().join("dead").exists() { read_output(&place.path().join("dead")).expect("rows") } else { Vec::new() };
        if on_error == "skip" {
            assert!(dead.is_empty());
            continue;
        }
        let row = |letter: &Value| -> Value { serde_json::from_str(letter["row"].as_str().expect("text")).expect("JSON") };
        let (of_timers, of_rows): (Vec<Value>, Vec<Value>) = dead.iter().map(row).partition(|row| row.get("timer").is_some());
        assert_eq!(of_rows, [json!({ "user": "u3", "n": -1, "at": "2024-01-01T00:02:03Z" })]);
        assert_eq!(of_timers.len(), timers);
        assert!(of_timers.iter().all(|row| row["user"] == "u3" && row["timer"] == "passed"), "{of_timers:?}");
        assert!(of_timers.iter().any(|row| row["timer_at"] == "2024-01-01T00:00:13Z"), "{of_timers:?}");
        assert!(dead.iter().all(|letter| letter["reason"].as_str().expect("text").contains("u3 has ")), "{dead:?}");
    }
}

/// The state of four users is more than a call takes as soon as there is some: what is left of a slice that failed is then cut anew, and
/// its first rows are done when those behind them fail.
#[test]
fn no_row_counts_twice_where_state_that_grew_cuts_what_is_tried_again() {
    for bad in [15, 12, 9] {
        let place = tempfile::tempdir().expect("a folder");
        let n = |row| if row == bad { -1 } else { row };
        let rows: String =
            (0..16).map(|row| format!("{{\"user\":\"u{}\",\"n\":{},\"at\":\"2024-01-01T00:00:{row:02}Z\"}}\n", row % 4, n(row))).collect();
        std::fs::write(place.path().join("rows.jsonl"), rows).expect("written");
        let heavy = "config = { heavy = true }\n        limits = { bytes_per_call = \"256 B\" }";
        let pipeline = pipeline(heavy, "dead-letter", 1);
        std::fs::write(place.path().join("pipeline.toml"), pipeline).expect("written");
        let args = ["run", "pipeline.toml", "--plugins", components().to_str().expect("text"), "--output", "json"];
        let ended = Program::find().expect("built").run(place.path(), &args).expect("starts");
        assert_eq!(ended.status, Some(0), "{}", ended.err);
        let mut counts = counts(place.path());
        for user in 0..4 {
            let of_user = (0..16).filter(|row| row % 4 == user && *row != bad).count() as u64;
            assert_eq!(counts.remove(&format!("u{user}")), Some((1..=of_user).collect()), "u{user}, where row {bad} is bad");
        }
        let summary: Value = serde_json::from_str(&ended.out).expect("JSON");
        let nodes = summary["nodes"].as_array().expect("nodes");
        let brittle = nodes.iter().find(|node| node["name"] == "brittle").expect("the operator");
        assert_eq!(brittle["poison_rows"], 1, "{}", ended.out);
    }
}

#[test]
fn a_failed_call_is_replayed_with_its_state_on_another_machine() {
    for ((bad_row, bad_timers), says) in
        [((true, false), ["`process` of row ", "a negative number"]), ((false, true), ["`on-timers` of 1 timer", "a bad timer at "])]
    {
        let place = tempfile::tempdir().expect("a folder");
        let ended = run(place.path(), "fail", 1, (bad_row, bad_timers));
        assert_eq!(ended.status, Some(1), "{}", ended.err);
        for part in says.into_iter().chain(["operator `brittle` (plugin brittle@0.1.0)", "u3 has ", "stygian plugin replay "]) {
            assert!(ended.err.contains(part), "`{part}` is missing: {}", ended.err);
        }
        let elsewhere = tempfile::tempdir().expect("a folder");
        let file = std::fs::read_dir(place.path().join("captures")).expect("a folder").next().expect("a capture").expect("a file").path();
        std::fs::copy(&file, elsewhere.path().join("call.capture")).expect("copied");
        drop(place);
        let program = Program::find().expect("built");
        let replayed = program.run(elsewhere.path(), &["plugin", "replay", "call.capture", "--output", "json"]).expect("starts");
        assert_eq!(replayed.status, Some(1), "{}", replayed.err);
        let replayed: Value = serde_json::from_str(&replayed.out).expect("JSON");
        assert_eq!((&replayed["verdict"], &replayed["now"]["kind"]), (&json!("same"), &json!("trap")), "{replayed:#}");
        assert_eq!(replayed["now"]["message"], replayed["call"]["failure"]["message"]);
        let text = program.run(elsewhere.path(), &["plugin", "replay", "call.capture"]).expect("starts").out;
        assert!(
            text.contains("key      ") && text.contains("\"u3\"") && text.contains("state    ") && text.contains("now      the same: "),
            "{text}"
        );
        // Another plugin has not these slots.
        let other = components().join("totals.wasm");
        let refused = program
            .run(elsewhere.path(), &["plugin", "replay", "call.capture", "--plugin", other.to_str().expect("text")])
            .expect("starts");
        assert_eq!(refused.status, Some(2), "{}", refused.err);
    }
}

#[test]
fn a_keyed_plugin_is_tested_with_its_state_and_timers() {
    let place = tempfile::tempdir().expect("a folder");
    let rows: String = (0..20).map(|n| format!("{{\"key\":\"u{}\",\"n\":{n},\"at\":\"2024-01-01T00:00:{n:02}Z\"}}\n", n % 2)).collect();
    std::fs::write(place.path().join("rows.jsonl"), rows).expect("written");
    let component = components().join("brittle.wasm");
    let test = |config: &str| {
        let args = ["plugin", "test", component.to_str().expect("text"), "--input", "rows.jsonl", "--rows", "7", "--config", config];
        Program::find().expect("built").run(place.path(), &args).expect("starts")
    };
    let good = test("{}");
    assert_eq!(good.status, Some(0), "{}", good.err);
    assert!(good.err.contains("20 rows and 20 timers in, 20 to main, 0 dead letters; fresh and used instances agree"), "{}", good.err);
    assert!(good.out.contains("{\"output\":\"main\",\"row\":{\"user\":\"u1\",\"count\":10}}"), "{}", good.out);
    // Its output is always the same; what it writes is not.
    let impure = test("{\"impure\":true}");
    assert_eq!(impure.status, Some(1), "{}", impure.err);
    assert!(impure.err.contains("writes another state") && impure.err.contains("keeps something between calls"), "{}", impure.err);
    let failing = test("{\"bad_timers_of\":\"u1\"}");
    assert_eq!(failing.status, Some(1), "{}", failing.err);
    assert!(failing.err.contains("the call with the timers") && failing.err.contains("a bad timer at "), "{}", failing.err);
}
