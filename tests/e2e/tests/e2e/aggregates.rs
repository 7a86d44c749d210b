//! A job whose windows aggregate by a plugin: it goes on though the component is gone, and with its next version from what the old one has
//! kept.

use crate::process::{end, signal, start, wait_for};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::Child;
use stygian_e2e::{Differences, Ended, Program, components, read_output};

/// By user, of minutes that stay open: how far amounts lie apart, of all and of the large ones.
const APART: &str = r#"
name = "apart"

[checkpoint]
folder = "checkpoints"
interval = "50ms"

[source.sales]
connector = "files"
path = "sales.jsonl"
format = "json"
schema = { user = "text not null", amount = "float64", at = "timestamp_utc" }
event_time = "at"
follow = true
poll_interval = "10ms"

[operator.apart]
input = "sales"
window = { tumbling = "1m" }
key_by = ["user"]
aggregate = { n = "count(*)", apart = { plugin = "spread@0.1" }, again = { plugin = "spread@0.1" } }

[sink.report]
input = "apart"
connector = "files"
path = "out/report"
format = "json"
"#;

struct Place(tempfile::TempDir);

impl Place {
    /// One with both versions of the plugin in its folder `plugins`, where they are looked for.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir(place.path().join("plugins")).expect("made");
        for (component, file) in [("spread.wasm", "spread@0.1.0.wasm"), ("spread2.wasm", "spread@2.0.0.wasm")] {
            std::fs::copy(components().join(component), place.path().join("plugins").join(file)).expect("copied");
        }
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn sell(&self, sales: &[(&str, f64)]) {
        let mut file = std::fs::File::options().append(true).create(true).open(self.path().join("sales.jsonl")).expect("opened");
        for (user, amount) in sales {
            writeln!(file, "{{\"user\":\"{user}\",\"amount\":{amount},\"at\":\"2026-01-01T00:00:10Z\"}}").expect("written");
        }
    }

    fn ask(&self, args: &[&str]) -> Ended {
        Program::find().expect("built").run(self.path(), args).expect("runs")
    }

    /// Starts the job and waits until so many rows are in its windows.
    fn start(&self, plugin: &str, parallelism: u16, rows: u64) -> Child {
        let set = format!("settings.parallelism={parallelism}");
        let child = start(self.path(), &APART.replace("spread@0.1", plugin), &["--set", &set]);
        wait_for("rows in windows", || {
            let status: Value = serde_json::from_str(&self.ask(&["status", "apart", "--output", "json"]).out).ok()?;
            let windows = status["nodes"].as_array()?.iter().find(|node| node["name"] == "apart" && node["kind"] == "operator")?;
            (windows["rows_in"].as_u64()? == rows).then_some(())
        });
        child
    }

    /// Runs the job until so many rows are in its windows, and stops it.
    fn run(&self, plugin: &str, parallelism: u16, rows: u64) -> String {
        let child = self.start(plugin, parallelism, rows);
        signal(&child, "-INT");
        let (_, err, status) = end(child);
        assert_eq!(status, Some(0), "{err}");
        err
    }

    /// As [`Place::run`], and lets all windows fire.
    fn drain(&self, plugin: &str, parallelism: u16, rows: u64) -> String {
        let child = self.start(plugin, parallelism, rows);
        let stopped = self.ask(&["stop", "apart", "--drain"]);
        let (_, err, status) = end(child);
        assert_eq!((stopped.status, status), (Some(0), Some(0)), "{} {err}", stopped.err);
        err
    }

    /// What the newest checkpoint says of the windows.
    fn kept(&self) -> Value {
        let inspected: Value =
            serde_json::from_str(&self.ask(&["checkpoints", "inspect", "checkpoints", "--output", "json"]).out).expect("JSON");
        let operators = inspected["operators"].as_array().expect("operators").clone();
        operators.into_iter().find(|operator| operator["operator"] == "apart").expect("the windows")
    }

    fn expect(&self, results: &[(&str, u64, f64)]) {
        let found = read_output(&self.path().join("out/report")).expect("whole files").into_iter();
        let found = found.map(|row| json!({ "user": row["user"], "n": row["n"], "apart": row["apart"], "again": row["again"] }));
        let expected = results.iter().map(|(user, n, apart)| json!({ "user": user, "n": n, "apart": apart, "again": apart }));
        Differences::check(found.collect(), expected.collect()).expect("as expected");
    }
}

#[test]
fn a_plugin_that_aggregates_is_kept_with_the_checkpoints() {
    let place = Place::new();
    place.sell(&[("a", 1.0), ("b", 2.0), ("a", 4.0)]);
    place.run("spread@0.1", 1, 3);
    let kept = place.kept();
    assert_eq!(kept["aggregates"], json!({ "apart": "spread@0.1.0", "again": "spread@0.1.0" }), "{kept}");
    let text = place.ask(&["checkpoints", "inspect", "checkpoints"]).out;
    assert!(text.contains("again by plugin spread@0.1.0"), "{text}");
    std::fs::remove_dir_all(place.path().join("plugins")).expect("removed");
    place.sell(&[("b", 12.0), ("c", 7.0)]);
    let err = place.drain("spread@0.1", 3, 2);
    for aggregate in ["apart.apart", "apart.again"] {
        let told = format!("the plugin of `{aggregate}` is not where the pipeline says; going on with spread@0.1.0 of checkpoint");
        assert!(err.contains(&told), "{err}");
    }
    place.expect(&[("a", 2, 3.0), ("b", 2, 10.0), ("c", 1, 0.0)]);
}

#[test]
fn the_next_version_of_an_aggregate_goes_on_from_what_the_old_one_has_kept() {
    for (before, after) in [(1, 1), (3, 1), (1, 3)] {
        let place = Place::new();
        place.sell(&[("a", 1.0), ("b", 2.0), ("a", 4.0), ("d", 5.0)]);
        place.run("spread@0.1", before, 4);
        assert_eq!(place.kept()["values_by_slot_and_version"], json!({ "apart": { "1": 3 }, "again": { "1": 3 } }));
        place.sell(&[("a", 9.0), ("b", 2.5), ("c", 7.0)]);
        place.run("spread@2", after, 3);
        let kept = place.kept();
        assert_eq!(kept["values_by_slot_and_version"], json!({ "apart": { "2": 4 }, "again": { "2": 4 } }));
        // Who wrote what the version before cannot read is named.
        let args = ["run", "pipeline.toml"];
        std::fs::write(place.path().join("pipeline.toml"), APART).expect("written");
        let refused = place.ask(&args);
        assert_eq!(refused.status, Some(2), "{}", refused.err);
        for part in ["version 2 in slot `again`", "reads version 1; they are of spread@2.0.0, a later one"] {
            assert!(refused.err.contains(part), "`{part}` is missing: {}", refused.err);
        }
        place.sell(&[("d", 6.0)]);
        place.drain("spread@2", before, 1);
        place.expect(&[("a", 3, 80.0), ("b", 2, 5.0), ("c", 1, 0.0), ("d", 2, 10.0)]);
    }
}
