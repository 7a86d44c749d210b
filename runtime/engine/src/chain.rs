//! A chain: the operators of one subtask, which call each other as functions.
//!
//! Stages are in topological order and form a tree below the head. What enters is passed down depth first; a watermark visits the stages
//! in order, so that the rows it releases in one stage reach the next before it does; markers leave through the outlets last. Timers of
//! processing time that are due fire before the next element.

use crate::checkpoints::{Kept, Participant, Taken};
use crate::clock::Clock;
use crate::error::{JobError, OperatorError};
use crate::metrics::Counters;
use crate::operator::{CallContext, Dropped, Operator, Output};
use crate::outlet::Outlet;
use crate::spec::Target;
use arrow_array::RecordBatch;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;
use stygian_core::{CheckpointId, EventTime, OperatorId, StreamElement, SubtaskId};

/// The stages and outlets of one subtask.
pub(crate) struct Chain {
    subtask: SubtaskId,
    stages: Vec<Stage>,
    outlets: Vec<Outlet>,
    watermark: EventTime,
    /// The watermark before the end of the input.
    before_end: EventTime,
    /// Where it begins, if some of what it holds had come further than the rest.
    begins_at: Option<EventTime>,
    clock: Arc<dyn Clock>,
}

/// One operator and where its outputs go.
pub(crate) struct Stage {
    pub(crate) node: OperatorId,
    pub(crate) operator: Box<dyn Operator>,
    pub(crate) outputs: Vec<Arc<[Target]>>,
    pub(crate) counters: Arc<Counters>,
}

impl Chain {
    pub(crate) fn new(subtask: SubtaskId, stages: Vec<Stage>, outlets: Vec<Outlet>, clock: Arc<dyn Clock>) -> Self {
        Self { subtask, stages, outlets, watermark: EventTime::MIN, before_end: EventTime::MIN, begins_at: None, clock }
    }

    /// Passes rows to each of the targets.
    pub(crate) fn rows(&mut self, targets: &[Target], rows: &RecordBatch) -> Result<(), JobError> {
        for target in targets {
            match *target {
                Target::Stage(stage) => self.stage_rows(stage, rows.clone())?,
                Target::Outlet(outlet) => {
                    let queued = self.outlets[outlet].rows(rows.clone(), Instant::now());
                    queued.map_err(|source| self.failed_outlet(source))?;
                }
            }
        }
        Ok(())
    }

    /// The watermark advanced. After a restore it may come to where it was before from behind, which says nothing new.
    pub(crate) fn watermark(&mut self, watermark: EventTime) -> Result<(), JobError> {
        if watermark < self.watermark {
            return Ok(());
        }
        self.watermark = watermark;
        if watermark < EventTime::MAX {
            self.before_end = watermark;
        }
        let context = self.context();
        for at in 0..self.stages.len() {
            let mut out = Output::default();
            let stage = &mut self.stages[at];
            stage.counters.set_watermark(watermark);
            let done = stage.operator.watermark(&context, &mut out);
            done.map_err(|source| self.failed(at, "advanced its watermark", source))?;
            self.pass_on(at, out)?;
        }
        self.marker(&StreamElement::Watermark(watermark))
    }

    /// Calls the stages whose deadline has passed, each once.
    pub(crate) fn fire_due(&mut self) -> Result<(), JobError> {
        if self.deadline().is_none() {
            return Ok(());
        }
        let context = self.context();
        for at in 0..self.stages.len() {
            let mut out = Output::default();
            let operator = &mut self.stages[at].operator;
            if operator.next_deadline().is_none_or(|deadline| deadline > context.processing_time) {
                continue;
            }
            let done = operator.processing_time(&context, &mut out);
            done.map_err(|source| self.failed(at, "fired its timers", source))?;
            self.pass_on(at, out)?;
        }
        Ok(())
    }

    /// The earliest processing time at which a stage wants to be called.
    fn deadline(&self) -> Option<i64> {
        self.stages.iter().filter_map(|stage| stage.operator.next_deadline()).min()
    }

    /// Waits until there is something for [`Chain::fire_due`] to do; for ever, where no stage has a deadline. Dropping the future loses
    /// nothing.
    pub(crate) fn timer(&self) -> impl Future<Output = ()> + Send + use<> {
        let (deadline, clock) = (self.deadline(), self.clock.clone());
        async move {
            match deadline {
                Some(deadline) => clock.reached(deadline).await,
                None => std::future::pending().await,
            }
        }
    }

    /// The stream is idle.
    pub(crate) fn idle(&mut self) -> Result<(), JobError> {
        self.marker(&StreamElement::Idle)
    }

    /// All before it belongs to the checkpoint.
    pub(crate) fn barrier(&mut self, id: CheckpointId) -> Result<(), JobError> {
        self.marker(&StreamElement::Barrier(id))
    }

