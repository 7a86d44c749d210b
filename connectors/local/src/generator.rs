//! The source `generator`: splits, offsets and pace around the rows.
//!
//! Split i of k holds the rows i, i + k, i + 2k, ...; its offsets count its own rows.

use crate::GeneratorOptions;
use crate::generator_row::RowMaker;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stygian_api::{
    Connector, ConnectorContext, ConnectorError, Decoder, Fetched, Options, OptionsDoc, Problems, Sink, Source, Split, SplitProgress,
    SplitReader,
};
use stygian_core::{Offset, SplitId, StreamSchema};

/// The most rows made at once.
const BATCH: usize = 8192;
/// A slow reader waits no longer than this before it says that there is nothing.
const PATIENCE: Duration = Duration::from_millis(100);

/// The connector `generator`.
#[derive(Clone, Copy, Debug)]
pub struct Generator;

#[async_trait]
impl Connector for Generator {
    fn name(&self) -> &'static str {
        "generator"
    }

    fn about(&self) -> &'static str {
        "Made-up user behaviour: clicks and purchases of a shop, the same for the same seed."
    }

    fn source_options(&self) -> Option<OptionsDoc> {
        Some(schemars::schema_for!(GeneratorOptions))
    }

    fn sink_options(&self) -> Option<OptionsDoc> {
        None
    }

    async fn source(&self, options: &Options, _: &ConnectorContext) -> Result<Arc<dyn Source>, Problems> {
        let read: GeneratorOptions = options.read()?;
        if read.splits == 0 {
            return Err(options.problem("splits", "there has to be at least one split").into());
        }
        if read.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
            return Err(options.problem("rate", "a rate is a number of rows per second above 0").into());
        }
        let rows = RowMaker::new(&read).map_err(|(key, message)| options.problem(key, message))?;
        Ok(Arc::new(GeneratorSource { rows, total: read.rows, rate: read.rate, splits: read.splits }))
    }

    async fn sink(&self, options: &Options, _: &ConnectorContext, _: &StreamSchema) -> Result<Arc<dyn Sink>, Problems> {
        Err(options.problem("connector", "`generator` is a source and no sink").into())
    }
}

#[derive(Debug)]
struct GeneratorSource {
    rows: RowMaker,
    total: Option<u64>,
    rate: Option<f64>,
    splits: u16,
}

impl GeneratorSource {
    /// How many rows split `at` has.
    fn rows_of(&self, at: u16) -> Option<u64> {
        self.total.map(|total| total.saturating_sub(u64::from(at)).div_ceil(u64::from(self.splits)))
    }

    /// The number of a split, and how many rows it has, if it can be read from `from` on.
    fn end_of(&self, split: &SplitId, from: Offset) -> Result<(u16, Option<u64>), ConnectorError> {
        let refused = |reason| refused(format!("split {split} of the generator"), reason);
        let at = split.as_str().parse().ok().filter(|at: &u16| *at < self.splits);
        let at = at.ok_or_else(|| refused(format!("there are {} splits", self.splits)))?;
        let end = self.rows_of(at);
        if end.is_some_and(|end| from.0 > end) {
            return Err(refused(format!("it has {} rows, and reading was to go on at row {from}", end.unwrap_or_default())));
        }
        Ok((at, end))
    }
}

fn refused(what: String, reason: String) -> ConnectorError {
    ConnectorError::refused(what, reason, "the options `splits` and `rows` must stay as they were when the job was stopped")
}

#[async_trait]
impl Source for GeneratorSource {
    fn schema(&self) -> SchemaRef {
        self.rows.schema().clone()
    }

    fn bounded(&self) -> bool {
        self.total.is_some()
    }

    fn new_splits_every(&self) -> Option<Duration> {
        None
    }

    async fn restore(&self, read: &[SplitProgress]) -> Result<(), ConnectorError> {
        // With another number of splits every row is in another place.
        if !read.is_empty() && read.len() != usize::from(self.splits) {
            return Err(refused("the generator".into(), format!("it had {} splits, and there are {}", read.len(), self.splits)));
        }
        read.iter().try_for_each(|progress| self.end_of(&progress.id, progress.next).map(|_| ()))
    }

    async fn splits(&self) -> Result<Vec<Split>, ConnectorError> {
        Ok((0..self.splits).map(|at| Split { id: SplitId::new(at.to_string()), bytes: None }).collect())
    }

    async fn open(&self, split: &SplitId, from: Offset) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let (first, end) = self.end_of(split, from)?;
        let pace = self.rate.map(|rate| Pace { rate: rate / f64::from(self.splits), since: Instant::now(), from: from.0 });
        Ok(Box::new(GeneratorReader { rows: self.rows.clone(), first: first.into(), step: self.splits.into(), end, at: from.0, pace }))
    }

    fn decoder(&self) -> Option<Box<dyn Decoder>> {
        None
    }
}

struct GeneratorReader {
    rows: RowMaker,
    /// The number of the split's first row.
    first: u64,
    /// From one row of the split to the next.
    step: u64,
    end: Option<u64>,
    /// The next row of the split.
    at: u64,
    pace: Option<Pace>,
}

/// How many rows may have come by now.
struct Pace {
    rate: f64,
    since: Instant,
    from: u64,
}

impl Pace {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats to integers saturate")]
    fn due(&self, after: Duration) -> u64 {
        self.from.saturating_add((after.as_secs_f64() * self.rate) as u64)
    }

    /// How long until row `at` is due.
    fn wait(&self, at: u64, after: Duration) -> Duration {
        let at = Duration::try_from_secs_f64(((at - self.from + 1) as f64) / self.rate).unwrap_or(PATIENCE);
        at.saturating_sub(after).min(PATIENCE)
    }
}

#[async_trait]
impl SplitReader for GeneratorReader {
    async fn fetch(&mut self, rows: usize) -> Result<Fetched, ConnectorError> {
        let left = self.end.map_or(u64::MAX, |end| end - self.at);
        if left == 0 {
            return Ok(Fetched::End);
        }
        let mut count = left.min(rows.clamp(1, BATCH) as u64);
        if let Some(pace) = &self.pace {
            let wait = pace.wait(self.at, pace.since.elapsed());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            count = count.min(pace.due(pace.since.elapsed()).saturating_sub(self.at));
        }
        if count == 0 {
            return Ok(Fetched::Nothing);
        }
        let numbers = (self.at..self.at + count).map(|at| self.first + at * self.step);
        let rows = self.rows.rows(numbers, usize::try_from(count).unwrap_or(BATCH));
        let rows = rows.map_err(|e| ConnectorError::io("make", "rows", e))?;
        self.at += count;
        Ok(Fetched::Rows { rows, next: Offset(self.at) })
    }
}
