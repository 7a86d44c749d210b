//! Which situation an error of hdfs-native tells of: by its kind, by the class of the Java exception behind it, by words.

use crate::conf::Conf;
use crate::fault::{Access, Fault};
use hdfs_native::HdfsError;
use std::io::ErrorKind;
use stygian_kerberos::KerberosError;

/// So much of HDFS's words is told.
const MAX_TEXT: usize = 400;

/// What an error says of the call that ended with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing was done, and it may go well now or soon: the NameNode is standby, is starting, or was not reached.
    NotDone,
    /// The connection went: it may have been done.
    Open,
    /// That was the answer.
    Answer,
}

/// Exceptions that say: not here, or not now.
const NOT_DONE: [&str; 3] = ["StandbyException", "RetriableException", "ObserverRetryOnActiveException"];

pub(crate) fn meaning(error: &HdfsError) -> Meaning {
    match error {
        HdfsError::RPCError(class, _) | HdfsError::FatalRPCError(class, _) if NOT_DONE.contains(&simple(class)) => Meaning::NotDone,
        HdfsError::IOError(error) if error.kind() == ErrorKind::ConnectionRefused => Meaning::NotDone,
        HdfsError::IOError(_) => Meaning::Open,
        _ => Meaning::Answer,
    }
}

/// Whether it says that nothing is there.
pub(crate) fn is_missing(error: &HdfsError) -> bool {
    match error {
        HdfsError::FileNotFound(_) => true,
        HdfsError::RPCError(class, _) => simple(class) == "FileNotFoundException",
        _ => false,
    }
}

/// The same of a call that moves data: what is lost there is a DataNode, unless the library says that it was the NameNode.
pub(crate) fn fault_of_data(error: &HdfsError, path: &str, conf: &Conf) -> Fault {
    match error {
        HdfsError::IOError(error) if error.kind() != ErrorKind::ConnectionAborted => data(&error.to_string(), conf),
        error => fault(error, path, conf),
    }
}

/// Each DataNode's own reason is only in the library's log.
fn data(text: &str, conf: &Conf) -> Fault {
    let text = words(text);
    if conf.is_kerberos() && !conf.guards_data() { Fault::NoDataLogin { conf: conf.shown(), text } } else { Fault::Data { text } }
}

/// The situation that an error tells of, of a call on a path.
pub(crate) fn fault(error: &HdfsError, path: &str, conf: &Conf) -> Fault {
    match error {
        HdfsError::AlreadyExists(_) => Fault::Exists { path: path.to_owned() },
        HdfsError::FileNotFound(_) => Fault::Missing { text: String::new() },
        HdfsError::IsADirectoryError(_) => Fault::Folder,
        HdfsError::RPCError(class, text) | HdfsError::FatalRPCError(class, text) => of_exception(simple(class), text, path),
        HdfsError::GSSAPIError(_, _, text) => {
            KerberosError::from_text(text).map_or_else(|| Fault::LoginRefused { text: words(text) }, Fault::Kerberos)
        }
        HdfsError::SASLError(text) if ["security layer", "QOP", "cipher"].iter().any(|word| text.contains(word)) => {
            Fault::Protection { text: words(text) }
        }
        HdfsError::SASLError(text) => Fault::LoginRefused { text: words(text) },
        HdfsError::NoSASLMechanism => Fault::LoginRefused { text: words(&error.to_string()) },
        HdfsError::DataTransferError(text) => data(text, conf),
        HdfsError::ChecksumError | HdfsError::BlocksNotFound(_) => Fault::Data { text: words(&error.to_string()) },
        HdfsError::IOError(error) => Fault::Lost { text: words(&error.to_string()) },
        other => Fault::Other { text: words(&other.to_string()) },
    }
}

