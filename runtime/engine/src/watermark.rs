//! Watermarks: how far a stream has come in event time. Pure; the time of day comes in as an argument.
//!
//! A watermark W says that no row before W is expected any more. [`SplitWatermarks`] makes one out of the rows of a source's splits (bounded
//! disorder per split, the minimum over splits); [`WatermarkMerge`] makes one out of the watermarks of several inputs. Both only ever
//! grow, and both leave out what is idle; when nothing is left, the stream itself is idle.

use std::time::Duration;
use std::time::Instant;
use stygian_core::EventTime;

/// What changed for those downstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The watermark advanced.
    Watermark(EventTime),
    /// Nothing is to be expected for now: do not wait for this stream.
    Idle,
}

/// What those downstream were told last.
#[derive(Clone, Debug)]
struct Told {
    watermark: EventTime,
    idle: bool,
}

impl Told {
    fn nothing() -> Self {
        Self { watermark: EventTime::MIN, idle: false }
    }

    /// What to tell now of inputs with their watermarks, each idle or not. Of those that are not, the slowest counts; where all are idle, the
    /// furthest: nothing before it can come from any that said so.
    fn progress(&mut self, inputs: impl Iterator<Item = (EventTime, bool)> + Clone, may_idle: bool) -> Option<Progress> {
        let present = inputs.clone().filter(|(_, idle)| !idle).map(|(watermark, _)| watermark).min();
        let merged = present.or_else(|| inputs.map(|(watermark, _)| watermark).max());
        if let Some(merged) = merged.filter(|merged| *merged > self.watermark) {
            *self = Self { watermark: merged, idle: false };
            return Some(Progress::Watermark(merged));
        }
        if present.is_none() && !self.idle && may_idle {
            self.idle = true;
            return Some(Progress::Idle);
        }
        None
    }
}

/// The minimum over inputs, each of which reports its own watermark.
#[derive(Clone, Debug)]
pub(crate) struct WatermarkMerge {
    inputs: Vec<InputState>,
    told: Told,
}

#[derive(Clone, Copy, Debug)]
struct InputState {
    watermark: EventTime,
    /// Idle: it does not hold the others back.
    idle: bool,
}

impl WatermarkMerge {
    pub(crate) fn new(inputs: usize) -> Self {
        Self { inputs: vec![InputState { watermark: EventTime::MIN, idle: false }; inputs], told: Told::nothing() }
    }

    /// The last merged watermark.
    #[cfg(test)]
    pub(crate) fn current(&self) -> EventTime {
        self.told.watermark
    }

    /// An input's watermark; one that goes back is ignored.
    pub(crate) fn watermark(&mut self, input: usize, watermark: EventTime) -> Option<Progress> {
        let state = &mut self.inputs[input];
        state.watermark = state.watermark.max(watermark);
        state.idle = false;
        self.progress()
    }

    /// Rows came from an input: it holds the watermark again.
    pub(crate) fn active(&mut self, input: usize) {
        self.inputs[input].idle = false;
        self.told.idle = false;
    }

    /// An input is idle. (One that has ended is not: at the end of its data it says the last watermark there is, and one that was stopped
    /// before must go on holding the others back, or half windows would fire.)
    pub(crate) fn idle(&mut self, input: usize) -> Option<Progress> {
        self.inputs[input].idle = true;
        self.progress()
    }

    fn progress(&mut self) -> Option<Progress> {
        self.told.progress(self.inputs.iter().map(|input| (input.watermark, input.idle)), true)
    }
}

/// The watermark of a source's subtask: per split the largest event time seen less the allowed disorder, and the minimum over splits.
///
/// A split whose source promises more than its rows say is taken at its word. A split that is known but not yet read holds the watermark back;
/// one that brings no rows for `idle_after` is left out until it does; one that is read to its end is left out for good. Of splits that are
/// all idle the furthest counts: whether they became so one after the other, or are found so at once, comes to the same.
#[derive(Clone, Debug)]
pub(crate) struct SplitWatermarks {
    splits: Vec<SplitState>,
    disorder: Duration,
    idle_after: Option<Duration>,
    /// Whether more splits may come. Without any at hand, nothing is to be expected from here for now.
    growing: bool,
    told: Told,
}

#[derive(Clone, Copy, Debug)]
struct SplitState {
    largest: EventTime,
    /// The watermark its source has told.
    promised: EventTime,
    phase: Phase,
}

/// How far a split has come in event time; `None`: nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) largest: Option<EventTime>,
    pub(crate) watermark: Option<EventTime>,
    /// Left out of the watermark, as no rows have come for a while.
    pub(crate) idle: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Unread,
    /// Rows came last at this time.
    Read(Instant),
    Ended,
}

