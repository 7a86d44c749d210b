//! Reads one partition.

use crate::client::Cluster;
use crate::decoder;
use crate::error::Tried;
use crate::events::Events;
use crate::learning::Learning;
use crate::options::Beside;
use crate::queue::{PartitionQueue, Taken, Wanted};
use crate::source::Assigned;
use crate::start::Span;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use stygian_api::{ConnectorError, Fetched, Mark, Messages, SplitReader};
use stygian_core::Offset;

/// How long a fetch waits for its first message.
const WAIT: Duration = Duration::from_millis(100);

/// A reader of one partition. It is not assigned any more once this is gone.
pub(crate) struct PartitionReader {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) events: Arc<Events>,
    pub(crate) queue: PartitionQueue,
    pub(crate) assigned: Assigned,
    pub(crate) wanted: Wanted,
    pub(crate) beside: Arc<Beside>,
    /// Of the schemas of Avro messages.
    pub(crate) learning: Option<Learning>,
    /// What is read, to be told first.
    pub(crate) mark: Option<Mark>,
    pub(crate) span: Span,
    /// The offset to come next.
    pub(crate) next: u64,
    /// There is nothing to read before this offset: control records and those of aborted transactions come without a message.
    pub(crate) passed: u64,
}

impl PartitionReader {
    fn is_at_end(&self) -> bool {
        self.span.end.is_some_and(|end| self.next.max(self.passed) >= end)
    }

    /// What was taken, as it is to be handed on.
    fn fetched(&mut self, mut taken: Taken) -> Result<Fetched, ConnectorError> {
        self.passed = self.passed.max(taken.at_end.unwrap_or(0)).max(taken.offsets.last().map_or(0, |offset| offset + 1));
        // None before the beginning, none behind the end.
        let first = taken.offsets.partition_point(|offset| *offset < self.next);
        let last = self.span.end.map_or(taken.offsets.len(), |end| taken.offsets.partition_point(|offset| *offset < end));
        if first < last {
            let beside =
                self.wanted.any.then(|| decoder::beside(&self.beside, self.assigned.partition, &taken.offsets, taken.beside)).flatten();
            let beside = beside.map(|beside| beside.slice(first, last - first));
            taken.offsets.truncate(last);
            taken.ranges.truncate(last);
            let (offsets, ranges) = (taken.offsets.split_off(first), taken.ranges.split_off(first));
            self.next = offsets.last().map_or(self.next, |offset| offset + 1);
            let messages = Messages { buffer: taken.payloads.into(), ranges, offsets, beside };
            return Ok(Fetched::Messages { messages, next: Offset(self.next) });
        }
        if let Some(code) = taken.failed {
            let what = format!("topic `{}`, partition {}, at offset {}", self.assigned.topic, self.assigned.partition, self.next);
            return Err(self.cluster.failed(Tried { doing: "read", what: &what, operation: "Read" }, code, Some(&self.events)));
        }
        if self.is_at_end() {
            return Ok(Fetched::End);
        }
        Ok(Fetched::Nothing)
    }

    /// Up to where there are records to read, as far as librdkafka has heard.
    fn newest(&self) -> Option<u64> {
        let heard = self.queue.newest(&self.assigned.topic, self.assigned.partition)?;
        Some(self.span.end.map_or(heard, |end| end.min(heard)))
    }

    /// Hands on what was taken, or holds it back until its schemas are known.
    async fn hand_on(&mut self, taken: Taken) -> Result<Fetched, ConnectorError> {
        let Some(learning) = &mut self.learning else { return self.fetched(taken) };
        match learning.pass(taken) {
            Some(taken) => self.fetched(taken),
            None => self.wait_to_learn().await,
        }
    }

    async fn wait_to_learn(&mut self) -> Result<Fetched, ConnectorError> {
        let Some(learning) = &mut self.learning else { return Ok(Fetched::Nothing) };
        match learning.wait(WAIT).await? {
            Some(taken) => self.fetched(taken),
            None => Ok(Fetched::Nothing),
        }
    }

    /// Whether a record is there now.
    pub(crate) fn try_fetch(&mut self) -> Result<bool, ConnectorError> {
        let taken = self.queue.take(1, &self.wanted);
        Ok(matches!(self.fetched(taken)?, Fetched::Messages { .. }))
    }
}

#[async_trait]
impl SplitReader for PartitionReader {
    async fn fetch(&mut self, rows: usize) -> Result<Fetched, ConnectorError> {
        if let Some(mark) = self.mark.take() {
            return Ok(Fetched::Mark(mark));
        }
        if self.learning.as_ref().is_some_and(Learning::is_waiting) {
            return self.wait_to_learn().await;
        }
        if self.is_at_end() {
            return Ok(Fetched::End);
        }
        let taken = self.queue.take(rows.max(1), &self.wanted);
        if !taken.ranges.is_empty() || taken.failed.is_some() || taken.at_end.is_some() {
            return self.hand_on(taken).await;
        }
        // Whatever comes is taken by the next call.
        let _ = tokio::time::timeout(WAIT, self.queue.filled()).await;
        let taken = self.queue.take(rows.max(1), &self.wanted);
        self.hand_on(taken).await
    }

    fn behind(&self) -> Option<u64> {
        Some(self.newest()?.saturating_sub(self.next.max(self.passed)))
    }
}
