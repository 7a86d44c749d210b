//! What can be done to servers: to end them, to start them again, to have them stand still.

use crate::cluster::Cluster;
use crate::hdfs::Hdfs;
use crate::hdfs_config;
use crate::kafka::STARTED;
use crate::options::Hdfs as HdfsKind;
use crate::process::{Process, Server};
use crate::registry;
use crate::tools::listens;
use anyhow::{Context, Result, bail, ensure};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest that a server may take to be ready. A Java server takes seconds; much longer where many processes share few processors.
const READY: Duration = Duration::from_secs(120);

/// So much is left free by a DataNode that is to be full: 1 PiB.
const MORE_THAN_ANY_DISK: u64 = 1 << 50;

/// What a DataNode logs when a NameNode knows it.
const REGISTERED: &str = "successfully registered with NN";

impl Cluster {
    /// Starts a server that was ended, at the ports and with the data that it had, and waits until it is ready. A NameNode of a pair is
    /// then standby.
    ///
    /// # Errors
    /// When it runs, or does not come up.
    pub fn start_server(&self, server: Server) -> Result<()> {
        self.launch(server)?;
        self.await_ready(server)?;
        // A NameNode alone is of use when its DataNode has found it again.
        let alone = server == Server::NameNode && self.options.hdfs == HdfsKind::One;
        if alone && self.lock(Server::DataNode)?.runs()? { self.await_hdfs() } else { Ok(()) }
    }

    /// Ends a server with SIGKILL.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&self, server: Server) -> Result<()> {
        self.lock(server)?.kill()
    }

    /// Asks a server to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it does not run, or does not end.
    pub fn stop(&self, server: Server) -> Result<()> {
        self.lock(server)?.stop()
    }

    /// Has a server stand still (SIGSTOP): its connections stay, and nobody answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self, server: Server) -> Result<()> {
        self.lock(server)?.pause()
    }

    /// Has a server go on after a pause (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self, server: Server) -> Result<()> {
        self.lock(server)?.resume()
    }

    /// Whether a server runs; one that is paused does.
    ///
    /// # Errors
    /// When there is no such server.
    pub fn runs(&self, server: Server) -> Result<bool> {
        self.lock(server)?.runs()
    }

    /// The process id of a server, if it runs.
    ///
    /// # Errors
    /// When there is no such server.
    pub fn process_id(&self, server: Server) -> Result<Option<u32>> {
        Ok(self.lock(server)?.id())
    }

    /// Makes one of a pair of NameNodes the active one; the other becomes standby, unless it does not answer. Takes some seconds. One that
    /// is paused does not hear that it is active no longer: end it before it is resumed, as nothing here fences it.
    ///
    /// # Errors
    /// When there is no pair, or the NameNode does not become active.
    pub fn failover(&self, to: Server) -> Result<()> {
        self.hdfs()?.make_active(to)?;
        self.await_hdfs()
    }

    /// Which of a pair of NameNodes is active.
    ///
    /// # Errors
    /// When there are none, or none is active.
    pub fn active_name_node(&self) -> Result<Server> {
        self.hdfs()?.active_server()
    }

    /// Starts the DataNode anew with a disk that is full, or, if it was, with space again.
    ///
    /// # Errors
    /// When it does not run, does not come up, or the NameNode does not hear of it.
    pub fn fill_data_node(&self, full: bool) -> Result<()> {
        self.kill(Server::DataNode)?;
        hdfs_config::reserve(&self.hadoop_conf(), if full { MORE_THAN_ANY_DISK } else { 0 })?;
        self.start_server(Server::DataNode)?;
        let (hdfs, deadline) = (self.hdfs()?, Instant::now() + READY);
        while hdfs.remaining().map(|bytes| bytes == 0).ok() != Some(full) {
            ensure!(Instant::now() < deadline, "the NameNode does not hear what the DataNode's disk has free");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Starts every server that does not run.
    pub(crate) fn start_all(&self) -> Result<()> {
        let waiting: Vec<Server> = self.processes.keys().copied().filter(|server| *server != Server::Kdc).collect();
        waiting.iter().try_for_each(|server| self.launch(*server))?;
        for server in waiting {
            // A DataNode is known only to a NameNode that is active.
            if server == Server::DataNode && self.options.hdfs == HdfsKind::Ha {
                self.hdfs()?.make_active(Server::NameNode)?;
            }
            self.await_ready(server)?;
        }
        if self.hdfs.is_some() { self.await_hdfs() } else { Ok(()) }
    }

    fn launch(&self, server: Server) -> Result<()> {
        self.lock(server)?.start(&self.spawner)
    }

    fn await_ready(&self, server: Server) -> Result<()> {
        self.lock(server)?.wait_for(READY, |log| self.is_ready(server, log))
    }

    fn is_ready(&self, server: Server, log: &str) -> Result<bool> {
        let ports = &self.ports;
        Ok(match server {
            Server::Kdc => listens(ports.kdc),
            Server::Kafka => log.contains(STARTED) && listens(ports.sasl),
            Server::NameNode => listens(ports.name_nodes[0].0) && self.hdfs()?.answers(server),
            Server::NameNode2 => listens(ports.name_nodes[1].0) && self.hdfs()?.answers(server),
            Server::Registry => registry::answers(ports.registry),
            Server::DataNode => log.contains(REGISTERED) && listens(ports.data_node[0]),
        })
    }

    /// Waits until there is an active NameNode that lets files be written.
    fn await_hdfs(&self) -> Result<()> {
        let (hdfs, deadline) = (self.hdfs()?, Instant::now() + READY);
        loop {
            let live = hdfs.live_data_nodes();
            match live {
                Ok(1..) => return Ok(()),
                live if Instant::now() >= deadline => bail!("HDFS has no live DataNode, or is in safe mode, after {READY:?}: {live:?}"),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    pub(crate) fn hdfs(&self) -> Result<&Hdfs> {
        self.hdfs.as_ref().context("this cluster was started without HDFS")
    }

    fn lock(&self, server: Server) -> Result<MutexGuard<'_, Process>> {
        let process = self.processes.get(&server).with_context(|| format!("this cluster was started without {server}"))?;
        Ok(process.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
