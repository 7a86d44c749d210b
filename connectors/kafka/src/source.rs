//! A topic as a source: its partitions are splits.

use crate::avro::AvroSource;
use crate::client::{Cluster, PATIENCE, patiently, within};
use crate::decoder::WithBeside;
use crate::error::Tried;
use crate::events::{Events, Watch};
use crate::learning::Learning;
use crate::options::{Beside, SourceOptions};
use crate::payload::payload_decoder;
use crate::queue::{PartitionQueue, Wanted};
use crate::reader::PartitionReader;
use crate::start::{Asking, Span};
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use stygian_api::{ConnectorError, Decoder, Probe, Source, Split, SplitProgress, SplitReader};
use stygian_core::{Offset, SplitId};

/// A topic that is read.
pub(crate) struct KafkaSource {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) options: SourceOptions,
    /// Of the payloads.
    pub(crate) payload: SchemaRef,
    pub(crate) schema: SchemaRef,
    /// Where messages are in Avro.
    pub(crate) avro: Option<AvroSource>,
    pub(crate) beside: Arc<Beside>,
    pub(crate) wanted: Wanted,
    pub(crate) client: Mutex<Option<Arc<Client>>>,
    /// What partitions were known when the job was started first; those that come later are read from their beginning.
    pub(crate) first: OnceLock<Vec<i32>>,
    /// By partition, what is read of it, of those that were read before.
    pub(crate) spans: OnceLock<BTreeMap<i32, Span>>,
}

/// The connection, and a thread that listens to what librdkafka has to say.
pub(crate) struct Client {
    pub(crate) consumer: Arc<BaseConsumer<Watch>>,
    pub(crate) events: Arc<Events>,
    gone: Arc<AtomicBool>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

impl Client {
    fn new(consumer: BaseConsumer<Watch>) -> std::io::Result<Self> {
        let (consumer, gone) = (Arc::new(consumer), Arc::new(AtomicBool::new(false)));
        let events = consumer.context().0.clone();
        let (polled, over) = (consumer.clone(), gone.clone());
        let listen = move || {
            while !over.load(Ordering::Relaxed) {
                // Messages never come this way; errors were told to the context.
                let _ = polled.poll(Duration::from_millis(200));
            }
        };
        std::thread::Builder::new().name("kafka-events".into()).spawn(listen)?;
        Ok(Self { consumer, events, gone })
    }
}

/// A partition that is being read; given back when this is dropped.
pub(crate) struct Assigned {
    client: Arc<Client>,
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

impl Drop for Assigned {
    fn drop(&mut self) {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, self.partition);
        if let Err(error) = self.client.consumer.incremental_unassign(&list) {
            tracing::debug!(topic = self.topic, partition = self.partition, "could not be unassigned: {error}");
        }
    }
}

impl KafkaSource {
    /// The connection, made when it is first needed.
    pub(crate) fn client(&self) -> Result<Arc<Client>, ConnectorError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let options = &self.options;
        let mut config = self.cluster.config();
        let ahead = options.fetch_ahead.as_usize();
        config
            .set("group.id", options.group.clone().unwrap_or_else(|| "stygian-unused".to_owned()))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("isolation.level", if options.read_uncommitted { "read_uncommitted" } else { "read_committed" })
            .set("check.crcs", "true")
            .set("fetch.queue.backoff.ms", "2")
            .set("fetch.min.bytes", "65536")
            .set("fetch.wait.max.ms", "50")
            .set("fetch.message.max.bytes", (ahead / 8).clamp(64 << 10, 1 << 20).to_string())
            .set("queued.min.messages", "10000")
            .set("queued.max.messages.kbytes", (ahead / 1024).max(64).to_string());
        let tried = Tried { doing: "connect to", what: "the cluster", operation: "Describe" };
        let node = self.cluster.node.clone();
        let events = if options.group.is_some() { Events::new(node) } else { Events::without_group(node) };
        let consumer: BaseConsumer<Watch> =
            config.create_with_context(Watch(events)).map_err(|error| self.cluster.error(tried, &error, None))?;
        let made = Client::new(consumer).map_err(|error| ConnectorError::io("start", "a thread for Kafka's events", error))?;
        let made = Arc::new(made);
        *client = Some(made.clone());
        Ok(made)
    }

