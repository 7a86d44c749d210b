//! Reads of lists and maps in a call: what is stored, with the call's own writes on top, page by page.

use crate::StateError;
use crate::backend::{ListPage, MapPage};
use crate::call::{StateCall, name};
use crate::slot::SlotId;
use crate::values::{Values, VarBytes};
use crate::writes::{ListWrites, MapWrites};
use std::collections::BTreeMap;
use std::ops::Bound;

#[derive(Debug)]
pub(super) struct Cursor {
    slot: SlotId,
    key: u32,
    place: Place,
}

/// Where the next page of a scan begins.
#[derive(Debug)]
enum Place {
    /// At the backend's place in a list, or, from [`APPENDED`] on, in what the call has appended.
    List(u64),
    /// Behind this map key.
    Map(Vec<u8>),
}

/// Entries of a list or a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// Map keys, ascending; none for lists.
    pub keys: VarBytes,
    /// The values.
    pub values: VarBytes,
    /// What to pass on to get the next ones; `None`: these were the last.
    pub next: Option<u64>,
    /// Bytes that the call keeps until its end, to know where `next` is.
    pub kept: usize,
}

/// Of entries or answers, those that were written in another version than their slot is declared with: which, ascending, and that version.
pub type OtherVersions = Vec<(usize, u32)>;

/// What a scan has read.
#[derive(Default)]
struct Page {
    entries: Entries,
    next: Option<Place>,
    versions: OtherVersions,
    /// Of those, where they stand in a list.
    places: Vec<u64>,
}

/// Places in what a call has appended to a list begin here; those below are the backend's.
const APPENDED: u64 = 1 << 63;

impl StateCall {
    /// Reads entries of a map, one answer a map key; fewer where they are more than `most` bytes, which end with the one that is too much.
    ///
    /// # Errors
    /// When stored state cannot be read.
    pub fn get(&self, slot: SlotId, key: u32, map_keys: &VarBytes, most: usize) -> Result<Values, StateError> {
        self.get_with_versions(slot, key, map_keys, most).map(|(found, _)| found)
    }

    /// As [`StateCall::get`], with the versions of the answers that are of another one than the slot is declared with.
    ///
    /// # Errors
    /// When stored state cannot be read.
    pub fn get_with_versions(
        &self,
        slot: SlotId,
        key: u32,
        map_keys: &VarBytes,
        most: usize,
    ) -> Result<(Values, OtherVersions), StateError> {
        let (writes, mut found, mut versions) = (self.state.writes.map(slot, key), Values::default(), OtherVersions::new());
        for map_key in map_keys.iter() {
            match writes.and_then(|writes| written(writes, map_key)) {
                Some(own) => found.push(own),
                None => {
                    let stored = self.state.backend.entry(
                        slot,
                        &self.state.loaded.keys,
                        key as usize,
                        map_key,
                        self.state.loaded.stored.watermark,
                    )?;
                    let other = stored.as_ref().map(|(version, _)| *version).filter(|version| *version != self.version_of(slot));
                    versions.extend(other.map(|version| (found.len(), version)));
                    found.push(stored.as_ref().map(|(_, value)| value.as_slice()));
                }
            }
            if found.values().bytes().len() > most {
                break;
            }
        }
        Ok((found, versions))
    }

    /// Reads a list, or a map in the order of its keys, from some place on, about `most` bytes.
    ///
    /// # Errors
    /// When stored state cannot be read, or no scan of this slot and key has ended at the place.
    pub fn scan(&mut self, slot: SlotId, key: u32, from: Option<u64>, most: usize) -> Result<Entries, StateError> {
        self.scan_with_versions(slot, key, from, most).map(|(entries, _)| entries)
    }

    /// As [`StateCall::scan`], with the versions of the entries that are of another one than the slot is declared with.
    ///
    /// # Errors
    /// When stored state cannot be read, or no scan of this slot and key has ended at the place.
    pub fn scan_with_versions(
        &mut self,
        slot: SlotId,
        key: u32,
        from: Option<u64>,
        most: usize,
    ) -> Result<(Entries, OtherVersions), StateError> {
        self.scan_with_places(slot, key, from, most).map(|(entries, versions, _)| (entries, versions))
    }

