//! `stygian test`: what users see of their cases that pass, that fail and that are wrong.

use crate::poison::stygian;
use serde_json::Value;
use std::path::Path;
use stygian_e2e::{Ended, Program, components};

const PIPELINE: &str = r#"
name = "orders"

[settings]
parallelism = 2

[source.orders]
connector = "files"
path = "nowhere/orders.jsonl"
format = "json"
schema = { customer = "text not null", amount = "float64", at = "timestamp_utc not null" }
event_time = "at"
watermark_delay = "10s"

[source.refunds]
connector = "generator"
event_time = "at"

[operator.paid]
input = "orders"
branch = { large = "amount >= 100", small = "amount < 100" }

[operator.hourly]
input = "paid.large"
window = { tumbling = "1h" }
key_by = ["customer"]
aggregate = { orders = "count(*)", total = "sum(amount)" }

[operator.lately]
input = "orders"
window = { tumbling = "1m", time = "processing" }
key_by = ["customer"]
aggregate = { n = "count(*)" }

[sink.lately_out]
input = "lately"
connector = "console"

[sink.report]
input = "hourly"
connector = "files"
path = "report"
format = "parquet"

[sink.refunded]
input = "refunds"
connector = "console"
"#;

fn test(cases: &str, args: &[&str]) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("orders.toml"), PIPELINE).expect("written");
    std::fs::write(folder.path().join("orders.test.toml"), cases).expect("written");
    let rows = "{\"customer\":\"ann\",\"amount\":120.0,\"at\":\"2026-01-01T00:10:00Z\"}\n\n{\"customer\":\"ann\",\"amount\":80.5,\"at\":\"2026-01-01T00:20:00Z\"}\n";
    std::fs::write(folder.path().join("rows.jsonl"), rows).expect("written");
    let args: Vec<&str> = ["test", "orders.toml"].iter().chain(args).copied().collect();
    Program::find().and_then(|program| program.run(folder.path(), &args)).expect("runs")
}

/// Runs a pipeline of the components on cases, all of which hold at any parallelism.
pub(crate) fn hold(pipeline: &str, cases: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("pipeline.toml"), pipeline).expect("written");
    std::fs::write(folder.path().join("pipeline.test.toml"), cases).expect("written");
    let names = || cases.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let plural = if names().count() == 1 { "" } else { "s" };
    let passed: String = names().map(|name| format!("ok    {name}\n")).collect();
    let expected = format!("{passed}{} test{plural} passed\n", names().count());
    let plugins = components().to_str().expect("a path");
    for parallelism in ["1", "3"] {
        let set = format!("settings.parallelism={parallelism}");
        let ended = stygian(folder.path(), &["test", "pipeline.toml", "--plugins", plugins, "--set", &set]);
        assert_eq!((ended.status, ended.out.as_str()), (Some(0), expected.as_str()), "{}", ended.err);
    }
}

const PASSING: &str = r#"
[[test]]
name = "rows of a file, exactly one window"
given.orders = { file = "rows.jsonl" }
expect.report = [{ customer = "ann", orders = 1, total = 120.0 }]
expect.paid.small = [{ customer = "ann", amount = 80.5 }]
expect.paid.other = []

[[test]]
name = "a watermark fires windows, rows behind it are late"
given.orders = [{ customer = "bob", amount = 100.0, at = 2026-01-01T00:10:00Z }]
watermark = 2026-01-01T01:00:00Z
end = false

[[test.step]]
given.orders = [
    { customer = "bob", amount = 200.0, at = 2026-01-01T00:59:59Z },
    { customer = "bob", amount = 300.0, at = "2026-01-01T01:00:00Z" },
]

[test.expect]
report = { rows = [{ customer = "bob", window_end = 2026-01-01T01:00:00Z, total = 100 }], ordered = true }
"hourly.late" = [{ amount = 200.0 }]

[[test]]
name = "without the watermark the same row is in time"
given.orders = [
    { customer = "bob", amount = 100.0, at = 2026-01-01T00:10:00Z },
    { customer = "bob", amount = 200.0, at = 2026-01-01T00:59:59Z },
]
expect.report = [{ customer = "bob", orders = 2, total = 300.0004 }]
expect.hourly.late = []

[[test]]
name = "sources have their own watermarks"
given.orders = [{ customer = "bob", amount = 100.0, at = 2026-01-01T00:10:00Z }]
watermark.refunds = 2026-01-01T01:00:00Z
end = false
expect.report = []

[[test]]
name = "processing time goes on when the case says so"
start = 2026-01-01T12:00:30Z
given.orders = [{ customer = "ann", at = 2026-01-01T00:00:00Z }]
advance = "29s"
end = false

[[test.step]]
given.orders = [{ customer = "ann", at = 2026-01-01T00:00:00Z }]
advance = "1s"

[[test.step]]
given.orders = [{ customer = "ann", at = 2026-01-01T00:00:00Z }]

[test.expect]
lately = [{ window_end = 2026-01-01T12:01:00Z, customer = "ann", n = 2 }]
"#;

