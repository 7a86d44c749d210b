//! Snapshots of windows at a random point of random streams: whoever goes on from one gives what an uninterrupted run gives.

use super::revisions::extremes;
use crate::stored::Layout;
use crate::{Aggregate, WindowAggregator, WindowAggregatorSpec, WindowKind, WindowSpec};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use std::sync::Arc;
use stygian_core::{EventTime, KeyHasher, MaxParallelism, Parallelism, StateSection};

/// Time, what keys are made of, value.
pub(super) type Row = (Option<i64>, Option<u8>, i64);

#[derive(Clone, Debug)]
pub(super) enum Step {
    Rows(Vec<Row>),
    Watermark(i64),
    Early,
}

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("text", DataType::Utf8, true),
        Field::new("float", DataType::Float64, true),
        Field::new("flag", DataType::Boolean, true),
        Field::new("value", DataType::Int64, false),
    ]))
}

/// Both zeros, two kinds of NaN, and numbers.
fn float(key: u8) -> f64 {
    [0.0, -0.0, f64::NAN, -f64::NAN, 1.5, f64::INFINITY].get(usize::from(key)).copied().unwrap_or(f64::from(key))
}

pub(super) fn batch(first: i64, rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new((first..).take(rows.len()).map(Some).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.0).collect::<TimestampMicrosecondArray>()),
        Arc::new(rows.iter().map(|row| row.1.map(|key| "k".repeat(usize::from(key) * 5))).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.1.map(float)).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.1.map(|key| key % 3 == 1)).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(schema(), columns).expect("rows of the schema")
}

pub(super) fn groups() -> MaxParallelism {
    MaxParallelism::new(7).expect("in range")
}

/// A row in words; floats without their last bits.
pub(super) fn lines(batch: &RecordBatch) -> Vec<String> {
    let cell = |column: &ArrayRef, row: usize| match column.data_type() {
        DataType::Float64 if column.is_valid(row) => format!("{:.9}", column.as_primitive::<Float64Type>().value(row)),
        _ => array_value_to_string(column, row).expect("printable"),
    };
    let line = |row| batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(line).collect()
}

/// The owner of each row's key among so many.
pub(super) fn part(rows: &RecordBatch, keys: &[usize], subtasks: usize) -> Vec<RecordBatch> {
    let columns: Vec<ArrayRef> = keys.iter().map(|key| rows.column(*key).clone()).collect();
    let mut hasher = KeyHasher::default();
    let hashes = hasher.hash(&columns, rows.num_rows()).expect("keys");
    let parallelism = Parallelism::new(u16::try_from(subtasks).expect("few")).expect("some");
    let owner = |hash: u64| groups().owner_of(groups().group_of(hash), parallelism).index();
    let of = |subtask: usize| {
        let chosen: UInt32Array = (0_u32..).zip(hashes).filter(|(_, hash)| owner(**hash) == subtask).map(|(row, _)| row).collect();
        arrow_select::take::take_record_batch(rows, &chosen).expect("rows")
    };
    (0..subtasks).map(of).collect()
}

/// What came out of each step: results, late rows, and what is held then.
pub(super) type Outcome = Vec<(Vec<String>, Vec<i64>, [usize; 2])>;

/// What is done at the cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Nothing,
    /// A snapshot that nobody reads.
    Look,
    /// A snapshot, from which so many go on; and so often.
    Restore(usize, usize),
}

fn restored(spec: &Arc<WindowAggregatorSpec>, sections: &[StateSection], watermark: EventTime, subtasks: usize) -> Vec<WindowAggregator> {
    let parallelism = Parallelism::new(u16::try_from(subtasks).expect("few")).expect("some");
    let mut windows: Vec<_> = (0..subtasks).map(|_| WindowAggregator::new(spec.clone()).expect("windows")).collect();
    for section in sections {
        windows[groups().owner_of(section.group, parallelism).index()].restore(section).expect("restored");
    }
    windows.iter_mut().for_each(|windows| windows.restore_watermark(watermark));
    windows
}

pub(super) fn snapshot(windows: &mut [WindowAggregator]) -> Vec<StateSection> {
    windows
        .iter_mut()
        .flat_map(|windows| windows.snapshot(groups()).unwrap_or_else(|error| panic!("{:?}: {error}", windows.spec().aggregates)))
        .collect()
}

