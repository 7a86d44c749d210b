//! State by key: a struct of slots, which the host keeps and the call borrows.
//!
//! A slot is bound to one key at a time: the adapter names the key of each row, and the author sees that key's values only. What a row does can be
//! undone until the next one begins; nothing is handed to the host before the call's end, and then in as few calls as there can be.

mod list;
mod map;
mod value;

pub use list::ListState;
pub use map::MapState;
pub use value::ValueState;

use crate::contract::{SlotKind, SlotStates, StateSlot};
use crate::host::{KeyedHost, StateReader};
use crate::stored::Stored;
use std::cell::RefCell;
use std::rc::Rc;

/// All slots of an operator; derived for a struct of [`ValueState`], [`ListState`] and [`MapState`].
pub trait State: 'static {
    /// Whether a slot has older versions that are read.
    const MIGRATES: bool;

    /// Slots that are bound to no call.
    fn closed() -> Self;

    /// The slots, in the order of their indices.
    fn slots() -> Vec<StateSlot>;

    /// Binds all to a call; what an earlier one left is dropped.
    fn begin(&mut self, call: &mut StateCall) -> Result<(), String>;

    /// What is read and written from now on belongs to this key; it can be undone.
    fn begin_row(&mut self, key: u32);

    /// Takes back what was written since the row began.
    fn undo_row(&mut self);

    /// Hands what was written to the host. An error names a slot whose bytes could not be read or written.
    fn flush(&mut self, host: &mut dyn KeyedHost) -> Result<(), String>;

    /// The older versions that are read: slot index and version.
    fn reads() -> Vec<(u32, u32)>;

    /// Adds the present form of an older value.
    fn migrate(slot: u32, from_version: u32, old: &[u8], new: &mut Vec<u8>) -> Result<(), String>;
}

/// For operators that keep no state by key, but need timers or rows by key.
#[derive(Clone, Copy, Debug)]
pub struct NoState;

impl State for NoState {
    const MIGRATES: bool = false;

    fn closed() -> Self {
        Self
    }

    fn slots() -> Vec<StateSlot> {
        Vec::new()
    }

    fn begin(&mut self, _call: &mut StateCall) -> Result<(), String> {
        Ok(())
    }

    fn begin_row(&mut self, _key: u32) {}

    fn undo_row(&mut self) {}

    fn flush(&mut self, _host: &mut dyn KeyedHost) -> Result<(), String> {
        Ok(())
    }

    fn reads() -> Vec<(u32, u32)> {
        Vec::new()
    }

    fn migrate(slot: u32, from_version: u32, _old: &[u8], _new: &mut Vec<u8>) -> Result<(), String> {
        Err(unread_version(slot, from_version))
    }
}

/// One slot. Only this crate's types are.
pub trait Slot: Sized {
    /// The type of a stored value: of the slot, of an item of the list, of an entry of the map.
    type Item: Stored;

    /// What it is.
    const KIND: SlotKind;

    /// A slot that is bound to no call.
    fn closed() -> Self;

    /// Binds it to a call, as the slot of this index; what an earlier one left is dropped.
    fn begin(&mut self, slot: u32, call: &mut StateCall) -> Result<(), String>;

    /// What is read and written from now on belongs to this key.
    fn begin_row(&mut self, key: u32);

    /// Takes back what was written since the row began.
    fn undo_row(&mut self);

    /// Hands what was written to the host.
    fn flush(&mut self, host: &mut dyn KeyedHost) -> Result<(), String>;
}

/// The state that comes with a call.
pub struct StateCall {
    keys: usize,
    values: std::vec::IntoIter<SlotStates>,
    reader: Rc<dyn StateReader>,
}

impl StateCall {
    /// The state of so many keys: that of every value slot, in the order they are declared, and a way to read the others.
    pub fn new(keys: usize, values: Vec<SlotStates>, reader: Rc<dyn StateReader>) -> Self {
        Self { keys, values: values.into_iter(), reader }
    }
}

/// A slot as `#[derive(State)]` describes it.
pub fn slot_spec<S: Slot>(name: &str, version: u32, ttl_millis: Option<u64>) -> StateSlot {
    StateSlot { name: name.to_owned(), kind: S::KIND, version, ttl_millis }
}

/// Reads an older value, makes the present one of it and writes that; for `#[derive(State)]`.
pub fn migrate_value<Old, New>(old: &[u8], new: &mut Vec<u8>) -> Result<(), String>
where
    Old: Stored,
    New: Stored + TryFrom<Old>,
    New::Error: std::fmt::Display,
{
    New::try_from(Old::read(old)?).map_err(|error| error.to_string())?.write(new)
}

/// A version that `reads` does not name.
#[cold]
pub fn unread_version(slot: u32, version: u32) -> String {
    format!("version {version} of slot {slot} is not read")
}

/// Says in what slot something is wrong; for `#[derive(State)]`.
pub fn in_slot<T>(name: &str, version: u32, what: Result<T, String>) -> Result<T, String> {
    what.map_err(|problem| format!("slot `{name}`: {problem}; was its type changed while its version stayed {version}?"))
}

/// Keeps the first problem for the end of the call, which then fails; until there the value counts as absent.
fn note<T>(broken: &RefCell<Option<String>>, what: Result<T, String>) -> Option<T> {
    match what {
        Ok(value) => Some(value),
        Err(problem) => {
            broken.borrow_mut().get_or_insert(problem);
            None
        }
    }
}
