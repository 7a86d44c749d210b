//! A subtask with a source at its head: what was fetched -> rows -> chain; event times -> watermark.

use crate::chain::Chain;
use crate::channel::Receiver;
use crate::checkpoints::{Participant, SourceCommand};
use crate::error::JobError;
use crate::metrics::Counters;
use crate::operator::Dropped;
use crate::spec::Target;
use crate::split_reader::SplitEvent;
use crate::watermark::{Known, Progress, SplitWatermarks};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, RecordBatch};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stygian_api::{Decoded, Decoder, Fetched, Mark, Messages, Split};
use stygian_checkpoint::SplitState;
use stygian_core::{CheckpointId, DeadLetter, DeadLetters, EventTime, Offset, OperatorId, SubtaskId, escape};
use tokio::sync::mpsc;

/// The compute side of a source's subtask.
pub(crate) struct SourceTask {
    pub(crate) node: OperatorId,
    /// Those it has, by number.
    pub(crate) splits: Vec<SplitPosition>,
    /// Splits that runs before this one have read to their ends.
    pub(crate) done: Vec<SplitState>,
    /// What the coordinator wants.
    pub(crate) commands: Option<mpsc::Receiver<SourceCommand>>,
    pub(crate) participant: Option<Participant>,
    pub(crate) from: Receiver<SplitEvent>,
    pub(crate) decoder: Option<Box<dyn Decoder>>,
    pub(crate) event_time: Option<usize>,
    pub(crate) watermarks: SplitWatermarks,
    pub(crate) watermark_interval: Duration,
    /// At a stop: end as if the data had ended, so that open windows fire.
    pub(crate) drain: crate::job::Stop,
    pub(crate) rows: Arc<[Target]>,
    pub(crate) dead_letters: Arc<[Target]>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) chain: Chain,
}

impl SourceTask {
    /// Runs until all splits have ended, or reading was stopped.
    pub(crate) async fn run(mut self) -> Result<Dropped, JobError> {
        let mut last_watermark: Option<Instant> = None;
        let (mut finished, mut reading) = (false, true);
        loop {
            let wake = self.wake_at(last_watermark);
            tokio::select! {
                biased;
                command = next_command(&mut self.commands) => {
                    let SourceCommand { id, last } = command;
                    self.barrier(id).await?;
                    reading &= !last;
                }
                event = self.from.recv(), if reading => {
                    self.chain.fire_due()?;
                    match event {
                        Some(SplitEvent::Finished) => finished = true,
                        Some(event) => self.take(event)?,
                        // The last barrier is still to come.
                        None if self.is_stopped_by_checkpoint(finished) => reading = false,
                        None => break,
                    }
                }
                () = sleep_until(wake) => self.chain.release_due()?,
                () = self.chain.timer() => self.chain.fire_due()?,
            }
            let now = Instant::now();
            if last_watermark.is_none_or(|last| now.saturating_duration_since(last) >= self.watermark_interval) {
                last_watermark = Some(now);
                self.tell_progress(now)?;
            }
            self.chain.send().await?;
        }
        self.finish(finished).await
    }

    /// There is nothing to read, and never will be: says so ahead of its run.
    pub(crate) async fn nothing_comes(&mut self) -> Result<(), JobError> {
        self.counters.set_watermark(EventTime::MAX);
        self.chain.watermark(EventTime::MAX)?;
        self.chain.send().await
    }

    /// When there is something to do without new rows: rows waiting in an exchange, or splits becoming idle.
    fn wake_at(&self, last_watermark: Option<Instant>) -> Instant {
        let now = Instant::now();
        let look_again = last_watermark.unwrap_or(now) + self.watermark_interval.max(Duration::from_millis(100));
        self.chain.due().map_or(look_again, |due| due.min(look_again))
    }

    /// Takes over what was known of splits when they were last stored. Those that are at their ends are kept by the first subtask.
    pub(crate) fn take_known(&mut self, known: &[SplitState]) {
        for (number, position) in self.splits.iter().enumerate() {
            if let Some(SplitState { largest, watermark, .. }) = known.iter().find(|known| known.split == position.split.id) {
                self.watermarks.restore(number, &Known { largest: *largest, watermark: *watermark, idle: false });
            }
        }
        if self.chain.subtask() == SubtaskId(0) {
            self.done = known.iter().filter(|known| known.ended).cloned().collect();
        }
    }

    /// Whether a stop has ended the reading, and a last checkpoint holds what is to be gone on with.
    fn is_stopped_by_checkpoint(&self, finished: bool) -> bool {
        !finished && self.participant.is_some() && self.drain.is_requested() && !self.drain.drains()
    }

    /// Everything before this point belongs to the checkpoint.
    async fn barrier(&mut self, id: CheckpointId) -> Result<(), JobError> {
        self.chain.barrier(id)?;
        self.chain.send().await?;
        let sources = self.positions();
        if let Some(participant) = &mut self.participant {
            let mut taken = self.chain.snapshot(id, participant)?;
            taken.sources.insert(self.node.clone(), sources);
            participant.acknowledge(taken);
        }
        Ok(())
    }

    async fn finish(mut self, finished: bool) -> Result<Dropped, JobError> {
        if finished || self.drain.drains() {
            self.counters.set_watermark(EventTime::MAX);
            self.chain.watermark(EventTime::MAX)?;
        } else if !self.drain.is_requested() {
            // The reader is gone without a word: its own error is on the way.
            return Err(JobError::Severed);
        }
        let sources = self.positions();
        let taken = self.participant.as_mut().map(|participant| self.chain.last_snapshot(participant)).transpose()?;
        let dropped = self.chain.end()?;
        self.chain.send().await?;
        if let Some((participant, mut taken)) = self.participant.as_mut().zip(taken) {
            taken.sources.insert(self.node.clone(), sources);
            participant.ended(taken).await?;
        }
        Ok(dropped)
    }

