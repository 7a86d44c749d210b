//! Timers in the harness: those that set and clear each other, against one timer at a time; clocks; and timers that nobody handles.
#![allow(clippy::unwrap_used)] // helpers of tests

use proptest::prelude::*;
use std::collections::BTreeSet;
use stygian_sdk::prelude::*;
use stygian_testing::{Harness, TestError, Value, json, rows};

#[derive(Row)]
struct Key<'a> {
    key: &'a str,
}

#[derive(Row)]
struct Timed {
    number: i64,
}

/// Timers, and what each does to others of its key when it fires: (it, sets or clears, which).
#[derive(serde::Deserialize)]
struct Dominoes {
    pushes: Vec<(i64, bool, i64)>,
}

#[derive(Clone, Copy, Timers)]
enum Domino {
    #[timer(event_time)]
    Falls,
}

#[derive(Row)]
struct Stone {
    at: i64,
}

#[derive(OutputRow)]
struct Fallen<'a> {
    key: &'a str,
    at: i64,
}

#[derive(Outputs)]
struct Falls<'a> {
    falls: Output<Fallen<'a>>,
}

impl Keyed for Dominoes {
    type Config = Self;
    type Key<'a> = Key<'a>;
    type Row<'a> = Stone;
    type State = NoState;
    type Timers = Domino;
    type Outputs<'a> = Falls<'a>;

    fn open(config: Self) -> Result<Self, String> {
        Ok(config)
    }

    fn row<'a>(&'a self, stone: Stone, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        cx.timers.set(Domino::Falls, Timestamp(stone.at));
        if stone.at % 7 == 6 { Err("wobbles".into()) } else { Ok(()) }
    }

    fn timer<'a>(&'a self, _falls: Domino, at: TimestampUtc, cx: &mut Context<'a, Self>) -> Result<(), String> {
        cx.out.falls.push(Fallen { key: cx.key.key, at: at.0 });
        for (_, sets, other) in self.pushes.iter().filter(|push| push.0 == at.0) {
            let other = Timestamp(*other);
            if *sets { cx.timers.set(Domino::Falls, other) } else { cx.timers.clear(Domino::Falls, other) }
        }
        Ok(())
    }
}

/// One timer at a time.
fn fallen(stones: &[(u8, i64)], pushes: &[(i64, bool, i64)], watermarks: &[i64]) -> Vec<(u8, i64)> {
    let (mut standing, mut fallen) = (BTreeSet::new(), Vec::new());
    standing.extend(stones.iter().filter(|(_, at)| at % 7 != 6).map(|(key, at)| (*at, *key)));
    for watermark in watermarks {
        while let Some((at, key)) = standing.first().copied().filter(|(at, _)| at <= watermark) {
            standing.pop_first();
            fallen.push((key, at));
            for (_, sets, other) in pushes.iter().filter(|push| push.0 == at) {
                if *sets {
                    standing.insert((*other, key))
                } else {
                    standing.remove(&(*other, key))
                };
            }
        }
    }
    fallen.sort_unstable();
    fallen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn timers_fire_as_if_one_at_a_time(
        stones in prop::collection::vec((0_u8..2, 0_i64..20), 0..8),
        // Later ones only, or they would go on for ever.
        pushes in prop::collection::vec((0_i64..20, any::<bool>(), 1_i64..10).prop_map(|(at, sets, by)| (at, sets, at + by)), 0..12),
        watermarks in prop::collection::vec(0_i64..30, 0..4),
    ) {
        let mut watermarks = watermarks;
        watermarks.sort_unstable();
        let harness = Harness::keyed::<Dominoes>(json!({ "pushes": pushes }), &["key"]).unwrap();
        let rows = stones.iter().map(|(key, at)| json!({ "key": format!("{key}"), "at": at }));
        let run = watermarks.iter().fold(harness.stream().rows(rows), |stream, at| stream.watermark(*at)).run().unwrap();
        let key = |row: &Value| row["key"].as_str().unwrap().parse::<u8>().unwrap();
        let mut actual: Vec<_> = run.main().iter().map(|row| (key(row), row["at"].as_i64().unwrap())).collect();
        // Each key's timers in order of time.
        for each in 0..2 {
            prop_assert!(actual.iter().filter(|(key, _)| *key == each).is_sorted());
        }
        actual.sort_unstable();
        prop_assert_eq!(actual, fallen(&stones, &pushes, &watermarks));
    }
}

/// Fires by processing time, as long after a row as it says.
struct Tick;

#[derive(Clone, Copy, Timers)]
enum Clock {
    #[timer(processing_time)]
    Tick,
}

impl Keyed for Tick {
    type Config = NoConfig;
    type Key<'a> = Key<'a>;
    type Row<'a> = Timed;
    type State = NoState;
    type Timers = Clock;
    type Outputs<'a> = Falls<'a>;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn row<'a>(&'a self, row: Timed, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        cx.timers.set(Clock::Tick, TimestampUtc(cx.processing_time.0 + row.number));
        Ok(())
    }

    fn timer<'a>(&'a self, _tick: Clock, at: TimestampUtc, cx: &mut Context<'a, Self>) -> Result<(), String> {
        cx.out.falls.push(Fallen { key: cx.key.key, at: at.0 });
        Ok(())
    }
}

#[test]
fn processing_time_timers_mind_processing_time_alone_and_what_is_left_is_told() {
    let tick = Harness::keyed::<Tick>(json!({}), &["key"]).unwrap();
    let run = tick
        .stream()
        .rows(rows![{ "key": "k", "number": 5 }, { "key": "k", "number": 9 }])
        .end()
        .processing_time(5)
        .processing_time(3)
        .run()
        .unwrap();
    assert_eq!(run.main(), rows![{ "key": "k", "at": 5 }]);
    assert_eq!(run.timers.iter().map(|timer| (timer.name.as_str(), timer.at)).collect::<Vec<_>>(), [("tick", 9)]);
    assert_eq!(run.timers[0].key, json!({ "key": "k" }));
}

#[test]
fn a_timer_that_nobody_handles_fails_the_call() {
    struct Deaf;
    impl Keyed for Deaf {
        type Config = NoConfig;
        type Key<'a> = Key<'a>;
        type Row<'a> = Timed;
        type State = NoState;
        type Timers = Clock;
        type Outputs<'a> = Falls<'a>;

        fn open(_: NoConfig) -> Result<Self, String> {
            Ok(Self)
        }

        fn row<'a>(&'a self, _row: Timed, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
            cx.timers.set(Clock::Tick, TimestampUtc(0));
            Ok(())
        }
    }
    let error = Harness::keyed::<Deaf>(json!({}), &["key"]).unwrap().run(rows![{ "key": "k", "number": 1 }]).unwrap_err();
    assert_eq!(error, TestError::Failed("the timer `tick` has fired, but the operator has no method `timer`".to_owned()));
}
