//! Hostile migrations: each fails the call that came by an old value, and no other; the old bytes stay, for a plugin that does better.

use super::state::{GOOD, KEYS, begin, begin_timers, limits as state_limits, work};
use super::{ROWS, assert_the_same};
use crate::guests::Guest;
use crate::host::{CONTEXT, load, rows};
use arrow_array::{ArrayRef, StringArray};
use std::sync::{Arc, LazyLock};
use stygian_core::{ByteSize, ColumnType, EventTime, MaxParallelism, SlotKind, StateSection, TimerClock};
use stygian_sandbox::{
    BadOutput, CallContext, CallError, Capture, KeyedCall, KeyedOperator, Limits, Migrating, Plugin, SandboxError, Situation, Step,
    TimeLimit, Verdict,
};
use stygian_state::{KeyCodec, KeyedState, Slot, SlotId, StateError, VersionCount};

/// Reads everything that was stored, and so migrates it.
const READS: &str = "(func $process
  (call $scan (i32.const 1) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0xFFFF) (i32.const 512))
  (call $scan (i32.const 2) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0xFFFF) (i32.const 512)))";

static NEWER: LazyLock<Plugin> = LazyLock::new(|| hostile("newer", READS));

/// What the good plugin, of version 1, has left.
static LEFT: LazyLock<Vec<StateSection>> =
    LazyLock::new(|| work(super::state::empty(state_limits()), CONTEXT.processing_time).snapshot(|_| true).expect("in memory"));

fn hostile(name: &str, wat: &str) -> Plugin {
    let limits = Limits { state_bytes: ByteSize::mib(1), ..super::limits() };
    load(name, &Guest::migrating().build(wat)).expect("a plugin").with_limits(limits)
}

fn operator(plugin: &Plugin) -> KeyedOperator {
    plugin.keyed_operator("node", "{}", &rows(ROWS).schema()).expect("an operator")
}

/// A state of version 2 that holds what was left.
fn restored() -> Box<KeyedState> {
    let description = NEWER.describe("{}").expect("a description");
    let slots: Vec<Slot> = description.slots.iter().map(Slot::from).collect();
    assert!(description.slots.iter().all(|slot| slot.version == 2 && slot.reads.contains(&1)));
    let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::DEFAULT);
    let mut state = Box::new(KeyedState::in_memory(
        codec,
        slots,
        description.timers.iter().map(|timer| timer.clock).collect::<Vec<_>>(),
        state_limits(),
    ));
    LEFT.iter().for_each(|section| state.restore(section).expect("of the same slots"));
    state
}

fn counts(state: &KeyedState) -> Vec<(String, u32, u64)> {
    state.versions().into_iter().map(|VersionCount { slot, version, values }| (slot, version, values)).collect()
}

fn old() -> Vec<(String, u32, u64)> {
    [("value", 1, 1), ("list", 1, 1), ("map", 1, 3)].map(|(slot, version, values)| (slot.to_owned(), version, values)).into()
}

/// The call that fails: the one on rows, or the one on timers where that goes well. What it has written is dropped.
fn fail(operator: &mut KeyedOperator, state: Box<KeyedState>) -> (CallError, Box<KeyedState>) {
    let context = CallContext { processing_time: 9, ..CONTEXT };
    let mut called = operator.process(context, &rows(ROWS), 0..ROWS, begin(state));
    if called.result.is_ok() {
        called = operator.on_timers(context, begin_timers(called.state.abort()));
    }
    (called.result.expect_err("a failed call"), called.state.abort())
}

pub(super) fn run(plugin: &Plugin) -> CallError {
    fail(&mut operator(plugin), restored()).0
}

fn check(plugin: &Plugin, expected: impl Fn(&Situation) -> bool) {
    let (mut operator, mut state) = (operator(plugin), restored());
    let before = (counts(&state), state.size());
    assert_eq!(before.0, old());
    let twice = [(); 2].map(|()| {
        let (error, untouched) = fail(&mut operator, std::mem::replace(&mut state, restored()));
        state = untouched;
        assert_eq!((counts(&state), state.size()), before, "the old bytes stay");
        error
    });
    let error = &twice[0];
    assert!(expected(&error.situation), "{error:?}");
    assert_eq!((error.operator.as_str(), error.plugin.as_str(), error.step), ("node", "guest@1.2.3", Step::Migrate));
    let Some(Migrating { from_version: 1, to_version: 2, .. }) = error.migrating else { panic!("{error:?}") };
    assert!(
        error.to_string().contains("`migrate` of 1 value of slot `") || error.to_string().contains("`migrate` of 3 values of slot `map`"),
        "{error}"
    );
    assert_the_same(twice);

    let called = self::operator(&NEWER).process(CONTEXT, &rows(ROWS), 0..ROWS, begin(state));
    called.result.expect("a good call");
    let state = called.state.commit().expect("within the limits");
    assert!(counts(&state).iter().all(|(_, version, _)| *version == 2), "{:?}", counts(&state));
}

