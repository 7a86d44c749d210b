//! `demo-secure PIPELINES FOLDER`: the reference job between real clusters that Kerberos guards, all on this machine and gone at the end.
//!
//! Starts a KDC, a broker and HDFS, has a job write events into a topic and another one make a report of them, and shows what came of it.

use anyhow::{Context, Result, bail, ensure};
use std::io::Write;
use std::path::{Path, PathBuf};
use stygian_cluster::{Cluster, Hdfs, Listener, Operation, Options, Pattern, Resource};
use stygian_e2e::{Program, components};

/// Who the jobs are.
const USER: &str = "pipeline";
/// With their partitions.
const TOPICS: [(&str, u16); 3] = [("events", 4), ("item-report", 2), ("refused", 1)];
/// So many rows are shown.
const SHOWN: usize = 5;

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [pipelines, folder] = args.as_slice() else { bail!("demo-secure PIPELINES FOLDER") };
    let cluster = Cluster::start(&Options { hdfs: Hdfs::One, ..Options::default() })?;
    tell(&format!("a KDC, a broker and HDFS run in {}", cluster.folder().display()))?;
    prepare(&cluster, pipelines, folder)?;
    run(&cluster, folder, "make-events.toml", &["sink.events"])?;
    run(&cluster, folder, "report.toml", &["source.events", "sink.item_report", "sink.refused"])?;
    show(&cluster)
}

fn tell(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Topics, rights, and beside the pipelines what they name.
fn prepare(cluster: &Cluster, pipelines: &Path, folder: &Path) -> Result<()> {
    let all = [Operation::Read, Operation::Write, Operation::Describe];
    for (topic, partitions) in TOPICS {
        cluster.create_topic(topic, partitions, &[])?;
        cluster.grant(USER, Resource::Topic, topic, Pattern::Literal, &all)?;
    }
    cluster.grant(USER, Resource::Group, "stygian-", Pattern::Prefixed, &[Operation::Read])?;
    cluster.grant(USER, Resource::TransactionalId, "behaviour-report-", Pattern::Prefixed, &[Operation::Write, Operation::Describe])?;
    cluster.hdfs_make_folder(&format!("/user/{USER}"), USER)?;
    ensure!(cluster.realm() == "STYGIAN.TEST", "the pipelines are of another realm than {}", cluster.realm());
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    for pipeline in ["make-events.toml", "report.toml"] {
        std::fs::copy(pipelines.join(pipeline), folder.join(pipeline)).context(pipeline)?;
    }
    std::fs::copy(cluster.keytab(USER), folder.join("pipeline.keytab"))?;
    std::fs::copy(cluster.krb5_conf(), folder.join("krb5.conf"))?;
    Ok(std::os::unix::fs::symlink(cluster.hadoop_conf(), folder.join("hadoop"))?)
}

/// Runs a pipeline whose nodes are told where the broker is.
fn run(cluster: &Cluster, folder: &Path, pipeline: &str, nodes: &[&str]) -> Result<()> {
    let servers = cluster.address(Listener::SaslPlaintext)?;
    let sets: Vec<String> = nodes.iter().map(|node| format!("{node}.bootstrap_servers=\"{servers}\"")).collect();
    let plugins = components().to_str().context("a path that is no text")?;
    let args: Vec<&str> = ["run", pipeline, "--plugins", plugins].into_iter().chain(sets.iter().flat_map(|set| ["--set", set])).collect();
    tell(&format!("stygian {}", args.join(" ")))?;
    let mut command = Program::find()?.command(folder, &args);
    let status = command.stdout(std::process::Stdio::inherit()).stderr(std::process::Stdio::inherit()).status()?;
    ensure!(status.success(), "{pipeline} ended with {status}");
    Ok(())
}

/// The report, as programs read it that are not Stygian's.
fn show(cluster: &Cluster) -> Result<()> {
    tell("the averages by user, in HDFS:")?;
    let root = format!("/user/{USER}/report/users");
    for day in cluster.hdfs_list(&root)? {
        for file in cluster.hdfs_list(&format!("{root}/{}", day.name))? {
            tell(&format!("  {}{root}/{}/{} ({} bytes)", cluster.hdfs_url().unwrap_or_default(), day.name, file.name, file.length))?;
        }
    }
    let items = cluster.kcat_read(TOPICS[1].0)?;
    tell(&format!("the averages by item, {} messages in the topic `{}`, of which the first:", items.len(), TOPICS[1].0))?;
    items.iter().take(SHOWN).filter_map(|record| record.value.as_ref()).try_for_each(|value| tell(&format!("  {value}")))
}
