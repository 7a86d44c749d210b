//! A source that gives what it is told to, when it is told to: what stands in for a pipeline's own sources in a case.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use stygian_api::{ConnectorError, Decoder, Fetched, Source, Split, SplitProgress, SplitReader};
use stygian_core::{EventTime, Offset, SplitId};
use tokio::sync::mpsc;

/// What the source is to give next.
pub(crate) enum Line {
    Rows(RecordBatch),
    Watermark(EventTime),
}

/// A source with one split, which ends when nobody can tell it anything any more.
pub(crate) struct Script {
    schema: SchemaRef,
    lines: Mutex<Option<mpsc::Receiver<Line>>>,
}

impl Script {
    /// A source of such rows, and where to tell it what to give.
    pub(crate) fn new(schema: SchemaRef) -> (Self, mpsc::Sender<Line>) {
        let (to, lines) = mpsc::channel(1);
        (Self { schema, lines: Mutex::new(Some(lines)) }, to)
    }
}

#[async_trait]
impl Source for Script {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn bounded(&self) -> bool {
        true
    }

    fn new_splits_every(&self) -> Option<Duration> {
        None
    }

    async fn restore(&self, _: &[SplitProgress]) -> Result<(), ConnectorError> {
        Ok(())
    }

    async fn splits(&self) -> Result<Vec<Split>, ConnectorError> {
        Ok(vec![Split { id: SplitId::new("given"), bytes: None }])
    }

    async fn open(&self, _: &SplitId, _: Offset) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner).take();
        let lines = lines.ok_or_else(|| ConnectorError::io("open", "the given rows", "they are read already"))?;
        Ok(Box::new(ScriptReader { lines, rest: None, read: 0 }))
    }

    fn decoder(&self) -> Option<Box<dyn Decoder>> {
        None
    }
}

struct ScriptReader {
    lines: mpsc::Receiver<Line>,
    /// Rows that were more than was asked for.
    rest: Option<RecordBatch>,
    read: u64,
}

#[async_trait]
impl SplitReader for ScriptReader {
    /// Waits as long as it takes: nothing but the case says when it goes on.
    async fn fetch(&mut self, rows: usize) -> Result<Fetched, ConnectorError> {
        let batch = match self.rest.take() {
            Some(rest) => rest,
            None => match self.lines.recv().await {
                Some(Line::Rows(batch)) => batch,
                Some(Line::Watermark(watermark)) => return Ok(Fetched::Watermark(watermark)),
                None => return Ok(Fetched::End),
            },
        };
        let count = batch.num_rows().min(rows.max(1));
        if count < batch.num_rows() {
            self.rest = Some(batch.slice(count, batch.num_rows() - count));
        }
        self.read += count as u64;
        Ok(Fetched::Rows { rows: batch.slice(0, count), next: Offset(self.read) })
    }
}
