//! `window`: aggregates by key over windows. Windows of event time fire when the watermark passes their end, those of processing time
//! when the clock does; early results come by the clock. At the end of the data everything fires.

use crate::metrics::Counters;
use crate::{CallContext, Dropped, Keeps, Operator, OperatorError, Output, Snapshot, SubtaskContext};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use stygian_checkpoint::Ahead;
use stygian_core::{EventTime, KeyGroup, KeyHasher, MaxParallelism, StateSection};
use stygian_expr::{WindowAggregator, WindowAggregatorSpec};

/// Two outputs: the results, and the rows that came after all their windows had closed.
pub struct Window {
    aggregator: WindowAggregator,
    /// By processing time rather than event time.
    by_clock: bool,
    early: Option<Early>,
    /// At the end of the input: when the last window closed that fired then.
    closed: Option<EventTime>,
    /// Key groups that had come further than the rest when they were restored.
    ahead: Vec<Ahead>,
    groups: MaxParallelism,
    counters: Arc<Counters>,
}

/// Early results: at multiples of the interval, while there is something new to tell.
struct Early {
    interval: i64,
    /// The next time, from the first row that came after the last.
    due: Option<i64>,
}

impl Window {
    /// An aggregator without any rows, with results every `early` before windows end.
    ///
    /// # Errors
    /// When an aggregate cannot be made.
    pub fn new(spec: Arc<WindowAggregatorSpec>, early: Option<Duration>, context: &SubtaskContext) -> Result<Self, OperatorError> {
        let by_clock = spec.event_time.is_none();
        let interval = early.map(|early| i64::try_from(early.as_micros()).unwrap_or(i64::MAX).max(1));
        let early = interval.map(|interval| Early { interval, due: None });
        let (groups, counters) = (context.groups, context.counters.clone());
        Ok(Self { aggregator: WindowAggregator::new(spec)?, by_clock, early, closed: None, ahead: Vec::new(), groups, counters })
    }

    /// What the windows of this spec keep: their part, and of each user-defined aggregate, as of a slot, the versions that it reads.
    pub fn keeps(spec: &WindowAggregatorSpec) -> Keeps {
        let slots = spec.aggregates.iter().filter_map(|(name, aggregate)| Some((name.clone(), aggregate.accumulators()?.versions())));
        Keeps { parts: vec!["windows"], slots: slots.collect(), accumulators: Some(stygian_expr::accumulators_version()) }
    }

    fn advance(&mut self, to: EventTime, out: &mut Output) -> Result<(), OperatorError> {
        for results in self.aggregator.advance(to)? {
            out.push(RESULTS, if self.ahead.is_empty() { results } else { self.not_fired(&results)? });
        }
        self.ahead.retain(|ahead| ahead.watermark > to);
        Ok(())
    }

    /// The results of key groups whose windows have not fired before the restore.
    fn not_fired(&self, results: &RecordBatch) -> Result<RecordBatch, OperatorError> {
        let spec = self.aggregator.spec();
        let first_key = 3 + usize::from(spec.revises());
        let keys = &results.columns()[first_key..first_key + spec.keys.len()];
        let (ends, mut hasher) = (results.column(1).as_primitive::<TimestampMicrosecondType>(), KeyHasher::default());
        let hashes = hasher.hash(keys, results.num_rows())?.iter().zip(ends.values());
        let has_fired = |hash: u64, end: i64| {
            let group = self.groups.group_of(hash);
            self.ahead.iter().any(|ahead| ahead.groups.contains(group) && ahead.watermark.micros() >= end)
        };
        let wanted: BooleanArray = hashes.map(|(hash, end)| Some(!has_fired(*hash, *end))).collect();
        Ok(filter_record_batch(results, &wanted)?)
    }
}

impl Window {
    /// Of each user-defined aggregate, how many accumulators there are; all are of its own version.
    fn versions(&self) -> BTreeMap<String, BTreeMap<u32, u64>> {
        let held = self.aggregator.open_keys() as u64;
        let aggregates = self.aggregator.spec().aggregates.iter().filter(|_| held > 0);
        let external = aggregates.filter_map(|(name, aggregate)| Some((name, aggregate.accumulators()?.version)));
        external.map(|(name, version)| (name.clone(), BTreeMap::from([(version, held)]))).collect()
    }
}

