//! What a job counts: one set of counters a node and subtask, written per batch, read by whoever shows them. All metric names are here.

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use stygian_checkpoint::Manifest;
use stygian_core::{CheckpointId, EventTime, OperatorId};
use stygian_state::StateSize;

/// The counters of one subtask of a node. They only grow, but for the watermark's start and what tells of the state.
#[derive(Debug)]
pub struct Counters {
    rows_in: AtomicU64,
    rows_out: AtomicU64,
    dead_letters: AtomicU64,
    late_rows: AtomicU64,
    poison_rows: AtomicU64,
    retried_calls: AtomicU64,
    repeated_rows: AtomicU64,
    state_keys: AtomicU64,
    state_bytes: AtomicU64,
    timers: AtomicU64,
    /// Rows to read behind what was fetched; -1: not known.
    behind: AtomicI64,
    watermark: AtomicI64,
    first_dead_letter: OnceLock<String>,
    first_poison: OnceLock<String>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            rows_in: AtomicU64::new(0),
            rows_out: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            late_rows: AtomicU64::new(0),
            poison_rows: AtomicU64::new(0),
            retried_calls: AtomicU64::new(0),
            repeated_rows: AtomicU64::new(0),
            state_keys: AtomicU64::new(0),
            state_bytes: AtomicU64::new(0),
            timers: AtomicU64::new(0),
            behind: AtomicI64::new(-1),
            watermark: AtomicI64::new(EventTime::MIN.micros()),
            first_dead_letter: OnceLock::new(),
            first_poison: OnceLock::new(),
        }
    }
}

impl Counters {
    /// Rows that came.
    pub fn add_rows_in(&self, rows: usize) {
        self.rows_in.fetch_add(rows as u64, Relaxed);
    }

    /// Rows passed on, over all outputs but the dead letters.
    pub fn add_rows_out(&self, rows: usize) {
        self.rows_out.fetch_add(rows as u64, Relaxed);
    }

    /// Rows that went to the dead letters; `sample` makes a text of the first one, for people.
    pub fn add_dead_letters(&self, rows: usize, sample: impl FnOnce() -> String) {
        if rows > 0 {
            self.dead_letters.fetch_add(rows as u64, Relaxed);
            self.first_dead_letter.get_or_init(sample);
        }
    }

    /// Rows that came too late for their windows.
    pub fn add_late_rows(&self, rows: usize) {
        self.late_rows.fetch_add(rows as u64, Relaxed);
    }

    /// Rows that were given up because a plugin fails on them; `sample` makes a text of the first one, for people. Whether it was.
    pub fn add_poison_rows(&self, rows: usize, sample: impl FnOnce() -> String) -> bool {
        let first = self.poison_rows.fetch_add(rows as u64, Relaxed) == 0;
        self.first_poison.get_or_init(sample);
        first
    }

    /// A call into a plugin that was made again with rows of a failed one.
    pub fn add_retried_call(&self) {
        self.retried_calls.fetch_add(1, Relaxed);
    }

    /// Rows that were dropped because they repeat another one.
    pub fn add_repeated_rows(&self, rows: usize) {
        self.repeated_rows.fetch_add(rows as u64, Relaxed);
    }

    /// What the state holds now, and how many timers wait.
    pub fn set_state(&self, size: StateSize, timers: usize) {
        self.state_keys.store(size.keys, Relaxed);
        self.state_bytes.store(size.bytes.0, Relaxed);
        self.timers.store(timers as u64, Relaxed);
    }

    /// How many rows there are to read behind what was fetched.
    pub(crate) fn set_behind(&self, rows: Option<u64>) {
        self.behind.store(rows.map_or(-1, |rows| i64::try_from(rows).unwrap_or(i64::MAX)), Relaxed);
    }

    pub(crate) fn set_watermark(&self, watermark: EventTime) {
        self.watermark.store(watermark.micros(), Relaxed);
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Reads.
    Source,
    /// Works.
    Operator,
    /// Writes.
    Sink,
}

impl NodeKind {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Operator => "operator",
            Self::Sink => "sink",
        }
    }
}

#[derive(Debug)]
struct NodeMetrics {
    node: OperatorId,
    kind: NodeKind,
    subtasks: Vec<Arc<Counters>>,
}

/// All counters of a job. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    nodes: Arc<OnceLock<Vec<NodeMetrics>>>,
    checkpoints: CheckpointCounters,
}

/// What has become of a run's checkpoints, over all starts of the job that are given the same ones. Cheap to clone; locked once a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct CheckpointCounters(Arc<Mutex<CheckpointSnapshot>>);

/// A run's checkpoints at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointSnapshot {
    /// Those that this run has committed.
    pub committed: u64,
    /// Those that were given up.
    pub failed: u64,
    /// The last one that was committed by this run.
    pub last: Option<CommittedCheckpoint>,
}

