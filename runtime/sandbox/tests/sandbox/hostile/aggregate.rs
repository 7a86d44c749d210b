//! Hostile aggregates: what they return is checked against what went in, and a failed call has no result.

use super::assert_the_same;
use crate::guests::Guest;
use crate::host::{load, rows};
use arrow_array::BinaryArray;
use arrow_array::cast::AsArray;
use std::sync::LazyLock;
use stygian_core::ByteSize;
use stygian_sandbox::{AggregateOperator, BadOutput, CallError, ColumnFault, Plugin, Situation, Step, TimeLimit};

static GOOD: LazyLock<Plugin> = LazyLock::new(|| hostile("good", ""));

fn hostile(name: &str, wat: &str) -> Plugin {
    load(name, &Guest::aggregate().build(wat)).expect("a plugin").with_limits(super::limits())
}

fn operator(plugin: &Plugin) -> AggregateOperator {
    plugin.aggregate("node", "{}").expect("an operator")
}

/// All three functions one after the other: groups of three rows each, merged with themselves, and the texts of the result.
#[allow(clippy::result_large_err)] // looked into at once
fn call(operator: &mut AggregateOperator) -> Result<Vec<String>, CallError> {
    let groups = BinaryArray::from_iter_values(["abc", "de", "f"]);
    let batch = rows(9);
    let accumulated = operator.accumulate(&groups, batch.columns(), &[0, 1, 2, 0, 1, 2, 0, 1, 2])?;
    let merged = operator.merge(&accumulated, &accumulated)?;
    let result = operator.finish(&merged)?;
    Ok(result[1].as_string::<i32>().iter().map(|text| text.unwrap_or("null").to_owned()).collect())
}

pub(super) fn run(plugin: &Plugin) -> CallError {
    call(&mut operator(plugin)).expect_err("a failed call")
}

fn check(plugin: &Plugin, expected: impl Fn(&Situation) -> bool) {
    let mut operator = operator(plugin);
    let twice = [(); 2].map(|()| call(&mut operator).expect_err("a failed call"));
    let error = &twice[0];
    assert!(expected(&error.situation), "{error:?}");
    let rows = if error.step == Step::Accumulate { 0..9 } else { 0..3 };
    assert_eq!((error.operator.as_str(), error.plugin.as_str(), error.rows.clone()), ("node", "guest@1.2.3", rows));
    assert_the_same(twice);
    assert_eq!(call(&mut self::operator(&GOOD)).expect("a good call"), ["abc", "de", "f"]);
}

use BadOutput::*;
use Situation::*;

