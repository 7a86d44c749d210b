//! What aggregates make of accumulators: null ones, merged ones, older ones, and bytes that are none.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // helpers of tests

use stygian_sdk::contract::{Batch, Column, SlotStates, Values, VarValues};
use stygian_sdk::prelude::*;
use stygian_sdk::{AggregateOperator, Input, migration};

#[derive(Row)]
struct Number {
    number: i64,
}

/// Sum and count; refuses 13.
struct Mean;

impl Aggregate for Mean {
    type Config = NoConfig;
    type Row<'a> = Number;
    type Accumulator = (i64, u32);
    type Out = Number;
    const VERSION: u32 = 2;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn add(&self, (sum, count): &mut (i64, u32), row: Number) -> Result<(), Reject> {
        *sum += row.number;
        *count += 1;
        if row.number == 13 { Err("13 is unlucky".into()) } else { Ok(()) }
    }

    fn merge(&self, into: &mut (i64, u32), from: (i64, u32)) {
        *into = (into.0 + from.0, into.1 + from.1);
    }

    fn finish(&self, (sum, count): (i64, u32)) -> Number {
        Number { number: sum.checked_div(i64::from(count)).unwrap_or(-1) }
    }
}

/// The older form was a sum, of one row.
impl OldAccumulators for Mean {
    const READS: &'static [u32] = &[1];

    fn migrate(_from_version: u32, bytes: &[u8]) -> Result<(i64, u32), String> {
        Ok((Stored::read(bytes)?, 1))
    }
}

fn batch(numbers: &[i64]) -> Batch {
    Batch { rows: numbers.len() as u32, columns: vec![Column { validity: None, values: Values::Int64(numbers.to_vec()) }] }
}

fn nothing(groups: usize) -> SlotStates {
    let values = VarValues { offsets: vec![0; groups + 1], bytes: Vec::new() };
    SlotStates { validity: Some(vec![0; groups.div_ceil(8)]), values }
}

fn added(accumulators: &SlotStates, numbers: &[i64], groups: &[u32]) -> Result<SlotStates, String> {
    AggregateOperator::<Mean>::open("{}")?.accumulate(accumulators, Input::checked(&batch(numbers)), groups)
}

fn finished(accumulators: &SlotStates) -> Batch {
    AggregateOperator::<Mean>::open("{}").unwrap().finish(accumulators).unwrap()
}

#[test]
fn rows_go_to_their_groups_and_untouched_groups_stay_null() {
    let some = added(&nothing(3), &[4, 7, 8], &[2, 0, 2]).unwrap();
    assert_eq!(some.validity, Some(vec![0b101]));
    assert_eq!(finished(&added(&some, &[0], &[2]).unwrap()), batch(&[7, -1, 4]));
}

#[test]
fn accumulators_are_merged_pair_by_pair_null_or_not() {
    let (some, others) = (added(&nothing(3), &[4, 7], &[0, 1]).unwrap(), added(&nothing(3), &[6], &[0]).unwrap());
    let mean = AggregateOperator::<Mean>::open("{}").unwrap();
    for (into, from) in [(&some, &others), (&others, &some)] {
        assert_eq!(finished(&mean.merge(into, from).unwrap()), batch(&[5, 7, -1]));
    }
    assert_eq!(mean.merge(&some, &nothing(2)).unwrap_err(), "2 accumulators cannot be merged into 3");
}

#[test]
fn what_cannot_be_added_or_read_fails_the_call() {
    assert_eq!(added(&nothing(1), &[1, 13], &[0, 0]).unwrap_err(), "row 1: 13 is unlucky");
    assert_eq!(added(&nothing(1), &[1, 2], &[0]).unwrap_err(), "fewer group indices than rows were passed");
    let odd = SlotStates { validity: None, values: VarValues { offsets: vec![0, 1], bytes: vec![1] } };
    assert!(added(&odd, &[], &[]).unwrap_err().starts_with("slot `accumulator`: 1 bytes where 12 are expected"));
}

#[test]
fn older_accumulators_are_migrated() {
    assert_eq!(migration::accumulator_reads::<Mean>()[0].versions, [1]);
    let old = VarValues { offsets: vec![0, 8], bytes: 5_i64.to_le_bytes().to_vec() };
    let new = migration::migrate_accumulators::<Mean>(0, 1, &old).unwrap();
    assert_eq!(finished(&SlotStates { validity: None, values: new }), batch(&[5]));
    assert_eq!(migration::migrate_accumulators::<Mean>(0, 3, &old).unwrap_err(), "version 3 of slot 0 is not read");
}

#[test]
fn an_aggregate_describes_itself() {
    let description = AggregateOperator::<Mean>::describe("mean", "1.2.3", "{}").unwrap();
    assert_eq!((description.slots[0].name.as_str(), description.slots[0].version), ("accumulator", 2));
    assert_eq!((description.inputs[0].columns.len(), description.outputs.len(), description.timers.len()), (1, 1, 0));
}

stygian_sdk::export!(migrating_aggregate Mean);