const RESULTS: usize = 0;
const LATE: usize = 1;

impl Operator for Window {
    fn process(&mut self, rows: RecordBatch, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        let now = context.processing_time;
        if self.by_clock {
            // What ended between the last timer and these rows.
            self.advance(EventTime::from_micros(now), out)?;
        }
        if let Some(late) = self.aggregator.push_at(&rows, EventTime::from_micros(now))? {
            self.counters.add_late_rows(late.num_rows());
            out.push_aside(LATE, late);
        }
        if let Some(early) = &mut self.early
            && early.due.is_none()
            && self.aggregator.has_changed()
        {
            early.due = Some((now.div_euclid(early.interval) + 1).saturating_mul(early.interval));
        }
        Ok(())
    }

    fn watermark(&mut self, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        let at_end = context.watermark == EventTime::MAX;
        if at_end {
            // It may be told more than once.
            self.closed = self.aggregator.last_close().max(self.closed);
        }
        if self.by_clock && !at_end { Ok(()) } else { self.advance(context.watermark, out) }
    }

    fn next_deadline(&self) -> Option<i64> {
        let end = self.aggregator.next_end().filter(|_| self.by_clock).map(EventTime::micros);
        end.into_iter().chain(self.early.as_ref().and_then(|early| early.due)).min()
    }

    fn processing_time(&mut self, context: &CallContext, out: &mut Output) -> Result<(), OperatorError> {
        let now = context.processing_time;
        if self.by_clock {
            self.advance(EventTime::from_micros(now), out)?;
        }
        if let Some(early) = self.early.as_mut().filter(|early| early.due.is_some_and(|due| due <= now)) {
            early.due = None;
            for results in self.aggregator.early()? {
                out.push(RESULTS, results);
            }
        }
        Ok(())
    }

    fn snapshot(&mut self, _whole: &dyn Fn(KeyGroup) -> bool) -> Result<Snapshot, OperatorError> {
        Ok(Snapshot {
            sections: self.aggregator.snapshot(self.groups)?,
            complete: Some("windows"),
            versions: self.versions(),
            accumulators: Some(stygian_expr::accumulators_version()),
        })
    }

    fn restore(&mut self, section: &StateSection) -> Result<(), OperatorError> {
        self.aggregator.restore(section)?;
        if let Some(early) = self.early.as_mut().filter(|_| self.aggregator.has_changed()) {
            // Results that are due since, at once.
            early.due = Some(i64::MIN);
        }
        Ok(())
    }

    fn clock(&self, now: EventTime) -> Option<EventTime> {
        match self.aggregator.watermark() {
            // What is left of windows that the clock has not ended gives results of its own.
            EventTime::MAX if self.by_clock => Some(now),
            EventTime::MAX => self.closed,
            // No row has come yet.
            EventTime::MIN if self.by_clock => Some(now),
            at => self.by_clock.then_some(at),
        }
    }

    fn restore_watermark(&mut self, watermark: EventTime) {
        self.aggregator.restore_watermark(watermark);
    }

    fn restore_ahead(&mut self, ahead: &[Ahead]) {
        self.ahead = ahead.to_vec();
    }

