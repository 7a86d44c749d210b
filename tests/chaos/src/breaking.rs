//! Carries faults out.

use crate::faults::{Fault, PLACES};
use crate::job::{Job, OTHER, Process};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::collections::BTreeMap;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};
use stygian_cluster::{Cluster, Server};
use stygian_e2e::Chance;

/// The longest that a job may take to come to a place, and to take over from another process. Meanwhile the KDC may be away.
const TO_PLACE: Duration = Duration::from_secs(20);
const TO_TAKE_OVER: Duration = Duration::from_secs(150);
/// The longest that it may take a process to learn that it does not have the job any more.
const TO_LEARN: Duration = Duration::from_secs(90);

/// What is broken by whom.
pub(crate) struct Breaker<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    cluster: &'env Cluster,
    /// The job's folder in HDFS.
    folder: String,
    pub(crate) job: Job,
    pub(crate) chance: Chance,
    /// The KDC is away, and will come back.
    kdc: Option<ScopedJoinHandle<'scope, Result<()>>>,
    /// What was done, by kind, and where the job was killed.
    pub(crate) done: BTreeMap<Fault, u64>,
    pub(crate) places: BTreeMap<&'static str, u64>,
}

impl<'scope, 'env> Breaker<'scope, 'env> {
    pub(crate) fn new(scope: &'scope Scope<'scope, 'env>, cluster: &'env Cluster, folder: String, job: Job, chance: Chance) -> Self {
        Self { scope, cluster, folder, job, chance, kdc: None, done: BTreeMap::new(), places: BTreeMap::new() }
    }

    /// Does it, and counts it if it was done.
    pub(crate) fn carry_out(&mut self, fault: Fault) -> Result<()> {
        let is_done = match fault {
            Fault::Kill => self.kill()?,
            Fault::KillAtPlace => self.kill_at_place()?,
            Fault::BrokerRestart => self.broker(Cluster::stop)?,
            Fault::BrokerKill => self.broker(Cluster::kill)?,
            Fault::BrokerPause => self.pause_broker()?,
            Fault::KdcShort => self.kdc_away(3_000, 16_000)?,
            Fault::KdcLong => self.kdc_away(45_000, 60_000)?,
            Fault::Failover => self.failover()?,
            Fault::NameNodeKill => self.kill_name_node()?,
            Fault::DataNodeKill => self.kill_data_node()?,
            Fault::FullQuota => self.fill_quota()?,
            Fault::Zombie => self.zombie()?,
            Fault::TwoAtOnce => self.two_at_once()?,
        };
        if is_done {
            *self.done.entry(fault).or_default() += 1;
        }
        Ok(())
    }

