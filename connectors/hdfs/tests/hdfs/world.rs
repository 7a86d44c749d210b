//! The cluster that all cases share, and clients of it.

use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use stygian_api::ConnectorError;
use stygian_cluster::{Cluster, Options};
use stygian_core::Span;
use stygian_hdfs::{Hdfs, HdfsOptions};

/// In the environment of the process that runs the cases: the folder of its cluster.
pub(crate) const FOLDER: &str = "STYGIAN_HDFS_FOLDER";

/// Longer than anything that goes well takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) files: tempfile::TempDir,
}

#[allow(clippy::print_stderr)] // who runs the tests is to find it
/// Starts this program again with what makes it the user `pipeline`, whose files the cluster will write into a folder that is chosen now.
pub(crate) fn again_as_pipeline() -> Result<ExitCode> {
    let place = tempfile::tempdir()?;
    let folder = place.path().join("cluster");
    let mut again = Command::new(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1)).env(FOLDER, &folder);
    again.env("KRB5_CONFIG", folder.join("conf/client-krb5.conf")).env("KRB5CCNAME", "MEMORY:stygian");
    again.env("KRB5_CLIENT_KTNAME", format!("FILE:{}", folder.join("keytabs/pipeline.keytab").display()));
    again.env("HADOOP_CONF_DIR", folder.join("conf/hadoop"));
    let status = again.status()?;
    if !status.success() {
        eprintln!("what there is of the cluster is kept in {}", place.keep().display());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

impl World {
    pub(crate) fn start() -> Result<Self> {
        let folder = std::env::var_os(FOLDER).map(PathBuf::from);
        let cluster = Cluster::start(&Options { kafka: false, hdfs: stygian_cluster::Hdfs::Ha, folder, ..Options::default() })?;
        for (variable, value) in cluster.env("pipeline") {
            ensure!(std::env::var_os(variable).as_ref() == Some(&value), "{variable} is not {}", value.display());
        }
        cluster.hdfs_make_folder("/user/pipeline", "pipeline")?;
        Ok(Self { cluster, files: tempfile::tempdir()? })
    }

    /// Who this process is.
    pub(crate) fn principal(&self) -> String {
        format!("pipeline@{}", self.cluster.realm())
    }

    /// A client that works.
    #[allow(clippy::expect_used)] // a case fails by it
    pub(crate) fn hdfs(&self) -> Hdfs {
        self.hdfs_within(LIMIT).expect("a client")
    }

    /// The same, with another time limit.
    pub(crate) fn hdfs_within(&self, limit: Duration) -> Result<Hdfs, ConnectorError> {
        self.open(&HdfsOptions { call_timeout: Span(limit), ..HdfsOptions::default() })
    }

    /// A client by options.
    pub(crate) fn open(&self, options: &HdfsOptions) -> Result<Hdfs, ConnectorError> {
        Hdfs::open(options, None, Some(&self.principal()))
    }

    /// A folder of `pipeline` for a case.
    pub(crate) fn folder(&self, name: &str) -> Result<String> {
        let folder = format!("/user/pipeline/{name}");
        self.cluster.hdfs_make_folder(&folder, "pipeline")?;
        Ok(folder)
    }

    /// A copy of the clients' configuration with a text replaced that it must have.
    pub(crate) fn conf(&self, name: &str, file: &str, from: &str, to: &str) -> Result<PathBuf> {
        let folder = self.files.path().join(name);
        std::fs::create_dir_all(&folder)?;
        for name in ["core-site.xml", "hdfs-site.xml"] {
            let mut text = std::fs::read_to_string(self.cluster.hadoop_conf().join(name))?;
            if name == file {
                ensure!(text.contains(from), "there is no {from:?} in {name}:\n{text}");
                text = text.replace(from, to);
            }
            std::fs::write(folder.join(name), text)?;
        }
        Ok(folder)
    }

    /// The addresses of the NameNodes.
    pub(crate) fn name_nodes(&self) -> Result<[String; 2]> {
        let text = std::fs::read_to_string(self.cluster.hadoop_conf().join("hdfs-site.xml"))?;
        let address = |n: u8| {
            let (_, rest) = text.split_once(&format!("<name>dfs.namenode.rpc-address.ns.nn{n}</name><value>"))?;
            Some(rest.split_once('<')?.0.to_owned())
        };
        Ok([address(1).context("an address")?, address(2).context("an address")?])
    }

    /// A text with what is different in each run by name.
    pub(crate) fn named(&self, text: &str) -> String {
        let mut text = text.replace(&self.files.path().display().to_string(), "FILES");
        text = text.replace(&self.cluster.folder().display().to_string(), "CLUSTER");
        for (n, address) in (1..).zip(self.name_nodes().into_iter().flatten()) {
            text = text.replace(&address, &format!("NN{n}:PORT"));
        }
        let kdc = std::fs::read_to_string(self.cluster.krb5_conf()).unwrap_or_default();
        let kdc = kdc.lines().find_map(|line| line.trim().strip_prefix("kdc = ")).unwrap_or("no KDC").to_owned();
        without_digits_behind(&text.replace(&kdc, "KDC:PORT"), ".stygian-doctor-")
    }
}

/// A text with the numbers behind a word left out.
fn without_digits_behind(text: &str, word: &str) -> String {
    let mut parts = text.split(word);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| format!("{whole}{word}N{}", part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-')))
}

#[allow(clippy::expect_used)] // a case fails by it
/// Runs a case on a runtime that has a clock and nothing else.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
}
