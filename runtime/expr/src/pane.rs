//! One pane: the distinct keys of its rows and what the aggregates hold for each.
//!
//! Rows go into the *live* part. When a window that overlaps others fires, the live part is drained into states (a *frozen* part)
//! that every window of the pane merges; rows that come afterwards begin a new live part. A state taken with
//! [`Part::freeze`] is also what a snapshot would hold.

use crate::aggregate::Arguments;
use crate::keys::{EncodedKeys, KeyIndex};
use crate::{Aggregate, ExprError, WindowAggregatorSpec};
use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow_select::take::take;
use datafusion_expr::{EmitTo, GroupsAccumulator};

/// Keys and accumulators: group `n` of each accumulator belongs to key `n`.
pub(crate) struct Part {
    keys: KeyIndex,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
}

/// Keys and the drained states of their accumulators.
#[derive(Debug)]
pub(crate) struct Frozen {
    keys: KeyIndex,
    /// By aggregate, then by column of its state.
    states: Vec<Vec<ArrayRef>>,
}

/// Keys, arguments and event times of a batch, evaluated once for all panes.
pub(crate) struct Prepared {
    pub(crate) rows: usize,
    pub(crate) keys: EncodedKeys,
    pub(crate) arguments: Vec<Arguments>,
}

impl Part {
    pub(crate) fn new(spec: &WindowAggregatorSpec) -> Result<Self, ExprError> {
        let accumulators = spec.aggregates.iter().map(|(_, aggregate)| aggregate.accumulator().map_err(|error| aggregate.failed(&error)));
        Ok(Self { keys: KeyIndex::default(), accumulators: accumulators.collect::<Result<_, _>>()? })
    }

    /// Adds the selected rows (all where nothing is selected). `groups` is a buffer to reuse.
    pub(crate) fn push(
        &mut self,
        spec: &WindowAggregatorSpec,
        prepared: &Prepared,
        selected: Option<&UInt32Array>,
        groups: &mut Vec<usize>,
    ) -> Result<(), ExprError> {
        groups.clear();
        self.keys.intern(&prepared.keys, prepared.rows, selected.map(|rows| &rows.values()[..]), groups);
        let total = self.keys.len();
        for (((_, aggregate), accumulator), arguments) in spec.aggregates.iter().zip(&mut self.accumulators).zip(&prepared.arguments) {
            match selected {
                None => update(aggregate, accumulator.as_mut(), &arguments.values, arguments.filter.as_ref(), groups, total)?,
                Some(rows) => {
                    let taken = Taken::new(aggregate, arguments, rows)?;
                    update(aggregate, accumulator.as_mut(), &taken.values, taken.filter.as_ref(), groups, total)?;
                }
            }
        }
        Ok(())
    }

    /// Adds what a frozen part holds.
    pub(crate) fn merge(&mut self, spec: &WindowAggregatorSpec, frozen: &Frozen, groups: &mut Vec<usize>) -> Result<(), ExprError> {
        groups.clear();
        self.keys.merge(&frozen.keys, groups);
        let total = self.keys.len();
        for (((_, aggregate), accumulator), states) in spec.aggregates.iter().zip(&mut self.accumulators).zip(&frozen.states) {
            accumulator.merge_batch(states, groups, total).map_err(|error| aggregate.failed(&error))?;
        }
        Ok(())
    }

    /// Drains the accumulators into their states.
    pub(crate) fn freeze(mut self, spec: &WindowAggregatorSpec) -> Result<Frozen, ExprError> {
        let states = spec.aggregates.iter().zip(&mut self.accumulators);
        let states = states.map(|((_, aggregate), a)| a.state(EmitTo::All).map_err(|error| aggregate.failed(&error)));
        Ok(Frozen { states: states.collect::<Result<_, _>>()?, keys: self.keys })
    }

    /// The keys and the final value of each aggregate for each key.
    pub(crate) fn finish(mut self, spec: &WindowAggregatorSpec) -> Result<(KeyIndex, Vec<ArrayRef>), ExprError> {
        let values = spec.aggregates.iter().zip(&mut self.accumulators);
        let values = values.map(|((_, aggregate), a)| a.evaluate(EmitTo::All).map_err(|error| aggregate.failed(&error)));
        Ok((self.keys, values.collect::<Result<_, _>>()?))
    }

    fn memory(&self) -> usize {
        self.keys.memory() + self.accumulators.iter().map(|accumulator| accumulator.size()).sum::<usize>()
    }
}

fn update(
    aggregate: &Aggregate,
    accumulator: &mut dyn GroupsAccumulator,
    values: &[ArrayRef],
    filter: Option<&BooleanArray>,
    groups: &[usize],
    total: usize,
) -> Result<(), ExprError> {
    accumulator.update_batch(values, groups, filter, total).map_err(|error| aggregate.failed(&error))
}

/// The arguments of some of a batch's rows.
struct Taken {
    values: Vec<ArrayRef>,
    filter: Option<BooleanArray>,
}

impl Taken {
    fn new(aggregate: &Aggregate, arguments: &Arguments, rows: &UInt32Array) -> Result<Self, ExprError> {
        let fault = |error| ExprError::arrow(aggregate.sql(), &error);
        let values = arguments.values.iter().map(|array| take(array, rows, None).map_err(fault)).collect::<Result<_, _>>()?;
        let filter = arguments.filter.as_ref().map(|mask| take(mask, rows, None).map_err(fault)).transpose()?;
        Ok(Self { values, filter: filter.map(|mask| BooleanArray::from(mask.to_data())) })
    }
}

/// One pane of time.
#[derive(Default)]
pub(crate) struct Pane {
    live: Option<Part>,
    frozen: Vec<Frozen>,
    rows: usize,
}

impl Pane {
    /// Adds the selected rows (all where nothing is selected).
    pub(crate) fn push(
        &mut self,
        spec: &WindowAggregatorSpec,
        prepared: &Prepared,
        selected: Option<&UInt32Array>,
        groups: &mut Vec<usize>,
    ) -> Result<(), ExprError> {
        let live = match &mut self.live {
            Some(live) => live,
            none => none.insert(Part::new(spec)?),
        };
        self.rows += selected.map_or(prepared.rows, UInt32Array::len);
        live.push(spec, prepared, selected, groups)
    }

    /// The live part, where the pane never had another: its results need no merging.
    pub(crate) fn into_live(self) -> Option<Part> {
        if self.frozen.is_empty() { self.live } else { None }
    }

    /// Everything in it as states.
    pub(crate) fn frozen(&mut self, spec: &WindowAggregatorSpec) -> Result<&[Frozen], ExprError> {
        if let Some(live) = self.live.take() {
            self.frozen.push(live.freeze(spec)?);
        }
        Ok(&self.frozen)
    }

    /// Rows added so far.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Keys held, counted once a part.
    pub(crate) fn keys(&self) -> usize {
        self.live.iter().map(|live| live.keys.len()).chain(self.frozen.iter().map(|frozen| frozen.keys.len())).sum()
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        let states = |frozen: &Frozen| frozen.states.iter().flatten().map(|array| array.get_array_memory_size()).sum::<usize>();
        let frozen: usize = self.frozen.iter().map(|frozen| frozen.keys.memory() + states(frozen)).sum();
        self.live.as_ref().map_or(0, Part::memory) + frozen
    }
}
