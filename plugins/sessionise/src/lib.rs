//! Makes sessions: rows of a key that are less than a gap apart belong together. A session's row goes out once no row can join it any more.

pub mod sessions;

use serde::Deserialize;
use sessions::{Session, Sessions};
use std::time::Duration;
use stygian_sdk::prelude::*;

/// The columns that are read.
#[derive(Row)]
pub struct Event {
    at: TimestampUtc,
}

/// What a key waits for.
#[derive(Clone, Copy, Timers)]
pub enum Alarm {
    /// A session may be over.
    #[timer(event_time)]
    Silence,
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
        let over_at = open.join(event.at, self.gap);
        if open.alarm.is_none_or(|alarm| over_at < alarm) {
            open.alarm = Some(over_at);
            cx.timers.set(Alarm::Silence, over_at);
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
