//! How many values there are of each version of each slot, kept as they are written and removed.

use crate::slot::Slot;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct Versions(Vec<OfSlot>);

#[derive(Debug, Default)]
struct OfSlot {
    current: u32,
    /// Values of the current version, which most are.
    values: u64,
    others: BTreeMap<u32, u64>,
}

impl Versions {
    pub(crate) fn new(slots: &[Slot]) -> Self {
        Self(slots.iter().map(|slot| OfSlot { current: slot.version, ..OfSlot::default() }).collect())
    }

    /// A value of one version takes the place of one of another, either of which may not exist.
    #[inline]
    pub(crate) fn replace(&mut self, slot: usize, old: Option<u32>, new: Option<u32>) {
        if old == new {
            return;
        }
        let Some(of) = self.0.get_mut(slot) else { return };
        if let Some(old) = old {
            of.remove(old);
        }
        if let Some(new) = new {
            *of.count(new) += 1;
        }
    }

    /// Says that a slot has so many values of a version.
    pub(crate) fn set(&mut self, slot: usize, version: u32, values: u64) {
        if let Some(of) = self.0.get_mut(slot) {
            *of.count(version) = values;
        }
    }

    /// Of a slot, the versions there are values of and how many.
    pub(crate) fn of(&self, slot: usize) -> BTreeMap<u32, u64> {
        let Some(of) = self.0.get(slot) else { return BTreeMap::new() };
        of.others.iter().map(|(version, values)| (*version, *values)).chain((of.values > 0).then_some((of.current, of.values))).collect()
    }
}

impl OfSlot {
    fn count(&mut self, version: u32) -> &mut u64 {
        if version == self.current { &mut self.values } else { self.others.entry(version).or_default() }
    }

    fn remove(&mut self, version: u32) {
        let count = self.count(version);
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.others.remove(&version);
        }
    }
}