    fn partition_of(&self, split: &SplitId) -> Result<i32, ConnectorError> {
        let (topic, partition) = split.as_str().rsplit_once('-').unwrap_or_default();
        let partition = partition.parse().ok().filter(|partition: &i32| *partition >= 0 && topic == self.options.topic);
        let reason = || format!("the job has read partition `{split}`, and `topic` is now `{}`", self.options.topic);
        partition.ok_or_else(|| ConnectorError::refused(&*self.cluster.node, reason(), "name the source anew if it reads another topic"))
    }

    /// Where a partition that was not read before begins and ends. Blocks.
    fn span(&self, client: &Client, partition: i32) -> Result<Span, ConnectorError> {
        let (topic, options) = (self.options.topic.as_str(), &self.options);
        let asking = Asking { cluster: &self.cluster, consumer: &client.consumer, topic, partition };
        let there = asking.there()?;
        let is_new = self.spans.get().is_some() || self.first.get().is_some_and(|first| !first.contains(&partition));
        let start = if is_new { there.0 } else { asking.start(&options.start, there)? };
        let end = options.until.as_ref().map(|until| asking.end(until, start, there.1)).transpose()?;
        Ok(Span { start, end })
    }

    pub(crate) fn blocking_open(&self, split: &SplitId, from: Offset) -> Result<PartitionReader, ConnectorError> {
        let (client, partition) = (self.client()?, self.partition_of(split)?);
        let known = self.spans.get().and_then(|spans| spans.get(&partition)).copied();
        let span = match known {
            Some(span) => span,
            None => self.span(&client, partition)?,
        };
        let next = from.0.max(span.start);
        self.check_there(&client, partition, next)?;
        let topic = self.options.topic.clone();
        let what = format!("topic `{topic}`, partition {partition}");
        let tried = Tried { doing: "read", what: &what, operation: "Read" };
        let queue = PartitionQueue::new(client.consumer.clone(), &topic, partition);
        let queue = queue.ok_or_else(|| self.cluster.failed(tried, RDKafkaErrorCode::UnknownPartition, Some(&client.events)))?;
        let mut list = TopicPartitionList::new();
        let offset = i64::try_from(next).unwrap_or(i64::MAX);
        let added = list.add_partition_offset(&topic, partition, rdkafka::Offset::Offset(offset));
        let assigned = added.and_then(|()| client.consumer.incremental_assign(&list));
        assigned.map_err(|error| self.cluster.error(tried, &error, Some(&client.events)))?;
        Ok(PartitionReader {
            cluster: self.cluster.clone(),
            events: client.events.clone(),
            queue,
            assigned: Assigned { client, topic, partition },
            wanted: self.wanted.clone(),
            beside: self.beside.clone(),
            learning: self.avro.as_ref().map(|avro| Learning::new(avro.schemas.clone())),
            mark: span.mark(),
            span,
            next,
            passed: 0,
        })
    }

    /// That what is to be read next is still there, or to come.
    fn check_there(&self, client: &Client, partition: i32, next: u64) -> Result<(), ConnectorError> {
        let topic = self.options.topic.as_str();
        let (oldest, behind) = Asking { cluster: &self.cluster, consumer: &client.consumer, topic, partition }.there()?;
        let reason = if next < oldest {
            format!("reading would go on at offset {next}, and the oldest record there is {oldest}: those between were deleted (retention)")
        } else if next > behind {
            format!(
                "reading would go on at offset {next}, and the next record will be {behind}: the topic was made anew or has lost its end"
            )
        } else {
            return Ok(());
        };
        let hint = "rows would be lost or doubled; go on from a savepoint, or start the job with `--fresh`";
        Err(ConnectorError::refused(format!("topic `{topic}`, partition {partition}, at {}", self.cluster.servers), reason, hint))
    }

    /// Puts the offsets of a checkpoint into the group, for tools that show its lag.
    fn blocking_commit(&self, read: &[SplitProgress]) -> Result<(), ConnectorError> {
        let (client, mut list) = (self.client()?, TopicPartitionList::new());
        let what = format!("group `{}`", self.options.group.as_deref().unwrap_or_default());
        let tried = Tried { doing: "commit offsets to", what: &what, operation: "Read" };
        let failed = |error| self.cluster.error(tried, &error, Some(&client.events));
        for progress in read.iter().filter(|progress| progress.mark.is_some()) {
            let start = progress.mark.as_ref().and_then(Span::read).map_or(0, |span| span.start);
            let next = i64::try_from(progress.next.0.max(start)).unwrap_or(i64::MAX);
            let partition = self.partition_of(&progress.id)?;
            list.add_partition_offset(&self.options.topic, partition, rdkafka::Offset::Offset(next)).map_err(failed)?;
        }
        if list.count() == 0 {
            return Ok(());
        }
        let consumer = client.consumer.clone();
        within(PATIENCE, || false, move || consumer.commit(&list, CommitMode::Sync)).map_err(failed)
    }