fn run(spec: &Arc<WindowAggregatorSpec>, steps: &[Step], begin_with: usize, at: usize, cut: Cut) -> Outcome {
    let mut windows = restored(spec, &[], EventTime::MIN, begin_with);
    let (mut outcome, mut first) = (Outcome::new(), 0);
    for (number, step) in steps.iter().enumerate() {
        if number == at {
            match cut {
                Cut::Nothing => {}
                Cut::Look => drop(snapshot(&mut windows)),
                Cut::Restore(subtasks, times) => {
                    for _ in 0..times {
                        let watermark = windows[0].watermark();
                        let before = held(&windows);
                        let one = windows.len() == subtasks;
                        windows = restored(spec, &snapshot(&mut windows), watermark, subtasks);
                        assert_eq!(held(&windows)[..1 + usize::from(one)], before[..1 + usize::from(one)], "it is known at once");
                    }
                }
            }
        }
        let (mut results, mut late) = (Vec::new(), Vec::new());
        let count = windows.len();
        match step {
            Step::Rows(rows) => {
                let parts = part(&batch(first, rows), &spec.keys, count);
                first += i64::try_from(rows.len()).expect("few");
                for (windows, rows) in windows.iter_mut().zip(parts) {
                    late.extend(windows.push_at(&rows, EventTime::from_micros(first)).expect("pushed"));
                }
            }
            Step::Watermark(time) => {
                for windows in &mut windows {
                    results.extend(windows.advance(EventTime::from_micros(*time)).expect("advanced"));
                }
            }
            Step::Early => windows.iter_mut().for_each(|windows| results.extend(windows.early().expect("given"))),
        }
        let late = late.iter().flat_map(|rows: &RecordBatch| rows.column(0).as_primitive::<Int64Type>().values().to_vec());
        outcome.push((results.iter().flat_map(lines).collect(), late.collect(), held(&windows)));
    }
    outcome
}

/// Windows are counted once a subtask, so only where there is one.
fn held(windows: &[WindowAggregator]) -> [usize; 2] {
    let open = if windows.len() == 1 { windows[0].open_windows() } else { 0 };
    [windows.iter().map(WindowAggregator::held_rows).sum(), open]
}

pub(super) fn sorted(mut outcome: Outcome) -> Outcome {
    for (results, late, held) in &mut outcome {
        results.sort();
        late.sort_unstable();
        held[1] = 0;
    }
    outcome
}

const AGGREGATES: [&str; 12] = [
    "count(*)",
    "sum(value)",
    "avg(value)",
    "min(value) filter (where flag)",
    "max(text)",
    "stddev(value)",
    "median(value)",
    "count(distinct text)",
    "approx_distinct(value)",
    "bool_or(flag)",
    "count(*) filter (where value > 0)",
    "quantile(value, 0.25)",
];

pub(super) fn spec(
    window: WindowSpec,
    keys: Vec<usize>,
    (lateness, early): (i64, bool),
    by_clock: bool,
    aggregates: &[&str],
) -> Arc<WindowAggregatorSpec> {
    let native = |sql: &&str| ((*sql).to_owned(), Aggregate::compile(sql, &schema()).unwrap_or_else(|error| panic!("{sql}: {error}")));
    let mut aggregates: Vec<_> = aggregates.iter().map(native).collect();
    aggregates.push(("x".to_owned(), Aggregate::external("extremes", &schema(), &[5], extremes())));
    let event_time = (!by_clock).then_some(1);
    Arc::new(WindowAggregatorSpec { window, keys, event_time, allowed_lateness: lateness, early, aggregates, input: schema() })
}

pub(super) fn key_columns() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![]), Just(vec![2]), Just(vec![3]), Just(vec![3, 2]), Just(vec![4])]
}

fn windows() -> impl Strategy<Value = WindowSpec> {
    let kind = prop_oneof![
        (1_i64..30).prop_map(|size| WindowKind::Tumbling { size }),
        (1_i64..10, 1_i64..5).prop_map(|(slide, times)| WindowKind::Sliding { size: slide * times, slide }),
    ];
    (kind, -9_i64..9).prop_map(|(kind, offset)| WindowSpec { kind, offset })
}

pub(super) fn streams() -> impl Strategy<Value = Vec<Step>> {
    let rows = prop::collection::vec((prop::option::weighted(0.97, -50_i64..10), prop::option::weighted(0.9, 0_u8..7), -9_i64..9), 0..15);
    let step = (0_i64..20, rows, prop::option::weighted(0.6, -25_i64..5), prop::bool::weighted(0.4));
    prop::collection::vec(step, 1..30).prop_map(|steps| {
        let (mut now, mut out) = (-200_i64, Vec::new());
        for (later, rows, watermark, early) in steps {
            now += later;
            out.push(Step::Rows(rows.into_iter().map(|(time, key, value)| (time.map(|time| now + time), key, value)).collect()));
            out.extend(early.then_some(Step::Early));
            out.extend(watermark.map(|behind| Step::Watermark(now + behind)));
        }
        out.push(Step::Watermark(i64::MAX));
        out
    })
}

/// All that a section says, in words.
fn content(spec: &WindowAggregatorSpec, section: &StateSection) -> Vec<String> {
    let layout = Layout::of_windows(spec).expect("a layout");
    let stored = crate::stored::read(&layout, section).expect("read").expect("not empty");
    let rows = stored.streams.iter().flatten().flat_map(lines);
    [format!("{:?} {} {:?}", section.group, stored.changed, stored.facts)].into_iter().chain(rows).collect()
}

