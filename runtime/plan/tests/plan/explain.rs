//! A plan as people and programs read it.

use crate::common::{HEAD, facts, fields, output, planned, plugin};
use std::collections::BTreeSet;
use stygian_core::{OutputShape, PluginDescription, PluginInterfaces, SlotKind, StateSlot, TimerClock, TimerSpec};

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

guarantees: no checkpoints: after a crash the job starts anew; files appear whole or not at all, and messages stay sent
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

/// Programs read it: this is what must not change without a new version.
#[test]
fn the_shape_of_the_json_is_fixed() {
    let tail = "[operator.w]\ninput = 'clicks'\nwindow = { tumbling = '1h' }\nkey_by = ['buyer']\naggregate = { n = 'count(*)' }\n[sink.z]\ninput = 'w'\nconnector = 'files'\n";
    let head = "name = 'shop'\n[source.clicks]\nconnector = 'files'\nevent_time = 'at'\n";
    let json = planned(&[head, tail].concat(), &facts()).explain_json();
    let column = |name: &str, kind: &str, nullable: bool| serde_json::json!({ "name": name, "type": kind, "nullable": nullable });
    let clicks = [
        column("buyer", "text", false),
        column("item", "text", true),
        column("amount", "float64", true),
        column("at", "timestamp_utc", false),
    ];
    let times = ["window_start", "window_end", "window_time"].map(|name| column(name, "timestamp_utc", false));
    let results: Vec<_> = times.into_iter().chain([column("buyer", "text", false), column("n", "int64", false)]).collect();
    let dead = json["nodes"][0]["outputs"][1].clone();
    assert_eq!(dead["name"], "dead_letters");
    let expected = serde_json::json!({
        "version": 1,
        "pipeline": "shop",
        "guarantees": "no checkpoints: after a crash the job starts anew; files appear whole or not at all, and messages stay sent",
        "state": { "backend": "memory", "memory": null },
        "tasks": [{ "parallelism": 1, "nodes": ["clicks"] }, { "parallelism": 1, "nodes": ["w", "z"] }],
        "nodes": [
            { "name": "clicks", "kind": "source", "detail": "files, bounded, watermarks 5s behind", "task": 1, "parallelism": 1, "inputs": [],
              "outputs": [{ "name": null, "kind": "append", "event_time": "at", "columns": clicks }, dead] },
            { "name": "w", "kind": "window", "detail": "tumbling 1h; n = count(*)", "task": 2, "parallelism": 1,
              "inputs": [{ "node": "clicks", "output": null, "hash_by": ["buyer"] }],
              "outputs": [{ "name": null, "kind": "append", "event_time": "window_time", "columns": results },
                          { "name": "late", "kind": "append", "event_time": "at", "columns": clicks }, dead] },
            { "name": "z", "kind": "sink", "detail": "files", "task": 2, "parallelism": 1,
              "inputs": [{ "node": "w", "output": null, "hash_by": null }], "outputs": [] },
        ],
    });
    assert_eq!(json, expected, "{json:#}");
}

#[test]
fn where_keyed_state_is_held_is_told_for_plugins_that_have_some() {
    let mut facts = facts();
    facts.plugins.insert("sessions".into(), keyed().into());
    let last_line = |table: &str| {
        let text = [HEAD, table, "[settings]\nparallelism = 3\n", SESSIONS].concat();
        let plan = planned(&text, &facts);
        (plan.explain().lines().last().expect("a line").to_owned(), plan.explain_json()["state"].clone())
    };
    let in_memory = ("state: by key in memory".to_owned(), serde_json::json!({ "backend": "memory", "memory": null }));
    assert_eq!(last_line(""), in_memory);
    let on_disk = "state: by key on the local disk; 64.0 MiB of memory for the caches of 3 subtasks".to_owned();
    let json = serde_json::json!({ "backend": "disk", "memory": 64 * 1024 * 1024 });
    assert_eq!(last_line("[state]\nbackend = 'disk'\nmemory = '64 MiB'\n"), (on_disk, json));
}

