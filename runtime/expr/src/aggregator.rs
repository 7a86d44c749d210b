//! Aggregates of a keyed stream by window, within one subtask.
//!
//! Rows come in by [`WindowAggregator::push`] in any order; [`WindowAggregator::advance`] moves the watermark and gives out the
//! windows that it passes. Each row is either added to all of its windows that have not closed or given back as late: none is lost.
//! Output depends only on the order of rows and watermarks, not on how rows are cut into batches (but for the rounding of floats
//! and for approximate aggregates). What late rows become, where results go and what the time is, is the engine's.
//!
//! Windows of processing time are the same thing with one other clock: rows carry the time of their `push`, and the watermark is the time.

use crate::keys::KeyCodec;
use crate::pane::Prepared;
use crate::panes::Panes;
use crate::sessions::Sessions;
use crate::stored::{self, Layout, Writer};
use crate::window::WindowKind;
use crate::{ExprError, WindowAggregatorSpec, expression};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::take::take_record_batch;
use std::fmt;
use std::sync::Arc;
use stygian_core::{EventTime, MaxParallelism, StateSection};

/// The open windows of one subtask.
pub struct WindowAggregator {
    frame: Frame,
    windows: Windows,
    /// Whether rows came since results were last given out early.
    changed: bool,
}

/// What all kinds of windows need to know.
pub(crate) struct Frame {
    pub(crate) spec: Arc<WindowAggregatorSpec>,
    pub(crate) output: SchemaRef,
    pub(crate) codec: KeyCodec,
    pub(crate) watermark: i64,
}

enum Windows {
    Panes(Panes),
    Sessions(Sessions),
}

impl fmt::Debug for WindowAggregator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowAggregator").field("window", &self.frame.spec.window).finish_non_exhaustive()
    }
}

impl Frame {
    /// Keys and arguments of all rows.
    pub(crate) fn prepare(&self, rows: &RecordBatch) -> Result<Prepared, ExprError> {
        let keys: Vec<ArrayRef> = self.spec.keys.iter().map(|key| rows.column(*key).clone()).collect();
        let arguments = self.spec.aggregates.iter().map(|(_, aggregate)| aggregate.arguments(rows)).collect::<Result<_, _>>()?;
        Ok(Prepared { rows: rows.num_rows(), keys: self.codec.encode(&keys)?, arguments })
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
        let windows = match spec.window.kind {
            WindowKind::Session { gap } => Windows::Sessions(Sessions::new(gap)),
            WindowKind::Tumbling { .. } | WindowKind::Sliding { .. } => Windows::Panes(Panes::default()),
        };
        let frame = Frame { output: spec.output_schema(), codec: KeyCodec::new(&types)?, watermark: EventTime::MIN.micros(), spec };
        Ok(Self { frame, windows, changed: false })
    }

    /// What it computes.
    pub fn spec(&self) -> &Arc<WindowAggregatorSpec> {
        &self.frame.spec
    }

    /// The columns of its results, see [`WindowAggregatorSpec::output_schema`].
    pub fn output_schema(&self) -> &SchemaRef {
        &self.frame.output
    }

    /// Adds rows. Gives back those that are late, in their order and with all their columns: all of their windows have closed, or the
    /// event time is null or absurd (more than 146,000 years from 1970). `None` when there are none.
    ///
    /// # Errors
    /// When an argument of an aggregate cannot be computed. The rows may then have been added in part; the aggregator is of no
    /// further use.
    pub fn push(&mut self, rows: &RecordBatch) -> Result<Option<RecordBatch>, ExprError> {
        self.push_at(rows, EventTime::MIN)
    }

    /// As [`WindowAggregator::push`]; where windows are of processing time, `now` is the time of these rows.
    ///
    /// # Errors
    /// As [`WindowAggregator::push`].
    pub fn push_at(&mut self, rows: &RecordBatch, now: EventTime) -> Result<Option<RecordBatch>, ExprError> {
        expression::check_rows(&self.frame.spec.input, rows)?;
        self.settle()?;
        if rows.num_rows() == 0 {
            return Ok(None);
        }
        let times = match self.frame.spec.event_time {
            Some(column) => rows.column(column).as_primitive::<TimestampMicrosecondType>().clone(),
            // The clock may step back; windows do not.
            None => TimestampMicrosecondArray::from_value(now.micros().max(self.frame.watermark), rows.num_rows()),
        };
        let late = match &mut self.windows {
            Windows::Panes(panes) => panes.push(&self.frame, rows, &times)?,
            Windows::Sessions(sessions) => sessions.push(&self.frame, rows, &times)?,
        };
        self.changed |= late.len() < rows.num_rows();
        match late.len() {
            0 => Ok(None),
            all if all == rows.num_rows() => Ok(Some(rows.clone())),
            _ => {
                let late = take_record_batch(rows, &UInt32Array::from(late));
                late.map(Some).map_err(|error| ExprError::window(format!("the late rows cannot be told apart: {error}")))
            }
        }
    }

    /// Moves the watermark (never back) and gives out the windows whose end it has reached, and again those that late rows have changed
    /// since. Windows of a fixed size ascend by start, keys within one come as they were first seen; sessions ascend by end. At most
    /// [`crate::MAX_OUTPUT_ROWS`] a batch. [`EventTime::MAX`] fires all.
    ///
    /// # Errors
    /// When a result cannot be computed; the aggregator is then of no further use.
    pub fn advance(&mut self, watermark: EventTime) -> Result<Vec<RecordBatch>, ExprError> {
        self.settle()?;
        let mut results = Vec::new();
        let passed = self.frame.watermark;
        self.frame.watermark = passed.max(watermark.micros());
        match &mut self.windows {
            Windows::Panes(panes) => panes.advance(&self.frame, passed, &mut results)?,
            Windows::Sessions(sessions) => sessions.advance(&self.frame, &mut results)?,
        }
        Ok(results)
    }

