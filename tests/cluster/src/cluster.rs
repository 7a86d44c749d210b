//! A cluster, from nothing to ready.

use crate::folder::Folder;
use crate::hdfs::Hdfs;
use crate::hdfs_config;
use crate::jars::Jars;
use crate::kafka::Kafka;
use crate::kafka_config::properties;
use crate::kdc::Kdc;
use crate::options::{Hdfs as HdfsKind, Options};
use crate::ports::Ports;
use crate::process::{Process, Server};
use crate::registry;
use crate::spawner::Spawner;
use crate::tls::Tls;
use anyhow::{Context, Error, Result, anyhow};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Servers that run until this is dropped, and no longer than this process whatever happens.
///
/// All is done through `&self`, from any thread; what is done to one server waits for what is being done to it.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) options: Options,
    pub(crate) ports: Ports,
    pub(crate) kdc: Kdc,
    pub(crate) tls: Tls,
    pub(crate) hdfs: Option<Hdfs>,
    pub(crate) processes: BTreeMap<Server, Mutex<Process>>,
    pub(crate) spawner: Spawner,
    /// The last field, as the folder goes when the servers are gone.
    folder: Folder,
}

impl Cluster {
    /// Starts a cluster and waits until it is ready. Jars are fetched if they are missing.
    ///
    /// # Errors
    /// What is missing and how to install it; or which server did not come up, with the end of its log, which is kept.
    pub fn start(options: &Options) -> Result<Self> {
        match Self::start_once(options) {
            // A port was free when it was chosen and taken before its server had it: that may happen, once.
            Err(error) if port_was_taken(&error) => Self::start_once(options),
            other => other,
        }
    }

    fn start_once(options: &Options) -> Result<Self> {
        let folder = Folder::new(options.folder.as_deref())?;
        let told = folder.path().display().to_string();
        Self::make(options, folder).with_context(|| format!("cannot start a cluster; what there is of it is kept in {told}"))
    }

    fn make(options: &Options, folder: Folder) -> Result<Self> {
        let (ports, spawner) = (Ports::free()?, Spawner::new()?);
        let kdc = Kdc::create(&folder, ports.kdc, options.ticket_life)?;
        let (tls, options, processes) = (Tls::create(&folder)?, options.clone(), BTreeMap::new());
        let mut cluster = Self { options, ports, kdc, tls, hdfs: None, processes, spawner, folder };
        cluster.add(Server::Kdc, cluster.kdc.process()?);
        cluster.start_server(Server::Kdc)?;
        cluster.start_others()?;
        cluster.folder.keep(false);
        Ok(cluster)
    }

    /// The broker and HDFS, side by side, as each takes one processor for seconds.
    fn start_others(&mut self) -> Result<()> {
        let jars = Jars::find()?;
        let kafka = self.options.kafka.then(|| self.new_kafka(&jars)).transpose()?;
        let hdfs = (self.options.hdfs != HdfsKind::None).then(|| self.new_hdfs(&jars)).transpose()?;
        std::thread::scope(|scope| {
            let formatting = scope.spawn(|| hdfs.as_ref().map_or(Ok(()), Hdfs::format));
            let formatted = kafka.as_ref().map_or(Ok(()), Kafka::format);
            formatting.join().unwrap_or_else(|_| Err(anyhow!("formatting HDFS panicked"))).and(formatted)
        })?;
        if let Some(kafka) = kafka {
            self.add(Server::Kafka, kafka.process());
        }
        if let Some(hdfs) = &hdfs {
            let servers = hdfs.name_nodes().iter().chain(&[Server::DataNode]);
            servers.for_each(|server| self.add(*server, hdfs.process(*server)));
        }
        self.hdfs = hdfs;
        if self.options.registry {
            let process = registry::process(&self.folder, &jars.of("registry")?, &self.kdc.conf("krb5.conf"), self.ports.registry)?;
            self.add(Server::Registry, process);
        }
        self.start_all()
    }

    fn new_kafka(&self, jars: &Jars) -> Result<Kafka> {
        let Options { plaintext, reauthentication, .. } = self.options;
        let data = self.folder.join("kafka");
        let text = properties(&self.kdc, &self.tls, &self.ports, &data, plaintext, reauthentication);
        Kafka::new(&self.folder, &jars.of("kafka")?, &self.kdc.conf("krb5.conf"), &text)
    }

    fn new_hdfs(&self, jars: &Jars) -> Result<Hdfs> {
        let Options { hdfs, transfer, .. } = self.options;
        hdfs_config::create(&self.folder, &self.kdc, &self.ports, hdfs, transfer)?;
        Hdfs::new(&self.folder, &jars.of("hadoop")?, &self.kdc, hdfs, &self.ports)
    }

    fn add(&mut self, server: Server, process: Process) {
        self.processes.insert(server, Mutex::new(process));
    }

    /// The folder of the cluster; logs are in `log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder where it is when the cluster ends, for a day at least. So does a panic, and `STYGIAN_CLUSTER_KEEP=1` in the
    /// environment.
    pub fn keep_folder(&mut self) {
        self.folder.keep(true);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.processes.values_mut() {
            // It fails for those that do not run.
            let _ = process.get_mut().unwrap_or_else(PoisonError::into_inner).kill();
        }
        if std::thread::panicking() {
            self.folder.keep(true);
        }
    }
}

fn port_was_taken(error: &Error) -> bool {
    let told = format!("{error:#}");
    ["Address already in use", "BindException", "Failed to bind"].iter().any(|sign| told.contains(sign))
}
