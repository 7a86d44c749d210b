//! Calls that failed because a migration did, made again by keys rather than rows: the rows of those keys whose state cannot be migrated are given
//! up, all others go through.
//!
//! Keys have nothing to do with each other, so any of them can be called apart. Rows whose keys are migrated and that make the plugin fail
//! all the same are left to be tried again by rows.

use super::{Called, Calls, Part, STATE_FAULT, guest_context};
use crate::poison::{Attempts, GivenUp, Stuck};
use crate::{OperatorError, Output};
use arrow_array::{RecordBatch, UInt32Array};
use std::ops::Range;
use std::path::PathBuf;
use stygian_sandbox::{CallError, DeadRow, Step};

/// Rows, and how a call of them failed.
pub(super) type Left = (RecordBatch, Box<CallError>);

/// What is tried again are the keys of the call that failed, by their index.
pub(super) struct AgainByKey<'a> {
    calls: &'a mut Calls,
    part: Part<'a>,
    out: &'a mut Output,
    /// Of each key its rows in the batch, ascending.
    rows_of: Vec<Vec<u32>>,
    /// The rows of the call that failed last.
    failed: RecordBatch,
    /// Rows that are not migration's to give up, and how a call of them failed.
    left: Vec<Left>,
    fatal: Option<OperatorError>,
}

impl<'a> AgainByKey<'a> {
    /// For the call on these rows, which failed.
    pub(super) fn new(calls: &'a mut Calls, part: Part<'a>, slice: &Range<usize>, out: &'a mut Output) -> Result<Self, OperatorError> {
        let call = calls.begin(part.rows, slice.start, slice.len(), part.context)?;
        let mut rows_of = vec![Vec::new(); call.keys().len()];
        // Batches have fewer rows than 32 bits count.
        for (row, key) in (u32::try_from(slice.start).unwrap_or(u32::MAX)..).zip(call.keys().key_of_row()) {
            rows_of.get_mut(*key as usize).into_iter().for_each(|rows: &mut Vec<u32>| rows.push(row));
        }
        calls.state = Some(call.abort());
        let failed = part.rows.slice(slice.start, slice.len());
        Ok(Self { calls, part, out, rows_of, failed, left: Vec::new(), fatal: None })
    }

    /// How many keys there are.
    pub(super) fn keys(&self) -> usize {
        self.rows_of.len()
    }

    /// The rows of keys that were given up, ascending, and what is left to be tried by rows; the error ends the job.
    pub(super) fn finish(self, given_up: Result<Vec<GivenUp>, OperatorError>) -> Result<(Vec<DeadRow>, Vec<Left>), OperatorError> {
        let given_up = self.fatal.map_or(given_up, Err)?;
        let mut dead = Vec::new();
        for GivenUp { rows: keys, reason } in given_up {
            let rows = self.rows_of.get(keys).unwrap_or_default().iter().flatten();
            dead.extend(rows.map(|row| DeadRow { row: *row, reason: reason.clone() }));
        }
        dead.sort_unstable_by_key(|dead| dead.row);
        Ok((dead, self.left))
    }

    /// The rows of some keys, in the order of the batch.
    fn rows(&self, keys: &Range<usize>) -> Result<RecordBatch, OperatorError> {
        let mut rows: Vec<u32> = self.rows_of.get(keys.clone()).unwrap_or_default().concat();
        rows.sort_unstable();
        Ok(arrow_select::take::take_record_batch(self.part.rows, &UInt32Array::from(rows))?)
    }

    fn call(&mut self, keys: &Range<usize>) -> Result<Option<Box<CallError>>, OperatorError> {
        let rows = self.rows(keys)?;
        self.calls.keys_of(&rows)?;
        let (part, mut start) = (Part { rows: &rows, context: self.part.context }, 0);
        while start < rows.num_rows() {
            self.calls.plugin.reset();
            let call = self.calls.begin(&rows, start, rows.num_rows() - start, part.context)?;
            let Called { slice, failure } = self.calls.run(&part, start, call, self.out)?;
            let Some(error) = failure else {
                start = slice.end;
                continue;
            };
            if error.step == Step::Migrate && start == 0 {
                self.failed = rows.slice(0, slice.len());
                return Ok(Some(error));
            }
            self.left.push((rows.slice(start, rows.num_rows() - start), error));
            break;
        }
        Ok(None)
    }
}

impl Attempts for AgainByKey<'_> {
    fn run(&mut self, keys: &Range<usize>) -> Result<(), Stuck> {
        let stuck = |error| Stuck { from: keys.start, error };
        match self.call(keys) {
            Ok(failure) => failure.map_or(Ok(()), |error| Err(stuck(error))),
            Err(error) => {
                self.fatal = Some(error);
                Err(stuck(Box::new(self.calls.plugin.host_fault(keys.clone(), STATE_FAULT))))
            }
        }
    }

    fn capture(&mut self, _keys: &Range<usize>, error: &CallError) -> Option<PathBuf> {
        let (rows, context) = (&self.failed, self.part.context);
        self.calls.keys_of(rows).ok()?;
        let mut call = self.calls.begin(rows, 0, rows.num_rows(), context).ok()?;
        let all = 0..call.keys().key_of_row().len();
        let (keys, lives_at) = (self.calls.key_columns(rows), self.calls.lives_by(context));
        let saved = self.calls.save(|plugin| plugin.capture(guest_context(context), (rows, &all), &keys, &mut call, lives_at, error));
        self.calls.state = Some(call.abort());
        saved
    }

    fn count(&self, keys: &Range<usize>) -> usize {
        self.rows_of.get(keys.clone()).unwrap_or_default().iter().map(Vec::len).sum()
    }
}
