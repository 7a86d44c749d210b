//! How HDFS is reached.

use std::path::PathBuf;
use stygian_api::HdfsContext;
use stygian_core::Span;

/// See the module's text; what a pipeline says of it is in its table [hdfs], and in paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HdfsOptions {
    /// The folder with Hadoop's core-site.xml and hdfs-site.xml. Default: `HADOOP_CONF_DIR` of the environment.
    pub hadoop_conf: Option<PathBuf>,
    /// The name service or the NameNode, such as "hdfs://ns" or "hdfs://host:8020". Default: that of the path, else `fs.defaultFS`.
    pub name_node: Option<String>,
    /// How long a call to HDFS may take, with all tries: a question, the writing of one piece, the closing of a file. Longer than a failover
    /// takes. Default: "60s".
    pub call_timeout: Span,
}

impl Default for HdfsOptions {
    fn default() -> Self {
        Self { hadoop_conf: None, name_node: None, call_timeout: call_timeout() }
    }
}

impl From<&HdfsContext> for HdfsOptions {
    fn from(context: &HdfsContext) -> Self {
        let call_timeout = context.call_timeout.map_or_else(call_timeout, Span);
        Self { hadoop_conf: context.conf.clone(), name_node: None, call_timeout }
    }
}

fn call_timeout() -> Span {
    Span::secs(60)
}
