//! What the engine asks of an operator.

use crate::error::OperatorError;
use crate::metrics::Counters;
use arrow_array::RecordBatch;
use std::collections::BTreeMap;
use std::sync::Arc;
use stygian_checkpoint::Ahead;
use stygian_core::{EventTime, KeyGroup, MaxParallelism, OperatorId, SavedSection, StateSection, SubtaskId};

/// The circumstances of a call.
#[derive(Clone, Copy, Debug)]
pub struct CallContext {
    /// The operator's watermark; [`EventTime::MIN`] before the first.
    pub watermark: EventTime,
    /// Processing time in microseconds since the Unix epoch.
    pub processing_time: i64,
}

/// Who an operator is built for.
#[derive(Clone, Debug)]
pub struct SubtaskContext {
    /// The node's name.
    pub node: OperatorId,
    /// Which of its parallel copies.
    pub subtask: SubtaskId,
    /// The job's key groups.
    pub groups: MaxParallelism,
    /// Where the operator counts what only it knows (late rows, dead letters, log lines).
    pub counters: Arc<Counters>,
}

/// Rows that an operator passes on, each batch with the index of the output it goes to.
#[derive(Debug, Default)]
pub struct Output {
    batches: Vec<(usize, RecordBatch)>,
    /// Rows among them that are no results.
    aside: usize,
}

impl Output {
    /// Passes rows on; none are dropped silently but an empty batch, which says nothing.
    pub fn push(&mut self, output: usize, rows: RecordBatch) {
        if rows.num_rows() > 0 {
            self.batches.push((output, rows));
        }
    }

    /// Passes on rows that are no results: late rows, dead letters. They have counters of their own.
    pub fn push_aside(&mut self, output: usize, rows: RecordBatch) {
        self.aside += rows.num_rows();
        self.push(output, rows);
    }

    /// What was passed on, and how many rows of it are results.
    pub(crate) fn into_parts(self) -> (Vec<(usize, RecordBatch)>, usize) {
        let rows: usize = self.batches.iter().map(|(_, rows)| rows.num_rows()).sum();
        (self.batches, rows - self.aside)
    }
}

/// What is lost when a stream is stopped without its final watermark and no checkpoint holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Windows that had not fired.
    pub windows: usize,
    /// Rows in them.
    pub rows: usize,
    /// Timers that had not fired.
    pub timers: usize,
}

/// The parts of state that operators have ([`StateSection::part`]).
pub(crate) const PARTS: [&str; 5] = ["keyed", "timers", "windows", "top", "dedup"];

/// What an operator keeps, at one point of its stream.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Its state by key group: of each part and group everything, or what has changed since the snapshot before.
    pub sections: Vec<StateSection>,
    /// The part of which everything is in `sections`: groups that are not there hold nothing. `None`: they have not changed.
    pub complete: Option<&'static str>,
    /// How many values there are by slot and version, all of them.
    pub versions: BTreeMap<String, BTreeMap<u32, u64>>,
    /// What wrote its accumulators; they are only read by the same.
    pub accumulators: Option<String>,
}

/// One subtask's operator. Called on a compute thread, never blocks on anything outside.
pub trait Operator: Send {
    /// Works on rows; at least one.
    ///
    /// # Errors
    /// Ends the job.
    fn process(&mut self, rows: RecordBatch, context: &CallContext, out: &mut Output) -> Result<(), OperatorError>;

    /// The watermark advanced to `context.watermark`; at the end of the input that is [`EventTime::MAX`], which fires what waits. More input
    /// may follow in a later run, so nothing is forgotten for it. What is passed on here still goes before it.
    ///
    /// # Errors
    /// Ends the job.
    fn watermark(&mut self, _context: &CallContext, _out: &mut Output) -> Result<(), OperatorError> {
        Ok(())
    }

    /// When to call [`Operator::processing_time`] next, in microseconds since the Unix epoch; `None`: not for anything held now. Asked
    /// often: before every element and after every call. A time that has passed means at once.
    fn next_deadline(&self) -> Option<i64> {
        None
    }

    /// Processing time (`context.processing_time`) has come to [`Operator::next_deadline`], perhaps long ago. Called before rows that come
    /// after it. Must move the deadline or do a part of what is due: it is called again as long as a deadline has passed.
    ///
    /// # Errors
    /// Ends the job. An operator that names a deadline and does not have this method fails here, so that no timer is lost in silence.
    fn processing_time(&mut self, _context: &CallContext, _out: &mut Output) -> Result<(), OperatorError> {
        Err(OperatorError::NoTimers)
    }

    /// What it keeps, for a checkpoint: everything of the key groups that `whole` names, of others what has changed since the snapshot before
    /// if it can tell. Changes nothing that anybody sees.
    ///
    /// # Errors
    /// Ends the job.
    fn snapshot(&mut self, _whole: &dyn Fn(KeyGroup) -> bool) -> Result<Snapshot, OperatorError> {
        Ok(Snapshot::default())
    }

    /// Changes that a snapshot gave out came to nothing: they count as changes since again.
    ///
    /// # Errors
    /// Ends the job.
    fn unsaved(&mut self, _section: &StateSection) -> Result<(), OperatorError> {
        Ok(())
    }

    /// Before anything is restored: the parts of its state that it has kept from an earlier run, and that are just what these sections, all
    /// that the checkpoint has for it, hold. Their sections are neither read nor restored.
    ///
    /// # Errors
    /// Keeps the job from starting.
    fn resume(&mut self, _saved: &[SavedSection]) -> Result<&'static [&'static str], OperatorError> {
        Ok(&[])
    }

    /// Takes back what a snapshot gave out, its own or another subtask's, before anything else; of a key group first what is whole, then
    /// changes in their order.
    ///
    /// # Errors
    /// Keeps the job from starting: it is damaged, or of another operator. One that has no state takes none.
    fn restore(&mut self, section: &StateSection) -> Result<(), OperatorError> {
        Err(OperatorError::NoState { part: section.part })
    }

    /// What is stored in place of its input's watermark, if that does not say which rows are late: how far processing time (`now`) has come
    /// for operators that live by it; and at the end of the input, where all has fired, the end of what has fired last.
    fn clock(&self, _now: EventTime) -> Option<EventTime> {
        None
    }

    /// The watermark of its input at the snapshot (or its [`Operator::clock`]): windows before it have fired. Comes behind all sections. Never
    /// [`EventTime::MAX`].
    fn restore_watermark(&mut self, _watermark: EventTime) {}

    /// Key groups of other subtasks that had come further than that watermark: of these, nothing up to there fires again.
    fn restore_ahead(&mut self, _ahead: &[Ahead]) {}

    /// Nothing follows: what is still held, and now dropped.
    fn end(&mut self) -> Dropped {
        Dropped::default()
    }
}

/// Makes the operator of each subtask.
pub trait OperatorFactory: Send + Sync {
    /// A new operator.
    ///
    /// # Errors
    /// Keeps the job from starting.
    fn build(&self, context: &SubtaskContext) -> Result<Box<dyn Operator>, OperatorError>;
}

impl<F: Fn(&SubtaskContext) -> Result<Box<dyn Operator>, OperatorError> + Send + Sync> OperatorFactory for F {
    fn build(&self, context: &SubtaskContext) -> Result<Box<dyn Operator>, OperatorError> {
        self(context)
    }
}
