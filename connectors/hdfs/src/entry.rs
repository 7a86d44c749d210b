//! What is in HDFS, as it is told to others.

use std::time::{Duration, SystemTime};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// Bytes; of a file that is being written, those that are safe so far.
    pub len: u64,
    /// When it was last written; of a folder, when something in it came or went.
    pub modified: SystemTime,
    /// A file, and no folder.
    pub is_file: bool,
    /// Whose it is, as HDFS knows them. (HDFS's id of a file is not told by hdfs-native.)
    pub owner: String,
}

/// Something in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the folder.
    pub name: String,
    /// What it is.
    pub status: FileStatus,
}

pub(crate) fn file_status(status: &hdfs_native::client::FileStatus) -> FileStatus {
    FileStatus {
        len: u64::try_from(status.length).unwrap_or(u64::MAX),
        modified: SystemTime::UNIX_EPOCH + Duration::from_millis(status.modification_time),
        is_file: !status.isdir,
        owner: status.owner.clone(),
    }
}

pub(crate) fn entry(status: &hdfs_native::client::FileStatus) -> Entry {
    Entry { name: status.path.rsplit('/').next().unwrap_or_default().to_owned(), status: file_status(status) }
}
