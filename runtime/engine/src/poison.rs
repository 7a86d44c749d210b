//! Rows that make a plugin fail: found by [`Retry`], given up as the pipeline's `on_error` says, counted, and watched so that a plugin
//! which fails on too many of them ends the job.
//!
//! What a failed call costs is measured here, the calls themselves are made by whoever owns the plugin ([`Attempts`]): operators with and
//! without state use the same. A failure that is not the rows' ([`Blame::Host`]) ends the job at once.

use crate::error::OperatorError;
use crate::metrics::Counters;
use crate::retry::{Cost, Decision, Failed, Retry};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use stygian_core::{OperatorId, escape};
use stygian_sandbox::{Blame, CallError, thread_cpu};

/// What becomes of a row that makes a plugin fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The job fails.
    #[default]
    Fail,
    /// It is left out, counted.
    Skip,
    /// It goes to the operator's dead letters.
    DeadLetter,
}

/// How a job takes rows that make a plugin fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoisonPolicy {
    /// What becomes of them.
    pub on_error: OnError,
    /// The largest share of a subtask's rows that may be given up, 0 to 1; beyond it the job fails.
    pub max_rate: f64,
}

impl Default for PoisonPolicy {
    fn default() -> Self {
        Self { on_error: OnError::Fail, max_rate: 0.05 }
    }
}

/// Rows that a subtask may give up before their share counts: a few bad rows at the start of a stream are no rate.
const GRACE_ROWS: u64 = 100;
/// Rows after which the past counts half, so that the rate is one of recent rows.
const RATE_WINDOW: u64 = 1 << 20;
/// Characters kept of a failure in the reason of a dead letter.
const REASON_CHARS: usize = 1_000;

/// How many of the rows of late were given up.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    rows: u64,
    given_up: u64,
}

impl Rate {
    fn add_rows(&mut self, rows: usize) {
        self.rows += rows as u64;
        if self.rows > RATE_WINDOW {
            (self.rows, self.given_up) = (self.rows / 2, self.given_up / 2);
        }
    }

    /// Whether there are too many, now that `rows` more are given up.
    #[allow(clippy::cast_precision_loss)] // numbers of rows, compared with a share
    fn exceeds(&mut self, rows: usize, max: f64) -> bool {
        self.given_up += rows as u64;
        self.given_up > GRACE_ROWS && self.given_up as f64 > max * self.rows as f64
    }
}

/// Makes the calls of a slice again.
pub(crate) trait Attempts {
    /// Calls the plugin with these rows, on a fresh instance; with as many as fit, and so on to the last, where not all fit a call. What a call
    /// hands over is kept when it went well; nothing has changed when not, and those behind it are not made.
    fn run(&mut self, rows: &Range<usize>) -> Result<(), Stuck>;

    /// Saves the inputs of a call with these rows, which failed so; where they are, if they were saved.
    fn capture(&mut self, rows: &Range<usize>, error: &CallError) -> Option<PathBuf>;

    /// How many rows these are: what is tried again may stand for several.
    fn count(&self, rows: &Range<usize>) -> usize {
        rows.len()
    }

    /// These rows are given up, for this reason; calls on those behind them come after this.
    ///
    /// # Errors
    /// When they cannot be got out of the way.
    fn give_up(&mut self, _rows: &Range<usize>, _reason: &str) -> Result<(), OperatorError> {
        Ok(())
    }
}

/// A call that failed, of rows that were tried again.
pub(crate) struct Stuck {
    /// The first row of the call: those before it went well.
    pub(crate) from: usize,
    pub(crate) error: Box<CallError>,
}

/// Rows that are not processed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GivenUp {
    pub(crate) rows: Range<usize>,
    pub(crate) reason: String,
}

/// Finds the rows that make one subtask's plugin fail.
pub(crate) struct Poison {
    node: OperatorId,
    policy: PoisonPolicy,
    /// The CPU time that one call may take.
    call_limit: Duration,
    rate: Rate,
    counters: Arc<Counters>,
}

impl Poison {
    pub(crate) fn new(node: OperatorId, policy: PoisonPolicy, call_limit: Duration, counters: Arc<Counters>) -> Self {
        Self { node, policy, call_limit, rate: Rate::default(), counters }
    }

    /// Rows that came, whatever becomes of them.
    pub(crate) fn add_rows(&mut self, rows: usize) {
        self.rate.add_rows(rows);
    }

    /// Whether rows that are given up go to the dead letters.
    pub(crate) fn dead_letters(&self) -> bool {
        self.policy.on_error == OnError::DeadLetter
    }

