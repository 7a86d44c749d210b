//! What can go wrong with HDFS, each situation by its name; [`Fault::hint`] says what to do about it.
//!
//! A fault is why something failed; what was tried, on what and as whom comes in front of it when it becomes a [`ConnectorError`].

use std::path::PathBuf;
use std::time::Duration;
use stygian_api::ConnectorError;
use stygian_kerberos::KerberosError;

/// Why something with HDFS does not go well.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A text names no place in HDFS.
    #[error("`{text}` is no place in HDFS: {reason}")]
    BadPlace {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The folder with Hadoop's configuration is not there.
    #[error("there is no folder {} with Hadoop's configuration", folder.display())]
    ConfMissing {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder is there and is not one of Hadoop's configuration.
    #[error("there is no core-site.xml in {}", folder.display())]
    ConfWithoutCore {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of the configuration cannot be read, or is no XML.
    #[error("{} cannot be read: {reason}", file.display())]
    ConfUnreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nothing says where HDFS is.
    #[error("nothing says where HDFS is: fs.defaultFS in {conf} is {}", found.as_deref().map_or("missing".into(), |found| format!("`{found}`")))]
    NoName {
        /// The configuration.
        conf: String,
        /// What `fs.defaultFS` is, which is no name of HDFS.
        found: Option<String>,
    },
    /// A name service is not in the configuration.
    #[error("{conf} knows no NameNodes of the name service `{name}`{}", known(known_names))]
    UnknownName {
        /// The name.
        name: String,
        /// The configuration.
        conf: String,
        /// The name services that it knows.
        known_names: Vec<String>,
    },
    /// The pipeline has a principal, and the configuration does not want one.
    #[error("the pipeline has [kerberos] (`{principal}`), but hadoop.security.authentication in {conf} is `{found}`")]
    NotKerberos {
        /// The configuration.
        conf: String,
        /// What it says.
        found: String,
        /// The pipeline's principal.
        principal: String,
    },
    /// The configuration wants a principal, and the pipeline has none.
    #[error("hadoop.security.authentication in {conf} is `kerberos`, but the pipeline has no [kerberos]")]
    NoKerberos {
        /// The configuration.
        conf: String,
    },
    /// Nothing is there.
    #[error("there is no such file or folder{}", told(text))]
    Missing {
        /// HDFS's words, where there are any.
        text: String,
    },
    /// The folder that it would be in is not there.
    #[error("there is no folder `{folder}`")]
    NoFolder {
        /// The folder.
        folder: String,
    },
    /// A file is where a folder should be.
    #[error("a file is where a folder should be{}", told(text))]
    NoFolderButFile {
        /// HDFS's words, where there are any.
        text: String,
    },
    /// It is a folder, and a file is wanted.
    #[error("it is a folder")]
    Folder,
    /// A folder has something in it, and is not to be removed with it.
    #[error("the folder is not empty")]
    NotEmpty,
    /// Something is there already.
    #[error("`{path}` is there already")]
    Exists {
        /// What.
        path: String,
    },
    /// The principal may not do that.
    #[error("HDFS does not allow it{}: {text}", access.as_ref().map(|access| format!(" (`{}` needs {} on `{}`)", access.user, access.what, access.on)).unwrap_or_default())]
    NotAllowed {
        /// Who needs which right on what, where HDFS tells it.
        access: Option<Access>,
        /// HDFS's words.
        text: String,
    },
    /// The NameNode takes no changes.
    #[error("the NameNode is in safe mode: {text}")]
    SafeMode {
        /// HDFS's words.
        text: String,
    },
    /// A folder may have no more files in it.
    #[error("the quota of names is used up: {text}")]
    NameQuota {
        /// The folder with the quota.
        folder: String,
        /// HDFS's words.
        text: String,
    },
    /// A folder may have no more bytes in it.
    #[error("the quota of space is used up: {text}")]
    SpaceQuota {
        /// The folder with the quota.
        folder: String,
        /// HDFS's words.
        text: String,
    },
    /// No DataNode takes a block.
    #[error("no DataNode takes the data: {text}")]
    NoSpace {
        /// HDFS's words.
        text: String,
    },
    /// No NameNode can be reached.
    #[error("no NameNode can be reached: {}", asked.join("; "))]
    Away {
        /// Each address with what came of asking it.
        asked: Vec<String>,
    },
    /// There are NameNodes, and none is active.
    #[error("no NameNode is active: {}", asked.join("; "))]
    NoActive {
        /// Each address with what came of asking it.
        asked: Vec<String>,
    },
    /// There was no answer, though a NameNode is active.
    #[error("there was no end to it within {}{}", stygian_core::Span(*limit), asked_now(asked))]
    Late {
        /// The limit.
        limit: Duration,
        /// Each address with what came of asking it afterwards.
        asked: Vec<String>,
    },
    /// The connection went in the middle of a call.
    #[error("the connection was lost: {text}")]
    Lost {
        /// The library's words.
        text: String,
    },
    /// The connection went in the middle of a call, and what is there does not tell what came of it.
    #[error("it is not known whether it was done ({text}), and what is there does not tell: {found}")]
    Unknown {
        /// Why not: what went wrong.
        text: String,
        /// What was found.
        found: String,
    },
    /// A file was not taken to its end.
    #[error("its end is not known to be safe: {text}; {found}")]
    NotFinished {
        /// What went wrong.
        text: String,
        /// What was found.
        found: String,
    },
    /// Kerberos.
    #[error("{0}")]
    Kerberos(KerberosError),
    /// The NameNode does not take who we say we are.
    #[error("the NameNode refuses the login: {text}")]
    LoginRefused {
        /// The library's or HDFS's words.
        text: String,
    },
    /// Both sides have no way in common to guard a connection.
    #[error("this client and HDFS have no protection of connections in common: {text}")]
    Protection {
        /// The library's words.
        text: String,
    },
    /// Data could not be moved, and the configuration has no login at DataNodes.
    #[error(
        "data cannot be moved: {text}; dfs.data.transfer.protection is missing in {conf}, without which only DataNodes with ports below 1024 listen"
    )]
    NoDataLogin {
        /// The configuration.
        conf: String,
        /// The library's words.
        text: String,
    },
    /// Data could not be moved.
    #[error("data cannot be moved: {text}")]
    Data {
        /// The library's words.
        text: String,
    },
    /// The library panicked; a mistake in it, or an answer that it does not understand.
    #[error("the HDFS library panicked: {text}")]
    Panicked {
        /// With what.
        text: String,
    },
    /// A file that had an error before is written on.
    #[error("the file was given up after an error")]
    GivenUp,
    /// Anything else, in HDFS's words.
    #[error("{text}")]
    Other {
        /// The words.
        text: String,
    },
}

