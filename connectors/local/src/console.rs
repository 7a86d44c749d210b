//! The sink `console`: a table of the first rows, for people to look at.
//!
//! It shows rows as they come, at most about once a second, and what is left at a commit: it is not transactional, and a job that is
//! run again shows rows again.

use crate::console_table::WaitingRows;
use arrow_array::RecordBatch;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use stygian_api::{
    Accepts, CommitPoint, Committer, Connector, ConnectorContext, ConnectorError, Options, OptionsDoc, Pending, Problems, Sink,
    SinkContext, SinkWriter, Source,
};
use stygian_core::StreamSchema;

/// Where the tables go; shared with whoever else writes there.
pub type SharedOutput = Arc<Mutex<dyn Write + Send>>;

/// Options of a sink of kind `console`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConsoleOptions {
    /// The most rows in one table; of the others only their number is shown. Default: 20.
    #[schemars(range(min = 1))]
    pub rows: usize,
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        Self { rows: 20 }
    }
}

/// The connector `console`.
#[derive(Clone)]
pub struct Console {
    out: SharedOutput,
}

impl Console {
    /// One that writes its tables to `out`.
    pub fn new(out: SharedOutput) -> Self {
        Self { out }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console")
    }
}

#[async_trait]
impl Connector for Console {
    fn name(&self) -> &'static str {
        "console"
    }

    fn about(&self) -> &'static str {
        "A table of the first rows on the terminal."
    }

    fn source_options(&self) -> Option<OptionsDoc> {
        None
    }

    fn sink_options(&self) -> Option<OptionsDoc> {
        Some(schemars::schema_for!(ConsoleOptions))
    }

    async fn source(&self, options: &Options, _: &ConnectorContext) -> Result<Arc<dyn Source>, Problems> {
        Err(options.problem("connector", "`console` is a sink and no source").into())
    }

    async fn sink(&self, options: &Options, _: &ConnectorContext, _: &StreamSchema) -> Result<Arc<dyn Sink>, Problems> {
        let read: ConsoleOptions = options.read()?;
        if read.rows == 0 {
            return Err(options.problem("rows", "at least one row has to be shown").into());
        }
        let waiting = Arc::new(Mutex::new(WaitingRows::new(read.rows)));
        Ok(Arc::new(ConsoleSink { out: self.out.clone(), waiting }))
    }
}

/// One table for all subtasks.
#[derive(Clone)]
struct ConsoleSink {
    out: SharedOutput,
    waiting: Arc<Mutex<WaitingRows>>,
}

impl ConsoleSink {
    fn show(&self) -> Result<(), ConnectorError> {
        let text = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(text) = text.map_err(failed)? else { return Ok(()) };
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(failed)
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectorError {
    ConnectorError::io("write", "the console", error)
}

#[async_trait]
impl Sink for ConsoleSink {
    fn accepts(&self) -> Accepts {
        Accepts::Changelog
    }

    async fn open(&self, _: SinkContext) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(self.clone()))
    }

    fn committer(&self) -> Box<dyn Committer> {
        Box::new(NothingToCommit)
    }

    fn commit_point(&self) -> Option<Arc<dyn CommitPoint>> {
        None
    }
}

#[async_trait]
impl SinkWriter for ConsoleSink {
    async fn write(&mut self, rows: RecordBatch) -> Result<(), ConnectorError> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(&rows);
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), ConnectorError> {
        self.show()
    }

    fn take_pending(&mut self) -> Vec<Pending> {
        Vec::new()
    }

    async fn pre_commit(&mut self) -> Result<Vec<Pending>, ConnectorError> {
        self.show()?;
        Ok(Vec::new())
    }
}

/// What was shown was shown: nothing waits, and nothing is left behind.
struct NothingToCommit;

#[async_trait]
impl Committer for NothingToCommit {
    async fn commit(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        match pending.first() {
            None => Ok(()),
            Some(pending) => {
                let reason = format!("nothing is known of {}", stygian_core::escape(&pending.0.to_string(), 100));
                Err(ConnectorError::refused("console", reason, "go on with the sink that the checkpoint was made with"))
            }
        }
    }

    async fn check(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        self.commit(pending).await
    }

    async fn recover(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        self.commit(pending).await
    }
}
