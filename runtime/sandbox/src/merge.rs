//! Puts the outputs of several calls on a batch together, as if it had been one call: row indices become those of the whole batch. Rows
//! that no call went well with are simply missing.

use crate::call::{CallOutput, Piece};
use crate::host::Output;
use crate::operator::has_parents;
use arrow_array::{RecordBatch, UInt32Array};
use std::ops::Range;
use std::sync::Arc;

/// What the calls on one batch have handed over so far.
#[derive(Debug)]
pub struct Merge {
    /// Rows of the batch.
    rows: u32,
    outputs: Arc<[Output]>,
    /// By output, once a call has had but some of the rows.
    merged: Vec<OutputMerge>,
    whole: CallOutput,
    /// The one call that had all rows: nothing is to be put together.
    only: Option<CallOutput>,
}

/// One output over all calls.
#[derive(Debug, Default)]
struct OutputMerge {
    has_parents: bool,
    selected: Vec<u32>,
    emitted: Vec<Emitted>,
}

/// A batch that was emitted in a call.
#[derive(Debug)]
struct Emitted {
    rows: RecordBatch,
    parents: Option<UInt32Array>,
    slice: Range<u32>,
}

impl Merge {
    pub(crate) fn new(outputs: &Arc<[Output]>, rows: usize) -> Self {
        Self { rows: index(rows), outputs: outputs.clone(), merged: Vec::new(), whole: CallOutput::default(), only: None }
    }

    /// Adds what came of a call with these rows; calls come in the order of rows.
    pub fn add(&mut self, part: CallOutput, rows: &Range<usize>) {
        let slice = index(rows.start)..index(rows.end);
        if slice == (0..self.rows) {
            self.only = Some(part);
            return;
        }
        self.begin();
        for (output, pieces) in self.merged.iter_mut().zip(part.outputs) {
            for piece in pieces {
                match piece {
                    Piece::Selected(rows) => output.selected.extend(rows.values().iter().map(|row| row + slice.start)),
                    Piece::Emitted { rows, parents } => output.emitted.push(Emitted { rows, parents, slice: slice.clone() }),
                }
            }
        }
        let dead = part.dead_letters.into_iter().map(|mut dead| {
            dead.row += slice.start;
            dead
        });
        self.whole.dead_letters.extend(dead);
        self.whole.logs.extend(part.logs);
    }

    fn begin(&mut self) {
        if self.merged.is_empty() {
            let merged = self.outputs.iter().map(|output| OutputMerge { has_parents: has_parents(output), ..OutputMerge::default() });
            self.merged = merged.collect();
        }
    }

    /// The whole; the error is Arrow's and cannot happen as long as all batches of an output have one schema.
    pub(crate) fn finish(mut self) -> Result<CallOutput, String> {
        if let Some(only) = self.only {
            return Ok(only);
        }
        self.begin();
        self.whole.outputs = self.merged.into_iter().map(|output| output.finish(self.rows)).collect::<Result<_, _>>()?;
        Ok(self.whole)
    }
}

/// Batches have fewer rows than 32 bits count: what chooses rows of them are `UInt32Array`s.
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl OutputMerge {
    fn finish(self, rows: u32) -> Result<Vec<Piece>, String> {
        if !self.selected.is_empty() {
            return Ok(vec![Piece::Selected(self.selected.into())]);
        }
        if !self.has_parents {
            return Ok(self.emitted.into_iter().map(|e| Piece::Emitted { rows: e.rows, parents: None }).collect());
        }
        // Each call of a map gives one batch, row for row: so does the whole.
        let one_to_one = self.emitted.iter().all(|e| e.parents.is_none()) && contiguous(&self.emitted, rows);
        if one_to_one && let Some(first) = self.emitted.first() {
            let rows = arrow_select::concat::concat_batches(&first.rows.schema(), self.emitted.iter().map(|e| &e.rows));
            return Ok(vec![Piece::Emitted { rows: rows.map_err(|e| e.to_string())?, parents: None }]);
        }
        Ok(self.emitted.into_iter().map(Emitted::with_parents).collect())
    }
}

/// Whether there is exactly one batch a call, without gaps from the first row to the last.
fn contiguous(emitted: &[Emitted], rows: u32) -> bool {
    let mut next = 0;
    emitted.iter().all(|e| e.slice.start == std::mem::replace(&mut next, e.slice.end)) && next == rows
}

impl Emitted {
    fn with_parents(self) -> Piece {
        let parents = match self.parents {
            Some(parents) => parents.values().iter().map(|row| row + self.slice.start).collect(),
            None => UInt32Array::from_iter_values(self.slice),
        };
        Piece::Emitted { rows: self.rows, parents: Some(parents) }
    }
}
