//! Aggregates of a keyed stream by window of event time, within one subtask.
//!
//! Rows come in by [`WindowAggregator::push`] in any order; [`WindowAggregator::advance`] moves the watermark and gives out the
//! windows that it passes. Each row is either added to all of its windows that have not fired or given back as late: none is lost.
//! Output depends only on the order of rows and watermarks, not on how rows are cut into batches (but for the rounding of floats
//! and for approximate aggregates). What late rows become, and where results go, is the engine's.

use crate::keys::KeyCodec;
use crate::output::Fired;
use crate::pane::{Pane, Part, Prepared};
use crate::window::{Assigned, Split};
use crate::{ExprError, WindowAggregatorSpec, expression};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::take::take_record_batch;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use stygian_core::EventTime;

/// The open windows of one subtask.
pub struct WindowAggregator {
    spec: Arc<WindowAggregatorSpec>,
    output: SchemaRef,
    codec: KeyCodec,
    /// By start.
    panes: BTreeMap<i64, Pane>,
    watermark: i64,
    /// Kept between batches, so that pushing allocates little.
    groups: Vec<usize>,
}

impl fmt::Debug for WindowAggregator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowAggregator").field("window", &self.spec.window).field("panes", &self.panes.len()).finish_non_exhaustive()
    }
}

impl WindowAggregator {
    /// An aggregator without rows whose watermark is before every event.
    ///
    /// # Errors
    /// See [`WindowAggregatorSpec::check`].
    pub fn new(spec: Arc<WindowAggregatorSpec>) -> Result<Self, ExprError> {
        spec.check()?;
        let types: Vec<_> = spec.keys.iter().map(|key| spec.input.field(*key).data_type().clone()).collect();
        Ok(Self {
            output: spec.output_schema(),
            codec: KeyCodec::new(&types)?,
            panes: BTreeMap::new(),
            watermark: EventTime::MIN.micros(),
            groups: Vec::new(),
            spec,
        })
    }

    /// What it computes.
    pub fn spec(&self) -> &Arc<WindowAggregatorSpec> {
        &self.spec
    }

    /// The columns of its results, see [`WindowAggregatorSpec::output_schema`].
    pub fn output_schema(&self) -> &SchemaRef {
        &self.output
    }

    /// Adds rows. Gives back those that are late, in their order and with all their columns: all of their windows have fired, or the
    /// event time is null or absurd (more than 146,000 years from 1970). `None` when there are none.
    ///
    /// # Errors
    /// When an argument of an aggregate cannot be computed. The rows may then have been added in part; the aggregator is of no
    /// further use.
    pub fn push(&mut self, rows: &RecordBatch) -> Result<Option<RecordBatch>, ExprError> {
        expression::check_rows(&self.spec.input, rows)?;
        if rows.num_rows() == 0 {
            return Ok(None);
        }
        let times = rows.column(self.spec.event_time).as_primitive::<TimestampMicrosecondType>();
        match self.spec.window.assign(times, self.watermark) {
            Assigned::Whole(pane) => {
                let prepared = self.prepare(rows)?;
                self.panes.entry(pane).or_default().push(&self.spec, &prepared, None, &mut self.groups)?;
                Ok(None)
            }
            Assigned::Split(split) => self.push_split(rows, split),
        }
    }

    fn push_split(&mut self, rows: &RecordBatch, split: Split) -> Result<Option<RecordBatch>, ExprError> {
        if !split.panes.is_empty() {
            let prepared = self.prepare(rows)?;
            for (pane, selected) in split.panes {
                let selected = UInt32Array::from(selected);
                self.panes.entry(pane).or_default().push(&self.spec, &prepared, Some(&selected), &mut self.groups)?;
            }
        }
        match split.late.len() {
            0 => Ok(None),
            all if all == rows.num_rows() => Ok(Some(rows.clone())),
            _ => {
                let late = take_record_batch(rows, &UInt32Array::from(split.late));
                late.map(Some).map_err(|error| ExprError::window(format!("the late rows cannot be told apart: {error}")))
            }
        }
    }

