//! What is kept, counted as it is written: bytes, keys by group, values by version.
//!
//! Bytes are those of keys, map keys and values, with a little for each: what they would take if they were written once. What the store
//! needs beside that for its files, for what is overwritten and not merged yet, and for logs, is not counted.

use crate::backend::StateSize;
use crate::slot::Slot;
use crate::versions::Versions;
use stygian_core::{ByteSize, KeyGroup};

/// What a key's values, its list or its map counts for beside their bytes.
pub(crate) const KEY: u64 = 32;
/// What an entry of a map counts for beside its bytes.
pub(crate) const ENTRY: u64 = 16;

/// What is kept.
#[derive(Debug)]
pub(crate) struct Counts {
    bytes: u64,
    keys: u64,
    /// By number of the group.
    groups: Vec<u64>,
    pub(crate) versions: Versions,
}

impl Counts {
    pub(crate) fn new(slots: &[Slot]) -> Self {
        Self { bytes: 0, keys: 0, groups: Vec::new(), versions: Versions::new(slots) }
    }

    pub(crate) fn size(&self) -> StateSize {
        StateSize { keys: self.keys, bytes: ByteSize(self.bytes) }
    }

    pub(crate) fn keys_of(&self, group: usize) -> u64 {
        self.groups.get(group).copied().unwrap_or(0)
    }

    /// The keys of each group.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (KeyGroup, u64)> {
        (0..).map(KeyGroup).zip(self.groups.iter().copied()).filter(|(_, keys)| *keys > 0)
    }

    pub(crate) fn add_bytes(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    pub(crate) fn take_bytes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// A key's values, a list or a map came to be.
    pub(crate) fn add_key(&mut self, group: KeyGroup, key: &[u8]) {
        self.add_bytes(KEY + key.len() as u64);
        self.set_keys(group, self.keys_of(usize::from(group.0)) + 1);
    }

    /// A key's values, a list or a map are gone.
    pub(crate) fn take_key(&mut self, group: KeyGroup, key: &[u8]) {
        self.take_bytes(KEY + key.len() as u64);
        self.set_keys(group, self.keys_of(usize::from(group.0)).saturating_sub(1));
    }

    pub(crate) fn set_keys(&mut self, group: KeyGroup, keys: u64) {
        let at = usize::from(group.0);
        if self.groups.len() <= at {
            self.groups.resize(at + 1, 0);
        }
        self.keys = (self.keys + keys).saturating_sub(self.groups[at]);
        self.groups[at] = keys;
    }
}
