//! The latency of rows through source, plugin and sink at 10,000 rows a second, alone and beside a job whose plugin spins until its limit.
//!
//! `bench-latency STYGIAN PLUGINS CACHE SECONDS`. A row's latency is from when the source made it to when the sink's writer has it.

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use hdrhistogram::Histogram;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use stygian_api::{
    Accepts, Committer, ConnectorError, Decoder, Fetched, Pending, Sink, SinkContext, SinkWriter, Source, Split, SplitReader,
};
use stygian_bench::{plugin, sandbox, tell};
use stygian_core::{Offset, OperatorId, Parallelism, SplitId, StreamSchema};
use stygian_engine::operators::{PluginOperator, PluginOptions};
use stygian_engine::{
    CallContext, EngineSettings, Head, Job, JobSpec, Operator, OperatorError, OutletSpec, Output, Runtimes, SourceSpec, StageSpec, Stop,
    SubtaskContext, Target, TaskSpec,
};

const ROWS_PER_SECOND: u64 = 10_000;
/// How long the hostile neighbour keeps a compute thread busy at a time: the default limit of a call.
const CALL_LIMIT: Duration = Duration::from_secs(1);

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

/// Notes how old rows are when they are written.
#[derive(Clone)]
struct Clocked {
    start: Instant,
    micros: Arc<Mutex<Histogram<u64>>>,
}

#[async_trait]
impl Sink for Clocked {
    fn accepts(&self) -> Accepts {
        Accepts::Append
    }

    async fn open(&self, _context: SinkContext) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(self.clone()))
    }

    fn committer(&self) -> Box<dyn Committer> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl SinkWriter for Clocked {
    async fn write(&mut self, rows: RecordBatch) -> Result<(), ConnectorError> {
        let now = self.start.elapsed().as_secs_f64();
        let made = rows.column(0).as_primitive::<Float64Type>();
        let mut micros = self.micros.lock().unwrap_or_else(PoisonError::into_inner);
        for made in made.values() {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // microseconds of a benchmark
            micros.saturating_record(((now - made).max(0.0) * 1e6) as u64);
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn take_pending(&mut self) -> Vec<Pending> {
        Vec::new()
    }

    async fn pre_commit(&mut self) -> Result<Vec<Pending>, ConnectorError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Committer for Clocked {
    async fn commit(&mut self, _pending: &[Pending]) -> Result<(), ConnectorError> {
        Ok(())
    }
}

/// As good as a plugin that spins until the limit ends its call: the thread is as busy.
struct Spins;

impl Operator for Spins {
    fn process(&mut self, _rows: RecordBatch, _context: &CallContext, _out: &mut Output) -> Result<(), OperatorError> {
        let start = Instant::now();
        while start.elapsed() < CALL_LIMIT {
            std::hint::spin_loop();
        }
        Ok(())
    }
}

fn job<O: Operator + 'static>(
    start: Instant,
    seconds: u64,
    sink: &Clocked,
    build: impl Fn(&SubtaskContext) -> Result<O, OperatorError> + Send + Sync + 'static,
) -> JobSpec {
    let source = Paced { start, seconds };
    let head = Head::Source(SourceSpec {
        node: OperatorId::new("rows"),
        schema: StreamSchema::append(source.schema()),
        source: Arc::new(source),
        disorder: Duration::ZERO,
        idle_after: None,
        rows: vec![Target::Stage(0)],
        dead_letters: Vec::new(),
    });
    let operator = Arc::new(move |context: &SubtaskContext| build(context).map(|operator| Box::new(operator) as Box<dyn Operator>));
    let stage = StageSpec { node: OperatorId::new("operator"), operator, outputs: vec![vec![Target::Outlet(0)]] };
    let outlets = vec![OutletSpec::Sink { node: OperatorId::new("clock"), sink: Arc::new(sink.clone()) }];
    let task = TaskSpec { name: "all".to_owned(), parallelism: Parallelism::ONE, head, stages: vec![stage], outlets };
    JobSpec { name: "latency".to_owned(), attempt: "1".to_owned(), settings: EngineSettings::default(), tasks: vec![task] }
}

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [stygian, folder, cache, seconds] = args.as_slice() else { anyhow::bail!("see the file's head for the arguments") };
    let seconds: u64 = seconds.to_str().context("seconds")?.parse()?;
    let half = plugin(&sandbox(stygian, cache)?, folder, "bench-half")?;
    let runtimes = Runtimes::new(std::thread::available_parallelism()?.get())?;
    for hostile in [false, true] {
        let start = Instant::now();
        let sink = Clocked { start, micros: Arc::new(Mutex::new(Histogram::new(3)?)) };
        let plugin = half.clone();
        let measured = job(start, seconds, &sink, move |context| {
            let schema = batch(start, 1)?.schema();
            let operator = plugin.operator(context.node.as_str(), "{}", &schema)?;
            Ok(PluginOperator::new(context, operator, vec![schema], PluginOptions::default()))
        });
        let noise = Clocked { start, micros: Arc::new(Mutex::new(Histogram::new(3)?)) };
        let neighbour = job(start, seconds, &noise, |_| Ok(Spins));
        let stop = Stop::default();
        runtimes.io().block_on(async {
            let measured = Job::start(measured, &runtimes, &Stop::default()).await?;
            let neighbour = if hostile { Some(Job::start(neighbour, &runtimes, &stop).await?) } else { None };
            measured.finish().await?;
            stop.request();
            // The neighbour is left to itself: its calls would take long to work off.
            drop(neighbour);
            anyhow::Ok(())
        })?;
        let micros = sink.micros.lock().unwrap_or_else(PoisonError::into_inner);
        #[allow(clippy::cast_precision_loss)] // microseconds of a benchmark
        let at = |quantile: f64| micros.value_at_quantile(quantile) as f64 / 1000.0;
        let figure = if hostile { "latency beside a hostile neighbour" } else { "latency through source, plugin and sink" };
        let limit = if hostile { 1000.0 } else { 30.0 };
        tell(
            &serde_json::json!({ "figure": figure, "rows": micros.len(), "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0), "aim_p99_ms": limit }),
        )?;
    }
    runtimes.leave();
    Ok(())
}