use BadOutput::*;
use Situation::*;

cases! {
    "migration":
    traps => Trap { panic: None, .. },
    panics => Trap { panic: Some(_), .. },
    spins => Timeout { limit: TimeLimit::Cpu(_), .. },
    recurses => StackOverflow { .. },
    eats_memory => OutOfMemory { .. },
    floods_logs => TooManyLogs { limit: 100 },
    returns_an_error => GuestError(_),
    too_few => BadOutput(MigratedCount { expected: 1, found: 0 }),
    too_many => BadOutput(MigratedCount { expected: 1, found: 999 }),
    no_offsets => BadOutput(Malformed(_)),
    lying_offsets => BadOutput(Malformed(_)),
    negative_offset => BadOutput(Malformed(_)),
    list_outside => BadOutput(Malformed(_)),
    unknown_result => BadOutput(Malformed(_)),
    huge => TooManyBytes { limit: ByteSize(0x100_0000) },
    too_much => TooMuchState { limit: ByteSize(0x10_0000) },
    huge_value => State(StateError::ValueTooLarge { size: ByteSize(0x10001), limit: ByteSize(0x10000), .. }),
    writes_state => BadOutput(OutsideProcess { function: "put-states" }),
    reads_state => BadOutput(OutsideProcess { function: "get" }),
    sets_timers => BadOutput(OutsideProcess { function: "set-timers" }),
    dead_letters => BadOutput(OutsideProcess { function: "dead-letter" }),
    list_traps => Trap { panic: None, .. },
    list_spins => Timeout { limit: TimeLimit::Cpu(_), .. },
    list_too_few => BadOutput(MigratedCount { expected: 1, found: 0 }),
    map_traps => Trap { panic: None, .. },
    entry_eats_memory => OutOfMemory { .. },
    entry_huge => State(StateError::ValueTooLarge { size: ByteSize(0x10001), limit: ByteSize(0x10000), .. }),
    timers_list_traps => Trap { panic: None, .. },
}

#[test]
fn every_file_is_a_case() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sandbox/hostile/migration");
    assert_eq!(std::fs::read_dir(folder).expect("the folder").count(), all().len());
}

#[test]
fn a_good_migration_is_seen_by_the_call_and_moves_the_versions_on() {
    // Adds a byte to every value.
    let longer = "(func $migrate
      (local $offset i32) (local $at i32) (local $to i32)
      (local.set $to (i32.const 16384))
      (i32.store (local.get $to) (i32.const 0))
      (loop $next
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (if (i32.lt_u (local.get $at) (i32.load (i32.const 712))) (then
          (i32.store
            (i32.add (local.get $to) (i32.mul (local.get $at) (i32.const 4)))
            (i32.add (local.get $at) (i32.load (i32.add (i32.load (i32.const 708)) (i32.mul (local.get $at) (i32.const 4))))))
          (br $next))))
      (i32.store (i32.const 708) (local.get $to))
      (i32.store (i32.const 720) (i32.add (i32.load (i32.const 720)) (i32.sub (i32.load (i32.const 712)) (i32.const 1)))))";
    let plugin = hostile("longer", &format!("{READS}{longer}"));
    let called = operator(&plugin).process(CONTEXT, &rows(ROWS), 0..ROWS, begin(restored()));
    called.result.expect("a good call");
    let state = called.state.commit().expect("within the limits");
    // The call has set the value again, added an entry to the list, and set one of the map's again.
    let expected = [("value", 2, 1), ("list", 2, 2), ("map", 2, 3)];
    assert_eq!(counts(&state), expected.map(|(slot, version, values)| (slot.to_owned(), version, values)));
    let mut call = begin(state);
    let list = call.scan(SlotId(1), 0, None, usize::MAX).expect("entries").values;
    assert_eq!(list.iter().map(<[u8]>::len).collect::<Vec<_>>(), [9, 8]);
    let map = call.scan(SlotId(2), 0, None, usize::MAX).expect("entries").values;
    let mut lengths: Vec<usize> = map.iter().map(<[u8]>::len).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [8, 0x4001, 0x4002]);
}

