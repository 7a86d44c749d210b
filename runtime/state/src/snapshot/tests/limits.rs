//! Limits hold for what is restored as for what grows.

use super::*;
use crate::StateError;
use stygian_core::ByteSize;

/// Writes 200 keys under limits, or what it says of them.
fn grown(limits: StateLimits) -> Result<Box<KeyedState>, StateError> {
    let names: Vec<String> = (0..200).map(|number| format!("key-{number}")).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut call = begin(state_of(slots(), limits), &keys, 5);
    (0..200).for_each(|key| put(&mut call, key, Some("some value of a key")));
    (0..200).for_each(|key| call.set_timers(0, &[key], &[9]));
    call.commit()
}

fn restored(limits: StateLimits) -> Result<Box<KeyedState>, StateError> {
    let mut whole = grown(StateLimits::default()).expect("within limits");
    let mut restored = state_of(slots(), limits);
    snapshot(&mut whole, true).iter().try_for_each(|section| restored.restore(section)).map(|()| restored)
}

#[test]
fn a_restored_state_over_its_limits_is_refused_as_when_it_grew() {
    let limits = StateLimits { keys: 199, ..StateLimits::default() };
    let (grew, came) = (grown(limits.clone()).expect_err("too many"), restored(limits).expect_err("too many"));
    assert_eq!(came, StateError::TooManyKeys { slot: "last".into(), keys: 200, limit: 199 });
    assert_eq!(grew.to_string(), came.to_string());
    let limits = StateLimits { timers: 199, ..StateLimits::default() };
    assert_eq!(restored(limits).expect_err("too many"), StateError::TooManyTimers { timers: 200, limit: 199 });
    let limits = StateLimits { bytes: ByteSize(10_000), ..StateLimits::default() };
    let (grew, came) = (grown(limits.clone()).expect_err("too many"), restored(limits).expect_err("too many"));
    for error in [grew, came] {
        assert!(matches!(&error, StateError::TooManyBytes { slot, keys: 200, .. } if slot == "last"), "{error}");
    }
}

#[test]
fn what_room_is_to_spare_does_not_refuse_a_state() {
    let mut whole = grown(StateLimits::default()).expect("within limits");
    let sections = snapshot(&mut whole, true);
    whole.backend.shrink();
    let limits = StateLimits { bytes: whole.size().bytes, ..StateLimits::default() };
    assert!(restored(limits.clone()).is_ok());
    let one_less = StateLimits { bytes: ByteSize(limits.bytes.0 - 1), ..limits };
    let mut other = state_of(slots(), one_less);
    assert!(sections.iter().try_for_each(|section| other.restore(section)).is_err());
}

#[test]
fn timers_that_wait_are_bytes_of_the_state() {
    let set = |timers: i64, bytes: u64| {
        let limits = StateLimits { bytes: ByteSize(bytes), ..StateLimits::default() };
        let mut call = begin(state_of(slots(), limits), &["a key"], 5);
        (0..timers).for_each(|at| call.set_timers(0, &[0], &[at]));
        call.commit()
    };
    let state = set(100, 10_000).expect("within limits");
    let size = state.size().bytes;
    assert!(size.0 > 100 * 64);
    assert!(matches!(set(101, size.0), Err(StateError::TooManyBytes { keys: 0, .. })));
    let mut call = begin(state, &["a key"], 5);
    (0..100).for_each(|at| call.clear_timers(0, &[0], &[at]));
    assert_eq!(call.commit().expect("within limits").size().bytes, ByteSize(0));
}
