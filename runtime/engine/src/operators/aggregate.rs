//! A plugin as an aggregate of windows: calls into the sandbox for whoever holds accumulators.
//!
//! Windows have accumulators of their own and many of them; instances of the plugin are costly and hold nothing. So all windows of an
//! operator share the instances that are idle, and there are never more than calls at once.

use arrow_array::{ArrayRef, BinaryArray};
use arrow_schema::Fields;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use stygian_expr::{ExternalAccumulators, ExternalAggregate, ExternalError, ExternalFunction};
use stygian_sandbox::{AggregateOperator, CallError, Plugin, SandboxError};

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
        Ok(Self(Arc::new(Shared { plugin, name: name.to_owned(), config: config.to_owned(), results, accumulators, idle })))
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

/// Takes an idle instance for each call.
struct Borrower(Arc<Shared>);

impl Borrower {
    fn call<T>(&self, call: impl FnOnce(&mut AggregateOperator) -> Result<T, Box<CallError>>) -> Result<T, ExternalError> {
        // The lock is held for a push or a pop, which leave the list whole whatever happens.
        let idle = || self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let known = idle().pop();
        let mut operator = match known {
            Some(operator) => operator,
            None => self.0.plugin.aggregate(&self.0.name, &self.0.config)?,
        };
        let result = call(&mut operator);
        for line in operator.take_logs() {
            tracing::info!(aggregate = %self.0.name, level = ?line.level, "{}", line.message);
        }
        idle().push(operator);
        Ok(result?)
    }
}

impl ExternalAggregate for Borrower {
    fn accumulate(&mut self, accumulators: &BinaryArray, rows: &[ArrayRef], groups: &[u32]) -> Result<BinaryArray, ExternalError> {
        self.call(|operator| operator.accumulate(accumulators, rows, groups).map_err(Box::new))
    }

    fn merge(&mut self, into: &BinaryArray, from: &BinaryArray) -> Result<BinaryArray, ExternalError> {
        self.call(|operator| operator.merge(into, from).map_err(Box::new))
    }

    fn finish(&mut self, accumulators: &BinaryArray) -> Result<Vec<ArrayRef>, ExternalError> {
        self.call(|operator| operator.finish(accumulators).map_err(Box::new))
    }

    fn migrate(&mut self, from_version: u32, accumulators: &BinaryArray) -> Result<BinaryArray, ExternalError> {
        self.call(|operator| operator.migrate(from_version, accumulators).map_err(Box::new))
    }
}
