//! Makes sessions: rows of a key that are less than a gap apart belong together. A session's row goes out once no row can join it any more.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use stygian_sdk::prelude::*;

/// The columns that are read.
#[derive(Row)]
pub struct Event {
    at: TimestampUtc,
}

/// The open sessions of a key: one, but for rows that came out of order.
#[derive(State)]
pub struct Sessions {
    open: ValueState<Open>,
}

/// First row, last row and number of rows of each; and the one timer that counts: older ones are stale.
#[derive(Clone, Default, Stored, Serialize, Deserialize)]
pub struct Open {
    sessions: Vec<(TimestampUtc, TimestampUtc, u64)>,
    alarm: Option<TimestampUtc>,
}

/// What a key waits for.
#[derive(Clone, Copy, Timers)]
pub enum Alarm {
    /// A session may be over.
    #[timer(event_time)]
    /// A session may be over.
    Silence,
}

/// A session.
#[derive(OutputRow)]
pub struct Session<'a> {
    user: &'a str,
    start: TimestampUtc,
    end: TimestampUtc,
    events: u64,
}

/// The pipeline's `config` table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessionise {
    /// A key that is silent for so long begins a new session.
    #[serde(with = "stygian_sdk::duration")]
    gap: Duration,
}

impl Keyed for Sessionise {
    type Config = Self;
    type Key<'a> = &'a str;
    type Row<'a> = Event;
    type State = Sessions;
    type Timers = Alarm;
    type Outputs<'a> = Output<Session<'a>>;

    fn open(config: Self) -> Result<Self, String> {
        if config.gap.is_zero() { Err("`gap` must be longer than nothing".into()) } else { Ok(config) }
    }

    fn row<'a>(&'a self, event: Event, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        if cx.watermark.is_some_and(|watermark| event.at + self.gap <= watermark) {
            return Err("late: its session is closed".into());
        }
        let open = cx.state.open.or_default();
        let (mut start, mut end, mut events) = (event.at, event.at, 1);
        open.sessions.retain(|&(first, last, count)| {
            let apart = last + self.gap <= start || end + self.gap <= first;
            if !apart {
                (start, end, events) = (start.min(first), end.max(last), events + count);
            }
            apart
        });
        open.sessions.push((start, end, events));
        if open.alarm.is_none_or(|alarm| end + self.gap < alarm) {
            open.alarm = Some(end + self.gap);
            cx.timers.set(Alarm::Silence, end + self.gap);
        }
        Ok(())
    }

    fn timer<'a>(&'a self, _silence: Alarm, at: TimestampUtc, cx: &mut Context<'a, Self>) -> Result<(), String> {
        let Some(open) = cx.state.open.get_mut().filter(|open| open.alarm == Some(at)) else { return Ok(()) };
        for (start, end, events) in open.sessions.extract_if(.., |session| session.1 + self.gap <= at) {
            cx.out.push(Session { user: cx.key, start, end, events });
        }
        open.alarm = open.sessions.iter().map(|session| session.1 + self.gap).min();
        match open.alarm {
            Some(next) => cx.timers.set(Alarm::Silence, next),
            None => cx.state.open.clear(),
        }
        Ok(())
    }
}

stygian_sdk::export!(keyed Sessionise);

#[cfg(test)]
mod tests;