    /// Some time, in milliseconds.
    fn some(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.chance.below(to - from))
    }

    fn kill(&mut self) -> Result<bool> {
        let ran = self.job.kill()?;
        self.job.start(None)?;
        Ok(ran)
    }

    fn kill_at_place(&mut self) -> Result<bool> {
        let (place, spared) = (self.chance.one_of(&PLACES), self.chance.below(4));
        self.job.kill()?;
        let points = format!("{place}={spared}*off->return");
        let (mut process, deadline) = (self.job.launch(Some(&points))?, Instant::now() + TO_PLACE);
        while Instant::now() < deadline {
            if process.ended()?.is_some_and(|status| status.code().is_none()) {
                *self.places.entry(place).or_default() += 1;
                self.job.start(None)?;
                return Ok(true);
            }
            self.job.tend_to(&mut process, &points)?;
            std::thread::sleep(Duration::from_millis(5));
        }
        // What it stands on is away for longer, or there is nothing at that place.
        drop(process);
        self.job.start(None)?;
        Ok(false)
    }

    fn broker(&mut self, end: fn(&Cluster, Server) -> Result<()>) -> Result<bool> {
        end(self.cluster, Server::Kafka)?;
        let away = self.some(0, 4_000);
        self.job.go_on_for(away)?;
        self.cluster.start_server(Server::Kafka)?;
        Ok(true)
    }

    fn pause_broker(&mut self) -> Result<bool> {
        let away = self.some(1_000, 15_000);
        self.cluster.pause(Server::Kafka)?;
        let tended = self.job.go_on_for(away);
        self.cluster.resume(Server::Kafka)?;
        tended.map(|()| true)
    }

    /// Takes the KDC away; it comes back whatever happens meanwhile.
    fn kdc_away(&mut self, from: u64, to: u64) -> Result<bool> {
        self.kdc_back()?;
        let (cluster, away) = (self.cluster, self.some(from, to));
        cluster.stop(Server::Kdc)?;
        self.kdc = Some(self.scope.spawn(move || {
            std::thread::sleep(away);
            cluster.start_server(Server::Kdc)
        }));
        Ok(true)
    }

    /// Waits until the KDC is back, where it is away.
    pub(crate) fn kdc_back(&mut self) -> Result<()> {
        while self.kdc.as_ref().is_some_and(|kdc| !kdc.is_finished()) {
            self.job.tend()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        let Some(kdc) = self.kdc.take() else { return Ok(()) };
        kdc.join().unwrap_or_else(|_| Err(anyhow!("who was to start the KDC panicked")))
    }

    /// Nobody takes HDFS's part while the KDC is away: whoever changes something there has to log in.
    fn failover(&mut self) -> Result<bool> {
        self.kdc_back()?;
        let (_, other) = self.name_nodes()?;
        self.cluster.failover(other)?;
        Ok(true)
    }

    fn kill_name_node(&mut self) -> Result<bool> {
        self.kdc_back()?;
        let (active, other) = self.name_nodes()?;
        self.cluster.kill(active)?;
        let away = self.some(0, 3_000);
        self.job.go_on_for(away)?;
        self.cluster.failover(other)?;
        self.cluster.start_server(active)?;
        Ok(true)
    }

    /// The NameNode that is active, and the other one.
    fn name_nodes(&self) -> Result<(Server, Server)> {
        let active = self.cluster.active_name_node()?;
        Ok((active, if active == Server::NameNode { Server::NameNode2 } else { Server::NameNode }))
    }

    fn kill_data_node(&mut self) -> Result<bool> {
        self.cluster.kill(Server::DataNode)?;
        let away = self.some(0, 6_000);
        self.job.go_on_for(away)?;
        self.kdc_back()?;
        self.cluster.start_server(Server::DataNode)?;
        Ok(true)
    }

    fn fill_quota(&mut self) -> Result<bool> {
        self.kdc_back()?;
        self.cluster.hdfs_quota(&self.folder, None, Some(1))?;
        let full = self.some(500, 6_000);
        let tended = self.job.go_on_for(full);
        self.cluster.hdfs_quota(&self.folder, None, None)?;
        tended.map(|()| true)
    }

    /// The other one gets past the lock of the folder, as on another machine: only Kafka and the manifests can keep the two apart.
    fn other(&mut self) -> Result<Option<(Process, Process)>> {
        self.job.tend()?;
        let Some(one) = self.job.process.take() else { return Ok(None) };
        one.signal("-STOP")?;
        Ok(Some((one, self.job.launch(Some("no-lock=return"))?)))
    }

    fn zombie(&mut self) -> Result<bool> {
        // One that is only starting would take the job over from the other one, rightly.
        self.job.until_begun(TO_TAKE_OVER)?;
        let Some((mut one, mut other)) = self.other()? else { return Ok(false) };
        let deadline = Instant::now() + TO_TAKE_OVER;
        while !other.has_begun()? {
            self.job.tend_to(&mut other, "no-lock=return")?;
            ensure!(
                Instant::now() < deadline,
                "waited {TO_TAKE_OVER:?} for another process to take over; it says:\n{}",
                other.last_words()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self.job.process = Some(other);
        let more = self.some(0, 1_500);
        self.job.go_on_for(more)?;
        one.signal("-CONT")?;
        let mut ended = None;
        let learns = "the process that had the job to learn that another one has it";
        self.job.until(learns, TO_LEARN, || {
            ended = one.ended()?;
            Ok(ended.is_some())
        })?;
        let status = ended.context("it has ended")?;
        let knows = status.code() == Some(1) && one.says()?.contains(OTHER);
        ensure!(knows, "the process that lost the job ended with {status} and does not say so:\n{}", one.last_words());
        Ok(true)
    }

    /// One of them has the job as soon as it has fenced the other; which, nobody knows.
    fn two_at_once(&mut self) -> Result<bool> {
        let Some((mut one, mut other)) = self.other()? else { return Ok(false) };
        let stopped = self.some(0, 1_500);
        std::thread::sleep(stopped);
        one.signal("-CONT")?;
        let deadline = Instant::now() + TO_LEARN;
        loop {
            let (first, second) = (one.ended()?, other.ended()?);
            let (lost, left, status) = match (first, second) {
                (Some(status), _) => (one, other, status),
                (None, Some(status)) => (other, one, status),
                (None, None) if Instant::now() >= deadline => {
                    bail!("two processes have the job for {TO_LEARN:?}; they say:\n{}\nand\n{}", one.last_words(), other.last_words());
                }
                (None, None) => {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
            };
            ensure!(status.code() == Some(1), "of two processes one ended with {status} and says:\n{}", lost.last_words());
            self.job.process = Some(left);
            return Ok(true);
        }
    }
}
