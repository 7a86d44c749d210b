//! Results that are replaced (allowed lateness, early results) against a slow reference, and aggregates of a user's own in all windows.

use crate::{
    Aggregate, ExternalAccumulators, ExternalAggregate, ExternalError, ExternalFunction, WindowAggregator, WindowAggregatorSpec,
    WindowKind, WindowSpec,
};
use arrow_array::builder::BinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use stygian_core::EventTime;

/// Time, key and value.
type Row = (i64, u8, i64);

#[derive(Clone, Debug)]
enum Step {
    Rows(Vec<Row>),
    Watermark(i64),
    Early,
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let numbers = ["key", "value"].map(|name| Field::new(name, DataType::Int64, false));
    Arc::new(Schema::new([vec![Field::new("time", time, false)], numbers.to_vec()].concat()))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.0))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| i64::from(row.1)))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
    ];
    RecordBatch::try_new(schema(), columns).expect("rows of the schema")
}

/// The least and the largest value, as a user would write it: an accumulator is two numbers.
#[derive(Debug)]
pub(super) struct Extremes(Fields);

pub(super) fn extremes() -> Arc<Extremes> {
    Arc::new(Extremes(["least", "most"].map(|name| Field::new(name, DataType::Int64, true)).to_vec().into()))
}

struct Instance;

type Pair = (i64, i64);

fn read_pairs(accumulators: &BinaryArray) -> Vec<Option<Pair>> {
    let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    accumulators.iter().map(|bytes| bytes.map(|bytes| (number(&bytes[..8]), number(&bytes[8..])))).collect()
}

fn write_pairs(pairs: &[Option<Pair>]) -> BinaryArray {
    let mut builder = BinaryBuilder::new();
    for pair in pairs {
        builder.append_option(pair.map(|(least, most)| [least.to_le_bytes(), most.to_le_bytes()].concat()));
    }
    builder.finish()
}

fn joined(one: Option<Pair>, other: Option<Pair>) -> Option<Pair> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}

impl ExternalAggregate for Instance {
    fn accumulate(&mut self, accumulators: &BinaryArray, rows: &[ArrayRef], groups: &[u32]) -> Result<BinaryArray, ExternalError> {
        let mut pairs = read_pairs(accumulators);
        for (value, group) in rows[0].as_primitive::<Int64Type>().values().iter().zip(groups) {
            let group = &mut pairs[*group as usize];
            *group = joined(*group, Some((*value, *value)));
        }
        Ok(write_pairs(&pairs))
    }

    fn merge(&mut self, into: &BinaryArray, from: &BinaryArray) -> Result<BinaryArray, ExternalError> {
        let pairs = read_pairs(into).into_iter().zip(read_pairs(from)).map(|(into, from)| joined(into, from));
        Ok(write_pairs(&pairs.collect::<Vec<_>>()))
    }

    fn finish(&mut self, accumulators: &BinaryArray) -> Result<Vec<ArrayRef>, ExternalError> {
        let pairs = read_pairs(accumulators);
        let column = |of: fn(Pair) -> i64| Arc::new(pairs.iter().map(|pair| pair.map(of)).collect::<Int64Array>()) as ArrayRef;
        Ok(vec![column(|pair| pair.0), column(|pair| pair.1)])
    }

    fn migrate(&mut self, from_version: u32, _: &BinaryArray) -> Result<BinaryArray, ExternalError> {
        Err(format!("there is no version {from_version}").into())
    }
}

impl ExternalFunction for Extremes {
    fn open(&self) -> Result<Box<dyn ExternalAggregate>, ExternalError> {
        Ok(Box::new(Instance))
    }

    fn results(&self) -> &Fields {
        &self.0
    }

    fn accumulators(&self) -> &ExternalAccumulators {
        static OWN: std::sync::LazyLock<ExternalAccumulators> = std::sync::LazyLock::new(|| ExternalAccumulators {
            function: "extremes".into(),
            version: 1,
            ..ExternalAccumulators::default()
        });
        &OWN
    }
}

