//! Timers: a name, a key and a time. What a call sets and clears is collected, and handed to the host at its end with one call each for a name.
//!
//! Calls may be cut anywhere, so the result must not depend on which timers fire together. What a timer does to others of its call counts at once: one
//! that it clears does not fire, and one that it sets fires in its turn if it is due before the call's last. The host has to do the same between
//! calls: it hands over the earliest timers that are due, after it has applied what the call before asked for.

use crate::contract::{CallContext, Clock, FiredTimer, TimerSpec};
use crate::host::KeyedHost;
use crate::types::Micros;
use std::collections::BTreeSet;
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

/// A timer that fires in this call, in the order in which it does.
type Due = (i64, u32, u32);

/// The timers of a call that is about timers.
struct Firing {
    queue: BTreeSet<Due>,
    /// The time of the last one that the host handed over: all that are due before it are in the queue.
    last: i64,
    /// What the clock of each timer shows.
    now: Vec<Option<i64>>,
}

impl Firing {
    /// Whether the timer is in the queue, or goes there; else it is for the host to fire.
    fn takes(&mut self, (at, timer, key): Due) -> bool {
        let is_due = self.now.get(timer as usize).is_some_and(|now| now.is_some_and(|now| at <= now));
        if is_due && at < self.last {
            self.queue.insert((at, timer, key));
        }
        self.queue.contains(&(at, timer, key))
    }
}

/// Sets and clears timers of the present key.
pub struct TimerCalls<T> {
    key: u32,
    asked: Vec<Ask>,
    /// How many there were when the present row began.
    mark: usize,
    /// None in a call that is about rows.
    firing: Option<Firing>,
    names: PhantomData<T>,
}

impl<T> fmt::Debug for TimerCalls<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerCalls").field("key", &self.key).field("asked", &self.asked.len()).finish_non_exhaustive()
    }
}

impl<T: Timers> TimerCalls<T> {
    pub(crate) fn new() -> Self {
        Self { key: 0, asked: Vec::new(), mark: 0, firing: None, names: PhantomData }
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
        let (at, timer) = (at.micros(), timer.index());
        if let Some(firing) = &mut self.firing {
            if set && firing.takes((at, timer, self.key)) {
                return;
            }
            firing.queue.remove(&(at, timer, self.key));
        }
        // Far fewer than 2^32: they lie in 32-bit memory.
        let order = u32::try_from(self.asked.len()).unwrap_or(u32::MAX);
        self.asked.push(Ask { timer, key: self.key, at, order, set });
    }

    #[inline]
    pub(crate) fn begin_row(&mut self, key: u32) {
        self.key = key;
        self.mark = self.asked.len();
    }

    pub(crate) fn undo_row(&mut self) {
        self.asked.truncate(self.mark);
    }

    /// Begins a call that is about these timers.
    pub(crate) fn begin_firing(&mut self, fired: &[FiredTimer], context: &CallContext) {
        let now = |spec: TimerSpec| match spec.clock {
            Clock::EventTime => context.watermark,
            Clock::ProcessingTime => Some(context.processing_time),
        };
        self.firing = Some(Firing {
            queue: fired.iter().map(|timer| (timer.at, timer.timer, timer.key)).collect(),
            last: fired.last().map_or(i64::MIN, |timer| timer.at),
            now: T::specs().into_iter().map(now).collect(),
        });
    }

    /// The next timer that fires in this call.
    pub(crate) fn next_due(&mut self) -> Option<FiredTimer> {
        let (at, timer, key) = self.firing.as_mut()?.queue.pop_first()?;
        Some(FiredTimer { timer, key, at })
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
