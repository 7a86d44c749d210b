//! Which windows and panes a row belongs to: pure arithmetic on times in microseconds.
//!
//! Time is cut into *panes* of the slide's length (of the size's, where windows do not overlap) that begin at multiples of it plus
//! the offset. A window is a run of `size / slide` panes, so each row is added to one pane only. A window `[start, end)` fires when
//! the watermark reaches `end`; a row is late when the last window it belongs to has fired.

use crate::{Aggregate, ExprError};
use arrow_array::{Array, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;
use stygian_core::KeyHasher;

/// The longest window: about 14,600 years. Rows further than ten times that from 1970 are late by definition, so no sum overflows.
pub const MAX_WINDOW_MICROS: i64 = i64::MAX / 20;
/// Rows further from 1970 are late.
pub(crate) const MAX_TIME: i64 = i64::MAX / 2;
/// The most windows a row can be in.
const MAX_OVERLAP: i64 = 100_000;

/// How long windows are and how far apart they begin, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// Windows that follow each other without overlap.
    Tumbling {
        /// Length of a window.
        size: i64,
    },
    /// Windows of one length that begin a slide apart and overlap.
    Sliding {
        /// Length of a window.
        size: i64,
        /// From the start of one to the start of the next; divides the size.
        slide: i64,
    },
    /// Rows of one key that are less than a gap apart: a window begins with a row and ends a gap after its last one.
    Session {
        /// The time without rows that ends a window.
        gap: i64,
    },
}

/// Windows over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSpec {
    /// Tumbling, sliding or by session.
    pub kind: WindowKind,
    /// Moves all windows: one begins at this time. 0 is 1970-01-01T00:00:00, so days begin at midnight and weeks on Thursdays. Sessions
    /// have none.
    pub offset: i64,
}

impl WindowSpec {
    /// Tumbling windows of `size` microseconds from 1970 on.
    pub const fn tumbling(size: i64) -> Self {
        Self { kind: WindowKind::Tumbling { size }, offset: 0 }
    }

    /// Sliding windows of `size` microseconds, one every `slide`.
    pub const fn sliding(size: i64, slide: i64) -> Self {
        Self { kind: WindowKind::Sliding { size, slide }, offset: 0 }
    }

    /// Sessions that a gap of so many microseconds ends.
    pub const fn session(gap: i64) -> Self {
        Self { kind: WindowKind::Session { gap }, offset: 0 }
    }

    /// Length of a window; of a session, the least one.
    pub const fn size(&self) -> i64 {
        match self.kind {
            WindowKind::Tumbling { size } | WindowKind::Sliding { size, .. } => size,
            WindowKind::Session { gap } => gap,
        }
    }

    /// Length of a pane: from the start of one window to the start of the next.
    pub const fn slide(&self) -> i64 {
        match self.kind {
            WindowKind::Sliding { slide, .. } => slide,
            WindowKind::Tumbling { .. } | WindowKind::Session { .. } => self.size(),
        }
    }

    /// Checks that these can be windows.
    ///
    /// # Errors
    /// When a length is not positive or too long, or the slide does not divide the size.
    pub fn check(&self) -> Result<(), ExprError> {
        let (size, slide) = (self.size(), self.slide());
        if size <= 0 || slide <= 0 {
            return Err(ExprError::window("a window's size and slide must be longer than nothing"));
        }
        if size > MAX_WINDOW_MICROS {
            return Err(ExprError::window(format!("a window of {size} us is longer than {MAX_WINDOW_MICROS} us; make it shorter")));
        }
        if slide > size {
            return Err(ExprError::window(format!(
                "a slide of {slide} us is longer than the window of {size} us, so rows between windows would be lost; make it shorter"
            )));
        }
        if size % slide != 0 {
            return Err(ExprError::window(format!("a slide of {slide} us must divide the window's size of {size} us")));
        }
        if size / slide > MAX_OVERLAP {
            return Err(ExprError::window(format!(
                "a slide of {slide} us puts each row in {} windows, at most {MAX_OVERLAP} are allowed; make it longer",
                size / slide
            )));
        }
        Ok(())
    }

