//! Hostile keyed plugins: as all others, and a call that failed leaves the state as it was, whatever it wrote before.

use super::{ROWS, assert_the_same};
use crate::guests::Guest;
use crate::host::{CONTEXT, load, rows};
use arrow_array::{ArrayRef, StringArray};
use std::sync::{Arc, LazyLock};
use stygian_core::{ByteSize, ColumnType, EventTime, MaxParallelism, TimerClock};
use stygian_sandbox::{
    BadOutput, CallContext, CallError, KeyedCall, KeyedOperator, Limits, Plugin, SandboxError, Situation, Step, TimeLimit,
};
use stygian_state::{Entries, KeyBatch, KeyCodec, KeyedState, Slot, SlotId, StateCall, StateError, StateLimits, StateSize, Timer, Values};

/// The keys of rows, one after the other; the last is large.
pub(super) static KEYS: LazyLock<[String; 3]> = LazyLock::new(|| ["a".into(), "b".into(), "c".repeat(0x1000)]);

/// Beside what each call writes, two large entries that are the first of the map of key 0.
const ENTRIES: &str = "(func $process
  (call $put_entry (i32.const 2) (i32.const 0) (i32.const 8192) (i32.const 0x4000))
  (call $put_entry (i32.const 2) (i32.const 0) (i32.const 8192) (i32.const 0x4001)))";

pub(super) static GOOD: LazyLock<Plugin> = LazyLock::new(|| hostile("good", ENTRIES));

/// Less than the defaults, so that each limit is reached soon.
fn hostile(name: &str, wat: &str) -> Plugin {
    let limits = Limits { state_bytes: ByteSize::mib(1), timers: 1000, ..super::limits() };
    load(name, &Guest::keyed().build(wat)).expect("a plugin").with_limits(limits)
}

fn operator(plugin: &Plugin) -> KeyedOperator {
    plugin.keyed_operator("node", "{}", &rows(ROWS).schema()).expect("an operator")
}

pub(super) fn limits() -> StateLimits {
    StateLimits { value_bytes: ByteSize::kib(64), ..StateLimits::default() }
}

pub(super) fn empty(limits: StateLimits) -> Box<KeyedState> {
    let description = GOOD.describe("{}").expect("a description");
    let slots: Vec<Slot> = description.slots.iter().map(Slot::from).collect();
    let clocks: Vec<TimerClock> = description.timers.iter().map(|timer| timer.clock).collect();
    Box::new(KeyedState::in_memory(KeyCodec::new(vec![ColumnType::Text], MaxParallelism::DEFAULT), slots, clocks, limits))
}

pub(super) fn begin(mut state: Box<KeyedState>) -> StateCall {
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(KEYS.iter().cycle().take(ROWS)));
    let mut keys = KeyBatch::default();
    state.keys_of(&[names], ROWS, &mut keys).expect("keys");
    state.begin(&keys, 0..ROWS, EventTime::MIN, |_| 0).expect("a call")
}

/// A call on the one timer that the good plugin has set.
pub(super) fn begin_timers(state: Box<KeyedState>) -> StateCall {
    state.begin_timers(TimerClock::EventTime, CONTEXT.processing_time, 10, EventTime::MIN).expect("state").expect("a timer that is due")
}

/// A call of a plugin that does nothing wrong. What it writes is the processing time.
pub(super) fn work(state: Box<KeyedState>, processing_time: i64) -> Box<KeyedState> {
    let context = CallContext { processing_time, ..CONTEXT };
    let KeyedCall { result, state } = operator(&GOOD).process(context, &rows(ROWS), 0..ROWS, begin(state));
    result.expect("a good call");
    state.commit().expect("within the limits")
}

/// Everything that is in the state.
#[derive(Debug, PartialEq)]
struct Kept {
    values: Vec<Values>,
    /// Of the list and the map of each key.
    entries: Vec<Entries>,
    next: Vec<Timer>,
    timers: usize,
    size: StateSize,
}

