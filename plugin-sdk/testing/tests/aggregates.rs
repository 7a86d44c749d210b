//! Aggregates in the harness: those whose result depends on how rows are split are found.
#![allow(clippy::unwrap_used)] // helpers of tests

use stygian_sdk::prelude::*;
use stygian_testing::{Harness, TestError, json, rows};

#[derive(Row)]
struct Number {
    number: i64,
}

/// What is done with two results.
#[derive(serde::Deserialize)]
struct Fold {
    how: String,
}

impl Aggregate for Fold {
    type Config = Self;
    type Row<'a> = Number;
    type Accumulator = i64;
    type Out = Number;

    fn open(config: Self) -> Result<Self, String> {
        Ok(config)
    }

    fn add(&self, accumulator: &mut i64, row: Number) -> Result<(), Reject> {
        *accumulator += row.number;
        Ok(())
    }

    fn merge(&self, into: &mut i64, from: i64) {
        match self.how.as_str() {
            "sum" => *into += from,
            "left" => {}
            _ => *into = from,
        }
    }

    fn finish(&self, accumulator: i64) -> Number {
        Number { number: accumulator }
    }
}

#[test]
fn results_that_depend_on_the_split_are_found() {
    let run = |how| Harness::aggregate::<Fold>(json!({ "how": how })).unwrap().result(rows![{ "number": 1 }, { "number": 2 }]);
    assert_eq!(run("sum"), Ok(json!({ "number": 3 })));
    assert_eq!(run("left"), Err(TestError::Impure { when: "when parts are merged" }));
    assert_eq!(run("right"), Err(TestError::Impure { when: "when parts are merged" }));
}
