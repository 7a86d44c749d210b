//! `migration`: states of older versions become the present one's, a batch of values of one slot and version at a time.

use crate::aggregate::OldAccumulators;
use crate::blobs::{self, Blobs};
use crate::contract::{ReadableVersions, VarValues};
use crate::keyed::Keyed;
use crate::state::{State, unread_version};

/// The older versions that a keyed operator reads.
pub fn reads<K: Keyed>() -> Vec<ReadableVersions> {
    let mut slots: Vec<ReadableVersions> = Vec::new();
    for (slot, version) in K::State::reads() {
        match slots.last_mut() {
            Some(last) if last.slot == slot => last.versions.push(version),
            _ => slots.push(ReadableVersions { slot, versions: vec![version] }),
        }
    }
    slots
}

/// Values of a keyed operator's slot in their present form.
pub fn migrate<K: Keyed>(slot: u32, from_version: u32, old: &VarValues) -> Result<VarValues, String> {
    convert(old, |bytes, new| K::State::migrate(slot, from_version, bytes, new))
}

/// The older versions that an aggregate reads.
pub fn accumulator_reads<A: OldAccumulators>() -> Vec<ReadableVersions> {
    vec![ReadableVersions { slot: 0, versions: A::READS.to_vec() }]
}

/// Accumulators in their present form.
pub fn migrate_accumulators<A: OldAccumulators>(slot: u32, from_version: u32, old: &VarValues) -> Result<VarValues, String> {
    if slot != 0 || !A::READS.contains(&from_version) {
        return Err(unread_version(slot, from_version));
    }
    convert(old, |bytes, new| crate::Stored::write(&A::migrate(from_version, bytes)?, new))
}

fn convert(old: &VarValues, convert: impl Fn(&[u8], &mut Vec<u8>) -> Result<(), String>) -> Result<VarValues, String> {
    let mut new = Blobs::default();
    for at in 0..blobs::count(old) {
        let bytes = blobs::value(old, at).ok_or_else(|| format!("value {at} was not passed"))?;
        new.push_with(|new| convert(bytes, new))?;
    }
    Ok(new.into_values())
}
