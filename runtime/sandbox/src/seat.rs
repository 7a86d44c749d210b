//! The seat of an instance in one subtask: made and opened when a call needs it, kept from call to call, thrown away after one that failed.

// A failed call is rare and its error is looked into at once: by value it reads better than boxed.
#![allow(clippy::result_large_err)]

use crate::host::{HostState, Output};
use crate::instance::{Failed, Instance};
use crate::plugin::Plugin;
use crate::{CallError, Limits, LogLine, Situation, Step};
use std::ops::Range;
use std::sync::Arc;
use stygian_core::PluginDescription;
use wasmtime::Store;

/// `F` are the functions of the interface that the plugin is used by.
pub(crate) struct Seat<F> {
    plugin: Plugin,
    /// The plugin's name and version.
    title: String,
    /// The operator's name.
    name: String,
    config: String,
    outputs: Arc<[Output]>,
    interface: &'static str,
    functions: fn(&mut Instance) -> Result<F, Failed>,
    live: Option<(Instance, F)>,
    /// Every call gets an instance of its own.
    fresh: bool,
    /// What was said since somebody took it.
    logs: Vec<LogLine>,
}

impl<F> std::fmt::Debug for Seat<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("name", &self.name).field("plugin", &self.title).finish_non_exhaustive()
    }
}

impl<F: Copy> Seat<F> {
    /// An empty one for a plugin under a configuration; `name` is the operator's.
    pub(crate) fn new(
        plugin: Plugin,
        name: &str,
        config: &str,
        description: &PluginDescription,
        outputs: Arc<[Output]>,
        interface: &'static str,
        functions: fn(&mut Instance) -> Result<F, Failed>,
    ) -> Self {
        let title = format!("{}@{}", description.name, description.version);
        let (name, config) = (name.to_owned(), config.to_owned());
        Self { plugin, title, name, config, outputs, interface, functions, live: None, fresh: false, logs: Vec::new() }
    }

    /// With `fresh`, every call gets a new instance.
    pub(crate) fn with_fresh_instances(self, fresh: bool) -> Self {
        Self { fresh, ..self }
    }

    pub(crate) fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.plugin.limits()
    }

    pub(crate) fn outputs(&self) -> &Arc<[Output]> {
        &self.outputs
    }

    /// Makes and opens an instance, unless there is one.
    pub(crate) fn open(&mut self) -> Result<(), CallError> {
        if self.live.is_none() {
            self.live = Some(self.instance().map_err(|failed| self.error(0..0, failed))?);
        }
        Ok(())
    }

    fn instance(&mut self) -> Result<(Instance, F), Failed> {
        let mut instance = self.plugin.open_instance(self.interface, &self.outputs, &self.config)?;
        let functions = (self.functions)(&mut instance)?;
        self.logs.append(&mut instance.state().logs);
        Ok((instance, functions))
    }

    /// Throws the instance away; the next call gets a fresh one.
    pub(crate) fn reset(&mut self) {
        self.live = None;
    }

    /// One call, and `take` for what it returned and handed over. If either fails the instance goes; `rows` are named in the error, and
    /// imports may name rows below `named`.
    pub(crate) fn call<T, R>(
        &mut self,
        step: Step,
        rows: &Range<usize>,
        named: Option<u32>,
        call: impl FnOnce(F, &mut Store<HostState>) -> wasmtime::Result<Result<T, String>>,
        take: impl FnOnce(T, &mut HostState) -> Result<R, Situation>,
    ) -> Result<R, CallError> {
        let (mut instance, functions) = match self.live.take() {
            Some(live) => live,
            None => self.instance().map_err(|failed| self.error(rows.clone(), failed))?,
        };
        let result = instance.run(step, named, |store| call(functions, store));
        let host = instance.state();
        self.logs.append(&mut host.logs);
        match result.and_then(|said| take(said, host).map_err(|situation| (step, situation))) {
            Ok(taken) => {
                self.live = (!self.fresh).then_some((instance, functions));
                Ok(taken)
            }
            Err(failed) => Err(self.error(rows.clone(), failed)),
        }
    }

    /// What the plugin had to say since this was asked last; escaped.
    pub(crate) fn take_logs(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.logs)
    }

    /// A failure on these rows.
    pub(crate) fn error(&mut self, rows: Range<usize>, (step, situation): Failed) -> CallError {
        let (plugin, operator, logs) = (self.title.clone(), self.name.clone(), self.take_logs());
        CallError { plugin, operator, rows, step, migrating: None, situation, logs }
    }

    /// A failure because of rows that are not what was promised.
    pub(crate) fn wrong_input(&mut self, step: Step, rows: Range<usize>, what: impl Into<String>) -> CallError {
        self.error(rows, (step, Situation::WrongInput(what.into())))
    }
}
