//! `test-spark`: what Spark reads of a job's Parquet in secure HDFS, against what a case expects.
//!
//! Starts a KDC, a broker and HDFS, runs the reference job from a topic to HDFS, and has Spark read the files where they are, as the user that
//! the job runs as. Spark is fetched the first time.

use anyhow::Result;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use stygian_cluster::{Hdfs, Options};
use stygian_e2e::{Medium, Over, Program, Rig, USER, python};

fn main() -> Result<()> {
    let rig = Rig::start(&Options { hdfs: Hdfs::One, ..Options::default() })?;
    let over = Over { sources: Medium::Kafka, sinks: Medium::Kafka, parquet: Some(Medium::Hdfs), checkpoints: Medium::Hdfs };
    let case = rig.case_with("behaviour", over)?;
    case.check(3)?;
    let rows = case.compare_files(|url| by_spark(&rig, url))?;
    writeln!(std::io::stdout(), "Spark reads {rows} rows of Parquet from HDFS, and they are those that the oracle expects")?;
    Ok(())
}

fn by_spark(rig: &Rig, url: &str) -> Result<Vec<Value>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/python/read_by_spark.py");
    let (cluster, kept) = (&rig.cluster, Program::find()?.data().to_owned());
    let (url, principal) = (PathBuf::from(url), PathBuf::from(format!("{USER}@{}", cluster.realm())));
    let read = python(&script, [kept, url, principal, cluster.keytab(USER), cluster.krb5_conf(), cluster.hadoop_conf()])?;
    Ok(serde_json::Deserializer::from_slice(&read).into_iter().collect::<Result<_, _>>()?)
}
