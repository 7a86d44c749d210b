//! Snapshots of what keeps rows: the first rows of windows, and rows by which others are repetitions.

use super::snapshots::{Outcome, Row, Step, batch, groups, key_columns, lines, part, schema, sorted, streams};
use crate::{Dedup, DedupSpec, OrderBy, Top, TopSpec, TopWindows, WindowSpec};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use std::sync::Arc;
use stygian_core::{EventTime, Parallelism, StateSection};

/// What is under test: one subtask of it.
trait Subtask: Sized {
    type Spec;
    fn new(spec: &Self::Spec) -> Self;
    fn keys(spec: &Self::Spec) -> &[usize];
    fn rows(first: i64, rows: &[Row]) -> RecordBatch;
    /// Results, late rows.
    fn push(&mut self, rows: &RecordBatch) -> (Vec<RecordBatch>, Vec<RecordBatch>);
    fn advance(&mut self, to: EventTime) -> Vec<RecordBatch>;
    fn snapshot(&mut self) -> Vec<StateSection>;
    fn restore(&mut self, section: &StateSection);
    fn restore_watermark(&mut self, watermark: EventTime);
    /// Something that adds up, something that does not.
    fn held(&self) -> [usize; 2];
}

struct FirstRows(Top);

/// The rows of the schema, with a window of their own.
fn with_window() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let bounds = ["start", "end"].map(|name| Arc::new(Field::new(name, time.clone(), true)));
    Arc::new(Schema::new(schema().fields().iter().cloned().chain(bounds).collect::<Vec<_>>()))
}

pub(super) fn bounded(first: i64, rows: &[Row]) -> RecordBatch {
    let bound = |add: i64| rows.iter().map(move |row| row.0.map(|time| time.div_euclid(10) * 10 + add));
    let bounds = [0, 10].map(|add| Arc::new(bound(add).collect::<TimestampMicrosecondArray>()) as ArrayRef);
    let columns = batch(first, rows).columns().iter().cloned().chain(bounds).collect();
    RecordBatch::try_new(with_window(), columns).expect("rows of the schema")
}

impl Subtask for FirstRows {
    type Spec = Arc<TopSpec>;

    fn new(spec: &Self::Spec) -> Self {
        Self(Top::new(spec.clone()).expect("a spec"))
    }

    fn keys(spec: &Self::Spec) -> &[usize] {
        &spec.keys
    }

    fn rows(first: i64, rows: &[Row]) -> RecordBatch {
        bounded(first, rows)
    }

    fn push(&mut self, rows: &RecordBatch) -> (Vec<RecordBatch>, Vec<RecordBatch>) {
        (Vec::new(), self.0.push(rows).expect("pushed").into_iter().collect())
    }

    fn advance(&mut self, to: EventTime) -> Vec<RecordBatch> {
        self.0.advance(to).expect("advanced")
    }

    fn snapshot(&mut self) -> Vec<StateSection> {
        self.0.snapshot(groups()).expect("a snapshot")
    }

    fn restore(&mut self, section: &StateSection) {
        self.0.restore(section).expect("restored");
    }

    fn restore_watermark(&mut self, watermark: EventTime) {
        self.0.restore_watermark(watermark);
    }

    fn held(&self) -> [usize; 2] {
        [self.0.held_rows(), self.0.open_windows()]
    }
}

struct Kept(Dedup);

impl Subtask for Kept {
    type Spec = Arc<DedupSpec>;

    fn new(spec: &Self::Spec) -> Self {
        Self(Dedup::new(spec.clone()).expect("a spec"))
    }

    fn keys(spec: &Self::Spec) -> &[usize] {
        &spec.keys
    }

    fn rows(first: i64, rows: &[Row]) -> RecordBatch {
        batch(first, rows)
    }

    fn push(&mut self, rows: &RecordBatch) -> (Vec<RecordBatch>, Vec<RecordBatch>) {
        let parted = self.0.push(rows).expect("pushed");
        (vec![parted.kept], vec![parted.late])
    }

    fn advance(&mut self, to: EventTime) -> Vec<RecordBatch> {
        self.0.advance(to);
        Vec::new()
    }

    fn snapshot(&mut self) -> Vec<StateSection> {
        self.0.snapshot(groups()).expect("a snapshot")
    }

    fn restore(&mut self, section: &StateSection) {
        self.0.restore(section).expect("restored");
    }

    fn restore_watermark(&mut self, watermark: EventTime) {
        self.0.restore_watermark(watermark);
    }

    fn held(&self) -> [usize; 2] {
        [self.0.remembered(), 0]
    }
}

