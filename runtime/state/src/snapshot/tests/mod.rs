//! What the conformance suite cannot say: the bytes themselves, damage, other declarations, and what a snapshot costs.

mod cost;
mod damage;
mod declared;
mod golden;
mod limits;
mod versions;

use crate::{KeyBatch, KeyCodec, KeyedState, Slot, SlotId, StateCall, StateLimits, Values, VarBytes};
use arrow_array::{ArrayRef, StringArray};
use std::sync::Arc;
use stygian_core::{ColumnType, EventTime, KeyGroup, MaxParallelism, SlotKind, StateSection, TimerClock};

const VALUE: SlotId = SlotId(0);
const LIST: SlotId = SlotId(1);
const MAP: SlotId = SlotId(2);

fn slot(name: &str, kind: SlotKind) -> Slot {
    Slot { name: name.into(), kind, version: 1, ttl_micros: None }
}

/// One slot of each kind; values expire.
fn slots() -> Vec<Slot> {
    vec![
        Slot { ttl_micros: Some(100), ..slot("last", SlotKind::Value) },
        slot("seen", SlotKind::List),
        Slot { version: 3, ..slot("totals", SlotKind::Map) },
    ]
}

/// A state by a text, of one key group.
fn state_of(slots: Vec<Slot>, limits: StateLimits) -> Box<KeyedState> {
    let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::new(1).expect("one"));
    let state = KeyedState::in_memory(codec, slots, [TimerClock::EventTime, TimerClock::ProcessingTime], limits);
    Box::new(state.with_timer_names(["soon", "later"]))
}

fn state() -> Box<KeyedState> {
    state_of(slots(), StateLimits::default())
}

/// A call on one row a key, at a time that is the watermark too.
fn begin(mut state: Box<KeyedState>, keys: &[&str], at: i64) -> StateCall {
    let (column, mut batch): (ArrayRef, _) = (Arc::new(StringArray::from(keys.to_vec())), KeyBatch::default());
    state.keys_of(&[column], keys.len(), &mut batch).expect("text");
    state.begin(&batch, 0..keys.len(), EventTime::from_micros(at), |_| at).expect("a call")
}

fn strings(strings: &[&str]) -> VarBytes {
    strings.iter().map(|string| string.as_bytes()).collect()
}

fn put(call: &mut StateCall, key: u32, value: Option<&str>) {
    call.put_values(VALUE, &[key], Values::from_iter([value.map(str::as_bytes)])).expect("small");
}

/// Two keys: of the first a value, of both lists, maps and timers.
fn filled() -> Box<KeyedState> {
    let mut call = begin(state(), &["a", "b"], 5);
    put(&mut call, 0, Some("x"));
    for key in [0, 1] {
        call.append(LIST, key, &strings(&["l", ""])).expect("small");
        call.put(MAP, key, &strings(&["k", "m"]), &strings(&["v", "w"])).expect("small");
        call.set_timers(key, &[key], &[7]);
    }
    call.commit().expect("within limits")
}

/// Writes all of a state, or what has changed.
fn snapshot(state: &mut KeyedState, whole: bool) -> Vec<StateSection> {
    state.snapshot(|_: KeyGroup| whole).expect("in memory")
}

fn bytes(sections: &[StateSection]) -> usize {
    sections.iter().map(|section| section.bytes.len()).sum()
}
