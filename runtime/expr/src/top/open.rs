//! One open window: of each group a heap of its first rows so far, the last of them on top, and the batches that they lie in.

use super::fault;
use crate::ExprError;
use crate::keys::{EncodedKeys, KeyIndex};
use arrow_array::RecordBatch;
use arrow_row::Rows;
use arrow_select::interleave::interleave_record_batch;
use std::collections::BinaryHeap;

/// Rows that are kept beside twice the live ones before batches are written anew.
const SLACK: usize = 8_192;

/// Rows of one window.
#[derive(Debug, Default)]
pub(super) struct Open {
    keys: KeyIndex,
    /// By group.
    heaps: Vec<BinaryHeap<Entry>>,
    batches: Vec<RecordBatch>,
    /// Rows in the batches.
    stored: usize,
    /// Rows in the heaps.
    live: usize,
    /// Rows that came.
    rows: usize,
    /// The group of each row of the last call of [`Open::candidates`] that passed it.
    groups: Vec<usize>,
}

/// A row, by its order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    order: Box<[u8]>,
    batch: u32,
    row: u32,
}

/// Rows that are given out.
pub(super) struct Picked {
    pub(super) rows: RecordBatch,
    pub(super) ranks: Vec<i64>,
}

impl Open {
    /// The chosen rows that may be among the first `n` of their group, by what is asked for alone (`by`); `None`: there are none.
    pub(super) fn candidates(&mut self, keys: &EncodedKeys, by: &Rows, rows: usize, chosen: &[u32], n: usize) -> Option<Vec<u32>> {
        let mut groups = Vec::with_capacity(chosen.len());
        self.keys.intern(keys, rows, Some(chosen), &mut groups);
        self.heaps.resize_with(self.keys.len(), BinaryHeap::new);
        self.rows += chosen.len();
        self.groups.clear();
        let mut kept = Vec::new();
        for (row, group) in chosen.iter().copied().zip(groups) {
            let heap = &self.heaps[group];
            // Behind the last of a full heap by what is asked for is behind it altogether; before it or the same may be either.
            let behind = |last: &Entry| heap.len() >= n && by.row(row as usize).data() > &*last.order;
            if !heap.peek().is_some_and(behind) {
                kept.push(row);
                self.groups.push(group);
            }
        }
        (!kept.is_empty()).then_some(kept)
    }

    /// Adds the rows that [`Open::candidates`] chose, with their whole order.
    pub(super) fn add(&mut self, rows: RecordBatch, order: &Rows, n: usize) -> Result<(), ExprError> {
        let batch = number(self.batches.len());
        let before = self.live;
        let mut used = false;
        for (row, group) in self.groups.drain(..).enumerate() {
            let (heap, order) = (&mut self.heaps[group], order.row(row).data());
            let full = heap.len() >= n;
            if full && heap.peek().is_some_and(|last| order >= &*last.order) {
                continue;
            }
            if full {
                heap.pop();
                self.live -= 1;
            }
            heap.push(Entry { order: order.into(), batch, row: number(row) });
            self.live += 1;
            used = true;
        }
        debug_assert!(self.live >= before, "rows leave for others only");
        if used {
            self.stored += rows.num_rows();
            self.batches.push(rows);
        }
        if self.stored > 2 * self.live + SLACK { self.compact() } else { Ok(()) }
    }

    /// Writes the live rows into one batch.
    fn compact(&mut self) -> Result<(), ExprError> {
        let mut places = Vec::with_capacity(self.live);
        for heap in &mut self.heaps {
            let mut entries = std::mem::take(heap).into_vec();
            for entry in &mut entries {
                let place = (entry.batch as usize, entry.row as usize);
                (entry.batch, entry.row) = (0, number(places.len()));
                places.push(place);
            }
            *heap = entries.into();
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let whole = interleave_record_batch(&batches, &places).map_err(|error| fault(&error))?;
        self.stored = whole.num_rows();
        self.batches = vec![whole];
        Ok(())
    }

    /// All of it: group by group as they were first seen, each by its order, in pieces of at most so many rows.
    pub(super) fn finish(self, most: usize) -> impl Iterator<Item = Result<Picked, ExprError>> {
        let (mut places, mut ranks) = (Vec::with_capacity(self.live), Vec::with_capacity(self.live));
        for heap in self.heaps {
            for (rank, entry) in (1_i64..).zip(heap.into_sorted_vec()) {
                places.push((entry.batch as usize, entry.row as usize));
                ranks.push(rank);
            }
        }
        let batches = self.batches;
        (0..places.len()).step_by(most).map(move |from| {
            let until = places.len().min(from + most);
            let batches: Vec<&RecordBatch> = batches.iter().collect();
            let rows = interleave_record_batch(&batches, &places[from..until]).map_err(|error| fault(&error))?;
            Ok(Picked { rows, ranks: ranks[from..until].to_vec() })
        })
    }

    /// All live rows and the group of each: group by group, each by its order. `None`: there are none.
    pub(super) fn all(&self) -> Result<Option<(RecordBatch, Vec<u32>)>, ExprError> {
        let (mut places, mut groups) = (Vec::with_capacity(self.live), Vec::with_capacity(self.live));
        for (group, heap) in (0_u32..).zip(&self.heaps) {
            let mut entries: Vec<&Entry> = heap.iter().collect();
            entries.sort_unstable();
            for entry in entries {
                places.push((entry.batch as usize, entry.row as usize));
                groups.push(group);
            }
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        if places.is_empty() {
            return Ok(None);
        }
        interleave_record_batch(&batches, &places).map(|rows| Some((rows, groups))).map_err(|error| fault(&error))
    }

    /// Takes rows back, with their whole order, that are not counted.
    pub(super) fn put_back(&mut self, keys: &EncodedKeys, rows: RecordBatch, order: &Rows, n: usize) -> Result<(), ExprError> {
        self.groups.clear();
        self.keys.intern(keys, rows.num_rows(), None, &mut self.groups);
        self.heaps.resize_with(self.keys.len(), BinaryHeap::new);
        self.add(rows, order, n)
    }

    /// Counts rows that came.
    pub(super) fn add_rows(&mut self, rows: usize) {
        self.rows = self.rows.saturating_add(rows);
    }

    /// How many rows came.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }
}

/// The number of a row or batch. Four billion of them do not fit in memory.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
