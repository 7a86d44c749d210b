//! Keyed operators in the harness: state of every kind with rows that are refused, against a slow reference; time to live, migration, and operators
//! that depend on how calls are cut.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;
use stygian_sdk::prelude::*;
use stygian_testing::{Harness, KeyedHarness, TestError, Value, json, rows};

#[derive(Row)]
struct Key<'a> {
    key: &'a str,
}

/// An order to do two things to a state.
#[derive(Row)]
struct Order<'a> {
    first: &'a str,
    second: &'a str,
    number: i64,
    refused: bool,
}

#[derive(State)]
struct Kept {
    value: ValueState<i64>,
    list: ListState<i64>,
    map: MapState<i64, i64>,
}

#[derive(OutputRow)]
struct Seen<'a> {
    key: &'a str,
    seen: String,
}

#[derive(Outputs)]
struct Looks<'a> {
    looks: Output<Seen<'a>>,
}

/// Does what rows order, then tells all that it sees.
struct Obey;

const ORDERS: [&str; 10] = ["set", "add", "clear", "take", "push", "empty", "insert", "remove", "wipe", "look"];

impl Keyed for Obey {
    type Config = NoConfig;
    type Key<'a> = Key<'a>;
    type Row<'a> = Order<'a>;
    type State = Kept;
    type Timers = NoTimers;
    type Outputs<'a> = Looks<'a>;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn row<'a>(&'a self, row: Order<'a>, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        let Kept { value, list, map } = &mut cx.state;
        let entry = row.number % 5;
        for order in [row.first, row.second] {
            match order {
                "set" => value.set(row.number),
                "add" => *value.or_default() += row.number,
                "clear" => value.clear(),
                "take" => drop(value.take()),
                "push" => list.push(row.number),
                "empty" => list.clear(),
                "insert" => map.insert(&entry, row.number),
                "remove" => map.remove(&entry),
                "wipe" => map.clear(),
                _ => {}
            }
        }
        let got = map.get(&entry).copied();
        let (items, entries): (Vec<_>, Vec<_>) = (list.iter().collect(), map.iter().collect());
        let empty = (list.is_empty(), map.is_empty());
        cx.out.looks.push(Seen { key: cx.key.key, seen: format!("{:?} {items:?} {entries:?} {got:?} {empty:?}", value.get()) });
        if row.refused { Err("refused".into()) } else { Ok(()) }
    }
}

/// The state of a key in plain words.
#[derive(Clone, Default)]
struct Plain {
    value: Option<i64>,
    list: Vec<i64>,
    map: BTreeMap<i64, i64>,
}

impl Plain {
    fn obey(&mut self, order: &str, number: i64) {
        let entry = number % 5;
        match order {
            "set" => self.value = Some(number),
            "add" => self.value = Some(self.value.unwrap_or(0) + number),
            "clear" | "take" => self.value = None,
            "push" => self.list.push(number),
            "empty" => self.list.clear(),
            "insert" => drop(self.map.insert(entry, number)),
            "remove" => drop(self.map.remove(&entry)),
            "wipe" => self.map.clear(),
            _ => {}
        }
    }

    fn look(&self, entry: i64) -> String {
        let (entries, got) = (self.map.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>(), self.map.get(&entry).copied());
        let empty = (self.list.is_empty(), self.map.is_empty());
        format!("{:?} {:?} {entries:?} {got:?} {empty:?}", self.value.as_ref(), self.list)
    }
}

/// Key, two orders, number, and whether the row is refused.
type Line = (u8, usize, usize, i64, bool);

