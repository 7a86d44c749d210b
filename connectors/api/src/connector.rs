//! A connector: what joins one kind of outside system to any pipeline.

use crate::{Options, OptionsDoc, Problems, Sink, Source};
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a connector is told about the pipeline it is used in.
#[derive(Clone, Debug)]
pub struct ConnectorContext {
    /// The pipeline's name: the job's, in what is named after it outside.
    pub job: String,
    /// The node's name, for messages.
    pub node: String,
    /// The folder that relative paths start at: the pipeline file's.
    pub base: PathBuf,
    /// The principal whose tickets this process has, for messages; `None`: it has none.
    pub principal: Option<String>,
    /// What the pipeline says of HDFS.
    pub hdfs: HdfsContext,
}

/// Whether a path is in HDFS, as those are that begin with `hdfs://`, or a local one.
///
/// # Errors
/// When it is of another scheme: it would quietly come to lie here.
pub fn in_hdfs(path: &str) -> Result<bool, String> {
    match path.split_once("://") {
        None => Ok(false),
        Some(("hdfs", _)) => Ok(true),
        Some((scheme, _)) => Err(format!("`{}` is a scheme that is not known", stygian_core::escape(scheme, 30))),
    }
}

/// How the pipeline reaches HDFS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HdfsContext {
    /// The folder with `core-site.xml` and `hdfs-site.xml`; `None`: the environment's `HADOOP_CONF_DIR`.
    pub conf: Option<PathBuf>,
    /// How long one call may take; `None`: the client's own default.
    pub call_timeout: Option<Duration>,
}

/// A kind of source, sink or both. Registered once, in the binary.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The name in `connector = "..."`.
    fn name(&self) -> &'static str;

    /// One sentence for `stygian connectors`.
    fn about(&self) -> &'static str;

    /// The options a source of this kind takes, `None` if it is no source.
    fn source_options(&self) -> Option<OptionsDoc>;

    /// The options a sink of this kind takes, `None` if it is no sink.
    fn sink_options(&self) -> Option<OptionsDoc>;

    /// Checks the options and learns the schema; may look at what it will read (the footer of a file), and touches nothing.
    ///
    /// # Errors
    /// Every problem found.
    async fn source(&self, options: &Options, context: &ConnectorContext) -> Result<Arc<dyn Source>, Problems>;

    /// Checks the options; `schema` is what will be written. Touches nothing.
    ///
    /// # Errors
    /// Every problem found.
    async fn sink(
        &self,
        options: &Options,
        context: &ConnectorContext,
        schema: &stygian_core::StreamSchema,
    ) -> Result<Arc<dyn Sink>, Problems>;
}
