//! A cluster, a feeder and the job, up to the end at which all is compared: what runs with and without faults have in common.

use crate::feeder::{Fed, Feeder};
use crate::job::Job;
use crate::oracle::{Truth, Verdict};
use crate::pipeline::Topics;
use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use stygian_cluster::{Access, Hdfs, Options, Protection};
use stygian_e2e::{Rig, components};

/// The longest that the job may take to have worked off everything, to commit something, and to drain.
const TO_CATCH_UP: Duration = Duration::from_secs(240);
const TO_COMMIT: Duration = Duration::from_secs(150);
const TO_DRAIN: Duration = Duration::from_secs(120);
/// The longest that the broker may take to show what it has acknowledged.
const TO_SHOW: Duration = Duration::from_secs(30);

/// The cluster: tickets live for 40 seconds, connections authenticate again every 20, and HDFS has two NameNodes.
pub(crate) fn rig(transfer: Protection) -> Result<Rig> {
    // Built before anything runs that they would hold up.
    components();
    let (ticket_life, reauthentication) = (Duration::from_secs(40), Some(Duration::from_secs(20)));
    Rig::start(&Options { ticket_life, reauthentication, transfer, hdfs: Hdfs::Ha, ..Options::default() })
}

/// Looks at what the job has committed.
pub(crate) struct Watch {
    consumer: BaseConsumer,
    topic: String,
}

impl Watch {
    pub(crate) fn new(rig: &Rig, topics: &Topics) -> Result<Self> {
        let mut config = ClientConfig::new();
        for (name, value) in rig.cluster.client_settings(&Access::password("admin"))? {
            config.set(name, value);
        }
        config.set("group.id", format!("stygian-{}", topics.job));
        Ok(Self { consumer: config.create()?, topic: topics.copy.clone() })
    }

    /// The checkpoint that was committed last; `None`: none, or the broker does not say.
    pub(crate) fn committed(&self) -> Option<i64> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, 0);
        let found = self.consumer.committed_offsets(list, Duration::from_secs(3)).ok()?;
        match found.find_partition(&self.topic, 0)?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    /// Waits until the job has committed something more.
    pub(crate) fn until_more(&self, job: &mut Job) -> Result<()> {
        let deadline = Instant::now() + TO_COMMIT;
        let before = loop {
            job.tend()?;
            match self.committed() {
                None => ensure!(Instant::now() < deadline, "waited {TO_COMMIT:?} for the broker to say what is committed"),
                some => break some,
            }
        };
        job.until("two more checkpoints", TO_COMMIT, || Ok(self.committed() >= before.map(|before| before + 2)))
    }
}

/// The end of a run.
#[derive(Debug, Default)]
pub(crate) struct End {
    pub(crate) rows: u64,
    pub(crate) broken: u64,
    pub(crate) given_up: u64,
    pub(crate) verdict: Verdict,
}

/// Ends the feeder, lets the job work off what there is, drains it, and compares.
pub(crate) fn end(rig: &Rig, topics: &Topics, feeder: Feeder, job: &mut Job) -> Result<End> {
    let fed = feeder.finish()?;
    let truth = read_source(rig, topics, &fed)?;
    let (mut missing, mut next_look) = (usize::MAX, Instant::now());
    let caught_up = job.until("every row to be in the topic of copies", TO_CATCH_UP, || {
        if Instant::now() >= next_look {
            missing = truth.missing(rig, topics)?;
            next_look = Instant::now() + Duration::from_secs(1);
        }
        Ok(missing == 0)
    });
    // Where rows are lost, the comparison says which.
    if let Err(error) = caught_up {
        let verdict = truth.judge(rig, topics)?;
        return Err(error.context(format!("{missing} rows are missing; so far:\n{}", verdict.texts.join("\n"))));
    }
    job.finish(TO_DRAIN)?;
    let verdict = truth.judge(rig, topics)?;
    Ok(End { rows: truth.rows.len() as u64, broken: truth.broken.len() as u64, given_up: fed.given_up, verdict })
}

/// What is in the source topic, which must be all that the broker has acknowledged. It acknowledges a transaction before all partitions show it.
fn read_source(rig: &Rig, topics: &Topics, fed: &Fed) -> Result<Truth> {
    let deadline = Instant::now() + TO_SHOW;
    loop {
        let truth = Truth::read(rig, topics).context("reading the source topic")?;
        ensure!(truth.repeated.is_empty(), "the source topic itself holds rows twice: {:?}", truth.repeated);
        let broken: BTreeSet<u64> = truth.broken.iter().filter_map(|text| number_of(text)).collect();
        let unseen = fed.acknowledged.iter().filter(|id| !truth.rows.contains_key(id) && !broken.contains(id)).count();
        if unseen == 0 {
            return Ok(truth);
        }
        ensure!(Instant::now() < deadline, "{unseen} rows that the broker has acknowledged are not in the source topic");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The number in a row that is broken off behind it.
fn number_of(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("{\"id\": ")?;
    digits.get(..digits.find(',')?)?.parse().ok()
}
