//! Window aggregation against a slow reference that keeps every row of every window, over random disordered streams.

use crate::{Aggregate, MAX_OUTPUT_ROWS, WindowAggregator, WindowAggregatorSpec, WindowKind, WindowSpec};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use stygian_core::EventTime;

#[derive(Clone, Debug)]
struct Row {
    id: i64,
    time: Option<i64>,
    key: Option<u8>,
    value: Option<i8>,
}

#[derive(Clone, Debug)]
enum Step {
    Rows(Vec<Row>),
    Watermark(i64),
}

fn schema() -> SchemaRef {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("time", utc, true),
        Field::new("key", DataType::Utf8, true),
        Field::new("value", DataType::Float64, true),
        Field::new("number", DataType::Int64, true),
    ]))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| Some(r.id)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.time).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Arc::new(rows.iter().map(|r| r.key.map(key_text)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.value.map(f64::from)).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| r.key.map(i64::from)).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(schema(), columns).expect("rows of the schema")
}

fn key_text(key: u8) -> String {
    if key == 0 { String::new() } else { "k".repeat(usize::from(key)) }
}

const AGGREGATES: [&str; 12] = [
    "count(*)",
    "count(value)",
    "sum(value)",
    "avg(value)",
    "min(value)",
    "max(value)",
    "stddev(value)",
    "median(value)",
    "count(distinct value)",
    "count(*) filter (where value > 0)",
    "sum(value * 2 + 1)",
    "max(key)",
];

fn spec(window: WindowSpec, keys: Vec<usize>) -> Arc<WindowAggregatorSpec> {
    let aggregate = |sql: &str| Aggregate::compile(sql, &schema()).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let aggregates = AGGREGATES.iter().map(|sql| ((*sql).to_owned(), aggregate(sql))).collect();
    Arc::new(WindowAggregatorSpec { window, keys, event_time: Some(1), allowed_lateness: 0, early: false, aggregates, input: schema() })
}

/// What each aggregate is for a window start and key (none: null).
type Values = ((i64, Option<u8>), Vec<Option<f64>>);

/// Window start and key to the rows.
type Windows = BTreeMap<(i64, Option<u8>), Vec<Row>>;

/// Every window by its definition: all `[start, start + size)` with `start - offset` a multiple of the slide.
fn starts(window: WindowSpec, time: i64) -> Vec<i64> {
    let first = time - window.size();
    (first..=time).filter(|start| (start - window.offset) % window.slide() == 0 && time < start + window.size()).collect()
}

type Fired = BTreeMap<(i64, Option<u8>), Vec<Option<f64>>>;

#[derive(Default, Debug, PartialEq)]
struct Outcome {
    /// By firing: the windows that fired and what each aggregate is for each key.
    fired: Vec<Fired>,
    late: Vec<i64>,
    /// After each step.
    open: Vec<usize>,
}

fn reference(window: WindowSpec, keyed: bool, steps: &[Step]) -> Outcome {
    let (mut open, mut watermark, mut outcome) = (Windows::new(), i64::MIN, Outcome::default());
    for step in steps {
        match step {
            Step::Rows(rows) => {
                for row in rows {
                    let windows: Vec<i64> = row.time.map_or(Vec::new(), |time| starts(window, time));
                    let windows: Vec<i64> = windows.into_iter().filter(|start| start + window.size() > watermark).collect();
                    if windows.is_empty() {
                        outcome.late.push(row.id);
                    }
                    for start in windows {
                        let key = if keyed { row.key } else { None };
                        open.entry((start, key)).or_default().push(row.clone());
                    }
                }
            }
            Step::Watermark(time) => {
                watermark = watermark.max(*time);
                let done: Vec<_> = open.keys().copied().filter(|(start, _)| start + window.size() <= watermark).collect();
                let done = done.into_iter().map(|at| (at, values(&open.remove(&at).expect("it is there"))));
                outcome.fired.push(done.collect());
            }
        }
        outcome.open.push(open.keys().map(|(start, _)| start).collect::<BTreeSet<_>>().len());
    }
    outcome
}