    /// The same, and of entries of a list that are of another version the places that the backend knows them by.
    pub(super) fn scan_with_places(
        &mut self,
        slot: SlotId,
        key: u32,
        from: Option<u64>,
        most: usize,
    ) -> Result<(Entries, OtherVersions, Vec<u64>), StateError> {
        let place = from.map(|from| self.place(slot, key, from)).transpose()?;
        let Page { entries, next, versions, places } = match self.state.slots.get(slot.0).map(|slot| slot.kind) {
            Some(stygian_core::SlotKind::List) => self.scan_list(slot, key, place, most)?,
            Some(stygian_core::SlotKind::Map) => self.scan_map(slot, key, place, most)?,
            _ => return Ok((Entries::default(), OtherVersions::new(), Vec::new())),
        };
        let Some(place) = next else { return Ok((entries, versions, places)) };
        let kept = match &place {
            Place::List(_) => 0,
            Place::Map(map_key) => map_key.len(),
        };
        let next = Some(self.cursors.len() as u64);
        self.cursors.push(Cursor { slot, key, place });
        Ok((Entries { next, kept, ..entries }, versions, places))
    }

    fn version_of(&self, slot: SlotId) -> u32 {
        self.state.slots.get(slot.0).map_or(0, |slot| slot.version)
    }

    /// The place of a number that a scan of this slot and key was given.
    fn place(&self, slot: SlotId, key: u32, from: u64) -> Result<&Place, StateError> {
        let cursor = usize::try_from(from).ok().and_then(|at| self.cursors.get(at));
        let cursor = cursor.filter(|cursor| cursor.slot == slot && cursor.key == key);
        cursor.map(|cursor| &cursor.place).ok_or_else(|| StateError::NoSuchPlace { slot: name(&self.state, slot.0), from })
    }

    fn scan_list(&self, slot: SlotId, key: u32, place: Option<&Place>, most: usize) -> Result<Page, StateError> {
        let from = place.map_or(0, |place| match place {
            Place::List(at) => *at,
            Place::Map(_) => 0,
        });
        let (state, writes) = (&self.state, self.state.writes.list(slot, key));
        let appended = writes.map_or(0, |writes| writes.append.len() as u64);
        if from < APPENDED && !writes.is_some_and(|writes| writes.clear) {
            let page = state.backend.list(slot, &state.loaded.keys, key as usize, from, most, state.loaded.stored.watermark)?;
            if !page.entries.is_empty() {
                let next = page.next.or((appended > 0).then_some(APPENDED)).map(Place::List);
                return Ok(of_list(page, writes, next));
            }
        }
        let mut values = VarBytes::default();
        let mut at = from.saturating_sub(APPENDED);
        while at < appended && (values.is_empty() || values.bytes().len() < most) {
            // Below the number of entries, which are in memory.
            values.push(writes.map_or(&[][..], |writes| writes.append.get(usize::try_from(at).unwrap_or(usize::MAX))));
            at += 1;
        }
        let next = (at < appended).then_some(Place::List(APPENDED + at));
        Ok(Page { entries: Entries { values, ..Entries::default() }, next, ..Page::default() })
    }

    fn scan_map(&self, slot: SlotId, key: u32, place: Option<&Place>, most: usize) -> Result<Page, StateError> {
        let after = place.and_then(|place| match place {
            Place::List(_) => None,
            Place::Map(map_key) => Some(map_key.as_slice()),
        });
        let (state, none) = (&self.state, MapWrites::default());
        let writes = state.writes.map(slot, key).unwrap_or(&none);
        let stored = if writes.clear {
            MapPage::default()
        } else {
            state.backend.entries(slot, &state.loaded.keys, key as usize, after, most, state.loaded.stored.watermark)?
        };
        Ok(merge(&stored, writes, after, most))
    }
}

/// The value of an entry, if it is not removed, and its version, if it is another one than the slot's.
type Merged<'a> = (Option<&'a [u8]>, Option<u32>);

/// What a call has written to a map entry: `None` if nothing.
fn written<'a>(writes: &'a MapWrites, map_key: &[u8]) -> Option<Option<&'a [u8]>> {
    match writes.entries.get(map_key) {
        Some(own) => Some(own.as_deref()),
        None if writes.clear => Some(None),
        None => writes.migrated.get(map_key).map(|migrated| Some(migrated.as_slice())),
    }
}

