//! The latency of rows through source, plugin and sink at 10,000 rows a second, alone and beside a chain whose plugin never returns.
//!
//! `bench-latency STYGIAN PLUGINS CACHE SECONDS`. A row's latency is from when the source made it to when the sink's writer has it. The
//! hostile neighbour is a chain of the same job with one subtask, whose every call into the sandbox spins until its limit ends it; rows of
//! such a call are given up, so that the next call follows at once.

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use hdrhistogram::Histogram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use stygian_api::{ConnectorError, Decoder, Fetched, Source, Split, SplitProgress, SplitReader};
use stygian_bench::{plugin, sandbox, tell};
use stygian_core::{Offset, OperatorId, Parallelism, SplitId, StreamSchema};
use stygian_engine::operators::{PluginOperator, PluginOptions};
use stygian_engine::{
    CallContext, EngineSettings, Head, Job, JobSpec, Keeps, Operator, OperatorError, OutletSpec, Output, Runtimes, SourceSpec, StageSpec,
    Stop, SubtaskContext, SystemClock, Target, TaskSpec,
};
use stygian_local::CollectSink;
use stygian_sandbox::{Limits, Plugin, Situation};

const ROWS_PER_SECOND: u64 = 10_000;

/// Rows that carry the time they were made at, in seconds since the start.
struct Paced {
    start: Instant,
    seconds: u64,
}

fn batch(start: Instant, rows: usize) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let now = start.elapsed().as_secs_f64();
    let columns: [(&str, ArrayRef); 3] = [
        ("value", Arc::new(Float64Array::from(vec![now; rows]))),
        ("weight", Arc::new(Int64Array::from(vec![1; rows]))),
        ("name", Arc::new(StringArray::from(vec!["user-00000000012"; rows]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, false)))
}

#[async_trait]
impl Source for Paced {
    fn schema(&self) -> SchemaRef {
        batch(self.start, 1).map_or_else(|_| Arc::new(arrow_schema::Schema::empty()), |rows| rows.schema())
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
        Ok(vec![Split { id: SplitId::new("rows"), bytes: None }])
    }

    async fn open(&self, _split: &SplitId, _from: Offset) -> Result<Box<dyn SplitReader>, ConnectorError> {
        Ok(Box::new(PacedReader { start: self.start, opened: Instant::now(), made: 0, all: self.seconds * ROWS_PER_SECOND }))
    }

    fn decoder(&self) -> Option<Box<dyn Decoder>> {
        None
    }
}

struct PacedReader {
    start: Instant,
    opened: Instant,
    made: u64,
    all: u64,
}

#[async_trait]
impl SplitReader for PacedReader {
    async fn fetch(&mut self, rows: usize) -> Result<Fetched, ConnectorError> {
        if self.made >= self.all {
            return Ok(Fetched::End);
        }
        // A row every 100 us; the timer is not finer than a millisecond, so about ten at a time.
        tokio::time::sleep(Duration::from_millis(1)).await;
        #[allow(clippy::cast_possible_truncation)] // seconds of a benchmark
        let due = (self.opened.elapsed().as_micros() as u64 * ROWS_PER_SECOND / 1_000_000).min(self.all);
        let count = usize::try_from(due.saturating_sub(self.made)).unwrap_or(rows).min(rows);
        if count == 0 {
            return Ok(Fetched::Nothing);
        }
        self.made += count as u64;
        let rows = batch(self.start, count).map_err(|error| ConnectorError::io("make", "rows", error))?;
        Ok(Fetched::Rows { rows, next: Offset(self.made) })
    }
}

/// A sink that notes how old rows are when they are written.
fn clocked(start: Instant, micros: &Arc<Mutex<Histogram<u64>>>) -> CollectSink {
    let micros = micros.clone();
    CollectSink::default().before_write(move |rows| {
        let now = start.elapsed().as_secs_f64();
        let mut micros = micros.lock().unwrap_or_else(PoisonError::into_inner);
        for made in rows.column(0).as_primitive::<Float64Type>().values() {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // microseconds of a benchmark
            micros.saturating_record(((now - made).max(0.0) * 1e6) as u64);
        }
        std::future::ready(Ok(()))
    })
}

/// An operator whose calls that run out of time are counted and forgotten.
struct Forgiving {
    operator: PluginOperator,
    timeouts: Arc<AtomicU64>,
}

