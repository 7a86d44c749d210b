//! The sink that tests look into.

use crate::{context, told};
use stygian_api::conformance::{AllTypes, Damage, Outside, SinkCase, all_types, row_texts, sink_keeps_its_word, sink_recovers};
use stygian_api::{Connector, Options, Pending};
use stygian_core::StreamSchema;
use stygian_local::{Collect, Collected};

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

/// Nobody can change what is in memory.
struct Memory(Collected);

impl Outside for Memory {
    fn damage(&self, _: &Pending, _: Damage) -> Option<Box<dyn FnOnce()>> {
        None
    }

    fn everything(&self) -> Vec<String> {
        row_texts(&self.0.batches("node"))
    }

    fn unfinished(&self) -> usize {
        self.0.unfinished()
    }
}

#[tokio::test]
async fn recovers_while_its_memory_lasts() {
    let rows = all_types(AllTypes { rows: 7, seed: 1, binary: true, empty_texts: true });
    let (_, collected) = Collect::new();
    let (sink, stranger) = (collected.sink("node"), collected.sink("another"));
    let visible = || collected.batches("node");
    let case = SinkCase { sink: &sink, rows: &rows, visible: &visible, rolls: false };
    assert_eq!(sink_recovers(case, &stranger, &Memory(collected.clone())).await, Ok(()));
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
