//! A loaded plugin: compiled, linked, ready for instances. Cheap to clone; shared by all operators that use it.

use crate::aggregate::AggregateOperator;
use crate::error::SandboxError;
use crate::host::{HostState, Output};
use crate::inspect::Outside;
use crate::instance::{Failed, Instance};
use crate::keyed::KeyedOperator;
use crate::operator::Operator;
use crate::{CallError, Limits, PoolLimits, Situation, Step, description};
use arrow_schema::SchemaRef;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stygian_core::{PluginDescription, PluginInterfaces};
use wasmtime::component::{Component, InstancePre};

/// What all instances of a plugin share.
pub(crate) struct Code {
    pub(crate) component: Component,
    pub(crate) pre: InstancePre<HostState>,
    pub(crate) pool: PoolLimits,
    pub(crate) path: PathBuf,
    /// The component as it was loaded: whoever saves a call that failed needs it, and the file may be another by then.
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) digest: String,
    pub(crate) outside: Outside,
    /// Keeps the clock of calls going for as long as there are instances.
    pub(crate) _ticker: Arc<crate::clock::Ticker>,
}

/// A loaded plugin.
#[derive(Clone)]
pub struct Plugin {
    code: Arc<Code>,
    limits: Arc<Limits>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("path", &self.code.path).field("digest", &self.code.digest).finish_non_exhaustive()
    }
}

impl Plugin {
    pub(crate) fn new(code: Code, limits: Arc<Limits>) -> Self {
        Self { code: Arc::new(code), limits }
    }

    /// SHA-256 of the component, as hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.code.digest
    }

    /// The file it was loaded from.
    pub fn path(&self) -> &Path {
        &self.code.path
    }

    /// The component's bytes.
    pub fn component(&self) -> Arc<[u8]> {
        self.code.bytes.clone()
    }

    /// Which optional parts of the contract it exports.
    pub fn interfaces(&self) -> PluginInterfaces {
        self.code.outside.interfaces()
    }

    /// The full names of what it imports, escaped.
    pub fn imports(&self) -> &[String] {
        &self.code.outside.imports
    }

    /// The full names of what it exports, escaped.
    pub fn exports(&self) -> &[String] {
        &self.code.outside.exports
    }

    /// The limits of its calls.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The same plugin under other limits (as the pipeline's author grants them). Memory is capped by [`PoolLimits::memory`].
    #[must_use]
    pub fn with_limits(&self, mut limits: Limits) -> Self {
        limits.memory = limits.memory.min(self.code.pool.memory);
        Self { code: self.code.clone(), limits: Arc::new(limits) }
    }

    /// What the plugin is under a configuration (JSON; `{}` where there is none). Works for plugins of every kind.
    ///
    /// # Errors
    /// When the plugin refuses the configuration, describes itself wrongly, or fails.
    pub fn describe(&self, config_json: &str) -> Result<PluginDescription, SandboxError> {
        let mut instance = self.instance(&[]).map_err(|failed| self.failed("", failed))?;
        self.describe_with(&mut instance, "", config_json)
    }

    fn describe_with(&self, instance: &mut Instance, operator: &str, config_json: &str) -> Result<PluginDescription, SandboxError> {
        let path = self.code.path.clone();
        match instance.describe(config_json) {
            Ok(Ok(said)) => {
                let reads = if self.interfaces().migration {
                    instance.reads().map_err(|failed| self.failed(operator, failed))?
                } else {
                    Vec::new()
                };
                let described = description::check(said, self.interfaces());
                let described = described.and_then(|described| description::with_reads(described, reads));
                described.map_err(|reason| SandboxError::Description { path, reason })
            }
            Ok(Err(reason)) => Err(SandboxError::Config { path, reason }),
            Err(failed) => Err(self.failed(operator, failed)),
        }
    }

    /// Makes an operator of a filter, map or flat-map plugin; `name` is the node of the pipeline, for errors. It describes the plugin, finds
    /// the columns it reads in the input, and opens an instance once, so that a configuration that cannot be opened is found now.
    ///
    /// # Errors
    /// As [`Plugin::describe`]; when the plugin is of another kind; when the input lacks columns, or has them of another type.
    pub fn operator(&self, name: &str, config_json: &str, input: &SchemaRef) -> Result<Operator, SandboxError> {
        if !self.interfaces().operator {
            return Err(SandboxError::NoOperator { path: self.code.path.clone(), exports: self.kinds() });
        }
        let mut instance = self.instance(&[]).map_err(|failed| self.failed(name, failed))?;
        let description = self.describe_with(&mut instance, name, config_json)?;
        instance.process_func().map_err(|(_, situation)| match situation {
            Situation::BadOutput(reason) => SandboxError::Contract { path: self.code.path.clone(), reason: reason.to_string() },
            other => self.failed(name, (Step::Process, other)),
        })?;
        drop(instance);
        let mut operator = Operator::new(self.clone(), name, config_json, &description, input)?;
        operator.open().map_err(Box::new)?;
        Ok(operator)
    }

    /// Makes a keyed process plugin's operator; as [`Plugin::operator`] else. Its description says which slots and timers it has.
    ///
    /// # Errors
    /// As [`Plugin::operator`].
    pub fn keyed_operator(&self, name: &str, config_json: &str, input: &SchemaRef) -> Result<KeyedOperator, SandboxError> {
        if !self.interfaces().keyed_operator {
            return Err(SandboxError::NoKeyedOperator { path: self.code.path.clone(), exports: self.kinds() });
        }
        let description = self.describe(config_json)?;
        let mut operator = KeyedOperator::new(self.clone(), name, config_json, &description, input)?;
        operator.open().map_err(Box::new)?;
        Ok(operator)
    }

    /// Makes a user-defined aggregate's operator; as [`Plugin::operator`] else, but callers find the columns.
    ///
    /// # Errors
    /// As [`Plugin::operator`].
    pub fn aggregate(&self, name: &str, config_json: &str) -> Result<AggregateOperator, SandboxError> {
        if !self.interfaces().aggregate {
            return Err(SandboxError::NoAggregate { path: self.code.path.clone(), exports: self.kinds() });
        }
        let description = self.describe(config_json)?;
        let mut operator = AggregateOperator::new(self.clone(), name, config_json, &description)?;
        operator.open().map_err(Box::new)?;
        Ok(operator)
    }

    pub(crate) fn instance(&self, outputs: &[Output]) -> Result<Instance, Failed> {
        Instance::new(&self.code, &self.limits, outputs.into())
    }

    pub(crate) fn open_instance(&self, interface: &str, outputs: &Arc<[Output]>, config: &str) -> Result<Instance, Failed> {
        let mut instance = Instance::new(&self.code, &self.limits, outputs.clone())?;
        instance.open(interface, config)?;
        Ok(instance)
    }

    fn failed(&self, operator: &str, (step, situation): Failed) -> SandboxError {
        let plugin = self.code.path.display().to_string();
        let error = CallError { plugin, operator: operator.to_owned(), rows: 0..0, step, migrating: None, situation, logs: Vec::new() };
        SandboxError::Call(Box::new(error))
    }

    fn kinds(&self) -> String {
        let PluginInterfaces { operator, keyed_operator, aggregate, .. } = self.interfaces();
        let kinds = [(operator, "`operator`"), (keyed_operator, "`keyed-operator`"), (aggregate, "`aggregate`")];
        let kinds: Vec<&str> = kinds.into_iter().filter_map(|(exported, kind)| exported.then_some(kind)).collect();
        if kinds.is_empty() { "none of the contract's operators".to_owned() } else { kinds.join(" and ") }
    }
}
