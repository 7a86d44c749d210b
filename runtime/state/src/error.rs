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
        "the state of {keys} keys, with the timers that wait, takes {size}, over the limit of {limit} a subtask (`state.bytes`), when slot `{slot}` was written; give the slot a time to live, key by something coarser, or raise the limit"
    )]
    TooManyBytes {
        /// The slot that was written last.
        slot: String,
        /// Keys that are kept.
        keys: u64,
        /// Bytes that they and the timers that wait take.
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
    /// Saved state of a slot or timer that the operator does not have.
    #[error(
        "there is saved state of {what} `{name}`, which the operator does not declare (it declares {declared}); declare it, or drop the operator's state (`--drop-state`)"
    )]
    NotDeclared {
        /// `slot` or `timer`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Those that are declared.
        declared: String,
    },
    /// A slot or timer that is something else now.
    #[error(
        "{what} `{name}` was saved as `{saved}` and is declared as `{declared}`; declare it as it was and give the new one another name, or drop the operator's state (`--drop-state`)"
    )]
    OtherKind {
        /// `slot` or `timer`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What it was: a kind of slot or a clock.
        saved: String,
        /// What it is.
        declared: String,
    },
    /// Times of one clock where those of another are wanted.
    #[error(
        "the values of slot `{slot}`, which expire, were dated by {saved} and would be judged by {declared}; keep the event time of the input as it was, or drop the operator's state (`--drop-state`)"
    )]
    OtherClock {
        /// The slot.
        slot: String,
        /// The clock that they were dated by.
        saved: String,
        /// The clock that state lives by now.
        declared: String,
    },
    /// State by another key.
    #[error(
        "the state was saved by a key of ({saved}), and the key is ({declared}) now; keep the key, or drop the operator's state (`--drop-state`)"
    )]
    OtherKey {
        /// The types of the key columns that it was saved by.
        saved: String,
        /// Their types now.
        declared: String,
    },
    /// State of a job with another number of key groups.
    #[error("the state was saved with {saved} key groups, and `max_parallelism` is {declared} now; it is fixed for the life of the state")]
    OtherGroups {
        /// How many there were.
        saved: u64,
        /// How many there are.
        declared: u16,
    },
    /// A section of a later version of this program.
    #[error(
        "saved {part} state is in format {format}, and this version reads {known}; restore it with the version that wrote it, or a later one"
    )]
    UnknownFormat {
        /// The part of the operator's state.
        part: &'static str,
        /// Its format.
        format: u8,
        /// The latest that is known.
        known: u8,
    },
    /// A section that is not of keyed state or timers.
    #[error("keyed operators have no part `{part}` of state")]
    UnknownPart {
        /// The part.
        part: &'static str,
    },
    /// A section whose bytes are not what was written.
    #[error("the saved {part} state of key group {group} is damaged at byte {at}: {what}")]
    DamagedSection {
        /// The part of the operator's state.
        part: &'static str,
        /// The key group.
        group: u16,
        /// Where in the section.
        at: usize,
        /// What is wrong.
        what: String,
    },
    /// Stored bytes that cannot be read back: a fault of the backend, or of the medium under it.
    #[error("the state of slot `{slot}` is damaged: {what}")]
    Damaged {
        /// The slot.
        slot: String,
        /// What is wrong.
        what: String,
    },
    /// A key that the disk cannot hold.
    #[error(
        "a key with its map key takes {bytes} bytes in slot `{slot}`, and state on disk holds at most {limit}; make it shorter (a hash of it, say), or keep the state in memory"
    )]
    KeyTooLong {
        /// The slot.
        slot: String,
        /// Bytes of the key, its map key and what is stored beside them.
        bytes: usize,
        /// The most there may be.
        limit: usize,
    },
    /// State on disk that could not be read or written.
    #[error("could not {doing} the state on disk in {folder}: {why}; {hint}")]
    Disk {
        /// What was done, as a verb.
        doing: &'static str,
        /// The subtask's folder.
        folder: String,
        /// What the file system or the store says.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// A folder that another process uses.
    #[error(
        "the state on disk in {folder} is in use by {holder}; a job runs once: stop the other one, or give this one another `folder` in `[state]`"
    )]
    DiskInUse {
        /// The subtask's folder.
        folder: String,
        /// Who has it.
        holder: String,
    },
}

impl StateError {
    /// Whether the same may go well later: what failed is the disk, or was on it and is made anew.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Disk { .. })
    }
}

impl From<crate::KeyCodecError> for StateError {
    fn from(error: crate::KeyCodecError) -> Self {
        let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        Self::Key(format!("{error}{cause}"))
    }
}
