//! What state can refuse.

use stygian_core::ByteSize;

/// A read or a write that cannot be done. The call it belongs to has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A value, list entry or map entry that is too large.
    #[error(
        "a value of {size} in slot `{slot}` is over the limit of {limit} (`state.value_bytes`); keep it in a map or a list, entry by entry, or raise the limit"
    )]
    ValueTooLarge {
        /// The slot.
        slot: String,
        /// Its size.
        size: ByteSize,
        /// The limit.
        limit: ByteSize,
    },
    /// A scan that goes on from where none has ended.
    #[error("slot `{slot}` was to be read on from place {from}, which no scan of this slot and key has named in this call")]
    NoSuchPlace {
        /// The slot.
        slot: String,
        /// The place.
        from: u64,
    },
    /// More bytes than the operator may keep.
    #[error(
        "the state of {keys} keys takes {size}, over the limit of {limit} a subtask (`state.bytes`), when slot `{slot}` was written; give the slot a time to live, key by something coarser, or raise the limit"
    )]
    TooManyBytes {
        /// The slot that was written last.
        slot: String,
        /// Keys that are kept.
        keys: u64,
        /// Bytes that they take.
        size: ByteSize,
        /// The limit.
        limit: ByteSize,
    },
    /// More keys than the operator may keep.
    #[error(
        "there is state of {keys} keys, over the limit of {limit} a subtask (`state.keys`), when slot `{slot}` was written; give the slot a time to live, key by something coarser, or raise the limit"
    )]
    TooManyKeys {
        /// The slot that was written last.
        slot: String,
        /// Keys that are kept.
        keys: u64,
        /// The limit.
        limit: u64,
    },
    /// More timers than the operator may have waiting.
    #[error("there are {timers} timers waiting, over the limit of {limit} a subtask (`state.timers`); set fewer a key, or raise the limit")]
    TooManyTimers {
        /// Timers that wait.
        timers: u64,
        /// The limit.
        limit: u64,
    },
    /// A key group whose values no longer fit 32-bit places.
    #[error("the values of one key group take more than 4 GiB; raise `max_parallelism`, so that there are more groups")]
    GroupTooLarge,
    /// Key columns of another type than was planned, or stored bytes that are no key.
    #[error("the key could not be read: {0}")]
    Key(String),
    /// Stored bytes that cannot be read back: a fault of the backend, or of the medium under it.
    #[error("the state of slot `{slot}` is damaged: {what}")]
    Damaged {
        /// The slot.
        slot: String,
        /// What is wrong.
        what: String,
    },
}

impl From<crate::KeyCodecError> for StateError {
    fn from(error: crate::KeyCodecError) -> Self {
        let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        Self::Key(format!("{error}{cause}"))
    }
}
