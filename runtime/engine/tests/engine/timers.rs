//! Timers of processing time: an operator is called when its deadline has passed, with or without rows, and before later rows.

use crate::parts::*;
use arrow_array::RecordBatch;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stygian_engine::{CallContext, Clock, JobError, ManualClock, Operator, OperatorError, Output, Partitioning, Stop, Target, TaskSpec};

/// Holds rows until 10 us after the first of them came.
struct Hold {
    held: Vec<RecordBatch>,
    deadline: Option<i64>,
    /// The processing times of all calls, those of timers negated.
    calls: Arc<Mutex<Vec<i64>>>,
}

impl Operator for Hold {
    fn process(&mut self, rows: RecordBatch, context: &CallContext, _: &mut Output) -> Result<(), OperatorError> {
        self.held.push(rows);
        self.deadline.get_or_insert(context.processing_time + 10);
        self.calls.lock().expect("no panic").push(context.processing_time);
        Ok(())
    }

    fn next_deadline(&self) -> Option<i64> {
        self.deadline
    }

    fn processing_time(&mut self, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        assert!(self.deadline.take().is_some_and(|deadline| deadline <= context.processing_time));
        self.held.drain(..).for_each(|rows| out.push(0, rows));
        self.calls.lock().expect("no panic").push(-context.processing_time);
        Ok(())
    }
}

/// events -> hold -> out, in one chain or behind an exchange.
fn holding(chained: bool, fixed: Fixed, calls: &Arc<Mutex<Vec<i64>>>, out: &Collect) -> Vec<TaskSpec> {
    let calls = calls.clone();
    let hold = stage("hold", vec![vec![Target::Outlet(0)]], move |_| Ok(Hold { held: vec![], deadline: None, calls: calls.clone() }));
    if chained {
        return vec![task("all", 1, source(fixed, vec![Target::Stage(0)]), vec![hold], vec![sink("out", out)])];
    }
    vec![
        task("events", 1, source(fixed, vec![Target::Outlet(0)]), vec![], vec![to(1, Partitioning::Forward)]),
        task("hold", 1, stygian_engine::Head::Exchange, vec![hold], vec![sink("out", out)]),
    ]
}

async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn fires_without_rows(chained: bool) {
    let (clock, stop, out, calls) = (ManualClock::new(100), Stop::default(), Collect::default(), Arc::default());
    let fixed = Fixed { endless: true, ..Fixed::of(vec![vec![batch(&[("a", 1, 5)])]]) };
    let mut spec = job(holding(chained, fixed, &calls, &out));
    spec.clock = Arc::new(clock.clone());
    let request = stop.clone();
    let seen = move || calls.lock().expect("no panic").clone();
    run_with(spec, &stop, |_| async move {
        until(|| seen() == [100]).await;
        clock.set(109);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(seen(), [100], "the deadline is 110");
        clock.set(110);
        until(|| seen() == [100, -110]).await;
        request.request();
    })
    .expect("runs");
    assert_eq!(keyed_numbers(&out.rows(), "key", "n"), [("a".to_owned(), 1)]);
}

#[test]
fn a_timer_fires_without_rows_behind_a_source() {
    fires_without_rows(true);
}

#[test]
fn a_timer_fires_without_rows_behind_an_exchange() {
    fires_without_rows(false);
}

/// Shows 10 us more at every look.
#[derive(Debug)]
struct Ticking(std::sync::atomic::AtomicI64);

#[async_trait::async_trait]
impl Clock for Ticking {
    fn now(&self) -> i64 {
        self.0.fetch_add(10, std::sync::atomic::Ordering::SeqCst)
    }

    async fn reached(&self, _: i64) {
        std::future::pending::<()>().await;
    }
}

#[test]
fn a_due_timer_fires_before_later_rows_however_fast_they_come() {
    for chained in [true, false] {
        let (out, calls) = (Collect::default(), Arc::default());
        let fixed = Fixed::of(vec![(0..5).map(|n| batch(&[("a", n, n)])).collect()]);
        let mut spec = job(holding(chained, fixed, &calls, &out));
        spec.clock = Arc::new(Ticking(0.into()));
        run(spec).expect("runs");
        let calls = calls.lock().expect("no panic").clone();
        let fired: Vec<bool> = calls.iter().map(|at| *at < 0).collect();
        assert_eq!(fired[..9], [false, true, false, true, false, true, false, true, false], "{calls:?}");
    }
}

/// Names a deadline and nothing else.
struct Forgetful;

impl Operator for Forgetful {
    fn process(&mut self, _: RecordBatch, _: &CallContext, _: &mut Output) -> Result<(), OperatorError> {
        Ok(())
    }

    fn next_deadline(&self) -> Option<i64> {
        Some(0)
    }
}

#[test]
fn an_operator_that_forgets_its_timers_fails() {
    let forgetful = stage("forgetful", vec![vec![]], |_| Ok(Forgetful));
    let fixed = Fixed::of(vec![vec![batch(&[("a", 1, 5)])]]);
    let error = run(job(vec![task("all", 1, source(fixed, vec![Target::Stage(0)]), vec![forgetful], vec![])])).expect_err("fails");
    assert!(matches!(error, JobError::Operator { doing: "fired its timers", .. }), "{error}");
}