#[test]
fn what_a_migration_keeps_between_calls_shows_in_what_the_calls_write() {
    let counts = "(global $calls (mut i32) (i32.const 0))
      (func $process)
      (func $migrate
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.store (i32.const 8192) (global.get $calls))
        (i32.store (i32.const 716) (i32.const 8192)))";
    let written = |operator: &mut KeyedOperator| {
        let call = operator.on_timers(CONTEXT, begin_timers(restored()));
        call.result.expect("a good call");
        call.state.written()
    };
    // The value is set again by the call, so it is the list that tells.
    let plugin = hostile(
        "impure",
        &format!(
            "{counts}{}",
            "(func $on_timers
      (call $scan (i32.const 1) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 64) (i32.const 512)))"
        ),
    );
    let (mut fresh, mut used) = (operator(&plugin), operator(&plugin));
    let first = written(&mut used);
    assert_eq!(written(&mut fresh), first);
    assert_ne!(written(&mut used), first);
}

#[test]
fn a_failed_migration_is_replayed_with_the_versions_it_had() {
    let plugin = hostile("list_traps", include_str!("migration/list_traps.wat"));
    let mut operator = operator(&plugin);
    let KeyedCall { result, state } = operator.process(CONTEXT, &rows(ROWS), 0..ROWS, begin(restored()));
    let (error, mut call) = (result.expect_err("a failed call"), begin(state.abort()));
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(KEYS.iter().cycle().take(ROWS)));
    let capture = operator.capture(CONTEXT, (&rows(ROWS), &(0..ROWS)), &[keys], &mut call, EventTime::MIN, &error).expect("a capture");
    let capture = Capture::from_bytes(&capture.to_bytes().expect("written")).expect("read");
    assert_eq!((capture.record.failure.step.as_str(), capture.record.failure.kind.as_str()), ("`migrate`", "trap"));
    assert!(capture.keyed.as_ref().is_some_and(|inputs| inputs.versions.is_some()));
    let verdict = |plugin: &Plugin| capture.replay(plugin).map(|replay| replay.verdict);
    assert_eq!(verdict(&plugin).expect("a replay"), Verdict::Same);
    assert_eq!(verdict(&NEWER).expect("a replay"), Verdict::Passes);
    let refused = verdict(&GOOD).expect_err("of version 1");
    assert!(refused.to_string().contains("has no value slot `value` of version 2"), "{refused}");
}

#[test]
fn values_of_a_version_that_is_not_read_are_no_fault_of_the_rows() {
    let reads_of_the_map = "(func $reads
      (i32.store (i32.const 768) (i32.const 800))
      (i32.store (i32.const 772) (i32.const 1)))";
    let error = run(&hostile("map_alone", reads_of_the_map));
    assert!(
        matches!(&error.situation, Situation::Host(what) if what.contains("of version 1, which the plugin does not migrate")),
        "{error:?}"
    );
    assert_eq!(error.blame(), stygian_sandbox::Blame::Host);
}

#[test]
fn what_reads_says_is_checked_and_limited() {
    let says = |wat: &str| {
        let error = hostile("reads", wat).describe("{}").expect_err("a refusal");
        error.to_string()
    };
    let spins = says("(func $reads (loop $forever (br $forever)))");
    assert!(spins.contains("`reads`") && spins.contains("call_cpu"), "{spins}");
    for (wat, part) in [
        ("(func $reads (i32.store (i32.const 776) (i32.const 3)))", "migrates slot 3, and declares 3"),
        ("(func $reads (i32.store (i32.const 812) (i32.const 2)))", "slot `value` from version 2, which is none before its own, 2"),
        ("(func $reads (i32.store (i32.const 812) (i32.const 0)))", "slot `value` from version 0"),
        ("(func $reads (i32.store (i32.const 784) (i32.const 5000)))", "from 5000 versions, at most 1000"),
    ] {
        let said = says(wat);
        assert!(said.contains("describes itself wrongly") && said.contains(part), "{said}");
    }
    let plugin = load("one", &Guest::migrating().of_version(1).build("")).expect("a plugin");
    assert!(matches!(plugin.describe("{}"), Err(SandboxError::Description { .. })), "it has no older versions");
}

#[test]
fn slots_have_the_kinds_that_the_cases_rely_on() {
    let description = NEWER.describe("{}").expect("a description");
    let kinds: Vec<SlotKind> = description.slots.iter().map(|slot| slot.kind).collect();
    assert_eq!(kinds, [SlotKind::Value, SlotKind::List, SlotKind::Map]);
    assert_eq!(description.timers[0].clock, TimerClock::EventTime);
}