#[test]
fn cases_that_hold_pass_at_any_parallelism() {
    let cases = PASSING.replace(
        "expect.report = [{ customer = \"bob\", orders = 2, total = 300.0004 }]",
        "expect.report = { rows = [{ customer = \"bob\", orders = 2, total = 300.0004 }], tolerance = 0.001 }",
    );
    for parallelism in ["1", "3"] {
        let ended = test(&cases, &["--set", &format!("settings.parallelism={parallelism}")]);
        let lines = [
            "rows of a file, exactly one window",
            "a watermark fires windows, rows behind it are late",
            "without the watermark the same row is in time",
            "sources have their own watermarks",
            "processing time goes on when the case says so",
        ];
        let expected: String = lines.iter().map(|name| format!("ok    {name}\n")).collect();
        assert_eq!((ended.status, ended.out), (Some(0), expected + "5 tests passed\n"), "{}", ended.err);
    }
}

const FAILING: &str = r#"
[[test]]
name = "this holds"
given.orders = [{ customer = "ann", amount = 1.0, at = 2026-01-01T00:00:00Z }]
expect.report = []

[[test]]
name = "this does not"
given.orders = [
    { customer = "ann", amount = 100.0, at = 2026-01-01T00:00:00Z },
    { customer = "ann", amount = 50.0, at = 2026-01-01T00:00:00Z },
    { customer = "zoe\u001b[31m", amount = 100.25, at = 2026-01-01T00:00:00Z },
]
expect.report = [{ customer = "ann", orders = 2, total = 150.0 }, { customer = "zoe\u001b[31m", orders = 1, total = 100.5 }]
expect.paid.large = { rows = [{ amount = 100.25 }, { amount = 100.0 }], ordered = true }

[[test]]
name = "nor does the job fail"
given.orders = []
fails = "out of rows"
"#;

#[test]
fn a_case_that_does_not_hold_shows_what_differs() {
    let ended = test(FAILING, &[]);
    let expected = r#"ok    this holds
FAIL  this does not
      report: 2 rows instead of 2
                     customer       orders  total
         - expected  ann            2       150.0
         - expected  zoe\u{1b}[31m  1       100.5
         + found     ann            1       100.0
         + found     zoe\u{1b}[31m  1       100.25
      paid.large: from row 1 on in another order
                     amount
         - expected  100.25
         + found     100.0
FAIL  nor does the job fail
      the job did not fail, and was to fail with `out of rows`
2 of 3 tests failed
"#;
    assert_eq!((ended.status, ended.out.as_str()), (Some(1), expected), "{}", ended.err);
}

#[test]
fn programs_get_all_of_it() {
    let ended = test(FAILING, &["--output", "json", "--only", "not"]);
    assert_eq!(ended.status, Some(1), "{}", ended.err);
    let report: Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_eq!((&report["passed"], &report["failed"]), (&0.into(), &1.into()), "{report}");
    let test = &report["tests"][0];
    assert_eq!((&test["name"], &test["passed"], &test["error"]), (&"this does not".into(), &false.into(), &Value::Null));
    let difference = &test["differences"][0];
    assert_eq!((&difference["stream"], &difference["expected_rows"]), (&"report".into(), &2.into()));
    assert_eq!(
        difference["missing"],
        serde_json::json!([{ "customer": "ann", "orders": 2, "total": 150.0 }, { "customer": "zoe\u{1b}[31m", "orders": 1, "total": 100.5 }])
    );
    assert_eq!(test["differences"][1]["first_in_another_order"], 0);
}

const WRONG: &str = r#"
[defalts.orders]
customer = "ann"

[[test]]
name = "names"
given.order = [{ amount = 1.0 }]
given.orders = [{ customer = "ann", amont = 1.0, at = 2026-01-01T00:00:00Z }, { customer = "ann", at = "soon" }]
watermark.orders = "later"
advance = 5
expect.reprot = []
expect.paid.huge = []
expect.report = [{ customer = "ann", orders = "many" }]
expects = []

[[test]]
given.orders = []
"#;

#[test]
fn a_wrong_case_is_told_with_its_place() {
    let first = test(WRONG, &[]);
    assert_eq!(first.status, Some(2), "{}", first.out);
    assert_eq!(first.err, include_str!("wrong_file.txt"), "{}", first.err);
    let names =
        WRONG.replace("defalts", "defaults").replace("\"later\"", "2026-01-01T00:00:00Z").replace("advance = 5", "advance = \"5s\"");
    let names = names.replace("expects = []\n", "").replace("[[test]]\ngiven", "[[test]]\nname = \"b\"\nexpect.report = []\ngiven");
    let second = test(&names, &[]);
    assert_eq!(second.status, Some(2), "{}", second.out);
    assert_eq!(second.err, include_str!("wrong_names.txt"), "{}", second.err);
}

#[test]
fn a_pipeline_without_cases_says_where_they_would_be() {
    let ended = Program::find().and_then(|program| program.run(Path::new("/"), &["test", "no/pipeline.toml"])).expect("runs");
    assert_eq!(ended.status, Some(2));
    assert!(ended.err.starts_with("error: there are no cases for no/pipeline.toml: write them to no/pipeline.test.toml"), "{}", ended.err);
}

#[test]
fn the_demos_examples_hold() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo");
    let plugins = components().to_str().expect("a path");
    for parallelism in [1, 3] {
        let set = format!("settings.parallelism={parallelism}");
        let args = ["test", "report.toml", "--plugins", plugins, "--set", &set];
        let ended = Program::find().and_then(|program| program.run(&demo, &args)).expect("runs");
        assert_eq!(ended.status, Some(0), "{}{}", ended.out, ended.err);
        assert!(ended.out.ends_with("3 tests passed\n"), "{}", ended.out);
    }
}
