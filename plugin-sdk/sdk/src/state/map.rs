//! Map slots: any number of entries a key, sorted by map key. They may be large: entries are read on demand and remembered for the call; what is
//! written goes to the host at the call's end.

use super::{Slot, StateCall, note};
use crate::blobs::{self, Blobs};
use crate::contract::{Entries, SlotKind, SlotStates, VarValues};
use crate::host::{KeyedHost, SCAN_BYTES, StateReader};
use crate::map_key::MapKey;
use crate::stored::Stored;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::marker::PhantomData;
use std::rc::Rc;

/// An entry that the call has read or written.
#[derive(Clone, Debug)]
struct Entry<V> {
    value: Option<V>,
    changed: bool,
}

/// What a call knows of the map of a key, by the bytes of the map key.
#[derive(Debug)]
struct Known<V> {
    /// Whether the stored entries are gone.
    cleared: bool,
    entries: BTreeMap<Vec<u8>, Entry<V>>,
}

impl<V> Default for Known<V> {
    fn default() -> Self {
        Self { cleared: false, entries: BTreeMap::new() }
    }
}

/// How to take back one thing that the present row did.
#[derive(Debug)]
enum Undo<V> {
    Entry(Vec<u8>, Option<Entry<V>>),
    Cleared(Known<V>),
}

/// A map slot, as the present key has it.
pub struct MapState<K, V> {
    slot: u32,
    key: u32,
    reader: Option<Rc<dyn StateReader>>,
    known: BTreeMap<u32, Known<V>>,
    /// The latest last.
    undo: Vec<Undo<V>>,
    broken: RefCell<Option<String>>,
    keys: PhantomData<fn() -> K>,
}

impl<K: MapKey, V: Stored + Clone> MapState<K, V> {
    /// The value of an entry.
    pub fn get(&mut self, map_key: &K) -> Option<&V> {
        let bytes = bytes_of(map_key);
        let known = self.known.entry(self.key).or_default();
        if !known.entries.contains_key(&bytes) {
            let value = if known.cleared { None } else { fetch(self.reader.as_deref(), self.slot, self.key, &bytes, &self.broken) };
            known.entries.insert(bytes.clone(), Entry { value, changed: false });
        }
        known.entries.get(&bytes)?.value.as_ref()
    }

    /// Whether there is an entry.
    pub fn contains(&mut self, map_key: &K) -> bool {
        self.get(map_key).is_some()
    }

    /// Sets an entry.
    pub fn insert(&mut self, map_key: &K, value: V) {
        self.write(map_key, Some(value));
    }

    /// Removes an entry.
    pub fn remove(&mut self, map_key: &K) {
        self.write(map_key, None);
    }

    fn write(&mut self, map_key: &K, value: Option<V>) {
        let bytes = bytes_of(map_key);
        let known = self.known.entry(self.key).or_default();
        let before = known.entries.insert(bytes.clone(), Entry { value, changed: true });
        self.undo.push(Undo::Entry(bytes, before));
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        let known = self.known.entry(self.key).or_default();
        let before = std::mem::replace(known, Known { cleared: true, entries: BTreeMap::new() });
        self.undo.push(Undo::Cleared(before));
    }

    /// All entries by ascending map key. Stored ones are read as the iterator goes on.
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        Merged::new(self).filter_map(|(bytes, value)| self.note(K::read(&bytes).map(|map_key| (map_key, value))))
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        Merged::new(self).next().is_none()
    }

    fn note<T>(&self, what: Result<T, String>) -> Option<T> {
        note(&self.broken, what)
    }
}

fn bytes_of<K: MapKey>(map_key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    map_key.write(&mut bytes);
    bytes
}

fn fetch<V: Stored>(reader: Option<&dyn StateReader>, slot: u32, key: u32, map_key: &[u8], broken: &RefCell<Option<String>>) -> Option<V> {
    let mut keys = Blobs::default();
    keys.push_bytes(map_key);
    let found: SlotStates = reader?.get(slot, key, keys.values());
    let value = blobs::state(&found, 0).and_then(|bytes| bytes.map(V::read).transpose());
    note(broken, value).flatten()
}

/// The stored entries, piece by piece, by ascending key, with those that the call knows in between and in place of them.
struct Merged<'a, K, V> {
    map: &'a MapState<K, V>,
    known: Peekable<btree_map::Iter<'a, Vec<u8>, Entry<V>>>,
    piece: Option<Entries>,
    at: usize,
}

