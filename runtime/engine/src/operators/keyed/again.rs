//! Calls that failed, made again with fewer rows or timers, until those are found that make the plugin fail.

use super::{Called, Calls, Due, Fired, Part, STATE_FAULT, guest_context};
use crate::poison::{Attempts, Stuck};
use crate::{OperatorError, Output};
use std::ops::Range;
use std::path::PathBuf;
use stygian_core::TimerClock;
use stygian_sandbox::{CallError, DeadRow};

/// The calls of a slice that failed, made again with fewer rows.
pub(super) struct Again<'a> {
    pub(super) calls: &'a mut Calls,
    pub(super) part: Part<'a>,
    pub(super) out: &'a mut Output,
    /// The rows of the call that failed last: perhaps not all that were to be called, if their state was too large.
    pub(super) failed: Range<usize>,
    /// What is no failure of the plugin's, and ends the job.
    pub(super) fatal: Option<OperatorError>,
}

impl Attempts for Again<'_> {
    fn run(&mut self, rows: &Range<usize>) -> Result<(), Stuck> {
        let mut start = rows.start;
        while start < rows.end {
            self.calls.plugin.reset();
            let begun = self.calls.begin(self.part.rows, start, rows.end - start, self.part.context);
            match begun.and_then(|call| self.calls.run(&self.part, start, call, self.out)) {
                Ok(Called { slice, failure: None }) => start = slice.end,
                Ok(Called { failure: Some(error), slice }) => {
                    let from = slice.start;
                    self.failed = slice;
                    return Err(Stuck { from, error });
                }
                Err(error) => {
                    let fault = self.calls.plugin.host_fault(rows.clone(), STATE_FAULT);
                    self.fatal = Some(error);
                    return Err(Stuck { from: start, error: Box::new(fault) });
                }
            }
        }
        Ok(())
    }

    fn capture(&mut self, _rows: &Range<usize>, error: &CallError) -> Option<PathBuf> {
        let Part { rows, context } = self.part;
        let mut call = self.calls.begin(rows, self.failed.start, self.failed.len(), context).ok()?;
        let (keys, lives_at) = (self.calls.key_columns(rows), self.calls.lives_by(context));
        let slice = self.failed.clone();
        let saved = self.calls.save(|plugin| plugin.capture(guest_context(context), (rows, &slice), &keys, &mut call, lives_at, error));
        self.calls.state = Some(call.abort());
        saved
    }
}

/// The calls on timers that failed, made again with fewer of them. Timers are due in one order, so those of a range are the first that are
/// left; what a call that went well sets anew for a time before them comes in between, and is counted with them.
pub(super) struct TimersAgain<'a> {
    pub(super) calls: &'a mut Calls,
    pub(super) due: Due<'a>,
    pub(super) out: &'a mut Output,
    pub(super) buries: bool,
    pub(super) fatal: Option<OperatorError>,
}

impl Attempts for TimersAgain<'_> {
    fn run(&mut self, timers: &Range<usize>) -> Result<(), Stuck> {
        self.calls.plugin.reset();
        match self.calls.fire(&self.due, timers.len(), self.out) {
            Ok(Some(Fired { failure: Some(error), .. })) => Err(Stuck { from: timers.start, error }),
            Ok(_) => Ok(()),
            Err(error) => {
                self.fatal = Some(error);
                Err(Stuck { from: timers.start, error: Box::new(self.calls.plugin.host_fault(timers.clone(), STATE_FAULT)) })
            }
        }
    }

    fn capture(&mut self, timers: &Range<usize>, error: &CallError) -> Option<PathBuf> {
        let (context, by_clock) = (guest_context(self.due.context), self.due.clock == TimerClock::ProcessingTime);
        let mut call = self.calls.begin_timers(&self.due, timers.len()).ok()??;
        let lives_at = self.calls.lives_by(self.due.context);
        let saved = self.calls.save(|plugin| plugin.capture_timers(context, &mut call, lives_at, by_clock, error));
        self.calls.state = Some(call.abort());
        saved
    }

    /// Timers that are given up are gone as if they had fired.
    fn give_up(&mut self, timers: &Range<usize>, reason: &str) -> Result<(), OperatorError> {
        let Some(call) = self.calls.begin_timers(&self.due, timers.len())? else { return Ok(()) };
        if self.buries {
            let rows = self.calls.timer_rows(&call)?;
            let dead = (0_u32..).take(rows.num_rows()).map(|row| DeadRow { row, reason: reason.to_owned() });
            self.calls.put_dead(&rows, &dead.collect::<Vec<_>>(), self.out)?;
        }
        self.calls.state = Some(call.commit()?);
        Ok(())
    }
}
