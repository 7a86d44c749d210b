//! User-defined aggregates: functions over columns whose accumulators are bytes of their own making, kept here like any other.
//!
//! The function itself is stateless and is called with what it needs: rows and the accumulators they belong to come in, accumulators go
//! out; a call that fails has changed nothing. It is called with at most [`MAX_CALL_ROWS`] rows or accumulators at a time. To windows it
//! is an accumulator like DataFusion's: it can be drained, merged, snapshot and mixed with others.

use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, StructArray};
use arrow_schema::Fields;
use datafusion_common::{DataFusionError, Result, exec_datafusion_err, not_impl_err};
use datafusion_expr::{EmitTo, GroupsAccumulator};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The most rows, or accumulators, of one call.
pub const MAX_CALL_ROWS: usize = 2048;

/// Why a call failed, with all that is known of it.
pub type ExternalError = Box<dyn std::error::Error + Send + Sync>;

/// An instance of a user-defined aggregate. A null accumulator is one that has seen nothing.
pub trait ExternalAggregate: Send {
    /// Adds row `i` of `rows` (columns of one length) to the accumulator `groups[i]`; returns all accumulators.
    ///
    /// # Errors
    /// Fails the job; nothing is kept of the call.
    fn accumulate(&mut self, accumulators: &BinaryArray, rows: &[ArrayRef], groups: &[u32]) -> Result<BinaryArray, ExternalError>;

    /// Adds accumulator `i` of `from` to accumulator `i` of `into`; both are of one length, as is what is returned.
    ///
    /// # Errors
    /// As [`ExternalAggregate::accumulate`].
    fn merge(&mut self, into: &BinaryArray, from: &BinaryArray) -> Result<BinaryArray, ExternalError>;

    /// One result row an accumulator, in the columns that were announced.
    ///
    /// # Errors
    /// As [`ExternalAggregate::accumulate`].
    fn finish(&mut self, accumulators: &BinaryArray) -> Result<Vec<ArrayRef>, ExternalError>;

    /// Accumulators of an older version in the present one, null ones aside as many; called before anything else is done with what was
    /// restored, for versions in [`Accumulators::reads`].
    ///
    /// # Errors
    /// Keeps the job from starting.
    fn migrate(&mut self, from_version: u32, accumulators: &BinaryArray) -> Result<BinaryArray, ExternalError>;
}

/// What accumulators of a function are, for those that were stored earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accumulators {
    /// The name of the function, which stays from version to version.
    pub function: String,
    /// The version of their form, from 1.
    pub version: u32,
    /// The older versions that the function migrates.
    pub reads: BTreeSet<u32>,
}

impl Accumulators {
    /// All versions that can be restored.
    pub fn versions(&self) -> BTreeSet<u32> {
        self.reads.iter().copied().chain([self.version]).collect()
    }
}

/// Makes instances of one aggregate under one configuration; shared between threads.
pub trait ExternalFunction: fmt::Debug + Send + Sync {
    /// A new instance. Asked for often (a window has one), so it should share what is costly.
    ///
    /// # Errors
    /// Fails the job.
    fn open(&self) -> Result<Box<dyn ExternalAggregate>, ExternalError>;

    /// The columns of its results.
    fn results(&self) -> &Fields;

    /// What its accumulators are.
    fn accumulators(&self) -> &Accumulators;
}

/// The accumulators of many groups.
pub(crate) struct ExternalAccumulator {
    function: Arc<dyn ExternalFunction>,
    /// Opened at the first call.
    instance: Option<Box<dyn ExternalAggregate>>,
    groups: Vec<Option<Box<[u8]>>>,
    bytes: usize,
    /// By group: its place in the present call. Kept between calls; all are [`ABSENT`] then.
    places: Vec<u32>,
}

const ABSENT: u32 = u32::MAX;

/// The distinct groups of a call.
struct Call {
    groups: Vec<usize>,
    /// The place in `groups` of the group of each row.
    of_row: Vec<u32>,
}

impl ExternalAccumulator {
    pub(crate) fn new(function: Arc<dyn ExternalFunction>) -> Self {
        Self { function, instance: None, groups: Vec::new(), bytes: 0, places: Vec::new() }
    }

    fn grow(&mut self, total: usize) {
        self.groups.resize(total.max(self.groups.len()), None);
        self.places.resize(self.groups.len(), ABSENT);
    }

