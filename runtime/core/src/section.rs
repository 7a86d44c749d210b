//! State on its way into a checkpoint and out of it.

use crate::KeyGroup;

/// What an operator keeps for one key group, or what has changed of it: bytes that only the operator understands. A checkpoint stores them,
/// and whoever gets the key group restores them: bases first, then changes in the order in which they were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSection {
    /// Which part of the operator's state: a short plain name (`keyed`, `timers`, `windows`).
    pub part: &'static str,
    /// The key group.
    pub group: KeyGroup,
    /// Whether everything is in it, or only what has changed since the section before.
    pub kind: SectionKind,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A section that a checkpoint has, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedSection {
    /// Which part of the operator's state.
    pub part: &'static str,
    /// The key group.
    pub group: KeyGroup,
    /// Whether everything is in it.
    pub kind: SectionKind,
    /// XXH3-64 (seed 0) of its bytes.
    pub sum: u64,
}

/// What a section says of a key group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// Everything: what was there before does not count.
    Base,
    /// What has changed since the section before.
    Change,
}
