//! A list slot of one key group's keys: for each key its entries one after the other, as cells without a time.
//!
//! For snapshots, each list knows how many bytes of its entries are saved: appending leaves them as they are, so that only what came
//! behind them is written. The keys of lists that were touched are remembered by name.

use crate::StateError;
use crate::backend::ListPage;
use crate::cell::{self, Cell};
use crate::memory::Place;
use crate::section::{SectionWriter, Table};
use crate::seed;
use crate::slot::Slot;
use crate::touched::Touched;
use crate::values::VarBytes;
use crate::versions::Versions;
use hashbrown::HashTable;
use std::collections::BTreeMap;
use stygian_core::EventTime;

#[derive(Debug)]
struct List {
    key: Box<[u8]>,
    written: i64,
    entries: Vec<u8>,
    /// So many bytes of them are saved.
    saved: usize,
    /// Whether its key is remembered for the next snapshot.
    noted: bool,
}

#[derive(Debug, Default)]
pub(crate) struct ListTable {
    lists: HashTable<List>,
    bytes: usize,
    touched: Touched,
}

/// What an entry of the table costs beside the bytes of key and entries: itself, and two allocations.
const OVERHEAD: usize = size_of::<List>() + 32;

impl ListTable {
    /// Entries from a byte on, up to about `most` bytes.
    pub(crate) fn read(&self, (key, hash): (&[u8], u64), slot: &Slot, from: u64, most: usize, watermark: EventTime) -> ListPage {
        let list = self.lists.find(hash, |list| *list.key == *key).filter(|list| !slot.is_expired(list.written, watermark));
        let all = list.map_or(&[][..], |list| list.entries.as_slice());
        let mut rest = usize::try_from(from).ok().and_then(|from| all.get(from..)).unwrap_or_default();
        let mut page = ListPage::default();
        let mut place = all.len() - rest.len();
        while (page.entries.is_empty() || page.entries.bytes().len() < most)
            && let Some(entry) = take(&mut rest)
        {
            if entry.version != slot.version {
                page.other_versions.push((page.entries.len(), entry.version));
                page.places.push(place as u64);
            }
            place = all.len() - rest.len();
            page.entries.push(entry.bytes);
        }
        page.next = (!rest.is_empty()).then(|| (all.len() - rest.len()) as u64);
        page
    }

    pub(crate) fn append(
        &mut self,
        (key, hash): (&[u8], u64),
        place: Place<'_>,
        written: i64,
        watermark: EventTime,
        entries: &VarBytes,
        versions: &mut Versions,
    ) {
        let slot = place.slot;
        let list = self.entry((key, hash), written);
        if slot.is_expired(list.written, watermark) {
            count(&list.entries, |version| versions.replace(place.index, Some(version), None));
            list.entries.clear();
            list.saved = 0;
        }
        let before = list.entries.capacity();
        list.written = list.written.max(written);
        for bytes in entries.iter() {
            versions.replace(place.index, None, Some(slot.version));
            cell::push(&mut list.entries, false, Some(&Cell { version: slot.version, written, bytes }));
        }
        let (noted, more) = (std::mem::replace(&mut list.noted, true), list.entries.capacity() - before);
        self.bytes += more;
        if !noted {
            self.touched.push((key, None), self.bytes);
        }
    }

    /// Puts migrated entries in the places of what they were made of. The list's time stays.
    pub(crate) fn migrate(
        &mut self,
        (key, hash): (&[u8], u64),
        place: Place<'_>,
        migrated: &BTreeMap<u64, Vec<u8>>,
        versions: &mut Versions,
    ) {
        let first = migrated.keys().next().and_then(|first| usize::try_from(*first).ok());
        let (Some(list), Some(first)) = (self.lists.find_mut(hash, |list| *list.key == *key), first) else { return };
        let Some((before, mut rest)) = list.entries.split_at_checked(first) else { return };
        let (all, mut entries) = (list.entries.len(), before.to_vec());
        let mut at = first;
        while let Some(mut entry) = take(&mut rest) {
            if let Some(bytes) = migrated.get(&(at as u64)) {
                versions.replace(place.index, Some(entry.version), Some(place.slot.version));
                entry = Cell { version: place.slot.version, written: list.written, bytes };
            }
            cell::push(&mut entries, false, Some(&entry));
            at = all - rest.len();
        }
        self.bytes = self.bytes + entries.capacity() - list.entries.capacity();
        (list.entries, list.saved) = (entries, list.saved.min(first));
        if !std::mem::replace(&mut list.noted, true) {
            self.touched.push((key, None), self.bytes);
        }
    }

    /// The list of a key, a new one where there is none.
    fn entry(&mut self, (key, hash): (&[u8], u64), written: i64) -> &mut List {
        let seed = seed::seed();
        let found = self.lists.entry(hash, |list| *list.key == *key, |list| seed::hash(&list.key, seed));
        let found = found.or_insert_with(|| {
            self.bytes += OVERHEAD + key.len();
            List { key: key.into(), written, entries: Vec::new(), saved: 0, noted: false }
        });
        found.into_mut()
    }

