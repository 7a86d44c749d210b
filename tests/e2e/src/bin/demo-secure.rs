//! `demo-secure PIPELINES FOLDER`: the reference job between real clusters that Kerberos guards, all on this machine and gone at the end.
//!
//! Starts a KDC, a broker and HDFS, has a job write events into a topic and another one make a report of them, and shows what came of it.

use anyhow::{Result, bail, ensure};
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use stygian_cluster::{Cluster, Hdfs, Options};
use stygian_e2e::{Behaviour, ITEMS};

/// So many rows are shown.
const SHOWN: usize = 5;

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [pipelines, folder] = args.as_slice() else { bail!("demo-secure PIPELINES FOLDER") };
    let cluster = Cluster::start(&Options { hdfs: Hdfs::One, ..Options::default() })?;
    tell(&format!("a KDC, a broker and HDFS run in {}", cluster.folder().display()))?;
    let behaviour = Behaviour::prepare(cluster, pipelines, folder, &[], |_, text| Ok(text))?;
    run(&behaviour, "make-events.toml")?;
    run(&behaviour, "report.toml")?;
    show(&behaviour.cluster)
}

fn tell(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

fn run(behaviour: &Behaviour, pipeline: &str) -> Result<()> {
    let (mut command, words) = behaviour.command(pipeline, &[])?;
    tell(&format!("stygian {words}"))?;
    let status = command.stdout(Stdio::inherit()).stderr(Stdio::inherit()).status()?;
    ensure!(status.success(), "{pipeline} ended with {status}");
    Ok(())
}

/// The report, as programs read it that are not Stygian's.
fn show(cluster: &Cluster) -> Result<()> {
    tell("the averages by user, in HDFS:")?;
    let root = Behaviour::report();
    for day in cluster.hdfs_list(&root)? {
        for file in cluster.hdfs_list(&format!("{root}/{}", day.name))? {
            tell(&format!("  {}{root}/{}/{} ({} bytes)", cluster.hdfs_url().unwrap_or_default(), day.name, file.name, file.length))?;
        }
    }
    let items = cluster.kcat_read(ITEMS)?;
    tell(&format!("the averages by item, {} messages in the topic `{ITEMS}`, of which the first:", items.len()))?;
    items.iter().take(SHOWN).filter_map(|record| record.value.as_ref()).try_for_each(|value| tell(&format!("  {value}")))
}
