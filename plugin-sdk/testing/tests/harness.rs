//! What the harness accepts and refuses: of tests, and of operators that break the contract.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)] // helpers of tests

use std::cell::Cell;
use stygian_sdk::contract::{Batch, Column, Field, OutputShape, OutputSpec, StreamKind, Values};
use stygian_sdk::prelude::*;
use stygian_sdk::{ColumnValue, Host, InputRow, Operator};
use stygian_testing::{Harness, TestError, Value, json, rows};

/// Every type, as it came.
#[derive(Row)]
struct All<'a> {
    flag: bool,
    tiny: i8,
    big: u64,
    half: f32,
    text: &'a str,
    bytes: &'a [u8],
    date: Date,
    local: Timestamp,
    at: TimestampUtc,
    price: Decimal<10, 2>,
    maybe: Option<i32>,
}

struct Echo;

impl Map for Echo {
    type Config = NoConfig;
    type In<'a> = All<'a>;
    type Out<'a> = All<'a>;
    const EXTENDS: bool = false;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn map<'a>(&self, row: All<'a>) -> Result<All<'a>, Reject> {
        Ok(row)
    }
}

fn row() -> Value {
    json!({
        "flag": true, "tiny": -128, "big": u64::MAX, "half": 0.1, "text": "é", "bytes": "00ff", "date": "2024-02-29",
        "local": "2024-02-29T12:00:00.5", "at": "1969-12-31T23:59:59Z", "price": "-0.05", "maybe": null,
    })
}

fn with(column: &str, value: Value) -> Value {
    let mut row = row();
    row[column] = value;
    row
}

#[test]
fn values_of_every_type_come_back_as_they_went() {
    let run = Harness::map::<Echo>(json!({})).unwrap().run([row(), with("maybe", json!(5))]).unwrap();
    assert_eq!(run.main(), [row(), with("maybe", json!(5))]);
}

#[test]
fn rows_that_do_not_fit_are_the_tests_mistake() {
    let refused = |row| Harness::map::<Echo>(json!({})).unwrap().run([self::row(), row]).unwrap_err().to_string();
    assert!(refused(with("flag", json!(null))).starts_with("row 1: column `flag` is absent"));
    for (column, value) in [
        ("tiny", json!(128)),
        ("text", json!(1)),
        ("bytes", json!("0")),
        ("date", json!("2023-02-29")),
        ("at", json!("2024-01-01T00:00:00")),
    ] {
        assert!(refused(with(column, value)).starts_with(&format!("row 1: column `{column}` cannot be")), "{column}");
    }
    assert!(refused(json!([1])).starts_with("row 1: `[1]` is not an object"));
}

/// An operator by hand, which does what a function says.
struct ByHand<const HOW: usize>;

#[derive(Row)]
struct Number {
    number: i64,
}

type Ask = fn(&mut dyn Host);

/// What the host refuses, and a word of why.
const BROKEN: [(Ask, &str); 10] = [
    (|host| host.select(9, &[0]), "output 9 was named"),
    (|host| host.select(0, &[2]), "input row 2 was named"),
    (|host| host.select(0, &[1, 0]), "do not ascend"),
    (|host| (0..2).for_each(|_| host.select(0, &[0])), "do not ascend"),
    (|host| host.select(1, &[0]), "columns of its own"),
    (|host| host.emit(0, &numbers(1), None), "use `select`"),
    (|host| host.emit(1, &numbers(1), Some(&[0])), "no parents"),
    (|host| host.emit(2, &numbers(1), None), "1 rows but 2 parents"),
    (|host| host.emit(1, &Batch { rows: 2, ..numbers(1) }, None), "not as long"),
    (|host| host.dead_letter(7, "x"), "input row 7 was named"),
];

fn numbers(rows: u32) -> Batch {
    let values = Values::Int64(vec![0; rows as usize]);
    Batch { rows, columns: vec![Column { validity: None, values }] }
}

impl<const HOW: usize> Operator for ByHand<HOW> {
    type Config = NoConfig;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn input() -> Vec<Field> {
        vec![i64::field("number")]
    }

    fn outputs() -> Vec<OutputSpec> {
        let spec = |name: &str, shape| OutputSpec { name: name.to_owned(), kind: StreamKind::Append, shape, event_time: None };
        let fields = <Number as OutputRow>::fields;
        vec![spec("a", OutputShape::Selected), spec("b", OutputShape::Own(fields())), spec("c", OutputShape::Extended(fields()))]
    }

    fn process(&self, _: stygian_sdk::Input<'_>, host: &mut dyn Host) -> Result<(), String> {
        BROKEN[HOW].0(host);
        Ok(())
    }
}

fn refused<const HOW: usize>() {
    let error = Harness::<ByHand<HOW>>::new(json!({})).unwrap().run(rows![{ "number": 1 }, { "number": 2 }]).unwrap_err();
    assert!(matches!(&error, TestError::Contract(why) if why.contains(BROKEN[HOW].1)), "{HOW}: {error}");
}

#[test]
fn operators_against_the_contract_are_refused() {
    refused::<0>();
    refused::<1>();
    refused::<2>();
    refused::<3>();
    refused::<4>();
    refused::<5>();
    refused::<6>();
    refused::<7>();
    refused::<8>();
    refused::<9>();
}

/// Keeps only the first `MOST` rows that it has ever seen.
struct Counting<const MOST: u32>(Cell<u32>);

impl<const MOST: u32> Filter for Counting<MOST> {
    type Config = NoConfig;
    type Row<'a> = Number;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self(Cell::new(0)))
    }

    fn keep(&self, row: Number) -> Result<bool, Reject> {
        self.0.set(self.0.get() + 1);
        Ok(self.0.get() <= MOST && row.number > 0)
    }
}

#[test]
fn operators_that_remember_are_found() {
    let run = Harness::filter::<Counting<2>>(json!({})).unwrap().run(rows![{ "number": 1 }, { "number": 1 }]);
    assert_eq!(run, Err(TestError::Impure { when: "on an instance that was used before" }));
    assert!(Harness::filter::<Counting<9>>(json!({})).unwrap().run(rows![{ "number": 1 }]).is_ok());
}

/// Fails calls of more than one row.
struct Lonely;

impl Operator for Lonely {
    type Config = NoConfig;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn input() -> Vec<Field> {
        <Number as InputRow<'_>>::fields()
    }

    fn outputs() -> Vec<OutputSpec> {
        vec![OutputSpec { name: "a".to_owned(), kind: StreamKind::Append, shape: OutputShape::Selected, event_time: None }]
    }

    fn process(&self, input: stygian_sdk::Input<'_>, host: &mut dyn Host) -> Result<(), String> {
        match input.rows() {
            1 => {
                host.select(0, &[0]);
                Ok(())
            }
            0 | 2 => Ok(()),
            rows => Err(format!("{rows} rows are a crowd")),
        }
    }
}

#[test]
fn operators_that_fail_or_mind_how_rows_are_cut_are_found() {
    let run = |count: usize| Harness::<Lonely>::new(json!({})).unwrap().run(vec![json!({ "number": 1 }); count]);
    assert!(run(1).is_ok());
    assert_eq!(run(2), Err(TestError::Impure { when: "when rows come one at a time" }));
    assert_eq!(run(3), Err(TestError::Failed("3 rows are a crowd".to_owned())));
}

#[test]
#[should_panic(expected = "no output `typo`; there are: main")]
fn an_output_that_is_not_there_is_the_tests_mistake() {
    Harness::map::<Echo>(json!({})).unwrap().run([]).unwrap().rows("typo");
}
