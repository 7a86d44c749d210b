//! What fuzzers feed to the imports of keyed plugins: bytes become calls with slots, keys, offsets and bitmaps of a guest's choice. Nothing may
//! panic, a call that broke a rule must leave no trace, and one that went well must be read back by the next.

use crate::Limits;
use crate::fuzzing::Source;
use crate::host::HostState;
use crate::wire::{OutSlotStates, OutVarValues};
use arrow_array::{ArrayRef, StringArray};
use std::sync::Arc;
use stygian_core::{ByteSize, ColumnType, EventTime, MaxParallelism, SlotKind, TimerClock};
use stygian_state::{KeyBatch, KeyCodec, KeyedState, Slot, StateLimits, StateSize};

/// Runs calls of the bytes on a state of its own; returns how many went well, and what is kept in the end.
pub fn check_state(bytes: &[u8]) -> (usize, StateSize) {
    let mut source = Source::new(bytes);
    let slot = |name: &str, kind, ttl_micros| Slot { name: name.into(), kind, version: 1, ttl_micros };
    let slots = vec![slot("value", SlotKind::Value, None), slot("list", SlotKind::List, Some(8)), slot("map", SlotKind::Map, Some(8))];
    let limits = StateLimits { value_bytes: ByteSize(24), keys: 9, timers: 9, ..StateLimits::default() };
    let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::DEFAULT);
    let mut state = Box::new(KeyedState::in_memory(codec, slots, [TimerClock::EventTime, TimerClock::ProcessingTime], limits));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let mut keys = KeyBatch::default();
    if state.keys_of(&[names], 3, &mut keys).is_err() {
        return (0, StateSize::default());
    }
    let mut good = 0;
    for round in 0..4_i64 {
        let (before, timers) = (state.size(), state.timers().len());
        let Ok(call) = state.begin(&keys, 0..3, EventTime::from_micros(round * 3), |_| round * 3) else { return (good, before) };
        let mut host = HostState::new(Arc::new(Limits { state_bytes: ByteSize(400), ..Limits::default() }), Arc::default());
        host.begin(Some(3));
        host.keyed = Some(call);
        let refused = (0..source.byte() % 8).any(|_| step(&mut host, &mut source).is_err());
        let Some(call) = host.keyed.take() else { return (good, before) };
        if refused {
            state = call.abort();
            assert_eq!((state.size(), state.timers().len()), (before, timers), "a call that failed left a trace");
            continue;
        }
        match call.commit() {
            Ok(committed) => state = committed,
            // A limit of the state: the job would end here.
            Err(_) => return (good, before),
        }
        good += 1;
    }
    (good, state.size())
}

fn step(host: &mut HostState, source: &mut Source<'_>) -> Result<(), crate::Situation> {
    let (function, slot, key) = (source.byte() % 8, u32::from(source.byte() % 4), u32::from(source.byte() % 4));
    match function {
        0 => {
            let keys: Vec<u32> = (0..source.byte() % 4).map(|_| u32::from(source.byte() % 4)).collect();
            let (validity, values) = (source.bitmap(keys.len()), source.var(keys.len()));
            host.put_states(slot, &keys, OutSlotStates { validity, values })
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
            host.timers(set_or_clear == 6, slot, &keys, &at)
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
