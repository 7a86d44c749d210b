//! The first rows of each window: of every group the `n` that an order puts first.
//!
//! Windows are cut from the rows' event time, or the rows are results of windows and say themselves which they are of. A window is given
//! out once, when the watermark reaches its end; rows that come later are late. Ties are broken by the other columns, so that what comes
//! out does not depend on the order in which rows came (but for columns of types without an order).

mod open;
mod stored;

use crate::keys::{KeyCodec, normalised};
use crate::output::MAX_OUTPUT_ROWS;
use crate::window::{Assigned, MAX_TIME, check_names};
use crate::{ExprError, WindowKind, WindowSpec, expression};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, SortOptions, TimeUnit};
use arrow_select::take::take_record_batch;
use open::{Open, Picked};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use stygian_core::{EventTime, KeyHasher};

/// The most rows of a group that can be asked for.
pub const MAX_TOP: usize = 10_000;

/// Which windows rows are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopWindows {
    /// Those of a fixed size that their event time, a column of timestamps in microseconds, lies in.
    Over {
        /// The windows; no sessions.
        window: WindowSpec,
        /// The column.
        event_time: usize,
    },
    /// The one that two columns of timestamps in microseconds say.
    Given {
        /// The column with its start.
        start: usize,
        /// The column with its end.
        end: usize,
    },
}

/// A column to order by; nulls come last, NaN is greater than every other number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// The column.
    pub column: usize,
    /// The greatest comes first.
    pub descending: bool,
}

/// What a [`Top`] computes.
#[derive(Clone, Debug)]
pub struct TopSpec {
    /// The windows.
    pub windows: TopWindows,
    /// The columns to group by; none for one group a window.
    pub keys: Vec<usize>,
    /// The order, most important column first; at least one.
    pub by: Vec<OrderBy>,
    /// How many rows of a group, 1 to [`MAX_TOP`].
    pub n: usize,
    /// The rows that come in.
    pub input: SchemaRef,
}

impl TopSpec {
    /// Checks that this can be computed.
    ///
    /// # Errors
    /// When the windows cannot be, a column is missing or of a wrong type, the number is out of range, or two columns of the result
    /// would have one name.
    pub fn check(&self) -> Result<(), ExprError> {
        let times = match self.windows {
            TopWindows::Given { start, end } => vec![start, end],
            TopWindows::Over { window, event_time } => {
                window.check()?;
                if let WindowKind::Session { .. } = window.kind {
                    return Err(ExprError::window("sessions are of one key each; the first rows of windows need windows of a fixed size"));
                }
                vec![event_time]
            }
        };
        for time in times {
            let time = self.field(time)?;
            if !matches!(time.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _)) {
                let message = format!("column `{}` is {}, it must be a timestamp in microseconds", time.name(), time.data_type());
                return Err(ExprError::window(message));
            }
        }
        if !(1..=MAX_TOP).contains(&self.n) {
            return Err(ExprError::window(format!("{} rows of a group are not between 1 and {MAX_TOP}", self.n)));
        }
        if self.by.is_empty() {
            return Err(ExprError::window("an order needs at least one column"));
        }
        for key in &self.keys {
            let key = self.field(*key)?;
            if !KeyHasher::supports(key.data_type()) {
                return Err(ExprError::window(format!("column `{}` is {}, which cannot be a key", key.name(), key.data_type())));
            }
        }
        for by in &self.by {
            let by = self.field(by.column)?;
            if !KeyHasher::supports(by.data_type()) {
                return Err(ExprError::window(format!("column `{}` is {}, which has no order", by.name(), by.data_type())));
            }
        }
        check_names(&self.output_schema())
    }

    fn field(&self, index: usize) -> Result<&Field, ExprError> {
        let field = self.input.fields().get(index).map(AsRef::as_ref);
        field.ok_or_else(|| ExprError::window(format!("there is no column with the number {index}")))
    }

    /// The columns of the result: `window_start`, `window_end` and `window_time` (the end less a microsecond: the event time) of the event
    /// time's type, unless the rows bring their windows; those of the input; `rank`, from 1 in each window and group.
    pub fn output_schema(&self) -> SchemaRef {
        let bounds = match self.windows {
            TopWindows::Given { .. } => Vec::new(),
            TopWindows::Over { event_time, .. } => {
                let time = self.input.fields().get(event_time).map_or(DataType::Null, |field| field.data_type().clone());
                crate::window::bound_fields(&time).to_vec()
            }
        };
        let input = self.input.fields().iter().map(|field| field.as_ref().clone());
        Arc::new(Schema::new(bounds.into_iter().chain(input).chain([Field::new("rank", DataType::Int64, false)]).collect::<Vec<_>>()))
    }

    /// The columns that order rows, each with its direction: those asked for, then the others.
    fn order(&self) -> Vec<(usize, SortOptions)> {
        let asked = self.by.iter().map(|by| (by.column, SortOptions { descending: by.descending, nulls_first: false }));
        let mut order: Vec<(usize, SortOptions)> = asked.collect();
        for (column, field) in self.input.fields().iter().enumerate() {
            if KeyHasher::supports(field.data_type()) && order.iter().all(|(known, _)| *known != column) {
                order.push((column, SortOptions { descending: false, nulls_first: false }));
            }
        }
        order
    }
}

