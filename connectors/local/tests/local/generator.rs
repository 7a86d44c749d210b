//! Made-up user behaviour.

use crate::{context, told};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use std::collections::HashMap;
use std::sync::Arc;
use stygian_api::conformance::{ResumeCase, SourceCase, read_all, row_texts, source_keeps_its_word, source_resumes};
use stygian_api::{Connector, Fetched, Options, Source, SplitProgress};
use stygian_core::{Offset, SplitId};
use stygian_local::Generator;

async fn source(options: &str) -> Arc<dyn Source> {
    Generator.source(&Options::of_text(options), &context()).await.expect("a source")
}

async fn rows(options: &str) -> RecordBatch {
    read_all(&*source(options).await).await.expect("read")
}

fn texts(rows: &RecordBatch, column: &str) -> Vec<String> {
    let column = rows.column_by_name(column).expect("a column").as_string::<i32>();
    column.iter().map(|text| text.expect("not null").to_owned()).collect()
}

fn amounts(rows: &RecordBatch) -> Vec<f64> {
    rows.column_by_name("amount").expect("a column").as_primitive::<Float64Type>().values().to_vec()
}

fn times(rows: &RecordBatch) -> Vec<i64> {
    rows.column_by_name("at").expect("a column").as_primitive::<TimestampMicrosecondType>().values().to_vec()
}

#[tokio::test]
async fn keeps_its_word() {
    for options in ["rows = 20", "rows = 20\nsplits = 3", "rows = 0", "rows = 2\nsplits = 5", "rows = 5\nrate = 1e9"] {
        let source = source(options).await;
        let rows = read_all(&*source).await.expect("read");
        let case = SourceCase { source: &*source, rows: &rows, bad: 0, knows_its_end: true };
        assert_eq!(source_keeps_its_word(case).await, Ok(()), "{options}");
    }
}

#[tokio::test]
async fn goes_on_from_any_checkpoint_with_the_same_splits() {
    for seed in 0..20 {
        let rows = rows("rows = 50\nsplits = 3").await;
        let case = ResumeCase { rows: &rows, bad: 0, seed, crashes: 3, at_once: 5 };
        assert_eq!(source_resumes(async || source("rows = 50\nsplits = 3").await, case).await, Ok(()), "seed {seed}");
    }
    let read = [0, 1, 2].map(|at| SplitProgress { id: SplitId::new(at.to_string()), next: Offset(16), ended: false, mark: None });
    let refused = async |options: &str| told(&source(options).await.restore(&read).await.expect_err("refused"));
    let message = refused("rows = 50\nsplits = 4").await;
    assert!(message.starts_with("the generator: it had 3 splits, and there are 4; the options `splits` and `rows` must stay"), "{message}");
    let message = refused("rows = 40\nsplits = 3").await;
    assert!(message.starts_with("split 0 of the generator: it has 14 rows, and reading was to go on at row 16; "), "{message}");
}

#[tokio::test]
async fn rows_depend_on_seed_and_number_alone() {
    let all = rows("rows = 1000").await;
    assert_eq!(all.num_rows(), 1000);
    assert_eq!(row_texts([&rows("rows = 1000\nsplits = 7").await]), row_texts([&all]));
    assert_eq!(rows("rows = 10").await, all.slice(0, 10));
    assert_ne!(rows("rows = 1000\nseed = 43").await, all);
}

/// Frozen: a file of rows made today is made again tomorrow, on any machine.
#[tokio::test]
async fn the_first_rows_stay_what_they_are() {
    let first = rows("rows = 3").await;
    let text = |column: &str, n: usize| texts(&first, column)[n].clone();
    let found: Vec<String> = (0..3)
        .map(|n| {
            let (amount, at) = (amounts(&first)[n], times(&first)[n]);
            let [user, item, kind, session, page] = ["user", "item", "kind", "session", "page"].map(|column| text(column, n));
            format!("{user} {item} {kind} {amount} {at} {session} {page}")
        })
        .collect();
    assert_eq!(found, FIRST);
}

const FIRST: [&str; 3] = [
    "user-175 item-537 click 7.28 1767225598407226 9eac2da7c0eb /items/537?from=search",
    "user-109 item-616 click 1.96 1767225599701872 acae2ae36bbb /items/616?from=item",
    "user-22 item-14 click 85.31 1767225599914331 991e9ef654c6 /items/14?from=search",
];

