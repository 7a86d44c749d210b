//! Panes and what windows have given out, written down and taken back.
//!
//! A pane is written part by part, so that what is restored is built as it was: results come in the same order, and floats are summed in
//! it. Rounds of results are counted by each subtask for itself; what they say of a group is written as a *level*: whether it has changed
//! since early results were last given out, and since windows that have fired last gave out theirs. Levels of several subtasks mean the
//! same, so key groups of all of them can be restored into one.

use super::{Panes, Revised};
use crate::ExprError;
use crate::accumulators::States;
use crate::aggregator::Frame;
use crate::keys::KeyIndex;
use crate::pane::Part;
use crate::stored::windows::{PANES, REVISED};
use crate::stored::{CHUNK_ROWS, Layout, Stored, Stream, Writer, damaged, guarded, runs};
use crate::window::MAX_TIME;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type, UInt32Type};
use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt8Array, UInt32Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use stygian_core::KeyGroup;

/// Nothing has changed.
const CLEAN: u8 = 0;
/// Something has for windows that have not fired.
const SINCE_EARLY: u8 = 1;
/// Something has for all windows.
const DIRTY: u8 = 2;

/// The rounds that a restored subtask begins with: early results, then those of fired windows. Level `n` was drained in round `n + 1`.
const EARLY_ROUND: u32 = 1;
const ADVANCE_ROUND: u32 = 2;

/// Rows of sections that wait for others of the same pane, to be put in their order.
#[derive(Default)]
pub(super) struct Restored {
    /// By pane and part of it.
    parts: BTreeMap<(i64, u32), Vec<RecordBatch>>,
    /// By window.
    revised: BTreeMap<i64, Vec<RecordBatch>>,
}

impl Restored {
    pub(super) fn keys(&self) -> usize {
        self.parts.values().flatten().map(RecordBatch::num_rows).sum()
    }

    pub(super) fn memory(&self) -> usize {
        self.parts.values().chain(self.revised.values()).flatten().map(RecordBatch::get_array_memory_size).sum()
    }
}

impl Panes {
    /// Writes everything, and leaves everything as it was.
    pub(crate) fn store(&mut self, frame: &Frame, writer: &mut Writer) -> Result<(), ExprError> {
        let (early, last) = (self.last_early, self.last_advance.max(self.last_early));
        let level = |round: u32| match round {
            clean if clean <= early => CLEAN,
            unseen if unseen <= last => SINCE_EARLY,
            _ => DIRTY,
        };
        for (start, pane) in &mut self.panes {
            let mut fact = Some([*start, i64::try_from(pane.rows()).unwrap_or(i64::MAX), 0]);
            pane.read(&frame.spec, |number, keys, states, round| {
                for from in (0..keys.len()).step_by(CHUNK_ROWS) {
                    let groups = from..keys.len().min(from + CHUNK_ROWS);
                    let rows = groups.len();
                    let levels = groups.clone().map(|group| round(group).map_or(DIRTY, level));
                    let mut columns: Vec<ArrayRef> = vec![
                        Arc::new(Int64Array::from_value(*start, rows)),
                        Arc::new(UInt32Array::from_value(number, rows)),
                        places(&groups),
                        Arc::new(UInt8Array::from_iter_values(levels)),
                    ];
                    columns.extend(keys.columns(&frame.codec, groups)?);
                    columns.extend(states.columns().map(|state| state.slice(from, rows)));
                    writer.add(PANES, columns, rows, fact.take())?;
                }
                Ok(())
            })?;
        }
        for (start, revised) in &self.revised {
            let fired = start + frame.spec.window.size() <= frame.watermark;
            for from in (0..revised.keys.len()).step_by(CHUNK_ROWS) {
                let groups = from..revised.keys.len().min(from + CHUNK_ROWS);
                let rows = groups.len();
                let mut columns: Vec<ArrayRef> = vec![
                    Arc::new(Int64Array::from_value(*start, rows)),
                    Arc::new(BooleanArray::from(vec![fired; rows])),
                    places(&groups),
                    Arc::new(UInt32Array::from(revised.results[groups.clone()].to_vec())),
                ];
                columns.extend(revised.keys.columns(&frame.codec, groups)?);
                writer.add(REVISED, columns, rows, None)?;
            }
        }
        Ok(())
    }

