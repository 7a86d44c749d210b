//! Rows that make a plugin fail: what `on_error` does with them, what finding them costs, and the same failure replayed elsewhere.

use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use stygian_e2e::{Case, Differences, Ended, Program, components, read_json_lines, read_output};

/// Runs the program in a folder.
pub(crate) fn stygian(folder: &Path, args: &[&str]) -> Ended {
    Program::find().expect("built").run(folder, args).expect("starts")
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", ended.out, ended.err))
}

/// The counters of the operator in a summary.
fn operator(summary: &Value) -> &Value {
    let nodes = summary["nodes"].as_array().expect("nodes");
    nodes.iter().find(|node| node["name"] == "fragile").expect("the operator")
}

/// Runs the case `poison` in a new folder with some keys changed.
fn run_case(sets: &[&str]) -> (tempfile::TempDir, Ended) {
    let place = Case::named("poison").and_then(|case| case.copied()).expect("a copy");
    let plugins = components().to_str().expect("text");
    let sets = sets.iter().flat_map(|set| ["--set", *set]);
    let args: Vec<&str> = ["run", "pipeline.toml", "--plugins", plugins, "--output", "json"].into_iter().chain(sets).collect();
    let ended = stygian(place.path(), &args);
    (place, ended)
}

fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder.join("captures")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

#[test]
fn skipped_rows_are_in_no_output_and_counted() {
    for parallelism in ["settings.parallelism=1", "settings.parallelism=3"] {
        let (place, ended) = run_case(&["operator.fragile.on_error='skip'", parallelism]);
        assert_eq!(ended.status, Some(0), "{}", ended.err);
        let expected = |sink: &str| read_json_lines(&place.path().join("expected").join(sink)).expect("expected rows");
        let found = |sink: &str| read_output(&place.path().join("out").join(sink)).expect("rows");
        Differences::check(found("kept"), expected("kept.jsonl")).expect("as expected");
        let (refused, poison): (Vec<_>, Vec<_>) = expected("refused.jsonl").into_iter().partition(|row| row["why"] == "a refund");
        assert_eq!(operator(&json(&ended))["poison_rows"], poison.len());
        assert_eq!(operator(&json(&ended))["dead_letters"], refused.len());
        Differences::check(found("refused"), refused).expect("as expected");
    }
}

