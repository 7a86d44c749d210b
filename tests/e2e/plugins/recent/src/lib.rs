//! Counts what a user has done, lately and ever: a slot of each kind that forgets after an hour, one that does not, and a timer that the clock
//! fires half an hour after the last row.

use serde::Deserialize;
use std::time::Duration;
use stygian_sdk::prelude::*;

/// The columns that are read.
#[derive(Row)]
pub struct Event<'a> {
    page: &'a str,
}

/// What is kept of a user.
#[derive(State)]
pub struct Kept {
    #[slot(ttl = "1h")]
    rows: ValueState<u64>,
    #[slot(ttl = "1h")]
    pages: ListState<String>,
    #[slot(ttl = "1h")]
    of_page: MapState<String, u64>,
    ever: ValueState<u64>,
    /// When the timer is set for.
    alarm: ValueState<TimestampUtc>,
    #[slot(ttl = "2s")]
    brief: ValueState<bool>,
}

/// What a user waits for.
#[derive(Clone, Copy, Timers)]
pub enum Alarm {
    /// Half an hour has passed since the last row.
    #[timer(processing_time)]
    Quiet,
}

/// A row for each row that comes, and one when it grows quiet.
#[derive(OutputRow)]
pub struct Known<'a> {
    user: &'a str,
    quiet: bool,
    rows: u64,
    /// In the order they came.
    pages: String,
    /// How often each came, by its name.
    of_page: String,
    ever: u64,
}

/// The pipeline's `config` table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recent {
    /// Keeps next to nothing of a user, for two seconds, and puts nothing out.
    #[serde(default)]
    brief: bool,
}

impl Recent {
    fn known<'a>(cx: &mut Context<'a, Self>, quiet: bool) -> Known<'a> {
        let of_page: Vec<String> = cx.state.of_page.iter().map(|(page, times)| format!("{page}={times}")).collect();
        Known {
            user: cx.key,
            quiet,
            rows: cx.state.rows.get().copied().unwrap_or(0),
            pages: cx.state.pages.iter().collect::<Vec<_>>().join(" "),
            of_page: of_page.join(" "),
            ever: cx.state.ever.get().copied().unwrap_or(0),
        }
    }
}

impl Keyed for Recent {
    type Config = Self;
    type Key<'a> = &'a str;
    type Row<'a> = Event<'a>;
    type State = Kept;
    type Timers = Alarm;
    type Outputs<'a> = Output<Known<'a>>;

    fn open(config: Self) -> Result<Self, String> {
        Ok(config)
    }

    fn row<'a>(&'a self, event: Event<'a>, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        if self.brief {
            cx.state.brief.set(true);
            return Ok(());
        }
        *cx.state.rows.or_default() += 1;
        *cx.state.ever.or_default() += 1;
        let page = event.page.to_owned();
        let times = cx.state.of_page.get(&page).copied().unwrap_or(0);
        cx.state.of_page.insert(&page, times + 1);
        cx.state.pages.push(page);
        if let Some(alarm) = cx.state.alarm.take() {
            cx.timers.clear(Alarm::Quiet, alarm);
        }
        let alarm = cx.processing_time + Duration::from_secs(30 * 60);
        cx.timers.set(Alarm::Quiet, alarm);
        cx.state.alarm.set(alarm);
        let known = Self::known(cx, false);
        cx.out.push(known);
        Ok(())
    }

    fn timer<'a>(&'a self, _quiet: Alarm, _at: TimestampUtc, cx: &mut Context<'a, Self>) -> Result<(), String> {
        let known = Self::known(cx, true);
        cx.out.push(known);
        Ok(())
    }
}

stygian_sdk::export!(keyed Recent);
