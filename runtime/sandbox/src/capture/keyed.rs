//! What a call with state by key had beside its rows: keys, the state of those keys, the timers that fired. When the call is made again it is
//! put into a state in memory, from which the call then begins as it did.

use super::{CaptureError, ColumnRecord, MAX_CAPTURE_BYTES, rows};
use crate::SandboxError;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type};
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, UInt32Array};
use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use stygian_core::{ByteSize, ColumnType, EventTime, Field, MaxParallelism, PluginDescription, SlotKind, StateSlot, TimerClock};
use stygian_state::{KeyBatch, KeyCodec, KeyedState, Slot, SlotId, StateCall, StateError, StateLimits, StoredValue};

/// The inputs of a keyed call that are no rows.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyedInputs {
    /// The key columns: a row for each row of the call, or for each timer.
    pub keys: RecordBatch,
    /// What was stored of these keys: slot, key (by the first row that has it, from 0), key of a map's entry, value.
    pub state: RecordBatch,
    /// The timers that fired: timer, time. None where rows were processed.
    pub timers: RecordBatch,
    /// The version that each value of `state` was written in, if some were not of their slot's.
    pub versions: Option<RecordBatch>,
}

/// What of them is written down in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyedRecord {
    /// The columns of the key.
    pub key: Vec<ColumnRecord>,
    /// The slots of the plugin.
    pub slots: Vec<SlotRecord>,
    /// The time that state was judged by, in microseconds.
    pub lives_at: i64,
    /// Timers that fired were of processing time.
    pub by_clock: bool,
}

/// A slot's name, kind and version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotRecord {
    /// Its name.
    pub name: String,
    /// "value", "list" or "map".
    pub kind: String,
    /// The version its values are of, where nothing else is said of them.
    pub version: u32,
}

impl From<&Slot> for SlotRecord {
    fn from(slot: &Slot) -> Self {
        Self { name: slot.name.clone(), kind: slot.kind.to_string(), version: slot.version }
    }
}

pub(super) fn state_schema() -> SchemaRef {
    let (number, bytes) = (ColumnType::UInt32, ColumnType::Binary);
    rows::schema_of([("slot", number, false), ("key", number, false), ("map_key", bytes, true), ("value", bytes, false)])
}

pub(super) fn versions_schema() -> SchemaRef {
    rows::schema_of([("version", ColumnType::UInt32, false)])
}

pub(super) fn timers_schema() -> SchemaRef {
    rows::schema_of([("timer", ColumnType::UInt32, false), ("at", ColumnType::Int64, false)])
}

/// Entries that are read at once.
const PAGE_BYTES: usize = 1 << 20;

/// What is stored of the keys of a call, before it writes.
#[derive(Default)]
struct Stored {
    slots: Vec<u32>,
    keys: Vec<u32>,
    map_keys: Vec<Option<Vec<u8>>>,
    values: Vec<Vec<u8>>,
    versions: Vec<u32>,
    bytes: usize,
}

impl Stored {
    fn push(&mut self, (slot, version): (usize, u32), key: u32, map_key: Option<&[u8]>, value: &[u8]) -> Result<(), CaptureError> {
        self.bytes += value.len() + map_key.map_or(0, <[u8]>::len) + 16;
        if self.bytes > MAX_CAPTURE_BYTES {
            let (bytes, limit) = (ByteSize(self.bytes as u64), ByteSize(MAX_CAPTURE_BYTES as u64));
            return Err(CaptureError::TooLarge { bytes, limit });
        }
        // A plugin has a hundred slots at most.
        self.slots.push(u32::try_from(slot).unwrap_or(u32::MAX));
        self.keys.push(key);
        self.map_keys.push(map_key.map(<[u8]>::to_vec));
        self.values.push(value.to_vec());
        self.versions.push(version);
        Ok(())
    }

    fn of(call: &mut StateCall) -> Result<Self, CaptureError> {
        let mut stored = Self::default();
        let slots: Vec<Slot> = call.slots().to_vec();
        for (index, slot) in slots.iter().enumerate() {
            for key in (0_u32..).take(call.keys().len()) {
                match slot.kind {
                    SlotKind::Value => stored.value(call, index, key)?,
                    SlotKind::List | SlotKind::Map => stored.entries(call, (index, slot), key)?,
                }
            }
        }
        Ok(stored)
    }