    /// How far each split was read.
    fn positions(&self) -> Vec<SplitState> {
        let now = Instant::now();
        let position = |(number, split): (usize, &SplitPosition)| {
            let Known { largest, watermark, idle } = self.watermarks.known(number, now);
            let mark = split.mark.clone().map(|mark| mark.0);
            SplitState { split: split.split.id.clone(), offset: split.next, largest, watermark, idle, ended: split.ended, mark }
        };
        self.done.iter().cloned().chain(self.splits.iter().enumerate().map(position)).collect()
    }

    fn take(&mut self, event: SplitEvent) -> Result<(), JobError> {
        match event {
            SplitEvent::Found(split) => {
                self.splits.push(SplitPosition::unread(split));
                self.watermarks.add();
            }
            SplitEvent::Opened(split) => self.watermarks.opened(split, Instant::now()),
            SplitEvent::Ended(split) => {
                self.splits[split].ended = true;
                self.watermarks.ended(split);
            }
            SplitEvent::Fetched(split, Fetched::Messages { messages, next }) => {
                self.splits[split].next = next;
                self.messages(split, &messages)?;
            }
            SplitEvent::Fetched(split, Fetched::Rows { rows, next }) => {
                self.splits[split].next = next;
                self.pass_on(split, &rows)?;
            }
            SplitEvent::Fetched(split, Fetched::Mark(mark)) => self.splits[split].mark = Some(mark),
            SplitEvent::Fetched(split, Fetched::Watermark(watermark)) => self.watermarks.promised(split, watermark),
            SplitEvent::Fetched(_, Fetched::Nothing | Fetched::End) | SplitEvent::Finished => {}
        }
        Ok(())
    }

    fn messages(&mut self, split: usize, messages: &Messages) -> Result<(), JobError> {
        let Some(decoder) = &mut self.decoder else {
            return Err(JobError::Wiring(format!("source `{}` fetches messages and has no decoder", self.node)));
        };
        let decoded = decoder.decode(messages);
        self.refuse(split, messages, &decoded)?;
        self.pass_on(split, &decoded.rows)
    }

    fn pass_on(&mut self, split: usize, rows: &RecordBatch) -> Result<(), JobError> {
        let largest = self.event_time.and_then(|column| largest_time(rows, column));
        self.watermarks.rows(split, largest, Instant::now());
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.counters.add_rows_out(rows.num_rows());
        self.chain.rows(&self.rows, rows)
    }

    fn refuse(&mut self, split: usize, messages: &Messages, decoded: &Decoded) -> Result<(), JobError> {
        if decoded.bad.is_empty() {
            return Ok(());
        }
        let name = self.splits[split].split.id.as_str();
        let mut letters = DeadLetters::default();
        for bad in &decoded.bad {
            let raw = messages.ranges.get(bad.message).and_then(|range| messages.buffer.get(range.clone())).unwrap_or_default();
            let offset = messages.offsets.get(bad.message).copied();
            letters.push(&DeadLetter { operator: self.node.as_str(), split: Some(name), offset, reason: &bad.reason, raw });
        }
        let first = || {
            let offset = decoded.bad.first().and_then(|bad| messages.offsets.get(bad.message)).copied().unwrap_or_default();
            let reason = decoded.bad.first().map(|bad| escape(&bad.reason, 200)).unwrap_or_default();
            format!("{name} at offset {offset}: {reason}")
        };
        self.counters.add_dead_letters(decoded.bad.len(), first);
        letters.take().map_or(Ok(()), |letters| self.chain.rows(&self.dead_letters, &letters))
    }

    fn tell_progress(&mut self, now: Instant) -> Result<(), JobError> {
        if self.event_time.is_none() {
            return Ok(());
        }
        match self.watermarks.progress(now) {
            Some(Progress::Watermark(watermark)) => {
                self.counters.set_watermark(watermark);
                self.chain.watermark(watermark)
            }
            Some(Progress::Idle) => self.chain.idle(),
            None => Ok(()),
        }
    }
}

/// A split, and how far it was read.
#[derive(Clone, Debug)]
pub(crate) struct SplitPosition {
    pub(crate) split: Split,
    /// Rows before it have been passed on.
    pub(crate) next: Offset,
    pub(crate) ended: bool,
    pub(crate) mark: Option<Mark>,
}

impl SplitPosition {
    /// At its beginning.
    pub(crate) fn unread(split: Split) -> Self {
        Self { split, next: Offset::default(), ended: false, mark: None }
    }
}

async fn next_command(commands: &mut Option<mpsc::Receiver<SourceCommand>>) -> SourceCommand {
    let command = match commands {
        Some(commands) => commands.recv().await,
        None => None,
    };
    match command {
        Some(command) => command,
        // A coordinator that is gone has ended the job.
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Instant) {
    tokio::time::sleep_until(at.into()).await;
}

/// The largest event time of the rows; `None` if no row has one.
fn largest_time(rows: &RecordBatch, column: usize) -> Option<EventTime> {
    let times = rows.column(column).as_primitive_opt::<TimestampMicrosecondType>()?;
    let largest = match times.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => times.values().iter().copied().max(),
        Some(nulls) => nulls.valid_indices().map(|row| times.value(row)).max(),
    };
    largest.map(EventTime::from_micros)
}