/// The open windows of one subtask.
pub struct Top {
    spec: Arc<TopSpec>,
    output: SchemaRef,
    codec: KeyCodec,
    sorting: Sorting,
    /// By end, then start.
    windows: BTreeMap<(i64, i64), Open>,
    watermark: i64,
    /// Rows of sections, which wait for others of the same window, to be put in their order.
    restored: BTreeMap<(i64, i64), Vec<RecordBatch>>,
}

/// How rows become bytes of the same order.
#[derive(Debug)]
struct Sorting {
    columns: Vec<usize>,
    /// How many of them are asked for; the others break ties.
    asked: usize,
    by: RowConverter,
    whole: RowConverter,
}

impl Sorting {
    fn new(spec: &TopSpec) -> Result<Self, ExprError> {
        let order = spec.order();
        let field = |(column, options): &(usize, SortOptions)| {
            SortField::new_with_options(crate::compile::stream_type(spec.input.field(*column).data_type()), *options)
        };
        let fields: Vec<SortField> = order.iter().map(field).collect();
        let asked = spec.by.len();
        let converter = |fields: &[SortField]| RowConverter::new(fields.to_vec()).map_err(|error| fault(&error));
        let (by, whole) = (converter(&fields[..asked])?, converter(&fields)?);
        Ok(Self { columns: order.into_iter().map(|(column, _)| column).collect(), asked, by, whole })
    }

    fn encode(&self, converter: &RowConverter, columns: &[usize], rows: &RecordBatch) -> Result<arrow_row::Rows, ExprError> {
        let columns = columns.iter().map(|column| normalised(rows.column(*column))).collect::<Result<Vec<_>, _>>();
        columns.and_then(|columns| converter.convert_columns(&columns)).map_err(|error| fault(&error))
    }

    /// What is asked for; a prefix of [`Sorting::whole`].
    fn by(&self, rows: &RecordBatch) -> Result<arrow_row::Rows, ExprError> {
        self.encode(&self.by, &self.columns[..self.asked], rows)
    }

    fn whole(&self, rows: &RecordBatch) -> Result<arrow_row::Rows, ExprError> {
        self.encode(&self.whole, &self.columns, rows)
    }
}

impl fmt::Debug for Top {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Top").field("spec", &self.spec).field("windows", &self.windows.len()).finish_non_exhaustive()
    }
}

/// Rows of a batch by the window that they are in, ascending within each.
#[derive(Default)]
struct Routed {
    windows: BTreeMap<(i64, i64), Vec<u32>>,
    late: Vec<u32>,
}

impl Top {
    /// One that has seen nothing.
    ///
    /// # Errors
    /// See [`TopSpec::check`].
    pub fn new(spec: Arc<TopSpec>) -> Result<Self, ExprError> {
        spec.check()?;
        let types: Vec<_> = spec.keys.iter().map(|key| spec.input.field(*key).data_type().clone()).collect();
        let (codec, sorting, output) = (KeyCodec::new(&types)?, Sorting::new(&spec)?, spec.output_schema());
        Ok(Self { spec, output, codec, sorting, windows: BTreeMap::new(), watermark: EventTime::MIN.micros(), restored: BTreeMap::new() })
    }