    /// What its operators keep, for the checkpoint whose barrier has just passed.
    pub(crate) fn snapshot(&mut self, id: CheckpointId, participant: &mut Participant) -> Result<Taken, JobError> {
        let watermark = Some(self.before_end).filter(|watermark| *watermark > EventTime::MIN);
        let (at_end, now) = (self.watermark == EventTime::MAX, EventTime::from_micros(self.clock.now()));
        let kept = self.stages.iter_mut().map(|stage| Kept { node: &stage.node, operator: stage.operator.as_mut() });
        participant.take(id, (watermark, at_end), now, kept)
    }

    /// What its operators keep at the end of their input.
    pub(crate) fn last_snapshot(&mut self, participant: &mut Participant) -> Result<Taken, JobError> {
        self.snapshot(participant.next_checkpoint(), participant)
    }

    /// Its operators, to be restored before anything else.
    pub(crate) fn stages_mut(&mut self) -> impl Iterator<Item = (&OperatorId, &mut Box<dyn Operator>)> {
        self.stages.iter_mut().map(|stage| (&stage.node, &mut stage.operator))
    }

    /// The watermark that all operators had, and that which some of what they hold had.
    pub(crate) fn restore_watermark(&mut self, watermark: EventTime, furthest: Option<EventTime>) {
        (self.watermark, self.before_end) = (watermark, watermark);
        self.begins_at = furthest.filter(|furthest| *furthest > watermark);
    }

    /// Brings all that was restored to one watermark, before anything else: nothing that has fired fires again, and what had not come so far
    /// fires now.
    pub(crate) fn begin(&mut self) -> Result<(), JobError> {
        self.begins_at.take().map_or(Ok(()), |watermark| self.watermark(watermark))
    }

    /// Which copy it is.
    pub(crate) fn subtask(&self) -> SubtaskId {
        self.subtask
    }

    /// Nothing follows; what the stages still held is dropped.
    pub(crate) fn end(&mut self) -> Result<Dropped, JobError> {
        let mut dropped = Dropped::default();
        for stage in &mut self.stages {
            let held = stage.operator.end();
            dropped.windows += held.windows;
            dropped.rows += held.rows;
            dropped.timers += held.timers;
        }
        self.marker(&StreamElement::EndOfInput)?;
        Ok(dropped)
    }

    /// Queues what has waited long enough in an exchange.
    pub(crate) fn release_due(&mut self) -> Result<(), JobError> {
        let now = Instant::now();
        let released = self.outlets.iter_mut().try_for_each(|outlet| outlet.release_due(now));
        released.map_err(|source| self.failed_outlet(source))
    }