#[test]
fn text_shows_what_a_plugin_keeps_for_how_long_and_its_timers() {
    let slot = |name: &str, kind, version, ttl_millis| StateSlot { name: name.into(), kind, version, reads: BTreeSet::new(), ttl_millis };
    let timer = |name: &str, clock| TimerSpec { name: name.into(), clock };
    let sessions = PluginDescription {
        slots: vec![
            slot("open", SlotKind::Value, 2, None),
            slot("pages", SlotKind::List, 1, Some(7 * 24 * 3_600_000)),
            slot("seen", SlotKind::Map, 1, Some(90_000)),
        ],
        timers: vec![timer("silence", TimerClock::EventTime), timer("flush", TimerClock::ProcessingTime)],
        ..keyed()
    };
    let mut facts = facts();
    facts.plugins.insert("sessions".into(), sessions.into());
    let head = "name = 'shop'\n[source.clicks]\nconnector = 'files'\nevent_time = 'at'\n";
    let expected = r#"
pipeline shop: 3 nodes in 2 tasks

task 1 (1 subtask)
  source clicks: files, bounded, watermarks 5s behind
      -> buyer text not null, item text, amount float64, at timestamp_utc not null; event time at

task 2 (1 subtask)
  plugin sessions: cleaner 1.2.0 from cleaner@*; reads amount float64; keeps value open v2, list pages v1 for 7days, map seen v1 for 1m 30s, timer silence in event time, timer flush in processing time
      <- clicks, exchanged by buyer (128 key groups)
      -> sessions.rows: rows as they came
    sink kept: files
        <- sessions.rows

guarantees: no checkpoints: after a crash the job starts anew; files appear whole or not at all, and messages stay sent
state: by key in memory
"#;
    assert_eq!(planned(&[head, SESSIONS].concat(), &facts).explain(), expected.trim_start_matches('\n'));
}

/// A plugin by buyer that keeps nothing.
fn keyed() -> PluginDescription {
    let mut keyed = plugin(&["amount float64"], vec![output("rows", OutputShape::Selected)]).as_ref().clone();
    keyed.interfaces = PluginInterfaces { keyed_operator: true, ..PluginInterfaces::default() };
    keyed.inputs[0].key = fields(&["buyer text not null"]);
    keyed
}

const SESSIONS: &str = "
[operator.sessions]
input = 'clicks'
plugin = 'cleaner'
key_by = ['buyer']
[sink.kept]
connector = 'files'
input = 'sessions'
";

#[test]
fn text_of_strangers_is_escaped() {
    let text = format!("{HEAD}[operator.f]\ninput = 'clicks'\nfilter = \"item = '\\u001b[2J\"\n").replace("[2J\"", "[2J'\"");
    let plan = planned(&format!("{text}[sink.f2]\ninput = 'f'\nconnector = \"\\u001b[31m\"\n"), &facts());
    assert!(plan.explain().chars().all(|c| c == '\n' || !c.is_control()));
    let svg = plan.explain_svg();
    assert!(svg.chars().all(|c| c == '\n' || !c.is_control()) && svg.contains("item = &#39;") | svg.contains("item = '"), "{svg}");
}

#[test]
fn svg_is_one_document_with_a_box_a_node_and_a_line_an_edge() {
    let plan = planned(&[HEAD, SHOP].concat(), &facts());
    let svg = plan.explain_svg();
    assert_eq!(svg.matches("class=\"node\"").count(), 9);
    assert_eq!(svg.matches("class=\"band\"").count(), 3);
    assert_eq!(svg.matches("class=\"edge\"").count(), 7, "within tasks and to the union");
    assert_eq!(svg.matches("class=\"edge exchange\"").count(), 1);
    assert!(svg.contains(">by item, buyer</text>") && svg.contains(">window: sliding 1h every 10m; n = coun…</text>"), "{svg}");
    assert!(svg.contains("<title>window hourly: sliding 1h every 10m; n = count(*), average = avg(amount)</title>"));
    assert_eq!(svg, include_str!("shop.svg"), "the picture changed: look at it, then keep it as `shop.svg`");
}

/// Where each box is: left, top, right, bottom.
fn boxes(svg: &str, class: &str) -> Vec<[f64; 4]> {
    let rects = svg.lines().filter(|line| line.starts_with(&format!("<rect class=\"{class}\"")));
    let number = |line: &str, key: &str| -> f64 {
        let from = line.find(&format!(" {key}=\"")).expect("an attribute") + key.len() + 3;
        line[from..].split('"').next().and_then(|text| text.parse().ok()).expect("a number")
    };
    let bounds = |line: &str| {
        let [x, y, width, height] = ["x", "y", "width", "height"].map(|key| number(line, key));
        [x, y, x + width, y + height]
    };
    rects.map(bounds).collect()
}

#[test]
fn nothing_in_a_picture_lies_on_something_else() {
    let svg = planned(&[HEAD, SHOP].concat(), &facts()).explain_svg();
    for class in ["node", "band"] {
        let boxes = boxes(&svg, class);
        for (index, a) in boxes.iter().enumerate() {
            for b in &boxes[index + 1..] {
                assert!(a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1], "{class}: {a:?} and {b:?}");
            }
        }
    }
    let bands = boxes(&svg, "band");
    let within =
        |node: &[f64; 4]| bands.iter().any(|band| band[0] < node[0] && band[1] < node[1] && node[2] < band[2] && node[3] < band[3]);
    assert!(boxes(&svg, "node").iter().all(within), "every node is in the band of its task");
}
