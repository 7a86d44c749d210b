//! A job's pair of transactional producers, and how one of them commits.

use crate::client::{Cluster, within};
use crate::error::Tried;
use crate::events::Watch;
use crate::producer::{Producer, Topic};
use rdkafka::consumer::{BaseConsumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stygian_api::{CommitError, CommitRecord};

/// How long one attempt to commit may take.
const COMMIT_WITHIN: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 30 });
/// How much longer a call that has that limit may take to come back.
const GRACE: Duration = Duration::from_secs(5);

/// The producers, once this run has fenced all before it.
pub(crate) struct Pair {
    /// librdkafka knows a topic once, with the settings that it was first named with: these.
    _topics: Vec<Topic>,
    pub(crate) producers: [Arc<Producer>; 2],
    records: Records,
    /// The topic of the record.
    topic: String,
    turn: Mutex<Turn>,
}

/// The group that the record is in.
pub(crate) struct Records {
    pub(crate) group: String,
    /// It knows the group, whose metadata live as long.
    pub(crate) consumer: BaseConsumer<Watch>,
    pub(crate) metadata: ConsumerGroupMetadata,
}

/// What is committed next.
struct Turn {
    /// By which producer.
    producer: usize,
    /// Its record is in the transaction already: an attempt to commit did not come back.
    under_way: Option<CommitRecord>,
}

/// What is written beside the offset.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) job: String,
    pub(crate) checkpoint: u64,
}

impl Pair {
    /// The producer whose turn it is commits what the run begins with; the other one is the first to write.
    pub(crate) fn new(topics: Vec<Topic>, producers: [Arc<Producer>; 2], records: Records, topic: String) -> Self {
        Self { _topics: topics, producers, records, topic, turn: Mutex::new(Turn { producer: 1, under_way: None }) }
    }

