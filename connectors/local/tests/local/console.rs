//! The table on the terminal.

use crate::{context, told};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use stygian_api::conformance::sink_has_nothing_to_recover;
use stygian_api::{Connector, Options, Sink, SinkContext, SinkWriter};
use stygian_core::{StreamSchema, SubtaskId};
use stygian_local::Console;

fn rows(users: &[Option<&str>]) -> RecordBatch {
    let names: ArrayRef = Arc::new(StringArray::from(users.to_vec()));
    let amounts: ArrayRef = Arc::new(Float64Array::from((0..users.len()).map(|n| n as f64 / 2.0).collect::<Vec<_>>()));
    RecordBatch::try_from_iter([("user", names), ("amount", amounts)]).expect("rows")
}

async fn sink(console: &Console, options: &str) -> Arc<dyn Sink> {
    let schema = StreamSchema::append(rows(&[]).schema());
    console.sink(&Options::of_text(options), &context(), &schema).await.expect("a sink")
}

async fn writer(sink: &dyn Sink, subtask: u16) -> Box<dyn SinkWriter> {
    sink.open(SinkContext { job: "job".into(), subtask: SubtaskId(subtask), attempt: "1".into(), transactional: false })
        .await
        .expect("a writer")
}

fn shown(out: &Arc<Mutex<Vec<u8>>>) -> String {
    String::from_utf8(std::mem::take(&mut *out.lock().expect("a lock"))).expect("text")
}

#[tokio::test]
async fn shows_the_first_rows_and_how_many_more() {
    let out = Arc::new(Mutex::new(Vec::new()));
    let sink = sink(&Console::new(out.clone()), "rows = 3").await;
    let (mut one, mut two) = (writer(&*sink, 0).await, writer(&*sink, 1).await);
    one.write(rows(&[Some("a\u{1b}[31m\n"), None])).await.expect("written");
    two.write(rows(&[Some("b"), Some("c"), Some("d")])).await.expect("written");
    assert_eq!(shown(&out), "");
    assert_eq!(one.pre_commit().await.expect("shown"), []);
    let expected = "\
┌───────────────┬────────┐
│ user          ┆ amount │
╞═══════════════╪════════╡
│ a\\u{1b}[31m\\n ┆ 0.0    │
│ null          ┆ 0.5    │
│ b             ┆ 0.0    │
└───────────────┴────────┘
... and 2 more rows
";
    assert_eq!(shown(&out), expected);
    assert_eq!(two.pre_commit().await.expect("nothing left"), []);
    assert_eq!(shown(&out), "");
    one.write(rows(&[Some("e")])).await.expect("written");
    one.tick().await.expect("shown");
    let table = shown(&out);
    assert!(table.contains(" e ") && !table.contains("more row"), "{table}");
}

#[tokio::test]
async fn has_nothing_to_recover() {
    let sink = sink(&Console::new(Arc::new(Mutex::new(Vec::new()))), "").await;
    assert_eq!(sink_has_nothing_to_recover(&*sink).await, Ok(()));
}

struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_terminal_that_is_gone_is_an_error() {
    let sink = sink(&Console::new(Arc::new(Mutex::new(Broken))), "").await;
    let mut writer = writer(&*sink, 0).await;
    writer.write(rows(&[Some("a")])).await.expect("written");
    assert_eq!(told(&writer.tick().await.expect_err("gone")), "could not write the console: broken pipe");
}

#[tokio::test]
async fn says_what_is_wrong_with_its_options() {
    let console = Console::new(Arc::new(Mutex::new(Vec::new())));
    let schema = StreamSchema::append(rows(&[]).schema());
    let problem =
        async |options: &str| console.sink(&Options::of_text(options), &context(), &schema).await.err().expect("wrong").to_string();
    assert_eq!(problem("rows = 0").await, "at least one row has to be shown");
    assert_eq!(problem("row = 1").await, "unknown key `row`");
}