    pub(crate) fn blocking_splits(&self) -> Result<Vec<i32>, ConnectorError> {
        let client = self.client()?;
        let what = format!("topic `{}`", self.options.topic);
        let tried = Tried { doing: "look for the partitions of", what: &what, operation: "Describe" };
        let ask = |within| client.consumer.fetch_metadata(Some(&self.options.topic), within);
        let asked = patiently(&client.events, ask);
        let metadata = asked.map_err(|error| self.cluster.error(tried, &error, Some(&client.events)))?;
        let topic = metadata.topics().first();
        let failed = |code| self.cluster.failed(tried, code, Some(&client.events));
        let topic = topic.ok_or_else(|| failed(RDKafkaErrorCode::UnknownTopicOrPartition))?;
        if let Some(code) = topic.error() {
            return Err(failed(RDKafkaErrorCode::from(code)));
        }
        let mut partitions: Vec<i32> = topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect();
        partitions.sort_unstable();
        Ok(partitions)
    }
}

/// Runs what asks the cluster, beside the I/O runtime's tasks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ConnectorError> + Send + 'static,
) -> Result<T, ConnectorError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ConnectorError::io("ask", "the cluster", error)),
    }
}

/// The source as the engine has it: shared with what runs in the background.
pub(crate) struct Shared(pub(crate) Arc<KafkaSource>);

#[async_trait]
impl Source for Shared {
    fn schema(&self) -> SchemaRef {
        self.0.schema.clone()
    }

    fn bounded(&self) -> bool {
        self.0.options.until.is_some()
    }

    /// Event time goes on in all partitions alike: read one after the other, the first would wait for the last.
    fn at_once(&self) -> usize {
        usize::MAX
    }

    fn new_splits_every(&self) -> Option<Duration> {
        self.0.options.until.is_none().then_some(self.0.options.discovery_interval.0)
    }

    async fn restore(&self, read: &[SplitProgress]) -> Result<(), ConnectorError> {
        let mut spans = BTreeMap::new();
        for progress in read {
            let partition = self.0.partition_of(&progress.id)?;
            // Without a mark nothing was read; where it begins is not settled either.
            if let Some(span) = progress.mark.as_ref().and_then(Span::read) {
                spans.insert(partition, span);
            }
        }
        if spans.is_empty() {
            return Ok(());
        }
        let again = |_| ConnectorError::refused(&*self.0.cluster.node, "it was restored already", "make a new source for every run");
        self.0.spans.set(spans).map_err(again)
    }

    async fn splits(&self) -> Result<Vec<Split>, ConnectorError> {
        let source = self.0.clone();
        let partitions = blocking(move || source.blocking_splits()).await?;
        let _ = self.0.first.set(partitions.clone());
        let named = |partition| Split { id: SplitId::new(format!("{}-{partition}", self.0.options.topic)), bytes: None };
        Ok(partitions.into_iter().map(named).collect())
    }

    async fn open(&self, split: &SplitId, from: Offset) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let (source, split) = (self.0.clone(), split.clone());
        let reader = blocking(move || source.blocking_open(&split, from)).await?;
        Ok(Box::new(reader))
    }

    fn wants_commits(&self) -> bool {
        self.0.options.group.is_some()
    }

    async fn committed(&self, read: &[SplitProgress]) -> Result<(), ConnectorError> {
        let (source, read) = (self.0.clone(), read.to_vec());
        blocking(move || source.blocking_commit(&read)).await
    }

    fn probes(&self) -> Vec<Probe> {
        self.0.probes()
    }

    fn decoder(&self) -> Option<Box<dyn Decoder>> {
        let source = &self.0;
        let payloads = payload_decoder(source.payload.clone(), &source.options, source.avro.as_ref()).ok()?;
        if source.wanted.any { Some(Box::new(WithBeside::new(payloads, &source.beside))) } else { Some(payloads) }
    }
}
