//! What a pipeline file can say about HDFS.

use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use stygian_api::HdfsContext;
use stygian_core::Span;

/// How HDFS is reached; flattened into the options of what uses it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct HdfsOptions {
    /// The folder with Hadoop's core-site.xml and hdfs-site.xml. Default: `HADOOP_CONF_DIR` of the environment.
    pub hadoop_conf: Option<PathBuf>,
    /// The name service or the NameNode, such as "hdfs://ns" or "hdfs://host:8020". Default: that of the path, else `fs.defaultFS`.
    pub name_node: Option<String>,
    /// How long a call to HDFS may take, with all tries: a question, the writing of one piece, the closing of a file. Longer than a failover
    /// takes. Default: "60s".
    #[serde(default = "call_timeout")]
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

#[cfg(test)]
mod tests {
    use super::*;
    use stygian_api::Options;

    /// As `files` will have them.
    #[derive(Debug, Deserialize, JsonSchema)]
    struct Around {
        path: String,
        #[serde(flatten)]
        hdfs: HdfsOptions,
    }

    #[test]
    fn are_read_within_the_options_of_others() {
        let read = |text: &str| Options::of_text(text).read::<Around>();
        let around = read("path = \"hdfs://ns/x\"\nname_node = \"hdfs://ns\"\ncall_timeout = \"5s\"\n").expect("options");
        assert_eq!(around.path, "hdfs://ns/x");
        assert_eq!(around.hdfs, HdfsOptions { hadoop_conf: None, name_node: Some("hdfs://ns".into()), call_timeout: Span::secs(5) });
        assert_eq!(read("path = \"/x\"\n").expect("options").hdfs, HdfsOptions::default());
        assert!(read("path = \"/x\"\nname_nod = \"x\"\n").is_err());
    }
}