cases! {
    "aggregate":
    accumulate_too_few => BadOutput(Column { fault: ColumnFault::Length { expected: 4, found: 3, .. }, .. }),
    accumulate_too_many => BadOutput(Column { fault: ColumnFault::Length { expected: 4, found: 5, .. }, .. }),
    accumulate_lying_offsets => BadOutput(Column { fault: ColumnFault::Offset { index: 1, offset: 0x10_0000, .. }, .. }),
    accumulate_negative_offset => BadOutput(Column { fault: ColumnFault::Offset { index: 0, offset: -1, .. }, .. }),
    accumulate_no_offsets => BadOutput(Column { fault: ColumnFault::Length { expected: 4, found: 0, .. }, .. }),
    accumulate_short_validity => BadOutput(Column { fault: ColumnFault::Length { expected: 1, found: 0, .. }, .. }),
    accumulate_list_outside => BadOutput(Malformed(_)),
    accumulate_huge => TooManyBytes { limit: ByteSize(0x100_0000) },
    accumulate_returns_an_error => GuestError(_),
    accumulate_traps => Trap { panic: None, .. },
    accumulate_spins => Timeout { limit: TimeLimit::Cpu(_), .. },
    accumulate_panics => Trap { panic: Some(_), .. },
    accumulate_recurses => StackOverflow { .. },
    accumulate_eats_memory => OutOfMemory { .. },
    accumulate_floods_logs => TooManyLogs { limit: 100 },
    merge_too_few => BadOutput(Column { fault: ColumnFault::Length { expected: 4, found: 3, .. }, .. }),
    merge_too_many => BadOutput(Column { fault: ColumnFault::Length { expected: 4, found: 5, .. }, .. }),
    merge_lying_offsets => BadOutput(Column { fault: ColumnFault::Offset { index: 1, offset: 0x10_0000, .. }, .. }),
    merge_returns_an_error => GuestError(_),
    merge_traps => Trap { panic: None, .. },
    merge_spins => Timeout { limit: TimeLimit::Cpu(_), .. },
    finish_too_few => BadOutput(ValueCount { function: "finish", expected: 3, found: 2 }),
    finish_too_many => BadOutput(ValueCount { function: "finish", expected: 3, found: 0x8000_0000 }),
    finish_too_few_values => BadOutput(Column { fault: ColumnFault::Length { expected: 3, found: 2, .. }, .. }),
    finish_wrong_column_count => BadOutput(ColumnCount { expected: 2, found: 1, .. }),
    finish_wrong_type => BadOutput(Column { fault: ColumnFault::Type { found: "int32", .. }, .. }),
    finish_unknown_type => BadOutput(Malformed(_)),
    finish_bad_utf8 => BadOutput(Column { fault: ColumnFault::NotUtf8 { row: 0 }, .. }),
    finish_lying_offsets => BadOutput(Column { fault: ColumnFault::Offset { index: 1, offset: 0x10_0000, .. }, .. }),
    finish_nulls_where_none_may_be => BadOutput(Column { fault: ColumnFault::Null { row: 0 }, .. }),
    finish_returns_an_error => GuestError(_),
    finish_traps => Trap { panic: None, .. },
    finish_spins => Timeout { limit: TimeLimit::Cpu(_), .. },
}

#[test]
fn every_file_is_a_case() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sandbox/hostile/aggregate");
    assert_eq!(std::fs::read_dir(folder).expect("the folder").count(), all().len());
}

/// Of the one slot, not of three.
const READS: &str = "(func $reads (i32.store (i32.const 772) (i32.const 1)))";

fn migrating(wat: &str) -> AggregateOperator {
    let plugin = load("migrating", &Guest::migrating_aggregate().build(&format!("{READS}{wat}"))).expect("a plugin");
    operator(&plugin.with_limits(super::limits()))
}

#[test]
fn accumulators_are_migrated_and_those_that_have_seen_nothing_stay_so() {
    let old = BinaryArray::from_iter([Some("abc"), None, Some("")]);
    let mut operator = migrating("");
    let (name, slot) = operator.accumulators();
    assert_eq!((name, slot.version, slot.reads.contains(&1)), ("guest", 2, true));
    assert_eq!(operator.migrate(1, &old).expect("migrated"), old);
    let none_declared = self::operator(&GOOD);
    assert_eq!(none_declared.accumulators().1.version, 1);
}

#[test]
fn a_migration_of_accumulators_fails_within_its_limits() {
    let fails = |wat: &str| migrating(wat).migrate(1, &BinaryArray::from_iter_values(["abc", "de"])).expect_err("a failure");
    let cases = [
        (include_str!("migration/traps.wat"), "the plugin trapped"),
        (include_str!("migration/spins.wat"), "call_cpu"),
        (include_str!("migration/too_few.wat"), "`migrate` returned 1 values for 2"),
        (include_str!("migration/eats_memory.wat"), "of memory"),
    ];
    for (wat, part) in cases {
        let error = fails(wat);
        assert_eq!((error.step, error.rows.clone()), (Step::Migrate, 0..2));
        let text = error.to_string();
        assert!(text.contains("`migrate` of 2 values of slot `accumulator` from version 1 to 2") && text.contains(part), "{text}");
    }
    let unread = migrating("").migrate(3, &BinaryArray::from_iter_values(["a"])).expect_err("a failure");
    assert!(matches!(unread.situation, Situation::Host(_)), "{unread:?}");
}
