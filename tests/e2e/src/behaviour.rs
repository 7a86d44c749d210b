//! The reference job between clusters that Kerberos guards: what its two pipelines need of a cluster, and how they are run on it.

use crate::program::{Program, components};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use stygian_cluster::{Cluster, Listener, Operation, Pattern, Resource};

/// Who the jobs are.
const USER: &str = "pipeline";
/// The topic of the averages by item.
pub const ITEMS: &str = "item-report";
/// With their partitions.
const TOPICS: [(&str, u16); 3] = [("events", 4), (ITEMS, 2), ("refused", 1)];
/// The nodes of each pipeline that are told where the broker is.
const PIPELINES: [(&str, &[&str]); 2] =
    [("make-events.toml", &["sink.events"]), ("report.toml", &["source.events", "sink.item_report", "sink.refused"])];

/// The pipelines in a folder, beside what they name.
#[derive(Debug)]
pub struct Behaviour {
    /// The clusters that they run between.
    pub cluster: Cluster,
    folder: PathBuf,
}

impl Behaviour {
    /// Makes topics (that of the events with these settings) and rights, and copies the pipelines as `edit` makes them.
    ///
    /// # Errors
    /// When the cluster refuses something, or a file cannot be written.
    pub fn prepare(
        cluster: Cluster,
        pipelines: &Path,
        folder: &Path,
        settings: &[(&str, &str)],
        edit: impl Fn(&str, String) -> Result<String>,
    ) -> Result<Self> {
        let all = [Operation::Read, Operation::Write, Operation::Describe];
        for (topic, partitions) in TOPICS {
            cluster.create_topic(topic, partitions, if topic == "events" { settings } else { &[] })?;
            cluster.grant(USER, Resource::Topic, topic, Pattern::Literal, &all)?;
        }
        cluster.grant(USER, Resource::Group, "stygian-", Pattern::Prefixed, &[Operation::Read])?;
        let transactions = [Operation::Write, Operation::Describe];
        cluster.grant(USER, Resource::TransactionalId, "behaviour-report-", Pattern::Prefixed, &transactions)?;
        cluster.hdfs_make_folder(&format!("/user/{USER}"), USER)?;
        ensure!(cluster.realm() == "STYGIAN.TEST", "the pipelines are of another realm than {}", cluster.realm());
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
        for (pipeline, _) in PIPELINES {
            let text = std::fs::read_to_string(pipelines.join(pipeline)).context(pipeline)?;
            std::fs::write(folder.join(pipeline), edit(pipeline, text)?)?;
        }
        std::fs::copy(cluster.keytab(USER), folder.join("pipeline.keytab"))?;
        std::fs::copy(cluster.krb5_conf(), folder.join("krb5.conf"))?;
        std::os::unix::fs::symlink(cluster.hadoop_conf(), folder.join("hadoop"))?;
        Ok(Self { cluster, folder: folder.to_owned() })
    }

    /// The folder of the report in HDFS.
    pub fn report() -> String {
        format!("/user/{USER}/report/users")
    }

    /// The command that runs a pipeline, and its words after the program's name.
    ///
    /// # Errors
    /// When there is no such pipeline, or the program is not built.
    pub fn command(&self, pipeline: &str, more: &[&str]) -> Result<(Command, String)> {
        let servers = self.cluster.address(Listener::SaslPlaintext)?;
        let (_, nodes) = PIPELINES.iter().find(|(name, _)| *name == pipeline).with_context(|| format!("there is no {pipeline}"))?;
        let sets: Vec<String> = nodes.iter().map(|node| format!("{node}.bootstrap_servers=\"{servers}\"")).collect();
        let plugins = components().to_str().context("a path that is no text")?;
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let args: Vec<&str> = ["run", pipeline, "--plugins", plugins].into_iter().chain(sets).chain(more.iter().copied()).collect();
        Ok((Program::find()?.command(&self.folder, &args), args.join(" ")))
    }

    /// What the program says of the report's job.
    ///
    /// # Errors
    /// When it does not run.
    pub fn status(&self) -> Result<serde_json::Value> {
        let asked = Program::find()?.run(&self.folder, &["status", "behaviour-report", "--output", "json"])?;
        serde_json::from_str(&asked.out).with_context(|| format!("`stygian status` said: {}{}", asked.out, asked.err))
    }
}
