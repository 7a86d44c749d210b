//! What fuzzers feed to the imports of keyed plugins: bytes become calls with slots, keys, offsets and bitmaps of a guest's choice. Nothing may
//! panic, a call that broke a rule must leave no trace, and one that went well must be read back by the next.

use crate::Limits;
use crate::fuzzing::Source;
use crate::host::HostState;
use crate::host_keyed::slot_states;
use crate::wire::{OutSlotStates, OutVarValues};
use arrow_array::{ArrayRef, StringArray};
use std::collections::BTreeSet;
use std::sync::Arc;
use stygian_core::{ByteSize, ColumnType, EventTime, MaxParallelism, SlotKind, TimerClock};
use stygian_state::{KeyBatch, KeyCodec, KeyedState, Slot, SlotId, StateCall, StateError, StateLimits, StateSize, Timer};

/// Keys of each call.
const KEYS: usize = 3;

/// Runs calls of the bytes on a state of its own; returns how many went well, and what is kept in the end: nothing where a limit of the state
/// was reached, where the job would end.
pub fn check_state(bytes: &[u8]) -> (usize, StateSize) {
    let mut good = 0;
    let size = run(&mut Source::new(bytes), &mut good).unwrap_or_default();
    (good, size)
}

fn run(source: &mut Source<'_>, good: &mut usize) -> Result<StateSize, StateError> {
    let (mut state, keys) = empty()?;
    for round in 0..4_i64 {
        let (now, size) = (EventTime::from_micros(round * 3), state.size());
        let before;
        (before, state) = kept(state, &keys, EventTime::MIN)?;
        let mut written = before.clone();
        let call = state.begin(&keys, 0..KEYS, now, |_| now.micros())?;
        let mut host = HostState::new(Arc::new(Limits { state_bytes: ByteSize(400), ..Limits::default() }), Arc::default());
        host.begin(Some(3));
        host.keyed = Some(call);
        let refused = (0..source.byte() % 8).any(|_| step(&mut host, source, &mut written).is_err());
        let Some(mut call) = host.keyed.take() else { return Ok(size) };
        if refused {
            let after;
            (after, state) = kept(call.abort(), &keys, EventTime::MIN)?;
            assert_eq!((after, state.size()), (before, size), "a call that failed left a trace");
            continue;
        }
        written.entries = entries(&mut call)?;
        let read;
        (read, state) = kept(call.commit()?, &keys, now)?;
        assert_eq!(read, written, "the next call reads what the last one wrote");
        *good += 1;
    }
    Ok(state.size())
}

/// A state with a slot of each kind and a timer of each clock, and the keys of all calls.
fn empty() -> Result<(Box<KeyedState>, KeyBatch), StateError> {
    let slot = |name: &str, kind, ttl_micros| Slot { name: name.into(), kind, version: 1, ttl_micros };
    let slots = vec![slot("value", SlotKind::Value, None), slot("list", SlotKind::List, Some(8)), slot("map", SlotKind::Map, Some(8))];
    let limits = StateLimits { value_bytes: ByteSize(24), keys: 9, timers: 9, ..StateLimits::default() };
    let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::DEFAULT);
    let mut state = Box::new(KeyedState::in_memory(codec, slots, [TimerClock::EventTime, TimerClock::ProcessingTime], limits));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let mut keys = KeyBatch::default();
    state.keys_of(&[names], KEYS, &mut keys)?;
    Ok((state, keys))
}

/// Everything that a state holds, or is to hold after a call.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    /// The value of each key; it never expires.
    values: Vec<Option<Vec<u8>>>,
    /// Map keys and values of the list and the map of each key.
    entries: Vec<[Vec<Vec<u8>>; 2]>,
    /// Of those that wait: which, of which key, and when.
    timers: BTreeSet<(u32, Option<usize>, i64)>,
}

/// What a state holds that has not expired at this watermark.
fn kept(state: Box<KeyedState>, keys: &KeyBatch, watermark: EventTime) -> Result<(Kept, Box<KeyedState>), StateError> {
    let clocks = [TimerClock::EventTime, TimerClock::ProcessingTime];
    let waiting: Vec<Timer> = clocks.into_iter().flat_map(|clock| state.timers().iter(clock).cloned()).collect();
    let mut call = state.begin(keys, 0..KEYS, watermark, |_| i64::MIN)?;
    let key_of = |timer: &Timer| call.keys().keys().iter().position(|key| *key == *timer.key);
    let timers = waiting.iter().map(|timer| (timer.timer, key_of(timer), timer.at)).collect();
    let value_of = |key| call.values().first().and_then(|values| values.get(key)).map(<[u8]>::to_vec);
    let values = (0..KEYS).map(value_of).collect();
    let entries = entries(&mut call)?;
    Ok((Kept { values, entries, timers }, call.abort()))
}