    pub(crate) fn blocking_commit(self: &Arc<Self>, cluster: &Cluster, record: &CommitRecord) -> Result<(), CommitError> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(producer) = self.producers.get(turn.producer) else { return Ok(()) };
        let what = format!("the transaction of {record}");
        let tried = Tried { doing: "commit", what: &what, operation: "Write" };
        let told = |error: &KafkaError| self.outcome(cluster, tried, producer, error);
        if turn.under_way.as_ref() != Some(record) {
            producer.begin().map_err(|error| told(&error))?;
            let offsets = self.offsets(record).map_err(|error| told(&error))?;
            let sent = self.send_offsets(turn.producer, offsets);
            sent.map_err(|error| self.not_recorded(cluster, tried, producer, &error))?;
            turn.under_way = Some(record.clone());
        }
        producer.inner().commit_transaction(COMMIT_WITHIN).map_err(|error| told(&error))?;
        producer.ended();
        *turn = Turn { producer: 1 - turn.producer, under_way: None };
        Ok(())
    }

    /// Puts the record into the transaction. librdkafka's call can wait for ever for the group's coordinator, whatever its time limit
    /// (confluentinc/librdkafka#5456). If it does, the producer is left behind with it, which is then good for nothing; what it had written is
    /// withdrawn by the next run, as after a crash.
    fn send_offsets(self: &Arc<Self>, producer: usize, offsets: TopicPartitionList) -> KafkaResult<()> {
        let pair = self.clone();
        let send = move || {
            let producer = pair.producers[producer].inner();
            producer.send_offsets_to_transaction(&offsets, &pair.records.metadata, COMMIT_WITHIN)
        };
        within(COMMIT_WITHIN + GRACE, || self.producers[producer].fatal().is_some(), send)
    }

    fn offsets(&self, record: &CommitRecord) -> Result<TopicPartitionList, KafkaError> {
        let mut offsets = TopicPartitionList::new();
        let metadata = Metadata { job: record.job.clone(), checkpoint: record.checkpoint };
        let mut element = offsets.add_partition(&self.topic, 0);
        element.set_offset(Offset::Offset(i64::try_from(record.checkpoint).unwrap_or(i64::MAX)))?;
        element.set_metadata(serde_json::to_string(&metadata).unwrap_or_default());
        Ok(offsets)
    }

    /// The offset could not be put into the transaction.
    fn not_recorded(&self, cluster: &Cluster, tried: Tried<'_>, producer: &Producer, error: &KafkaError) -> CommitError {
        let what = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => format!("topic `{}`", self.topic),
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => format!("group `{}`", self.records.group),
            _ => return self.outcome(cluster, tried, producer, error),
        };
        self.outcome(cluster, Tried { doing: "record a checkpoint with", what: &what, operation: "Read" }, producer, error)
    }

    /// What an error leaves of the transaction.
    fn outcome(&self, cluster: &Cluster, tried: Tried<'_>, producer: &Producer, error: &KafkaError) -> CommitError {
        if let KafkaError::Transaction(error) = error
            && error.txn_requires_abort()
            && let Err(error) = producer.inner().abort_transaction(COMMIT_WITHIN)
        {
            tracing::info!("the transaction could not be aborted, which the broker does in time: {error}");
        }
        // After the attempt to abort: a broker that is asked to commit while another run fences this one may say no more than that it failed.
        let fatal = producer.fatal();
        let told = match fatal {
            Some(code) => cluster.failed(tried, code, Some(&producer.events)),
            None => cluster.error(tried, error, Some(&producer.events)),
        };
        let code = fatal.or_else(|| error.rdkafka_error_code());
        if matches!(code, Some(RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch)) {
            return CommitError::Fenced(told);
        }
        match error {
            KafkaError::Transaction(error) if error.is_retriable() && !error.is_fatal() => CommitError::Unknown(told),
            _ => CommitError::Failed(told),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::client::Cluster;
    use crate::security::Security;
    use crate::transactions::{Transactions, Wishes};
    use rdkafka::mocking::{MockCluster, MockCoordinator};
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
    use std::sync::Arc;
    use std::time::Duration;
    use stygian_api::{CommitError, CommitPoint, CommitRecord, ConnectorContext, HdfsContext};

    const IDS: [&str; 2] = ["j-0", "j-1"];

    fn transactions(servers: &str) -> Transactions {
        let context =
            ConnectorContext { job: "j".into(), node: "n".into(), base: ".".into(), principal: None, hdfs: HdfsContext::default() };
        let cluster = Cluster::new(servers, &Security::default(), &context, "sink `n`".into()).expect("options");
        let transactions = Transactions::new(Arc::new(cluster), "j".into());
        let wishes = Wishes {
            linger: Duration::from_millis(5),
            max_message_bytes: 1 << 20,
            delivery_timeout: Duration::from_secs(10),
            transaction_timeout: Duration::from_secs(60),
        };
        transactions.add("events", wishes, [("compression.type", "none"), ("partitioner", "murmur2_random")]);
        transactions
    }

    /// librdkafka's own two brokers: what they are made to do here, a real one does at moments that no test can choose. All is on the first,
    /// but the group's coordinator.
    fn brokers() -> MockCluster<'static, DefaultProducerContext> {
        let brokers = MockCluster::new(2).expect("brokers");
        brokers.create_topic("events", 1, 1).expect("a topic");
        brokers.partition_leader("events", 0, Some(1)).expect("a leader");
        for id in IDS {
            brokers.coordinator(MockCoordinator::Transaction(id.into()), 1).expect("a coordinator");
        }
        brokers.coordinator(MockCoordinator::Group("stygian-j".into()), 2).expect("a coordinator");
        brokers
    }

    fn record(checkpoint: u64) -> CommitRecord {
        CommitRecord { job: "a job".into(), checkpoint }
    }

    /// The first checkpoint is committed.
    async fn begun() -> (MockCluster<'static, DefaultProducerContext>, Transactions) {
        let brokers = brokers();
        let transactions = transactions(&brokers.bootstrap_servers());
        transactions.fence().await.expect("fenced");
        transactions.commit(&record(1)).await.expect("committed");
        (brokers, transactions)
    }

    #[tokio::test]
    async fn who_was_fenced_knows_it_though_the_broker_only_said_that_it_failed() {
        let (brokers, transactions) = begun().await;
        brokers.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN]);
        brokers.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
        brokers.request_errors(RDKafkaApiKey::InitProducerId, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
        let lost = transactions.commit(&record(2)).await;
        assert!(matches!(lost, Err(CommitError::Fenced(_))), "{lost:?}");
    }

    #[tokio::test]
    async fn a_commit_comes_back_though_the_coordinator_of_the_group_does_not() {
        let (brokers, transactions) = begun().await;

        brokers.broker_down(2).expect("down");
        let lost = tokio::time::timeout(Duration::from_secs(60), transactions.commit(&record(2))).await.expect("it comes back");
        let Err(CommitError::Failed(error)) = lost else { panic!("{lost:?}") };
        assert!(error.may_pass(), "{error}");
        assert!(error.to_string().starts_with("could not commit the transaction of checkpoint 2 of job a job at"), "{error}");
    }
}
