//! The first rows of windows against the definition: sort everything, number it, cut it.

use crate::{OrderBy, Top, TopSpec, TopWindows, WindowSpec};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use stygian_core::EventTime;

/// Time, key, number, id.
type Row = (Option<i64>, Option<u8>, Option<f64>, i64);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("key", DataType::Utf8, true),
        Field::new("number", DataType::Float64, true),
        Field::new("id", DataType::Int64, false),
        Field::new("start", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("end", DataType::Timestamp(TimeUnit::Microsecond, None), true),
    ]))
}

const GIVEN: i64 = 10;

fn batch(rows: &[Row]) -> RecordBatch {
    let bounds = |add: i64| rows.iter().map(move |row| row.0.map(|time| time.div_euclid(GIVEN) * GIVEN + add));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<TimestampMicrosecondArray>()),
        Arc::new(rows.iter().map(|row| row.1.map(|key| "k".repeat(usize::from(key)))).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>()),
        Arc::new(bounds(0).collect::<TimestampMicrosecondArray>()),
        Arc::new(bounds(GIVEN).collect::<TimestampMicrosecondArray>()),
    ];
    RecordBatch::try_new(schema(), columns).expect("rows of the schema")
}

/// Nulls last, NaN greatest, as asked for; then the other columns.
fn compare(a: &Row, b: &Row, descending: bool) -> Ordering {
    let by = match (a.2, b.2) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Greater,
        (_, None) => Ordering::Less,
        (Some(a), Some(b)) => {
            let ascending = match (a.is_nan(), b.is_nan()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => a.partial_cmp(&b).expect("numbers"),
            };
            if descending { ascending.reverse() } else { ascending }
        }
    };
    let key = |row: &Row| (row.1.is_none(), row.1);
    by.then(a.0.cmp(&b.0)).then(key(a).cmp(&key(b))).then(a.3.cmp(&b.3))
}

type Window = (i64, i64);

/// The windows of a row, by definition: all whose bounds hold it.
fn windows_of(time: i64, (size, slide): (i64, i64)) -> Vec<Window> {
    let mut start = time.div_euclid(slide) * slide;
    let mut windows = Vec::new();
    while start + size > time {
        windows.push((start + size, start));
        start -= slide;
    }
    windows
}

/// Window, key and rank to id.
type Ranked = BTreeMap<(Window, Option<u8>, i64), i64>;