fn of_exception(class: &str, text: &str, path: &str) -> Fault {
    let told = || words(text);
    match class {
        "AccessControlException" if text.contains("authentication is not enabled") => Fault::LoginRefused { text: told() },
        // To go through a file is not allowed, in HDFS's words.
        "AccessControlException" if text.contains("is not a directory") => Fault::NoFolderButFile { text: told() },
        "AccessControlException" => Fault::NotAllowed { access: access(text), text: told() },
        "AuthorizationException" | "SaslException" | "GSSException" => {
            KerberosError::from_text(text).map_or_else(|| Fault::LoginRefused { text: told() }, Fault::Kerberos)
        }
        "SafeModeException" => Fault::SafeMode { text: told() },
        "RetriableException" if text.contains("safe mode") => Fault::SafeMode { text: told() },
        "NSQuotaExceededException" => Fault::NameQuota { folder: folder_of_quota(text, path), text: told() },
        "DSQuotaExceededException" | "QuotaByStorageTypeExceededException" => {
            Fault::SpaceQuota { folder: folder_of_quota(text, path), text: told() }
        }
        "FileNotFoundException" if text.contains("arent directory doesn't exist") || text.contains("destination parent") => {
            Fault::NoFolder { folder: folder_in(text).unwrap_or_else(|| crate::location::parent(path).to_owned()) }
        }
        "FileNotFoundException" if text.contains("Path is not a file") => Fault::Folder,
        "FileNotFoundException" => Fault::Missing { text: told() },
        "ParentNotDirectoryException" => Fault::NoFolderButFile { text: told() },
        "PathIsNotEmptyDirectoryException" => Fault::NotEmpty,
        "FileAlreadyExistsException" | "AlreadyBeingCreatedException" => Fault::Exists { path: path.to_owned() },
        _ if text.contains("could only be written to") || text.contains("could only be replicated to") => Fault::NoSpace { text: told() },
        _ => Fault::Other { text: if class.is_empty() { told() } else { format!("{class}: {}", told()) } },
    }
}

/// The class without its package.
fn simple(class: &str) -> &str {
    class.rsplit(['.', '$']).next().unwrap_or(class)
}

/// The first line of HDFS's words, without what could act on a terminal. Others are a stack, and behind `: [` the library dumps what it has.
pub(crate) fn words(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line = line.split(": [").next().unwrap_or(line);
    stygian_core::escape(line.trim_end_matches('.'), MAX_TEXT)
}

/// `Permission denied: user=ann, access=WRITE, inode="/a":bob:staff:drwxr-xr-x`.
fn access(text: &str) -> Option<Access> {
    let part = |before: &str, end: &[char]| {
        let (_, rest) = text.split_once(before)?;
        Some(stygian_core::escape(rest.split(end).next()?, MAX_TEXT)).filter(|part| !part.is_empty())
    };
    Some(Access { user: part("user=", &[','])?, what: part("access=", &[','])?, on: part("inode=\"", &['"'])? })
}

/// `The NameSpace quota (directories and files) of directory /a is exceeded: ...`, `The DiskSpace quota of /a is exceeded: ...`.
fn folder_of_quota(text: &str, path: &str) -> String {
    let before = text.split(" is exceeded").next().unwrap_or_default();
    let folder = before.rsplit(" of ").next().unwrap_or_default();
    let folder = folder.strip_prefix("directory ").unwrap_or(folder).trim();
    if folder.starts_with('/') { stygian_core::escape(folder, MAX_TEXT) } else { crate::location::parent(path).to_owned() }
}

/// The path that a text names.
fn folder_in(text: &str) -> Option<String> {
    let word = text.split_whitespace().find(|word| word.starts_with('/'))?;
    Some(stygian_core::escape(word.trim_end_matches('.'), MAX_TEXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc(class: &str, text: &str) -> HdfsError {
        HdfsError::RPCError(class.into(), text.into())
    }

    #[test]
    fn tells_what_was_not_done_from_what_is_open() {
        let refused = HdfsError::IOError(ErrorKind::ConnectionRefused.into());
        for error in [rpc("org.apache.hadoop.ipc.StandbyException", ""), rpc("org.apache.hadoop.ipc.RetriableException", ""), refused] {
            assert_eq!(meaning(&error), Meaning::NotDone, "{error}");
        }
        assert_eq!(meaning(&HdfsError::IOError(ErrorKind::ConnectionAborted.into())), Meaning::Open);
        assert_eq!(meaning(&rpc("java.io.FileNotFoundException", "")), Meaning::Answer);
    }

    /// The library takes whatever protection it is offered, so no cluster of ours can have it fail this way.
    #[test]
    fn knows_connections_without_a_common_protection() {
        for text in ["No supported security layer found", "No valid QOP found for negotiation"] {
            let found = fault(&HdfsError::SASLError(text.into()), "/a", &Conf::default());
            assert!(matches!(found, Fault::Protection { .. }) && !found.may_pass(), "{found}");
        }
    }

    #[test]
    fn finds_names_in_words() {
        let found = access("Permission denied: user=ann, access=WRITE, inode=\"/a b\":bob:staff:drwxr-xr-x").expect("an access");
        assert_eq!((found.user.as_str(), found.what.as_str(), found.on.as_str()), ("ann", "WRITE", "/a b"));
        assert_eq!(access("Superuser privilege is required"), None);
        assert_eq!(folder_of_quota("The NameSpace quota (directories and files) of directory /q is exceeded: quota=1", "/x/y"), "/q");
        assert_eq!(folder_of_quota("quota", "/x/y"), "/x");
        assert_eq!(words("\n one\u{1b}[0m.\n\tat org.apache"), "one\\u{1b}[0m");
    }
}