    /// Works off a slice whose call failed (`fresh`: on an instance that had made no call before). Gives the rows that were given up, in
    /// order; all others went well.
    ///
    /// # Errors
    /// When the failure is not the rows', when `on_error` is `fail`, or when too many rows were given up.
    pub(crate) fn rescue(
        &mut self,
        slice: Range<usize>,
        error: Box<CallError>,
        fresh: bool,
        attempts: &mut impl Attempts,
    ) -> Result<Vec<GivenUp>, OperatorError> {
        let mut retry = Retry::new(slice.clone());
        let (mut given_up, mut last, mut called) = (Vec::new(), error, slice);
        // Nobody has looked at the time before the first call.
        let mut decision = retry.failed(self.failed(&last, fresh, Cost::CALL_LIMIT)?);
        loop {
            decision = match decision {
                Decision::Finished => return Ok(given_up),
                Decision::Run(rows) => {
                    self.counters.add_retried_call();
                    called = rows;
                    let start = thread_cpu();
                    match attempts.run(&called) {
                        Ok(()) => retry.went_well(),
                        Err(Stuck { from, error }) => {
                            let cost = Cost::of(thread_cpu().saturating_sub(start), self.call_limit);
                            last = error;
                            called.start = from;
                            retry.went_well_until(from);
                            retry.failed(self.failed(&last, true, cost)?)
                        }
                    }
                }
                Decision::GiveUp { rows, tried } => {
                    // Of rows that were not tried there is no failed call; the one that spent the budget will do, once.
                    let saved = (tried || given_up.is_empty()).then(|| attempts.capture(&called, &last)).flatten();
                    let count = attempts.count(&rows);
                    let gone = self.give_up((rows, count), tried, &last, saved)?;
                    attempts.give_up(&gone.rows, &gone.reason)?;
                    given_up.push(gone);
                    retry.gave_up()
                }
            };
        }
    }

    /// What the failure means for its rows; the error is one that is not theirs.
    fn failed(&self, error: &CallError, fresh: bool, cost: Cost) -> Result<Failed, OperatorError> {
        for line in &error.logs {
            tracing::info!(operator = %self.node, level = ?line.level, "{}", line.message);
        }
        match error.blame() {
            Blame::Host => Err(OperatorError::Call(Box::new(error.clone()))),
            Blame::Rows { timed_out } => Ok(Failed { timed_out, fresh, cost: if timed_out { Cost::CALL_LIMIT } else { cost } }),
        }
    }

