//! The I/O side of a sink: writes what one subtask sends, and makes finished work visible.
//!
//! Without checkpoints there is nothing to wait for: what a writer has finished is committed at once. With them, what was finished up to a
//! barrier goes into its checkpoint, and is made visible when that is committed (`checkpoints`); or at once, where rows may come twice. A stream that breaks off without its
//! end is not committed: what was open stays under its in-progress name.

use crate::channel::Receiver;
use crate::checkpoints::Participant;
use crate::error::JobError;
use crate::metrics::Counters;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use stygian_api::{Committer, ConnectorError, Pending, Sink, SinkContext, SinkWriter};
use stygian_core::{OperatorId, StreamElement};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// How often a writer may look at the clock.
const TICK: Duration = Duration::from_secs(1);

/// Finished work on its way to the committer; so many parcels may wait.
pub(crate) const PENDING_PARCELS: usize = 16;

/// Where finished work goes.
pub(crate) enum Finished {
    /// To the committer, at once.
    Committer(mpsc::Sender<Vec<Pending>>),
    /// Into the checkpoint of the next barrier.
    Checkpoint {
        participant: Box<Participant>,
        /// What was finished since the last one.
        held: Vec<Pending>,
    },
    /// To this committer, at once; a checkpoint holds only that all before it is visible.
    AtOnce { participant: Box<Participant>, committer: Box<dyn Committer> },
}

impl Finished {
    /// Who tells of a checkpoint, and what it has to hold; `None` without checkpoints.
    fn since_the_last(&mut self, node: &OperatorId) -> Option<(&Participant, BTreeMap<OperatorId, Vec<serde_json::Value>>)> {
        match self {
            Self::Committer(_) => None,
            Self::Checkpoint { participant, held } => Some((participant, outputs(node, std::mem::take(held)))),
            Self::AtOnce { participant, .. } => Some((participant, BTreeMap::new())),
        }
    }
}

/// The writer of one subtask.
pub(crate) struct SinkTask {
    pub(crate) node: OperatorId,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) context: SinkContext,
    pub(crate) from: Receiver<StreamElement>,
    pub(crate) finished: Finished,
    pub(crate) counters: Arc<Counters>,
}

impl SinkTask {
    /// Runs until the stream ends.
    pub(crate) async fn run(mut self) -> Result<(), JobError> {
        let mut writer = self.sink.open(self.context.clone()).await.map_err(|error| self.failed(error))?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let end = tokio::select! {
                element = self.from.recv() => self.take(writer.as_mut(), element.ok_or(JobError::Severed)?).await?,
                _ = tick.tick() => {
                    writer.tick().await.map_err(|error| self.failed(error))?;
                    false
                }
            };
            self.hand_over(writer.take_pending()).await?;
            if end {
                return Ok(());
            }
        }
    }

    /// Works on an element; true at the end.
    async fn take(&mut self, writer: &mut dyn SinkWriter, element: StreamElement) -> Result<bool, JobError> {
        let end = element == StreamElement::EndOfInput;
        match element {
            StreamElement::Batch(rows) => {
                let count = rows.num_rows();
                writer.write(rows).await.map_err(|error| self.failed(error))?;
                self.counters.add_rows_in(count);
            }
            StreamElement::Barrier(id) => {
                self.finish(writer).await?;
                if let Some((participant, pending)) = self.finished.since_the_last(&self.node) {
                    participant.acknowledge_sink(id, pending).await?;
                }
            }
            StreamElement::EndOfInput => {
                self.finish(writer).await?;
                if let Some((participant, pending)) = self.finished.since_the_last(&self.node) {
                    participant.sink_ended(pending).await?;
                }
            }
            StreamElement::Watermark(watermark) => self.counters.set_watermark(watermark),
            StreamElement::Idle => {}
        }
        Ok(end)
    }

    /// Finishes everything that was written.
    async fn finish(&mut self, writer: &mut dyn SinkWriter) -> Result<(), JobError> {
        let pending = writer.pre_commit().await.map_err(|error| self.failed(error))?;
        self.hand_over(pending).await
    }

    async fn hand_over(&mut self, pending: Vec<Pending>) -> Result<(), JobError> {
        match &mut self.finished {
            _ if pending.is_empty() => Ok(()),
            Finished::Committer(committer) => committer.send(pending).await.map_err(|_| JobError::Severed),
            Finished::Checkpoint { held, .. } => {
                held.extend(pending);
                Ok(())
            }
            Finished::AtOnce { committer, .. } => {
                let committed = committer.commit(&pending).await;
                committed.map_err(|source| JobError::Sink { sink: self.node.clone(), source })
            }
        }
    }

    fn failed(&self, source: ConnectorError) -> JobError {
        JobError::Sink { sink: self.node.clone(), source }
    }
}

/// In the words of a checkpoint.
fn outputs(node: &OperatorId, pending: Vec<Pending>) -> BTreeMap<OperatorId, Vec<serde_json::Value>> {
    let outputs: Vec<_> = pending.into_iter().map(|pending| pending.0).collect();
    if outputs.is_empty() { BTreeMap::new() } else { BTreeMap::from([(node.clone(), outputs)]) }
}

/// Commits what the writers of one sink have finished, until they are all done.
pub(crate) async fn commit(
    node: OperatorId,
    mut committer: Box<dyn Committer>,
    mut finished: mpsc::Receiver<Vec<Pending>>,
) -> Result<(), JobError> {
    while let Some(pending) = finished.recv().await {
        committer.commit(&pending).await.map_err(|source| JobError::Sink { sink: node.clone(), source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::channel;
    use arrow_array::{Int64Array, RecordBatch};
    use stygian_core::{ByteSize, CheckpointId, SubtaskId};
    use stygian_local::CollectSink;

    fn row() -> StreamElement {
        let column = Arc::new(Int64Array::from(vec![1])) as arrow_array::ArrayRef;
        StreamElement::Batch(RecordBatch::try_from_iter([("n", column)]).expect("one column"))
    }

    async fn parcels_after(elements: Vec<StreamElement>) -> (Result<(), JobError>, usize) {
        let (to, from) = channel(4, ByteSize::mib(1));
        let (finished, mut parcels) = mpsc::channel(4);
        let context = SinkContext { job: "job".to_owned(), subtask: SubtaskId(0), attempt: "1".to_owned(), transactional: false };
        let sink = Arc::new(CollectSink::default());
        let task = SinkTask {
            node: OperatorId::new("out"),
            sink,
            context,
            from,
            finished: Finished::Committer(finished),
            counters: Arc::default(),
        };
        for element in elements {
            to.send(element).await.expect("open");
        }
        drop(to);
        let ended = task.run().await;
        let mut count = 0;
        while parcels.recv().await.is_some() {
            count += 1;
        }
        (ended, count)
    }

    #[tokio::test]
    async fn only_a_stream_that_ends_is_committed() {
        assert!(matches!(parcels_after(vec![row(), StreamElement::EndOfInput]).await, (Ok(()), 1)));
        assert!(matches!(parcels_after(vec![row(), StreamElement::Idle]).await, (Err(JobError::Severed), 0)));
    }

    #[tokio::test]
    async fn a_barrier_finishes_what_was_written() {
        let barrier = StreamElement::Barrier(CheckpointId(1));
        assert!(matches!(parcels_after(vec![row(), barrier, row(), StreamElement::EndOfInput]).await, (Ok(()), 2)));
    }
}
