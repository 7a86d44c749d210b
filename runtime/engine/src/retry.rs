//! What to do with the rows of a call that failed: a pure machine that knows neither plugins nor clocks. Facts in, decisions out.
//!
//! A failed call has changed nothing, so its rows can be tried again in halves, depth first and in the order of rows, until the rows at
//! fault stand alone. A row is given up when it failed alone on a fresh instance, and, where it ran out of time, twice (the machine may
//! have been busy). Every failed call is charged; when the budget no longer covers a call that takes all of its limit, all rows that are
//! not settled yet are given up untried.
//!
//! What holds, and is tested against a slow reference: the ranges that went well and those that were given up follow each other without a
//! gap or an overlap and together are the slice, so whoever applies outputs as they come applies them in the order of rows; no row goes
//! well twice; the cost stays within the budget. Rows are whatever a call is made for (rows of a batch, timers that are due).

use std::ops::Range;
use std::time::Duration;

/// What failed calls cost, in 64ths of a call limit (the CPU time that one call may take).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost(u32);

impl Cost {
    /// A call that used all it may.
    pub(crate) const CALL_LIMIT: Self = Self(64);
    /// What a slice may cost beyond the work itself: 16 call limits. A bad row among 4,096 that runs out of time needs 14. Calls that
    /// fail soon cost less, so that many bad rows of a slice are found.
    pub(crate) const BUDGET: Self = Self(16 * Self::CALL_LIMIT.0);

    /// What a call cost that failed after this time: at least one part, at most a whole call limit.
    pub(crate) fn of(used: Duration, limit: Duration) -> Self {
        let parts = used.as_micros().saturating_mul(u128::from(Self::CALL_LIMIT.0)).div_ceil(limit.as_micros().max(1));
        Self(u32::try_from(parts).unwrap_or(u32::MAX).clamp(1, Self::CALL_LIMIT.0))
    }
}

/// How a call failed, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// It was stopped for taking too long.
    pub(crate) timed_out: bool,
    /// Its instance had made no call before.
    pub(crate) fresh: bool,
    /// What it cost.
    pub(crate) cost: Cost,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Call the plugin with these rows, on a fresh instance; then tell [`Retry::went_well`] or [`Retry::failed`], after
    /// [`Retry::went_well_until`] where they took several calls.
    Run(Range<usize>),
    /// These rows are not processed; then tell [`Retry::gave_up`].
    GiveUp {
        /// One row that failed, or all that are left of the slice.
        rows: Range<usize>,
        /// Whether it failed alone. If not, the budget was spent, and among these rows there may be good ones.
        tried: bool,
    },
    /// Every row of the slice is settled.
    Finished,
}

/// The rows of one slice whose call failed.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    /// What the last call was made for.
    running: Range<usize>,
    /// Whether that was its second call in a row.
    again: bool,
    /// The ranges behind `running`, the next one last.
    waiting: Vec<Range<usize>>,
    left: Cost,
}

impl Retry {
    /// A slice that has been called; at least one row. Its failure is told next.
    pub(crate) fn new(slice: Range<usize>) -> Self {
        debug_assert!(!slice.is_empty());
        Self { running: slice, again: false, waiting: Vec::new(), left: Cost::BUDGET }
    }

    /// The last call went well.
    pub(crate) fn went_well(&mut self) -> Decision {
        self.next()
    }

    /// The rows of the last decision have been given up.
    pub(crate) fn gave_up(&mut self) -> Decision {
        self.next()
    }

    /// The rows of the last decision took several calls, and those before `row` went well; the failure of the call behind them is told next.
    pub(crate) fn went_well_until(&mut self, row: usize) {
        debug_assert!(self.running.contains(&row), "the rows that failed are among those that were called");
        self.running.start = row;
    }

    /// The last call failed.
    pub(crate) fn failed(&mut self, how: Failed) -> Decision {
        self.left = Cost(self.left.0.saturating_sub(how.cost.0));
        if self.running.len() <= 1 {
            let worth_it = how.timed_out || !how.fresh;
            if worth_it && !self.again && self.affords_a_call() {
                self.again = true;
                return Decision::Run(self.running.clone());
            }
            return Decision::GiveUp { rows: self.running.clone(), tried: true };
        }
        if !self.affords_a_call() {
            return self.give_up_from(self.running.start);
        }
        let middle = self.running.start + self.running.len() / 2;
        self.waiting.push(middle..self.running.end);
        self.run(self.running.start..middle)
    }

    fn next(&mut self) -> Decision {
        match self.waiting.last().cloned() {
            None => Decision::Finished,
            Some(rows) if !self.affords_a_call() => self.give_up_from(rows.start),
            Some(rows) => {
                self.waiting.pop();
                self.run(rows)
            }
        }
    }

    fn run(&mut self, rows: Range<usize>) -> Decision {
        (self.running, self.again) = (rows.clone(), false);
        Decision::Run(rows)
    }