    /// Gives up what is so many rows.
    fn give_up(
        &mut self,
        (rows, count): (Range<usize>, usize),
        tried: bool,
        error: &CallError,
        saved: Option<PathBuf>,
    ) -> Result<GivenUp, OperatorError> {
        if self.policy.on_error == OnError::Fail {
            return Err(OperatorError::Poison { call: Box::new(error.clone()), saved });
        }
        let failure = escape(&error.situation.to_string(), REASON_CHARS);
        let reason = if tried { failure } else { format!("not tried: the retry budget of its call was spent, last on this: {failure}") };
        if self.counters.add_poison_rows(count, || reason.clone()) {
            tracing::warn!(operator = %self.node, rows = count, saved = ?saved, "a row makes the plugin fail: {reason}");
        }
        if self.rate.exceeds(count, self.policy.max_rate) {
            let (given_up, of) = (self.rate.given_up, self.rate.rows);
            return Err(OperatorError::TooMuchPoison {
                operator: self.node.clone(),
                given_up,
                of,
                max: self.policy.max_rate,
                reason,
                saved,
            });
        }
        Ok(GivenUp { rows, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stygian_sandbox::{Situation, Step};

    /// A plugin that fails on some rows in some way.
    struct Fake {
        bad: Vec<usize>,
        situation: Situation,
        calls: Vec<Range<usize>>,
        captured: Vec<Range<usize>>,
    }

    impl Fake {
        fn new(bad: &[usize], situation: Situation) -> Self {
            Self { bad: bad.to_vec(), situation, calls: Vec::new(), captured: Vec::new() }
        }

        fn error(&self, rows: &Range<usize>) -> Box<CallError> {
            Box::new(CallError {
                plugin: "fake@1.0.0".into(),
                operator: "node".into(),
                rows: rows.clone(),
                step: Step::Process,
                migrating: None,
                situation: self.situation.clone(),
                logs: Vec::new(),
            })
        }
    }

    impl Attempts for Fake {
        fn run(&mut self, rows: &Range<usize>) -> Result<(), Stuck> {
            self.calls.push(rows.clone());
            let is_bad = self.bad.iter().any(|bad| rows.contains(bad));
            if is_bad { Err(Stuck { from: rows.start, error: self.error(rows) }) } else { Ok(()) }
        }

        fn capture(&mut self, rows: &Range<usize>, _error: &CallError) -> Option<PathBuf> {
            self.captured.push(rows.clone());
            Some("saved.capture".into())
        }
    }

    fn trap() -> Situation {
        Situation::Trap { message: "unreachable".into(), panic: None }
    }

    fn poison(on_error: OnError, max_rate: f64) -> (Poison, Arc<Counters>) {
        let counters = Arc::new(Counters::default());
        let policy = PoisonPolicy { on_error, max_rate };
        (Poison::new(OperatorId::new("node"), policy, Duration::from_secs(1), counters.clone()), counters)
    }

    fn rescue(poison: &mut Poison, rows: usize, fake: &mut Fake) -> Result<Vec<GivenUp>, OperatorError> {
        poison.add_rows(rows);
        let error = fake.error(&(0..rows));
        poison.rescue(0..rows, error, false, fake)
    }

    #[test]
    fn gives_up_the_bad_rows_alone_and_saves_their_calls() {
        for on_error in [OnError::Skip, OnError::DeadLetter] {
            let (mut poison, _) = poison(on_error, 0.5);
            let mut fake = Fake::new(&[3, 1000], trap());
            let given_up = rescue(&mut poison, 2048, &mut fake).expect("two rows");
            let rows: Vec<_> = given_up.iter().map(|given_up| given_up.rows.clone()).collect();
            assert_eq!(rows, [3..4, 1000..1001]);
            assert!(given_up[0].reason.contains("unreachable"), "{}", given_up[0].reason);
            assert_eq!(fake.captured, rows);
        }
    }

    #[test]
    fn fails_on_the_row_itself_where_nothing_else_is_wanted() {
        let (mut poison, _) = poison(OnError::Fail, 1.0);
        let mut fake = Fake::new(&[7], trap());
        let error = rescue(&mut poison, 100, &mut fake).expect_err("a failure");
        let OperatorError::Poison { call, saved } = &error else { panic!("{error}") };
        assert_eq!((call.rows.clone(), saved.is_some()), (7..8, true));
        assert!(error.to_string().contains("`process` of row 7:"), "{error}");
        assert!(error.to_string().contains("stygian plugin replay saved.capture"), "{error}");
    }

    #[test]
    fn what_is_not_the_rows_fault_ends_the_job_at_once() {
        let (mut poison, _) = poison(OnError::Skip, 1.0);
        let mut fake = Fake::new(&[0], Situation::TooManyInstances { limit: 1 });
        let error = rescue(&mut poison, 100, &mut fake).expect_err("a failure");
        assert!(matches!(error, OperatorError::Call(_)), "{error}");
        assert!(fake.calls.is_empty());
    }

    #[test]
    fn too_many_bad_rows_fail_the_job_but_not_the_first_hundred() {
        let (mut poison, _) = poison(OnError::Skip, 0.1);
        for call in 0..100 {
            let mut fake = Fake::new(&[0], trap());
            rescue(&mut poison, 2, &mut fake).unwrap_or_else(|error| panic!("call {call}: {error}"));
        }
        let error = rescue(&mut poison, 2, &mut Fake::new(&[0], trap())).expect_err("every second row");
        assert!(matches!(error, OperatorError::TooMuchPoison { given_up: 101, of: 202, .. }), "{error}");
    }

    #[test]
    fn a_plugin_that_always_times_out_costs_its_budget_and_fails_the_job() {
        let (mut poison, _) = poison(OnError::DeadLetter, 0.1);
        let zero = stygian_core::Span::millis(0);
        let timeout = Situation::Timeout { cpu: zero, wall: zero, limit: stygian_sandbox::TimeLimit::Cpu(zero) };
        let mut fake = Fake::new(&(0..2048).collect::<Vec<_>>(), timeout);
        let error = rescue(&mut poison, 2048, &mut fake).expect_err("all rows");
        assert!(matches!(error, OperatorError::TooMuchPoison { .. }), "{error}");
        assert_eq!(fake.calls.len() + 1, 16);
        assert_eq!(fake.captured, [0..1, 1..2]);
    }

    #[test]
    fn the_rate_forgets() {
        let mut rate = Rate { rows: 0, given_up: 1000 };
        for _ in 0..20 {
            rate.add_rows(1 << 19);
        }
        assert!(rate.given_up < 100, "{rate:?}");
        assert!(rate.rows <= RATE_WINDOW);
    }
}