    fn instance(&mut self) -> Result<&mut dyn ExternalAggregate> {
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.function.open().map_err(DataFusionError::External)?,
        };
        Ok(self.instance.insert(instance).as_mut())
    }

    /// The distinct groups of these rows.
    fn call(&mut self, groups: &[usize]) -> Call {
        let mut call = Call { groups: Vec::new(), of_row: Vec::with_capacity(groups.len()) };
        for group in groups {
            if self.places[*group] == ABSENT {
                // A call has at most MAX_CALL_ROWS groups.
                self.places[*group] = u32::try_from(call.groups.len()).unwrap_or(ABSENT);
                call.groups.push(*group);
            }
            call.of_row.push(self.places[*group]);
        }
        call.groups.iter().for_each(|group| self.places[*group] = ABSENT);
        call
    }

    fn states(&self, groups: &[usize]) -> BinaryArray {
        groups.iter().map(|group| self.groups[*group].as_deref()).collect()
    }

    fn put(&mut self, groups: &[usize], states: &BinaryArray) -> Result<()> {
        if states.len() != groups.len() {
            return Err(exec_datafusion_err!("it returned {} accumulators instead of {}", states.len(), groups.len()));
        }
        for (group, state) in groups.iter().zip(states) {
            let before = std::mem::replace(&mut self.groups[*group], state.map(Into::into));
            self.bytes += state.map_or(0, <[u8]>::len);
            self.bytes -= before.map_or(0, |before| before.len());
        }
        Ok(())
    }

    fn taken(&mut self, emit_to: EmitTo) -> BinaryArray {
        let taken = emit_to.take_needed(&mut self.groups);
        self.places.truncate(self.groups.len());
        let taken: BinaryArray = taken.iter().map(|state| state.as_deref()).collect();
        self.bytes -= taken.values().len();
        taken
    }
}

impl GroupsAccumulator for ExternalAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        if filter.is_some() {
            return not_impl_err!("a filter on a user-defined aggregate");
        }
        self.grow(total);
        for from in (0..groups.len()).step_by(MAX_CALL_ROWS) {
            let rows = MAX_CALL_ROWS.min(groups.len() - from);
            let call = self.call(&groups[from..from + rows]);
            let values: Vec<ArrayRef> = values.iter().map(|column| column.slice(from, rows)).collect();
            let states = self.states(&call.groups);
            let states = self.instance()?.accumulate(&states, &values, &call.of_row).map_err(DataFusionError::External)?;
            self.put(&call.groups, &states)?;
        }
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.grow(total);
        let from = values.first().and_then(|column| column.as_any().downcast_ref::<BinaryArray>());
        let from = from.ok_or_else(|| exec_datafusion_err!("a state that is no binary column"))?;
        let mut begin = 0;
        while begin < groups.len() {
            // A call merges into distinct groups.
            let mut end = begin;
            while end < groups.len() && end - begin < MAX_CALL_ROWS && self.places[groups[end]] == ABSENT {
                self.places[groups[end]] = 0;
                end += 1;
            }
            let into = &groups[begin..end];
            into.iter().for_each(|group| self.places[*group] = ABSENT);
            let states = self.states(into);
            let states = self.instance()?.merge(&states, &from.slice(begin, end - begin)).map_err(DataFusionError::External)?;
            self.put(into, &states)?;
            begin = end;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let states = self.taken(emit_to);
        let fields = self.function.results().clone();
        let mut columns: Vec<Vec<ArrayRef>> = fields.iter().map(|_| Vec::new()).collect();
        for from in (0..states.len()).step_by(MAX_CALL_ROWS) {
            let part = states.slice(from, MAX_CALL_ROWS.min(states.len() - from));
            let results = self.instance()?.finish(&part).map_err(DataFusionError::External)?;
            if results.len() != fields.len() || results.iter().any(|column| column.len() != part.len()) {
                return Err(exec_datafusion_err!("its results are not {} columns of {} rows", fields.len(), part.len()));
            }
            columns.iter_mut().zip(results).for_each(|(column, result)| column.push(result));
        }
        if states.is_empty() {
            return Ok(Arc::new(StructArray::new_null(fields, 0)));
        }
        let whole = |parts: &Vec<ArrayRef>| {
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            arrow_select::concat::concat(&parts)
        };
        let columns = columns.iter().map(whole).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(StructArray::try_new(fields, columns, None)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(self.taken(emit_to))])
    }

    fn convert_to_state(&self, _: &[ArrayRef], _: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        not_impl_err!("states of single rows")
    }

    fn size(&self) -> usize {
        self.bytes + self.groups.capacity() * size_of::<Option<Box<[u8]>>>() + self.places.capacity() * 4
    }
}