    fn end(&mut self) -> Dropped {
        Dropped { windows: self.aggregator.open_windows(), rows: self.aggregator.held_rows(), timers: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Int64Array};
    use stygian_core::{OperatorId, SubtaskId};
    use stygian_expr::{Aggregate, WindowSpec};

    const SECOND: i64 = 1_000_000;

    fn at(seconds: i64) -> CallContext {
        CallContext { watermark: EventTime::MIN, processing_time: seconds * SECOND }
    }

    fn given_out(out: Output) -> usize {
        out.into_parts().1
    }

    #[test]
    fn what_fired_at_the_end_of_the_input_stays_shut_in_a_later_run_and_nothing_else() {
        let times = |seconds: &[i64]| {
            let times = arrow_array::TimestampMicrosecondArray::from_iter_values(seconds.iter().map(|at| at * SECOND));
            RecordBatch::try_from_iter([("at", Arc::new(times) as ArrayRef)]).expect("one column")
        };
        let input = times(&[]).schema();
        let rows = Aggregate::compile("count(*)", &input).expect("an aggregate");
        let spec = |window, allowed_lateness| {
            let (aggregates, input) = (vec![("rows".to_owned(), rows.clone())], input.clone());
            Arc::new(WindowAggregatorSpec { window, keys: vec![], event_time: Some(0), allowed_lateness, early: false, aggregates, input })
        };
        let (node, groups) = (OperatorId::new("totals"), MaxParallelism::DEFAULT);
        let context = SubtaskContext { node, subtask: SubtaskId(0), groups, counters: Arc::default() };
        let cases = [
            (spec(WindowSpec::tumbling(10 * SECOND), 0), 20, 2),
            (spec(WindowSpec::tumbling(10 * SECOND), 5 * SECOND), 25, 2),
            (spec(WindowSpec::sliding(10 * SECOND, 5 * SECOND), 0), 25, 2),
            // A row that would have gone into the last session begins one of its own.
            (spec(WindowSpec::session(10 * SECOND), 0), 25, 1),
        ];
        for (spec, shut_until, late) in cases {
            let mut window = Window::new(spec.clone(), None, &context).expect("made");
            window.process(times(&[3, 15]), &at(0), &mut Output::default()).expect("taken");
            assert_eq!(window.clock(EventTime::MIN), None, "the watermark tells");
            let end = CallContext { watermark: EventTime::MAX, processing_time: 0 };
            window.watermark(&end, &mut Output::default()).expect("fires");
            assert_eq!(window.clock(EventTime::MIN), Some(EventTime::from_micros(shut_until * SECOND)));
            let mut later = Window::new(spec, None, &context).expect("made");
            window.snapshot(&|_| true).expect("taken").sections.iter().for_each(|section| later.restore(section).expect("restored"));
            later.restore_watermark(window.clock(EventTime::MIN).expect("the end"));
            let mut out = Output::default();
            later.process(times(&[8, 19, 30]), &at(0), &mut out).expect("taken");
            let aside: usize = out.into_parts().0.iter().filter(|(output, _)| *output == LATE).map(|(_, rows)| rows.num_rows()).sum();
            assert_eq!(aside, late);
        }
    }

    #[test]
    fn a_window_of_processing_time_that_has_fired_stays_shut_after_a_restore() {
        let row = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).expect("one column");
        let total = Aggregate::compile("sum(n)", &row.schema()).expect("an aggregate");
        let spec = Arc::new(WindowAggregatorSpec {
            window: WindowSpec::sliding(10 * SECOND, 5 * SECOND),
            keys: vec![],
            event_time: None,
            allowed_lateness: 0,
            early: false,
            aggregates: vec![("total".to_owned(), total)],
            input: row.schema(),
        });
        let (node, groups) = (OperatorId::new("totals"), MaxParallelism::DEFAULT);
        let context = SubtaskContext { node, subtask: SubtaskId(0), groups, counters: Arc::default() };
        let (mut window, mut out) = (Window::new(spec.clone(), None, &context).expect("made"), Output::default());
        window.process(row, &at(7), &mut out).expect("taken");
        window.processing_time(&at(12), &mut out).expect("fires");
        assert_eq!(given_out(out), 1, "[0, 10)");
        let snapshot = window.snapshot(&|_| true).expect("taken");
        let (mut restored, mut out) = (Window::new(spec, None, &context).expect("made"), Output::default());
        snapshot.sections.iter().for_each(|section| restored.restore(section).expect("restored"));
        restored.restore_watermark(window.clock(EventTime::MIN).expect("it lives by the clock"));
        restored.processing_time(&at(15), &mut out).expect("fires");
        assert_eq!(given_out(out), 1, "[5, 15) alone");
    }
}
