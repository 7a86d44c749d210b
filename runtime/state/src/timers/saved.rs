//! Timers on their way into sections and out of them.
//!
//! There may be ten million of them, so only what was set or cleared is written: the name of every timer that is touched is remembered, and
//! whether it waits is looked up when the snapshot is taken.

use crate::section::TimerWriter;
use crate::timers::clocked::OVERHEAD;
use crate::timers::{Timer, TimerStore};
use crate::touched::{Name, Touched};
use stygian_core::{KeyGroup, TimerClock};

impl TimerStore {
    /// Whether a snapshot of a group has something to say.
    pub(crate) fn is_unsaved(&self, group: KeyGroup, whole: bool) -> bool {
        let empty = self.of_group(group).next().is_none();
        let touched = self.touched.get(usize::from(group.0));
        match touched {
            Some(touched) if whole => touched.is_saved() || !empty,
            Some(touched) => touched.is_unsaved(empty),
            None => !empty,
        }
    }

    /// Writes all timers of a group, or what has changed since the last snapshot; names have these clocks. `whole`: of a base.
    pub(crate) fn snapshot(&mut self, group: KeyGroup, whole: bool, timers: &[(String, TimerClock)], into: &mut TimerWriter) {
        let touched = self.touched_mut(group);
        let (tracked, names) = (touched.is_tracked(), touched.take());
        if whole || !tracked {
            if !whole {
                into.anew();
            }
            self.of_group(group).for_each(|timer| into.timer(true, timer));
        } else {
            for name in names.sorted() {
                let Some((timer, clock)) = timer_of(name, group, timers) else { continue };
                into.timer(self.of(clock).group(group).contains(&timer), &timer);
            }
        }
    }

    /// The next snapshot has to say all of a group.
    pub(crate) fn lose(&mut self, group: KeyGroup) {
        self.touched_mut(group).lose();
    }

    /// The next snapshot has to say whether a timer waits.
    pub(crate) fn touch(&mut self, clock: TimerClock, timer: &Timer) {
        let held = self.of(clock).group(timer.group).len() * OVERHEAD;
        let name = name_of(timer);
        self.touched_mut(timer.group).push((&name, Some(&timer.key)), held);
    }

    /// A group has no timers: what follows is what was saved of it.
    pub(crate) fn restore_anew(&mut self, group: KeyGroup) {
        self.event.clear_group(group);
        self.processing.clear_group(group);
        *self.touched_mut(group) = Touched::restored();
    }

    /// Sets or clears a timer as it was saved.
    pub(crate) fn restore(&mut self, set: bool, clock: TimerClock, timer: Timer) {
        if set {
            self.of_mut(clock).set(timer);
        } else {
            self.of_mut(clock).clear(&timer);
        }
    }

    fn of_group(&self, group: KeyGroup) -> impl Iterator<Item = &Timer> {
        self.event.group(group).iter().chain(self.processing.group(group))
    }

    fn touched_mut(&mut self, group: KeyGroup) -> &mut Touched {
        let at = usize::from(group.0);
        if self.touched.len() <= at {
            self.touched.resize_with(at + 1, Touched::default);
        }
        &mut self.touched[at]
    }
}

fn name_of(timer: &Timer) -> [u8; 12] {
    let mut name = [0; 12];
    name[..4].copy_from_slice(&timer.timer.to_le_bytes());
    name[4..].copy_from_slice(&timer.at.to_le_bytes());
    name
}

fn timer_of((first, key): Name<'_>, group: KeyGroup, timers: &[(String, TimerClock)]) -> Option<(Timer, TimerClock)> {
    let (timer, at) = first.split_first_chunk()?;
    let (timer, at) = (u32::from_le_bytes(*timer), i64::from_le_bytes(*at.first_chunk()?));
    let (_, clock) = timers.get(timer as usize)?;
    Some((Timer { at, timer, key: key?.into(), group }, *clock))
}