    /// Gives out what is known of windows that rows have come to since they last gave results. Needs
    /// [`WindowAggregatorSpec::early`]; sessions give nothing.
    ///
    /// # Errors
    /// As [`WindowAggregator::advance`].
    pub fn early(&mut self) -> Result<Vec<RecordBatch>, ExprError> {
        self.settle()?;
        let mut results = Vec::new();
        if let Windows::Panes(panes) = &mut self.windows
            && self.frame.spec.early
            && self.changed
        {
            panes.early(&self.frame, &mut results)?;
        }
        self.changed = false;
        Ok(results)
    }

    /// All that it holds: a section for each key group that has something, all of them whole. Nothing changes: results are those without
    /// a snapshot, but for the last bits of floats and approximate aggregates.
    ///
    /// Costs a pass over all keys: their accumulators are drained, written, and filled again. The watermark is not in it; it must be kept
    /// beside it.
    ///
    /// # Errors
    /// When the accumulators cannot be drained, or Arrow cannot write them; the aggregator is then of no further use.
    pub fn snapshot(&mut self, groups: MaxParallelism) -> Result<Vec<StateSection>, ExprError> {
        self.settle()?;
        let mut writer = Writer::new(Layout::of_windows(&self.frame.spec)?, groups);
        match &mut self.windows {
            Windows::Panes(panes) => panes.store(&self.frame, &mut writer)?,
            Windows::Sessions(sessions) => sessions.store(&self.frame, &mut writer)?,
        }
        writer.finish(self.changed)
    }

    /// Adds what a section holds. Called before anything else, once for each section that is to be restored: all that this subtask gave
    /// out, or those of some key groups of several subtasks, all of one snapshot. A section without bytes holds nothing.
    ///
    /// What comes then is what would have come without the interruption. Where all sections of one subtask are restored into one, it also
    /// comes in the same order. Where they come from several, it is the order by their own counts, then by which section was first: the
    /// same whenever the same sections are restored in the same order.
    ///
    /// # Errors
    /// When the section is of other windows, keys or aggregates, of another version, or damaged. The aggregator is then of no further use.
    pub fn restore(&mut self, section: &StateSection) -> Result<(), ExprError> {
        let layout = Layout::of_windows(&self.frame.spec)?;
        let Some(mut stored) = stored::read(&layout, section)? else { return Ok(()) };
        stored::windows::migrate(&self.frame.spec, &layout, section.group, &mut stored)?;
        self.changed |= stored.changed;
        match &mut self.windows {
            Windows::Panes(panes) => panes.restore(&self.frame, &layout, section.group, stored),
            Windows::Sessions(sessions) => sessions.restore(&self.frame, &layout, section.group, &stored),
        }
    }

    /// Sets the watermark that it had at the snapshot: what was late is late, and windows that have fired stay so. Without it, windows
    /// that are kept for late rows fire again. Never moves it back.
    pub fn restore_watermark(&mut self, watermark: EventTime) {
        self.frame.watermark = self.frame.watermark.max(watermark.micros());
    }

    fn settle(&mut self) -> Result<(), ExprError> {
        match &mut self.windows {
            Windows::Panes(panes) => panes.settle(&self.frame),
            Windows::Sessions(_) => Ok(()),
        }
    }

    /// Whether rows came since [`WindowAggregator::early`].
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// The watermark: no row before it is expected any more.
    pub fn watermark(&self) -> EventTime {
        EventTime::from_micros(self.frame.watermark)
    }

    /// A time before which no window ends (the end of the first one, or somewhat earlier); `None` when no window is open.
    pub fn next_end(&self) -> Option<EventTime> {
        let next = match &self.windows {
            Windows::Panes(panes) => panes.next_end(&self.frame),
            Windows::Sessions(sessions) => sessions.next_end(),
        };
        next.map(EventTime::from_micros)
    }

    /// When the last window closes: no window that holds rows, whether it has fired or not, takes any then. `None` when none holds rows.
    pub fn last_close(&self) -> Option<EventTime> {
        let end = match &self.windows {
            Windows::Panes(panes) => panes.last_end(&self.frame),
            Windows::Sessions(sessions) => sessions.last_end(),
        };
        end.map(|end| EventTime::from_micros(end.saturating_add(self.frame.spec.allowed_lateness)))
    }

    /// How many windows hold rows and have not fired.
    pub fn open_windows(&self) -> usize {
        match &self.windows {
            Windows::Panes(panes) => panes.open(&self.frame),
            Windows::Sessions(sessions) => sessions.open(),
        }
    }

    /// How many rows are in windows that have not fired, each counted once.
    pub fn held_rows(&self) -> usize {
        match &self.windows {
            Windows::Panes(panes) => panes.held_rows(&self.frame),
            Windows::Sessions(sessions) => sessions.held_rows(),
        }
    }

    /// How many keys are held, counted once a pane.
    pub fn open_keys(&self) -> usize {
        match &self.windows {
            Windows::Panes(panes) => panes.keys(),
            Windows::Sessions(sessions) => sessions.keys(),
        }
    }

    /// How many bytes are held, as the accumulators estimate them.
    pub fn memory(&self) -> usize {
        match &self.windows {
            Windows::Panes(panes) => panes.memory(),
            Windows::Sessions(sessions) => sessions.memory(),
        }
    }
}