impl Operator for Forgiving {
    fn process(&mut self, rows: RecordBatch, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        match self.operator.process(rows, context, out) {
            Err(OperatorError::Poison { call, .. }) if matches!(call.situation, Situation::Timeout { .. }) => {
                self.timeouts.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            other => other,
        }
    }
}

/// Source, plugin and sink in one chain with one subtask.
fn chain(name: &str, source: Paced, plugin: &Plugin, sink: CollectSink, timeouts: &Arc<AtomicU64>) -> TaskSpec {
    let head = Head::Source(SourceSpec {
        node: OperatorId::new(format!("{name}-rows")),
        schema: StreamSchema::append(source.schema()),
        source: Arc::new(source),
        disorder: Duration::ZERO,
        idle_after: None,
        rows: vec![Target::Stage(0)],
        dead_letters: Vec::new(),
    });
    let (plugin, timeouts) = (plugin.clone(), timeouts.clone());
    let build = move |context: &SubtaskContext| -> Result<Box<dyn Operator>, OperatorError> {
        let schema = batch(Instant::now(), 1)?.schema();
        let operator = plugin.operator(context.node.as_str(), "{}", &schema)?;
        let operator = PluginOperator::new(context, operator, vec![schema], PluginOptions::default());
        Ok(Box::new(Forgiving { operator, timeouts: timeouts.clone() }))
    };
    let stage = StageSpec {
        node: OperatorId::new(name),
        operator: Arc::new(build),
        outputs: vec![vec![Target::Outlet(0)]],
        keeps: Keeps::default(),
    };
    let outlets = vec![OutletSpec::Sink { node: OperatorId::new(format!("{name}-out")), sink: Arc::new(sink) }];
    TaskSpec { name: name.to_owned(), parallelism: Parallelism::ONE, head, stages: vec![stage], outlets }
}

/// What one run showed.
struct Measured {
    micros: Histogram<u64>,
    /// Calls of the neighbour that ran into their limit.
    timeouts: u64,
}

impl Measured {
    #[allow(clippy::cast_precision_loss)] // microseconds of a benchmark
    fn millis(&self, quantile: f64) -> f64 {
        self.micros.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// Runs rows through `plugin` for some seconds, beside a chain of `neighbour`.
fn measure(runtimes: &Runtimes, seconds: u64, plugin: &Plugin, neighbour: Option<&Plugin>) -> Result<Measured> {
    let (start, timeouts) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let micros = Arc::new(Mutex::new(Histogram::new(3)?));
    let mut tasks = vec![chain("measured", Paced { start, seconds }, plugin, clocked(start, &micros), &timeouts)];
    if let Some(neighbour) = neighbour {
        // The rows it takes in are worked off in a few calls, each of which takes as long as it may.
        tasks.push(chain("hostile", Paced { start, seconds }, neighbour, CollectSink::default(), &timeouts));
    }
    let (name, attempt, clock) = ("latency".to_owned(), "1".to_owned(), Arc::new(SystemClock));
    let job = JobSpec { name, attempt, settings: EngineSettings::default(), clock, tasks, checkpoints: None };
    runtimes.io().block_on(async {
        let job = Job::start(job, runtimes, &Stop::default()).await?;
        let metrics = job.metrics();
        let ended = tokio::spawn(job.finish());
        let written =
            || metrics.snapshot().iter().filter(|node| node.node.as_str() == "measured-out").map(|node| node.rows_in).sum::<u64>();
        while written() < seconds * ROWS_PER_SECOND && !ended.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if ended.is_finished() {
            let ended = ended.await?;
            anyhow::ensure!(written() == seconds * ROWS_PER_SECOND, "the job ended early: {ended:?}");
        } else {
            // The neighbour is left to itself: its calls would take long to work off.
            ended.abort();
        }
        anyhow::Ok(())
    })?;
    let micros = micros.lock().unwrap_or_else(PoisonError::into_inner).clone();
    anyhow::ensure!(micros.len() == seconds * ROWS_PER_SECOND, "only {} rows arrived", micros.len());
    Ok(Measured { micros, timeouts: timeouts.load(Ordering::Relaxed) })
}

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [stygian, folder, cache, seconds] = args.as_slice() else { anyhow::bail!("see the file's head for the arguments") };
    let seconds: u64 = seconds.to_str().context("seconds")?.parse()?;
    let sandbox = sandbox(stygian, cache)?;
    let (half, spins) = (plugin(&sandbox, folder, "bench-half")?, plugin(&sandbox, folder, "bench-spins")?);
    let runtimes = Runtimes::new(std::thread::available_parallelism()?.get())?;
    let alone = measure(&runtimes, seconds, &half, None)?;
    let beside = measure(&runtimes, seconds, &half, Some(&spins))?;
    runtimes.leave();
    anyhow::ensure!(beside.timeouts > 0, "no call of the hostile plugin ran into its limit");
    let limit = Limits::default().call_cpu.0.as_secs_f64() * 1000.0;
    tell(&serde_json::json!({
        "figure": "latency through source, plugin and sink", "rows": alone.micros.len(), "p50_ms": alone.millis(0.5), "p99_ms": alone.millis(0.99),
        "max_ms": alone.millis(1.0), "aim_p99_ms": 30.0,
    }))?;
    tell(&serde_json::json!({
        "figure": "latency beside a hostile plugin in another chain", "rows": beside.micros.len(), "hostile_calls_ended_by_their_limit": beside.timeouts,
        "p50_ms": beside.millis(0.5), "p99_ms": beside.millis(0.99), "p99_ms_alone": alone.millis(0.99), "max_ms": beside.millis(1.0),
        "p99_higher_by_ms": beside.millis(0.99) - alone.millis(0.99), "at_most": limit,
    }))
}