#[test]
fn a_failed_job_names_the_row_and_its_call_is_replayed_on_another_machine() {
    for parallelism in ["settings.parallelism=1", "settings.parallelism=3"] {
        let (place, ended) = run_case(&["operator.fragile.on_error='fail'", parallelism]);
        assert_eq!(ended.status, Some(1), "{}", ended.err);
        for part in ["operator `fragile` (plugin fragile@0.1.0), `process` of row ", "is negative", "stygian plugin replay "] {
            assert!(ended.err.contains(part), "`{part}` is missing: {}", ended.err);
        }
        assert!(!place.path().join("out/kept").exists() || read_output(&place.path().join("out/kept")).expect("rows").is_empty());

        // Nothing of the job is left but the file; not even compiled code.
        let elsewhere = tempfile::tempdir().expect("a folder");
        let file = captures(place.path()).pop().expect("a capture");
        std::fs::copy(&file, elsewhere.path().join("call.capture")).expect("copied");
        drop(place);
        let replay = |args: &[&str]| {
            let args: Vec<&str> = ["plugin", "replay", "call.capture"].iter().chain(args).copied().collect();
            let command =
                Program::find().expect("built").command(elsewhere.path(), &args).env("STYGIAN_CACHE", elsewhere.path().join("c")).output();
            let output = command.expect("starts");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Ended { status: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
        };
        let replayed = replay(&[]);
        assert_eq!(replayed.status, Some(1), "{}", replayed.err);
        assert!(replayed.out.contains("operator `fragile`, 1 row\n") && replayed.out.contains("now      the same: "), "{}", replayed.out);
        let replayed = json(&replay(&["--output", "json"]));
        assert_eq!((&replayed["verdict"], &replayed["now"]["kind"]), (&Value::from("same"), &Value::from("trap")));
        assert_eq!(replayed["now"]["message"], replayed["call"]["failure"]["message"]);
        let other = components().join("clean.wasm");
        let refused = replay(&["--plugin", other.to_str().expect("text")]);
        assert_eq!(refused.status, Some(2), "{}", refused.err);
        assert!(refused.err.contains("there is no column `user`"), "{}", refused.err);
    }
}

#[test]
fn a_file_that_is_no_capture_is_told_so() {
    let place = tempfile::tempdir().expect("a folder");
    std::fs::write(place.path().join("x.capture"), "PK").expect("written");
    for (file, reason) in [("x.capture", "it is no capture"), ("y.capture", "No such file")] {
        let ended = stygian(place.path(), &["plugin", "replay", file]);
        assert_eq!(ended.status, Some(2), "{}", ended.err);
        assert!(ended.err.contains(reason), "{}", ended.err);
    }
}

#[test]
fn nothing_is_saved_where_captures_are_off() {
    let (place, ended) = run_case(&["operator.fragile.on_error='fail'", "captures.save=false"]);
    assert_eq!(ended.status, Some(1), "{}", ended.err);
    assert!(!ended.err.contains("replay"), "{}", ended.err);
    assert!(!place.path().join("captures").exists());
}

/// 4,096 rows, one call: the summary of a job whose operator skips what it fails on.
fn one_call(kind: impl Fn(usize) -> &'static str, rate: &str) -> (tempfile::TempDir, Ended) {
    let place = tempfile::tempdir().expect("a folder");
    let mut rows = String::new();
    for n in 0..4096 {
        let (kind, amount) = if kind(n) == "panic" { ("click", -1) } else { (kind(n), 1) };
        writeln!(rows, "{{\"kind\":\"{kind}\",\"amount\":{amount}.0}}").expect("text");
    }
    std::fs::write(place.path().join("rows.jsonl"), rows).expect("written");
    let pipeline = format!(
        r#"
        name = "one-call"
        [limits]
        call_cpu = "50ms"
        [captures]
        folder = "captures"
        max_files = 5
        [source.events]
        connector = "files"
        path = "rows.jsonl"
        format = "json"
        schema = {{ kind = "text not null", amount = "float64 not null" }}
        [operator.fragile]
        input = "events"
        plugin = "fragile"
        on_error = "skip"
        max_poison_rate = {rate}
        [sink.kept]
        input = "fragile"
        connector = "files"
        path = "out"
        format = "json"
        "#
    );
    std::fs::write(place.path().join("pipeline.toml"), pipeline).expect("written");
    let plugins = components().to_str().expect("text");
    let ended = stygian(place.path(), &["run", "pipeline.toml", "--plugins", plugins, "--output", "json"]);
    (place, ended)
}

#[test]
fn one_bad_row_of_4096_is_found_by_14_failed_calls_at_most() {
    // Beside the first call: 12 halves that go well, 12 that fail, and one more where the row ran out of time.
    for (bad, calls) in [("panic", 24), ("loop", 25), ("deep", 24)] {
        let (place, ended) = one_call(|n| if n == 1500 { bad } else { "click" }, "0.05");
        assert_eq!(ended.status, Some(0), "{}", ended.err);
        let counted = json(&ended);
        assert_eq!((&operator(&counted)["poison_rows"], &operator(&counted)["retried_calls"]), (&1.into(), &calls.into()), "{bad}");
        assert_eq!(read_output(&place.path().join("out")).expect("rows").len(), 4095);
        assert_eq!(captures(place.path()).len(), 1);
    }
}

#[test]
fn a_plugin_that_always_times_out_costs_its_budget_of_16_calls() {
    let (place, ended) = one_call(|_| "loop", "1.0");
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    let counted = json(&ended);
    assert_eq!((&operator(&counted)["poison_rows"], &operator(&counted)["retried_calls"]), (&4096.into(), &15.into()));
    assert_eq!(captures(place.path()).len(), 2, "of the rows that were tried alone");
}

#[test]
fn a_plugin_that_fails_on_all_rows_fails_the_job_whatever_on_error_says() {
    let (place, ended) = one_call(|_| "panic", "0.05");
    assert_eq!(ended.status, Some(1), "{}", ended.err);
    assert!(ended.err.contains("gave up 205 of its last 4096 rows") && ended.err.contains("`max_poison_rate` (0.05)"), "{}", ended.err);
    assert_eq!(captures(place.path()).len(), 5, "as many as may be");
}
