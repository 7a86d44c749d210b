//! The accumulators of all aggregates of a window, side by side: group `n` of each belongs to the same key, pane or session.
//!
//! A state taken from accumulators drains them. It is an ordinary column, so what is drained can be read row by row and merged into
//! other accumulators in part; that is how sliding windows, sessions, early and repeated results are made without reading any row twice.

use crate::aggregate::Arguments;
use crate::{Aggregate, ExprError, WindowAggregatorSpec};
use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow_select::take::take;
use datafusion_expr::{EmitTo, GroupsAccumulator};

/// One accumulator an aggregate.
pub(crate) struct Accumulators(Vec<Box<dyn GroupsAccumulator>>);

/// What accumulators held: by aggregate, then by column of its state; one row a group.
#[derive(Debug)]
pub(crate) struct States(Vec<Vec<ArrayRef>>);

impl Accumulators {
    pub(crate) fn new(spec: &WindowAggregatorSpec) -> Result<Self, ExprError> {
        let accumulators = spec.aggregates.iter().map(|(_, aggregate)| aggregate.accumulator().map_err(|error| aggregate.failed(&error)));
        accumulators.collect::<Result<_, _>>().map(Self)
    }

    /// Adds the selected rows (all where nothing is selected) to the group that each is given; there are `total` groups now.
    pub(crate) fn update(
        &mut self,
        spec: &WindowAggregatorSpec,
        arguments: &[Arguments],
        selected: Option<&UInt32Array>,
        groups: &[usize],
        total: usize,
    ) -> Result<(), ExprError> {
        for (((_, aggregate), accumulator), arguments) in spec.aggregates.iter().zip(&mut self.0).zip(arguments) {
            let taken = selected.map(|rows| taken(aggregate, arguments, rows)).transpose()?;
            let arguments = taken.as_ref().unwrap_or(arguments);
            let updated = accumulator.update_batch(&arguments.values, groups, arguments.filter.as_ref(), total);
            updated.map_err(|error| aggregate.failed(&error))?;
        }
        Ok(())
    }

    /// Adds each row of the states to the group that it is given; there are `total` groups now.
    pub(crate) fn merge(&mut self, spec: &WindowAggregatorSpec, states: &States, groups: &[usize], total: usize) -> Result<(), ExprError> {
        for (((_, aggregate), accumulator), states) in spec.aggregates.iter().zip(&mut self.0).zip(&states.0) {
            accumulator.merge_batch(states, groups, total).map_err(|error| aggregate.failed(&error))?;
        }
        Ok(())
    }

    /// What all groups hold; nothing is left.
    pub(crate) fn drain(&mut self, spec: &WindowAggregatorSpec) -> Result<States, ExprError> {
        let states = spec.aggregates.iter().zip(&mut self.0);
        let states = states.map(|((_, aggregate), a)| a.state(EmitTo::All).map_err(|error| aggregate.failed(&error)));
        states.collect::<Result<_, _>>().map(States)
    }

    /// The result of each aggregate for all groups; nothing is left.
    pub(crate) fn finish(&mut self, spec: &WindowAggregatorSpec) -> Result<Vec<ArrayRef>, ExprError> {
        let values = spec.aggregates.iter().zip(&mut self.0);
        values.map(|((_, aggregate), a)| a.evaluate(EmitTo::All).map_err(|error| aggregate.failed(&error))).collect()
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.0.iter().map(|accumulator| accumulator.size()).sum()
    }
}

impl States {
    /// The states of some groups.
    pub(crate) fn take(&self, spec: &WindowAggregatorSpec, rows: &UInt32Array) -> Result<Self, ExprError> {
        let of_aggregate = |(states, (_, aggregate)): (&Vec<ArrayRef>, &(String, Aggregate))| {
            let fault = |error| ExprError::arrow(aggregate.sql(), &error);
            states.iter().map(|array| take(array, rows, None).map_err(fault)).collect::<Result<Vec<_>, _>>()
        };
        self.0.iter().zip(&spec.aggregates).map(of_aggregate).collect::<Result<_, _>>().map(Self)
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.0.iter().flatten().map(|array| array.get_array_memory_size()).sum()
    }
}

fn taken(aggregate: &Aggregate, arguments: &Arguments, rows: &UInt32Array) -> Result<Arguments, ExprError> {
    let fault = |error| ExprError::arrow(aggregate.sql(), &error);
    let values = arguments.values.iter().map(|array| take(array, rows, None).map_err(fault)).collect::<Result<_, _>>()?;
    let filter = arguments.filter.as_ref().map(|mask| take(mask, rows, None).map_err(fault)).transpose()?;
    Ok(Arguments { values, filter: filter.map(|mask| BooleanArray::from(mask.to_data())) })
}
