//! Value slots: one value a key. They come with the call and go back with it, each changed key once.
//!
//! A value is decoded when it is first looked at, and encoded when the call ends; in between a row costs an index and a flag. The values are
//! kept by key index. The instance keeps the buffers, not the values, from one call to the next.

use super::{Slot, StateCall};
use crate::blobs::{self, OptionalBlobs};
use crate::contract::{SlotKind, SlotStates, VarValues};
use crate::host::KeyedHost;
use crate::stored::Stored;

/// Whether a key's value was decoded.
const READ: u8 = 1;
/// Whether it was written to.
const CHANGED: u8 = 2;

/// How to take back what the present row has written.
#[derive(Debug)]
enum Undo<T> {
    /// It has written nothing.
    Nothing,
    /// It is the first of the call to write to its key: what came with the call is still there to be decoded again.
    Decode,
    /// An earlier row has written this.
    Restore(Option<T>),
}

/// A value slot, as the present key has it. Absent: it was never set, was cleared, or has outlived its time.
#[derive(Debug)]
pub struct ValueState<T> {
    slot: u32,
    key: usize,
    raw: SlotStates,
    values: Vec<Option<T>>,
    flags: Vec<u8>,
    /// Keys that were written to, in the order they first were.
    changed: Vec<u32>,
    undo: Undo<T>,
    /// The first thing that could not be decoded.
    broken: Option<String>,
}

impl<T: Stored + Clone> ValueState<T> {
    /// The value.
    #[inline]
    pub fn get(&mut self) -> Option<&T> {
        self.read();
        self.values[self.key].as_ref()
    }

    /// The value, to be changed in place.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.read();
        if self.values[self.key].is_some() {
            self.touch();
        }
        self.values[self.key].as_mut()
    }

    /// Sets the value.
    #[inline]
    pub fn set(&mut self, value: T) {
        self.read();
        self.touch();
        self.values[self.key] = Some(value);
    }

    /// Removes the value.
    pub fn clear(&mut self) {
        if self.get().is_some() {
            self.touch();
            self.values[self.key] = None;
        }
    }

    /// Removes the value and returns it.
    pub fn take(&mut self) -> Option<T> {
        let value = self.get().cloned();
        self.clear();
        value
    }

    /// The value, to be changed in place; set to this one before if it is absent.
    #[inline]
    pub fn or_insert_with(&mut self, value: impl FnOnce() -> T) -> &mut T {
        self.read();
        self.touch();
        self.values[self.key].get_or_insert_with(value)
    }

    /// The value, to be changed in place; set to the type's default before if it is absent.
    #[inline]
    pub fn or_default(&mut self) -> &mut T
    where
        T: Default,
    {
        self.or_insert_with(T::default)
    }

    #[inline]
    fn read(&mut self) {
        if self.flags[self.key] & READ == 0 {
            self.decode();
        }
    }

    fn decode(&mut self) {
        let value = blobs::state(&self.raw, self.key).and_then(|bytes| bytes.map(T::read).transpose());
        self.values[self.key] = value.unwrap_or_else(|problem| {
            self.broken.get_or_insert(problem);
            None
        });
        self.flags[self.key] |= READ;
    }

    /// Notes that the present key changes.
    #[inline]
    fn touch(&mut self) {
        if !matches!(self.undo, Undo::Nothing) {
            return;
        }
        if self.flags[self.key] & CHANGED == 0 {
            self.flags[self.key] |= CHANGED;
            // As many as there are key indices, which are 32 bits wide.
            self.changed.push(u32::try_from(self.key).unwrap_or(u32::MAX));
            self.undo = Undo::Decode;
        } else {
            self.undo = Undo::Restore(self.values[self.key].clone());
        }
    }
}

fn no_states() -> SlotStates {
    SlotStates { validity: None, values: VarValues { offsets: Vec::new(), bytes: Vec::new() } }
}

impl<T: Stored + Clone> Slot for ValueState<T> {
    type Item = T;

    const KIND: SlotKind = SlotKind::Value;

    fn closed() -> Self {
        Self {
            slot: 0,
            key: 0,
            raw: no_states(),
            values: Vec::new(),
            flags: Vec::new(),
            changed: Vec::new(),
            undo: Undo::Nothing,
            broken: None,
        }
    }

    fn begin(&mut self, slot: u32, call: &mut StateCall) -> Result<(), String> {
        self.slot = slot;
        self.raw = call.values.next().ok_or("its state was not passed")?;
        self.values.clear();
        self.values.resize_with(call.keys, || None);
        self.flags.clear();
        self.flags.resize(call.keys, 0);
        self.changed.clear();
        self.undo = Undo::Nothing;
        self.broken = None;
        Ok(())
    }

    #[inline]
    fn begin_row(&mut self, key: u32) {
        self.key = key as usize;
        self.undo = Undo::Nothing;
    }

    fn undo_row(&mut self) {
        match std::mem::replace(&mut self.undo, Undo::Nothing) {
            Undo::Nothing => {}
            Undo::Decode => {
                // It was the last to be pushed: the row has one key.
                self.changed.pop();
                self.flags[self.key] = 0;
            }
            Undo::Restore(value) => self.values[self.key] = value,
        }
    }

    fn flush(&mut self, host: &mut dyn KeyedHost) -> Result<(), String> {
        if let Some(problem) = self.broken.take() {
            return Err(problem);
        }
        if self.changed.is_empty() {
            return Ok(());
        }
        let mut states = OptionalBlobs::with_capacity(self.changed.len());
        for key in &self.changed {
            states.push(self.values[*key as usize].as_ref())?;
        }
        host.put_states(self.slot, &self.changed, &states.finish());
        Ok(())
    }
}
