//! A server: its command, its log, and the process if it runs.

use crate::spawner::Spawner;
use crate::tools::{LIBRARIES, tail};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(30);

/// The longest that a server may take to end when it is asked to.
const TO_END: Duration = Duration::from_secs(40);

/// A server of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// The key distribution centre.
    Kdc,
    /// The broker.
    Kafka,
    /// The NameNode; of a pair the first.
    NameNode,
    /// The second NameNode of a pair.
    NameNode2,
    /// The DataNode.
    DataNode,
    /// The schema registry.
    Registry,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kdc => "kdc",
            Self::Kafka => "kafka",
            Self::NameNode => "namenode",
            Self::NameNode2 => "namenode2",
            Self::DataNode => "datanode",
            Self::Registry => "registry",
        })
    }
}

/// How a server is started.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(&'static str, OsString)>,
}

/// A server that has been started at least once.
#[derive(Debug)]
pub(crate) struct Process {
    server: Server,
    launch: Launch,
    log: PathBuf,
    /// Where in the log its last start begins.
    begins: u64,
    child: Option<Child>,
    paused: bool,
}

impl Process {
    /// One that is not started yet. Its log is appended to at each start.
    pub(crate) fn new(server: Server, launch: Launch, logs: &Path) -> Self {
        Self { server, launch, log: logs.join(format!("{server}.log")), begins: 0, child: None, paused: false }
    }

    /// Starts it; it is not ready then. It is in a process group of its own, so that a Ctrl-C at a terminal does not reach it.
    pub(crate) fn start(&mut self, spawner: &Spawner) -> Result<()> {
        ensure!(!self.runs()?, "{} runs already", self.server);
        let log = File::options().create(true).append(true).open(&self.log).with_context(|| format!("log {}", self.log.display()))?;
        self.begins = log.metadata()?.len();
        let mut command = Command::new(&self.launch.program);
        command.env_remove(LIBRARIES);
        command.args(&self.launch.args).envs(self.launch.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        self.child = Some(spawner.spawn(command)?);
        self.paused = false;
        Ok(())
    }

    /// Waits until a condition holds, which is given what the server has logged since its start.
    pub(crate) fn wait_for(&mut self, limit: Duration, mut ready: impl FnMut(&str) -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                bail!("{} ended while it was starting ({status}); its log {} ends:\n{}", self.server, self.log.display(), tail(&self.log));
            }
            if ready(&self.logged()?)? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let (server, log) = (self.server, self.log.display());
                bail!("{server} was not ready within {limit:?}; its log {log} ends:\n{}", tail(&self.log));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn logged(&self) -> Result<String> {
        let mut log = File::open(&self.log)?;
        log.seek(SeekFrom::Start(self.begins))?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Its process id, if it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it with SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().with_context(|| format!("{} does not run", self.server))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks it to end and waits.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        if self.paused {
            self.resume()?;
        }
        let deadline = Instant::now() + TO_END;
        while self.ended()?.is_none() {
            if Instant::now() >= deadline {
                bail!("{} goes on {TO_END:?} after SIGTERM; its log {} ends:\n{}", self.server, self.log.display(), tail(&self.log));
            }
            std::thread::sleep(LOOK);
        }
        self.child = None;
        Ok(())
    }

    /// Has it do nothing until it is resumed: its connections stay, and nobody answers.
    pub(crate) fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        self.paused = true;
        Ok(())
    }

    /// Has it go on after a pause.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)?;
        self.paused = false;
        Ok(())
    }

    /// Whether it runs (or is paused).
    pub(crate) fn runs(&mut self) -> Result<bool> {
        Ok(self.child.is_some() && self.ended()?.is_none())
    }

    fn ended(&mut self) -> Result<Option<std::process::ExitStatus>> {
        self.child.as_mut().with_context(|| format!("{} does not run", self.server))?.try_wait().context("cannot ask for a child")
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        // A child that has ended and been asked for is reaped: then its id may be another's.
        if let Some(status) = self.ended()? {
            bail!("{} has ended by itself ({status}); its log {} ends:\n{}", self.server, self.log.display(), tail(&self.log));
        }
        let id = self.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).context("a process id")?;
        kill_process(id, signal).with_context(|| format!("cannot send {signal:?} to {}", self.server))
    }
}
