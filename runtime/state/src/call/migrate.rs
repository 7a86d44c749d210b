//! Values of older versions in a call: given to whoever migrates them, seen by the call in their present form, and written in it when the call
//! is committed, unless the call has written their places itself.
//!
//! What comes with the call is migrated by [`StateCall::migrate_values`], what it reads by the reads themselves, each once a call. A call that
//! is dropped leaves the old bytes. The time of a value's last write stays: migrating it is not writing it.

use crate::StateError;
use crate::call::scan::Entries;
use crate::call::{Change, StateCall};
use crate::slot::SlotId;
use crate::values::{Values, VarBytes};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Makes values of older versions those of the present one.
pub trait Migrate {
    /// Why it could not; that stored state could not be read is one of the reasons.
    type Error: From<StateError>;

    /// Values of a slot that were written in another version, in its present one: as many, in the same order. Called for values of one slot
    /// and version of any number of keys.
    ///
    /// # Errors
    /// The call must be dropped then.
    fn migrate(&mut self, slot: SlotId, from_version: u32, values: &VarBytes) -> Result<VarBytes, Self::Error>;

    /// What it has made of values of this slot and version cannot be kept.
    fn refused(&mut self, slot: SlotId, from_version: u32, error: StateError) -> Self::Error;
}

impl StateCall {
    /// Migrates the values that came with the call in other versions. Nothing has changed if it fails.
    ///
    /// # Errors
    /// When they cannot be migrated, or one is too large then.
    pub fn migrate_values<M: Migrate>(&mut self, by: &mut M) -> Result<(), M::Error> {
        let stored = &self.state.loaded.stored;
        if stored.other_versions.is_empty() {
            return Ok(());
        }
        let others = stored.other_versions.clone();
        let mut keys: BTreeMap<(SlotId, u32), Vec<usize>> = BTreeMap::new();
        for other in &others {
            keys.entry((other.slot, other.version)).or_default().push(other.key);
        }
        let mut present: BTreeMap<SlotId, BTreeMap<usize, Vec<u8>>> = BTreeMap::new();
        for ((slot, version), keys) in keys {
            let values = self.values().get(slot.0);
            let old: VarBytes = keys.iter().map(|key| values.and_then(|values| values.get(*key)).unwrap_or_default()).collect();
            let new = self.present(by, slot, version, &old)?;
            present.entry(slot).or_default().extend(keys.into_iter().zip(new.iter().map(<[u8]>::to_vec)));
        }
        // Shared with nobody yet, mostly.
        let stored = &mut Arc::make_mut(&mut self.state.loaded).stored;
        for (slot, present) in present {
            if let Some(values) = stored.values.get_mut(slot.0) {
                *values = replaced(values, &present);
            }
        }
        stored.other_versions.clear();
        self.migrated = others;
        Ok(())
    }

    /// As [`StateCall::get`], the answers in their present version.
    ///
    /// # Errors
    /// When stored state cannot be read, or not be migrated.
    pub fn get_migrated<M: Migrate>(
        &mut self,
        slot: SlotId,
        key: u32,
        map_keys: &VarBytes,
        most: usize,
        by: &mut M,
    ) -> Result<Values, M::Error> {
        let (found, others) = self.get_with_versions(slot, key, map_keys, most)?;
        if others.is_empty() {
            return Ok(found);
        }
        let present = self.entries(slot, &others, found.values(), by)?;
        let migrated = &mut self.state.writes.map_mut(slot, key).migrated;
        migrated.extend(present.iter().map(|(at, value)| (map_keys.get(*at).to_vec(), value.clone())));
        Ok(replaced(&found, &present))
    }

    /// As [`StateCall::scan`], the entries in their present version.
    ///
    /// # Errors
    /// When stored state cannot be read, or not be migrated, or no scan of this slot and key has ended at the place.
    pub fn scan_migrated<M: Migrate>(
        &mut self,
        slot: SlotId,
        key: u32,
        from: Option<u64>,
        most: usize,
        by: &mut M,
    ) -> Result<Entries, M::Error> {
        let (entries, others, places) = self.scan_with_places(slot, key, from, most)?;
        if others.is_empty() {
            return Ok(entries);
        }
        let present = self.entries(slot, &others, &entries.values, by)?;
        if places.is_empty() {
            let migrated = &mut self.state.writes.map_mut(slot, key).migrated;
            migrated.extend(present.iter().map(|(at, value)| (entries.keys.get(*at).to_vec(), value.clone())));
        } else {
            let migrated = &mut self.state.writes.list_mut(slot, key).migrated;
            // Those of the entries, in the same order.
            migrated.extend(places.into_iter().zip(present.values().cloned()));
        }
        let values = (0..entries.values.len()).map(|at| present.get(&at).map_or_else(|| entries.values.get(at), Vec::as_slice));
        Ok(Entries { values: values.collect(), ..entries })
    }

    /// Those of some values that are of other versions, in the present one, by where they stand.
    fn entries<M: Migrate>(
        &self,
        slot: SlotId,
        others: &[(usize, u32)],
        values: &VarBytes,
        by: &mut M,
    ) -> Result<BTreeMap<usize, Vec<u8>>, M::Error> {
        let mut of_version: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (at, version) in others {
            of_version.entry(*version).or_default().push(*at);
        }
        let mut present = BTreeMap::new();
        for (version, places) in of_version {
            let old: VarBytes = places.iter().map(|at| values.get(*at)).collect();
            let new = self.present(by, slot, version, &old)?;
            present.extend(places.into_iter().zip(new.iter().map(<[u8]>::to_vec)));
        }
        Ok(present)
    }

    /// Values of one version in the present one.
    fn present<M: Migrate>(&self, by: &mut M, slot: SlotId, version: u32, old: &VarBytes) -> Result<VarBytes, M::Error> {
        let new = by.migrate(slot, version, old)?;
        debug_assert_eq!(new.len(), old.len(), "a value for each");
        match self.check_sizes(slot, &new) {
            Ok(()) => Ok(new),
            Err(error) => Err(by.refused(slot, version, error)),
        }
    }

    /// The values that came with the call and were migrated, with slot and key: those that it has not written itself.
    pub(super) fn migrated_and_left(&self) -> impl Iterator<Item = (SlotId, usize, &[u8])> {
        self.migrated.iter().filter_map(|other| {
            let left = self.state.writes.value(other.slot.0, other.key) == Change::Keep;
            let value = self.values().get(other.slot.0)?.get(other.key)?;
            left.then_some((other.slot, other.key, value))
        })
    }
}

/// Values of which some are others now.
fn replaced(values: &Values, by: &BTreeMap<usize, Vec<u8>>) -> Values {
    (0..values.len()).map(|at| by.get(&at).map(Vec::as_slice).or_else(|| values.get(at))).collect()
}
