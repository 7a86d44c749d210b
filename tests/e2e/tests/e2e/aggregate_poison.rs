//! Calls of an aggregate that fail: the row at fault is found and ends the job, and its call is replayed elsewhere.

use crate::poison::stygian;
use serde_json::Value;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use stygian_e2e::{Ended, components};

/// Rows of two users in turn, whose values are their numbers.
const ROWS: usize = 3_000;

fn rows(folder: &Path) {
    let mut rows = String::new();
    for n in 0..ROWS {
        writeln!(rows, "{{\"user\":\"u{}\",\"value\":{n}}}", n % 2).expect("text");
    }
    std::fs::write(folder.join("rows.jsonl"), rows).expect("written");
}

fn run(folder: &Path, config: &str) -> Ended {
    rows(folder);
    let pipeline = format!(
        r#"
        name = "means"
        [limits]
        call_cpu = "50ms"
        [captures]
        folder = "captures"
        [source.rows]
        connector = "files"
        path = "rows.jsonl"
        format = "json"
        schema = {{ user = "text not null", value = "int64" }}
        [operator.means]
        input = "rows"
        window = {{ tumbling = "1h", time = "processing" }}
        key_by = ["user"]
        aggregate = {{ own = {{ plugin = "mean@0.1", config = {{ {config} }} }}, n = "count(*)" }}
        [sink.out]
        input = "means"
        connector = "files"
        path = "out"
        format = "json"
        "#
    );
    std::fs::write(folder.join("pipeline.toml"), pipeline).expect("written");
    stygian(folder, &["run", "pipeline.toml", "--plugins", components().to_str().expect("text"), "--output", "json"])
}

/// The bad row is number 2,500, in the second call: by then its user has the 1,250 even numbers below, most of them of the first.
#[test]
fn the_row_at_fault_is_found_and_replayed_with_its_accumulator() {
    let sum: usize = (0..2_500).step_by(2).sum();
    let panics = format!("2500 is bad, after 1250 of the sum {sum}");
    let of_all: usize = (1..ROWS).step_by(2).sum();
    let finishes = format!("the sum {of_all} of 1500 is bad");
    let failures = [
        ("bad = 2500".to_owned(), "`accumulate` of row 452 of the call", panics.as_str(), "trap", "1 row\n"),
        ("endless = 2500".to_owned(), "`accumulate` of row 452 of the call", "of CPU in", "timeout", "1 row\n"),
        (format!("bad_sum = {of_all}"), "`finish` of 1 accumulator", finishes.as_str(), "trap", "1 accumulator\n"),
    ];
    for (config, step, says, kind, count) in failures {
        let place = tempfile::tempdir().expect("a folder");
        let ended = run(place.path(), &config);
        assert!(kind == "timeout" || ended.err.contains("by a `filter` before the window"), "{}", ended.err);
        assert_eq!(ended.status, Some(1), "{}", ended.err);
        for part in ["`means.own`", "plugin mean@0.1.0", step, says, "stygian plugin replay "] {
            assert!(ended.err.contains(part), "`{part}` is missing: {}", ended.err);
        }
        let mut files = std::fs::read_dir(place.path().join("captures")).expect("a folder");
        let file = files.next().expect("a capture").expect("a file").path();
        assert_eq!((std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, files.count()), (0o600, 0));
        let elsewhere = tempfile::tempdir().expect("a folder");
        std::fs::copy(&file, elsewhere.path().join("call.capture")).expect("copied");
        drop(place);
        let text = stygian(elsewhere.path(), &["plugin", "replay", "call.capture"]);
        assert_eq!(text.status, Some(1), "{}", text.err);
        for part in ["operator `means.own`", count, "now      the same: "] {
            assert!(text.out.contains(part), "`{part}` is missing: {}", text.out);
        }
        let told = stygian(elsewhere.path(), &["plugin", "replay", "call.capture", "--output", "json"]).out;
        let told: Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!((&told["verdict"], &told["now"]["kind"]), (&"same".into(), &kind.into()), "{told:#}");
        // Another plugin is no aggregate, or one of other accumulators.
        let other = components().join("clean.wasm");
        let refused = stygian(elsewhere.path(), &["plugin", "replay", "call.capture", "--plugin", other.to_str().expect("text")]);
        assert_eq!(refused.status, Some(2), "{}", refused.err);
    }
}

#[test]
fn an_aggregate_is_tested_with_all_its_functions() {
    let place = tempfile::tempdir().expect("a folder");
    rows(place.path());
    let component = components().join("mean.wasm");
    let test = |config: &str| {
        let args = ["plugin", "test", component.to_str().expect("text"), "--input", "rows.jsonl", "--rows", "700", "--config", config];
        stygian(place.path(), &args)
    };
    let good = test("{}");
    assert_eq!(good.status, Some(0), "{}", good.err);
    let sum: usize = (0..ROWS).sum();
    let result: Value = serde_json::from_str(&good.out).expect("a row");
    assert_eq!(result, serde_json::json!({ "count": ROWS, "sum": sum, "mean": 1499.5 }));
    assert!(good.err.contains("3000 rows in, one accumulator; fresh and used instances agree"), "{}", good.err);
    let impure = test("{\"impure\":true}");
    assert_eq!(impure.status, Some(1), "{}", impure.err);
    assert!(impure.err.contains("rows 0 to 699: ") && impure.err.contains("keeps something between calls"), "{}", impure.err);
    let failing = test("{\"bad\":1500}");
    assert_eq!(failing.status, Some(1), "{}", failing.err);
    assert!(failing.err.contains("from row 1400 of the file on") && failing.err.contains("1500 is bad"), "{}", failing.err);
}