    /// The start of the pane that holds `time` (within [`MAX_TIME`] of 1970), which is also the start of the last window that does.
    pub(crate) fn pane_of(&self, time: i64) -> i64 {
        let slide = self.slide();
        let offset = self.offset.rem_euclid(slide);
        (time - offset).div_euclid(slide) * slide + offset
    }

    /// Whether the last window that holds the pane at `pane` ends by `horizon`.
    fn closed(&self, pane: i64, horizon: i64) -> bool {
        pane + self.size() <= horizon
    }

    /// Spreads rows over panes. Those all of whose windows end by `horizon` are late.
    pub(crate) fn assign(&self, times: &TimestampMicrosecondArray, horizon: i64) -> Assigned {
        self.assign_whole(times, horizon).unwrap_or_else(|| self.assign_each(times, horizon))
    }

    /// The case of a batch that falls into one open pane.
    fn assign_whole(&self, times: &TimestampMicrosecondArray, horizon: i64) -> Option<Assigned> {
        if times.null_count() > 0 || times.is_empty() {
            return None;
        }
        let values = times.values();
        let (min, max) = values.iter().fold((i64::MAX, i64::MIN), |(min, max), time| (min.min(*time), max.max(*time)));
        if min < -MAX_TIME || max > MAX_TIME {
            return None;
        }
        let pane = self.pane_of(min);
        (max < pane + self.slide() && !self.closed(pane, horizon)).then_some(Assigned::Whole(pane))
    }

    fn assign_each(&self, times: &TimestampMicrosecondArray, horizon: i64) -> Assigned {
        let slide = self.slide();
        let mut split = Split::default();
        let (mut start, mut slot) = (i64::MAX, None);
        for (row, time) in (0_u32..).zip(times.values().iter().copied()) {
            if times.is_null(row as usize) || !(-MAX_TIME..=MAX_TIME).contains(&time) {
                split.late.push(row);
                continue;
            }
            if time < start || time - start >= slide {
                start = self.pane_of(time);
                slot = (!self.closed(start, horizon)).then(|| split.slot(start));
            }
            match slot {
                Some(slot) => split.panes[slot].1.push(row),
                None => split.late.push(row),
            }
        }
        Assigned::Split(split)
    }
}

/// Where the rows of a batch go.
#[derive(Debug)]
pub(crate) enum Assigned {
    /// All into the pane that begins here.
    Whole(i64),
    /// Each its own way.
    Split(Split),
}

/// Row numbers by pane, ascending within each.
#[derive(Debug, Default)]
pub(crate) struct Split {
    /// Start of a pane and its rows; no start twice, in order of first appearance.
    pub(crate) panes: Vec<(i64, Vec<u32>)>,
    /// Rows that belong to no open window.
    pub(crate) late: Vec<u32>,
}

impl Split {
    fn slot(&mut self, start: i64) -> usize {
        // Few panes appear in one batch, and this is only asked where a row is in another pane than the one before it.
        self.panes.iter().rposition(|(pane, _)| *pane == start).unwrap_or_else(|| {
            self.panes.push((start, Vec::new()));
            self.panes.len() - 1
        })
    }
}

/// What a [`crate::WindowAggregator`] computes.
#[derive(Clone, Debug)]
pub struct WindowAggregatorSpec {
    /// The windows.
    pub window: WindowSpec,
    /// The columns to group by; none for one group of all rows.
    pub keys: Vec<usize>,
    /// The column with the event time, a timestamp in microseconds; `None`: windows are of processing time.
    pub event_time: Option<usize>,
    /// For how long after a window's end rows still change its result, in microseconds. 0: no row does. Not with sessions, and not with
    /// processing time.
    pub allowed_lateness: i64,
    /// Whether results are given out before a window ends ([`crate::WindowAggregator::early`]). Not with sessions.
    pub early: bool,
    /// Aggregates with the names of their columns.
    pub aggregates: Vec<(String, Aggregate)>,
    /// The rows that come in.
    pub input: SchemaRef,
}

