//! List slots: any number of items a key, in the order they were added. They may be large: what is stored is read on demand, in pieces, and what is
//! added goes to the host at the call's end.

use super::{Slot, StateCall, note};
use crate::blobs::{self, Blobs};
use crate::contract::{Entries, SlotKind};
use crate::host::{KeyedHost, SCAN_BYTES, StateReader};
use crate::stored::Stored;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a call did to the list of a key.
#[derive(Clone, Debug)]
struct Change<T> {
    /// Whether the stored items are gone.
    cleared: bool,
    added: Vec<T>,
}

impl<T> Default for Change<T> {
    fn default() -> Self {
        Self { cleared: false, added: Vec::new() }
    }
}

/// How to take back what the present row did.
#[derive(Debug)]
enum Undo<T> {
    Nothing,
    /// It added: keep so many.
    Truncate(usize),
    /// It cleared.
    Restore(Change<T>),
}

/// A list slot, as the present key has it.
pub struct ListState<T> {
    slot: u32,
    key: u32,
    reader: Option<Rc<dyn StateReader>>,
    changes: BTreeMap<u32, Change<T>>,
    undo: Undo<T>,
    broken: RefCell<Option<String>>,
}

impl<T: Stored + Clone> ListState<T> {
    /// Adds to the end.
    pub fn push(&mut self, item: T) {
        let change = self.changes.entry(self.key).or_default();
        if matches!(self.undo, Undo::Nothing) {
            self.undo = Undo::Truncate(change.added.len());
        }
        change.added.push(item);
    }

    /// Removes all items.
    pub fn clear(&mut self) {
        let change = self.changes.entry(self.key).or_default();
        let mut before = std::mem::replace(change, Change { cleared: true, added: Vec::new() });
        match self.undo {
            Undo::Nothing => self.undo = Undo::Restore(before),
            Undo::Truncate(keep) => {
                before.added.truncate(keep);
                self.undo = Undo::Restore(before);
            }
            Undo::Restore(_) => {}
        }
    }

    /// All items, the stored ones first. Stored ones are read as the iterator goes on.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        let change = self.changes.get(&self.key);
        let stored = StoredItems::new(self, change.is_none_or(|change| !change.cleared));
        stored.chain(change.into_iter().flat_map(|change| change.added.iter().cloned()))
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// The stored items, piece by piece.
struct StoredItems<'a, T> {
    list: &'a ListState<T>,
    piece: Option<Entries>,
    at: usize,
}

impl<'a, T: Stored> StoredItems<'a, T> {
    fn new(list: &'a ListState<T>, any: bool) -> Self {
        let mut this = Self { list, piece: None, at: 0 };
        if any {
            this.read_from(None);
        }
        this
    }

    fn read_from(&mut self, from: Option<u64>) {
        self.piece = self.list.reader.as_ref().map(|reader| reader.scan(self.list.slot, self.list.key, from, SCAN_BYTES));
        self.at = 0;
    }
}

impl<T: Stored> Iterator for StoredItems<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        loop {
            let piece = self.piece.as_ref()?;
            if let Some(bytes) = blobs::value(&piece.values, self.at) {
                self.at += 1;
                return note(&self.list.broken, T::read(bytes));
            }
            match piece.next {
                Some(next) => self.read_from(Some(next)),
                None => return None,
            }
        }
    }
}

impl<T: Stored + Clone> Slot for ListState<T> {
    type Item = T;

    const KIND: SlotKind = SlotKind::List;

    fn closed() -> Self {
        Self { slot: 0, key: 0, reader: None, changes: BTreeMap::new(), undo: Undo::Nothing, broken: RefCell::new(None) }
    }

    fn begin(&mut self, slot: u32, call: &mut StateCall) -> Result<(), String> {
        *self = Self { slot, reader: Some(Rc::clone(&call.reader)), ..Self::closed() };
        Ok(())
    }

    #[inline]
    fn begin_row(&mut self, key: u32) {
        self.key = key;
        self.undo = Undo::Nothing;
    }

    fn undo_row(&mut self) {
        match std::mem::replace(&mut self.undo, Undo::Nothing) {
            Undo::Nothing => {}
            Undo::Truncate(keep) => self.changes.entry(self.key).or_default().added.truncate(keep),
            Undo::Restore(before) => {
                self.changes.insert(self.key, before);
            }
        }
    }

    fn flush(&mut self, host: &mut dyn KeyedHost) -> Result<(), String> {
        if let Some(problem) = self.broken.take() {
            return Err(problem);
        }
        for (key, change) in std::mem::take(&mut self.changes) {
            if change.cleared {
                host.remove(self.slot, key, None);
            }
            if !change.added.is_empty() {
                let mut items = Blobs::default();
                change.added.iter().try_for_each(|item| items.push(item))?;
                host.append(self.slot, key, items.values());
            }
        }
        Ok(())
    }
}
