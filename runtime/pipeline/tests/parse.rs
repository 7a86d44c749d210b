//! What a good pipeline file is read as.

#![allow(clippy::expect_used, clippy::panic)] // Tests and their helpers say what they expect by failing.

use std::time::Duration;
use stygian_core::{ByteSize, Span};
use stygian_pipeline::{AggregateBy, Captures, Instances, OnError, OperatorKind, Pipeline, State, StateBackend, WindowShape, apply_set};

const WHOLE: &str = include_str!("../fuzz-corpus/whole.toml");

fn whole() -> Pipeline {
    Pipeline::parse(WHOLE).expect("a good pipeline")
}

#[test]
fn reads_settings_and_fills_in_defaults() {
    let settings = whole().settings;
    assert_eq!((settings.parallelism.get(), settings.max_parallelism.get(), settings.batch_rows), (2, 64, 4096));
    assert_eq!((settings.channel_batches, settings.channel_bytes), (8, ByteSize::mib(4)));
    let text = WHOLE.split("[settings]").next().expect("a head").to_owned()
        + "[settings]\nbatch_rows = 7\n[source.a]\nconnector = 'x'\n[sink.b]\ninput = 'a'\nconnector = 'x'";
    let settings = Pipeline::parse(&text).expect("a pipeline").settings;
    assert_eq!((settings.parallelism.get(), settings.max_parallelism.get(), settings.batch_rows), (1, 128, 7));
    assert_eq!((settings.max_batch_delay, settings.watermark_interval), (Span::millis(5), Span::millis(200)));
}

#[test]
fn reads_sources_with_the_connectors_keys_apart() {
    let pipeline = whole();
    let source = &pipeline.sources[0];
    assert_eq!((source.name.get_ref().as_str(), source.connector.get_ref().as_str()), ("events", "files"));
    assert_eq!(source.watermark_delay, Duration::from_secs(2));
    assert_eq!(source.idle_after, Some(Duration::from_secs(30)));
    #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
    struct Files {
        path: String,
        schema: std::collections::BTreeMap<String, String>,
    }
    let files: Files = source.options.read().expect("no key but its own");
    assert_eq!((files.path.as_str(), files.schema.len()), ("events/*.jsonl", 3));
}

#[test]
fn reads_every_kind_of_operator() {
    let pipeline = whole();
    let names: Vec<&str> = pipeline.operators.iter().map(|operator| operator.name.get_ref().as_str()).collect();
    assert_eq!(names, ["clean", "paid", "gross", "by-price", "most", "hourly"]);
    let OperatorKind::Plugin(plugin) = &pipeline.operators[0].kind else { panic!("no plugin") };
    let config = serde_json::json!({ "lowest": 0.5, "words": ["a", "b"], "since": "2024-01-01", "deep": { "yes": true } });
    assert_eq!(serde_json::Value::Object(plugin.config.clone()), config);
    assert_eq!((plugin.plugin.to_string().as_str(), plugin.instances), ("clean@^1.2", Instances::Fresh));
    assert_eq!((plugin.on_error, plugin.max_poison_rate), (OnError::DeadLetter, 0.25));
    assert_eq!(&WHOLE[plugin.config_at.clone()][..12], "{ lowest = 0");
    let OperatorKind::Filter(sql) = &pipeline.operators[1].kind else { panic!("no filter") };
    assert_eq!(&WHOLE[sql.part(9..10)], "0");
    let OperatorKind::Select(select) = &pipeline.operators[2].kind else { panic!("no select") };
    let columns: Vec<(&str, &str)> = select.columns.iter().map(|c| (c.name.get_ref().as_str(), c.sql.text.as_str())).collect();
    assert_eq!(columns, [("user", "user"), ("price", "amount * 1.19"), ("at", "at")]);
    let OperatorKind::Branch(branches) = &pipeline.operators[3].kind else { panic!("no branch") };
    assert_eq!(branches.len(), 2);
    assert_eq!(pipeline.operators[4].inputs[1].to_string(), "by-price.other");
    let OperatorKind::Window(window) = &pipeline.operators[5].kind else { panic!("no window") };
    let minutes = |n: u64| Span::secs(n * 60);
    assert_eq!(window.windows.shape, WindowShape::Sliding { size: minutes(60), slide: minutes(10), offset: minutes(5) });
    assert_eq!(window.key_by[0].get_ref(), "user");
    assert!(matches!(&window.aggregates[1].by, AggregateBy::Sql(sql) if sql.text == "count(*)"));
    assert_eq!(pipeline.warnings, []);
}

