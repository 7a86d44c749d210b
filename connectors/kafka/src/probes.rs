//! What `stygian doctor` tries of topics: that the cluster answers, that the topic is there, that we may read or write it, and that the job's
//! group and transactions are ours to use. Nothing is written, and no running job is disturbed.

use crate::authorized;
use crate::avro::{AvroSink, AvroSource};
use crate::client::{Cluster, patiently};
use crate::error::Tried;
use crate::producer::Producer;
use crate::sink::KafkaSink;
use crate::source::KafkaSource;
use crate::transactions::Names;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stygian_api::{ConnectorError, Probe};
use stygian_core::{Offset, SplitId};

/// How long the first answer to a fetch may take, which says whether it is allowed.
const FETCH: Duration = Duration::from_secs(3);

impl KafkaSource {
    /// The steps of a source.
    pub(crate) fn probes(self: &Arc<Self>) -> Vec<Probe> {
        let topic = &self.options.topic;
        let mut probes = vec![
            step(self, &format!("brokers at {}", self.cluster.servers), Self::probe_cluster),
            step(self, &format!("topic `{topic}`"), Self::probe_topic),
            step(self, &format!("topic `{topic}`: read"), Self::probe_read),
        ];
        if let Some(avro) = &self.avro {
            probes.push(step(self, &format!("schema registry at {}", avro.schemas.client.url), Self::probe_registry));
        }
        if let Some(group) = &self.options.group {
            probes.push(step(self, &format!("group `{group}`"), Self::probe_group));
        }
        probes
    }

    fn probe_cluster(&self) -> Result<String, ConnectorError> {
        let client = self.client()?;
        let tried = Tried { doing: "reach", what: "the cluster", operation: "Describe" };
        let metadata = patiently(&client.events, |within| client.consumer.fetch_metadata(Some(&self.options.topic), within));
        let metadata = metadata.map_err(|error| self.cluster.error(tried, &error, Some(&client.events)))?;
        Ok(answered(&self.cluster, metadata.brokers().len()))
    }

    fn probe_topic(&self) -> Result<String, ConnectorError> {
        Ok(format!("it has {} partitions", self.blocking_splits()?.len()))
    }

    /// A fetch that is not allowed is refused at once; one that is allowed and brings nothing just waits.
    fn probe_read(&self) -> Result<String, ConnectorError> {
        let partition = self.blocking_splits()?.first().copied().unwrap_or_default();
        let split = SplitId::new(format!("{}-{partition}", self.options.topic));
        let mut reader = self.blocking_open(&split, Offset::default())?;
        let until = Instant::now() + FETCH;
        while Instant::now() < until {
            if reader.try_fetch()? {
                return Ok("a record was read".to_owned());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok("it may be read; no record came".to_owned())
    }

    fn probe_registry(&self) -> Result<String, ConnectorError> {
        self.avro.as_ref().map_or_else(|| Ok("there is none".to_owned()), AvroSource::probe)
    }

    fn probe_group(&self) -> Result<String, ConnectorError> {
        let (client, mut list) = (self.client()?, rdkafka::TopicPartitionList::new());
        list.add_partition(&self.options.topic, 0);
        let what = format!("group `{}`", self.options.group.as_deref().unwrap_or_default());
        let tried = Tried { doing: "read the offsets of", what: &what, operation: "Read" };
        let found = patiently(&client.events, |within| client.consumer.committed_offsets(list.clone(), within));
        found.map(|_| "its offsets can be read".to_owned()).map_err(|error| self.cluster.error(tried, &error, Some(&client.events)))
    }
}

impl KafkaSink {
    /// The steps of a sink.
    pub(crate) fn probes(self: &Arc<Self>) -> Vec<Probe> {
        let topic = &self.options.topic;
        let mut probes = vec![
            step(self, &format!("brokers at {}", self.cluster.servers), Self::probe_cluster),
            step(self, &format!("topic `{topic}`: write"), Self::probe_write),
        ];
        if let Some(avro) = &self.avro {
            probes.push(step(self, &format!("schema registry at {}", avro.client.url), Self::probe_registry));
        }
        probes
    }

    fn probe_registry(&self) -> Result<String, ConnectorError> {
        self.avro.as_ref().map_or_else(|| Ok("there is none".to_owned()), AvroSink::probe)
    }

    fn probe_cluster(&self) -> Result<String, ConnectorError> {
        let producer = self.own_producer()?;
        let tried = Tried { doing: "reach", what: "the cluster", operation: "Describe" };
        let metadata = patiently(&producer.events, |within| producer.inner().client().fetch_metadata(Some(&self.options.topic), within));
        let metadata = metadata.map_err(|error| self.cluster.error(tried, &error, Some(&producer.events)))?;
        Ok(answered(&self.cluster, metadata.brokers().len()))
    }

    fn probe_write(&self) -> Result<String, ConnectorError> {
        let (producer, topic) = (self.own_producer()?, self.options.topic.as_str());
        let partitions = producer.partitions(&self.cluster, topic)?;
        let what = format!("topic `{topic}`");
        let tried = Tried { doing: "write to", what: &what, operation: "Write" };
        match authorized::may_write(producer.inner().client(), topic) {
            Ok(true) => Ok(format!("it has {partitions} partitions, and may be written")),
            Ok(false) => Err(self.cluster.failed(tried, RDKafkaErrorCode::TopicAuthorizationFailed, Some(&producer.events))),
            Err(code) => Err(self.cluster.failed(tried, code, Some(&producer.events))),
        }
    }
}

impl Names {
    /// The step of an exactly-once job: with an id beside its own, since trying those would fence a job that runs.
    pub(crate) fn probe(&self) -> Result<String, ConnectorError> {
        let id = format!("{}-doctor", self.job);
        let mut config = self.cluster.config();
        config.set("transactional.id", &id);
        let producer = Producer::new(&self.cluster, &config)?;
        let what = format!("transactional id `{id}`");
        let tried = Tried { doing: "begin transactions with", what: &what, operation: "Write" };
        let begun = patiently(&producer.events, |within| producer.inner().init_transactions(within));
        begun.map_err(|error| self.cluster.error(tried, &error, Some(&producer.events)))?;
        let record = self.look()?;
        let committed = record.map_or_else(|| "nothing was committed yet".to_owned(), |record| format!("{record} was committed last"));
        Ok(format!("transactions can be begun, and the group be read: {committed}"))
    }
}

fn step<T: Send + Sync + 'static>(of: &Arc<T>, name: &str, run: fn(&T) -> Result<String, ConnectorError>) -> Probe {
    let of = of.clone();
    Probe::new(name, move || run(&of))
}

fn answered(cluster: &Cluster, brokers: usize) -> String {
    let who = cluster.who.as_ref().map(|who| format!(", and know us as `{who}`")).unwrap_or_default();
    format!("{brokers} answer{who}")
}
