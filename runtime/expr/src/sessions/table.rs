//! The open sessions of every key: found by key with one look into a hash table, stored side by side, recycled when they end.
//!
//! A key has a chain of open sessions, nearly always of one. The hash table holds the number of the first; the key's bytes lie in the
//! session itself where they are short, so that a row of a session that goes on touches two places in memory and allocates nothing.
//! Numbers are given out in the order of rows and taken back in the order of firing, so nothing depends on the hash. They are used again,
//! so how old a session is has a number of its own.

use hashbrown::HashTable;
use stygian_core::short;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The number of a session.
pub(crate) type Id = u32;

/// No session.
pub(crate) const NONE: Id = Id::MAX;

/// Where the rows of a session go at present: a group of a part's accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) part: u32,
    pub(crate) slot: u32,
}

/// [`Place::part`] of a session that has become part of another one, whose number is in [`Session::next`].
const MERGED: u32 = u32::MAX;
/// [`Place::part`] of a session that fires now; the slot is its row in the result.
const FIRED: u32 = u32::MAX - 1;

/// A session, `[start, last + gap)`.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) start: i64,
    /// The event time of its last row.
    pub(crate) last: i64,
    key: Key,
    pub(crate) place: Place,
    /// The next session of the same key; [`NONE`] at the end.
    pub(crate) next: Id,
    /// Groups that hold rows of it, here and there.
    pub(crate) partials: u32,
    /// Rows, for people.
    pub(crate) rows: u32,
    /// Grows from one session to the next, in the order in which they began (but after four billion of them).
    pub(crate) born: u32,
}

/// The bytes of a key.
#[derive(Debug)]
enum Key {
    Null,
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<Box<[u8]>>),
}

/// Keys of so many bytes need no memory of their own.
const SHORT: usize = 14;

