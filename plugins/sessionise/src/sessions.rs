//! Sessions: as they are kept of a key while rows may join them, and as they go out.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use stygian_sdk::prelude::*;

/// The open sessions of a key: one, but for rows that came out of order.
#[derive(State)]
pub struct Sessions {
    pub(crate) open: ValueState<Open>,
}

/// First row, last row and number of rows of each; and the one timer that counts: older ones are stale.
#[derive(Clone, Default, Stored, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) sessions: Vec<(TimestampUtc, TimestampUtc, u64)>,
    pub(crate) alarm: Option<TimestampUtc>,
}

impl Open {
    /// Makes one session of a row and of those that are less than the gap apart from it; returns when that one is over.
    pub(crate) fn join(&mut self, at: TimestampUtc, gap: Duration) -> TimestampUtc {
        let (mut start, mut end, mut events) = (at, at, 1);
        self.sessions.retain(|&(first, last, count)| {
            let apart = last + gap <= start || end + gap <= first;
            if !apart {
                (start, end, events) = (start.min(first), end.max(last), events + count);
            }
            apart
        });
        self.sessions.push((start, end, events));
        end + gap
    }
}

/// A session.
#[derive(OutputRow)]
pub struct Session<'a> {
    pub(crate) user: &'a str,
    pub(crate) start: TimestampUtc,
    pub(crate) end: TimestampUtc,
    pub(crate) events: u64,
}
