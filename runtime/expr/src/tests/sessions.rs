//! Sessions against a slow reference that keeps every row of every open session, over random disordered streams.

use crate::{Aggregate, WindowAggregator, WindowAggregatorSpec, WindowSpec};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use std::sync::Arc;
use stygian_core::EventTime;

#[derive(Clone, Debug)]
struct Row {
    id: i64,
    time: Option<i64>,
    key: Option<u8>,
}

#[derive(Clone, Debug)]
enum Step {
    Rows(Vec<Row>),
    Watermark(i64),
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("text", DataType::Utf8, true),
        Field::new("number", DataType::Int64, true),
    ]))
}

/// Short, and too long to lie in a session itself.
fn text(key: u8) -> String {
    "k".repeat(usize::from(key) * 7)
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.id)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.time).collect::<TimestampMicrosecondArray>()),
        Arc::new(rows.iter().map(|row| row.key.map(text)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.key.map(i64::from)).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(schema(), columns).expect("rows of the schema")
}

const AGGREGATES: [&str; 6] = ["count(*)", "sum(id)", "min(id)", "max(id)", "median(id)", "count(distinct number)"];

fn spec(gap: i64, keys: Vec<usize>) -> Arc<WindowAggregatorSpec> {
    let aggregate = |sql: &str| Aggregate::compile(sql, &schema()).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let aggregates = AGGREGATES.iter().map(|sql| ((*sql).to_owned(), aggregate(sql))).collect();
    let (window, input) = (WindowSpec::session(gap), schema());
    Arc::new(WindowAggregatorSpec { window, keys, event_time: Some(1), allowed_lateness: 0, early: false, aggregates, input })
}

/// End, start, key, and the values of the aggregates.
type Session = (i64, i64, Option<u8>, Vec<i64>);

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    fired: Vec<Vec<Session>>,
    late: Vec<i64>,
    /// Open sessions, rows in them, and keys, after each step.
    open: Vec<(usize, usize, usize)>,
}

/// Open sessions by their rows; by definition.
fn reference(gap: i64, keyed: bool, steps: &[Step]) -> Outcome {
    let (mut open, mut watermark, mut outcome): (Vec<Vec<Row>>, _, _) = (Vec::new(), i64::MIN, Outcome::default());
    let time = |row: &Row| row.time.expect("a time");
    let end = |session: &[Row]| session.iter().map(time).max().expect("a row") + gap;
    for step in steps {
        match step {
            Step::Rows(rows) => {
                for row in rows {
                    let Some(at) = row.time else {
                        outcome.late.push(row.id);
                        continue;
                    };
                    let near = |session: &Vec<Row>| {
                        (!keyed || session[0].key == row.key) && session.iter().any(|other| (time(other) - at).abs() < gap)
                    };
                    let (mut joined, others): (Vec<_>, Vec<_>) = open.into_iter().partition(near);
                    open = others;
                    if joined.is_empty() && at + gap <= watermark {
                        outcome.late.push(row.id);
                        continue;
                    }
                    joined.push(vec![row.clone()]);
                    open.push(joined.concat());
                }
            }
            Step::Watermark(at) => {
                watermark = watermark.max(*at);
                let (done, others): (Vec<_>, Vec<_>) = open.into_iter().partition(|session| end(session) <= watermark);
                open = others;
                let mut fired: Vec<Session> = done.iter().map(|session| values(keyed, end(session), session)).collect();
                fired.sort();
                outcome.fired.push(fired);
            }
        }
        let keys: std::collections::BTreeSet<_> = open.iter().map(|session| session[0].key.filter(|_| keyed)).collect();
        outcome.open.push((open.len(), open.iter().map(Vec::len).sum(), keys.len()));
    }
    outcome
}

fn values(keyed: bool, end: i64, rows: &[Row]) -> Session {
    let mut ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    let middle = ids.len() / 2;
    let median = if ids.len() % 2 == 1 { ids[middle] } else { i64::midpoint(ids[middle - 1], ids[middle]) };
    let kinds: std::collections::BTreeSet<_> = rows.iter().filter_map(|row| row.key).collect();
    let count = |n: usize| i64::try_from(n).expect("small");
    let start = rows.iter().filter_map(|row| row.time).min().expect("a row");
    let values = vec![count(ids.len()), ids.iter().sum(), ids[0], ids[ids.len() - 1], median, count(kinds.len())];
    (end, start, rows[0].key.filter(|_| keyed), values)
}

fn outcome(spec: &Arc<WindowAggregatorSpec>, steps: &[Step], cut: usize) -> (Outcome, Vec<Session>) {
    let mut sessions = WindowAggregator::new(spec.clone()).expect("sessions");
    let (mut outcome, mut order) = (Outcome::default(), Vec::new());
    for step in steps {
        match step {
            Step::Rows(rows) => {
                let whole = batch(rows);
                for from in (0..rows.len()).step_by(cut) {
                    if let Some(late) = sessions.push(&whole.slice(from, cut.min(rows.len() - from))).expect("pushed") {
                        outcome.late.extend(late.column(0).as_primitive::<Int64Type>().values());
                    }
                }
            }
            Step::Watermark(time) => {
                let expected = sessions.next_end();
                let fired = sessions.advance(EventTime::from_micros(*time)).expect("advanced");
                let mut fired: Vec<Session> = fired.iter().flat_map(|batch| read(spec, batch)).collect();
                assert!(fired.iter().is_sorted_by_key(|(end, start, ..)| (*end, *start)));
                assert!(fired.first().is_none_or(|(end, ..)| expected.is_some_and(|expected| expected.micros() <= *end)));
                assert!(sessions.next_end().is_none_or(|next| next.micros() > *time), "a deadline that does not move");
                order.extend(fired.clone());
                fired.sort();
                outcome.fired.push(fired);
            }
        }
        outcome.open.push((sessions.open_windows(), sessions.held_rows(), sessions.open_keys()));
    }
    (outcome, order)
}

