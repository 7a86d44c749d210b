//! A plugin as an aggregate of windows: calls into the sandbox for whoever holds accumulators.
//!
//! A call that failed is tried again in halves until the row, or the accumulator, at fault stands alone (`poison`). That ends the job whatever
//! else a pipeline says of rows that fail: the other aggregates of its windows count the row already.
//!
//! Windows have accumulators of their own and many of them; instances of the plugin are costly and hold nothing. So all windows of an
//! operator share the instances that are idle, and there are never more than calls at once.

use crate::PoisonPolicy;
use crate::operators::plugin::save_capture;
use crate::poison::{Attempts, Poison, Stuck};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray};
use arrow_schema::Fields;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use stygian_core::OperatorId;
use stygian_expr::{ExternalAccumulators, ExternalAggregate, ExternalError, ExternalFunction};
use stygian_sandbox::{AggregateCall, AggregateOperator, CallError, Captures, LogLine, Plugin, SandboxError};

/// An aggregate by a plugin, under one configuration.
pub struct PluginAggregate(Arc<Shared>);

struct Shared {
    plugin: Plugin,
    /// The name of the aggregate, for errors.
    name: String,
    config: String,
    results: Fields,
    accumulators: ExternalAccumulators,
    idle: Mutex<Vec<AggregateOperator>>,
    /// Where the inputs of failed calls go.
    captures: Mutex<Option<Arc<Captures>>>,
}

impl fmt::Debug for PluginAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginAggregate").field("name", &self.0.name).field("plugin", &self.0.plugin).finish_non_exhaustive()
    }
}

impl PluginAggregate {
    /// Opens the plugin once, so that a configuration that cannot be opened is found now.
    ///
    /// # Errors
    /// When the plugin is no aggregate, refuses the configuration, or fails.
    pub fn new(plugin: Plugin, name: &str, config: &str) -> Result<Self, SandboxError> {
        let first = plugin.aggregate(name, config)?;
        let (function, slot) = first.accumulators();
        let accumulators = ExternalAccumulators { function: function.to_owned(), version: slot.version, reads: slot.reads.clone() };
        let (results, idle) = (first.result().fields().clone(), Mutex::new(vec![first]));
        let (name, config, captures) = (name.to_owned(), config.to_owned(), Mutex::default());
        Ok(Self(Arc::new(Shared { plugin, name, config, results, accumulators, idle, captures })))
    }

    /// Where the inputs of calls go that fail from now on; `None`: nowhere.
    pub fn save_failed_calls(&self, captures: Option<Arc<Captures>>) {
        *self.0.captures.lock().unwrap_or_else(PoisonError::into_inner) = captures;
    }
}

impl ExternalFunction for PluginAggregate {
    fn open(&self) -> Result<Box<dyn ExternalAggregate>, ExternalError> {
        Ok(Box::new(Borrower(self.0.clone())))
    }

    fn results(&self) -> &Fields {
        &self.0.results
    }

    fn accumulators(&self) -> &ExternalAccumulators {
        &self.0.accumulators
    }
}

impl Shared {
    /// An idle instance, or one more.
    fn operator(&self) -> Result<AggregateOperator, SandboxError> {
        // The lock is held for a push or a pop, which leave the list whole whatever happens.
        let known = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        known.map_or_else(|| self.plugin.aggregate(&self.name, &self.config), Ok)
    }

    fn give_back(&self, mut operator: AggregateOperator) {
        self.log(&operator.take_logs());
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(operator);
    }

    fn log(&self, lines: &[LogLine]) {
        for line in lines {
            tracing::info!(aggregate = %self.name, level = ?line.level, "{}", line.message);
        }
    }
}

/// Takes an idle instance for each call.
struct Borrower(Arc<Shared>);

impl Borrower {
    fn with<T>(&self, call: impl FnOnce(&mut AggregateOperator) -> T) -> Result<T, SandboxError> {
        let mut operator = self.0.operator()?;
        let result = call(&mut operator);
        self.0.give_back(operator);
        Ok(result)
    }

