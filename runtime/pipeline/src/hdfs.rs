//! `[hdfs]`: how paths such as "hdfs://cluster/data" are reached, of sources, sinks and checkpoints alike.

use crate::reader::Reading;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use stygian_core::Span;
use toml::Spanned;

/// How HDFS is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hdfs {
    /// The folder with `core-site.xml` and `hdfs-site.xml`; relative paths start at the pipeline file's folder. `None`: `HADOOP_CONF_DIR`.
    pub conf: Option<PathBuf>,
    /// How long one call may take.
    pub call_timeout: Option<Span>,
}

/// How paths such as "hdfs://cluster/data" are reached, in sources, sinks and checkpoints of files.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "hdfs")]
pub(crate) struct HdfsKeys {
    /// The folder with the cluster's `core-site.xml` and `hdfs-site.xml`; relative paths start at the pipeline file's folder. Default: the
    /// environment's `HADOOP_CONF_DIR`.
    #[schemars(with = "String")]
    conf: Option<Spanned<String>>,
    /// A call that takes longer has failed. Default: "60s".
    #[schemars(with = "Span")]
    call_timeout: Option<Spanned<Span>>,
}

impl HdfsKeys {
    pub(crate) fn check(self, reading: &mut Reading<'_>) -> Hdfs {
        if let Some(conf) = self.conf.as_ref().filter(|conf| conf.get_ref().is_empty()) {
            reading.problem(conf.span(), "`conf` is empty", Some("it is the path of a folder".into()));
        }
        if let Some(timeout) = self.call_timeout.as_ref().filter(|timeout| timeout.get_ref().0.is_zero()) {
            reading.problem(timeout.span(), "`call_timeout` is nothing, it must be longer", None);
        }
        Hdfs { conf: self.conf.map(|conf| PathBuf::from(conf.into_inner())), call_timeout: self.call_timeout.map(Spanned::into_inner) }
    }
}