/// Counts, sums, a quantile and both extremes, by plugin and natively.
fn spec(window: WindowSpec, allowed_lateness: i64, early: bool) -> Arc<WindowAggregatorSpec> {
    let native = |sql: &str| (sql.to_owned(), Aggregate::compile(sql, &schema()).unwrap_or_else(|error| panic!("{sql}: {error}")));
    let mut aggregates: Vec<_> =
        ["count(*)", "sum(value)", "min(value)", "max(value)", "quantile(value, 0.25)"].map(native).into_iter().collect();
    aggregates.push(("x".to_owned(), Aggregate::external("extremes", &schema(), &[2], extremes())));
    Arc::new(WindowAggregatorSpec { window, keys: vec![1], event_time: Some(0), allowed_lateness, early, aggregates, input: schema() })
}

/// Start and key of a window; revision, count and sum, least and largest value.
type Result_ = ((i64, u8), (i64, i64, i64, i64, i64));

#[derive(Default)]
struct Held {
    rows: Vec<i64>,
    results: i64,
    dirty: bool,
}

impl Held {
    fn give(&mut self, at: (i64, u8)) -> Result_ {
        let bounds = (self.rows.iter().min().copied().unwrap_or(0), self.rows.iter().max().copied().unwrap_or(0));
        self.dirty = false;
        self.results += 1;
        (at, (self.results - 1, i64::try_from(self.rows.len()).expect("small"), self.rows.iter().sum(), bounds.0, bounds.1))
    }
}

/// By step: the results. And the values of late rows.
fn reference(window: WindowSpec, lateness: i64, early: bool, steps: &[Step]) -> (Vec<Vec<Result_>>, Vec<i64>) {
    let (mut held, mut watermark, mut late): (BTreeMap<(i64, u8), Held>, _, _) = (BTreeMap::new(), i64::MIN, Vec::new());
    let closes = |start: i64| start + window.size() + lateness;
    let mut out = Vec::new();
    for step in steps {
        let mut given = Vec::new();
        match step {
            Step::Rows(rows) => {
                for (time, key, value) in rows {
                    let starts = (time - window.size() + 1..=*time).filter(|start| (start - window.offset) % window.slide() == 0);
                    let starts: Vec<i64> = starts.filter(|start| closes(*start) > watermark).collect();
                    if starts.is_empty() {
                        late.push(*value);
                    }
                    for start in starts {
                        let held = held.entry((start, *key)).or_default();
                        held.rows.push(*value);
                        held.dirty = true;
                    }
                }
            }
            Step::Watermark(time) => {
                let passed = watermark;
                watermark = watermark.max(*time);
                for (at, held) in &mut held {
                    let end = at.0 + window.size();
                    if end <= watermark && (end > passed || held.dirty) {
                        given.push(held.give(*at));
                    }
                }
                held.retain(|(start, _), _| watermark != i64::MAX && closes(*start) > watermark);
            }
            Step::Early if early => given.extend(held.iter_mut().filter(|(_, held)| held.dirty).map(|(at, held)| held.give(*at))),
            Step::Early => {}
        }
        out.push(given);
    }
    (out, late)
}

fn outcome(spec: &Arc<WindowAggregatorSpec>, steps: &[Step], cut: usize) -> (Vec<Vec<Result_>>, Vec<i64>) {
    let mut aggregator = WindowAggregator::new(spec.clone()).expect("a window");
    let (mut out, mut late) = (Vec::new(), Vec::new());
    for step in steps {
        let mut results = Vec::new();
        match step {
            Step::Rows(rows) => {
                for rows in rows.chunks(cut) {
                    let pushed = aggregator.push(&batch(rows)).expect("pushed");
                    late.extend(pushed.iter().flat_map(|late| late.column(2).as_primitive::<Int64Type>().values().to_vec()));
                }
            }
            Step::Watermark(time) => results = aggregator.advance(EventTime::from_micros(*time)).expect("advanced"),
            Step::Early => results = aggregator.early().expect("given"),
        }
        let mut given: Vec<Result_> = results.iter().flat_map(|batch| read(spec, batch)).collect();
        let sessions = matches!(spec.window.kind, WindowKind::Session { .. });
        assert!(sessions || given.iter().is_sorted_by_key(|((start, _), _)| *start));
        given.sort_unstable();
        out.push(given);
    }
    assert_eq!((aggregator.open_windows(), aggregator.open_keys()), (0, 0));
    (out, late)
}

