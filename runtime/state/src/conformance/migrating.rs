//! A migration that shows: each version adds a mark to the values of the one before.

use crate::{Migrate, SlotId, StateError, Values, VarBytes};

const MARK: u8 = b'~';

/// To this version.
pub(super) struct Marking(pub(super) u32);

impl Migrate for Marking {
    type Error = StateError;

    fn migrate(&mut self, _slot: SlotId, from_version: u32, values: &VarBytes) -> Result<VarBytes, StateError> {
        let versions = self.0.saturating_sub(from_version) as usize;
        let marked: Vec<Vec<u8>> = values.iter().map(|value| [value, &vec![MARK; versions]].concat()).collect();
        Ok(marked.iter().map(Vec::as_slice).collect())
    }

    fn refused(&mut self, _slot: SlotId, _from_version: u32, error: StateError) -> StateError {
        error
    }
}

/// A value whatever it was migrated from.
pub(super) fn bare(value: &[u8]) -> Vec<u8> {
    let marks = value.iter().rev().take_while(|byte| **byte == MARK).count();
    value.get(..value.len() - marks).unwrap_or_default().to_vec()
}

/// All of them.
pub(super) fn all_bare(values: &Values) -> Vec<Option<Vec<u8>>> {
    (0..values.len()).map(|at| values.get(at).map(bare)).collect()
}