impl<'a, K: MapKey, V: Stored + Clone> Merged<'a, K, V> {
    fn new(map: &'a MapState<K, V>) -> Self {
        let known = map.known.get(&map.key);
        let entries = known.map_or_else(btree_map::Iter::default, |known| known.entries.iter());
        let mut this = Self { map, known: entries.peekable(), piece: None, at: 0 };
        if known.is_none_or(|known| !known.cleared) {
            this.read_from(None);
        }
        this
    }

    fn read_from(&mut self, from: Option<u64>) {
        self.piece = self.map.reader.as_ref().map(|reader| reader.scan(self.map.slot, self.map.key, from, SCAN_BYTES));
        self.at = 0;
    }

    /// Goes to the piece with the stored entry that comes next.
    fn find_stored(&mut self) {
        while let Some(piece) = &self.piece
            && self.at >= blobs::count(&piece.values)
        {
            match piece.next {
                Some(next) => self.read_from(Some(next)),
                None => self.piece = None,
            }
        }
    }

    /// The next entry, be it a removed one.
    fn step(&mut self) -> Option<(Vec<u8>, Option<V>)> {
        self.find_stored();
        let stored =
            self.piece.as_ref().and_then(|piece| Some((blobs::value(&piece.keys, self.at)?, blobs::value(&piece.values, self.at)?)));
        let order = match (self.known.peek(), stored) {
            (Some((known, _)), Some((stored, _))) => known.as_slice().cmp(stored),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        if order == Ordering::Greater {
            let (key, value) = stored?;
            let entry = (key.to_vec(), self.map.note(V::read(value)));
            self.at += 1;
            return Some(entry);
        }
        self.at += usize::from(order == Ordering::Equal);
        self.known.next().map(|(key, entry)| (key.clone(), entry.value.clone()))
    }
}

impl<K: MapKey, V: Stored + Clone> Iterator for Merged<'_, K, V> {
    type Item = (Vec<u8>, V);

    fn next(&mut self) -> Option<(Vec<u8>, V)> {
        loop {
            if let (key, Some(value)) = self.step()? {
                return Some((key, value));
            }
        }
    }
}

impl<K: MapKey, V: Stored + Clone> Slot for MapState<K, V> {
    type Item = V;

    const KIND: SlotKind = SlotKind::Map;

    fn closed() -> Self {
        Self { slot: 0, key: 0, reader: None, known: BTreeMap::new(), undo: Vec::new(), broken: RefCell::new(None), keys: PhantomData }
    }

    fn begin(&mut self, slot: u32, call: &mut StateCall) -> Result<(), String> {
        *self = Self { slot, reader: Some(Rc::clone(&call.reader)), ..Self::closed() };
        Ok(())
    }

    #[inline]
    fn begin_row(&mut self, key: u32) {
        self.key = key;
        self.undo.clear();
    }

    fn undo_row(&mut self) {
        let known = self.known.entry(self.key).or_default();
        for undo in self.undo.drain(..).rev() {
            match undo {
                Undo::Cleared(before) => *known = before,
                Undo::Entry(bytes, Some(before)) => drop(known.entries.insert(bytes, before)),
                Undo::Entry(bytes, None) => drop(known.entries.remove(&bytes)),
            }
        }
    }

    fn flush(&mut self, host: &mut dyn KeyedHost) -> Result<(), String> {
        if let Some(problem) = self.broken.take() {
            return Err(problem);
        }
        for (key, known) in std::mem::take(&mut self.known) {
            flush_key(self.slot, key, &known, host)?;
        }
        Ok(())
    }
}

fn flush_key<V: Stored>(slot: u32, key: u32, known: &Known<V>, host: &mut dyn KeyedHost) -> Result<(), String> {
    let (mut keys, mut values, mut removed) = (Blobs::default(), Blobs::default(), Blobs::default());
    for (bytes, entry) in known.entries.iter().filter(|(_, entry)| entry.changed) {
        match &entry.value {
            Some(value) => {
                keys.push_bytes(bytes);
                values.push(value)?;
            }
            None => removed.push_bytes(bytes),
        }
    }
    if known.cleared {
        host.remove(slot, key, None);
    } else if !removed.is_empty() {
        host.remove(slot, key, Some(removed.values()));
    }
    if !keys.is_empty() {
        let (keys, values): (&VarValues, &VarValues) = (keys.values(), values.values());
        host.put(slot, key, keys, values);
    }
    Ok(())
}
