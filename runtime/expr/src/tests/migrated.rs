//! A user's own aggregate whose accumulators get another form: windows that were stored with the old one go on with the new one.

use crate::{
    Aggregate, ExprError, ExternalAccumulators, ExternalAggregate, ExternalError, ExternalFunction, WindowAggregator, WindowAggregatorSpec,
    WindowSpec,
};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Fields};
use std::collections::BTreeSet;
use std::sync::Arc;
use stygian_core::{EventTime, MaxParallelism, StateSection};

/// Counts rows: by version 1 in digits, by all others in eight bytes.
#[derive(Debug)]
struct Count {
    results: Fields,
    accumulators: ExternalAccumulators,
}

/// An instance of this version.
struct Instance(u32);

impl Instance {
    fn read(&self, count: &[u8]) -> i64 {
        match self.0 {
            1 => std::str::from_utf8(count).expect("text").parse().expect("digits"),
            _ => i64::from_le_bytes(count.try_into().expect("eight bytes")),
        }
    }

    fn write(&self, counts: impl Iterator<Item = Option<i64>>) -> BinaryArray {
        let bytes = |count: i64| if self.0 == 1 { count.to_string().into_bytes() } else { count.to_le_bytes().to_vec() };
        counts.map(|count| count.map(bytes)).collect()
    }

    fn all(&self, counts: &BinaryArray) -> Vec<Option<i64>> {
        counts.iter().map(|count| count.map(|count| self.read(count))).collect()
    }
}

impl ExternalAggregate for Instance {
    fn accumulate(&mut self, accumulators: &BinaryArray, _: &[ArrayRef], groups: &[u32]) -> Result<BinaryArray, ExternalError> {
        let mut counts = self.all(accumulators);
        groups.iter().for_each(|group| *counts[*group as usize].get_or_insert(0) += 1);
        Ok(self.write(counts.into_iter()))
    }

    fn merge(&mut self, into: &BinaryArray, from: &BinaryArray) -> Result<BinaryArray, ExternalError> {
        let both = self.all(into).into_iter().zip(self.all(from));
        Ok(self.write(both.map(|(into, from)| into.map_or(from, |into| Some(into + from.unwrap_or(0))))))
    }

    fn finish(&mut self, accumulators: &BinaryArray) -> Result<Vec<ArrayRef>, ExternalError> {
        Ok(vec![Arc::new(Int64Array::from(self.all(accumulators)))])
    }

    fn migrate(&mut self, from_version: u32, accumulators: &BinaryArray) -> Result<BinaryArray, ExternalError> {
        Ok(self.write(Self(from_version).all(accumulators).into_iter()))
    }
}

impl ExternalFunction for Count {
    fn open(&self) -> Result<Box<dyn ExternalAggregate>, ExternalError> {
        Ok(Box::new(Instance(self.accumulators.version)))
    }

    fn results(&self) -> &Fields {
        &self.results
    }

    fn accumulators(&self) -> &ExternalAccumulators {
        &self.accumulators
    }
}

fn batch(times: &[i64]) -> RecordBatch {
    let time: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times.to_vec()));
    let key: ArrayRef = Arc::new(Int64Array::from_iter_values(times.iter().map(|time| time % 3)));
    RecordBatch::try_from_iter([("time", time), ("key", key)]).expect("two columns")
}

/// Windows with a native aggregate before and behind the user's own, which is named as a pipeline names a plugin of this version.
fn windows(window: WindowSpec, version: u32, reads: &[u32]) -> WindowAggregator {
    let input = batch(&[]).schema();
    let accumulators = ExternalAccumulators { function: "count".into(), version, reads: BTreeSet::from_iter(reads.iter().copied()) };
    let function = Arc::new(Count { results: vec![Field::new("n", DataType::Int64, true)].into(), accumulators });
    let native = |sql: &str| (sql.to_owned(), Aggregate::compile(sql, &input).expect("an aggregate"));
    let own = ("own".to_owned(), Aggregate::external(&format!("count@{version}"), &input, &[1], function));
    let aggregates = vec![native("avg(key)"), own, native("max(key)")];
    let spec = WindowAggregatorSpec { window, keys: vec![1], event_time: Some(0), allowed_lateness: 0, early: false, aggregates, input };
    WindowAggregator::new(Arc::new(spec)).expect("windows")
}

fn held(window: WindowSpec, version: u32) -> Vec<StateSection> {
    let mut windows = windows(window, version, &[]);
    windows.push(&batch(&[1, 2, 3, 4, 11, 12, 13])).expect("taken");
    windows.snapshot(MaxParallelism::DEFAULT).expect("taken")
}

fn restored(sections: &[StateSection], mut windows: WindowAggregator) -> Result<WindowAggregator, ExprError> {
    sections.iter().try_for_each(|section| windows.restore(section))?;
    Ok(windows)
}

/// All counts, once a few more rows have come.
fn counts(mut windows: WindowAggregator) -> Vec<i64> {
    windows.push(&batch(&[4, 5, 13, 14, 15])).expect("taken");
    let results = windows.advance(EventTime::MAX).expect("fired");
    let own = results.iter().flat_map(|rows| rows.column_by_name("own").expect("there").as_primitive::<Int64Type>().values().to_vec());
    let mut own: Vec<i64> = own.collect();
    own.sort_unstable();
    own
}

#[test]
fn accumulators_of_an_older_version_are_migrated_before_anything_is_done_with_them() {
    for window in [WindowSpec::tumbling(10), WindowSpec::sliding(10, 5), WindowSpec::session(4)] {
        let own = counts(restored(&held(window, 2), windows(window, 2, &[])).expect("of the same version"));
        assert_eq!(counts(restored(&held(window, 1), windows(window, 1, &[])).expect("of the same version")), own);
        assert_eq!(counts(restored(&held(window, 1), windows(window, 2, &[1])).expect("migrated")), own, "{window:?}");
        // What is stored then is of the new version.
        let mut migrated = restored(&held(window, 1), windows(window, 3, &[1, 2])).expect("migrated");
        let again = migrated.snapshot(MaxParallelism::DEFAULT).expect("taken");
        assert_eq!(counts(restored(&again, windows(window, 3, &[])).expect("of the same version")), own);
    }
}

#[test]
fn a_version_that_is_not_migrated_is_refused() {
    let refused = |windows| restored(&held(WindowSpec::tumbling(10), 1), windows).expect_err("a refusal").to_string();
    let newer = refused(windows(WindowSpec::tumbling(10), 2, &[]));
    assert!(
        newer.contains("version of accumulators: it was `version 1`, now it is `version 2, and `count` does not migrate it`"),
        "{newer}"
    );
    let older = restored(&held(WindowSpec::session(4), 2), windows(WindowSpec::session(4), 1, &[])).expect_err("a refusal").to_string();
    assert!(older.contains("version of accumulators: it was `version 2`"), "{older}");
}
