//! What a cluster is made of.

use std::path::PathBuf;
use std::time::Duration;

/// What [`Cluster::start`](crate::Cluster::start) makes. The default is a KDC and a broker, with nothing short-lived.
#[derive(Clone, Debug)]
pub struct Options {
    /// A Kafka broker.
    pub kafka: bool,
    /// HDFS.
    pub hdfs: Hdfs,
    /// A schema registry, which keeps schemas in memory.
    pub registry: bool,
    /// How long tickets live that clients ask for with [`Cluster::krb5_conf`](crate::Cluster::krb5_conf). Servers' own live ten hours.
    pub ticket_life: Duration,
    /// How long a connection may go on before it has to authenticate again (`connections.max.reauth.ms`). `None`: for ever, whatever
    /// becomes of the ticket.
    pub reauthentication: Option<Duration>,
    /// How data between HDFS clients and the DataNode is guarded.
    pub transfer: Protection,
    /// A listener without any authentication, too.
    pub plaintext: bool,
    /// The folder to work in, which must be new, empty or that of a cluster that has ended. `None`: a temporary one, removed at the end.
    pub folder: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kafka: true,
            hdfs: Hdfs::None,
            registry: false,
            ticket_life: Duration::from_secs(10 * 3600),
            reauthentication: None,
            transfer: Protection::Authentication,
            plaintext: false,
            folder: None,
        }
    }
}

/// How much HDFS there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hdfs {
    /// None.
    #[default]
    None,
    /// A NameNode and a DataNode.
    One,
    /// Two NameNodes, of which the first is active at the start, and a DataNode. Edits are shared in a folder.
    Ha,
}

/// How much of what goes over a connection is guarded, in Hadoop's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// Who speaks is known.
    #[default]
    Authentication,
    /// Besides, nothing can be changed on the way.
    Integrity,
    /// Besides, nothing can be read on the way. Slow: some 8 MB/s.
    Privacy,
}

impl Protection {
    /// Hadoop's word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Integrity => "integrity",
            Self::Privacy => "privacy",
        }
    }
}
