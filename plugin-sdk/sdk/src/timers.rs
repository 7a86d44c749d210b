//! Timers: a name, a key and a time. What a call sets and clears is collected, and handed to the host at its end with one call each for a name.
//!
//! Calls may be cut anywhere, so the result must not depend on which timers fire together: one that was cleared by an earlier timer of the same call
//! does not fire, and one that was set again while it was due fires once.

use crate::contract::{Clock, FiredTimer, TimerSpec};
use crate::host::KeyedHost;
use crate::types::Micros;
use std::fmt;
use std::marker::PhantomData;

/// The names of an operator's timers: an enum with `#[derive(Timers)]`.
pub trait Timers: Copy + 'static {
    /// The names and clocks, in the order of their indices.
    fn specs() -> Vec<TimerSpec>;

    /// The timer of an index.
    fn from_index(index: u32) -> Option<Self>;

    /// Its index.
    fn index(self) -> u32;
}

/// For operators without timers.
#[derive(Clone, Copy, Debug)]
pub enum NoTimers {}

impl Timers for NoTimers {
    fn specs() -> Vec<TimerSpec> {
        Vec::new()
    }

    fn from_index(_index: u32) -> Option<Self> {
        None
    }

    fn index(self) -> u32 {
        match self {}
    }
}

/// A timer as `#[derive(Timers)]` describes it.
pub fn timer_spec(name: &str, clock: Clock) -> TimerSpec {
    TimerSpec { name: name.to_owned(), clock }
}

/// One thing that was asked. The order of the fields is that in which [`settle`] sorts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ask {
    timer: u32,
    key: u32,
    at: i64,
    /// The later of two about the same timer counts.
    order: u32,
    set: bool,
}

impl Ask {
    fn is_about(&self, fired: &FiredTimer) -> bool {
        (self.timer, self.key, self.at) == (fired.timer, fired.key, fired.at)
    }
}

/// Sets and clears timers of the present key.
pub struct TimerCalls<T> {
    key: u32,
    asked: Vec<Ask>,
    /// How many there were when the present row began.
    mark: usize,
    /// The time of the latest timer that fired in this call.
    fired: Option<i64>,
    /// Whether something was asked about a timer that may be in this very call.
    overlap: bool,
    names: PhantomData<T>,
}

impl<T> fmt::Debug for TimerCalls<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerCalls").field("key", &self.key).field("asked", &self.asked.len()).finish_non_exhaustive()
    }
}

impl<T: Timers> TimerCalls<T> {
    pub(crate) fn new() -> Self {
        Self { key: 0, asked: Vec::new(), mark: 0, fired: None, overlap: false, names: PhantomData }
    }

    /// Sets a timer. It fires when its clock reaches the time: the watermark, or processing time. One that is due already fires as soon as it can.
    /// Setting a timer for several times gives several timers; setting it twice for one time gives one.
    #[inline]
    pub fn set(&mut self, timer: T, at: impl Micros) {
        self.ask(timer, at, true);
    }

    /// Removes a timer that was set for this time and has not fired.
    #[inline]
    pub fn clear(&mut self, timer: T, at: impl Micros) {
        self.ask(timer, at, false);
    }

    #[inline]
    fn ask(&mut self, timer: T, at: impl Micros, set: bool) {
        let at = at.micros();
        self.overlap |= self.fired.is_some_and(|fired| !set || at <= fired);
        // Far fewer than 2^32: they lie in 32-bit memory.
        let order = u32::try_from(self.asked.len()).unwrap_or(u32::MAX);
        self.asked.push(Ask { timer: timer.index(), key: self.key, at, order, set });
    }

    #[inline]
    pub(crate) fn begin_row(&mut self, key: u32) {
        self.key = key;
        self.mark = self.asked.len();
    }

    pub(crate) fn undo_row(&mut self) {
        self.asked.truncate(self.mark);
    }

    /// Notes that timers up to this call's latest fire.
    pub(crate) fn begin_firing(&mut self, fired: &[FiredTimer]) {
        self.fired = fired.last().map(|timer| timer.at);
    }

    /// Whether a timer of this call still fires, after what those before it have asked.
    pub(crate) fn still_fires(&mut self, fired: &FiredTimer) -> bool {
        if !self.overlap {
            return true;
        }
        if self.asked.iter().any(|ask| !ask.set && ask.is_about(fired)) {
            return false;
        }
        self.asked.retain(|ask| !ask.is_about(fired));
        true
    }

    pub(crate) fn flush(mut self, host: &mut dyn KeyedHost) {
        settle(&mut self.asked);
        for (timer, _) in (0_u32..).zip(T::specs()) {
            for set in [false, true] {
                let of_timer = || self.asked.iter().filter(|ask| ask.timer == timer && ask.set == set);
                let (keys, at): (Vec<u32>, Vec<i64>) = of_timer().map(|ask| (ask.key, ask.at)).unzip();
                match (keys.is_empty(), set) {
                    (true, _) => {}
                    (false, true) => host.set_timers(timer, &keys, &at),
                    (false, false) => host.clear_timers(timer, &keys, &at),
                }
            }
        }
    }
}

/// Leaves the last word about each timer where some were set and some cleared; without that the order does not matter.
fn settle(asked: &mut Vec<Ask>) {
    if asked.iter().any(|ask| ask.set) && asked.iter().any(|ask| !ask.set) {
        asked.sort_unstable();
        // `dedup` keeps the first of equals, so look from the back.
        asked.reverse();
        asked.dedup_by_key(|ask| (ask.timer, ask.key, ask.at));
        asked.reverse();
    }
}