fn several<S: Subtask>(spec: &S::Spec, sections: &[StateSection], watermark: EventTime, subtasks: usize) -> Vec<S> {
    let parallelism = Parallelism::new(u16::try_from(subtasks).expect("few")).expect("some");
    let mut all: Vec<S> = (0..subtasks).map(|_| S::new(spec)).collect();
    for section in sections {
        all[groups().owner_of(section.group, parallelism).index()].restore(section);
    }
    all.iter_mut().for_each(|one| one.restore_watermark(watermark));
    all
}

/// Restored at the cut `times` times, into as many subtasks as `to` says; `to` 0: only a look is taken.
fn run<S: Subtask>(spec: &S::Spec, steps: &[Step], (begin_with, to, times): (usize, usize, usize), at: usize) -> Outcome {
    let mut all: Vec<S> = several(spec, &[], EventTime::MIN, begin_with);
    let (mut outcome, mut first, mut watermark) = (Outcome::new(), 0, EventTime::MIN);
    let held = |all: &[S]| [all.iter().map(|one| one.held()[0]).sum(), if all.len() == 1 { all[0].held()[1] } else { 0 }];
    for (number, step) in steps.iter().enumerate() {
        for _ in 0..if number == at { times } else { 0 } {
            let sections: Vec<StateSection> = all.iter_mut().flat_map(S::snapshot).collect();
            if to > 0 {
                let before: [usize; 2] = held(&all);
                all = several(spec, &sections, watermark, to);
                assert_eq!(held(&all)[0], before[0], "it is known at once");
            }
        }
        let (mut results, mut late) = (Vec::new(), Vec::new());
        let count = all.len();
        match step {
            Step::Rows(rows) => {
                let parts = part(&S::rows(first, rows), S::keys(spec), count);
                first += i64::try_from(rows.len()).expect("few");
                for (one, rows) in all.iter_mut().zip(parts) {
                    let (given, behind) = one.push(&rows);
                    results.extend(given);
                    late.extend(behind);
                }
            }
            Step::Watermark(time) => {
                watermark = watermark.max(EventTime::from_micros(*time));
                all.iter_mut().for_each(|one| results.extend(one.advance(watermark)));
            }
            Step::Early => {}
        }
        let late = late.iter().flat_map(|rows| rows.column(0).as_primitive::<Int64Type>().values().to_vec());
        outcome.push((results.iter().flat_map(lines).collect(), late.collect(), held(&all)));
    }
    outcome
}

fn agree<S: Subtask>(spec: &S::Spec, steps: &[Step], at: usize) -> Result<(), TestCaseError> {
    let uninterrupted = run::<S>(spec, steps, (1, 0, 0), at);
    prop_assert_eq!(&run::<S>(spec, steps, (1, 0, 1), at), &uninterrupted, "after a look");
    prop_assert_eq!(&run::<S>(spec, steps, (1, 1, 1), at), &uninterrupted, "restored");
    prop_assert_eq!(&run::<S>(spec, steps, (1, 1, 2), at), &uninterrupted, "restored from a restored one");
    let uninterrupted = sorted(uninterrupted);
    prop_assert_eq!(&sorted(run::<S>(spec, steps, (1, 3, 1), at)), &uninterrupted, "from one to three");
    prop_assert_eq!(&sorted(run::<S>(spec, steps, (3, 2, 1), at)), &uninterrupted, "from three to two");
    Ok(())
}

pub(super) fn top(keys: Vec<usize>, n: usize, shape: Option<(i64, i64)>) -> Arc<TopSpec> {
    let windows = match shape {
        Some((size, slide)) => TopWindows::Over { window: WindowSpec::sliding(size, slide), event_time: 1 },
        None => TopWindows::Given { start: 6, end: 7 },
    };
    Arc::new(TopSpec { windows, keys, by: vec![OrderBy { column: 3, descending: true }], n, input: with_window() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn first_rows_go_on_from_a_snapshot(
        n in 1_usize..4, keys in key_columns(), shape in prop::option::of(prop_oneof![Just((10_i64, 10_i64)), Just((12, 4)), Just((7, 7))]),
        steps in streams(), at in any::<prop::sample::Index>(),
    ) {
        agree::<FirstRows>(&top(keys, n, shape), &steps, at.index(steps.len()))?;
    }

    #[test]
    fn repetitions_are_known_after_a_snapshot(
        within in 1_i64..40, keys in key_columns(), steps in streams(), at in any::<prop::sample::Index>(),
    ) {
        let keys = if keys.is_empty() { vec![2, 4] } else { keys };
        let spec = Arc::new(DedupSpec { keys, event_time: 1, within, input: schema() });
        agree::<Kept>(&spec, &steps, at.index(steps.len()))?;
    }
}
