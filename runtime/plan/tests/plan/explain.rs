//! A plan as people and programs read it.

use crate::common::{HEAD, facts, planned};

const SHOP: &str = "
[settings]
parallelism = 2
[operator.split]
input = 'clean'
branch = { cheap = 'price < 10', dear = 'price >= 100' }
[operator.some]
inputs = ['split.cheap', 'split.other']
union = true
[operator.hourly]
input = 'some'
window = { sliding = '1h', slide = '10m' }
key_by = ['item', 'buyer']
aggregate = { n = 'count(*)', average = 'avg(amount)' }
[sink.report]
connector = 'files'
input = 'hourly'
[sink.late]
connector = 'console'
input = 'hourly.late'
[sink.bad]
connector = 'files'
input = 'clicks.dead_letters'
";

#[test]
fn text_shows_tasks_exchanges_and_schemas() {
    let plan = planned(&[HEAD, SHOP].concat(), &facts());
    let expected = r#"
pipeline shop: 9 nodes in 3 tasks

task 1 (2 subtasks)
  source clicks: files, bounded, watermarks 5s behind
      -> buyer text not null, item text, amount float64, at timestamp_utc not null; event time at
      -> clicks.dead_letters
    plugin clean: cleaner 1.2.0 from cleaner@^1.2; reads amount float64
        <- clicks
        -> clean.good: buyer text not null, item text, amount float64, at timestamp_utc not null, price float64 not null; event time at
        -> clean.bad: rows as they came
           (nobody reads it: its rows are dropped)
      branch split: cheap = price < 10, dear = price >= 100
          <- clean.good
          -> split.cheap: rows as they came
          -> split.dear: rows as they came
             (nobody reads it: its rows are dropped)
          -> split.other: rows as they came
      sink all: files
          <- clean.good
    sink bad: files
        <- clicks.dead_letters

task 2 (2 subtasks)
  union some
      <- split.cheap
      <- split.other
      -> rows as they came

task 3 (2 subtasks)
  window hourly: sliding 1h every 10m; n = count(*), average = avg(amount)
      <- some, exchanged by item, buyer (128 key groups)
      -> window_start timestamp_utc not null, window_end timestamp_utc not null, window_time timestamp_utc not null, item text, buyer text not null, n int64 not null, average float64; event time window_time
      -> hourly.late: rows as they came
    sink report: files
        <- hourly
    sink late: console
        <- hourly.late

guarantees: no checkpoints yet: after a crash the job starts anew; files appear whole or not at all
"#;
    assert_eq!(plan.explain(), expected.trim_start_matches('\n'));
}

#[test]
fn json_tells_the_same() {
    let plan = planned(&[HEAD, SHOP].concat(), &facts());
    let json = plan.explain_json();
    let names = |values: &serde_json::Value| values.as_array().expect("a list").iter().map(|v| v["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&json["nodes"]), ["clicks", "clean", "split", "some", "hourly", "all", "report", "late", "bad"]);
    assert_eq!(json["tasks"][2]["nodes"], serde_json::json!(["hourly", "report", "late"]));
    let hourly = &json["nodes"][4];
    assert_eq!(hourly["inputs"], serde_json::json!([{ "node": "some", "output": null, "hash_by": ["item", "buyer"] }]));
    assert_eq!((&hourly["kind"], &hourly["task"], &hourly["parallelism"]), (&"window".into(), &3.into(), &2.into()));
    assert_eq!(names(&hourly["outputs"]), [serde_json::Value::Null, "late".into(), "dead_letters".into()]);
    let column = serde_json::json!({ "name": "average", "type": "float64", "nullable": true });
    assert_eq!(hourly["outputs"][0]["columns"][6], column);
    assert_eq!(hourly["outputs"][0]["event_time"], "window_time");
}

#[test]
fn text_of_strangers_is_escaped() {
    let text = format!("{HEAD}[operator.f]\ninput = 'clicks'\nfilter = \"item = '\\u001b[2J\"\n").replace("[2J\"", "[2J'\"");
    let plan = planned(&format!("{text}[sink.f2]\ninput = 'f'\nconnector = \"\\u001b[31m\"\n"), &facts());
    assert!(plan.explain().chars().all(|c| c == '\n' || !c.is_control()));
}
