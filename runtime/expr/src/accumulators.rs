//! The accumulators of all aggregates of a window, side by side: group `n` of each belongs to the same key, pane or session.
//!
//! A state taken from accumulators drains them. It is an ordinary column, so what is drained can be read row by row and merged into
//! other accumulators in part; that is how sliding windows, sessions, early and repeated results are made without reading any row twice.

use crate::aggregate::Arguments;
use crate::{Aggregate, ExprError, WindowAggregatorSpec};
use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow_select::interleave::interleave;
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

    /// Adds each row of the states to the group that it is given; there are `total` groups now. Every group below `total` must have had
    /// rows or be given some now: accumulators take one that is passed over for one that has seen values, and its null is lost.
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

    /// What all `total` groups hold; all is left as it was.
    pub(crate) fn read(&mut self, spec: &WindowAggregatorSpec, total: usize) -> Result<States, ExprError> {
        let states = self.drain(spec)?;
        let groups: Vec<usize> = (0..total).collect();
        self.merge(spec, &states, &groups, total)?;
        Ok(states)
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

    /// Rows of several states, in this order: each by the number of the state and of its row.
    pub(crate) fn gather(spec: &WindowAggregatorSpec, parts: &[&Self], rows: &[(usize, usize)]) -> Result<Self, ExprError> {
        let of_aggregate = |(place, (_, aggregate)): (usize, &(String, Aggregate))| {
            let columns = parts.first().map_or(0, |part| part.0[place].len());
            let gathered = (0..columns).map(|column| {
                let arrays: Vec<&dyn Array> = parts.iter().map(|part| part.0[place][column].as_ref()).collect();
                interleave(&arrays, rows).map_err(|error| ExprError::arrow(aggregate.sql(), &error))
            });
            gathered.collect::<Result<Vec<_>, _>>()
        };
        spec.aggregates.iter().enumerate().map(of_aggregate).collect::<Result<_, _>>().map(Self)
    }

    /// All columns, by aggregate.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &ArrayRef> {
        self.0.iter().flatten()
    }

    /// The states that these columns are, see [`States::columns`].
    pub(crate) fn from_columns(spec: &WindowAggregatorSpec, columns: &[ArrayRef]) -> Result<Self, ExprError> {
        let mut rest = columns;
        let mut of = |aggregate: &Aggregate| {
            let count = aggregate.state_types()?.len();
            let (these, others) = rest.split_at_checked(count).ok_or_else(|| ExprError::window("too few columns of states"))?;
            rest = others;
            Ok(these.to_vec())
        };
        spec.aggregates.iter().map(|(_, aggregate)| of(aggregate)).collect::<Result<_, _>>().map(Self)
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