impl Key {
    fn new(bytes: Option<&[u8]>) -> Self {
        let Some(bytes) = bytes else { return Self::Null };
        let mut short = [0; SHORT];
        match (short.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(part), Ok(len)) => {
                part.copy_from_slice(bytes);
                Self::Short { len, bytes: short }
            }
            _ => Self::Long(Box::new(bytes.into())),
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Null => None,
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)),
            Self::Long(bytes) => Some(bytes),
        }
    }

    #[inline]
    fn is(&self, key: Option<&[u8]>) -> bool {
        match (self.bytes(), key) {
            (Some(own), Some(key)) => short::same(own, key),
            (own, key) => own.is_none() && key.is_none(),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Self::Long(bytes) => bytes.len() + size_of::<Box<[u8]>>(),
            _ => 0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Upper half of the hash, so that most lookups compare the bytes of one key only.
    tag: u32,
    first: Id,
}

/// The hash of a key, by which it is found.
pub(crate) fn hash(key: Option<&[u8]>, seed: u64) -> u64 {
    key.map_or(seed, |bytes| xxh3_64_with_seed(bytes, seed))
}

fn tag(hash: u64) -> u32 {
    // The upper 32 bits.
    #[allow(clippy::cast_possible_truncation)]
    let tag = (hash >> 32) as u32;
    tag
}

/// All open sessions.
#[derive(Debug)]
pub(crate) struct Table {
    entries: HashTable<Entry>,
    sessions: Vec<Session>,
    /// Numbers to give out again.
    free: Vec<Id>,
    seed: u64,
    /// [`Session::born`] of the next.
    next_born: u32,
    /// Bytes of long keys.
    long_keys: usize,
}

impl Table {
    pub(crate) fn new(seed: u64) -> Self {
        Self { entries: HashTable::new(), sessions: Vec::new(), free: Vec::new(), seed, next_born: 0, long_keys: 0 }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The first session of a key; [`NONE`] if it has none.
    pub(crate) fn first(&self, key: Option<&[u8]>, hash: u64) -> Id {
        let tag = tag(hash);
        let sessions = &self.sessions;
        let found = self.entries.find(hash, |entry| entry.tag == tag && sessions[entry.first as usize].key.is(key));
        found.map_or(NONE, |entry| entry.first)
    }

    pub(crate) fn get(&self, id: Id) -> &Session {
        // Numbers come from this table, which keeps a session as long as anything names it.
        &self.sessions[id as usize]
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> &mut Session {
        &mut self.sessions[id as usize]
    }

    /// A new session of one row, before the key's others, the first of which is `first`.
    pub(crate) fn insert(&mut self, key: Option<&[u8]>, hash: u64, first: Id, time: i64) -> Id {
        let key = Key::new(key);
        self.long_keys += key.memory();
        let place = Place { part: FIRED, slot: 0 };
        let session = Session { start: time, last: time, key, place, next: NONE, partials: 0, rows: 0, born: self.next_born };
        self.next_born = self.next_born.wrapping_add(1);
        let id = match self.free.pop() {
            Some(id) => {
                self.sessions[id as usize] = session;
                id
            }
            None => {
                self.sessions.push(session);
                // Four billion sessions do not fit in the memory that this structure would need for them.
                u32::try_from(self.sessions.len() - 1).unwrap_or(NONE)
            }
        };
        let (tag, sessions, seed) = (tag(hash), &self.sessions, self.seed);
        if first == NONE {
            let again = |entry: &Entry| self::hash(sessions[entry.first as usize].key.bytes(), seed);
            self.entries.insert_unique(hash, Entry { tag, first: id }, again);
        } else {
            if let Some(entry) = self.entries.find_mut(hash, |entry| entry.tag == tag && entry.first == first) {
                entry.first = id;
            }
            self.get_mut(id).next = first;
        }
        id
    }

    /// Says when the session began, of one that is taken back; others begin after it.
    pub(crate) fn set_born(&mut self, id: Id, born: u32) {
        self.get_mut(id).born = born;
        self.next_born = self.next_born.max(born.saturating_add(1));
    }

    /// The sessions of a key.
    pub(crate) fn chain(&self, first: Id) -> impl Iterator<Item = Id> {
        let mut next = first;
        std::iter::from_fn(move || {
            let id = (next != NONE).then_some(next)?;
            next = self.get(id).next;
            Some(id)
        })
    }

    /// The session becomes part of another one of its key. It stays as long as groups hold rows of it.
    pub(crate) fn merge(&mut self, id: Id, into: Id) {
        self.unlink(id);
        let session = self.get_mut(id);
        session.place.part = MERGED;
        session.next = into;
        let (start, last, rows) = (session.start, session.last, session.rows);
        let into = self.get_mut(into);
        into.start = into.start.min(start);
        into.last = into.last.max(last);
        into.rows = into.rows.saturating_add(rows);
    }

    /// The session that the rows of this one belong to.
    pub(crate) fn root(&self, mut id: Id) -> Id {
        while self.get(id).place.part == MERGED {
            id = self.get(id).next;
        }
        id
    }

    /// A group of `id` has gone elsewhere.
    pub(crate) fn drop_partial(&mut self, id: Id) {
        let session = self.get_mut(id);
        session.partials -= 1;
        if session.place.part == MERGED && session.partials == 0 {
            self.forget(id);
        }
    }

    /// The session fires as row `row` of the result.
    pub(crate) fn fire(&mut self, id: Id, row: u32) {
        self.unlink(id);
        self.get_mut(id).place = Place { part: FIRED, slot: row };
    }

    /// The key of a session.
    pub(crate) fn key(&self, id: Id) -> Option<&[u8]> {
        self.get(id).key.bytes()
    }

    /// Gives its number back.
    pub(crate) fn forget(&mut self, id: Id) {
        let key = std::mem::replace(&mut self.get_mut(id).key, Key::Null);
        self.long_keys -= key.memory();
        self.free.push(id);
        if self.free.len() == self.sessions.len() {
            // Nobody is here: after a burst of keys the memory goes back.
            *self = Self { next_born: self.next_born, ..Self::new(self.seed) };
        }
    }

    /// How many keys have open sessions.
    pub(crate) fn keys(&self) -> usize {
        self.entries.len()
    }

    /// Sessions that are open, each by its key's chain.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Session> {
        self.entries.iter().flat_map(|entry| self.chain(entry.first)).map(|id| self.get(id))
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.entries.allocation_size()
            + self.sessions.capacity() * size_of::<Session>()
            + self.free.capacity() * size_of::<Id>()
            + self.long_keys
    }

    /// Takes a session out of its key's chain.
    fn unlink(&mut self, id: Id) {
        let Self { entries, sessions, seed, .. } = self;
        let session = &sessions[id as usize];
        let (key, next) = (session.key.bytes(), session.next);
        let hash = hash(key, *seed);
        let is = |entry: &Entry| entry.tag == tag(hash) && sessions[entry.first as usize].key.is(key);
        let Ok(mut entry) = entries.find_entry(hash, is) else { return };
        let first = entry.get().first;
        if first == id && next == NONE {
            entry.remove();
        } else if first == id {
            entry.get_mut().first = next;
        } else {
            let before = self.chain(first).find(|before| self.get(*before).next == id);
            if let Some(before) = before {
                self.get_mut(before).next = next;
            }
        }
    }
}
