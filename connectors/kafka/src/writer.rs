//! Writes the rows of one subtask.
//!
//! What was written belongs to a checkpoint once every message of it has arrived; with transactions, what comes after it goes to the other
//! producer of the pair.

use crate::client::Cluster;
use crate::error::Tried;
use crate::message::{Made, Maker};
use crate::parcel::{Parcel, Tally};
use crate::producer::{One, Ranges, Topic};
use arrow_array::RecordBatch;
use async_trait::async_trait;
use rdkafka::error::RDKafkaErrorCode;
use std::sync::Arc;
use std::time::Duration;
use stygian_api::{ConnectorError, Pending, SinkWriter};

/// Messages that one writer may have on their way.
const ON_THE_WAY: usize = 200_000;
/// How long to wait for room where nothing tells of it: another writer has filled the producer.
const FULL: Duration = Duration::from_millis(5);

/// See the module's text.
pub(crate) struct KafkaWriter {
    pub(crate) cluster: Arc<Cluster>,
    /// One, or those of a pair.
    pub(crate) topics: Vec<Topic>,
    pub(crate) is_transactional: bool,
    /// Checkpoints that this writer has finished.
    pub(crate) finished: usize,
    pub(crate) maker: Maker,
    pub(crate) tally: Arc<Tally>,
    pub(crate) partitions: i32,
    /// The partition for the next call without keys.
    pub(crate) turn: i32,
}

impl KafkaWriter {
    fn topic(&self) -> &Topic {
        // There is at least one.
        &self.topics[self.finished % self.topics.len()]
    }

    fn failed(&self, code: RDKafkaErrorCode) -> ConnectorError {
        let topic = self.topic();
        // That another process has the job must be known as such: a failure that may pass has this one take it back.
        let code = topic.producer().fatal().unwrap_or(code);
        let what = format!("topic `{}`", topic.name());
        // Messages of a transaction that cannot go on are thrown away; why it cannot was told before.
        let purged = matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight);
        let code = if purged { topic.producer().events.lasting().unwrap_or(code) } else { code };
        self.cluster.failed(Tried { doing: "write to", what: &what, operation: "Write" }, code, Some(&topic.producer().events))
    }

    fn check(&self) -> Result<(), ConnectorError> {
        self.tally.failure().map_or(Ok(()), |code| Err(self.failed(code)))
    }

    fn begin(&self) -> Result<(), ConnectorError> {
        if !self.is_transactional {
            return Ok(());
        }
        let begun = self.topic().producer().begin();
        begun.map_err(|error| self.failed(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)))
    }

    /// Waits until there is room for more.
    async fn room(&self) -> Result<(), ConnectorError> {
        let fewer = self.tally.on_the_way().max(1);
        let _ = tokio::time::timeout(FULL, self.tally.fewer_than(fewer)).await;
        self.check()
    }

    async fn give_all(&mut self, made: Made) -> Result<(), ConnectorError> {
        let (bytes, ranges) = Ranges::of(made);
        let parcel = Arc::new(Parcel::new(bytes, self.tally.clone()));
        let partition = ranges.keys.is_empty().then(|| self.next_partition());
        let (mut from, all) = (0, ranges.payloads.len());
        while from < all {
            self.tally.fewer_than(ON_THE_WAY).await;
            self.check()?;
            self.tally.add(all - from);
            let given = self.topic().give(partition, &ranges, &parcel, from);
            self.tally.take_back(all - from - given.taken);
            from += given.taken;
            match given.refused {
                None => {}
                Some(RDKafkaErrorCode::QueueFull) => self.room().await?,
                Some(code) => return Err(self.failed(code)),
            }
        }
        Ok(())
    }

    fn next_partition(&mut self) -> i32 {
        self.turn = (self.turn + 1) % self.partitions.max(1);
        self.turn
    }

    /// One by one, where there are headers or timestamps.
    async fn send_all(&mut self, rows: &RecordBatch, made: Made) -> Result<(), ConnectorError> {
        let Made { bytes, payloads, keys } = made;
        let parcel = Arc::new(Parcel::new(Vec::new(), self.tally.clone()));
        for (row, payload) in payloads.into_iter().enumerate() {
            loop {
                let beside = self.maker.beside(rows, row);
                let one = One {
                    payload: payload.clone().and_then(|range| bytes.get(range)),
                    key: keys.get(row).cloned().flatten().and_then(|range| bytes.get(range)),
                    timestamp: beside.timestamp,
                    headers: beside.headers,
                };
                self.tally.add(1);
                let topic = self.topic();
                let Err(code) = topic.producer().send(topic, &one, &parcel) else { break };
                self.tally.take_back(1);
                if code != RDKafkaErrorCode::QueueFull {
                    return Err(self.failed(code));
                }
                self.room().await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl SinkWriter for KafkaWriter {
    async fn write(&mut self, rows: RecordBatch) -> Result<(), ConnectorError> {
        self.check()?;
        self.begin()?;
        let made = self.maker.make(&rows).map_err(|reason| ConnectorError::Corrupt {
            what: format!("a row for topic `{}`", self.topic().name()),
            format: "output",
            reason,
        })?;
        if self.maker.has_beside() { self.send_all(&rows, made).await } else { self.give_all(made).await }
    }

    async fn tick(&mut self) -> Result<(), ConnectorError> {
        self.check()
    }

    fn take_pending(&mut self) -> Vec<Pending> {
        Vec::new()
    }

    async fn pre_commit(&mut self) -> Result<Vec<Pending>, ConnectorError> {
        self.tally.fewer_than(1).await;
        self.check()?;
        self.finished += 1;
        Ok(Vec::new())
    }
}