fn ranked(results: &[RecordBatch], own: bool) -> Ranked {
    let mut found = Ranked::new();
    for rows in results {
        let int = |name: &str| rows.column_by_name(name).expect("a column").as_primitive::<Int64Type>().values().to_vec();
        let time = |name: &str| rows.column_by_name(name).expect("a column").as_primitive::<TimestampMicrosecondType>().values().to_vec();
        let keys = rows.column_by_name("key").expect("a column").as_string::<i32>();
        let (starts, ends) = if own { (time("window_start"), time("window_end")) } else { (time("start"), time("end")) };
        let (ids, ranks) = (int("id"), int("rank"));
        for row in 0..rows.num_rows() {
            let key = keys.is_valid(row).then(|| u8::try_from(keys.value(row).len()).expect("short"));
            assert_eq!(found.insert(((ends[row], starts[row]), key, ranks[row]), ids[row]), None, "a rank is given once");
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn gives_out_what_sorting_everything_gives(
        n in 1_usize..4, cut in 1_usize..9, descending in any::<bool>(), by_key in any::<bool>(),
        shape in prop::option::of(prop_oneof![Just((10_i64, 10_i64)), Just((12, 4)), Just((7, 7))]),
        steps in prop::collection::vec((
            0_i64..5, prop::option::weighted(0.97, -20_i64..9), prop::option::of(0_u8..3),
            prop::option::weighted(0.9, prop_oneof![Just(f64::NAN), Just(-0.0), Just(0.0), (-3_i32..3).prop_map(f64::from)]), prop::option::of(-15_i64..3),
        ), 1..150),
    ) {
        let windows = match shape {
            Some((size, slide)) => TopWindows::Over { window: WindowSpec::sliding(size, slide), event_time: 0 },
            None => TopWindows::Given { start: 4, end: 5 },
        };
        let keys = if by_key { vec![1] } else { Vec::new() };
        let spec = TopSpec { windows, keys, by: vec![OrderBy { column: 2, descending }], n, input: schema() };
        let mut top = Top::new(Arc::new(spec)).expect("a spec");
        let (mut now, mut watermark, mut rows, mut results, mut late): (_, i64, Vec<Row>, _, Vec<i64>) = (0, i64::MIN, Vec::new(), Vec::new(), Vec::new());
        let mut all: BTreeMap<(Window, Option<u8>), Vec<Row>> = BTreeMap::new();
        let mut expected_late = Vec::new();
        for (step, (later, time, key, number, behind)) in steps.iter().enumerate() {
            now += later;
            // Zeros of either sign are one number, as keys are.
            let row = (time.map(|time| now + time), *key, *number, i64::try_from(step).expect("small"));
            let of = row.0.map_or(Vec::new(), |time| windows_of(time, shape.unwrap_or((GIVEN, GIVEN))));
            let open: Vec<Window> = of.into_iter().filter(|(end, _)| *end > watermark).collect();
            if open.is_empty() { expected_late.push(row.3); }
            for window in open { all.entry((window, key.filter(|_| by_key))).or_default().push(row); }
            rows.push(row);
            if rows.len() >= cut || behind.is_some() || step + 1 == steps.len() {
                if let Some(rows) = top.push(&batch(&rows)).expect("pushed") {
                    late.extend(rows.column(3).as_primitive::<Int64Type>().values().iter().copied());
                }
                rows.clear();
            }
            if let Some(behind) = behind {
                watermark = watermark.max(now + behind);
                let given = top.advance(EventTime::from_micros(now + behind)).expect("advanced");
                for rows in &given {
                    let ends = rows.column_by_name(if shape.is_some() { "window_end" } else { "end" }).expect("a column");
                    prop_assert!(ends.as_primitive::<TimestampMicrosecondType>().values().iter().all(|end| *end <= watermark));
                }
                results.extend(given);
                let open: BTreeSet<Window> = all.keys().map(|(window, _)| *window).filter(|(end, _)| *end > watermark).collect();
                prop_assert_eq!(top.open_windows(), open.len(), "what is due is given out");
            }
        }
        results.extend(top.advance(EventTime::MAX).expect("advanced"));
        prop_assert_eq!(top.open_windows(), 0);
        prop_assert_eq!(late, expected_late);
        let mut expected = BTreeMap::new();
        for ((window, _), mut rows) in all {
            rows.sort_by(|a, b| compare(a, b, descending));
            for (rank, row) in (1..).zip(rows.iter().take(n)) {
                expected.insert((window, if by_key { row.1 } else { None }, rank), row.3);
            }
        }
        let mut found = Ranked::new();
        for ((window, key, rank), id) in ranked(&results, shape.is_some()) {
            found.insert((window, key.filter(|_| by_key), rank), id);
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn keeps_the_first_rows_of_many() {
    let spec = TopSpec {
        windows: TopWindows::Over { window: WindowSpec::tumbling(1_000_000), event_time: 0 },
        keys: Vec::new(),
        by: vec![OrderBy { column: 2, descending: true }],
        n: 9_000,
        input: schema(),
    };
    let mut top = Top::new(Arc::new(spec)).expect("a spec");
    // Ascending numbers, so that rows leave and batches are written anew; then lower ones, so that some of those written anew stay.
    for part in 0..40_i64 {
        let number = |id: i64| if id < 30_000 { id as f64 } else { -1.0 };
        let rows: Vec<Row> = (part * 1_000..(part + 1) * 1_000).map(|id| (Some(1), None, Some(number(id)), id)).collect();
        assert!(top.push(&batch(&rows)).expect("pushed").is_none());
    }
    assert_eq!(top.held_rows(), 40_000);
    let results = top.advance(EventTime::MAX).expect("advanced");
    assert_eq!(results.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [8_192, 808]);
    let ids = |rows: &RecordBatch| rows.column_by_name("id").expect("ids").as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(results.iter().flat_map(ids).collect::<Vec<_>>(), (21_000..30_000).rev().collect::<Vec<_>>());
    let number = results[1].column_by_name("number").expect("numbers").as_primitive::<Float64Type>().value(807);
    assert!((number - 21_000.0).abs() < f64::EPSILON);
}

#[test]
fn impossible_specs_are_refused() {
    let good = TopSpec {
        windows: TopWindows::Over { window: WindowSpec::tumbling(10), event_time: 0 },
        keys: vec![1],
        by: vec![OrderBy { column: 2, descending: true }],
        n: 1,
        input: schema(),
    };
    let over = |window| TopWindows::Over { window, event_time: 0 };
    let named =
        Schema::new(schema().fields().iter().cloned().chain([Arc::new(Field::new("rank", DataType::Int64, true))]).collect::<Vec<_>>());
    for (spec, says) in [
        (TopSpec { n: 0, ..good.clone() }, "not between 1"),
        (TopSpec { n: 10_001, ..good.clone() }, "not between 1"),
        (TopSpec { by: vec![], ..good.clone() }, "at least one column"),
        (TopSpec { by: vec![OrderBy { column: 9, descending: true }], ..good.clone() }, "no column with the number 9"),
        (TopSpec { keys: vec![9], ..good.clone() }, "no column with the number 9"),
        (TopSpec { windows: over(WindowSpec::session(5)), ..good.clone() }, "windows of a fixed size"),
        (TopSpec { windows: over(WindowSpec::tumbling(0)), ..good.clone() }, "longer than nothing"),
        (TopSpec { windows: TopWindows::Given { start: 4, end: 3 }, ..good.clone() }, "must be a timestamp"),
        (TopSpec { input: Arc::new(named), ..good }, "called `rank`"),
    ] {
        let message = spec.check().expect_err(says).to_string();
        assert!(message.contains(says), "{message}");
    }
}