impl SplitWatermarks {
    pub(crate) fn new(splits: usize, disorder: Duration, idle_after: Option<Duration>, growing: bool) -> Self {
        Self {
            splits: vec![SplitState { largest: EventTime::MIN, promised: EventTime::MIN, phase: Phase::Unread }; splits],
            disorder,
            idle_after,
            growing,
            told: Told::nothing(),
        }
    }

    /// There is one more split.
    pub(crate) fn add(&mut self) {
        self.splits.push(SplitState { largest: EventTime::MIN, promised: EventTime::MIN, phase: Phase::Unread });
    }

    /// What was known of a split when it was last stored.
    pub(crate) fn restore(&mut self, split: usize, known: &Known) {
        let state = &mut self.splits[split];
        state.largest = known.largest.unwrap_or(EventTime::MIN);
        state.promised = known.watermark.unwrap_or(EventTime::MIN);
    }

    /// What is known of a split.
    pub(crate) fn known(&self, split: usize, now: Instant) -> Known {
        let some = |time: EventTime| Some(time).filter(|time| *time > EventTime::MIN);
        let state = &self.splits[split];
        let idle = state.phase != Phase::Ended && self.is_away(state, now);
        Known { largest: some(state.largest), watermark: some(self.of(state)), idle }
    }

    fn is_away(&self, split: &SplitState, now: Instant) -> bool {
        match (split.phase, self.idle_after) {
            (Phase::Ended, _) => true,
            (Phase::Read(last), Some(idle_after)) => now.saturating_duration_since(last) >= idle_after,
            _ => false,
        }
    }

    /// The split is being read from now on.
    pub(crate) fn opened(&mut self, split: usize, now: Instant) {
        self.splits[split].phase = Phase::Read(now);
    }

    /// Rows came from a split; `largest` is their largest event time (`None` where no row has one).
    pub(crate) fn rows(&mut self, split: usize, largest: Option<EventTime>, now: Instant) {
        let state = &mut self.splits[split];
        state.largest = state.largest.max(largest.unwrap_or(EventTime::MIN));
        state.phase = Phase::Read(now);
        self.told.idle = false;
    }

    /// The source says that nothing before `watermark` follows in a split.
    pub(crate) fn promised(&mut self, split: usize, watermark: EventTime) {
        let state = &mut self.splits[split];
        state.promised = state.promised.max(watermark);
    }

    /// The watermark of a split.
    fn of(&self, split: &SplitState) -> EventTime {
        let by_rows = if split.largest == EventTime::MIN { EventTime::MIN } else { split.largest.earlier_by(self.disorder) };
        by_rows.max(split.promised)
    }

    /// The split is at its end.
    pub(crate) fn ended(&mut self, split: usize) {
        self.splits[split].phase = Phase::Ended;
    }

    /// What to tell now, if anything changed since it was asked last.
    pub(crate) fn progress(&mut self, now: Instant) -> Option<Progress> {
        let unread = self.splits.iter().filter(|split| split.phase != Phase::Ended);
        let inputs: Vec<(EventTime, bool)> = unread.map(|split| (self.of(split), self.is_away(split, now))).collect();
        self.told.progress(inputs.iter().copied(), self.growing || !inputs.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(micros: i64) -> EventTime {
        EventTime::from_micros(micros)
    }

    #[test]
    fn waits_for_the_slowest_input() {
        let mut merge = WatermarkMerge::new(2);
        assert_eq!(merge.watermark(0, at(10)), None);
        assert_eq!(merge.watermark(1, at(4)), Some(Progress::Watermark(at(4))));
        assert_eq!(merge.watermark(0, at(7)), None, "a watermark that goes back is ignored");
        assert_eq!(merge.idle(1), Some(Progress::Watermark(at(10))));
        assert_eq!(merge.idle(0), Some(Progress::Idle));
        assert_eq!(merge.idle(0), None);
    }

    #[test]
    fn an_input_that_comes_back_does_not_turn_time_back() {
        let mut merge = WatermarkMerge::new(2);
        merge.idle(1);
        assert_eq!(merge.watermark(0, at(10)), Some(Progress::Watermark(at(10))));
        merge.active(1);
        assert_eq!(merge.watermark(1, at(5)), None);
        assert_eq!(merge.watermark(0, at(20)), None, "held back by the input that came back");
        assert_eq!(merge.watermark(1, at(15)), Some(Progress::Watermark(at(15))));
    }

    #[test]
    fn unread_splits_hold_the_watermark_back() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut splits = SplitWatermarks::new(2, Duration::from_micros(3), Some(second), false);
        splits.rows(0, Some(at(10)), now);
        assert_eq!(splits.progress(now), None);
        splits.rows(1, Some(at(100)), now);
        assert_eq!(splits.progress(now), Some(Progress::Watermark(at(7))));
        splits.ended(0);
        assert_eq!(splits.progress(now), Some(Progress::Watermark(at(97))));
    }

    #[test]
    fn a_promise_counts_where_it_is_more_than_the_rows_say() {
        let now = Instant::now();
        let mut splits = SplitWatermarks::new(2, Duration::from_micros(3), None, false);
        splits.rows(0, Some(at(10)), now);
        splits.promised(1, at(50));
        assert_eq!(splits.progress(now), Some(Progress::Watermark(at(7))));
        splits.promised(0, at(5));
        assert_eq!(splits.progress(now), None, "the rows say more");
        splits.promised(0, at(30));
        assert_eq!(splits.progress(now), Some(Progress::Watermark(at(30))));
        splits.rows(0, Some(at(60)), now);
        assert_eq!(splits.progress(now), Some(Progress::Watermark(at(50))));
    }

    #[test]
    fn idle_splits_drop_out_and_come_back() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut splits = SplitWatermarks::new(2, Duration::ZERO, Some(second), false);
        splits.rows(0, Some(at(10)), now);
        splits.rows(1, Some(at(20)), now);
        assert_eq!(splits.progress(now), Some(Progress::Watermark(at(10))));
        splits.rows(1, Some(at(30)), now + second);
        assert_eq!(splits.progress(now + second), Some(Progress::Watermark(at(30))), "split 0 brought nothing for a second");
        assert_eq!(splits.progress(now + 3 * second), Some(Progress::Idle));
        splits.rows(0, Some(at(15)), now + 3 * second);
        assert_eq!(splits.progress(now + 3 * second), None, "late, but time does not go back");
    }

