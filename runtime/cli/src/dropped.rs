//! What a stop drops where no checkpoint holds it: the end of a run tells it, and so does the answer of `stygian stop`.

use indicatif::HumanCount;
use stygian_engine::Dropped;

/// For people: a line for each kind of what was dropped, and how to drop nothing; empty if nothing was.
pub(crate) fn told(dropped: Dropped) -> String {
    let Dropped { windows, rows, timers } = dropped;
    let count = |count: usize| HumanCount(count as u64);
    let instead = "no checkpoint holds them, and `--drain` fires them instead";
    let mut text = String::new();
    if timers > 0 {
        text.push_str(&format!("{} timers that had not fired were dropped with their state: {instead}\n", count(timers)));
    }
    if windows > 0 {
        text.push_str(&format!("{} open windows with {} rows were dropped: {instead}\n", count(windows), count(rows)));
    }
    text
}
