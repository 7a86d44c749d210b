//! User-defined aggregates: a result of many rows, computed in parts that can be merged.
//!
//! The host groups rows (by key, by window) and keeps the accumulators; it may split and merge the rows of a group as it likes, in any order.

use crate::blobs::{self, OptionalBlobs};
use crate::contract::{Batch, Description, Field, InputSpec, OutputShape, RequestedLimits, SlotKind, SlotStates, StateSlot};
use crate::input::Input;
use crate::operator::{self, INPUT, MAIN_OUTPUT, append_output, for_each_row};
use crate::reject::Reject;
use crate::row::{InputRow, OutputRow};
use crate::state::in_slot;
use crate::stored::Stored;
use serde::de::DeserializeOwned;

/// The name of the one slot, under which accumulators are stored.
const ACCUMULATOR: &str = "accumulator";

/// Folds rows into an accumulator, and makes the result's columns of it.
pub trait Aggregate: Sized + 'static {
    /// What the pipeline's configuration of it holds; [`crate::NoConfig`] for nothing.
    type Config: DeserializeOwned;

    /// The columns that are read.
    type Row<'a>: InputRow<'a>
    where
        Self: 'a;

    /// What is known of the rows so far. Its default is what is known of none.
    type Accumulator: Stored + Default;

    /// The columns of the result.
    type Out: OutputRow;

    /// The version of the accumulator's form, from 1. Count it up when the form changes, and read the older ones by [`OldAccumulators`].
    const VERSION: u32 = 1;

    /// Makes an instance. An error says what is wrong with the configuration.
    fn open(config: Self::Config) -> Result<Self, String>;

    /// Adds a row. A [`Reject`] fails the job with the row: other aggregates of the window have counted it, so it cannot be left out of one.
    fn add(&self, accumulator: &mut Self::Accumulator, row: Self::Row<'_>) -> Result<(), Reject>;

    /// Adds what another accumulator knows, of other rows.
    fn merge(&self, into: &mut Self::Accumulator, from: Self::Accumulator);

    /// The result.
    fn finish(&self, accumulator: Self::Accumulator) -> Self::Out;
}

/// The older forms of an accumulator; a plugin that has some is exported as `migrating_aggregate`.
pub trait OldAccumulators: Aggregate {
    /// The versions that are read.
    const READS: &'static [u32];

    /// The accumulator of an older version's bytes; [`crate::Stored::read`] reads the type that it was.
    fn migrate(from_version: u32, bytes: &[u8]) -> Result<Self::Accumulator, String>;
}

/// An aggregate over batches.
#[derive(Debug)]
pub struct AggregateOperator<A>(A);

impl<A: Aggregate> AggregateOperator<A> {
    /// Makes an instance from a configuration as JSON.
    pub fn open(config: &str) -> Result<Self, String> {
        A::open(operator::parse_config(config)?).map(Self)
    }

    /// What the aggregate is under a configuration, which is tried by opening an instance.
    pub fn describe(name: &str, version: &str, config: &str) -> Result<Description, String> {
        Self::open(config)?;
        Ok(Description {
            name: name.to_owned(),
            version: version.to_owned(),
            inputs: vec![InputSpec { name: INPUT.to_owned(), columns: Self::input(), key: Vec::new() }],
            outputs: vec![append_output(MAIN_OUTPUT, OutputShape::Own(A::Out::fields()))],
            slots: vec![StateSlot { name: ACCUMULATOR.to_owned(), kind: SlotKind::Value, version: A::VERSION, ttl_millis: None }],
            timers: Vec::new(),
            limits: RequestedLimits { memory_bytes: None, call_cpu_millis: None },
        })
    }

    /// The columns that are read.
    pub fn input() -> Vec<Field> {
        A::Row::fields()
    }

    /// Adds every row to the accumulator that `group_of_row` names; gives all accumulators back.
    pub fn accumulate(&self, accumulators: &SlotStates, rows: Input<'_>, group_of_row: &[u32]) -> Result<SlotStates, String> {
        let columns = A::Row::bind(rows)?;
        let groups = group_of_row.get(..rows.rows() as usize).ok_or("fewer group indices than rows were passed")?;
        let mut accumulators = read::<A>(accumulators)?;
        let mut refused = None;
        for_each_row(rows.rows(), |row| {
            let accumulator = accumulators[groups[row as usize] as usize].get_or_insert_default();
            if let Err(reject) = self.0.add(accumulator, A::Row::read(&columns, row as usize)) {
                refused.get_or_insert_with(|| format!("row {row}: {reject}"));
            }
        });
        refused.map_or_else(|| write::<A>(&accumulators), Err)
    }

    /// Merges each accumulator of `from` into that of `into`.
    pub fn merge(&self, into: &SlotStates, from: &SlotStates) -> Result<SlotStates, String> {
        let (mut into, from) = (read::<A>(into)?, read::<A>(from)?);
        if into.len() != from.len() {
            return Err(format!("{} accumulators cannot be merged into {}", from.len(), into.len()));
        }
        for (into, from) in into.iter_mut().zip(from) {
            match (into.as_mut(), from) {
                (_, None) => {}
                (None, from) => *into = from,
                (Some(into), Some(from)) => self.0.merge(into, from),
            }
        }
        write::<A>(&into)
    }

    /// The result of each accumulator.
    pub fn finish(&self, accumulators: &SlotStates) -> Result<Batch, String> {
        let accumulators = read::<A>(accumulators)?;
        let rows = u32::try_from(accumulators.len()).map_err(|_| "too many accumulators")?;
        let mut builders = A::Out::builders(accumulators.len());
        for accumulator in accumulators {
            self.0.finish(accumulator.unwrap_or_default()).push(&mut builders);
        }
        Ok(Batch { rows, columns: A::Out::finish(builders) })
    }
}

fn read<A: Aggregate>(states: &SlotStates) -> Result<Vec<Option<A::Accumulator>>, String> {
    let read = |at| blobs::state(states, at)?.map(A::Accumulator::read).transpose();
    in_slot(ACCUMULATOR, A::VERSION, (0..blobs::count(&states.values)).map(read).collect())
}

fn write<A: Aggregate>(accumulators: &[Option<A::Accumulator>]) -> Result<SlotStates, String> {
    let mut states = OptionalBlobs::with_capacity(accumulators.len());
    accumulators.iter().try_for_each(|accumulator| states.push(accumulator.as_ref()))?;
    Ok(states.finish())
}