#[allow(clippy::cast_precision_loss)]
fn values(rows: &[Row]) -> Vec<Option<f64>> {
    let mut values: Vec<f64> = rows.iter().filter_map(|row| row.value.map(f64::from)).collect();
    values.sort_by(f64::total_cmp);
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    let some = |value: f64| (!values.is_empty()).then_some(value);
    let mean = sum / count;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    let middle = values.len() / 2;
    let median = match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    };
    let distinct: BTreeSet<i64> = rows.iter().filter_map(|row| row.value.map(i64::from)).collect();
    let longest = rows.iter().filter_map(|row| row.key).max().map(f64::from);
    vec![
        Some(rows.len() as f64),
        Some(count),
        some(sum),
        some(mean),
        values.first().copied(),
        values.last().copied(),
        (values.len() > 1).then_some(deviation),
        some(median),
        Some(distinct.len() as f64),
        Some(values.iter().filter(|v| **v > 0.0).count() as f64),
        some(sum * 2.0 + count),
        longest,
    ]
}

/// The same from the code under test. `key` reads the key of a result row.
fn outcome(spec: &Arc<WindowAggregatorSpec>, steps: &[Step], cut: usize) -> (Outcome, Vec<RecordBatch>) {
    let mut aggregator = WindowAggregator::new(spec.clone()).expect("a window");
    let (mut outcome, mut batches) = (Outcome::default(), Vec::new());
    for step in steps {
        match step {
            Step::Rows(rows) => {
                // Slices of a larger batch, so that offsets count.
                let whole = batch(rows);
                for from in (0..rows.len()).step_by(cut) {
                    if let Some(late) = aggregator.push(&whole.slice(from, cut.min(rows.len() - from))).expect("pushed") {
                        assert_eq!(late.schema(), schema());
                        outcome.late.extend(late.column(0).as_primitive::<Int64Type>().values());
                    }
                }
            }
            Step::Watermark(time) => {
                let fired = aggregator.advance(EventTime::from_micros(*time)).expect("advanced");
                outcome.fired.push(fired.iter().flat_map(|batch| read(spec, batch)).collect());
                let starts: Vec<i64> = fired.iter().flat_map(window_starts).collect();
                assert!(starts.is_sorted(), "{starts:?}");
                batches.extend(fired);
            }
        }
        outcome.open.push(aggregator.open_windows());
    }
    if aggregator.watermark() == EventTime::MAX {
        assert_eq!((aggregator.held_rows(), aggregator.open_keys(), aggregator.open_windows()), (0, 0, 0));
    }
    (outcome, batches)
}

