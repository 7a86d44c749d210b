//! Outlets: where elements leave a chain, to the subtasks of another task or to a sink's writer.
//!
//! A chain runs synchronously and only queues here; the task's loop sends what is queued, waiting where a channel is full. So the queue
//! holds at most what one element of input has brought about.

use crate::channel::{Closed, Sender};
use crate::error::OperatorError;
use crate::exchange::{HashPartitioner, MergeBuffer};
use arrow_array::RecordBatch;
use std::time::{Duration, Instant};
use stygian_core::StreamElement;

/// One way out of a chain, of one subtask.
pub(crate) struct Outlet {
    channels: Vec<Sender<StreamElement>>,
    /// `None`: all rows go to the one channel.
    partitioner: Option<HashPartitioner>,
    waiting: Vec<MergeBuffer>,
    queue: Vec<(usize, StreamElement)>,
    /// Rows that a batch is merged up to.
    enough: usize,
    delay: Duration,
}

impl Outlet {
    /// An outlet that sends everything to one channel.
    pub(crate) fn forward(to: Sender<StreamElement>) -> Self {
        Self { channels: vec![to], partitioner: None, waiting: Vec::new(), queue: Vec::new(), enough: 0, delay: Duration::ZERO }
    }

    /// An outlet that parts rows over channels, one a subtask. Without a delay, nothing waits for more.
    pub(crate) fn hash(to: Vec<Sender<StreamElement>>, partitioner: HashPartitioner, batch_rows: usize, delay: Duration) -> Self {
        let waiting = to.iter().map(|_| MergeBuffer::default()).collect();
        let enough = if delay.is_zero() { 0 } else { batch_rows / 2 };
        Self { channels: to, partitioner: Some(partitioner), waiting, queue: Vec::new(), enough, delay }
    }

    /// Queues rows.
    pub(crate) fn rows(&mut self, rows: RecordBatch, now: Instant) -> Result<(), OperatorError> {
        let Some(partitioner) = &mut self.partitioner else {
            self.queue.push((0, StreamElement::Batch(rows)));
            return Ok(());
        };
        for (to, part) in partitioner.part(&rows)? {
            if let Some(batch) = self.waiting[to].push(part, self.enough, now)? {
                self.queue.push((to, StreamElement::Batch(batch)));
            }
        }
        Ok(())
    }

    /// Queues a marker for every channel, behind all rows that came before it.
    pub(crate) fn marker(&mut self, marker: &StreamElement) -> Result<(), OperatorError> {
        self.release(|_| true)?;
        self.queue.extend((0..self.channels.len()).map(|to| (to, marker.clone())));
        Ok(())
    }

    /// Queues merged rows that have waited long enough.
    pub(crate) fn release_due(&mut self, now: Instant) -> Result<(), OperatorError> {
        let delay = self.delay;
        self.release(|buffer| buffer.due(delay).is_some_and(|due| due <= now))
    }

    /// When rows that wait here must go.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|buffer| buffer.due(self.delay)).min()
    }

    /// Sends what is queued.
    pub(crate) async fn send(&mut self) -> Result<(), Closed> {
        for (to, element) in self.queue.drain(..) {
            self.channels[to].send(element).await?;
        }
        Ok(())
    }

    fn release(&mut self, which: impl Fn(&MergeBuffer) -> bool) -> Result<(), OperatorError> {
        for (to, buffer) in self.waiting.iter_mut().enumerate() {
            if which(buffer)
                && let Some(batch) = buffer.take()?
            {
                self.queue.push((to, StreamElement::Batch(batch)));
            }
        }
        Ok(())
    }
}