/// A right that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who, as HDFS knows them.
    pub user: String,
    /// Hadoop's word: `WRITE`, `READ_EXECUTE`.
    pub what: String,
    /// The path that it is missing on.
    pub on: String,
}

impl Fault {
    /// Whether it may pass by itself, or by what others do: what is away comes back, what is full is emptied, who changes goes on.
    pub fn may_pass(&self) -> bool {
        use KerberosError as K;
        match self {
            Self::SafeMode { .. }
            | Self::NameQuota { .. }
            | Self::SpaceQuota { .. }
            | Self::NoSpace { .. }
            | Self::Away { .. }
            | Self::NoActive { .. }
            | Self::Late { .. }
            | Self::Lost { .. }
            | Self::Unknown { .. }
            | Self::NotFinished { .. }
            | Self::NoDataLogin { .. }
            | Self::Data { .. } => true,
            Self::Kerberos(error) => matches!(error, K::KdcAway { .. } | K::TicketExpired { .. } | K::ClockSkew { .. }),
            _ => false,
        }
    }

    /// The error of what was tried: `doing` is the verb, `what` the path with all that says where and as whom.
    pub fn of(self, doing: &'static str, what: impl Into<String>) -> ConnectorError {
        let (what, hint) = (what.into(), self.hint());
        if self.may_pass() {
            ConnectorError::io(doing, what, Passing { hint, fault: self })
        } else {
            ConnectorError::refused(format!("could not {doing} {what}"), self.to_string(), hint)
        }
    }
}

/// A fault that may pass, with what to do if it does not.
#[derive(Debug, thiserror::Error)]
#[error("{fault}; {hint}")]
struct Passing {
    hint: String,
    fault: Fault,
}

fn known(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(", only of {}", names.join(", ")) }
}

fn told(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

fn asked_now(asked: &[String]) -> String {
    if asked.is_empty() { String::new() } else { format!(" (asked afterwards: {})", asked.join("; ")) }
}