impl WindowAggregatorSpec {
    /// Checks that this can be computed.
    ///
    /// # Errors
    /// When the window cannot be, a column is missing or of a wrong type, an aggregate is for other rows, or two result columns
    /// would have one name.
    pub fn check(&self) -> Result<(), ExprError> {
        self.window.check()?;
        let field = |index: usize| {
            self.input.fields().get(index).ok_or_else(|| ExprError::window(format!("there is no column with the number {index}")))
        };
        if let Some(time) = self.event_time.map(field).transpose()?
            && !matches!(time.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _))
        {
            return Err(ExprError::window(format!(
                "column `{}` is {}, an event time must be a timestamp in microseconds",
                time.name(),
                time.data_type()
            )));
        }
        self.check_revisions()?;
        for key in &self.keys {
            let key = field(*key)?;
            if !KeyHasher::supports(key.data_type()) {
                return Err(ExprError::window(format!("column `{}` is {}, which cannot be a key", key.name(), key.data_type())));
            }
        }
        if let Some((name, _)) = self.aggregates.iter().find(|(_, aggregate)| aggregate.input().fields() != self.input.fields()) {
            return Err(ExprError::window(format!("aggregate `{name}` was compiled for other columns than the window's input")));
        }
        check_names(&self.output_schema())
    }

    fn check_revisions(&self) -> Result<(), ExprError> {
        if !(0..=MAX_WINDOW_MICROS).contains(&self.allowed_lateness) {
            return Err(ExprError::window(format!(
                "a lateness of {} us is not between 0 and {MAX_WINDOW_MICROS} us",
                self.allowed_lateness
            )));
        }
        if self.allowed_lateness > 0 && self.event_time.is_none() {
            return Err(ExprError::window("no row is late in processing time; leave the allowed lateness out"));
        }
        if self.revises() && matches!(self.window.kind, WindowKind::Session { .. }) {
            return Err(ExprError::window(
                "a session that goes on has other bounds, so a later result could not replace an earlier one; leave the allowed lateness \
                 and early results out",
            ));
        }
        Ok(())
    }

    /// Whether a window and key can give several results, each in place of the one before: then rows have a `revision`.
    pub fn revises(&self) -> bool {
        self.early || self.allowed_lateness > 0
    }

    /// The columns of the result: `window_start`, `window_end` and `window_time` (the end less a microsecond: the event time of the
    /// result), all of the event time's type (of processing time: with zone UTC) and never null; where results are replaced, `revision`;
    /// then the keys; then the aggregates. A user-defined aggregate makes one column of its name, or several of its name and theirs.
    pub fn output_schema(&self) -> SchemaRef {
        let time = self.event_time.and_then(|column| self.input.fields().get(column));
        let time = time.map_or(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), |field| field.data_type().clone());
        let bounds = bound_fields(&time);
        let keys = self.keys.iter().filter_map(|key| self.input.fields().get(*key));
        let keys = keys.map(|key| Field::new(key.name(), crate::compile::stream_type(key.data_type()), key.is_nullable()));
        let revision = self.revises().then(|| Field::new("revision", DataType::Int64, false));
        let aggregates = self.aggregates.iter().flat_map(|(name, aggregate)| result_fields(name, aggregate));
        Arc::new(Schema::new(bounds.into_iter().chain(revision).chain(keys).chain(aggregates).collect::<Vec<_>>()))
    }
}

/// The columns that say which window a result is of.
pub(crate) fn bound_fields(time: &DataType) -> [Field; 3] {
    ["window_start", "window_end", "window_time"].map(|name| Field::new(name, time.clone(), false))
}

/// Checks that no two columns of a result have one name.
pub(crate) fn check_names(schema: &Schema) -> Result<(), ExprError> {
    let mut names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ExprError::window(format!(
            "two columns of the result are called `{}` (the window itself makes window_start, window_end and window_time, and `top` makes \
             rank); rename one",
            pair[0]
        ))),
        None => Ok(()),
    }
}

/// The columns that an aggregate makes.
fn result_fields(name: &str, aggregate: &Aggregate) -> Vec<Field> {
    match aggregate.data_type() {
        DataType::Struct(fields) if aggregate.is_external() => match fields.as_ref() {
            [one] => vec![one.as_ref().clone().with_name(name)],
            several => several.iter().map(|field| field.as_ref().clone().with_name(format!("{name}_{}", field.name()))).collect(),
        },
        data_type => vec![Field::new(name, data_type.clone(), aggregate.nullable())],
    }
}
