//! Fails on negative numbers and on the timers of one user, and says in its panic all that it keeps: only a call with the same state fails with
//! the same words.

use serde::Deserialize;
use std::sync::atomic::{AtomicU64, Ordering};
use stygian_sdk::prelude::*;

/// The columns that are read.
#[derive(Row)]
pub struct Event {
    n: i64,
    at: TimestampUtc,
}

/// What is kept for a user: a slot of each kind.
#[derive(State)]
pub struct Kept {
    count: ValueState<u64>,
    numbers: ListState<i64>,
    /// How often each number came.
    often: MapState<i64, u64>,
    /// Of a heavy one, a hundred bytes.
    weight: ValueState<Vec<u8>>,
}

/// What a user waits for.
#[derive(Clone, Copy, Timers)]
pub enum Later {
    /// Ten seconds have passed since a row.
    #[timer(event_time)]
    Passed,
}

/// A row out for each row in.
#[derive(OutputRow)]
pub struct Counted<'a> {
    user: &'a str,
    count: u64,
}

/// The pipeline's `config` table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brittle {
    /// The user whose timers fail.
    #[serde(default)]
    bad_timers_of: String,
    /// Counts the rows of all calls in a static, as no plugin may.
    #[serde(default)]
    impure: bool,
    /// Every user's state is large from its first row on.
    #[serde(default)]
    heavy: bool,
}

static ROWS: AtomicU64 = AtomicU64::new(0);

impl Brittle {
    fn told(cx: &mut Context<'_, Self>) -> String {
        let count = *cx.state.count.or_default();
        let numbers: Vec<String> = cx.state.numbers.iter().map(|n| n.to_string()).collect();
        let often: Vec<String> = cx.state.often.iter().map(|(n, times)| format!("{n}x{times}")).collect();
        format!("{} has {count}: {}; {}", cx.key, numbers.join(" "), often.join(" "))
    }
}

impl Keyed for Brittle {
    type Config = Self;
    type Key<'a> = &'a str;
    type Row<'a> = Event;
    type State = Kept;
    type Timers = Later;
    type Outputs<'a> = Output<Counted<'a>>;

    fn open(config: Self) -> Result<Self, String> {
        Ok(config)
    }

    fn row<'a>(&'a self, event: Event, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        assert!(event.n >= 0, "a negative number: {}", Self::told(cx));
        let before = if self.impure { ROWS.fetch_add(1, Ordering::Relaxed) } else { *cx.state.count.or_default() };
        let count = before + 1;
        cx.state.count.set(count);
        if self.heavy {
            cx.state.weight.set(vec![0; 100]);
        }
        cx.state.numbers.push(event.n);
        let times = cx.state.often.get(&(event.n % 3)).copied().unwrap_or(0);
        cx.state.often.insert(&(event.n % 3), times + 1);
        cx.timers.set(Later::Passed, event.at + std::time::Duration::from_secs(10));
        cx.out.push(Counted { user: cx.key, count: if self.impure { 0 } else { count } });
        Ok(())
    }

    fn timer<'a>(&'a self, _passed: Later, at: TimestampUtc, cx: &mut Context<'a, Self>) -> Result<(), String> {
        assert!(cx.key != self.bad_timers_of, "a bad timer at {}: {}", at.0, Self::told(cx));
        Ok(())
    }
}

stygian_sdk::export!(keyed Brittle);