/// Entries of a list, those that the call has migrated in their present form.
fn of_list(page: ListPage, writes: Option<&ListWrites>, next: Option<Place>) -> Page {
    let ListPage { entries: stored, other_versions, places, .. } = page;
    let migrated = |place: &u64| writes.and_then(|writes| writes.migrated.get(place));
    if !places.iter().any(|place| migrated(place).is_some()) {
        return Page { entries: Entries { values: stored, ..Entries::default() }, next, versions: other_versions, places };
    }
    let mut page = Page { next, ..Page::default() };
    let mut others = other_versions.into_iter().zip(places).peekable();
    for (at, entry) in stored.iter().enumerate() {
        let other = others.next_if(|((of, _), _)| *of == at);
        match other.as_ref().and_then(|(_, place)| migrated(place)) {
            Some(migrated) => page.entries.values.push(migrated),
            None => {
                page.versions.extend(other.map(|(version, _)| version));
                page.places.extend(other.map(|(_, place)| place));
                page.entries.values.push(entry);
            }
        }
    }
    page
}

/// Stored entries with a call's writes on top, about `most` bytes; the next page begins behind the last map key, if there may be more.
fn merge(stored: &MapPage, writes: &MapWrites, after: Option<&[u8]>, most: usize) -> Page {
    // Beyond the end of a page that is not the last, writes have to wait for the stored entries between.
    let last_stored = stored.keys.len().checked_sub(1).map(|last| stored.keys.get(last)).filter(|_| stored.more);
    let range = (after.map_or(Bound::Unbounded, Bound::Excluded), last_stored.map_or(Bound::Unbounded, Bound::Included));
    let is_empty = matches!(range, (Bound::Excluded(a), Bound::Included(b)) if a >= b);
    let own = (!is_empty).then(|| writes.entries.range::<[u8], _>(range)).into_iter().flatten();
    let migrated = (!is_empty).then(|| writes.migrated.range::<[u8], _>(range)).into_iter().flatten();
    let mut versions_of = vec![None; stored.keys.len()];
    for (at, version) in &stored.other_versions {
        if let Some(of) = versions_of.get_mut(*at) {
            *of = Some(*version);
        }
    }
    let stored_values = stored.values.iter().map(Some).zip(versions_of);
    let mut all: BTreeMap<&[u8], Merged<'_>> = stored.keys.iter().zip(stored_values).collect();
    all.extend(migrated.map(|(map_key, value)| (map_key.as_slice(), (Some(value.as_slice()), None))));
    all.extend(own.map(|(map_key, value)| (map_key.as_slice(), (value.as_deref(), None))));
    let (mut page, mut last) = (Page::default(), None);
    for (map_key, (value, other_version)) in &all {
        if !page.entries.keys.is_empty() && page.entries.keys.bytes().len() + page.entries.values.bytes().len() >= most {
            page.next = last.map(Place::Map);
            return page;
        }
        last = Some(map_key.to_vec());
        if let Some(value) = value {
            page.versions.extend(other_version.map(|version| (page.entries.keys.len(), version)));
            page.entries.keys.push(map_key);
            page.entries.values.push(value);
        }
    }
    page.next = last.filter(|_| stored.more).map(Place::Map);
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyBatch, KeyCodec, KeyedState, Slot, StateLimits};
    use arrow_array::{ArrayRef, StringArray};
    use std::sync::Arc;
    use stygian_core::{ColumnType, EventTime, MaxParallelism, SlotKind};

    #[test]
    fn what_is_asked_for_too_often_is_not_read_to_the_end() {
        let slot = Slot { name: "map".into(), kind: SlotKind::Map, version: 1, ttl_micros: None };
        let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::DEFAULT);
        let mut state = Box::new(KeyedState::in_memory(codec, [slot], [], StateLimits::default()));
        let (names, mut keys): (ArrayRef, _) = (Arc::new(StringArray::from(vec!["a"])), KeyBatch::default());
        state.keys_of(&[names], 1, &mut keys).expect("a key");
        let mut call = state.begin(&keys, 0..1, EventTime::MIN, |_| 0).expect("a call");
        let strings = |strings: &[&[u8]]| strings.iter().copied().collect::<VarBytes>();
        call.put(SlotId(0), 0, &strings(&[b"k"]), &strings(&[b"large"])).expect("within the limit");
        let answers = |most| call.get(SlotId(0), 0, &strings(&[&b"k"[..]; 100]), most).map(|found| found.len());
        assert_eq!([answers(1000), answers(500), answers(499), answers(12)], [100, 100, 100, 3].map(Ok));
    }
}