/// A checkpoint that was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittedCheckpoint {
    /// Its id.
    pub id: CheckpointId,
    /// From its barriers, or its beginning at the end of the input, to its commit.
    pub duration: Duration,
    /// Bytes of state that were written for it.
    pub bytes: u64,
    /// Bytes of state that it needs, also of files that earlier ones have written.
    pub needed_bytes: u64,
    /// When, by the wall clock, in microseconds since 1970.
    pub at_micros: i64,
}

impl CheckpointCounters {
    fn with<T>(&self, change: impl FnOnce(&mut CheckpointSnapshot) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn failed(&self) {
        self.with(|told| told.failed += 1);
    }

    pub(crate) fn committed(&self, duration: Duration, before: &Manifest, committed: &Manifest) {
        let needed = |manifest: &Manifest| manifest.files.values().map(|facts| facts.bytes).sum();
        let new = committed.files.iter().filter(|(name, _)| !before.files.contains_key(*name));
        let (bytes, needed_bytes) = (new.map(|(_, facts)| facts.bytes).sum(), needed(committed));
        let (id, at_micros) = (committed.id, committed.created_micros);
        self.with(|told| {
            told.committed += 1;
            told.last = Some(CommittedCheckpoint { id, duration, bytes, needed_bytes, at_micros });
        });
    }
}

/// A node's counters at one moment, over all subtasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSnapshot {
    /// The node.
    pub node: OperatorId,
    /// What it is.
    pub kind: NodeKind,
    /// Rows that came.
    pub rows_in: u64,
    /// Rows passed on.
    pub rows_out: u64,
    /// Rows that went to the dead letters.
    pub dead_letters: u64,
    /// Rows that came too late for their windows.
    pub late_rows: u64,
    /// Rows that were given up because a plugin fails on them; where they went to the dead letters, they are counted there too.
    pub poison_rows: u64,
    /// Calls into a plugin that were made again to find such rows.
    pub retried_calls: u64,
    /// Rows that were dropped because they repeat another one.
    pub repeated_rows: u64,
    /// Keys that have state.
    pub state_keys: u64,
    /// Bytes that their state takes.
    pub state_bytes: u64,
    /// Timers that wait.
    pub timers: u64,
    /// Rows there are to read behind what a source has fetched, over the subtasks that know it; `None`: none does.
    pub behind: Option<u64>,
    /// The least watermark of its subtasks.
    pub watermark: EventTime,
    /// A dead letter's reason, the first of some subtask.
    pub first_dead_letter: Option<String>,
    /// Why a row was given up, the first of some subtask.
    pub first_poison: Option<String>,
}

/// Collects the counters while a job is wired.
#[derive(Default)]
pub(crate) struct MetricsBuilder(Vec<NodeMetrics>);

impl MetricsBuilder {
    /// Counters for a new subtask of a node.
    pub(crate) fn subtask(&mut self, node: &OperatorId, kind: NodeKind) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        match self.0.iter_mut().find(|metrics| metrics.node == *node && metrics.kind == kind) {
            Some(metrics) => metrics.subtasks.push(counters.clone()),
            None => self.0.push(NodeMetrics { node: node.clone(), kind, subtasks: vec![counters.clone()] }),
        }
        counters
    }

    pub(crate) fn finish(self, checkpoints: CheckpointCounters) -> Metrics {
        Metrics { nodes: Arc::new(OnceLock::from(self.0)), checkpoints }
    }
}

impl Metrics {
    /// The counters now, in the order of the nodes in the job.
    pub fn snapshot(&self) -> Vec<NodeSnapshot> {
        self.nodes.get().into_iter().flatten().map(NodeMetrics::snapshot).collect()
    }

    /// What has become of the run's checkpoints; all zero where it makes none.
    pub fn checkpoint_snapshot(&self) -> CheckpointSnapshot {
        self.checkpoints.with(|told| *told)
    }

    pub(crate) fn checkpoints(&self) -> CheckpointCounters {
        self.checkpoints.clone()
    }
}

impl NodeMetrics {
    fn snapshot(&self) -> NodeSnapshot {
        let sum = |counter: fn(&Counters) -> &AtomicU64| self.subtasks.iter().map(|counters| counter(counters).load(Relaxed)).sum();
        let watermark = self.subtasks.iter().map(|counters| counters.watermark.load(Relaxed)).min();
        let behind = self.subtasks.iter().filter_map(|counters| u64::try_from(counters.behind.load(Relaxed)).ok());
        NodeSnapshot {
            behind: behind.reduce(u64::saturating_add),
            node: self.node.clone(),
            kind: self.kind,
            rows_in: sum(|counters| &counters.rows_in),
            rows_out: sum(|counters| &counters.rows_out),
            dead_letters: sum(|counters| &counters.dead_letters),
            late_rows: sum(|counters| &counters.late_rows),
            poison_rows: sum(|counters| &counters.poison_rows),
            retried_calls: sum(|counters| &counters.retried_calls),
            repeated_rows: sum(|counters| &counters.repeated_rows),
            state_keys: sum(|counters| &counters.state_keys),
            state_bytes: sum(|counters| &counters.state_bytes),
            timers: sum(|counters| &counters.timers),
            watermark: watermark.map_or(EventTime::MIN, EventTime::from_micros),
            first_dead_letter: self.subtasks.iter().find_map(|counters| counters.first_dead_letter.get().cloned()),
            first_poison: self.subtasks.iter().find_map(|counters| counters.first_poison.get().cloned()),
        }
    }
}

