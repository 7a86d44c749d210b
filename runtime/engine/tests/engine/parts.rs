//! A source of fixed rows, and jobs made of it and of collecting sinks.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use stygian_api::{ConnectorError, Decoder, Fetched, Source, Split, SplitProgress, SplitReader};
use stygian_core::{Offset, OperatorId, Parallelism, SplitId, StreamSchema};
use stygian_engine::{
    EngineSettings, Head, Job, JobError, JobSpec, Keeps, Metrics, Operator, OperatorError, OutletSpec, Partitioning, Report, Runtimes,
    SourceSpec, StageSpec, Stop, SubtaskContext, SystemClock, Target, TaskSpec,
};
pub(crate) use stygian_local::CollectSink as Collect;

/// Rows of the tests: a key, a number, and an event time in microseconds.
pub(crate) type Row = (&'static str, i64, i64);

pub(crate) fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = vec![Field::new("key", DataType::Utf8, false), Field::new("n", DataType::Int64, false), Field::new("at", time, false)];
    Arc::new(Schema::new(fields))
}

pub(crate) fn stream_schema() -> StreamSchema {
    StreamSchema::append(schema()).with_event_time("at").expect("a time")
}

pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let key: StringArray = rows.iter().map(|row| Some(row.0)).collect();
    let n = Int64Array::from_iter_values(rows.iter().map(|row| row.1));
    let at = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.2)).with_timezone("UTC");
    RecordBatch::try_new(schema(), vec![Arc::new(key) as ArrayRef, Arc::new(n), Arc::new(at)]).expect("of the schema")
}

/// Key and number of every row, sorted.
pub(crate) fn keyed_numbers(batches: &[RecordBatch], key: &str, number: &str) -> Vec<(String, i64)> {
    let mut all = Vec::new();
    for batch in batches {
        let keys = batch.column_by_name(key).expect("a key").as_string::<i32>();
        let numbers = batch.column_by_name(number).expect("a number").as_primitive::<Int64Type>();
        all.extend((0..batch.num_rows()).map(|row| (keys.value(row).to_owned(), numbers.value(row))));
    }
    all.sort();
    all
}

pub(crate) fn times(batches: &[RecordBatch], column: &str) -> Vec<i64> {
    let column =
        |batch: &RecordBatch| batch.column_by_name(column).expect("a column").as_primitive::<TimestampMicrosecondType>().values().to_vec();
    batches.iter().flat_map(column).collect()
}

/// Splits of fixed batches; one that is `endless` brings nothing more after its last batch, but does not end.
#[derive(Default)]
pub(crate) struct Fixed {
    pub(crate) splits: Vec<Vec<RecordBatch>>,
    pub(crate) endless: bool,
    pub(crate) fetches: Arc<AtomicUsize>,
    pub(crate) fails: bool,
    /// Names one split more each time it is asked.
    pub(crate) grows: bool,
    pub(crate) asked: Arc<AtomicUsize>,
}

impl Fixed {
    pub(crate) fn of(splits: Vec<Vec<RecordBatch>>) -> Self {
        Self { splits, ..Self::default() }
    }
}

#[async_trait]
impl Source for Fixed {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn bounded(&self) -> bool {
        !self.endless
    }

    fn new_splits_every(&self) -> Option<Duration> {
        self.grows.then_some(Duration::from_millis(1))
    }

    async fn restore(&self, _: &[SplitProgress]) -> Result<(), ConnectorError> {
        Ok(())
    }

    async fn splits(&self) -> Result<Vec<Split>, ConnectorError> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let named = if self.grows { self.splits.len().min(asked) } else { self.splits.len() };
        Ok((0..named).map(|n| Split { id: SplitId::new(n.to_string()), bytes: None }).collect())
    }

    async fn open(&self, split: &SplitId, _from: Offset) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let split: usize = split.as_str().parse().expect("a number");
        let batches = self.splits[split].clone().into_iter();
        Ok(Box::new(FixedReader { batches, endless: self.endless, fails: self.fails, fetches: self.fetches.clone(), read: 0 }))
    }

    fn decoder(&self) -> Option<Box<dyn Decoder>> {
        None
    }
}

struct FixedReader {
    batches: std::vec::IntoIter<RecordBatch>,
    endless: bool,
    fails: bool,
    fetches: Arc<AtomicUsize>,
    read: u64,
}

#[async_trait]
impl SplitReader for FixedReader {
    async fn fetch(&mut self, _rows: usize) -> Result<Fetched, ConnectorError> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        match self.batches.next() {
            Some(rows) => {
                self.read += rows.num_rows() as u64;
                Ok(Fetched::Rows { rows, next: Offset(self.read) })
            }
            None if self.fails => Err(ConnectorError::io("read", "split 0", "the disk is gone")),
            None if self.endless => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok(Fetched::Nothing)
            }
            None => Ok(Fetched::End),
        }
    }
}

pub(crate) fn source(fixed: Fixed, rows: Vec<Target>) -> Head {
    Head::Source(SourceSpec {
        node: OperatorId::new("events"),
        source: Arc::new(fixed),
        schema: stream_schema(),
        disorder: Duration::ZERO,
        idle_after: None,
        rows,
        dead_letters: Vec::new(),
    })
}

pub(crate) fn stage<O: Operator + 'static>(
    name: &str,
    outputs: Vec<Vec<Target>>,
    build: impl Fn(&SubtaskContext) -> Result<O, OperatorError> + Send + Sync + 'static,
) -> StageSpec {
    let factory = move |context: &SubtaskContext| build(context).map(|operator| Box::new(operator) as Box<dyn Operator>);
    StageSpec { node: OperatorId::new(name), operator: Arc::new(factory), outputs, keeps: Keeps::default() }
}

pub(crate) fn sink(name: &str, sink: &Collect) -> OutletSpec {
    OutletSpec::Sink { node: OperatorId::new(name), sink: Arc::new(sink.clone()) }
}

pub(crate) fn to(task: usize, partitioning: Partitioning) -> OutletSpec {
    OutletSpec::Exchange { task, partitioning }
}

pub(crate) fn task(name: &str, parallelism: u16, head: Head, stages: Vec<StageSpec>, outlets: Vec<OutletSpec>) -> TaskSpec {
    TaskSpec { name: name.to_owned(), parallelism: Parallelism::new(parallelism).expect("in range"), head, stages, outlets }
}

pub(crate) fn job(tasks: Vec<TaskSpec>) -> JobSpec {
    let settings = EngineSettings { watermark_interval: Duration::ZERO, ..EngineSettings::default() };
    JobSpec { name: "test".to_owned(), attempt: "1".to_owned(), settings, clock: Arc::new(SystemClock), tasks, checkpoints: None }
}

/// Runs a job to its end; `meanwhile` may stop it.
pub(crate) fn run_with<F: Future<Output = ()>>(
    spec: JobSpec,
    stop: &Stop,
    meanwhile: impl FnOnce(Metrics) -> F,
) -> Result<Report, JobError> {
    let runtimes = Runtimes::new(2).expect("two runtimes");
    let outer = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let result = outer.block_on(async {
        let job = Job::start(spec, &runtimes, stop).await?;
        let meanwhile = meanwhile(job.metrics());
        let (result, ()) = futures::join!(job.finish(), meanwhile);
        result
    });
    runtimes.leave();
    result
}

pub(crate) fn run(spec: JobSpec) -> Result<Report, JobError> {
    run_with(spec, &Stop::default(), |_| async {})
}
