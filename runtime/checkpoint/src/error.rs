//! What can go wrong with stored checkpoints. Nothing here is ever taken for "there is no checkpoint".

use std::path::PathBuf;
use stygian_core::CheckpointId;

/// What a person can do about a checkpoint that is lost or damaged.
pub const CHOICES: &str = "put the file back from a copy; or start with `--recover-latest` (the newest checkpoint that is whole; output \
     written after it is not withdrawn), `--from-savepoint DIR`, or `--fresh` (from nothing)";

/// A failure of checkpoint storage.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The storage did not do what it was asked to.
    #[error("could not {doing} {what}")]
    Storage {
        /// The verb: `read`, `write`, `list`, ...
        doing: &'static str,
        /// The file or folder.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Others could read or replace what is in the folder.
    #[error("the checkpoint folder {} is not safe: {reason}", path.display())]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// Another process writes checkpoints into the folder.
    #[error(
        "the checkpoint folder {} is in use by {holder}; one job has one running process: stop that one, or give this job a folder \
         of its own",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// `process 1234`, as that process has written it.
        holder: String,
    },
    /// A file that was committed is not what was written, or is gone.
    #[error("{file} is damaged: {damage}; {CHOICES}")]
    Damaged {
        /// The file's full name.
        file: String,
        /// What is wrong.
        damage: Damage,
    },
    /// A file of a format that this version does not read.
    #[error(
        "{file} has format version {found}, this program reads version {known}; run the version of stygian that wrote it, or a newer one"
    )]
    Version {
        /// The file's full name.
        file: String,
        /// The version it says.
        found: u32,
        /// The version that is read here.
        known: u32,
    },
    /// No such checkpoint.
    #[error("there is no checkpoint {id} in {storage}")]
    NoSuchCheckpoint {
        /// The id.
        id: CheckpointId,
        /// The folder.
        storage: String,
    },
    /// A folder that is no savepoint, or cannot become one.
    #[error("{storage} is no savepoint: {reason}")]
    NoSavepoint {
        /// The folder.
        storage: String,
        /// Why.
        reason: String,
    },
    /// Something that cannot be written because it could not be read again.
    #[error("checkpoint {id} cannot be written: {reason}")]
    Unwritable {
        /// The id.
        id: CheckpointId,
        /// Why.
        reason: String,
    },
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file is gone.
    #[error("it is gone")]
    Gone,
    /// It ends too early.
    #[error("it is cut: it has {found} bytes instead of {expected}")]
    Cut {
        /// Bytes there are.
        found: u64,
        /// Bytes there should be (at the least).
        expected: u64,
    },
    /// There is more than was written.
    #[error("it has {0} bytes behind its end")]
    Trailing(u64),
    /// It is larger than such a file can be.
    #[error("it says that it has {0} bytes, which is over the limit")]
    TooLarge(u64),
    /// It does not begin as such a file does.
    #[error("it does not begin as such a file does")]
    Magic,
    /// The checksum over the file is another.
    #[error("its checksum is wrong")]
    Checksum,
    /// The checksum over a part is another.
    #[error("the checksum of its {length} bytes from {offset} on is wrong")]
    Section {
        /// Where the part begins.
        offset: u64,
        /// How long it is.
        length: u64,
    },
    /// It is another file than the one that was committed under this name.
    #[error("it is not the file that the checkpoint was made with")]
    Other,
    /// The body cannot be read.
    #[error("its body cannot be read: {0}")]
    Body(String),
    /// The body contradicts itself.
    #[error("its body makes no sense: {0}")]
    Senseless(String),
}

impl CheckpointError {
    pub(crate) fn storage(
        doing: &'static str,
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Storage { doing, what: what.into(), source: source.into() }
    }

    pub(crate) fn damaged(file: impl Into<String>, damage: Damage) -> Self {
        Self::Damaged { file: file.into(), damage }
    }
}