fn window_starts(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<TimestampMicrosecondType>().values().to_vec()
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn read(spec: &WindowAggregatorSpec, batch: &RecordBatch) -> Vec<Values> {
    assert_eq!(batch.schema(), spec.output_schema());
    assert!(batch.num_rows() <= MAX_OUTPUT_ROWS);
    let time = |column: usize, row: usize| batch.column(column).as_primitive::<TimestampMicrosecondType>().value(row);
    let first = 3 + spec.keys.len();
    (0..batch.num_rows())
        .map(|row| {
            let start = time(0, row);
            assert_eq!((time(1, row), time(2, row)), (start + spec.window.size(), start + spec.window.size() - 1));
            let key = spec.keys.first().and_then(|_| {
                let column = batch.column(3);
                column.is_valid(row).then(|| match column.data_type() {
                    DataType::Utf8 => column.as_string::<i32>().value(row).len() as u8,
                    _ => column.as_primitive::<Int64Type>().value(row) as u8,
                })
            });
            let value = |column: &ArrayRef| {
                column.is_valid(row).then(|| match column.data_type() {
                    DataType::Float64 => column.as_primitive::<Float64Type>().value(row),
                    DataType::Int64 => column.as_primitive::<Int64Type>().value(row) as f64,
                    _ => column.as_string::<i32>().value(row).len() as f64,
                })
            };
            ((start, key), batch.columns()[first..].iter().map(value).collect())
        })
        .collect()
}

/// Equal but for the rounding of averages and deviations.
fn assert_same(found: &Outcome, expected: &Outcome) {
    assert_eq!(found.late, expected.late);
    assert_eq!(found.open, expected.open);
    assert_eq!(found.fired.len(), expected.fired.len());
    for (found, expected) in found.fired.iter().zip(&expected.fired) {
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (at, expected) in expected {
            for ((sql, found), expected) in AGGREGATES.iter().zip(&found[at]).zip(expected) {
                let close = match (found, expected) {
                    (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * (1.0 + b.abs()),
                    (a, b) => a == b,
                };
                assert!(close, "{sql} at {at:?}: {found:?}, expected {expected:?}");
            }
        }
    }
}

fn windows() -> impl Strategy<Value = WindowSpec> {
    let kind = prop_oneof![
        (1_i64..40).prop_map(|size| WindowKind::Tumbling { size }),
        (1_i64..12, 1_i64..6).prop_map(|(slide, times)| WindowKind::Sliding { size: slide * times, slide }),
    ];
    (kind, -50_i64..50).prop_map(|(kind, offset)| WindowSpec { kind, offset })
}

/// Time moves on by and large, rows are up to 30 us out of order, watermarks follow or run ahead.
fn streams() -> impl Strategy<Value = Vec<Step>> {
    let row = (prop::option::weighted(0.95, -30_i64..10), prop::option::weighted(0.9, 0_u8..6), prop::option::weighted(0.9, -9_i8..9));
    let rows = prop::collection::vec(row, 1..25);
    let step = (0_i64..40, rows, prop::option::weighted(0.6, -45_i64..5));
    prop::collection::vec(step, 1..15).prop_map(|steps| {
        let (mut now, mut id, mut out) = (-150_i64, 0, Vec::new());
        for (later, rows, watermark) in steps {
            now += later;
            let rows = rows.into_iter().map(|(time, key, value)| {
                id += 1;
                Row { id, time: time.map(|time| now + time), key, value }
            });
            out.push(Step::Rows(rows.collect()));
            out.extend(watermark.map(|behind| Step::Watermark(now + behind)));
        }
        out.push(Step::Watermark(i64::MAX));
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_slow_reference(window in windows(), steps in streams(), cut in 1_usize..30, by in 0_usize..3) {
        // By text, by nothing, by number (the general encoding).
        let keys = [vec![2], vec![], vec![4]][by].clone();
        let expected = reference(window, !keys.is_empty(), &steps);
        let spec = spec(window, keys);
        assert_same(&outcome(&spec, &steps, cut).0, &expected);
    }

    #[test]
    fn the_order_of_results_does_not_depend_on_batches(window in windows(), steps in streams(), cut in 1_usize..30) {
        let spec = spec(window, vec![2]);
        let order = |cut| {
            let (_, batches) = outcome(&spec, &steps, cut);
            batches.iter().flat_map(|batch| read(&spec, batch)).map(|(at, _)| at).collect::<Vec<_>>()
        };
        prop_assert_eq!(order(cut), order(1_000));
    }
}

fn row(id: i64, time: i64, key: u8) -> Row {
    Row { id, time: Some(time), key: Some(key), value: Some(1) }
}

#[test]
fn fires_when_the_watermark_reaches_the_end() {
    let mut aggregator = WindowAggregator::new(spec(WindowSpec::tumbling(10), vec![2])).expect("a window");
    assert!(aggregator.push(&batch(&[row(1, 9, 1), row(2, 10, 1)])).expect("pushed").is_none());
    assert!(aggregator.advance(EventTime::from_micros(9)).expect("advanced").is_empty());
    assert_eq!(aggregator.open_windows(), 2);
    let fired = aggregator.advance(EventTime::from_micros(10)).expect("advanced");
    assert_eq!(fired.iter().flat_map(window_starts).collect::<Vec<_>>(), [0]);
    // A watermark never moves back, and 9 is late now.
    assert!(aggregator.advance(EventTime::MIN).expect("advanced").is_empty());
    assert_eq!(aggregator.push(&batch(&[row(3, 9, 1)])).expect("pushed").map(|late| late.num_rows()), Some(1));
    assert_eq!((aggregator.held_rows(), aggregator.open_keys()), (1, 1));
}

#[test]
fn a_late_row_of_one_sliding_window_still_counts_in_the_others() {
    let mut aggregator = WindowAggregator::new(spec(WindowSpec::sliding(10, 5), vec![])).expect("a window");
    let count = |batches: &[RecordBatch]| -> Vec<(i64, i64)> {
        let counts = |b: &RecordBatch| b.column(3).as_primitive::<Int64Type>().values().to_vec();
        batches.iter().flat_map(|b| window_starts(b).into_iter().zip(counts(b))).collect()
    };
    assert!(aggregator.push(&batch(&[row(1, 6, 1)])).expect("pushed").is_none());
    assert_eq!(count(&aggregator.advance(EventTime::from_micros(10)).expect("advanced")), [(0, 1)]);
    assert!(aggregator.push(&batch(&[row(2, 7, 1)])).expect("pushed").is_none());
    assert_eq!(count(&aggregator.advance(EventTime::MAX).expect("advanced")), [(5, 2)]);
}

#[test]
fn absurd_and_missing_times_are_late() {
    let mut aggregator = WindowAggregator::new(spec(WindowSpec::tumbling(10), vec![])).expect("a window");
    let rows = [row(1, i64::MIN, 1), row(2, i64::MAX, 1), row(3, 5, 1), Row { time: None, ..row(4, 0, 1) }];
    let late = aggregator.push(&batch(&rows)).expect("pushed").expect("three are late");
    assert_eq!(late.column(0).as_primitive::<Int64Type>().values(), &[1, 2, 4]);
    assert_eq!(aggregator.advance(EventTime::MAX).expect("advanced").len(), 1);
}

#[test]
fn cuts_large_results_and_releases_memory() {
    let keys = 20_000_i64;
    let mut aggregator = WindowAggregator::new(spec(WindowSpec::tumbling(1_000), vec![4, 2])).expect("a window");
    let empty = aggregator.memory();
    let number = Int64Array::from_iter_values(0..keys);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(number.clone()),
        Arc::new(TimestampMicrosecondArray::from_value(7, 20_000).with_timezone("UTC")),
        Arc::new((0..keys).map(|n| Some(format!("key {n}"))).collect::<StringArray>()),
        Arc::new(Float64Array::from_value(1.0, 20_000)),
        Arc::new(number),
    ];
    let rows = RecordBatch::try_new(schema(), columns).expect("rows of the schema");
    assert!(aggregator.push(&rows).expect("pushed").is_none());
    assert!(aggregator.memory() > empty + 20_000 * 20, "{}", aggregator.memory());
    assert_eq!(aggregator.open_keys(), 20_000);
    let fired = aggregator.advance(EventTime::MAX).expect("advanced");
    assert_eq!(fired.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [8192, 8192, 3616]);
    // First seen, first out.
    let numbers: Vec<i64> = fired.iter().flat_map(|b| b.column(3).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert!(numbers.into_iter().eq(0..keys));
    assert_eq!(fired[1].column(4).as_string::<i32>().value(0), "key 8192");
    assert!(aggregator.memory() <= empty + 20_000 * 8 * 2, "{}", aggregator.memory());
}

#[test]
fn float_keys_are_normalised() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), false),
        Field::new("key", DataType::Float64, true),
    ]));
    let keys =
        Float64Array::from(vec![Some(0.0), Some(-0.0), Some(f64::NAN), Some(-f64::NAN), None, Some(f64::from_bits(0x7ff8_0000_0000_0001))]);
    let columns: Vec<ArrayRef> = vec![Arc::new(TimestampMicrosecondArray::from_value(0, 6)), Arc::new(keys)];
    let rows = RecordBatch::try_new(schema.clone(), columns).expect("rows");
    let aggregates = vec![("n".to_owned(), Aggregate::compile("count(*)", &schema).expect("an aggregate"))];
    let spec = WindowAggregatorSpec {
        window: WindowSpec::tumbling(10),
        keys: vec![1],
        event_time: Some(0),
        allowed_lateness: 0,
        early: false,
        aggregates,
        input: schema,
    };
    let mut aggregator = WindowAggregator::new(Arc::new(spec)).expect("a window");
    assert!(aggregator.push(&rows).expect("pushed").is_none());
    let fired = aggregator.advance(EventTime::MAX).expect("advanced").remove(0);
    assert_eq!(fired.column(4).as_primitive::<Int64Type>().values(), &[2, 3, 1]);
    let bits: Vec<Option<u64>> = fired.column(3).as_primitive::<Float64Type>().iter().map(|v| v.map(f64::to_bits)).collect();
    assert_eq!(bits, [Some(0), Some(f64::NAN.to_bits()), None]);
}