    /// Takes in what a section holds; [`Panes::settle`] does the rest.
    pub(crate) fn restore(&mut self, frame: &Frame, layout: &Layout, group: KeyGroup, stored: Stored) -> Result<(), ExprError> {
        self.round = self.round.max(ADVANCE_ROUND);
        (self.last_early, self.last_advance) = (EARLY_ROUND, ADVANCE_ROUND);
        let [parts, revised]: [Vec<RecordBatch>; 2] =
            stored.streams.try_into().map_err(|_| damaged(group, "it has not two streams of rows"))?;
        for batch in parts {
            if batch.column(3).as_primitive::<UInt8Type>().values().iter().any(|level| *level > DIRTY) {
                return Err(damaged(group, "a level that does not exist"));
            }
            guarded(group, || try_states(frame, &layout.streams[PANES], &batch))?;
            let (panes, numbers) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<UInt32Type>());
            for rows in runs(batch.num_rows(), |row| (panes.value(row), numbers.value(row))) {
                let start = check_start(frame, group, panes.value(rows.start))?;
                let part = self.restored.parts.entry((start, numbers.value(rows.start))).or_default();
                part.push(batch.slice(rows.start, rows.len()));
                self.panes.entry(start).or_default();
            }
        }
        for batch in revised {
            let windows = batch.column(0).as_primitive::<Int64Type>();
            for rows in runs(batch.num_rows(), |row| windows.value(row)) {
                let start = check_start(frame, group, windows.value(rows.start))?;
                self.restored.revised.entry(start).or_default().push(batch.slice(rows.start, rows.len()));
            }
        }
        for [start, rows, _] in stored.facts {
            let (pane, rows) = (self.panes.get_mut(&start), usize::try_from(rows));
            let (Some(pane), Ok(rows)) = (pane, rows) else { return Err(damaged(group, "rows of a pane that is not there")) };
            pane.add_rows(rows);
        }
        Ok(())
    }

    /// Builds what sections held, once all are there: called before anything else is done.
    pub(crate) fn settle(&mut self, frame: &Frame) -> Result<(), ExprError> {
        let Restored { parts, revised } = std::mem::take(&mut self.restored);
        if parts.is_empty() && revised.is_empty() {
            return Ok(());
        }
        let layout = Layout::of_windows(&frame.spec)?;
        for ((start, number), batches) in parts {
            let (batch, keys) = in_order(frame, &layout.streams[PANES], &batches)?;
            let states = States::from_columns(&frame.spec, layout.streams[PANES].others(&batch))?;
            let rounds = batch.column(3).as_primitive::<UInt8Type>().values().iter().map(|level| u32::from(*level) + 1);
            self.panes.entry(start).or_default().put_back(&frame.spec, number, keys, states, rounds.collect())?;
        }
        for (start, batches) in revised {
            let (batch, keys) = in_order(frame, &layout.streams[REVISED], &batches)?;
            let fired = !batch.column(1).as_boolean().has_false();
            let results = batch.column(3).as_primitive::<UInt32Type>().values().to_vec();
            self.revised.insert(start, Revised { keys, results, round: if fired { ADVANCE_ROUND } else { EARLY_ROUND } });
        }
        Ok(())
    }
}

/// The places of these groups. There are fewer than four billion.
fn places(groups: &Range<usize>) -> ArrayRef {
    Arc::new(groups.clone().map(|group| u32::try_from(group).unwrap_or(u32::MAX)).collect::<UInt32Array>())
}

/// The rows by their place and their keys, which are distinct.
fn in_order(frame: &Frame, stream: &Stream, batches: &[RecordBatch]) -> Result<(RecordBatch, KeyIndex), ExprError> {
    let fault = |error| ExprError::window(format!("stored rows cannot be put in order: {error}"));
    let mut batch = concat_batches(&stream.schema, batches).map_err(fault)?;
    let places = batch.column(2).as_primitive::<UInt32Type>().values();
    if !places.is_sorted() {
        let mut order: Vec<(u32, u32)> = places.iter().copied().zip(0_u32..).collect();
        order.sort_unstable();
        let order: UInt32Array = order.into_iter().map(|(_, row)| row).collect();
        batch = take_record_batch(&batch, &order).map_err(fault)?;
    }
    let (mut keys, mut groups) = (KeyIndex::default(), Vec::with_capacity(batch.num_rows()));
    keys.intern(&frame.codec.encode(&stream.keys(&batch))?, batch.num_rows(), None, &mut groups);
    if keys.len() != batch.num_rows() {
        return Err(ExprError::window("the stored state holds a key of a window twice; restore another checkpoint or savepoint"));
    }
    Ok((batch, keys))
}

/// Merges states and makes results of them, to see that both can be done.
pub(crate) fn try_states(frame: &Frame, stream: &Stream, batch: &RecordBatch) -> Result<(), ExprError> {
    let states = States::from_columns(&frame.spec, stream.others(batch))?;
    let mut part = Part::new(&frame.spec)?;
    part.try_merge(&frame.spec, &states, batch.num_rows())
}

/// The start, if a pane or window can begin there.
fn check_start(frame: &Frame, group: KeyGroup, start: i64) -> Result<i64, ExprError> {
    let window = frame.spec.window;
    let most = MAX_TIME + 2 * window.size();
    match (-most..=most).contains(&start) && window.pane_of(start) == start {
        true => Ok(start),
        false => Err(damaged(group, "a window begins where none does")),
    }
}