#[allow(clippy::cast_possible_truncation)]
fn read(spec: &WindowAggregatorSpec, batch: &RecordBatch) -> Vec<Result_> {
    assert_eq!(batch.schema(), spec.output_schema());
    let number = |name: &str, row: usize| batch.column_by_name(name).expect(name).as_primitive::<Int64Type>().value(row);
    let of_row = |row: usize| {
        let start = batch.column(0).as_primitive::<TimestampMicrosecondType>().value(row);
        let (least, most) = (number("x_least", row), number("x_most", row));
        assert_eq!((least, most), (number("min(value)", row), number("max(value)", row)));
        let revision = if spec.revises() { number("revision", row) } else { 0 };
        ((start, number("key", row) as u8), (revision, number("count(*)", row), number("sum(value)", row), least, most))
    };
    (0..batch.num_rows()).map(of_row).collect()
}

fn windows() -> impl Strategy<Value = WindowSpec> {
    let kind = prop_oneof![
        (1_i64..30).prop_map(|size| WindowKind::Tumbling { size }),
        (1_i64..10, 1_i64..5).prop_map(|(slide, times)| WindowKind::Sliding { size: slide * times, slide }),
    ];
    (kind, -9_i64..9).prop_map(|(kind, offset)| WindowSpec { kind, offset })
}

fn streams() -> impl Strategy<Value = Vec<Step>> {
    let rows = prop::collection::vec((-50_i64..10, 0_u8..6, -9_i64..9), 0..15);
    let step = (0_i64..20, rows, prop::option::weighted(0.6, -25_i64..5), prop::bool::weighted(0.3));
    prop::collection::vec(step, 1..40).prop_map(|steps| {
        let (mut now, mut out) = (-200_i64, Vec::new());
        for (later, rows, watermark, early) in steps {
            now += later;
            out.push(Step::Rows(rows.into_iter().map(|(time, key, value)| (now + time, key, value)).collect()));
            out.extend(early.then_some(Step::Early));
            out.extend(watermark.map(|behind| Step::Watermark(now + behind)));
        }
        out.push(Step::Watermark(i64::MAX));
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_slow_reference(
        window in windows(), lateness in prop_oneof![Just(0_i64), 1_i64..60], early in any::<bool>(), steps in streams(), cut in 1_usize..20,
    ) {
        let (mut expected, late) = reference(window, lateness, early, &steps);
        let spec = spec(window, lateness, early);
        if !spec.revises() {
            expected.iter_mut().flatten().for_each(|(_, values)| values.0 = 0);
        }
        prop_assert_eq!(outcome(&spec, &steps, cut), (expected, late));
    }

    /// An early result in mid-stream changes no later one but its revision.
    #[test]
    fn a_look_in_mid_stream_changes_no_result(window in windows(), steps in streams()) {
        let without: Vec<Step> = steps.iter().filter(|step| !matches!(step, Step::Early)).cloned().collect();
        let last = |steps: &[Step]| {
            let mut last = BTreeMap::new();
            for (at, (_, count, sum, least, most)) in outcome(&spec(window, 7, true), steps, 100).0.into_iter().flatten() {
                last.insert(at, (count, sum, least, most));
            }
            last
        };
        prop_assert_eq!(last(&steps), last(&without));
    }

    /// A user's aggregate gives the same in sessions as native ones (which the other tests compare with definitions).
    #[test]
    fn own_aggregates_work_in_sessions(gap in 1_i64..40, steps in streams()) {
        let spec = spec(WindowSpec::session(gap), 0, false);
        outcome(&spec, &steps, 7);
    }
}

#[test]
fn own_aggregates_are_called_with_many_rows_at_a_time() {
    let rows: Vec<Row> = (0..10_000).map(|n| (n % 5, u8::try_from(n % 200).expect("small"), n)).collect();
    let steps = [Step::Rows(rows), Step::Watermark(i64::MAX)];
    let found = outcome(&spec(WindowSpec::sliding(4, 2), 0, false), &steps, 8192);
    let (expected, _) = reference(WindowSpec::sliding(4, 2), 0, false, &steps);
    assert_eq!(found.0, expected);
}