#[tokio::test]
async fn shares_are_as_asked_for() {
    let rows = rows("rows = 100000\npurchases = 0.2\nrobots = 0.1\nbad = 0.01\nusers = 50\nitems = 10").await;
    let (users, kinds, amounts) = (texts(&rows, "user"), texts(&rows, "kind"), amounts(&rows));
    let share = |count: usize| count as f64 / 100_000.0;
    let near = |found: f64, wanted: f64| (found - wanted).abs() < wanted / 10.0;
    assert!(near(share(kinds.iter().filter(|kind| *kind == "purchase").count()), 0.199));
    assert!(near(share(users.iter().filter(|user| user.starts_with("robot-")).count()), 0.1));
    let bad = kinds.iter().zip(&amounts).filter(|(kind, amount)| *kind == "clack" || **amount < 0.0).count();
    assert!(near(share(bad), 0.01), "{bad}");
    assert!(users.iter().zip(&amounts).filter(|(user, _)| user.starts_with("robot-")).all(|(_, amount)| *amount <= 0.5));
    let mut of_user = HashMap::<&str, usize>::new();
    users.iter().for_each(|user| *of_user.entry(user).or_default() += 1);
    // Zipf: the first has twice as many as the second.
    let ratio = of_user["user-1"] as f64 / of_user["user-2"] as f64;
    assert!((1.8..2.2).contains(&ratio), "{ratio}");
    assert!(
        of_user.keys().filter(|user| user.starts_with("user-")).all(|user| user[5..].parse::<u32>().is_ok_and(|n| (1..=50).contains(&n)))
    );
}

#[tokio::test]
async fn times_grow_with_bounded_disorder() {
    let rows = rows("rows = 20000\nstart = \"2026-03-01T00:00:00Z\"\nstep = \"10ms\"\ndisorder = \"1s\"").await;
    let start = 1_772_323_200_000_000;
    let (mut newest, mut late) = (i64::MIN, 0);
    for (n, time) in (0_i64..).zip(times(&rows)) {
        assert!((start + n * 10_000 - 1_000_000..=start + n * 10_000).contains(&time));
        assert!(time >= newest.saturating_sub(1_000_000));
        late += usize::from(time < newest);
        newest = newest.max(time);
    }
    assert!(late > 10_000, "the rows are out of order");
    let tidy = times(&self::rows("rows = 100\ndisorder = \"0s\"").await);
    assert!(tidy.windows(2).all(|pair| pair[1] - pair[0] == 86_400));
}

#[tokio::test]
async fn a_session_is_one_users_and_half_an_hour_long() {
    let rows = rows("rows = 50000\nusers = 50\nrobots = 0.1").await;
    let (users, sessions, times) = (texts(&rows, "user"), texts(&rows, "session"), times(&rows));
    let (mut of_session, mut of_half_hour) = (HashMap::new(), HashMap::new());
    for ((user, session), time) in users.iter().zip(&sessions).zip(times) {
        let half_hour = (user, time / 1_800_000_000);
        assert_eq!(*of_session.entry(session).or_insert(half_hour), half_hour);
        assert_eq!(*of_half_hour.entry(half_hour).or_insert(session), session);
    }
    assert!(of_session.len() > 100, "{}", of_session.len());
}

#[tokio::test]
async fn a_rate_holds_rows_back() {
    let source = source("rate = 0.001").await;
    assert!(!source.bounded());
    let mut reader = source.open(&SplitId::new("0"), Offset(5)).await.expect("a reader");
    // Of a row that is due in 1,000 seconds there is nothing to see after a bounded wait.
    assert!(matches!(reader.fetch(10).await, Ok(Fetched::Nothing)));
}

#[tokio::test]
async fn says_what_is_wrong_with_its_options() {
    for (options, place, message) in [
        ("splits = 0", "0", "there has to be at least one split"),
        ("rate = 0", "0", "a rate is a number of rows per second above 0"),
        ("rate = nan", "nan", "a rate is a number of rows per second above 0"),
        ("purchases = 1.5", "1.5", "1.5 is no share; write a number from 0 to 1"),
        ("bad = nan", "nan", "NaN is no share; write a number from 0 to 1"),
        ("purchases = 0.6\nrobots = 0.6", "0.6", "the shares of purchases and robots are more than 1 together"),
        ("skew = -1.0", "-1.0", "-1 is no exponent; write a number that is not negative"),
        ("users = 0", "0", "0 is not in 1 to 1000000000"),
        ("items = 2000000000", "2000000000", "2000000000 is not in 1 to 1000000000"),
        ("start = \"soon\"", "\"soon\"", "`soon` is no time; write \"2026-01-01T00:00:00Z\""),
        ("seeds = 1", "seeds", "unknown key `seeds`"),
    ] {
        let problems = Generator.source(&Options::of_text(options), &context()).await.err().expect("wrong").0;
        assert_eq!(problems.len(), 1, "{options}");
        assert_eq!(&options[problems[0].at.clone().expect("a place")], place);
        assert_eq!(problems[0].message, message);
    }
    let source = source("rows = 5\nsplits = 2").await;
    for (split, from, message) in [
        ("2", 0, "split 2 of the generator: there are 2 splits; the options `splits` and `rows` must stay"),
        ("1", 3, "split 1 of the generator: it has 2 rows, and reading was to go on at row 3; the options"),
    ] {
        let error = told(&source.open(&SplitId::new(split), Offset(from)).await.err().expect("refused"));
        assert!(error.starts_with(message), "{error}");
    }
}