    #[test]
    fn splits_found_idle_at_once_are_as_those_that_become_so_one_by_one() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut splits = SplitWatermarks::new(2, Duration::ZERO, Some(second), false);
        splits.opened(0, now);
        splits.opened(1, now);
        splits.rows(1, Some(at(20)), now);
        assert_eq!(splits.progress(now), None, "split 0 may bring rows yet");
        assert_eq!(splits.progress(now + 2 * second), Some(Progress::Watermark(at(20))));
        assert_eq!(splits.progress(now + 2 * second), Some(Progress::Idle));
        assert_eq!(splits.progress(now + 2 * second), None);
    }

    #[test]
    fn splits_that_come_later_hold_the_watermark_until_they_are_read() {
        let now = Instant::now();
        let mut splits = SplitWatermarks::new(0, Duration::ZERO, None, true);
        assert_eq!(splits.progress(now), Some(Progress::Idle), "there is nothing to wait for");
        assert_eq!(splits.progress(now), None);
        splits.add();
        splits.rows(0, Some(at(10)), now);
        assert_eq!(splits.progress(now), Some(Progress::Watermark(at(10))));
        splits.add();
        splits.rows(0, Some(at(30)), now);
        assert_eq!(splits.progress(now), None, "the new one is not read yet");
        splits.rows(1, Some(at(20)), now);
        assert_eq!(splits.progress(now), Some(Progress::Watermark(at(20))));
        splits.ended(0);
        splits.ended(1);
        assert_eq!(splits.progress(now), Some(Progress::Idle));
        let mut fixed = SplitWatermarks::new(0, Duration::ZERO, None, false);
        assert_eq!(fixed.progress(now), None, "the end of the data is told in another way");
    }

    proptest! {
        /// Against a slow reference: the merged watermark is the largest minimum over present inputs ever seen, and never goes back.
        #[test]
        fn merge_is_the_running_maximum_of_minima(events in prop::collection::vec((0_usize..3, prop::option::of(0_i64..50)), 1..60)) {
            let mut merge = WatermarkMerge::new(3);
            let (mut marks, mut idle, mut expected) = ([i64::MIN; 3], [false; 3], i64::MIN);
            for (input, event) in events {
                let told = match event {
                    Some(mark) => { marks[input] = marks[input].max(mark); idle[input] = false; merge.watermark(input, at(mark)) }
                    None => { idle[input] = true; merge.idle(input) }
                };
                let present: Vec<i64> = (0..3).filter(|i| !idle[*i]).map(|i| marks[i]).collect();
                let now = present.iter().copied().min().unwrap_or_else(|| marks.into_iter().max().unwrap_or(i64::MIN));
                let before = expected;
                expected = expected.max(now);
                prop_assert_eq!(merge.current().micros(), expected);
                prop_assert_eq!(matches!(told, Some(Progress::Watermark(_))), expected > before);
            }
        }
    }
}
