//! `cluster`: the test cluster for a person.

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use stygian_cluster::{Cluster, Hdfs, Listener, Options, Protection, fetch, owner_of};

/// The longest that `down` waits.
const TO_END: Duration = Duration::from_secs(60);

/// A real MIT KDC, Kafka broker and HDFS on loopback, for tests and for people
#[derive(Parser)]
#[command(after_help = "Examples:
  cluster up                                  a KDC and a broker, until Ctrl-C
  cluster up --hdfs --dir /tmp/cluster        with HDFS; what to export is also in /tmp/cluster/env.sh
  cluster up --ticket-life 40s --reauth 20s   tickets that end soon, and connections that need new ones
  cluster down --dir /tmp/cluster             ends it from another terminal

When it is up:
  . /tmp/cluster/env.sh
  kcat -L -b $KAFKA_SASL -X security.protocol=SASL_PLAINTEXT -X sasl.mechanism=GSSAPI \\
       -X sasl.kerberos.service.name=kafka -X sasl.kerberos.min.time.before.relogin=0")]
struct Cli {
    #[command(subcommand)]
    command: Do,
}

#[derive(Subcommand)]
enum Do {
    /// Start a cluster and stay until Ctrl-C; then nothing of it is left running
    Up(Up),
    /// End the cluster of a folder
    Down {
        /// Its folder
        #[arg(long)]
        dir: PathBuf,
    },
    /// Fetch the servers' jars, if they are missing
    Fetch,
}

#[derive(Args)]
struct Up {
    /// A NameNode and a DataNode
    #[arg(long)]
    hdfs: bool,
    /// Two NameNodes and a DataNode
    #[arg(long, conflicts_with = "hdfs")]
    ha: bool,
    /// A schema registry, which keeps schemas in memory
    #[arg(long)]
    registry: bool,
    /// How long clients' tickets live
    #[arg(long, default_value = "10h", value_parser = humantime::parse_duration, value_name = "TIME")]
    ticket_life: Duration,
    /// How long a connection may go on before it must authenticate again; without it, for ever
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    reauth: Option<Duration>,
    /// How data to and from the DataNode is guarded
    #[arg(long, default_value = "authentication")]
    transfer: Transfer,
    /// A listener without authentication, too
    #[arg(long)]
    plaintext: bool,
    /// Where to keep everything: new, empty, or the folder of a cluster that has ended
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transfer {
    Authentication,
    Integrity,
    Privacy,
}

impl Up {
    fn options(self) -> Options {
        Options {
            kafka: true,
            hdfs: match (self.hdfs, self.ha) {
                (_, true) => Hdfs::Ha,
                (true, _) => Hdfs::One,
                _ => Hdfs::None,
            },
            registry: self.registry,
            ticket_life: self.ticket_life,
            reauthentication: self.reauth,
            transfer: match self.transfer {
                Transfer::Authentication => Protection::Authentication,
                Transfer::Integrity => Protection::Integrity,
                Transfer::Privacy => Protection::Privacy,
            },
            plaintext: self.plaintext,
            folder: self.dir,
        }
    }
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Do::Up(up) => stay_up(up),
        Do::Down { dir } => down(&dir),
        Do::Fetch => say(&format!("jars are in {}", fetch()?.folder().display())),
    }
}

fn stay_up(up: Up) -> Result<()> {
    let (ended, end) = channel();
    ctrlc::set_handler(move || {
        // It fails when the end has come by itself.
        let _ = ended.send(());
    })?;
    let (started, options) = (Instant::now(), up.options());
    // A thread of its own, so that Ctrl-C is heard meanwhile: what was started goes with the process.
    let (ready, told) = channel();
    // Nobody is there to hear of it when the process is about to end.
    std::thread::Builder::new().spawn(move || drop(ready.send(Cluster::start(&options))))?;
    let cluster = loop {
        if end.try_recv().is_ok() {
            return say("# ended before it was up");
        }
        if let Ok(cluster) = told.recv_timeout(Duration::from_millis(50)) {
            break cluster?;
        }
    };
    let exports = exports(&cluster)?;
    std::fs::write(cluster.folder().join("env.sh"), &exports).context("cannot write env.sh")?;
    say(&exports)?;
    say(&format!(
        "# up after {:.1} s, until Ctrl-C; in another terminal: . {}/env.sh",
        started.elapsed().as_secs_f64(),
        cluster.folder().display()
    ))?;
    end.recv()?;
    drop(cluster);
    say("# ended")
}

/// Shell lines with what a client needs to know, as the user `pipeline`.
fn exports(cluster: &Cluster) -> Result<String> {
    let mut all: Vec<(&str, String)> = Vec::new();
    for (name, value) in cluster.env("pipeline") {
        all.push((name, value.into_string().ok().with_context(|| format!("{name} is no text"))?));
    }
    let listeners = [("KAFKA_SASL", Listener::SaslPlaintext), ("KAFKA_SASL_SSL", Listener::SaslSsl), ("KAFKA_SSL", Listener::Ssl)];
    for (name, listener) in listeners.into_iter().chain([("KAFKA_PLAINTEXT", Listener::Plaintext)]) {
        all.extend(cluster.address(listener).ok().map(|address| (name, address)));
    }
    let (certificate, key) = cluster.certificate("pipeline");
    all.push(("KAFKA_CA", cluster.ca().display().to_string()));
    all.push(("KAFKA_CERTIFICATE", certificate.display().to_string()));
    all.push(("KAFKA_KEY", key.display().to_string()));
    all.push(("KAFKA_USER", "pipeline".to_owned()));
    all.push(("KAFKA_PASSWORD", cluster.password("pipeline")));
    all.extend(cluster.hdfs_url().map(|url| ("HDFS_URL", url)));
    all.extend(cluster.registry_url().map(|url| ("REGISTRY_URL", url)));
    let line = |(name, value): (&str, String)| format!("export {name}='{}'\n", value.replace('\'', r"'\''"));
    Ok(all.into_iter().map(line).collect())
}

fn down(dir: &Path) -> Result<()> {
    let Some(owner) = owner_of(dir)? else {
        return say(&format!("no cluster runs in {}", dir.display()));
    };
    let pid = i32::try_from(owner).ok().and_then(Pid::from_raw).context("a process id")?;
    kill_process(pid, Signal::TERM).with_context(|| format!("cannot end process {owner}, to which {} belongs", dir.display()))?;
    let deadline = Instant::now() + TO_END;
    while owner_of(dir).is_ok_and(|owner| owner.is_some()) {
        ensure!(Instant::now() < deadline, "process {owner} goes on {TO_END:?} after SIGTERM");
        std::thread::sleep(Duration::from_millis(50));
    }
    say(&format!("ended the cluster of {}", dir.display()))
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", text.trim_end())?)
}
