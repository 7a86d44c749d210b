//! What to do about each situation.

use crate::fault::{Access, Fault};

impl Fault {
    /// What to do about it: sentences for the person who runs the program, without a full stop at the end.
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownName { name, .. } => format!(
                "check the name; HDFS's administrators have an hdfs-site.xml with dfs.ha.namenodes.{name} and the addresses, or write \
                 hdfs://HOST:PORT of one NameNode"
            ),
            Self::NoFolder { folder } => format!("make it: hdfs dfs -mkdir -p {folder}"),
            Self::NotAllowed { access: Some(access), .. } => allow(access),
            Self::NameQuota { folder, .. } => format!(
                "remove files in {folder}, write fewer and larger ones, or have the quota raised: hdfs dfsadmin -setQuota NUMBER {folder}"
            ),
            Self::SpaceQuota { folder, .. } => {
                format!(
                    "remove files in {folder}, or have the quota raised (replicas and the whole last block count): hdfs dfsadmin -setSpaceQuota BYTES {folder}"
                )
            }
            Self::Kerberos(error) => error.hint(),
            other => other.fixed_hint().to_owned(),
        }
    }

    /// The hints that depend on nothing.
    fn fixed_hint(&self) -> &'static str {
        match self {
            Self::BadPlace { .. } => "write hdfs://NAME/path, where NAME is a name service or HOST:PORT of a NameNode",
            Self::ConfMissing { .. } | Self::ConfWithoutCore { .. } => {
                "set `conf` of [hdfs], or HADOOP_CONF_DIR in the environment, to the folder with core-site.xml and hdfs-site.xml"
            }
            Self::ConfUnreadable { .. } => "let the user that runs this read it; it is XML as Hadoop has it",
            Self::NoName { .. } => {
                "write the name into the path, such as \"hdfs://ns/data\", or set `conf` of [hdfs] to a folder whose core-site.xml has fs.defaultFS"
            }
            Self::NotKerberos { .. } => {
                "take the core-site.xml of the guarded cluster; if this HDFS has no guard, take [kerberos] out of the pipeline"
            }
            Self::NoKerberos { .. } => "add [kerberos] with `principal` and `keytab` to the pipeline file",
            Self::Missing { .. } => "check the path",
            Self::NoFolderButFile { .. } => "take another path, or move the file away",
            Self::Folder => "take a path of a file",
            Self::NotEmpty => "remove what is in it first",
            Self::Exists { .. } => "nothing is written over: take another name, or remove it if it is of no use",
            Self::NotAllowed { .. } => "let its owner, or an administrator, allow it: hdfs dfs -chown, -chmod or -setfacl",
            Self::SafeMode { .. } => {
                "after its start a NameNode leaves it by itself once DataNodes have told of their blocks; else an administrator ends it: hdfs \
                 dfsadmin -safemode leave"
            }
            Self::NoSpace { .. } => "free or add space on the DataNodes, or start those that are down: hdfs dfsadmin -report tells both",
            Self::Away { .. } => {
                "check that the NameNodes run, that a firewall lets their port through, and the addresses in hdfs-site.xml or the path"
            }
            Self::NoActive { .. } => {
                "a failover takes some seconds; if it does not end, see hdfs haadmin -getAllServiceState, and that the failover controllers run"
            }
            Self::Late { .. } => {
                "raise `call_timeout` if HDFS is slow; a NameNode that wants Kerberos of a client whose configuration does not say so is silent, too"
            }
            Self::Lost { .. } => "this passes when a NameNode is there again",
            Self::Unknown { .. } => "look at what is there before it is tried again; a file is best written again under a new name",
            Self::NotFinished { .. } => "write the file again under a new name",
            Self::LoginRefused { .. } => {
                "check hadoop.security.authentication in core-site.xml against the cluster's, and that the NameNode's rules (auth_to_local) know the \
                 principal"
            }
            Self::Protection { .. } => {
                "make hadoop.rpc.protection (NameNode) and dfs.data.transfer.protection (DataNodes) in the client's configuration the cluster's"
            }
            Self::NoDataLogin { .. } => {
                "take the hdfs-site.xml of the cluster, or set dfs.data.transfer.protection in it to what the DataNodes have: authentication, integrity \
                 or privacy"
            }
            Self::Data { .. } => "check that the DataNodes run and can be reached from here; write the file again under a new name",
            Self::Panicked { .. } => "please report it with these words; what was done is not known",
            Self::GivenUp => "write the file again under a new name",
            Self::Other { .. } => "the NameNode's log tells more",
            // Those above that put a name into theirs.
            Self::UnknownName { .. } | Self::NoFolder { .. } | Self::NameQuota { .. } | Self::SpaceQuota { .. } | Self::Kerberos(_) => "",
        }
    }
}

/// How a right is given.
fn allow(access: &Access) -> String {
    let Access { user, what, on } = access;
    let has = |word: &str, letter| if what.split('_').any(|part| part == word) { letter } else { '-' };
    let letters: String = [has("READ", 'r'), has("WRITE", 'w'), has("EXECUTE", 'x')].into_iter().collect();
    // Who writes into a folder has to enter it, and an entry for a user alone takes away what everyone may.
    let letters = if letters.contains('w') { "rwx".to_owned() } else { letters };
    format!("let its owner, or an administrator, allow it: hdfs dfs -setfacl -m user:{user}:{letters} {on} (or hdfs dfs -chown or -chmod)")
}