    /// Adds rows. Gives back those that are late, in their order: all of their windows have been given out, or a time is null or absurd
    /// (more than 146,000 years from 1970). `None` when there are none.
    ///
    /// # Errors
    /// When the columns cannot be compared.
    pub fn push(&mut self, rows: &RecordBatch) -> Result<Option<RecordBatch>, ExprError> {
        expression::check_rows(&self.spec.input, rows)?;
        self.settle()?;
        let routed = self.route(rows);
        if !routed.windows.is_empty() {
            let keys: Vec<ArrayRef> = self.spec.keys.iter().map(|key| rows.column(*key).clone()).collect();
            let (keys, by) = (self.codec.encode(&keys)?, self.sorting.by(rows)?);
            for (window, chosen) in routed.windows {
                let open = self.windows.entry(window).or_default();
                let kept = open.candidates(&keys, &by, rows.num_rows(), &chosen, self.spec.n);
                if let Some(kept) = kept {
                    let taken = take_record_batch(rows, &UInt32Array::from(kept)).map_err(|error| fault(&error))?;
                    let order = self.sorting.whole(&taken)?;
                    open.add(taken, &order, self.spec.n)?;
                }
            }
        }
        if routed.late.is_empty() {
            return Ok(None);
        }
        take_record_batch(rows, &UInt32Array::from(routed.late)).map(Some).map_err(|error| fault(&error))
    }

    fn route(&self, rows: &RecordBatch) -> Routed {
        let times = |column: usize| rows.column(column).as_primitive::<TimestampMicrosecondType>();
        let mut routed = Routed::default();
        match self.spec.windows {
            TopWindows::Over { window, event_time } => {
                let (panes, late) = match window.assign(times(event_time), self.watermark) {
                    Assigned::Whole(pane) => (vec![(pane, (0_u32..).take(rows.num_rows()).collect())], Vec::new()),
                    Assigned::Split(split) => (split.panes, split.late),
                };
                routed.late = late;
                for (pane, rows) in panes {
                    let starts = std::iter::successors(Some(pane), |start| Some(start - window.slide()));
                    let ends = starts.map(|start| (start + window.size(), start));
                    for of in ends.take_while(|(end, _)| *end > pane.max(self.watermark)) {
                        routed.windows.entry(of).or_default().extend_from_slice(&rows);
                    }
                }
                routed.windows.values_mut().for_each(|rows| rows.sort_unstable());
            }
            TopWindows::Given { start, end } => {
                let (starts, ends) = (times(start), times(end));
                for (row, (start, end)) in (0_u32..).zip(starts.iter().zip(ends)) {
                    let sane = |time: i64| (-MAX_TIME..=MAX_TIME).contains(&time);
                    match (start, end) {
                        (Some(start), Some(end)) if sane(start) && sane(end) && end > self.watermark => {
                            routed.windows.entry((end, start)).or_default().push(row);
                        }
                        _ => routed.late.push(row),
                    }
                }
            }
        }
        routed
    }

    /// Moves the watermark (never back) and gives out the windows whose end it has reached, ascending by end; groups within one come as they
    /// were first seen, the rows of a group by rank. At most [`crate::MAX_OUTPUT_ROWS`] a batch.
    ///
    /// # Errors
    /// When the rows do not fit together, which would be a fault of the host.
    pub fn advance(&mut self, watermark: EventTime) -> Result<Vec<RecordBatch>, ExprError> {
        self.settle()?;
        self.watermark = self.watermark.max(watermark.micros());
        let mut results = Vec::new();
        while let Some(first) = self.windows.first_entry().filter(|first| first.key().0 <= self.watermark) {
            let ((end, start), open) = first.remove_entry();
            for picked in open.finish(MAX_OUTPUT_ROWS) {
                results.push(self.result((start, end), picked?)?);
            }
        }
        Ok(results)
    }

    fn result(&self, (start, end): (i64, i64), picked: Picked) -> Result<RecordBatch, ExprError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.output.fields().len());
        if let TopWindows::Over { .. } = self.spec.windows {
            let zone = match self.output.field(0).data_type() {
                DataType::Timestamp(_, zone) => zone.clone(),
                _ => None,
            };
            let times = [start, end, end - 1].map(|time| TimestampMicrosecondArray::from_value(time, picked.rows.num_rows()));
            columns.extend(times.map(|times| Arc::new(times.with_timezone_opt(zone.clone())) as ArrayRef));
        }
        columns.extend(picked.rows.columns().iter().cloned());
        columns.push(Arc::new(Int64Array::from(picked.ranks)));
        RecordBatch::try_new(self.output.clone(), columns).map_err(|error| fault(&error))
    }

    /// The end of the last window that holds rows.
    pub fn last_end(&self) -> Option<EventTime> {
        self.windows.last_key_value().map(|((end, _), _)| EventTime::from_micros(*end))
    }

    /// How many windows hold rows.
    pub fn open_windows(&self) -> usize {
        self.windows.len()
    }

    /// How many rows came to windows that have not been given out, each counted once a window.
    pub fn held_rows(&self) -> usize {
        self.windows.values().map(Open::rows).sum()
    }
}

fn fault(error: &ArrowError) -> ExprError {
    ExprError::window(format!("rows cannot be put in order: {error}"))
}
