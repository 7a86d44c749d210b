//! A list slot of one key group's keys: for each key its entries one after the other, a varint of the length before each.

use crate::backend::ListPage;
use crate::memory::varint;
use crate::seed;
use crate::slot::Slot;
use crate::values::VarBytes;
use hashbrown::HashTable;
use stygian_core::EventTime;

#[derive(Debug)]
struct List {
    key: Box<[u8]>,
    written: i64,
    entries: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct ListTable {
    lists: HashTable<List>,
    bytes: usize,
}

/// What an entry of the table costs beside the bytes of key and entries: itself, and two allocations.
const OVERHEAD: usize = size_of::<List>() + 32;

impl ListTable {
    /// Entries from a byte on, up to about `most` bytes.
    pub(crate) fn read(&self, (key, hash): (&[u8], u64), slot: &Slot, from: u64, most: usize, watermark: EventTime) -> ListPage {
        let list = self.lists.find(hash, |list| *list.key == *key).filter(|list| !slot.is_expired(list.written, watermark));
        let all = list.map_or(&[][..], |list| list.entries.as_slice());
        let mut rest = usize::try_from(from).ok().and_then(|from| all.get(from..)).unwrap_or_default();
        let mut entries = VarBytes::default();
        while (entries.is_empty() || entries.bytes().len() < most)
            && let Some(entry) = take(&mut rest)
        {
            entries.push(entry);
        }
        let next = (!rest.is_empty()).then(|| (all.len() - rest.len()) as u64);
        ListPage { entries, next }
    }

    pub(crate) fn append(&mut self, (key, hash): (&[u8], u64), slot: &Slot, written: i64, watermark: EventTime, entries: &VarBytes) {
        let seed = seed::seed();
        let found = self.lists.entry(hash, |list| *list.key == *key, |list| seed::hash(&list.key, seed));
        let mut found = found.or_insert_with(|| {
            self.bytes += OVERHEAD + key.len();
            List { key: key.into(), written, entries: Vec::new() }
        });
        let list = found.get_mut();
        let before = list.entries.capacity();
        if slot.is_expired(list.written, watermark) {
            list.entries.clear();
        }
        list.written = written;
        for entry in entries.iter() {
            varint::push(&mut list.entries, entry.len() as u64);
            list.entries.extend_from_slice(entry);
        }
        self.bytes = self.bytes + list.entries.capacity() - before;
    }

    pub(crate) fn remove(&mut self, (key, hash): (&[u8], u64)) {
        if let Ok(found) = self.lists.find_entry(hash, |list| *list.key == *key) {
            let (list, _) = found.remove();
            self.bytes -= OVERHEAD + list.key.len() + list.entries.capacity();
        }
    }

    pub(crate) fn sweep(&mut self, slot: &Slot, watermark: EventTime) {
        if slot.ttl_micros.is_some() {
            let bytes = &mut self.bytes;
            self.lists.retain(|list| {
                let expired = slot.is_expired(list.written, watermark);
                *bytes -= if expired { OVERHEAD + list.key.len() + list.entries.capacity() } else { 0 };
                !expired
            });
        }
    }

    pub(crate) fn keys(&self) -> u64 {
        self.lists.len() as u64
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint::take(rest)?).ok()?;
    let (entry, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(entry)
}