fn kept(state: Box<KeyedState>) -> (Kept, Box<KeyedState>) {
    let (timers, size) = (state.timers().len(), state.size());
    let next = state.timers().due(TimerClock::EventTime, i64::MAX, usize::MAX);
    let mut call = begin(state);
    let places = (0..3).flat_map(|key| [(SlotId(1), key), (SlotId(2), key)]);
    let entries = places.map(|(slot, key)| call.scan(slot, key, None, usize::MAX).expect("entries")).collect();
    let kept = Kept { values: call.values().to_vec(), entries, next, timers, size };
    (kept, call.abort())
}

/// The call that fails: the one on rows, or the one on timers where that goes well.
fn fail(operator: &mut KeyedOperator, state: Box<KeyedState>) -> (CallError, Box<KeyedState>) {
    let context = CallContext { processing_time: 9, ..CONTEXT };
    let mut called = operator.process(context, &rows(ROWS), 0..ROWS, begin(state));
    if called.result.is_ok() {
        called = operator.on_timers(context, begin_timers(called.state.abort()));
    }
    (called.result.expect_err("a failed call"), called.state.abort())
}

pub(super) fn run(plugin: &Plugin) -> CallError {
    fail(&mut operator(plugin), work(empty(limits()), CONTEXT.processing_time)).0
}

fn check(plugin: &Plugin, expected: impl Fn(&Situation) -> bool) {
    let (before, mut state) = kept(work(empty(limits()), CONTEXT.processing_time));
    let mut operator = operator(plugin);
    let twice = [(); 2].map(|()| {
        let (error, untouched) = fail(&mut operator, std::mem::replace(&mut state, empty(limits())));
        let after;
        (after, state) = kept(untouched);
        assert_eq!(after, before, "a failed call leaves no trace");
        error
    });
    let error = &twice[0];
    assert!(expected(&error.situation), "{error:?}");
    let rows = if error.step == Step::OnTimers { 0..1 } else { 0..ROWS };
    assert_eq!((error.operator.as_str(), error.plugin.as_str(), error.rows.clone()), ("node", "guest@1.2.3", rows));
    assert_the_same(twice);

    let (after, _) = kept(work(state, 8));
    assert_eq!(after.values[0].get(0), Some(&8_i64.to_le_bytes()[..]), "the same state takes what a good plugin writes");
    assert_eq!((after.entries[0].values.len(), after.timers), (2, 2));
}

use BadOutput::*;
use Situation::*;

