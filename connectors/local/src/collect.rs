//! The sink `collect`: keeps what it is given in memory, for tests. Rows are visible when they are committed, not before, and once. What is
//! kept outlives jobs and their crashes as long as its [`Collected`] does, but no process.
//!
//! Whoever tests something else than connectors takes a [`CollectSink`] as it is, and can have it wait or fail at every write.

use arrow_array::RecordBatch;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stygian_api::{
    Accepts, CommitPoint, Committer, Connector, ConnectorContext, ConnectorError, Options, OptionsDoc, Orphan, Pending, Problems, Sink,
    SinkContext, SinkWriter, Source,
};
use stygian_core::StreamSchema;

/// Options of a sink of kind `collect`: none.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectOptions {}

/// The connector `collect`. All its sinks report to one [`Collected`].
#[derive(Clone, Debug, Default)]
pub struct Collect {
    collected: Collected,
}

impl Collect {
    /// A connector and what its sinks will have collected.
    pub fn new() -> (Self, Collected) {
        let collected = Collected::default();
        (Self { collected: collected.clone() }, collected)
    }
}

/// What sinks have collected. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Collected(Arc<Mutex<Store>>);

/// Rows that were finished.
#[derive(Debug)]
struct Finished {
    job: String,
    node: String,
    rows: Vec<RecordBatch>,
}

#[derive(Debug, Default)]
struct Store {
    /// Finished but not committed.
    finished: BTreeMap<u64, Finished>,
    committed: BTreeSet<u64>,
    next: u64,
    /// By node.
    visible: BTreeMap<String, Vec<RecordBatch>>,
}

impl Collected {
    /// The committed rows of a node, in the order of commits.
    pub fn batches(&self, node: &str) -> Vec<RecordBatch> {
        self.store().visible.get(node).cloned().unwrap_or_default()
    }

    /// How many rows of a node are committed.
    pub fn rows(&self, node: &str) -> usize {
        self.batches(node).iter().map(RecordBatch::num_rows).sum()
    }

    /// A sink whose rows are found here under the name `node`.
    pub fn sink(&self, node: &str) -> CollectSink {
        CollectSink { node: node.to_owned(), collected: self.clone(), before_write: None }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many times rows were finished and are neither committed nor cleaned away.
    pub fn unfinished(&self) -> usize {
        self.store().finished.len()
    }

    fn finish(&self, finished: Finished) -> Pending {
        let mut store = self.store();
        let id = store.next;
        store.next += 1;
        store.finished.insert(id, finished);
        Pending(serde_json::json!({ "collected": id }))
    }

    fn commit(&self, pending: &Pending) -> Result<(), ConnectorError> {
        let mut store = self.store();
        let id = id_of(pending)?;
        if store.committed.contains(&id) {
            return Ok(());
        }
        let Finished { node, rows, .. } = store.finished.remove(&id).ok_or_else(|| unknown(pending))?;
        store.visible.entry(node).or_default().extend(rows);
        store.committed.insert(id);
        Ok(())
    }

    fn orphans(&self, job: &str, node: &str, keep: &[Pending]) -> Result<Vec<Orphan>, ConnectorError> {
        let keep: BTreeSet<u64> = keep.iter().map(id_of).collect::<Result<_, _>>()?;
        let store = self.store();
        let orphans = store.finished.iter().filter(|(id, finished)| finished.job == job && finished.node == node && !keep.contains(id));
        Ok(orphans.map(|(id, _)| Orphan(id.to_string())).collect())
    }

    fn delete(&self, orphans: &[Orphan]) -> usize {
        let mut store = self.store();
        orphans.iter().filter(|orphan| orphan.0.parse().is_ok_and(|id: u64| store.finished.remove(&id).is_some())).count()
    }
}

fn id_of(pending: &Pending) -> Result<u64, ConnectorError> {
    pending.0.get("collected").and_then(serde_json::Value::as_u64).ok_or_else(|| unknown(pending))
}

fn unknown(pending: &Pending) -> ConnectorError {
    let reason = format!("nothing is known of {}", stygian_core::escape(&pending.0.to_string(), 100));
    ConnectorError::refused("collect", reason, "rows that are collected do not outlive their process")
}

#[async_trait]
impl Connector for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn about(&self) -> &'static str {
        "Rows kept in memory, for tests."
    }

    fn source_options(&self) -> Option<OptionsDoc> {
        None
    }

    fn sink_options(&self) -> Option<OptionsDoc> {
        Some(schemars::schema_for!(CollectOptions))
    }

    async fn source(&self, options: &Options, _: &ConnectorContext) -> Result<Arc<dyn Source>, Problems> {
        Err(options.problem("connector", "`collect` is a sink and no source").into())
    }

    async fn sink(&self, options: &Options, context: &ConnectorContext, _: &StreamSchema) -> Result<Arc<dyn Sink>, Problems> {
        options.read::<CollectOptions>()?;
        Ok(Arc::new(self.collected.sink(&context.node)))
    }
}

