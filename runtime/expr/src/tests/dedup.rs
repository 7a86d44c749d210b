//! Dropped repetitions against the definition, which looks at every row kept so far.

use crate::{Dedup, DedupSpec};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use std::sync::Arc;
use stygian_core::EventTime;

/// Time and key.
type Row = (Option<i64>, Option<u8>);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("key", DataType::Utf8, true),
    ]))
}

fn batch(first: usize, rows: &[Row]) -> RecordBatch {
    let first = i64::try_from(first).expect("small");
    let columns: Vec<ArrayRef> = vec![
        Arc::new((first..).take(rows.len()).map(Some).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.0).collect::<TimestampMicrosecondArray>()),
        Arc::new(rows.iter().map(|row| row.1.map(|key| "k".repeat(usize::from(key) * 9))).collect::<StringArray>()),
    ];
    RecordBatch::try_new(schema(), columns).expect("rows of the schema")
}

fn ids(rows: &RecordBatch) -> Vec<i64> {
    rows.column(0).as_primitive::<Int64Type>().values().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn keeps_the_first_of_every_repetition(
        within in 1_i64..40, cut in 1_usize..9,
        steps in prop::collection::vec((0_i64..9, prop::option::weighted(0.97, -40_i64..9), prop::option::of(0_u8..3), prop::option::of(-30_i64..3)), 1..120),
    ) {
        let spec = DedupSpec { keys: vec![2], event_time: 1, within, input: schema() };
        let mut dedup = Dedup::new(Arc::new(spec)).expect("a spec");
        let (mut now, mut watermark, mut rows): (i64, i64, Vec<Row>) = (0, i64::MIN, Vec::new());
        let (mut known, mut expected, mut found): (Vec<(i64, Option<u8>)>, _, _) = (Vec::new(), (Vec::new(), Vec::new(), 0), (Vec::new(), Vec::new(), 0));
        let mut first = 0;
        for (n, (later, time, key, behind)) in steps.iter().enumerate() {
            now += later;
            let time = time.map(|time| now + time);
            let id = i64::try_from(n).expect("small");
            match time {
                None => expected.1.push(id),
                Some(time) if known.iter().any(|(at, other)| *at + within > watermark && other == key && (at - time).abs() < within) => expected.2 += 1,
                Some(time) if time < watermark => expected.1.push(id),
                Some(time) => { known.push((time, *key)); expected.0.push(id); }
            }
            rows.push((time, *key));
            if rows.len() >= cut || behind.is_some() || n + 1 == steps.len() {
                let done = dedup.push(&batch(first, &rows)).expect("pushed");
                found.0.extend(ids(&done.kept));
                found.1.extend(ids(&done.late));
                found.2 += done.repeated;
                first += rows.len();
                rows.clear();
            }
            if let Some(behind) = behind {
                watermark = watermark.max(now + behind);
                dedup.advance(EventTime::from_micros(now + behind));
                prop_assert_eq!(dedup.remembered(), known.iter().filter(|(at, _)| at + within > watermark).count());
            }
        }
        prop_assert_eq!(found, expected);
        dedup.advance(EventTime::MAX);
        prop_assert_eq!(dedup.remembered(), 0);
    }
}

#[test]
fn impossible_specs_are_refused() {
    let good = DedupSpec { keys: vec![2], event_time: 1, within: 5, input: schema() };
    for (spec, says) in [
        (DedupSpec { within: 0, ..good.clone() }, "not between 1"),
        (DedupSpec { keys: vec![], ..good.clone() }, "at least one column"),
        (DedupSpec { keys: vec![9], ..good.clone() }, "no column with the number 9"),
        (DedupSpec { event_time: 0, ..good }, "no timestamp"),
    ] {
        let message = spec.check().expect_err(says).to_string();
        assert!(message.contains(says), "{message}");
    }
}