cases! {
    "state":
    put_key_out_of_range => BadOutput(NoSuchKey { function: "put-states", key: 3, keys: 3 }),
    append_key_out_of_range => BadOutput(NoSuchKey { function: "append", key: 3, keys: 3 }),
    get_key_out_of_range => BadOutput(NoSuchKey { function: "get", key: 3, keys: 3 }),
    put_entry_key_out_of_range => BadOutput(NoSuchKey { function: "put", key: 3, keys: 3 }),
    scan_key_out_of_range => BadOutput(NoSuchKey { function: "scan", key: 3, keys: 3 }),
    remove_key_out_of_range => BadOutput(NoSuchKey { function: "remove", key: 3, keys: 3 }),
    put_undeclared_slot => BadOutput(NoSuchSlot { function: "put-states", index: 9, declared: 3 }),
    put_value_in_list => BadOutput(WrongSlot { function: "put-states", kind: "list", .. }),
    put_value_in_map => BadOutput(WrongSlot { function: "put-states", kind: "map", .. }),
    append_to_value => BadOutput(WrongSlot { function: "append", kind: "value", .. }),
    append_to_map => BadOutput(WrongSlot { function: "append", kind: "map", .. }),
    put_entry_in_value => BadOutput(WrongSlot { function: "put", kind: "value", .. }),
    put_entry_in_list => BadOutput(WrongSlot { function: "put", kind: "list", .. }),
    get_from_value => BadOutput(WrongSlot { function: "get", kind: "value", .. }),
    get_from_list => BadOutput(WrongSlot { function: "get", kind: "list", .. }),
    scan_value => BadOutput(WrongSlot { function: "scan", kind: "value", .. }),
    remove_value => BadOutput(WrongSlot { function: "remove", kind: "value", .. }),
    remove_entry_of_list => BadOutput(WrongSlot { function: "remove", kind: "list", .. }),
    lying_offsets => BadOutput(Malformed(_)),
    negative_offset => BadOutput(Malformed(_)),
    falling_offsets => BadOutput(Malformed(_)),
    no_offsets => BadOutput(Malformed(_)),
    list_outside => BadOutput(Malformed(_)),
    answers_go_nowhere => BadOutput(Malformed(_)),
    short_validity => BadOutput(Malformed(_)),
    too_few_values => BadOutput(ValueCount { function: "put-states", expected: 2, found: 1 }),
    entry_without_value => BadOutput(ValueCount { function: "put", expected: 1, found: 0 }),
    huge_value => State(StateError::ValueTooLarge { size: ByteSize(0x10001), limit: ByteSize(0x10000), .. }),
    huge_list_entry => State(StateError::ValueTooLarge { size: ByteSize(0x10001), limit: ByteSize(0x10000), .. }),
    huge_map_entry => State(StateError::ValueTooLarge { size: ByteSize(0x10001), limit: ByteSize(0x10000), .. }),
    floods_values => TooMuchState { limit: ByteSize(0x10_0000) },
    floods_appends => TooMuchState { limit: ByteSize(0x10_0000) },
    floods_entries => TooMuchState { limit: ByteSize(0x10_0000) },
    floods_removals => TooMuchState { limit: ByteSize(0x10_0000) },
    floods_reads => TooMuchState { limit: ByteSize(0x10_0000) },
    floods_nothing => TooManyHostCalls { limit: 10_000 },
    asks_for_one_entry_many_times => TooMuchState { limit: ByteSize(0x10_0000) },
    scans_what_it_removed => TooMuchState { limit: ByteSize(0x10_0000) },
    scan_list_from_nowhere => State(StateError::NoSuchPlace { from: 1, .. }),
    scan_map_from_nowhere => State(StateError::NoSuchPlace { from: 0, .. }),
    scan_from_another_slot => State(StateError::NoSuchPlace { from: 0, .. }),
    scan_from_another_key => State(StateError::NoSuchPlace { from: 0, .. }),
    set_undeclared_timer => BadOutput(NoSuchTimer { index: 9, declared: 2 }),
    clear_undeclared_timer => BadOutput(NoSuchTimer { index: 2, declared: 2 }),
    set_timer_key_out_of_range => BadOutput(NoSuchKey { function: "set-timers", key: 3, keys: 3 }),
    clear_timer_key_out_of_range => BadOutput(NoSuchKey { function: "clear-timers", key: u32::MAX, keys: 3 }),
    set_too_few_times => BadOutput(ValueCount { function: "set-timers", expected: 2, found: 1 }),
    clear_too_many_times => BadOutput(ValueCount { function: "clear-timers", expected: 1, found: 2 }),
    floods_timers => TooManyTimers { limit: 1000 },
    floods_timers_at_once => TooManyTimers { limit: 1000 },
    floods_timers_of_a_large_key => TooMuchState { limit: ByteSize(0x10_0000) },
    floods_cleared_timers => TooManyTimers { limit: 1000 },
    select_row_out_of_range => BadOutput(NoSuchRow { function: "select", row: 50, rows: 50 }),
    removes_all_and_traps => Trap { panic: None, .. },
    spins => Timeout { limit: TimeLimit::Cpu(_), .. },
    panics => Trap { panic: Some(_), .. },
    recurses => StackOverflow { .. },
    eats_memory => OutOfMemory { .. },
    returns_an_error => GuestError(_),
    timers_trap => Trap { panic: None, .. },
    timers_spin => Timeout { limit: TimeLimit::Cpu(_), .. },
    timers_return_an_error => GuestError(_),
    timers_set_again_and_trap => Trap { panic: None, .. },
    timers_key_out_of_range => BadOutput(NoSuchKey { function: "put-states", key: 1, keys: 1 }),
    timers_select => BadOutput(NoSuchRow { function: "select", row: 0, rows: 0 }),
    timers_dead_letter => BadOutput(NoSuchRow { function: "dead-letter", row: 0, rows: 0 }),
    timers_emit_with_parent => BadOutput(NoSuchRow { function: "emit", row: 0, rows: 0 }),
    timers_emit_for_all_rows => BadOutput(ParentCount { parents: 0, rows: 1, .. }),
}