type BeforeWrite = dyn Fn(&RecordBatch) -> Pin<Box<dyn Future<Output = Result<(), ConnectorError>> + Send>> + Send + Sync;

/// A sink that keeps rows. Cheap to clone; clones share what they keep.
#[derive(Clone, Default)]
pub struct CollectSink {
    node: String,
    collected: Collected,
    before_write: Option<Arc<BeforeWrite>>,
}

impl CollectSink {
    /// The same, which awaits `hook` before it takes rows; they are lost if it fails.
    #[must_use]
    pub fn before_write<F>(mut self, hook: impl Fn(&RecordBatch) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), ConnectorError>> + Send + 'static,
    {
        self.before_write = Some(Arc::new(move |rows| Box::pin(hook(rows))));
        self
    }

    /// The committed rows, in the order of commits.
    pub fn rows(&self) -> Vec<RecordBatch> {
        self.collected.batches(&self.node)
    }
}

impl fmt::Debug for CollectSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectSink").field("node", &self.node).finish_non_exhaustive()
    }
}

#[async_trait]
impl Sink for CollectSink {
    fn accepts(&self) -> Accepts {
        Accepts::Changelog
    }

    async fn open(&self, context: SinkContext) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(CollectWriter { sink: self.clone(), job: context.job, rows: Vec::new() }))
    }

    fn committer(&self) -> Box<dyn Committer> {
        Box::new(CollectCommitter(self.clone()))
    }

    fn commit_point(&self) -> Option<Arc<dyn CommitPoint>> {
        None
    }
}

struct CollectWriter {
    sink: CollectSink,
    job: String,
    rows: Vec<RecordBatch>,
}

#[async_trait]
impl SinkWriter for CollectWriter {
    async fn write(&mut self, rows: RecordBatch) -> Result<(), ConnectorError> {
        if let Some(hook) = &self.sink.before_write {
            hook(&rows).await?;
        }
        self.rows.push(rows);
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn take_pending(&mut self) -> Vec<Pending> {
        Vec::new()
    }

    async fn pre_commit(&mut self) -> Result<Vec<Pending>, ConnectorError> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        let (job, node) = (self.job.clone(), self.sink.node.clone());
        Ok(vec![self.sink.collected.finish(Finished { job, node, rows: std::mem::take(&mut self.rows) })])
    }
}

struct CollectCommitter(CollectSink);

#[async_trait]
impl Committer for CollectCommitter {
    async fn commit(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        pending.iter().try_for_each(|pending| self.0.collected.commit(pending))
    }

    async fn recover(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        self.commit(pending).await
    }

    async fn orphans(&mut self, job: &str, keep: &[Pending]) -> Result<Vec<Orphan>, ConnectorError> {
        self.0.collected.orphans(job, &self.0.node, keep)
    }

    async fn delete_orphans(&mut self, orphans: Vec<Orphan>) -> Result<usize, ConnectorError> {
        Ok(self.0.collected.delete(&orphans))
    }
}