    fn value(&mut self, call: &StateCall, slot: usize, key: u32) -> Result<(), CaptureError> {
        let Some(value) = call.values().get(slot).and_then(|values| values.get(key as usize)) else { return Ok(()) };
        let loaded = call.loaded();
        let other = loaded.other_versions().iter().find(|other| (other.slot.0, other.key) == (slot, key as usize));
        let version = other.map(|other| other.version).or(call.slots().get(slot).map(|slot| slot.version));
        self.push((slot, version.unwrap_or_default()), key, None, value)
    }

    fn entries(&mut self, call: &mut StateCall, (index, slot): (usize, &Slot), key: u32) -> Result<(), CaptureError> {
        let mut from = None;
        loop {
            let page = call.scan_with_versions(SlotId(index), key, from, PAGE_BYTES);
            let (page, others) = page.map_err(|error| CaptureError::Input(error.to_string()))?;
            let mut others = others.into_iter().peekable();
            for at in 0..page.values.len() {
                let version = others.next_if(|(of, _)| *of == at).map_or(slot.version, |(_, version)| version);
                let map_key = (slot.kind == SlotKind::Map).then(|| page.keys.get(at));
                self.push((index, version), key, map_key, page.values.get(at))?;
            }
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// The versions, if some are not their slots'.
    fn versions(&self, slots: &[Slot]) -> Option<Vec<u32>> {
        let mut of_slots = self.slots.iter().map(|slot| slots.get(*slot as usize).map(|slot| slot.version));
        let other = self.versions.iter().any(|version| of_slots.next().flatten() != Some(*version));
        other.then(|| self.versions.clone())
    }
}

/// What a call began with, taken from it before it writes; `keys` are the key columns of its rows, or none of a call on timers.
pub(crate) fn take(
    call: &mut StateCall,
    fields: &[Field],
    keys: Option<Vec<ArrayRef>>,
    lives_at: EventTime,
    by_clock: bool,
) -> Result<(KeyedRecord, KeyedInputs), CaptureError> {
    let columns = match keys {
        Some(columns) => columns,
        None => {
            let of: UInt32Array = call.fired().iter().map(|fired| fired.key).collect();
            let taken = call.keys().columns().iter().map(|column| arrow_select::take::take(column, &of, None));
            taken.collect::<Result<_, _>>().map_err(|error| CaptureError::Input(error.to_string()))?
        }
    };
    let count = columns.first().map_or(0, |column| column.len());
    let columns = fields.iter().zip(columns).map(|(field, column)| rows::physical(field.column_type, column)).collect();
    let keys = rows::batch(&rows::schema(fields), columns, count)?;
    let fired: Vec<(u32, i64)> = call.fired().iter().map(|fired| (fired.timer, fired.at)).collect();
    let timers: Vec<ArrayRef> = vec![
        Arc::new(fired.iter().map(|(timer, _)| *timer).collect::<UInt32Array>()),
        Arc::new(Int64Array::from_iter_values(fired.iter().map(|(_, at)| *at))),
    ];
    let timers = rows::batch(&timers_schema(), timers, fired.len())?;
    let stored = Stored::of(call)?;
    let versions = stored.versions(call.slots()).map(|versions| -> Vec<ArrayRef> { vec![Arc::new(UInt32Array::from(versions))] });
    let count = stored.slots.len();
    let versions = versions.map(|versions| rows::batch(&versions_schema(), versions, count)).transpose()?;
    let state: Vec<ArrayRef> = vec![
        Arc::new(UInt32Array::from(stored.slots)),
        Arc::new(UInt32Array::from(stored.keys)),
        Arc::new(stored.map_keys.iter().map(Option::as_deref).collect::<BinaryArray>()),
        Arc::new(BinaryArray::from_iter_values(&stored.values)),
    ];
    let state = rows::batch(&state_schema(), state, count)?;
    let record = KeyedRecord {
        key: fields.iter().cloned().map(ColumnRecord::from).collect(),
        slots: call.slots().iter().map(SlotRecord::from).collect(),
        lives_at: lives_at.micros(),
        by_clock,
    };
    Ok((record, KeyedInputs { keys, state, timers, versions }))
}

/// The call that these inputs are of, for a plugin of this description; the error says what does not fit.
pub(super) fn begin(record: &KeyedRecord, inputs: &KeyedInputs, plugin: &PluginDescription) -> Result<StateCall, String> {
    let slots: Vec<Slot> = plugin.slots.iter().map(Slot::from).collect();
    let places: Vec<usize> = record.slots.iter().map(|known| place_of(known, plugin)).collect::<Result<_, _>>()?;
    let types = record.key.iter().map(|column| column.column_type).collect();
    let clocks: Vec<TimerClock> = plugin.timers.iter().map(|timer| timer.clock).collect();
    let unlimited =
        StateLimits { bytes: ByteSize(u64::MAX), keys: u64::MAX, value_bytes: ByteSize(MAX_CAPTURE_BYTES as u64), timers: u64::MAX };
    let mut state = Box::new(KeyedState::in_memory(KeyCodec::new(types, MaxParallelism::DEFAULT), slots, clocks, unlimited));
    let text = |error: StateError| error.to_string();
    let (count, now, mut keys) = (inputs.keys.num_rows(), EventTime::from_micros(record.lives_at), KeyBatch::default());
    state.keys_of(inputs.keys.columns(), count, &mut keys).map_err(text)?;
    let begin = |state: Box<KeyedState>| state.begin(&keys, 0..count, now, |_| record.lives_at).map_err(text);
    let call = begin(state)?;
    let stored = stored(&call, record, inputs, &places)?;
    let mut call = begin(call.restore(&stored, record.lives_at).map_err(text)?)?;
    let (numbers, times) = (inputs.timers.column(0).as_primitive::<UInt32Type>(), inputs.timers.column(1).as_primitive::<Int64Type>());
    let key_of_row = call.keys().key_of_row().to_vec();
    for ((timer, at), key) in numbers.values().iter().zip(times.values()).zip(key_of_row) {
        if *timer as usize >= plugin.timers.len() {
            return Err(format!("it has no timer {timer}"));
        }
        call.set_timers(*timer, &[key], &[*at]);
    }
    let state = call.commit().map_err(text)?;
    if inputs.timers.num_rows() == 0 {
        return begin(state);
    }
    let clock = if record.by_clock { TimerClock::ProcessingTime } else { TimerClock::EventTime };
    let begun = state.begin_timers(clock, i64::MAX, inputs.timers.num_rows(), now).map_err(text)?;
    begun.map_err(|_| "it has no such timers of that clock".to_owned())
}

/// Where a slot of the capture is among those of a plugin that may be another one: it must be of its kind, and read its version.
fn place_of(known: &SlotRecord, plugin: &PluginDescription) -> Result<usize, String> {
    let fits =
        |slot: &StateSlot| slot.name == known.name && slot.kind.to_string() == known.kind && slot.versions().contains(&known.version);
    plugin.slots.iter().position(fits).ok_or_else(|| {
        let (name, kind) = (stygian_core::escape(&known.name, 64), stygian_core::escape(&known.kind, 16));
        format!("it has no {kind} slot `{name}` of version {}, and migrates none from it", known.version)
    })
}

/// What was stored. The file may be a stranger's, so every number is checked.
fn stored<'i>(call: &StateCall, record: &KeyedRecord, inputs: &'i KeyedInputs, places: &[usize]) -> Result<Vec<StoredValue<'i>>, String> {
    let number = |column: usize| inputs.state.column(column).as_primitive::<UInt32Type>().values();
    let bytes = |column: usize| inputs.state.column(column).as_binary::<i32>();
    let versions = inputs.versions.as_ref().map(|versions| versions.column(0).as_primitive::<UInt32Type>().values());
    let (map_keys, values, mut stored) = (bytes(2), bytes(3), Vec::with_capacity(inputs.state.num_rows()));
    for (row, (slot, key)) in number(0).iter().zip(number(1)).enumerate() {
        let place = places.get(*slot as usize).filter(|_| (*key as usize) < call.keys().len());
        let known = place.zip(record.slots.get(*slot as usize));
        let Some((place, known)) = known else { return Err(format!("its state names slot {slot} of key {key}, which is not there")) };
        let map_key = map_keys.is_valid(row).then(|| map_keys.value(row));
        if map_key.is_some() != (call.slots().get(*place).map(|slot| slot.kind) == Some(SlotKind::Map)) {
            return Err(format!("its state of slot {slot} is of another kind"));
        }
        let version = versions.and_then(|versions| versions.get(row)).copied().unwrap_or(known.version);
        stored.push(StoredValue { slot: SlotId(*place), key: *key as usize, map_key, version, bytes: values.value(row) });
    }
    Ok(stored)
}

/// An input that a plugin cannot begin with.
pub(super) fn mismatch(operator: &str, plugin: &PluginDescription, what: String) -> SandboxError {
    let plugin = format!("{}@{}", plugin.name, plugin.version);
    SandboxError::Input { operator: operator.to_owned(), plugin, mismatches: vec![what] }
}