#[allow(clippy::cast_possible_truncation)]
fn read(spec: &WindowAggregatorSpec, batch: &RecordBatch) -> Vec<Session> {
    assert_eq!(batch.schema(), spec.output_schema());
    let time = |column: usize, row: usize| batch.column(column).as_primitive::<TimestampMicrosecondType>().value(row);
    let first = 3 + spec.keys.len();
    let key = |row: usize| {
        let column = spec.keys.first().map(|_| batch.column(3)).filter(|column| column.is_valid(row))?;
        Some(match column.data_type() {
            DataType::Utf8 => (column.as_string::<i32>().value(row).len() / 7) as u8,
            _ => column.as_primitive::<Int64Type>().value(row) as u8,
        })
    };
    let value = |column: &ArrayRef, row: usize| {
        let floats = arrow_cast::cast(column, &DataType::Int64).expect("a number");
        floats.as_primitive::<Int64Type>().value(row)
    };
    (0..batch.num_rows())
        .map(|row| {
            assert_eq!(time(2, row), time(1, row) - 1);
            (time(1, row), time(0, row), key(row), batch.columns()[first..].iter().map(|column| value(column, row)).collect())
        })
        .collect()
}

/// Time moves on by and large; rows are up to 60 us out of order; watermarks follow or run ahead.
fn streams() -> impl Strategy<Value = Vec<Step>> {
    let row = (prop::option::weighted(0.97, -60_i64..10), prop::option::weighted(0.9, 0_u8..5));
    let step = (0_i64..60, prop::collection::vec(row, 0..20), prop::option::weighted(0.7, -80_i64..5));
    prop::collection::vec(step, 1..25).prop_map(|steps| {
        let (mut now, mut id, mut out) = (-300_i64, 0, Vec::new());
        for (later, rows, watermark) in steps {
            now += later;
            let rows = rows.into_iter().map(|(time, key)| {
                id += 1;
                Row { id, time: time.map(|time| now + time), key }
            });
            out.push(Step::Rows(rows.collect()));
            out.extend(watermark.map(|behind| Step::Watermark(now + behind)));
        }
        out.push(Step::Watermark(i64::MAX));
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_slow_reference(gap in 1_i64..50, steps in streams(), cut in 1_usize..25, by in 0_usize..4) {
        // By text, by nothing, by number and by both (the general encoding).
        let keys = [vec![2], vec![], vec![3], vec![3, 2]][by].clone();
        let expected = reference(gap, !keys.is_empty(), &steps);
        let (found, _) = outcome(&spec(gap, keys), &steps, cut);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_order_of_results_does_not_depend_on_batches(gap in 1_i64..50, steps in streams(), cut in 1_usize..25) {
        let spec = spec(gap, vec![2]);
        prop_assert_eq!(outcome(&spec, &steps, cut).1, outcome(&spec, &steps, 1_000).1);
    }
}

#[test]
fn gives_memory_back_when_sessions_end() {
    let mut sessions = WindowAggregator::new(spec(10, vec![3])).expect("sessions");
    let empty = sessions.memory();
    for round in 0..5_i64 {
        let rows: Vec<Row> = (0..5_000).map(|id| Row { id, time: Some(round * 100 + id % 7), key: Some((id % 200) as u8) }).collect();
        assert!(sessions.push(&batch(&rows)).expect("pushed").is_none());
        assert_eq!((sessions.open_windows(), sessions.open_keys(), sessions.held_rows()), (200, 200, 5_000));
        assert_eq!(sessions.advance(EventTime::from_micros(round * 100 + 50)).expect("advanced")[0].num_rows(), 200);
        assert_eq!((sessions.open_windows(), sessions.memory()), (0, empty));
    }
}

#[test]
fn a_row_between_two_sessions_joins_them() {
    let row = |id, time| Row { id, time: Some(time), key: Some(1) };
    let mut sessions = WindowAggregator::new(spec(10, vec![2])).expect("sessions");
    assert!(sessions.push(&batch(&[row(1, 0), row(2, 18)])).expect("pushed").is_none());
    assert_eq!(sessions.open_windows(), 2);
    // Just too far from both, then near enough to both.
    assert!(sessions.push(&batch(&[row(3, 9)])).expect("pushed").is_none());
    assert_eq!(sessions.open_windows(), 1);
    let fired = sessions.advance(EventTime::MAX).expect("advanced");
    assert_eq!(read(sessions.spec(), &fired[0]), [(28, 0, Some(1), vec![3, 6, 1, 3, 2, 1])]);
}
