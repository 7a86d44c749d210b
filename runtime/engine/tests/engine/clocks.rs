//! Windows by the clock: of processing time, and with early results. The tests own the clock.

use crate::parts::*;
use std::sync::Arc;
use std::time::Duration;
use stygian_engine::operators::Window;
use stygian_engine::{Dropped, ManualClock, Metrics, Partitioning, Report, Stop, Target};
use stygian_expr::{Aggregate, WindowAggregatorSpec, WindowSpec};

const SECOND: i64 = 1_000_000;

/// events -> key exchange -> window of 10 s by `event_time`, on a clock that stands at 25 s.
struct Clocked {
    clock: ManualClock,
    stop: Stop,
    results: Collect,
}

impl Clocked {
    fn new() -> Self {
        Self { clock: ManualClock::new(25 * SECOND), stop: Stop::default(), results: Collect::default() }
    }

    /// Runs endless rows while `meanwhile` moves the clock; then stops.
    fn run<F: Future<Output = ()>>(
        &self,
        event_time: Option<usize>,
        early: Option<Duration>,
        rows: &[Row],
        meanwhile: impl FnOnce(ManualClock, Metrics) -> F,
    ) -> Report {
        let total = Aggregate::compile("sum(n)", &schema()).expect("an aggregate");
        let spec = Arc::new(WindowAggregatorSpec {
            window: WindowSpec::tumbling(10 * SECOND),
            keys: vec![0],
            event_time,
            allowed_lateness: 0,
            early: early.is_some(),
            aggregates: vec![("total".to_owned(), total)],
            input: schema(),
        });
        let fixed = Fixed { endless: true, ..Fixed::of(vec![vec![batch(rows)]]) };
        let window = stage("totals", vec![vec![Target::Outlet(0)], vec![]], move |context| Window::new(spec.clone(), early, context));
        let mut spec = job(vec![
            task("events", 1, source(fixed, vec![Target::Outlet(0)]), vec![], vec![to(1, Partitioning::Hash(vec![0]))]),
            task("totals", 1, stygian_engine::Head::Exchange, vec![window], vec![sink("results", &self.results)]),
        ]);
        spec.clock = Arc::new(self.clock.clone());
        let (clock, stop, expected) = (self.clock.clone(), self.stop.clone(), rows.len());
        let report = run_with(spec, &self.stop, |metrics| async move {
            until(&metrics, |rows_in, _| rows_in == expected).await;
            meanwhile(clock, metrics).await;
            stop.request();
        });
        report.expect("runs")
    }
}

/// Waits until the window's counts of rows are as wanted.
async fn until(metrics: &Metrics, wanted: impl Fn(usize, usize) -> bool) {
    let count = |n: u64| usize::try_from(n).expect("small");
    loop {
        let nodes = metrics.snapshot();
        let window = nodes.iter().find(|node| node.node.as_str() == "totals").expect("the window");
        if wanted(count(window.rows_in), count(window.rows_out)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn windows_of_processing_time_fire_by_the_clock_without_rows() {
    let clocked = Clocked::new();
    // Event times from anywhere: they do not matter.
    let rows = [("a", 1, 90 * SECOND), ("b", 2, 0), ("a", 4, 5)];
    let report = clocked.run(None, None, &rows, |clock, metrics| async move {
        clock.set(30 * SECOND - 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
        until(&metrics, |_, out| out == 0).await;
        clock.set(30 * SECOND);
        until(&metrics, |_, out| out == 2).await;
    });
    assert_eq!(report, Report::default());
    assert_eq!(keyed_numbers(&clocked.results.rows(), "key", "total"), [("a".to_owned(), 5), ("b".to_owned(), 2)]);
    assert_eq!(times(&clocked.results.rows(), "window_start"), [20 * SECOND; 2]);
}

#[test]
fn windows_of_processing_time_that_are_open_at_a_stop_are_counted() {
    let report = Clocked::new().run(None, None, &[("a", 1, 0), ("b", 2, 0)], |_, _| async {});
    assert_eq!(report.dropped, Dropped { windows: 1, rows: 2, timers: 0 });
}

#[test]
fn early_results_come_at_multiples_of_the_interval_and_only_when_rows_came() {
    let clocked = Clocked::new();
    let rows = [("a", 1, 0), ("b", 2, 1), ("a", 4, 2)];
    let report = clocked.run(Some(2), Some(Duration::from_secs(10)), &rows, |clock, metrics| async move {
        clock.set(30 * SECOND - 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
        until(&metrics, |_, out| out == 0).await;
        clock.set(31 * SECOND);
        until(&metrics, |_, out| out == 2).await;
        // Nothing new: nothing to tell.
        clock.set(99 * SECOND);
        tokio::time::sleep(Duration::from_millis(20)).await;
        until(&metrics, |_, out| out == 2).await;
    });
    assert_eq!(report.dropped, Dropped { windows: 1, rows: 3, timers: 0 });
    let rows = clocked.results.rows();
    assert_eq!(keyed_numbers(&rows, "key", "total"), [("a".to_owned(), 5), ("b".to_owned(), 2)]);
    assert_eq!(keyed_numbers(&rows, "key", "revision"), [("a".to_owned(), 0), ("b".to_owned(), 0)]);
}

#[test]
fn the_final_result_follows_early_ones_as_a_higher_revision() {
    let clocked = Clocked { stop: Stop::new(true), ..Clocked::new() };
    let report = clocked.run(Some(2), Some(Duration::from_secs(10)), &[("a", 1, 0), ("a", 2, 1)], |clock, metrics| async move {
        clock.set(31 * SECOND);
        until(&metrics, |_, out| out == 1).await;
    });
    assert_eq!(report, Report::default());
    assert_eq!(keyed_numbers(&clocked.results.rows(), "key", "revision"), [("a".to_owned(), 0), ("a".to_owned(), 1)]);
    assert_eq!(keyed_numbers(&clocked.results.rows(), "key", "total"), [("a".to_owned(), 3), ("a".to_owned(), 3)]);
}