    pub(crate) fn remove(&mut self, (key, hash): (&[u8], u64), place: Place<'_>, versions: &mut Versions) {
        if let Ok(found) = self.lists.find_entry(hash, |list| *list.key == *key) {
            let (list, _) = found.remove();
            self.bytes -= list.bytes();
            count(&list.entries, |version| versions.replace(place.index, Some(version), None));
            if !list.noted {
                self.touched.push((key, None), self.bytes);
            }
        }
    }

    pub(crate) fn sweep(&mut self, place: Place<'_>, watermark: EventTime, versions: &mut Versions) {
        if place.slot.ttl_micros.is_none() {
            return;
        }
        for list in self.lists.extract_if(|list| place.slot.is_expired(list.written, watermark)) {
            self.bytes -= list.bytes();
            count(&list.entries, |version| versions.replace(place.index, Some(version), None));
            if !list.noted {
                self.touched.push((&list.key, None), self.bytes);
            }
        }
    }

    pub(crate) fn keys(&self) -> u64 {
        self.lists.len() as u64
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn touched(&self) -> &Touched {
        &self.touched
    }

    /// The next snapshot has to say everything.
    pub(crate) fn lose(&mut self) {
        self.touched.lose();
    }

    /// Writes all lists, or what has changed since the last snapshot; `whole`: of a base.
    pub(crate) fn snapshot(&mut self, whole: bool, place: Place<'_>, into: &mut SectionWriter) {
        let (tracked, names) = (self.touched.is_tracked(), self.touched.take());
        if whole || !tracked {
            if !whole {
                into.anew(Table::Lists(place.id()));
            }
            for list in &mut self.lists {
                list.saved = 0;
                list.save(place, into);
            }
            return;
        }
        let seed = seed::seed();
        for (key, _) in names.sorted() {
            match self.lists.find_mut(seed::hash(key, seed), |list| *list.key == *key) {
                Some(list) => list.save(place, into),
                None => into.list(place.id(), key, i64::MIN, 0, &[]),
            }
        }
    }

    /// The next snapshot has to say what becomes of a key's list behind its first bytes.
    pub(crate) fn mark_unsaved(&mut self, key: &[u8], stay: usize) {
        let found = self.lists.find_mut(seed::hash(key, seed::seed()), |list| *list.key == *key);
        let noted = found.is_some_and(|list| {
            list.saved = list.saved.min(stay);
            std::mem::replace(&mut list.noted, true)
        });
        if !noted {
            self.touched.push((key, None), self.bytes);
        }
    }

    /// There is nothing: what follows is what was saved.
    pub(crate) fn restore_anew(&mut self, place: Place<'_>, versions: &mut Versions) {
        self.lists.iter().for_each(|list| count(&list.entries, |version| versions.replace(place.index, Some(version), None)));
        *self = Self { touched: Touched::restored(), ..Self::default() };
    }

    /// Changes a list as it was saved.
    pub(crate) fn restore(
        &mut self,
        key: &[u8],
        place: Place<'_>,
        (written, stay, more): (i64, u64, &[u8]),
        versions: &mut Versions,
    ) -> Result<(), StateError> {
        let found = (key, seed::hash(key, seed::seed()));
        if stay == 0 && more.is_empty() {
            self.remove(found, place, versions);
            self.touched.settle();
            return Ok(());
        }
        let list = self.entry(found, written);
        let before = list.entries.capacity();
        let stay = usize::try_from(stay).ok().filter(|stay| is_end(&list.entries, *stay));
        let stay = stay.ok_or_else(|| StateError::Damaged {
            slot: place.slot.name.clone(),
            what: "a change of a list begins where none of its entries ends".to_owned(),
        })?;
        count(&list.entries[stay..], |version| versions.replace(place.index, Some(version), None));
        count(more, |version| versions.replace(place.index, None, Some(version)));
        list.entries.truncate(stay);
        list.entries.extend_from_slice(more);
        (list.written, list.saved) = (written, list.entries.len());
        let now = list.entries.capacity();
        self.bytes = self.bytes + now - before;
        Ok(())
    }

    /// Gives back what room it can.
    pub(crate) fn shrink(&mut self) {
        for list in &mut self.lists {
            self.bytes -= list.entries.capacity();
            list.entries.shrink_to_fit();
            self.bytes += list.entries.capacity();
        }
    }
}

impl List {
    fn bytes(&self) -> usize {
        OVERHEAD + self.key.len() + self.entries.capacity()
    }

    fn save(&mut self, place: Place<'_>, into: &mut SectionWriter) {
        into.list(place.id(), &self.key, self.written, self.saved as u64, self.entries.get(self.saved..).unwrap_or_default());
        (self.saved, self.noted) = (self.entries.len(), false);
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<Cell<'a>> {
    cell::take(rest, false).flatten()
}

/// Visits the version of every entry.
fn count(mut entries: &[u8], mut visit: impl FnMut(u32)) {
    while let Some(entry) = take(&mut entries) {
        visit(entry.version);
    }
}

/// Whether one of the entries ends there, or the first begins: never behind the last.
fn is_end(entries: &[u8], at: usize) -> bool {
    let mut rest = entries;
    // All that is there stays, most often.
    while at != entries.len() && entries.len() - rest.len() < at && take(&mut rest).is_some() {}
    at == entries.len() || entries.len() - rest.len() == at
}
