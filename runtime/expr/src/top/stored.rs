//! The first rows of open windows, written down and taken back: the rows themselves, those of a group in their order.

use super::open::Open;
use super::{Top, TopSpec, TopWindows, fault};
use crate::ExprError;
use crate::stored::windows::{columns, words};
use crate::stored::{self, Header, Layout, Stored, Stream, Writer, damaged, guarded, runs, storable};
use crate::window::MAX_TIME;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use std::sync::Arc;
use stygian_core::{EventTime, KeyGroup, MaxParallelism, StateSection};

/// The end and start of a window; the place of the group in it. Before the columns of the rows.
const OWN: [(&str, DataType); 3] = [("end", DataType::Int64), ("start", DataType::Int64), ("place", DataType::UInt32)];

fn layout(spec: &TopSpec) -> Result<Layout, ExprError> {
    if let Some(field) = spec.input.fields().iter().find(|field| !storable(field.data_type())) {
        return Err(ExprError::Unstorable { reason: format!("column `{}` is {}", field.name(), field.data_type()) });
    }
    let name = |column: &usize| spec.input.fields().get(*column).map_or("", |field| field.name());
    let windows = match spec.windows {
        TopWindows::Over { window, event_time } => format!("{} of `{}`", words(&window), name(&event_time)),
        TopWindows::Given { start, end } => format!("from `{}` to `{}`", name(&start), name(&end)),
    };
    let keys: Vec<&str> = spec.keys.iter().map(name).collect();
    let order = spec.by.iter().map(|by| format!("{}{}", name(&by.column), if by.descending { " descending" } else { "" }));
    let header = Header::new("top")
        .with("window", windows)
        .with("key", if keys.is_empty() { "none".to_owned() } else { keys.join(", ") })
        .with("order", order.collect::<Vec<_>>().join(", "))
        .with("number of rows", spec.n.to_string())
        .with("list of columns", columns(spec.input.fields().iter()));
    let own = OWN.iter().map(|(name, data_type)| Arc::new(Field::new(*name, data_type.clone(), false)));
    let fields: Vec<FieldRef> = own.chain(spec.input.fields().iter().cloned()).collect();
    let keys = spec.keys.iter().map(|key| key + OWN.len()).collect();
    let stream = Stream { schema: Arc::new(Schema::new(fields)), keys, others: OWN.len() };
    Ok(Layout { part: "top", header, streams: vec![stream] })
}

impl Top {
    /// All that it holds: a section for each key group that has something, all of them whole. Nothing changes. The watermark is not in it;
    /// it must be kept beside it.
    ///
    /// # Errors
    /// When a column is of a type that Arrow cannot write, or the rows do not fit together.
    pub fn snapshot(&mut self, groups: MaxParallelism) -> Result<Vec<StateSection>, ExprError> {
        self.settle()?;
        let mut writer = Writer::new(layout(&self.spec)?, groups);
        for ((end, start), open) in &self.windows {
            let Some((rows, of)) = open.all()? else { continue };
            let count = rows.num_rows();
            let mut columns: Vec<ArrayRef> = vec![
                Arc::new(Int64Array::from_value(*end, count)),
                Arc::new(Int64Array::from_value(*start, count)),
                Arc::new(UInt32Array::from(of)),
            ];
            columns.extend(rows.columns().iter().cloned());
            writer.add(0, columns, count, Some([*end, *start, i64::try_from(open.rows()).unwrap_or(i64::MAX)]))?;
        }
        writer.finish(false)
    }

    /// Adds what a section holds. Called before anything else, once for each section, of one subtask or of several. What comes then is what
    /// would have come without the interruption; the groups of a window come in the same order if all sections are of one subtask.
    ///
    /// # Errors
    /// When the section is of other windows, keys, orders or columns, of another version, or damaged.
    pub fn restore(&mut self, section: &StateSection) -> Result<(), ExprError> {
        let layout = layout(&self.spec)?;
        let Some(Stored { facts, streams, .. }) = stored::read(&layout, section)? else { return Ok(()) };
        for batch in streams.iter().flatten() {
            guarded(section.group, || self.rows_of(&layout.streams[0], batch).and_then(|rows| self.sorting.whole(&rows)).map(drop))?;
            let times = |column: usize| batch.column(column).as_primitive::<Int64Type>().values();
            let (ends, starts) = (times(0), times(1));
            for rows in runs(batch.num_rows(), |row| (ends[row], starts[row])) {
                let window = (ends[rows.start], starts[rows.start]);
                self.check_window(window, section.group)?;
                self.windows.entry(window).or_default();
                self.restored.entry(window).or_default().push(batch.slice(rows.start, rows.len()));
            }
        }
        for [end, start, rows] in facts {
            let (open, rows) = (self.windows.get_mut(&(end, start)), usize::try_from(rows));
            let (Some(open), Ok(rows)) = (open, rows) else { return Err(damaged(section.group, "rows of a window that is not there")) };
            open.add_rows(rows);
        }
        Ok(())
    }

    /// Sets the watermark that it had at the snapshot, so that what was late is late. Never moves it back.
    pub fn restore_watermark(&mut self, watermark: EventTime) {
        self.watermark = self.watermark.max(watermark.micros());
    }

    fn check_window(&self, (end, start): (i64, i64), group: KeyGroup) -> Result<(), ExprError> {
        let sane = |time: i64, beyond: i64| (-MAX_TIME - beyond..=MAX_TIME + beyond).contains(&time);
        let fits = match self.spec.windows {
            TopWindows::Given { .. } => sane(start, 0) && sane(end, 0),
            TopWindows::Over { window, .. } => {
                let size = window.size();
                sane(start, size) && sane(end, size) && end - start == size && window.pane_of(start) == start
            }
        };
        if fits { Ok(()) } else { Err(damaged(group, "a window that cannot be")) }
    }

    /// The columns of the input.
    fn rows_of(&self, stream: &Stream, batch: &RecordBatch) -> Result<RecordBatch, ExprError> {
        RecordBatch::try_new(self.spec.input.clone(), stream.others(batch).to_vec()).map_err(|error| fault(&error))
    }

    /// Builds what sections held, once all are there: called before anything else is done.
    pub(super) fn settle(&mut self) -> Result<(), ExprError> {
        let restored = std::mem::take(&mut self.restored);
        if restored.is_empty() {
            return Ok(());
        }
        let layout = layout(&self.spec)?;
        let stream = &layout.streams[0];
        for (window, batches) in restored {
            let mut batch = concat_batches(&stream.schema, &batches).map_err(|error| fault(&error))?;
            let places = batch.column(2).as_primitive::<UInt32Type>().values();
            if !places.is_sorted() {
                let mut order: Vec<(u32, u32)> = places.iter().copied().zip(0_u32..).collect();
                order.sort_unstable();
                let order: UInt32Array = order.into_iter().map(|(_, row)| row).collect();
                batch = take_record_batch(&batch, &order).map_err(|error| fault(&error))?;
            }
            let (keys, rows) = (self.codec.encode(&stream.keys(&batch))?, self.rows_of(stream, &batch)?);
            let order = self.sorting.whole(&rows)?;
            let open: &mut Open = self.windows.entry(window).or_default();
            open.put_back(&keys, rows, &order, self.spec.n)?;
        }
        Ok(())
    }
}