#[test]
fn every_file_is_a_case() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sandbox/hostile/state");
    assert_eq!(std::fs::read_dir(folder).expect("the folder").count(), all().len());
}

#[test]
fn there_is_no_state_outside_of_a_call() {
    let calls = [
        ("put-states", "$put_one (i32.const 0) (i32.const 0) (i32.const 256) (i32.const 17)"),
        ("get", "$get_entry (i32.const 2) (i32.const 0) (i32.const 256) (i32.const 17)"),
        ("scan", "$scan (i32.const 1) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 64) (i32.const 512)"),
        ("append", "$append_one (i32.const 1) (i32.const 0) (i32.const 256) (i32.const 17)"),
        ("put", "$put_entry (i32.const 2) (i32.const 0) (i32.const 256) (i32.const 17)"),
        ("remove", "$remove_entry (i32.const 2) (i32.const 0) (i32.const 256) (i32.const 17)"),
        ("set-timers", "$set_timer (i32.const 0) (i32.const 0) (i64.const 1)"),
        ("clear-timers", "$clear_timer (i32.const 0) (i32.const 0) (i64.const 1)"),
        ("dead-letter", "$dead_letter (i32.const 0) (i32.const 256) (i32.const 17)"),
    ];
    for (called, call) in calls {
        for (name, step) in [("$describe", Step::Describe), ("$open", Step::Open)] {
            let plugin = hostile("outside", &format!("(func {name} (call {call}))"));
            let error = plugin.keyed_operator("node", "{}", &rows(ROWS).schema()).expect_err("no operator");
            let SandboxError::Call(error) = error else { panic!("{error:?}") };
            assert_eq!(error.step, step);
            assert!(matches!(error.situation, BadOutput(OutsideProcess { function }) if function == called), "{error:?}");
        }
    }
}

#[test]
fn what_is_larger_than_output_may_be_is_still_refused_for_what_it_is() {
    let wat = "(func $process
      (drop (memory.grow (i32.const 320)))
      (call $append_one (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 20971520)))";
    let plugin = hostile("huge", wat).with_limits(Limits { state_bytes: ByteSize::mib(32), ..super::limits() });
    check(&plugin, |situation| matches!(situation, State(StateError::ValueTooLarge { size: ByteSize(20_971_520), .. })));
}

#[test]
fn a_state_that_grows_past_its_limits_ends_with_the_limit_and_the_slot() {
    let refused = |limits| {
        let called = operator(&GOOD).process(CONTEXT, &rows(ROWS), 0..ROWS, begin(empty(limits)));
        called.result.expect("a good call");
        called.state.commit().expect_err("a limit")
    };
    let error = refused(StateLimits { bytes: ByteSize(10_000), ..limits() });
    assert!(matches!(&error, StateError::TooManyBytes { slot, limit: ByteSize(10_000), .. } if slot == "value"), "{error:?}");
    let error = refused(StateLimits { keys: 2, ..limits() });
    assert!(matches!(&error, StateError::TooManyKeys { limit: 2, .. }), "{error:?}");
    assert_eq!(refused(StateLimits { timers: 0, ..limits() }), StateError::TooManyTimers { timers: 1, limit: 0 });
}