fn agree(spec: &Arc<WindowAggregatorSpec>, steps: &[Step], at: usize) -> Result<(), TestCaseError> {
    let uninterrupted = run(spec, steps, 1, at, Cut::Nothing);
    prop_assert_eq!(&run(spec, steps, 1, at, Cut::Look), &uninterrupted, "after a look");
    prop_assert_eq!(&run(spec, steps, 1, at, Cut::Restore(1, 1)), &uninterrupted, "restored");
    prop_assert_eq!(&run(spec, steps, 1, at, Cut::Restore(1, 2)), &uninterrupted, "restored from a restored one");
    let uninterrupted = sorted(uninterrupted);
    prop_assert_eq!(&sorted(run(spec, steps, 1, at, Cut::Restore(3, 1))), &uninterrupted, "from one to three");
    prop_assert_eq!(&sorted(run(spec, steps, 3, at, Cut::Restore(2, 1))), &uninterrupted, "from three to two");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn panes_go_on_from_a_snapshot(
        window in windows(), keys in key_columns(), lateness in prop_oneof![Just(0_i64), 1_i64..60], early in any::<bool>(),
        steps in streams(), at in any::<prop::sample::Index>(),
    ) {
        let at = at.index(steps.len());
        agree(&spec(window, keys, (lateness, early), false, &AGGREGATES), &steps, at)?;
    }

    #[test]
    fn windows_of_processing_time_go_on_from_a_snapshot(
        window in windows(), keys in key_columns(), early in any::<bool>(), steps in streams(), at in any::<prop::sample::Index>(),
    ) {
        let at = at.index(steps.len());
        agree(&spec(window, keys, (0, early), true, &AGGREGATES[..3]), &steps, at)?;
    }

    #[test]
    fn sessions_go_on_from_a_snapshot(gap in 1_i64..40, keys in key_columns(), steps in streams(), at in any::<prop::sample::Index>()) {
        let at = at.index(steps.len());
        agree(&spec(WindowSpec::session(gap), keys, (0, false), false, &AGGREGATES), &steps, at)?;
    }

    /// Whatever the aggregates hold, they hold the same once restored: sections of what was restored are those it was restored from.
    #[test]
    fn a_restored_one_holds_the_same(
        window in windows(), keys in key_columns(), lateness in 0_i64..60, early in any::<bool>(), steps in streams(),
    ) {
        let spec = spec(window, keys, (lateness, early), false, &["count(*)", "sum(value)", "median(value)"]);
        let mut windows = restored(&spec, &[], EventTime::MIN, 1);
        for step in &steps[..steps.len() - 1] {
            match step {
                Step::Rows(rows) => drop(windows[0].push(&batch(0, rows)).expect("pushed")),
                Step::Watermark(time) => drop(windows[0].advance(EventTime::from_micros(*time)).expect("advanced")),
                Step::Early => drop(windows[0].early().expect("given")),
            }
        }
        let sections = snapshot(&mut windows);
        let watermark = windows[0].watermark();
        let content = |windows: &mut [WindowAggregator]| snapshot(windows).iter().map(|section| content(&spec, section)).collect::<Vec<_>>();
        let held: Vec<_> = sections.iter().map(|section| self::content(&spec, section)).collect();
        prop_assert_eq!(&content(&mut windows), &held, "a snapshot changes nothing");
        prop_assert_eq!(&content(&mut restored(&spec, &sections, watermark, 1)), &held);
    }
}

/// Accumulators take a group that is passed over for one that has seen a value, so what is merged must come all at once.
#[test]
fn a_null_stays_null_where_results_are_merged_from_parts() {
    let null_and_number = vec![Step::Rows(vec![(Some(8), Some(1), 5), (Some(0), None, 7)]), Step::Watermark(i64::MAX)];
    let sessions = spec(WindowSpec::session(6), vec![2], (0, false), false, &["min(value) filter (where flag)", "bool_or(flag)"]);
    let results: Vec<String> = run(&sessions, &null_and_number, 1, 0, Cut::Nothing).into_iter().flat_map(|step| step.0).collect();
    assert!(results[0].ends_with("||||7|7") && results[1].ends_with("|kkkkk|5|true|5|5"), "{results:?}");
    // Both have changed since; the first is in the second pane only.
    let changes = vec![
        Step::Rows(vec![(Some(1), Some(1), 5), (Some(1), None, 7)]),
        Step::Early,
        Step::Rows(vec![(Some(1), Some(1), 5), (Some(6), Some(6), 1), (Some(6), None, 7)]),
        Step::Early,
    ];
    let sliding = spec(WindowSpec::sliding(10, 5), vec![2], (0, true), false, &["min(value) filter (where flag)", "bool_or(flag)"]);
    let results: Vec<String> = run(&sliding, &changes, 1, 0, Cut::Nothing).into_iter().flat_map(|step| step.0).collect();
    assert!(results.iter().all(|line| !line.contains("9223372036854775807")), "{results:?}");
    assert_eq!(results.iter().filter(|line| line.ends_with("|||7|7")).count(), 4, "{results:?}");
}
