//! Timers that wait: for each clock and key group a set ordered by time. A timer is named by (timer, key, time), so setting one twice is
//! setting it once.

mod clocked;
mod saved;

use crate::touched::Touched;
use clocked::Clocked;
use std::collections::HashMap;
use stygian_core::{KeyGroup, TimerClock};

/// A timer that waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When it is due, in microseconds of its clock.
    pub at: i64,
    /// The index of its name in the order of declaration.
    pub timer: u32,
    /// The key it was set for.
    pub key: Box<[u8]>,
    /// The key's group.
    pub group: KeyGroup,
}

/// A timer that is due, in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FiredTimer {
    /// The index of its name.
    pub timer: u32,
    /// The index of its key in the call.
    pub key: u32,
    /// When it was set for, in microseconds of its clock.
    pub at: i64,
}

/// The timers of a subtask, filed by key group: what is saved of a group, restored or given away is found without a look at the others.
#[derive(Debug, Default)]
pub struct TimerStore {
    event: Clocked,
    processing: Clocked,
    /// By number of the group: what was set or cleared since the last snapshot.
    touched: Vec<Touched>,
}

impl TimerStore {
    /// Sets a timer of a name that has this clock.
    pub fn set(&mut self, clock: TimerClock, timer: Timer) {
        self.touch(clock, &timer);
        self.of_mut(clock).set(timer);
    }

    /// Removes a timer, if it waits.
    pub fn clear(&mut self, clock: TimerClock, timer: &Timer) {
        self.touch(clock, timer);
        self.of_mut(clock).clear(timer);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.event.len() + self.processing.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that those that wait take: their keys, and about what each costs beside.
    pub fn bytes(&self) -> usize {
        self.event.bytes() + self.processing.bytes()
    }

    /// When the next timer of a clock is due.
    pub fn next(&self, clock: TimerClock) -> Option<i64> {
        self.of(clock).next()
    }

    /// Timers that are due at `now`, ascending by time, at most `most` of them; they stay until they are cleared. Of one key only timers of
    /// the same time come together: what the earlier one does may set or clear others before the later one.
    pub fn due(&self, clock: TimerClock, now: i64, most: usize) -> Vec<Timer> {
        let (mut due, mut times): (Vec<Timer>, HashMap<&[u8], i64>) = (Vec::new(), HashMap::new());
        for timer in self.of(clock).ascending().take_while(|timer| timer.at <= now).take(most) {
            if *times.entry(&timer.key).or_insert(timer.at) != timer.at {
                break;
            }
            due.push(timer.clone());
        }
        due
    }

    /// All that wait for a clock, ascending by time.
    pub fn iter(&self, clock: TimerClock) -> impl Iterator<Item = &Timer> {
        self.of(clock).ascending()
    }

    fn of(&self, clock: TimerClock) -> &Clocked {
        match clock {
            TimerClock::EventTime => &self.event,
            TimerClock::ProcessingTime => &self.processing,
        }
    }

    fn of_mut(&mut self, clock: TimerClock) -> &mut Clocked {
        match clock {
            TimerClock::EventTime => &mut self.event,
            TimerClock::ProcessingTime => &mut self.processing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLOCK: TimerClock = TimerClock::EventTime;

    fn timer(at: i64, timer: u32, key: u8) -> Timer {
        Timer { at, timer, key: [key].into(), group: KeyGroup(u16::from(key % 2)) }
    }

    proptest! {
        /// Against a list: what is due comes once, in order, whatever was set twice or cleared; of one key no two times come together.
        #[test]
        fn timers_fire_once_and_in_order(
            steps in proptest::collection::vec((any::<bool>(), 0_i64..10, 0_u32..2, 0_u8..3), 0..40), now in 0_i64..10, most in 1_usize..5,
        ) {
            let (mut store, mut slow) = (TimerStore::default(), Vec::<Timer>::new());
            for (set, at, name, key) in steps {
                let timer = timer(at, name, key);
                slow.retain(|other| *other != timer);
                if set {
                    store.set(CLOCK, timer.clone());
                    slow.push(timer);
                } else {
                    store.clear(CLOCK, &timer);
                }
            }
            slow.sort();
            slow.retain(|timer| timer.at <= now);
            let mut fired = Vec::new();
            loop {
                let due = store.due(CLOCK, now, most);
                prop_assert!(due.len() <= most);
                if due.is_empty() {
                    break;
                }
                for timer in &due {
                    prop_assert!(due.iter().all(|other| other.key != timer.key || other.at == timer.at));
                    store.clear(CLOCK, timer);
                }
                fired.extend(due);
            }
            prop_assert_eq!(fired, slow);
        }
    }

    #[test]
    fn clocks_do_not_mix() {
        let mut store = TimerStore::default();
        store.set(TimerClock::ProcessingTime, timer(5, 0, 1));
        assert_eq!((store.next(CLOCK), store.next(TimerClock::ProcessingTime)), (None, Some(5)));
        assert!(store.due(CLOCK, 9, 10).is_empty());
    }
}
