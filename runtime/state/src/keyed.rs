//! The state of one operator's subtask: backend, timers and limits, and the room that calls use again and again.

use crate::backend::{StateBackend, StateSize};
use crate::call::StateCall;
use crate::distinct::DistinctKeys;
use crate::key::{KeyBatch, KeyCodec, KeyCodecError};
use crate::limits::StateLimits;
use crate::slot::Slot;
use crate::timers::{FiredTimer, TimerStore};
use crate::values::Values;
use crate::writes::{CallWrites, OtherVersion, Stored};
use crate::{MemoryBackend, StateError};
use arrow_array::ArrayRef;
use std::ops::Range;
use std::sync::Arc;
use stygian_core::{ByteSize, EventTime, KeyGroup, SlotKind, TimerClock};

/// The state of one subtask.
#[derive(Debug)]
pub struct KeyedState {
    pub(crate) codec: KeyCodec,
    pub(crate) backend: Box<dyn StateBackend>,
    pub(crate) timers: TimerStore,
    pub(crate) slots: Arc<[Slot]>,
    pub(crate) clocks: Arc<[TimerClock]>,
    pub(crate) limits: StateLimits,
    pub(crate) loaded: Arc<Loaded>,
    pub(crate) writes: CallWrites,
    /// The name and the clock of each timer.
    pub(crate) timer_names: Vec<(String, TimerClock)>,
    /// The clock that values live by.
    pub(crate) lives_by: TimerClock,
    /// The latest time of a call, by that clock.
    pub(crate) time: i64,
}

/// What a call begins with: its distinct keys, and what is stored of them.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub(crate) slots: Arc<[Slot]>,
    pub(crate) keys: DistinctKeys,
    pub(crate) stored: Stored,
}

impl Loaded {
    /// The distinct keys.
    pub fn keys(&self) -> &DistinctKeys {
        &self.keys
    }

    /// The values that are of another version than their slot is declared with, by key and slot ascending; none, mostly.
    pub fn other_versions(&self) -> &[OtherVersion] {
        &self.stored.other_versions
    }

    /// The values of each value slot, in the order of declaration; one a key.
    pub fn value_slots(&self) -> impl Iterator<Item = &Values> {
        self.slots.iter().zip(&self.stored.values).filter(|(slot, _)| slot.kind == SlotKind::Value).map(|(_, values)| values)
    }
}

impl KeyedState {
    /// State in memory by keys of a codec, of these slots and timers (by the clock of each).
    pub fn in_memory(codec: KeyCodec, slots: impl Into<Arc<[Slot]>>, clocks: impl Into<Arc<[TimerClock]>>, limits: StateLimits) -> Self {
        let slots = slots.into();
        Self::new(codec, Box::new(MemoryBackend::new(slots.clone())), slots, clocks.into(), limits)
    }

    /// State in a backend.
    pub fn new(
        codec: KeyCodec,
        backend: Box<dyn StateBackend>,
        slots: Arc<[Slot]>,
        clocks: Arc<[TimerClock]>,
        limits: StateLimits,
    ) -> Self {
        let writes = CallWrites::new(slots.len());
        let loaded = Loaded { slots: slots.clone(), keys: DistinctKeys::default(), stored: Stored::new(slots.len()) };
        let timer_names = clocks.iter().enumerate().map(|(number, clock)| (number.to_string(), *clock)).collect();
        Self {
            codec,
            backend,
            timers: TimerStore::default(),
            slots,
            clocks,
            limits,
            loaded: Arc::new(loaded),
            writes,
            timer_names,
            lives_by: TimerClock::EventTime,
            time: i64::MIN,
        }
    }

    /// The slots.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Whether values of any slot expire.
    pub fn expires(&self) -> bool {
        self.slots.iter().any(|slot| slot.ttl_micros.is_some())
    }

    /// What is kept; the bytes of timers that wait are counted, not their keys.
    pub fn size(&self) -> StateSize {
        let StateSize { keys, bytes } = self.backend.size();
        StateSize { keys, bytes: ByteSize(bytes.0 + self.timers.bytes() as u64) }
    }

    /// The timers that wait.
    pub fn timers(&self) -> &TimerStore {
        &self.timers
    }

    /// Takes the key columns of a batch, for the calls on its rows.
    ///
    /// # Errors
    /// When a column is not of the type it was planned with.
    pub fn keys_of(&mut self, columns: &[ArrayRef], rows: usize, into: &mut KeyBatch) -> Result<(), StateError> {
        Ok(self.codec.encode(columns, rows, into)?)
    }

    /// Begins a call on rows: finds their distinct keys and loads the value slots of each. `watermark` is what state is judged by (processing
    /// time where there is no event time), `times` the time of each row of the slice, by which its writes are dated.
    ///
    /// # Errors
    /// When stored state cannot be read.
    pub fn begin(
        mut self: Box<Self>,
        all: &KeyBatch,
        rows: Range<usize>,
        watermark: EventTime,
        times: impl Fn(usize) -> i64,
    ) -> Result<StateCall, StateError> {
        // Values that come into a slot that expires only later are dated by this.
        self.time = self.time.max(rows.clone().last().map_or(i64::MIN, &times));
        self.load(watermark, |codec, keys| keys.find(codec, all, rows.clone()))?;
        let keys = &self.loaded.keys;
        let mut written = vec![i64::MIN; if self.expires() { keys.len() } else { 0 }];
        if self.expires() {
            for (row, key) in rows.zip(keys.key_of_row()) {
                if let Some(written) = written.get_mut(*key as usize) {
                    *written = (*written).max(times(row));
                }
            }
        }
        self.writes.clear(keys.len(), written.into_iter());
        Ok(StateCall::new(self, Vec::new()))
    }

