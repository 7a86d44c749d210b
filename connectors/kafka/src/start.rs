//! Where reading a partition begins and ends.

use crate::client::{Cluster, patiently};
use crate::error::Tried;
use crate::events::Watch;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use stygian_api::{ConnectorError, Mark};

/// Where a job that goes on from no checkpoint begins to read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At the oldest record that is there.
    #[default]
    Earliest,
    /// Behind the newest record at the start.
    Latest,
    /// At what `group` has committed; where it has committed nothing, at the oldest record.
    Committed,
    /// At the first record of this time or later, in RFC 3339, such as { timestamp = "2026-01-31T12:00:00Z" }; behind the newest if there is none.
    Timestamp(String),
    /// At these offsets, by partition, such as { offsets = { "0" = 1200, "1" = 1180 } }; other partitions at the oldest record.
    Offsets(BTreeMap<String, u64>),
}

/// Where reading ends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// Before the record that would come next when the job is started first.
    Latest,
    /// Before the first record of this time or later, in RFC 3339.
    Timestamp(String),
    /// Before these offsets, by partition; partitions that are not named are not read.
    Offsets(BTreeMap<String, u64>),
}

/// The part of a partition that is to be read: kept in checkpoints, so that `latest` is the same after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// The first offset.
    pub(crate) start: u64,
    /// The offset behind the last one.
    pub(crate) end: Option<u64>,
}

impl Span {
    pub(crate) fn mark(self) -> Option<Mark> {
        serde_json::to_value(self).ok().map(Mark)
    }

    pub(crate) fn read(mark: &Mark) -> Option<Self> {
        serde_json::from_value(mark.0.clone()).ok()
    }
}

/// A partition, and who asks about it.
pub(crate) struct Asking<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) consumer: &'a BaseConsumer<Watch>,
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
}

impl Asking<'_> {
    /// The oldest offset there is, and the one that comes next. Blocks.
    pub(crate) fn there(&self) -> Result<(u64, u64), ConnectorError> {
        let what = format!("topic `{}`, partition {}", self.topic, self.partition);
        let watermarks = patiently(&self.consumer.context().0, |within| self.consumer.fetch_watermarks(self.topic, self.partition, within));
        let tried = Tried { doing: "ask for the offsets of", what: &what, operation: "Describe" };
        let (low, high) = watermarks.map_err(|error| self.cluster.error(tried, &error, Some(&self.consumer.context().0)))?;
        Ok((u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0)))
    }

    /// Where a first start begins. Blocks.
    pub(crate) fn start(&self, start: &Start, (oldest, next): (u64, u64)) -> Result<u64, ConnectorError> {
        match start {
            Start::Earliest => Ok(oldest),
            Start::Latest => Ok(next),
            Start::Committed => Ok(self.committed()?.unwrap_or(oldest)),
            Start::Timestamp(time) => Ok(self.at_time(time)?.unwrap_or(next)),
            Start::Offsets(offsets) => Ok(offsets.get(&self.partition.to_string()).copied().unwrap_or(oldest)),
        }
    }

    /// Where it ends. Blocks.
    pub(crate) fn end(&self, until: &Until, start: u64, next: u64) -> Result<u64, ConnectorError> {
        match until {
            Until::Latest => Ok(next),
            Until::Timestamp(time) => Ok(self.at_time(time)?.unwrap_or(next)),
            Until::Offsets(offsets) => Ok(offsets.get(&self.partition.to_string()).copied().unwrap_or(start)),
        }
    }

    fn committed(&self) -> Result<Option<u64>, ConnectorError> {
        let list = self.list(Offset::Invalid)?;
        let found = patiently(&self.consumer.context().0, |within| self.consumer.committed_offsets(list.clone(), within));
        let tried = Tried { doing: "ask for the committed offsets of", what: "the `group`", operation: "Read" };
        let found = found.map_err(|error| self.cluster.error(tried, &error, Some(&self.consumer.context().0)))?;
        Ok(found.elements().first().and_then(|element| match element.offset() {
            Offset::Offset(offset) => u64::try_from(offset).ok(),
            _ => None,
        }))
    }

    fn at_time(&self, time: &str) -> Result<Option<u64>, ConnectorError> {
        let millis = millis(time).map_err(|reason| ConnectorError::refused(format!("`{time}`"), reason, "look at `start` and `until`"))?;
        let list = self.list(Offset::Offset(millis))?;
        let what = format!("topic `{}`, partition {}", self.topic, self.partition);
        let tried = Tried { doing: "ask for the offset by time of", what: &what, operation: "Describe" };
        let found = patiently(&self.consumer.context().0, |within| self.consumer.offsets_for_times(list.clone(), within));
        let found = found.map_err(|error| self.cluster.error(tried, &error, Some(&self.consumer.context().0)))?;
        Ok(found.elements().first().and_then(|element| match element.offset() {
            Offset::Offset(offset) => u64::try_from(offset).ok(),
            _ => None,
        }))
    }

    fn list(&self, offset: Offset) -> Result<TopicPartitionList, ConnectorError> {
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(self.topic, self.partition, offset);
        let tried = Tried { doing: "name", what: self.topic, operation: "Describe" };
        added.map_err(|_| self.cluster.failed(tried, RDKafkaErrorCode::InvalidArgument, None))?;
        Ok(list)
    }
}

/// A time of day as milliseconds since 1970.
pub(crate) fn millis(time: &str) -> Result<i64, String> {
    let time = humantime::parse_rfc3339_weak(time.trim()).map_err(|error| format!("is no time in RFC 3339: {error}"))?;
    let since = time.duration_since(std::time::UNIX_EPOCH).map_err(|_| "is before 1970".to_owned())?;
    i64::try_from(since.as_millis()).map_err(|_| "is too far in the future".to_owned())
}