#[test]
fn set_changes_values_where_they_stand() {
    let sets = ["settings.parallelism=5", "source.events.path=/tmp/7", "sink.report.\"path\"=\"out\"", "limits.calls=3", "sink.x.on=[1]"];
    let changed = apply_set(WHOLE, &sets.map(str::to_owned)).expect("good sets");
    assert!(changed.starts_with("# Every kind"), "comments stay");
    for part in ["parallelism = 5\n", "path = \"/tmp/7\"\n", "path = \"out\"\n", "calls = 3\n", "[sink.x]\non = [1]"] {
        assert!(changed.contains(part), "{part} is not in\n{changed}");
    }
    assert_eq!(changed.lines().count(), WHOLE.lines().count() + 4);
    assert_eq!(apply_set(WHOLE, &[]).as_deref(), Ok(WHOLE));
}

#[test]
fn set_keeps_text_where_text_stood() {
    let changed = |value: &str| apply_set("name = 'a' # c\nn = 1\n", &[value.to_owned()]).expect("a good set");
    assert_eq!(changed("name=2024-01-01"), "name = \"2024-01-01\" # c\nn = 1\n");
    assert_eq!(changed("n=2024-01-01"), "name = 'a' # c\nn = 2024-01-01\n");
    assert_eq!(changed("n=a b=c"), "name = 'a' # c\nn = \"a b=c\"\n");
}

#[test]
fn set_tells_all_that_cannot_be_done() {
    let sets = ["parallelism", "name.x=1", "=1", "settings=1"].map(str::to_owned);
    let problems = apply_set(WHOLE, &sets).expect_err("no good set").0;
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`--set parallelism` cannot be done: there is no `=`",
            "`--set name.x=1` cannot be done: `name` is no table",
            "`--set =1` cannot be done: `` is no key",
            "`--set settings=1` cannot be done: `settings` is a table",
        ]
    );
    let problems = apply_set("name = \n", &sets).expect_err("no TOML").0;
    assert_eq!(problems.len(), 1);
}

#[test]
fn reads_what_is_saved_of_failed_calls() {
    let captures = Captures { save: true, folder: Some("captures".into()), max_files: 4, max_bytes: stygian_core::ByteSize::mib(10) };
    assert_eq!(whole().captures, captures);
    let (head, tail) = WHOLE.split_once("[captures]").expect("a table");
    let (_, tail) = tail.split_once("[source").expect("a source");
    let without = format!("{head}[source{tail}");
    assert_eq!(Pipeline::parse(&without).expect("a good pipeline").captures, Captures::default());
}

#[test]
fn reads_where_state_is_held() {
    let state = |table: &str| {
        let text = format!("name = 'a'\n{table}\n[source.a]\nconnector = 'x'\n[sink.b]\ninput = 'a'\nconnector = 'x'");
        Pipeline::parse(&text).expect("a pipeline").state
    };
    assert_eq!(state(""), State::default());
    assert_eq!(state("[state]\nbackend = 'memory'"), State::default());
    assert_eq!(state("[state]\nbackend = 'disk'"), State { backend: StateBackend::Disk, ..State::default() });
    let given = state("[state]\nbackend = 'disk'\nmemory = '1 GiB'\nfolder = 'there'");
    assert_eq!(given, State { backend: StateBackend::Disk, memory: ByteSize::mib(1024), folder: Some("there".into()) });
}
