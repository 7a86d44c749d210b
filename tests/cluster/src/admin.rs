//! Topics and grants, made as the super user `admin`, who comes with a password: no ticket is needed, whatever the KDC does.

use crate::access::Access;
use crate::acls::{Grant, Operation, Pattern, Resource, create, delete};
use crate::cluster::Cluster;
use anyhow::{Context, Result, anyhow, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The longest that the broker may take to answer, and to do it.
const LIMIT: Duration = Duration::from_secs(20);

type Admin = AdminClient<DefaultClientContext>;

impl Cluster {
    /// A new topic, with settings such as `("retention.ms", "1000")`, that every client finds from now on.
    ///
    /// # Errors
    /// When it exists, or the broker does not answer.
    pub fn create_topic(&self, name: &str, partitions: u16, settings: &[(&str, &str)]) -> Result<()> {
        let new = NewTopic::new(name, i32::from(partitions), TopicReplication::Fixed(1));
        let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
        self.administer("create", name, async |admin, options| admin.create_topics(&[new], options).await)?;
        // The controller has made it; the broker hears of it a little later.
        let (admin, deadline) = (self.admin()?, Instant::now() + LIMIT);
        loop {
            let metadata = admin.inner().fetch_metadata(Some(name), LIMIT)?;
            let led = |topic: &MetadataTopic| topic.partitions().iter().filter(|partition| partition.leader() >= 0).count();
            let found = metadata.topics().first().filter(|topic| topic.error().is_none()).map_or(0, led);
            if found == usize::from(partitions) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the broker does not know topic {name}, which it has made, for {LIMIT:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Removes a topic.
    ///
    /// # Errors
    /// When there is none, or the broker does not answer.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        self.administer("delete", name, async |admin, options| admin.delete_topics(&[name], options).await)
    }

    /// Gives a topic more partitions, so that it has so many in all.
    ///
    /// # Errors
    /// When it has so many, or the broker does not answer.
    pub fn set_partitions(&self, name: &str, partitions: u16) -> Result<()> {
        let new = NewPartitions::new(name, usize::from(partitions));
        self.administer("add partitions to", name, async |admin, options| admin.create_partitions(&[new], options).await)
    }

    /// Allows a user operations on a resource. `stranger` and `pipeline` may do nothing before; `admin` everything.
    ///
    /// # Errors
    /// When the broker does not, or does not answer.
    pub fn grant(&self, user: &str, resource: Resource, name: &str, pattern: Pattern, operations: &[Operation]) -> Result<()> {
        create(&self.admin()?, &Grant { user, resource, name, pattern, operations })
    }

    /// Takes back what [`Cluster::grant`] has allowed, by the same words.
    ///
    /// # Errors
    /// When it was not allowed, or the broker does not answer.
    pub fn revoke(&self, user: &str, resource: Resource, name: &str, pattern: Pattern, operations: &[Operation]) -> Result<()> {
        delete(&self.admin()?, &Grant { user, resource, name, pattern, operations })
    }

    /// What a consumer group has committed, by partition of a topic; partitions without an offset are left out.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>> {
        let mut config = ClientConfig::new();
        for (name, value) in self.client_settings(&Access::password("admin"))? {
            config.set(name, value);
        }
        let consumer: BaseConsumer = config.set("group.id", group).create()?;
        let metadata = consumer.fetch_metadata(Some(topic), LIMIT)?;
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
            list.add_partition(topic, partition.id());
        }
        let found = consumer.committed_offsets(list, LIMIT)?;
        let offset = |element: TopicPartitionListElem<'_>| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        };
        Ok(found.elements().into_iter().filter_map(offset).collect())
    }

    fn admin(&self) -> Result<Admin> {
        let mut config = ClientConfig::new();
        for (name, value) in self.client_settings(&Access::password("admin"))? {
            config.set(name, value);
        }
        config.create().context("cannot make an admin client")
    }

    fn administer(
        &self,
        verb: &str,
        topic: &str,
        work: impl AsyncFnOnce(&Admin, &AdminOptions) -> KafkaResult<Vec<TopicResult>>,
    ) -> Result<()> {
        let admin = self.admin()?;
        let options = AdminOptions::new().operation_timeout(Some(LIMIT)).request_timeout(Some(LIMIT));
        // librdkafka has threads of its own; this one only waits for their answer.
        let results = tokio::runtime::Builder::new_current_thread().build()?.block_on(work(&admin, &options));
        let results = results.with_context(|| format!("cannot {verb} topic {topic}"))?;
        let failed = results.into_iter().find_map(Result::err);
        failed.map_or(Ok(()), |(_, code)| Err(anyhow!("cannot {verb} topic {topic}: {code}")))
    }
}