    fn give_up_from(&mut self, start: usize) -> Decision {
        // The range that waits longest ends where the slice does.
        let end = self.waiting.first().map_or(self.running.end, |last| last.end);
        self.waiting.clear();
        Decision::GiveUp { rows: start..end, tried: false }
    }

    fn affords_a_call(&self) -> bool {
        self.left >= Cost::CALL_LIMIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the plugin makes of a row.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Row {
        Good,
        /// It fails at once.
        Traps,
        /// It takes all time there is.
        Spins,
        /// It takes all time there is, once.
        SpinsOnce,
    }

    /// What became of a range of rows.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Fate {
        Done(Range<usize>),
        GivenUp(Range<usize>, bool),
    }

    /// A plugin that works as its rows say, and counts.
    struct Plugin {
        rows: Vec<Row>,
        /// The most rows of a call, other than the first.
        most: usize,
        calls: usize,
        failed: usize,
        cost: u32,
    }

    impl Plugin {
        fn new(rows: &[Row]) -> Self {
            Self { rows: rows.to_vec(), most: usize::MAX, calls: 0, failed: 0, cost: 0 }
        }

        /// A call on a fresh instance (`fresh`) or one that has been used.
        fn call(&mut self, range: Range<usize>, fresh: bool) -> Result<(), Failed> {
            self.calls += 1;
            let bad = self.rows[range].iter_mut().find(|row| **row != Row::Good);
            let Some(row) = bad else { return Ok(()) };
            let timed_out = *row != Row::Traps;
            if *row == Row::SpinsOnce {
                *row = Row::Good;
            }
            let cost = if timed_out { Cost::CALL_LIMIT } else { Cost(1) };
            self.failed += 1;
            self.cost += cost.0;
            Err(Failed { timed_out, fresh, cost })
        }

        /// Calls on fresh instances until all rows are done or a call fails: where it began, and how.
        fn calls(&mut self, range: Range<usize>) -> Result<(), (usize, Failed)> {
            let mut start = range.start;
            while start < range.end {
                let end = range.end.min(start.saturating_add(self.most));
                self.call(start..end, true).map_err(|failed| (start, failed))?;
                start = end;
            }
            Ok(())
        }
    }

    /// Follows the machine to its end.
    fn follow(plugin: &mut Plugin, fresh: bool) -> Vec<Fate> {
        let slice = 0..plugin.rows.len();
        let mut fates = Vec::new();
        let Err(failed) = plugin.call(slice.clone(), fresh) else { return vec![Fate::Done(slice)] };
        let mut retry = Retry::new(slice);
        let mut decision = retry.failed(failed);
        loop {
            decision = match decision {
                Decision::Finished => return fates,
                Decision::Run(rows) => match plugin.calls(rows.clone()) {
                    Ok(()) => {
                        fates.push(Fate::Done(rows));
                        retry.went_well()
                    }
                    Err((from, failed)) => {
                        done(rows.start..from, &mut fates);
                        retry.went_well_until(from);
                        retry.failed(failed)
                    }
                },
                Decision::GiveUp { rows, tried } => {
                    fates.push(Fate::GivenUp(rows, tried));
                    retry.gave_up()
                }
            };
        }
    }

    fn done(range: Range<usize>, fates: &mut Vec<Fate>) {
        if !range.is_empty() {
            fates.push(Fate::Done(range));
        }
    }

    /// The slow reference: by recursion, each half a slice of its own. `Err` gives up what is left.
    fn settle(plugin: &mut Plugin, mut range: Range<usize>, fresh: bool, fates: &mut Vec<Fate>) -> Result<(), usize> {
        let broke = |plugin: &Plugin| plugin.cost + Cost::CALL_LIMIT.0 > Cost::BUDGET.0;
        if plugin.calls > 0 && broke(plugin) {
            return Err(range.start);
        }
        let first = plugin.calls == 0;
        let called = if first { plugin.call(range.clone(), fresh).map_err(|failed| (0, failed)) } else { plugin.calls(range.clone()) };
        let Err((from, failed)) = called else {
            fates.push(Fate::Done(range));
            return Ok(());
        };
        done(range.start..from, fates);
        range.start = from;
        if range.len() > 1 {
            let middle = range.start + range.len() / 2;
            settle(plugin, range.start..middle, true, fates)?;
            return settle(plugin, middle..range.end, true, fates);
        }
        let again = (failed.timed_out || !failed.fresh) && !broke(plugin);
        if again && plugin.call(range.clone(), true).is_ok() {
            fates.push(Fate::Done(range));
        } else {
            fates.push(Fate::GivenUp(range, true));
        }
        Ok(())
    }

    fn reference(plugin: &mut Plugin, fresh: bool) -> Vec<Fate> {
        let (mut fates, all) = (Vec::new(), 0..plugin.rows.len());
        if let Err(from) = settle(plugin, all.clone(), fresh, &mut fates) {
            fates.push(Fate::GivenUp(from..all.end, false));
        }
        fates
    }

    fn range(fate: &Fate) -> Range<usize> {
        match fate {
            Fate::Done(range) | Fate::GivenUp(range, _) => range.clone(),
        }
    }