impl prometheus_client::collector::Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let nodes = self.snapshot();
        counter(&mut encoder, "stygian_rows_in", "Rows that came to a node", &nodes, |node| node.rows_in)?;
        counter(&mut encoder, "stygian_rows_out", "Rows that a node passed on", &nodes, |node| node.rows_out)?;
        counter(&mut encoder, "stygian_dead_letters", "Rows that a node could not process", &nodes, |node| node.dead_letters)?;
        counter(&mut encoder, "stygian_late_rows", "Rows that came too late for their windows", &nodes, |node| node.late_rows)?;
        counter(&mut encoder, "stygian_poison_rows", "Rows given up because a plugin fails on them", &nodes, |node| node.poison_rows)?;
        counter(&mut encoder, "stygian_retried_calls", "Calls of plugins made again to find such rows", &nodes, |node| node.retried_calls)?;
        counter(&mut encoder, "stygian_repeated_rows", "Rows dropped because they repeat another one", &nodes, |node| node.repeated_rows)?;
        gauge(&mut encoder, "stygian_state_keys", "Keys that a node keeps state of", &nodes, |node| node.state_keys)?;
        gauge(&mut encoder, "stygian_state_bytes", "Bytes of a node's state", &nodes, |node| node.state_bytes)?;
        gauge(&mut encoder, "stygian_timers", "Timers of a node that wait", &nodes, |node| node.timers)?;
        let mut metric =
            encoder.encode_descriptor("stygian_lag_rows", "Rows there are that a source has not fetched", None, MetricType::Gauge)?;
        for (node, behind) in nodes.iter().filter_map(|node| Some((node, node.behind?))) {
            encode(&mut metric, node, &ConstGauge::new(behind))?;
        }
        let mut metric =
            encoder.encode_descriptor("stygian_watermark_seconds", "A node's watermark in event time", None, MetricType::Gauge)?;
        for node in nodes.iter().filter(|node| node.watermark != EventTime::MIN && node.watermark != EventTime::MAX) {
            #[allow(clippy::cast_precision_loss)] // microseconds of this millennium fit
            let seconds = ConstGauge::new(node.watermark.micros() as f64 / 1e6);
            encode(&mut metric, node, &seconds)?;
        }
        encode_checkpoints(&mut encoder, &self.checkpoint_snapshot())
    }
}

fn encode_checkpoints(encoder: &mut DescriptorEncoder<'_>, told: &CheckpointSnapshot) -> Result<(), std::fmt::Error> {
    let mut count =
        |name, help, count: u64| ConstCounter::new(count).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?);
    count("stygian_checkpoints_committed", "Checkpoints that this run has committed", told.committed)?;
    count("stygian_checkpoints_failed", "Checkpoints that this run has given up", told.failed)?;
    let Some(last) = &told.last else { return Ok(()) };
    let mut gauge =
        |name, help, value: f64| ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?);
    #[allow(clippy::cast_precision_loss)] // far from 2^53
    let (id, bytes, needed, at) = (last.id.0 as f64, last.bytes as f64, last.needed_bytes as f64, last.at_micros as f64 / 1e6);
    gauge("stygian_checkpoint_id", "Id of the last committed checkpoint", id)?;
    gauge(
        "stygian_checkpoint_seconds",
        "Time from the beginning of the last committed checkpoint to its commit",
        last.duration.as_secs_f64(),
    )?;
    gauge("stygian_checkpoint_bytes", "Bytes of state written for the last committed checkpoint", bytes)?;
    gauge("stygian_checkpoint_needed_bytes", "Bytes of state that the last committed checkpoint needs", needed)?;
    gauge("stygian_checkpoint_time_seconds", "When the last committed checkpoint was put together, since 1970", at)
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    nodes: &[NodeSnapshot],
    value: fn(&NodeSnapshot) -> u64,
) -> Result<(), std::fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    nodes.iter().try_for_each(|node| encode(&mut metric, node, &ConstCounter::new(value(node))))
}

/// What only nodes with state have.
fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    nodes: &[NodeSnapshot],
    value: fn(&NodeSnapshot) -> u64,
) -> Result<(), std::fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    nodes.iter().filter(|node| value(node) > 0).try_for_each(|node| encode(&mut metric, node, &ConstGauge::new(value(node))))
}

fn encode(metric: &mut MetricEncoder<'_>, node: &NodeSnapshot, value: &impl EncodeMetric) -> Result<(), std::fmt::Error> {
    value.encode(metric.encode_family(&[("node", node.node.as_str()), ("kind", node.kind.name())])?)
}