fn orders() -> impl Strategy<Value = Vec<Line>> {
    prop::collection::vec((0_u8..3, 0..ORDERS.len(), 0..ORDERS.len(), -9_i64..10, prop::bool::weighted(0.3)), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn state_is_what_plain_words_say_however_calls_are_cut(orders in orders(), pause in 0_usize..60) {
        let (mut plain, mut expected, mut dead) = (BTreeMap::<u8, Plain>::new(), Vec::new(), 0);
        for (key, first, second, number, refused) in &orders {
            let state = plain.entry(*key).or_default();
            let before = state.clone();
            state.obey(ORDERS[*first], *number);
            state.obey(ORDERS[*second], *number);
            let seen = state.look(*number % 5);
            if *refused {
                *state = before;
                dead += 1;
            } else {
                expected.push(json!({ "key": format!("{key}"), "seen": seen }));
            }
        }
        let row = |(key, first, second, number, refused): &Line| {
            json!({ "key": format!("{key}"), "first": ORDERS[*first], "second": ORDERS[*second], "number": number, "refused": refused })
        };
        let (first, second) = orders.split_at(pause.min(orders.len()));
        let stream = Harness::keyed::<Obey>(json!({}), &["key"]).unwrap().stream();
        let run = stream.rows(first.iter().map(row)).rows(second.iter().map(row)).run().unwrap();
        prop_assert_eq!(run.main(), &expected[..]);
        prop_assert_eq!(run.dead_letters.len(), dead);
        let stored = |plain: &Plain| usize::from(plain.value.is_some()) + plain.list.len() + plain.map.len();
        prop_assert_eq!(run.values, plain.values().map(stored).sum::<usize>());
    }
}

/// Remembers the last number of a key for two milliseconds.
#[derive(State)]
struct Brief {
    #[slot(version = 3, ttl = "2ms", migrate(1 = u8, 2 = i32))]
    last: ValueState<i64>,
}

#[derive(Row)]
struct Timed {
    number: i64,
}

#[derive(OutputRow)]
struct Last {
    last: Option<i64>,
}

#[derive(Outputs)]
struct Lasts {
    lasts: ExtendedOutput<Last>,
}

struct Remember;

impl Keyed for Remember {
    type Config = NoConfig;
    type Key<'a> = Key<'a>;
    type Row<'a> = Timed;
    type State = Brief;
    type Timers = NoTimers;
    type Outputs<'a> = Lasts;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn row<'a>(&'a self, row: Timed, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        cx.out.lasts.push(Last { last: cx.state.last.get().copied() });
        cx.state.last.set(row.number);
        Ok(())
    }
}

fn remember() -> KeyedHarness<Remember> {
    Harness::keyed::<Remember>(json!({}), &["key"]).unwrap().event_time("at")
}

fn timed(number: i64, micros: i64) -> Value {
    json!({ "key": "k", "number": number, "at": micros })
}

#[test]
fn a_value_outlives_its_time_when_the_watermark_says_so_not_when_a_row_does() {
    let lasts = |watermark: i64| {
        let stream = remember().stream().rows([timed(1, 1_000), timed(2, 9_000), timed(3, 1_500)]).watermark(watermark);
        let run = stream.rows([timed(4, 20_000)]).run().unwrap();
        run.main().iter().map(|row| row["last"].as_i64()).collect::<Vec<_>>()
    };
    assert_eq!(lasts(10_999), [None, Some(1), Some(2), Some(3)]);
    assert_eq!(lasts(11_000), [None, Some(1), Some(2), None]);
}

#[test]
fn without_event_time_a_value_lives_by_the_clock() {
    let harness = Harness::keyed::<Remember>(json!({}), &["key"]).unwrap();
    let lasts = |now: i64| {
        let stream = harness.stream().processing_time(1_000).rows([timed(1, 0)]).watermark(9_000).processing_time(now);
        stream.rows([timed(2, 0)]).run().unwrap().main()[1]["last"].as_i64()
    };
    assert_eq!((lasts(2_999), lasts(3_000)), (Some(1), None));
}

#[test]
fn values_of_older_versions_are_migrated_before_they_are_seen() {
    let last = |version, number: &dyn Fn(stygian_testing::Stream<Remember>) -> stygian_testing::Stream<Remember>| {
        let run = number(remember().stream()).rows([timed(9, 1)]).run().map(|run| run.main()[0]["last"].clone());
        (version, run)
    };
    assert_eq!(last(1, &|stream| stream.stored([json!("k")], "last", 1, &7_u8)), (1, Ok(json!(7))));
    assert_eq!(last(2, &|stream| stream.stored([json!("k")], "last", 2, &-7_i32)), (2, Ok(json!(-7))));
    assert_eq!(last(3, &|stream| stream.stored([json!("k")], "last", 3, &77_i64)), (3, Ok(json!(77))));
    let (_, odd) = last(4, &|stream| stream.stored([json!("k")], "last", 4, &1_u8));
    assert_eq!(odd, Err(TestError::Failed("version 4 of slot 0 is not read".to_owned())));
}

/// Counts rows beside its state.
struct Sly(Cell<i64>);

impl Keyed for Sly {
    type Config = NoConfig;
    type Key<'a> = Key<'a>;
    type Row<'a> = Timed;
    type State = NoState;
    type Timers = NoTimers;
    type Outputs<'a> = Lasts;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self(Cell::new(0)))
    }

    fn row<'a>(&'a self, _row: Timed, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        self.0.set(self.0.get() + 1);
        cx.out.lasts.push(Last { last: Some(self.0.get()) });
        Ok(())
    }
}

#[test]
fn operators_that_keep_something_beside_their_state_are_found() {
    let run = |rows: Vec<Value>| Harness::keyed::<Sly>(json!({}), &["key"]).unwrap().stream().rows(rows.clone()).rows(rows).run();
    assert_eq!(run(vec![timed(1, 1)]), Err(TestError::Impure { when: "on an instance that was used before" }));
    let at_once = Harness::keyed::<Sly>(json!({}), &["key"]).unwrap().run([timed(1, 1), timed(1, 1)]);
    assert_eq!(at_once, Err(TestError::Impure { when: "when rows and timers come one at a time" }));
}

#[test]
fn mistakes_of_the_test_are_told() {
    let error = |stream: stygian_testing::Stream<Remember>| stream.run().unwrap_err().to_string();
    assert!(error(remember().stream().watermark("noon")).contains("no time like"));
    assert!(error(remember().stream().rows(rows![{ "number": 1 }])).contains("column `key` is absent"));
    assert!(error(remember().stream().rows([timed(1, 1)]).rows(rows![{ "key": "k" }])).starts_with("row 1: column `number` is absent"));
    assert!(error(remember().stream().stored([json!("k")], "first", 1, &1_u8)).contains("there is no slot `first`"));
    let two_columns = Harness::keyed::<Remember>(json!({}), &["key", "number"]).unwrap();
    assert!(two_columns.run([timed(1, 1)]).unwrap_err().to_string().contains("the key has 1 columns, but 2 are given"));
}