    fn prepare(&self, rows: &RecordBatch) -> Result<Prepared, ExprError> {
        let keys: Vec<ArrayRef> = self.spec.keys.iter().map(|key| rows.column(*key).clone()).collect();
        let arguments = self.spec.aggregates.iter().map(|(_, aggregate)| aggregate.arguments(rows)).collect::<Result<_, _>>()?;
        Ok(Prepared { rows: rows.num_rows(), keys: self.codec.encode(&keys)?, arguments })
    }

    /// Moves the watermark (never back) and gives out the windows whose end it has reached: ascending by start, within a window
    /// by the order in which keys were first seen, at most [`crate::MAX_OUTPUT_ROWS`] a batch. [`EventTime::MAX`] fires all.
    ///
    /// # Errors
    /// When a result cannot be computed; the aggregator is then of no further use.
    pub fn advance(&mut self, watermark: EventTime) -> Result<Vec<RecordBatch>, ExprError> {
        let mut fired = Vec::new();
        let passed = self.watermark;
        self.watermark = passed.max(watermark.micros());
        let (size, slide) = (self.spec.window.size(), self.spec.window.slide());
        let mut next = i64::MIN;
        while let Some((&first, _)) = self.panes.first_key_value() {
            // The first window with rows that has not fired; the panes of fired windows are gone, or shared with later ones.
            let mut start = next.max(first - size + slide);
            if start + size <= passed {
                start += (passed - start - size) / slide * slide + slide;
            }
            if start + size > self.watermark {
                break;
            }
            self.fire(start, &mut fired)?;
            self.panes.remove(&start);
            next = start + slide;
        }
        Ok(fired)
    }

    fn fire(&mut self, start: i64, to: &mut Vec<RecordBatch>) -> Result<(), ExprError> {
        let spec = self.spec.clone();
        let end = start + spec.window.size();
        let part = if spec.window.size() == spec.window.slide() {
            self.panes.remove(&start).and_then(Pane::into_live)
        } else {
            self.merged(&spec, start, end)?
        };
        let Some(part) = part else { return Ok(()) };
        let (keys, aggregates) = part.finish(&spec)?;
        Fired { schema: &self.output, codec: &self.codec, start, end, keys, aggregates }.into_batches(&spec, to)
    }

    fn merged(&mut self, spec: &WindowAggregatorSpec, start: i64, end: i64) -> Result<Option<Part>, ExprError> {
        let mut merged = None;
        for (_, pane) in self.panes.range_mut(start..end) {
            for frozen in pane.frozen(spec)? {
                let part = match &mut merged {
                    Some(part) => part,
                    none => none.insert(Part::new(spec)?),
                };
                part.merge(spec, frozen, &mut self.groups)?;
            }
        }
        Ok(merged)
    }

    /// The watermark: no row before it is expected any more.
    pub fn watermark(&self) -> EventTime {
        EventTime::from_micros(self.watermark)
    }

    /// How many windows hold rows and have not fired.
    pub fn open_windows(&self) -> usize {
        let (size, slide) = (self.spec.window.size(), self.spec.window.slide());
        let (mut count, mut counted) = (0, i64::MIN);
        for pane in self.panes.keys().copied() {
            // Windows that hold this pane, no earlier pane, and have not fired.
            let mut first = (pane - size + slide).max(counted.saturating_add(slide));
            if first + size <= self.watermark {
                first += (self.watermark - first - size) / slide * slide + slide;
            }
            count += (pane - first) / slide + 1;
            counted = pane;
        }
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// How many rows the open windows were made of, each counted once.
    pub fn held_rows(&self) -> usize {
        self.panes.values().map(Pane::rows).sum()
    }

    /// How many keys are held, counted once a pane.
    pub fn open_keys(&self) -> usize {
        self.panes.values().map(Pane::keys).sum()
    }

    /// How many bytes are held, as the accumulators estimate them.
    pub fn memory(&self) -> usize {
        self.panes.values().map(Pane::memory).sum::<usize>() + self.groups.capacity() * size_of::<usize>()
    }
}
