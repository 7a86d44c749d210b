//! The commit point of a job that writes to Kafka: a pair of transactional producers, used in turn.
//!
//! Rows behind barrier n go to one producer while the other still has the transaction of checkpoint n open. A transaction is committed
//! together with an offset of partition 0 of the job's first topic, in a group of the job's own: the offset is the checkpoint's id, its
//! metadata the job's UUID and the id again. So a checkpoint's output and the record of it are visible together, or neither is. Whoever
//! starts the two producers' transactions anew has fenced all that had them before, and aborted what those had open.

use crate::client::{Cluster, patiently, patiently_for};
use crate::error::Tried;
use crate::events::Watch;
use crate::pair::{Metadata, Pair, Records};
use crate::producer::{Producer, Topic, TopicSettings};
use crate::source::blocking;
use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer as _;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use stygian_api::{CommitError, CommitPoint, CommitRecord, ConnectorError, Probe};

/// How long fencing may take: the broker first ends what others have open.
const FENCE_WITHIN: Duration = Duration::from_secs(60);

/// What producers must be able to do for all sinks that share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) linger: Duration,
    pub(crate) max_message_bytes: u64,
    pub(crate) delivery_timeout: Duration,
    pub(crate) transaction_timeout: Duration,
}

impl Wishes {
    fn and(&self, other: &Self) -> Self {
        Self {
            linger: self.linger.min(other.linger),
            max_message_bytes: self.max_message_bytes.max(other.max_message_bytes),
            delivery_timeout: self.delivery_timeout.max(other.delivery_timeout),
            transaction_timeout: self.transaction_timeout.max(other.transaction_timeout),
        }
    }
}

/// The transactions of one job on one cluster.
pub(crate) struct Transactions {
    pub(crate) cluster: Arc<Cluster>,
    /// The pipeline's name.
    job: String,
    /// What the sinks want, in the order of the pipeline file.
    sinks: Mutex<Vec<(String, Wishes, TopicSettings)>>,
    pair: OnceLock<Arc<Pair>>,
}

/// What there is to know before anything is connected.
pub(crate) struct Names {
    pub(crate) cluster: Arc<Cluster>,
    /// The pipeline's name.
    pub(crate) job: String,
    /// The transactional ids.
    ids: [String; 2],
    group: String,
    /// Topics with what their sinks want.
    sinks: Vec<(String, Wishes, TopicSettings)>,
}

impl Transactions {
    pub(crate) fn new(cluster: Arc<Cluster>, job: String) -> Self {
        Self { cluster, job, sinks: Mutex::new(Vec::new()), pair: OnceLock::new() }
    }