    fn row() -> impl Strategy<Value = Row> {
        prop_oneof![60 => Just(Row::Good), 3 => Just(Row::Traps), 1 => Just(Row::Spins), 1 => Just(Row::SpinsOnce)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_row_is_settled_once_in_order_and_within_the_budget(
            rows in prop::collection::vec(row(), 1..300), fresh in any::<bool>(), most in prop_oneof![Just(usize::MAX), 1_usize..100],
        ) {
            let mut plugin = Plugin { most, ..Plugin::new(&rows) };
            let fates = follow(&mut plugin, fresh);
            prop_assert_eq!(&fates, &reference(&mut Plugin { most, ..Plugin::new(&rows) }, fresh));
            prop_assert!(plugin.cost <= Cost::BUDGET.0, "{}", plugin.cost);
            let mut next = 0;
            for fate in &fates {
                prop_assert_eq!(range(fate).start, next, "{:?}", fates);
                next = range(fate).end;
            }
            prop_assert_eq!(next, rows.len());
        }

        /// As long as the budget lasts, exactly the bad rows are given up.
        #[test]
        fn only_bad_rows_are_given_up_as_long_as_the_budget_lasts(
            rows in prop::collection::vec(row(), 1..300), fresh in any::<bool>(),
        ) {
            let mut plugin = Plugin::new(&rows);
            let fates = follow(&mut plugin, fresh);
            let lasted = plugin.cost + Cost::CALL_LIMIT.0 <= Cost::BUDGET.0;
            for fate in &fates {
                match fate {
                    Fate::Done(range) => prop_assert!(rows[range.clone()].iter().all(|row| matches!(row, Row::Good | Row::SpinsOnce))),
                    Fate::GivenUp(_, false) => prop_assert!(!lasted && Some(fate) == fates.last()),
                    Fate::GivenUp(range, true) => {
                        prop_assert_eq!(range.len(), 1);
                        let row = rows[range.start];
                        prop_assert!(matches!(row, Row::Traps | Row::Spins) || (row == Row::SpinsOnce && !lasted));
                    }
                }
            }
        }
    }

    fn one_bad(bad: Row, at: usize) -> (Plugin, Vec<Fate>) {
        let mut rows = vec![Row::Good; 4096];
        rows[at] = bad;
        let mut plugin = Plugin::new(&rows);
        let fates = follow(&mut plugin, false);
        (plugin, fates)
    }

    #[test]
    fn one_bad_row_of_4096_is_found_by_14_failed_calls_at_most() {
        for (bad, failed) in [(Row::Traps, 13), (Row::Spins, 14)] {
            for at in [0, 1, 2047, 2048, 4094, 4095] {
                let (plugin, fates) = one_bad(bad, at);
                assert_eq!(plugin.failed, failed, "{bad:?} at {at}");
                assert!(fates.contains(&Fate::GivenUp(at..at + 1, true)));
                assert_eq!(fates.iter().filter(|fate| matches!(fate, Fate::GivenUp(..))).count(), 1);
            }
        }
    }

    #[test]
    fn a_plugin_that_always_times_out_costs_16_calls() {
        for rows in [1, 2, 3, 4096, 100_000] {
            let mut plugin = Plugin::new(&vec![Row::Spins; rows]);
            let fates = follow(&mut plugin, false);
            assert_eq!(plugin.calls, plugin.failed);
            assert!(plugin.calls <= 16 && (rows < 8 || plugin.calls == 16), "{} calls", plugin.calls);
            assert!(fates.iter().all(|fate| matches!(fate, Fate::GivenUp(..))));
        }
    }

    #[test]
    fn a_plugin_that_fails_at_once_on_every_row_is_bounded_too() {
        let mut plugin = Plugin::new(&vec![Row::Traps; 100_000]);
        follow(&mut plugin, false);
        assert_eq!(plugin.cost, Cost::BUDGET.0 - Cost::CALL_LIMIT.0 + 1);
    }

    #[test]
    fn a_single_row_that_failed_on_a_used_instance_gets_a_fresh_one() {
        let failed = |fresh| Failed { timed_out: false, fresh, cost: Cost(1) };
        let mut retry = Retry::new(5..6);
        assert_eq!(retry.failed(failed(false)), Decision::Run(5..6));
        assert_eq!(retry.failed(failed(true)), Decision::GiveUp { rows: 5..6, tried: true });
        assert_eq!(retry.gave_up(), Decision::Finished);
        assert_eq!(Retry::new(5..6).failed(failed(true)), Decision::GiveUp { rows: 5..6, tried: true });
    }

    #[test]
    fn a_call_costs_what_it_used_of_its_limit() {
        let limit = Duration::from_secs(1);
        for (millis, cost) in [(0, 1), (1, 1), (16, 2), (500, 32), (1000, 64), (5000, 64)] {
            assert_eq!(Cost::of(Duration::from_millis(millis), limit), Cost(cost), "{millis} ms");
        }
        assert_eq!(Cost::of(limit, Duration::ZERO), Cost::CALL_LIMIT);
    }
}
