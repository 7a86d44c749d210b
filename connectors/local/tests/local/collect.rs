//! The sink that tests look into.

use crate::{context, told};
use stygian_api::conformance::{AllTypes, SinkCase, all_types, sink_keeps_its_word};
use stygian_api::{Connector, Options, Pending};
use stygian_core::StreamSchema;
use stygian_local::Collect;

#[tokio::test]
async fn keeps_its_word() {
    let rows = all_types(AllTypes { rows: 7, seed: 1, binary: true, empty_texts: true });
    let (collect, collected) = Collect::new();
    let sink = collect.sink(&Options::of_text(""), &context(), &StreamSchema::append(rows.schema())).await.expect("a sink");
    let visible = || collected.batches("node");
    assert_eq!(sink_keeps_its_word(SinkCase { sink: &*sink, rows: &rows, visible: &visible, rolls: false }).await, Ok(()));
    assert_eq!(collected.rows("node") % 7, 0);
    assert_eq!(collected.rows("another"), 0);
    let error = sink.committer().commit(&[Pending(serde_json::json!({ "collected": 1_000_000 }))]).await.expect_err("unknown");
    assert_eq!(told(&error), "collect: nothing is known of {\"collected\":1000000}; rows that are collected do not outlive their process");
}

#[tokio::test]
async fn takes_no_options_and_is_no_source() {
    let rows = all_types(AllTypes { rows: 1, seed: 1, binary: true, empty_texts: true });
    let (collect, _) = Collect::new();
    let problems = collect.sink(&Options::of_text("rows = 1"), &context(), &StreamSchema::append(rows.schema())).await.err();
    assert_eq!(problems.expect("unknown").to_string(), "unknown field `rows`, there are no fields");
    let problems = collect.source(&Options::of_text(""), &context()).await.err();
    assert_eq!(problems.expect("no source").to_string(), "`collect` is a sink and no source");
}
