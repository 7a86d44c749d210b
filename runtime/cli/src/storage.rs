//! Folders of checkpoints and savepoints: on this machine, or in HDFS.

use anyhow::anyhow;
use std::path::{Path, PathBuf};
use stygian_api::HdfsContext;
use stygian_checkpoint::CheckpointStorage;
use stygian_hdfs::Hdfs;
use stygian_pipeline::Pipeline;

/// Whoever `klist` shows.
const CALLER: &str = "the caller";

/// How HDFS is reached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    pub(crate) hdfs: HdfsContext,
    /// Who this process is there.
    pub(crate) principal: Option<String>,
    /// It is not known whose ticket this process has.
    is_callers: bool,
}

impl Reach {
    /// As a pipeline says, which stands in `base`.
    pub(crate) fn of(pipeline: &Pipeline, base: &Path) -> Self {
        let stygian_pipeline::Hdfs { conf, call_timeout } = &pipeline.hdfs;
        let hdfs = HdfsContext { conf: conf.as_ref().map(|conf| base.join(conf)), call_timeout: call_timeout.map(|timeout| timeout.0) };
        Self { hdfs, principal: pipeline.kerberos.as_ref().map(|kerberos| kerberos.principal.clone()), is_callers: false }
    }

    /// The client of a folder's HDFS, and its path there.
    fn open(&self, folder: &str) -> anyhow::Result<(Hdfs, String)> {
        let open = |principal| Hdfs::of(folder, &self.hdfs, principal);
        let opened = open(self.principal.as_deref());
        // A command without a pipeline has the ticket of who calls it, where tickets are asked for.
        let opened = if self.is_callers { opened.or_else(|error| open(Some(CALLER)).map_err(|_| error)) } else { opened };
        Ok(opened?)
    }

    /// As the environment says (`HADOOP_CONF_DIR`), with the ticket of who has called this command.
    pub(crate) fn of_caller() -> Self {
        Self { is_callers: true, ..Self::default() }
    }

    /// What `stygian doctor` tries of a folder; nothing, of a local one.
    pub(crate) fn probes(&self, folder: &Path) -> anyhow::Result<Vec<stygian_api::Probe>> {
        let Some(folder) = in_hdfs(folder) else { return Ok(Vec::new()) };
        let (hdfs, path) = self.open(folder)?;
        Ok(hdfs.probes(&path))
    }
}

/// A folder in HDFS, as it is written.
pub(crate) fn in_hdfs(folder: &Path) -> Option<&str> {
    folder.to_str().filter(|folder| stygian_api::in_hdfs(folder) == Ok(true))
}

/// The absolute path of a folder; relative ones start at `base`.
pub(crate) fn absolute(folder: &Path, base: &Path) -> PathBuf {
    match in_hdfs(folder) {
        Some(_) => folder.to_owned(),
        // The folder is only used where nobody else can reach it, so by its real path.
        None => std::fs::canonicalize(base).unwrap_or_else(|_| base.to_owned()).join(folder),
    }
}

/// A folder to write into: a local one is made where it is missing, and locked. In HDFS only the checkpoints themselves keep two processes apart.
///
/// # Errors
/// When another process has it, it is not safe, or there is no such HDFS.
pub(crate) fn take(folder: &Path, reach: &Reach) -> anyhow::Result<CheckpointStorage> {
    check_scheme(folder)?;
    match in_hdfs(folder) {
        Some(folder) => remote(folder, reach),
        None => CheckpointStorage::local(folder).map_err(|error| anyhow!(error)),
    }
}

/// A folder to read from.
///
/// # Errors
/// When there is none, it is not safe, or there is no such HDFS.
pub(crate) fn read(folder: &Path, reach: &Reach) -> anyhow::Result<CheckpointStorage> {
    check_scheme(folder)?;
    match in_hdfs(folder) {
        Some(folder) => remote(folder, reach),
        None => CheckpointStorage::local_for_reading(folder).map_err(|error| anyhow!(error)),
    }
}

/// A folder that is meant to be elsewhere must not come to lie here.
///
/// # Errors
/// When it names another place than HDFS.
pub(crate) fn check_scheme(folder: &Path) -> anyhow::Result<()> {
    let Some(Err(reason)) = folder.to_str().map(stygian_api::in_hdfs) else { return Ok(()) };
    anyhow::bail!("{}: {reason}; write a local folder, or one that begins with hdfs://", folder.display());
}

fn remote(folder: &str, reach: &Reach) -> anyhow::Result<CheckpointStorage> {
    let (hdfs, path) = reach.open(folder)?;
    Ok(CheckpointStorage::new(hdfs.object_store(&path)?, hdfs.url(&path)))
}
