//! A graceful stop: what was read is worked off, half windows do not fire unless told to.

use crate::flow::windowed;
use crate::parts::*;
use std::sync::atomic::Ordering;
use std::time::Duration;
use stygian_engine::{Dropped, Report, Stop, Target};
use tokio_util::sync::CancellationToken;

fn endless(batches: Vec<arrow_array::RecordBatch>) -> Fixed {
    Fixed { endless: true, ..Fixed::of(vec![batches]) }
}

fn stopped(drain: bool) -> (Report, Collect) {
    let (results, late) = (Collect::default(), Collect::default());
    let fixed = endless(vec![batch(&[("a", 1, 5), ("b", 1, 6)]), batch(&[("a", 2, 15), ("a", 4, 16)])]);
    let stop = Stop::new(drain);
    let spec = job(windowed(2, fixed, 10, &results, &late));
    let request = stop.clone();
    let report = run_with(spec, &stop, |metrics| async move {
        // Four rows into the window, and the two results of the first one written.
        while metrics.snapshot().iter().map(|node| node.rows_in).sum::<u64>() < 4 + 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        request.request();
    });
    (report.expect("runs"), results)
}

#[test]
fn a_stop_says_what_open_windows_held() {
    let (report, results) = stopped(false);
    assert_eq!(report, Report { dropped: Dropped { windows: 1, rows: 2, timers: 0 } });
    assert_eq!(keyed_numbers(&results.rows(), "key", "total"), [("a".to_owned(), 1), ("b".to_owned(), 1)], "the closed window fired");
}

#[test]
fn a_stop_that_drains_fires_open_windows() {
    let (report, results) = stopped(true);
    assert_eq!(report, Report::default());
    assert_eq!(keyed_numbers(&results.rows(), "key", "total"), [("a".to_owned(), 1), ("a".to_owned(), 6), ("b".to_owned(), 1)]);
}

#[test]
fn splits_that_go_on_are_read_all_at_once_and_new_ones_when_they_come() {
    for (grows, parallelism) in [(false, 1), (true, 1), (true, 3)] {
        let out = Collect::default();
        let splits = vec![vec![batch(&[("a", 1, 5), ("a", 2, 25)])], vec![batch(&[("b", 1, 6)])], vec![batch(&[("c", 1, 28)])]];
        let fixed = Fixed { endless: true, grows, ..Fixed::of(splits) };
        let spec = job(vec![task("all", parallelism, source(fixed, vec![Target::Outlet(0)]), vec![], vec![sink("out", &out)])]);
        let stop = Stop::default();
        let request = stop.clone();
        run_with(spec, &stop, |metrics| async move {
            while metrics.snapshot().iter().map(|node| node.rows_in).sum::<u64>() < 4 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            request.request();
        })
        .expect("runs");
        let expected = [("a", 1), ("a", 2), ("b", 1), ("c", 1)].map(|(key, n)| (key.to_owned(), n));
        assert_eq!(keyed_numbers(&out.rows(), "key", "n"), expected, "grows: {grows}, parallelism: {parallelism}");
    }
}

#[test]
fn a_slow_sink_holds_the_source_back() {
    let cork = CancellationToken::new();
    let corked = cork.clone();
    let out = Collect::default().before_write(move |_| {
        let corked = corked.clone();
        async move {
            corked.cancelled().await;
            Ok(())
        }
    });
    let fixed = Fixed::of(vec![(0..200).map(|n| batch(&[("a", n, n)])).collect()]);
    let fetches = fixed.fetches.clone();
    let spec = job(vec![task("all", 1, source(fixed, vec![Target::Outlet(0)]), vec![], vec![sink("out", &out)])]);
    run_with(spec, &Stop::default(), |_| async {
        // Reads until the channels are full, then no further however long one looks.
        let mut last = usize::MAX;
        while fetches.load(Ordering::SeqCst) != last {
            last = fetches.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(last < 40, "{last} fetches with nothing written");
        cork.cancel();
    })
    .expect("runs");
    assert_eq!(out.rows().len(), 200);
}