    /// Begins a call on timers that are due at `now`, at most `most` of them; the state alone where none is. At the end of the input, where the
    /// watermark is past everything, their state is judged by the last of their own times: else nothing that expires would be left for them.
    ///
    /// # Errors
    /// When stored state cannot be read.
    pub fn begin_timers(
        mut self: Box<Self>,
        clock: TimerClock,
        now: i64,
        most: usize,
        watermark: EventTime,
    ) -> Result<Result<StateCall, Box<Self>>, StateError> {
        let due = self.timers.due(clock, now, most);
        if due.is_empty() {
            return Ok(Err(self));
        }
        // What is written now is dated by the timer, unless its clock says nothing of how long state lives.
        let time = if watermark == EventTime::MAX { self.time } else { self.time.max(watermark.micros()) };
        let dated = |at: i64, by: TimerClock| if clock == by { at } else { time };
        let last = due.last().map_or(watermark, |timer| EventTime::from_micros(dated(timer.at, self.lives_by)));
        let watermark = if watermark == EventTime::MAX { last } else { watermark };
        let due_keys: Vec<(&[u8], KeyGroup)> = due.iter().map(|timer| (&*timer.key, timer.group)).collect();
        self.load(watermark, |codec, keys| keys.find_keys(codec, &due_keys))?;
        let keys = &self.loaded.keys;
        let mut written = vec![i64::MIN; keys.len()];
        for (timer, key) in due.iter().zip(keys.key_of_row()) {
            if let Some(written) = written.get_mut(*key as usize) {
                *written = dated(timer.at, self.lives_by);
            }
        }
        self.writes.clear(keys.len(), written.into_iter());
        let fired = due.iter().zip(keys.key_of_row());
        let fired = fired.map(|(timer, key)| FiredTimer { timer: timer.timer, key: *key, at: timer.at }).collect();
        Ok(Ok(StateCall::new(self, fired)))
    }

    /// Drops some of what has expired at this watermark.
    ///
    /// # Errors
    /// When stored state cannot be read or written.
    pub fn sweep(&mut self, watermark: EventTime) -> Result<(), StateError> {
        if self.expires() { self.backend.sweep(watermark) } else { Ok(()) }
    }

    fn load(
        &mut self,
        watermark: EventTime,
        find: impl FnOnce(&mut KeyCodec, &mut DistinctKeys) -> Result<(), KeyCodecError>,
    ) -> Result<(), StateError> {
        if watermark != EventTime::MAX {
            self.time = self.time.max(watermark.micros());
        }
        // Shared with nobody by now, unless somebody kept what a call began with: then that stays, and this is a copy.
        let loaded = Arc::make_mut(&mut self.loaded);
        find(&mut self.codec, &mut loaded.keys)?;
        loaded.stored.clear(watermark);
        self.backend.load(&loaded.keys, watermark, &mut loaded.stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::SlotId;
    use arrow_array::StringArray;
    use stygian_core::{ColumnType, MaxParallelism};

    #[test]
    fn timers_at_the_end_of_the_input_see_what_lives_at_their_time() {
        let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::DEFAULT);
        let slot = Slot { name: "last".into(), kind: SlotKind::Value, version: 1, ttl_micros: Some(10) };
        let mut state = Box::new(KeyedState::in_memory(codec, [slot], [TimerClock::EventTime], StateLimits::default()));
        let (key, mut keys): (ArrayRef, _) = (Arc::new(StringArray::from(vec!["a"])), KeyBatch::default());
        state.keys_of(&[key], 1, &mut keys).expect("text");
        let mut call = state.begin(&keys, 0..1, EventTime::MIN, |_| 5).expect("begun");
        call.put_values(SlotId(0), &[0], Values::from_iter([Some(b"x".as_slice())])).expect("small");
        call.set_timers(0, &[0, 0], &[14, 15]);
        let mut state = call.commit().expect("within limits");
        for (at, value) in [(14, Some(b"x".as_slice())), (15, None)] {
            let begun = state.begin_timers(TimerClock::EventTime, i64::MAX, 1, EventTime::MAX).expect("read");
            let call = begun.expect("a timer is due");
            assert_eq!((call.fired()[0].at, call.values()[0].get(0)), (at, value));
            state = call.commit().expect("within limits");
        }
    }

    #[test]
    fn what_a_timer_of_the_clock_writes_lives_by_event_time_as_all_else_does() {
        let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::DEFAULT);
        let slot = Slot { name: "last".into(), kind: SlotKind::Value, version: 1, ttl_micros: Some(10) };
        let mut state = Box::new(KeyedState::in_memory(codec, [slot], [TimerClock::ProcessingTime], StateLimits::default()));
        let (key, mut keys): (ArrayRef, _) = (Arc::new(StringArray::from(vec!["a"])), KeyBatch::default());
        state.keys_of(&[key], 1, &mut keys).expect("text");
        let mut call = state.begin(&keys, 0..1, EventTime::MIN, |_| 5).expect("begun");
        call.set_timers(0, &[0], &[1_000_000]);
        let state = call.commit().expect("within limits");
        let begun = state.begin_timers(TimerClock::ProcessingTime, 1_000_000, 1, EventTime::from_micros(7)).expect("read");
        let mut call = begun.expect("a timer is due");
        call.put_values(SlotId(0), &[0], Values::from_iter([Some(b"x".as_slice())])).expect("small");
        let mut state = call.commit().expect("within limits");
        for (watermark, value) in [(16, Some(b"x".as_slice())), (17, None)] {
            let call = state.begin(&keys, 0..1, EventTime::from_micros(watermark), |_| 5).expect("begun");
            assert_eq!(call.values()[0].get(0), value);
            state = call.abort();
        }
    }
}