    /// Makes a call again which failed; what it gives if nothing is at fault after all, as where the machine was too busy for it.
    fn rescue(&self, call: AggregateCall, error: CallError) -> Result<Vec<ArrayRef>, ExternalError> {
        let (all, operator) = (0..call.count(), self.0.operator()?);
        let node = OperatorId::new(&self.0.name);
        let mut poison = Poison::new(node.clone(), PoisonPolicy::default(), operator.limits().call_cpu.0, Arc::default());
        let mut again = Again { shared: &self.0, node, operator, call, made: Vec::new() };
        let rescued = poison.rescue(all, Box::new(error), false, &mut again);
        let Again { operator, call, made, .. } = again;
        self.0.give_back(operator);
        rescued?;
        match call {
            AggregateCall::Accumulate { accumulators, .. } => Ok(vec![Arc::new(accumulators)]),
            AggregateCall::Merge { .. } | AggregateCall::Finish { .. } => whole(&made),
        }
    }

    /// As [`Borrower::rescue`], of a call that gives accumulators.
    fn rescue_accumulators(&self, call: AggregateCall, error: CallError) -> Result<BinaryArray, ExternalError> {
        let made = self.rescue(call, error)?;
        Ok(made.first().map_or_else(|| BinaryArray::new_null(0), |column| column.as_binary::<i32>().clone()))
    }
}

/// The columns of several calls, one behind the other.
fn whole(made: &[Vec<ArrayRef>]) -> Result<Vec<ArrayRef>, ExternalError> {
    let columns = made.first().map_or(0, Vec::len);
    let column = |at: usize| {
        let parts: Vec<&dyn Array> = made.iter().filter_map(|columns| columns.get(at)).map(AsRef::as_ref).collect();
        Ok(arrow_select::concat::concat(&parts)?)
    };
    (0..columns).map(column).collect()
}

/// A call that is made again, part by part.
struct Again<'a> {
    shared: &'a Shared,
    node: OperatorId,
    operator: AggregateOperator,
    /// The accumulators that rows are added to are those that the parts before have left.
    call: AggregateCall,
    /// What the parts have given, where that is not accumulators that rows were added to.
    made: Vec<Vec<ArrayRef>>,
}

impl Attempts for Again<'_> {
    fn run(&mut self, rows: &Range<usize>) -> Result<(), Stuck> {
        self.operator.reset();
        let made = self.operator.call(&self.call.slice(rows)).map_err(|mut error| {
            error.rows = rows.start + error.rows.start..rows.start + error.rows.end;
            Stuck { from: rows.start, error: Box::new(error) }
        })?;
        self.shared.log(&self.operator.take_logs());
        match (&mut self.call, made.first()) {
            (AggregateCall::Accumulate { accumulators, .. }, Some(left)) => *accumulators = left.as_binary::<i32>().clone(),
            _ => self.made.push(made),
        }
        Ok(())
    }

    fn capture(&mut self, rows: &Range<usize>, error: &CallError) -> Option<PathBuf> {
        let captures = self.shared.captures.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        save_capture(&captures, &self.node, || self.operator.capture(&self.call.slice(rows), error))
    }
}

impl ExternalAggregate for Borrower {
    fn accumulate(&mut self, accumulators: &BinaryArray, rows: &[ArrayRef], groups: &[u32]) -> Result<BinaryArray, ExternalError> {
        self.with(|operator| operator.accumulate(accumulators, rows, groups).map_err(Box::new))?.or_else(|error| {
            let (accumulators, rows, groups) = (accumulators.clone(), rows.to_vec(), groups.to_vec());
            self.rescue_accumulators(AggregateCall::Accumulate { accumulators, rows, groups }, *error)
        })
    }

    fn merge(&mut self, into: &BinaryArray, from: &BinaryArray) -> Result<BinaryArray, ExternalError> {
        self.with(|operator| operator.merge(into, from).map_err(Box::new))?.or_else(|error| {
            let (into, from) = (into.clone(), from.clone());
            self.rescue_accumulators(AggregateCall::Merge { into, from }, *error)
        })
    }

    fn finish(&mut self, accumulators: &BinaryArray) -> Result<Vec<ArrayRef>, ExternalError> {
        let finished = self.with(|operator| operator.finish(accumulators).map_err(Box::new))?;
        finished.or_else(|error| self.rescue(AggregateCall::Finish { accumulators: accumulators.clone() }, *error))
    }

    fn migrate(&mut self, from_version: u32, accumulators: &BinaryArray) -> Result<BinaryArray, ExternalError> {
        Ok(self.with(|operator| operator.migrate(from_version, accumulators).map_err(Box::new))??)
    }
}
