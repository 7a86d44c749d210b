//! A topic as a sink.

use crate::avro::AvroSink;
use crate::client::Cluster;
use crate::message::Maker;
use crate::options::{Partitioner, SinkOptions};
use crate::parcel::Tally;
use crate::producer::{Producer, Topic, TopicSettings};
use crate::source::blocking;
use crate::transactions::{Transactions, Wishes, writing};
use crate::writer::KafkaWriter;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};
use stygian_api::{Accepts, CommitPoint, Committer, ConnectorError, Pending, Probe, Sink, SinkContext, SinkWriter};

/// A topic that is written.
pub(crate) struct KafkaSink {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) options: SinkOptions,
    /// Where messages are in Avro.
    pub(crate) avro: Option<AvroSink>,
    pub(crate) schema: SchemaRef,
    /// Those of the job, used in an exactly-once one.
    pub(crate) transactions: Arc<Transactions>,
    /// The producer for all subtasks in another one, made when it is first needed.
    pub(crate) own: Arc<Mutex<Option<Arc<Producer>>>>,
}

impl SinkOptions {
    pub(crate) fn topic_settings(&self) -> TopicSettings {
        let partitioner = match self.partitioner {
            Partitioner::Murmur2 => "murmur2_random",
            Partitioner::Crc32 => "consistent_random",
        };
        [("partitioner", partitioner), ("compression.codec", self.compression.name())]
    }

    pub(crate) fn wishes(&self) -> Wishes {
        Wishes {
            linger: self.linger.0,
            max_message_bytes: self.max_message_bytes.0,
            delivery_timeout: self.delivery_timeout.0.min(self.transaction_timeout.0),
            transaction_timeout: self.transaction_timeout.0,
        }
    }
}

impl KafkaSink {
    /// The producer of a job that does not write by transactions.
    pub(crate) fn own_producer(&self) -> Result<Arc<Producer>, ConnectorError> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = &*own {
            return Ok(producer.clone());
        }
        let mut config = self.cluster.config();
        writing(&mut config, &self.options.wishes());
        let producer = Arc::new(Producer::new(&self.cluster, &config)?);
        *own = Some(producer.clone());
        Ok(producer)
    }

    fn blocking_open(&self, context: &SinkContext) -> Result<KafkaWriter, ConnectorError> {
        let id = self.avro.as_ref().map_or(Ok(0), |avro| avro.id(&self.schema))?;
        let producers = match context.transactional {
            true => self.transactions.fenced()?.producers.to_vec(),
            false => vec![self.own_producer()?],
        };
        let name = self.options.topic.as_str();
        let refused = |reason| ConnectorError::refused(&*self.cluster.node, reason, "look at the options of the node");
        let settings = self.options.topic_settings();
        let topics = producers.into_iter().map(|producer| Topic::new(producer, name, &settings).map_err(refused));
        let topics: Vec<Topic> = topics.collect::<Result<_, _>>()?;
        // Whoever asks for a topic names it: only after its settings are known.
        let partitions = match topics.first() {
            Some(topic) => topic.producer().partitions(&self.cluster, name)?,
            None => 1,
        };
        let maker = Maker::new(&self.options, &self.schema, id).map_err(|(_, message)| refused(message))?;
        Ok(KafkaWriter {
            cluster: self.cluster.clone(),
            topics,
            is_transactional: context.transactional,
            finished: 0,
            maker,
            tally: Arc::new(Tally::default()),
            partitions,
            turn: i32::from(context.subtask.0) % partitions.max(1),
        })
    }
}

/// The sink as the engine has it: shared with what runs in the background.
pub(crate) struct Shared(pub(crate) Arc<KafkaSink>);

#[async_trait]
impl Sink for Shared {
    fn accepts(&self) -> Accepts {
        Accepts::Append
    }

    async fn open(&self, context: SinkContext) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        let sink = self.0.clone();
        let writer = blocking(move || sink.blocking_open(&context)).await?;
        Ok(Box::new(writer))
    }

    fn probes(&self) -> Vec<Probe> {
        self.0.probes()
    }

    fn committer(&self) -> Box<dyn Committer> {
        Box::new(Nothing)
    }

    fn commit_point(&self) -> Option<Arc<dyn CommitPoint>> {
        Some(self.0.transactions.clone())
    }
}

/// What is written is visible once it has arrived, or by the commit point: there is never anything pending.
struct Nothing;

#[async_trait]
impl Committer for Nothing {
    async fn commit(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        if pending.is_empty() {
            return Ok(());
        }
        let reason = format!("the checkpoint holds {} finished outputs of another kind of sink under this name", pending.len());
        Err(ConnectorError::refused(
            "a sink of Kafka",
            reason,
            "give the sink another name, and let the job go on once with the old one first",
        ))
    }

    async fn check(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        self.commit(pending).await
    }

    async fn recover(&mut self, pending: &[Pending]) -> Result<(), ConnectorError> {
        self.commit(pending).await
    }
}