    /// When something that waits in an exchange must go.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.outlets.iter().filter_map(Outlet::due).min()
    }

    /// Sends what is queued, waiting for room.
    pub(crate) async fn send(&mut self) -> Result<(), JobError> {
        for outlet in &mut self.outlets {
            outlet.send().await.map_err(|_| JobError::Severed)?;
        }
        Ok(())
    }

    fn stage_rows(&mut self, at: usize, rows: RecordBatch) -> Result<(), JobError> {
        let context = self.context();
        let (mut out, count) = (Output::default(), rows.num_rows());
        let stage = &mut self.stages[at];
        stage.counters.add_rows_in(count);
        let done = stage.operator.process(rows, &context, &mut out);
        done.map_err(|source| self.failed_rows(at, 0..count, source))?;
        self.pass_on(at, out)
    }

    fn context(&self) -> CallContext {
        CallContext { watermark: self.watermark, processing_time: self.clock.now() }
    }

    fn pass_on(&mut self, from: usize, out: Output) -> Result<(), JobError> {
        let (batches, results) = out.into_parts();
        self.stages[from].counters.add_rows_out(results);
        for (output, rows) in batches {
            let Some(targets) = self.stages[from].outputs.get(output).cloned() else { continue };
            self.rows(&targets, &rows)?;
        }
        Ok(())
    }

    fn marker(&mut self, marker: &StreamElement) -> Result<(), JobError> {
        let queued = self.outlets.iter_mut().try_for_each(|outlet| outlet.marker(marker));
        queued.map_err(|source| self.failed_outlet(source))
    }

    fn failed_rows(&self, at: usize, rows: Range<usize>, source: OperatorError) -> JobError {
        match source {
            told @ (OperatorError::Call(_) | OperatorError::Poison { .. } | OperatorError::TooMuchPoison { .. }) => {
                JobError::Plugin(told.into())
            }
            source => JobError::Rows { operator: self.stages[at].node.clone(), subtask: self.subtask, rows, source: source.into() },
        }
    }

    fn failed(&self, at: usize, doing: &'static str, source: OperatorError) -> JobError {
        JobError::Operator { operator: self.stages[at].node.clone(), subtask: self.subtask, doing, source: source.into() }
    }

    fn failed_outlet(&self, source: OperatorError) -> JobError {
        let operator = self.stages.last().map_or_else(|| OperatorId::new("exchange"), |stage| stage.node.clone());
        JobError::Operator { operator, subtask: self.subtask, doing: "parted its rows by key", source: source.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SubtaskContext;
    use crate::channel::{Receiver, channel};
    use crate::clock::ManualClock;
    use crate::operators::Window;
    use arrow_array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
    use stygian_core::{ByteSize, MaxParallelism};
    use stygian_expr::{Aggregate, WindowAggregatorSpec, WindowSpec};

    const SECOND: i64 = 1_000_000;

    fn row(key: i64, second: i64) -> RecordBatch {
        let (key, at) = (Int64Array::from(vec![key]), TimestampMicrosecondArray::from(vec![second * SECOND]));
        RecordBatch::try_from_iter([("key", Arc::new(key) as ArrayRef), ("at", Arc::new(at))]).expect("two columns")
    }

    fn window(window: WindowSpec, allowed_lateness: i64) -> Window {
        let input = row(0, 0).schema();
        let aggregates = vec![("n".to_owned(), Aggregate::compile("count(*)", &input).expect("an aggregate"))];
        let spec = WindowAggregatorSpec { window, keys: vec![0], event_time: Some(1), allowed_lateness, early: false, aggregates, input };
        let (node, groups) = (OperatorId::new("window"), MaxParallelism::DEFAULT);
        let context = SubtaskContext { node, subtask: SubtaskId(0), groups, counters: Arc::default() };
        Window::new(Arc::new(spec), None, &context).expect("made")
    }

    fn rows_in(from: &mut Receiver<StreamElement>) -> usize {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut rows = 0;
        while let std::task::Poll::Ready(Some(element)) = from.poll_recv(&mut context) {
            rows += if let StreamElement::Batch(batch) = element { batch.num_rows() } else { 0 };
        }
        rows
    }

    /// Two subtasks at 5 and 22 seconds become one: rows that come out of its windows at once, and at the end; and those that are late.
    async fn put_together(spec: WindowSpec, allowed_lateness: i64) -> (usize, usize, usize) {
        let seconds = |seconds: i64| EventTime::from_micros(seconds * SECOND);
        let groups = |key: i64| {
            let key: ArrayRef = Arc::new(Int64Array::from(vec![key]));
            let hash = stygian_core::KeyHasher::default().hash(&[key], 1).expect("a key")[0];
            let group = MaxParallelism::DEFAULT.group_of(hash).0;
            stygian_core::KeyGroupRange(group..group + 1)
        };
        let mut restored = window(spec, allowed_lateness);
        for (key, second, watermark) in [(1, 7, 5), (2, 17, 22)] {
            let (mut one, context) = (window(spec, allowed_lateness), CallContext { watermark: seconds(watermark), processing_time: 0 });
            one.process(row(key, second), &context, &mut Output::default()).expect("taken");
            one.watermark(&context, &mut Output::default()).expect("advanced");
            let sections = one.snapshot(&|_| true).expect("taken").sections;
            sections.iter().for_each(|section| restored.restore(section).expect("restored"));
        }
        restored.restore_watermark(seconds(5));
        restored.restore_ahead(&[stygian_checkpoint::Ahead { groups: groups(2), watermark: seconds(22) }]);
        let ((results, mut fired), (aside, mut late)) = (channel(16, ByteSize::mib(1)), channel(16, ByteSize::mib(1)));
        let stage = Stage {
            node: OperatorId::new("window"),
            operator: Box::new(restored),
            outputs: vec![[Target::Outlet(0)].into(), [Target::Outlet(1)].into()],
            counters: Arc::default(),
        };
        let outlets = vec![Outlet::forward(results), Outlet::forward(aside)];
        let mut chain = Chain::new(SubtaskId(0), vec![stage], outlets, Arc::new(ManualClock::new(0)));
        chain.restore_watermark(seconds(5), Some(seconds(22)));
        chain.begin().expect("advanced");
        chain.send().await.expect("room");
        let at_once = rows_in(&mut fired);
        chain.rows(&[Target::Stage(0)], &row(2, 3)).expect("taken");
        chain.watermark(EventTime::MAX).expect("fires");
        chain.send().await.expect("room");
        (at_once, rows_in(&mut fired), rows_in(&mut late))
    }

    #[tokio::test]
    async fn what_had_come_further_stays_shut_and_the_rest_follows_at_once() {
        // Of key 1 the window [0, 10); of key 2 [10, 20) had fired.
        assert_eq!(put_together(WindowSpec::tumbling(10 * SECOND), 0).await, (1, 0, 1));
        // [10, 20) is kept for late rows.
        assert_eq!(put_together(WindowSpec::tumbling(10 * SECOND), 10 * SECOND).await, (1, 0, 1));
        // Of key 1 [0, 10) and [5, 15); of key 2 [10, 20) had fired, and [15, 25) has not.
        assert_eq!(put_together(WindowSpec::sliding(10 * SECOND, 5 * SECOND), 0).await, (2, 1, 1));
    }
}