/// What a call reads of lists and maps, its own writes included.
fn entries(call: &mut StateCall) -> Result<Vec<[Vec<Vec<u8>>; 2]>, StateError> {
    let mut all = Vec::new();
    for (slot, key) in (0..3).flat_map(|key| [(SlotId(1), key), (SlotId(2), key)]) {
        let (mut map_keys, mut values, mut from) = (Vec::new(), Vec::new(), None);
        loop {
            let page = call.scan(slot, key, from, usize::MAX)?;
            map_keys.extend(page.keys.iter().map(<[u8]>::to_vec));
            values.extend(page.values.iter().map(<[u8]>::to_vec));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        all.push([map_keys, values]);
    }
    Ok(all)
}

/// One thing that a guest asks for; what it does to values and timers is noted in `written`.
fn step(host: &mut HostState, source: &mut Source<'_>, written: &mut Kept) -> Result<(), crate::Situation> {
    let (function, slot, key) = (source.byte() % 8, u32::from(source.byte() % 4), u32::from(source.byte() % 4));
    match function {
        0 => {
            let keys: Vec<u32> = (0..source.byte() % 4).map(|_| u32::from(source.byte() % 4)).collect();
            let (validity, values) = (source.bitmap(keys.len()), source.var(keys.len()));
            let states = OutSlotStates { validity, values };
            host.put_states(slot, &keys, states.clone())?;
            let states = slot_states(states)?;
            for (index, key) in keys.iter().enumerate() {
                let place = written.values.get_mut(*key as usize);
                place.into_iter().for_each(|place| *place = states.get(index).map(<[u8]>::to_vec));
            }
            Ok(())
        }
        1 => host.get(slot, key, strings(source)).map(drop),
        2 => {
            let from = source.byte().is_multiple_of(2).then(|| u64::from(source.byte()) << (source.byte() % 64));
            host.scan(slot, key, from, u32::from(source.byte())).map(drop)
        }
        3 => host.append(slot, key, strings(source)),
        4 => host.put(slot, key, strings(source), strings(source)),
        5 => {
            let map_keys = source.byte().is_multiple_of(2).then(|| strings(source));
            host.remove(slot, key, map_keys)
        }
        set_or_clear => {
            let keys: Vec<u32> = (0..source.byte() % 4).map(|_| u32::from(source.byte() % 4)).collect();
            let at: Vec<i64> = (0..source.length(keys.len())).map(|_| i64::from(source.byte())).collect();
            let set = set_or_clear == 6;
            host.timers(set, slot, &keys, &at)?;
            for (key, at) in keys.iter().zip(at) {
                let timer = (slot, Some(*key as usize), at);
                if set {
                    written.timers.insert(timer)
                } else {
                    written.timers.remove(&timer)
                };
            }
            Ok(())
        }
    }
}

fn strings(source: &mut Source<'_>) -> OutVarValues {
    let count = usize::from(source.byte() % 4);
    source.var(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stygian_state::Values;

    /// What fuzzing has found to reach new code; one input a line, in hexadecimal digits.
    const CORPUS: &str = include_str!("../fuzz-corpus-state.hex");

    #[test]
    fn the_corpus_breaks_nothing() {
        for line in CORPUS.lines() {
            let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).expect("two digits");
            check_state(&(0..line.len()).step_by(2).map(byte).collect::<Vec<_>>());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn calls_of_strangers_break_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            check_state(&bytes);
        }
    }

    #[test]
    fn a_value_of_equal_length_and_a_timer_that_was_moved_are_seen() {
        let kept_of = |value: &[u8], at| {
            let (state, keys) = empty().expect("text");
            let mut call = state.begin(&keys, 0..KEYS, EventTime::MIN, |_| 0).expect("begun");
            call.put_values(SlotId(0), &[1], Values::from_iter([Some(value)])).expect("small");
            call.set_timers(1, &[1], &[at]);
            kept(call.commit().expect("within limits"), &keys, EventTime::MIN).expect("read").0
        };
        let kept = kept_of(b"x", 5);
        assert_eq!((&kept.values[1], kept.timers.first()), (&Some(b"x".to_vec()), Some(&(1, Some(1), 5))));
        assert_eq!(kept, kept_of(b"x", 5));
        assert_ne!(kept, kept_of(b"y", 5));
        assert_ne!(kept, kept_of(b"x", 6));
    }

    #[test]
    fn the_bytes_lead_to_calls_that_go_well_and_keep_something() {
        let mut state = 1_u64;
        let mut most = (0, 0);
        for _ in 0..2_000 {
            let mut byte = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            };
            let bytes: Vec<u8> = (0..200).map(|_| byte()).collect();
            let (good, size) = check_state(&bytes);
            most = (most.0.max(good), most.1.max(size.keys));
        }
        assert!(most.0 == 4 && most.1 >= 3, "{most:?}");
    }
}