    /// Takes in a sink.
    pub(crate) fn add(&self, topic: &str, wishes: Wishes, settings: TopicSettings) {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner).push((topic.to_owned(), wishes, settings));
    }

    /// The producers that this run has fenced.
    pub(crate) fn fenced(&self) -> Result<Arc<Pair>, ConnectorError> {
        let not_fenced = || ConnectorError::refused(self.name(), "it was not fenced", "this is a fault of Stygian's");
        self.pair.get().cloned().ok_or_else(not_fenced)
    }

    fn pair_of_ids(&self) -> [String; 2] {
        [0, 1].map(|at| format!("{}-{at}", self.job))
    }

    fn names(&self) -> Names {
        Names {
            cluster: self.cluster.clone(),
            job: self.job.clone(),
            ids: self.pair_of_ids(),
            group: format!("stygian-{}", self.job),
            sinks: self.sinks.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Names {
    pub(crate) fn look(&self) -> Result<Option<CommitRecord>, ConnectorError> {
        self.recorded(&self.records()?.consumer)
    }

    fn fence(&self) -> Result<(Pair, Option<CommitRecord>), ConnectorError> {
        let wishes = self.sinks.iter().map(|(_, wishes, _)| wishes.clone()).reduce(|all, wishes| all.and(&wishes));
        let (Some((topic, ..)), Some(wishes)) = (self.sinks.first().cloned(), wishes) else {
            return Err(ConnectorError::refused(self.group.as_str(), "no sink writes by it", "this is a fault of Stygian's"));
        };
        let [first, second] = self.ids.each_ref().map(|id| self.producer(id, &wishes));
        let producers = [Arc::new(first?), Arc::new(second?)];
        let mut topics = Vec::new();
        for (topic, _, settings) in &self.sinks {
            for producer in &producers {
                topics
                    .push(Topic::new(producer.clone(), topic, settings).map_err(|reason| {
                        ConnectorError::refused(format!("topic `{topic}`"), reason, "look at the options of the sink")
                    })?);
            }
            producers[0].partitions(&self.cluster, topic)?;
        }
        let records = self.records()?;
        let record = self.recorded(&records.consumer)?;
        Ok((Pair::new(topics, producers, records, topic), record))
    }

    /// A producer that alone has this transactional id from now on.
    fn producer(&self, id: &str, wishes: &Wishes) -> Result<Producer, ConnectorError> {
        let mut config = self.cluster.config();
        writing(&mut config, wishes);
        config.set("transactional.id", id).set("transaction.timeout.ms", wishes.transaction_timeout.as_millis().to_string());
        let producer = Producer::new(&self.cluster, &config)?;
        let what = format!("transactional id `{id}`");
        let tried = Tried { doing: "begin transactions with", what: &what, operation: "Write" };
        let begun = patiently_for(FENCE_WITHIN, &producer.events, |within| producer.inner().init_transactions(within));
        begun.map_err(|error| self.cluster.error(tried, &error, Some(&producer.events)))?;
        Ok(producer)
    }

    /// A consumer in the job's group, and the group.
    fn records(&self) -> Result<Records, ConnectorError> {
        let what = format!("group `{}`", self.group);
        let tried = Tried { doing: "open", what: &what, operation: "Read" };
        let mut config = self.cluster.config();
        config.set("group.id", &self.group).set("enable.auto.commit", "false").set("isolation.level", "read_committed");
        let events = crate::events::Events::new(self.cluster.node.clone());
        let consumer: BaseConsumer<Watch> =
            config.create_with_context(Watch(events)).map_err(|error| self.cluster.error(tried, &error, None))?;
        let metadata = consumer.group_metadata();
        let metadata = metadata.ok_or_else(|| self.cluster.failed(tried, RDKafkaErrorCode::InvalidGroupId, None))?;
        Ok(Records { group: self.group.clone(), consumer, metadata })
    }

    /// What was committed last. The record is with the first topic; where that is a new one, with another.
    fn recorded(&self, records: &BaseConsumer<Watch>) -> Result<Option<CommitRecord>, ConnectorError> {
        let mut list = TopicPartitionList::new();
        for (topic, ..) in &self.sinks {
            list.add_partition(topic, 0);
        }
        let what = format!("group `{}`", self.group);
        let tried = Tried { doing: "read the commit record of", what: &what, operation: "Read" };
        let found = patiently(&records.context().0, |within| {
            let found = records.committed_offsets(list.clone(), within);
            // It has no thread that listens to what librdkafka has to say.
            let _ = records.poll(Duration::ZERO);
            found
        });
        let found = found.map_err(|error| self.cluster.error(tried, &error, Some(&records.context().0)))?;
        for (topic, ..) in &self.sinks {
            let Some(element) = found.find_partition(topic, 0) else { continue };
            element.error().map_err(|error| self.cluster.error(tried, &error, Some(&records.context().0)))?;
            if let Offset::Offset(offset) = element.offset() {
                return self.record(topic, offset, element.metadata()).map(Some);
            }
        }
        Ok(None)
    }

    fn record(&self, topic: &str, offset: i64, metadata: &str) -> Result<CommitRecord, ConnectorError> {
        let metadata: Option<Metadata> = serde_json::from_str(metadata).ok();
        let metadata = metadata.filter(|metadata| i64::try_from(metadata.checkpoint) == Ok(offset));
        let Some(Metadata { job, checkpoint }) = metadata else {
            let place = format!("group `{}` at {}", self.group, self.cluster.servers);
            let reason = format!("offset {offset} of topic `{topic}` was not committed by a job of Stygian's");
            let hint = "somebody else uses this group: give the job another name, or delete the group's offsets";
            return Err(ConnectorError::refused(place, reason, hint));
        };
        Ok(CommitRecord { job, checkpoint })
    }
}

/// The settings of everything that writes.
pub(crate) fn writing(config: &mut rdkafka::ClientConfig, wishes: &Wishes) {
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", wishes.linger.as_millis().to_string())
        .set("message.max.bytes", wishes.max_message_bytes.to_string())
        .set("message.timeout.ms", wishes.delivery_timeout.as_millis().to_string())
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "65536")
        .set("batch.num.messages", "100000")
        .set("sticky.partitioning.linger.ms", "0");
}

#[async_trait]
impl CommitPoint for Transactions {
    fn name(&self) -> String {
        let [first, second] = self.pair_of_ids();
        format!("transactions `{first}` and `{second}` at {}", self.cluster.servers)
    }

    fn ids(&self) -> Vec<String> {
        self.pair_of_ids().to_vec()
    }

    fn open_within(&self) -> Duration {
        let sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.iter().map(|(_, wishes, _)| wishes.transaction_timeout).max().unwrap_or_default()
    }

    async fn look(&self) -> Result<Option<CommitRecord>, ConnectorError> {
        let names = self.names();
        blocking(move || names.look()).await
    }

    fn probe(&self) -> Probe {
        let names = self.names();
        Probe::new("exactly-once", move || names.probe())
    }

    async fn fence(&self) -> Result<Option<CommitRecord>, ConnectorError> {
        let names = self.names();
        let (pair, record) = blocking(move || names.fence()).await?;
        let again = |_| ConnectorError::refused(self.name(), "it was fenced already", "make a new one for every run");
        self.pair.set(Arc::new(pair)).map_err(again)?;
        Ok(record)
    }

    async fn commit(&self, record: &CommitRecord) -> Result<(), CommitError> {
        let pair = self.fenced().map_err(CommitError::Failed)?;
        let (cluster, record) = (self.cluster.clone(), record.clone());
        let committed = tokio::task::spawn_blocking(move || pair.blocking_commit(&cluster, &record)).await;
        match committed {
            Ok(committed) => committed,
            Err(error) => Err(CommitError::Failed(ConnectorError::io("commit by", self.name(), error))),
        }
    }
}
