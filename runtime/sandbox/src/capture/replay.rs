//! Makes a captured call again, within the limits it had, and says whether it fails as it did.

use super::keyed::{self, KeyedInputs, KeyedRecord};
use super::{AggregateFunction, AggregateInputs, CallRecord, Capture, FailureRecord};
use crate::{CallError, CallOutput, Limits, Plugin, Sandbox, SandboxError};
use std::path::Path;
use stygian_core::{ByteSize, Span};

/// A call that was made again.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What came of it.
    pub now: Result<CallOutput, Box<CallError>>,
    /// How that compares.
    pub verdict: Verdict,
}

/// How a call that was made again compares with the one that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fails in the same way.
    Same,
    /// It fails in another way.
    Different,
    /// It goes well now.
    Passes,
}

/// The most that a captured call gets: the file may be a stranger's. No pipeline grants more.
fn ceiling() -> Limits {
    Limits {
        rows_per_call: u32::MAX,
        bytes_per_call: ByteSize(u64::MAX),
        memory: ByteSize::mib(1024),
        table_elements: 1 << 20,
        call_cpu: Span::secs(600),
        call_wall: Span::secs(3600),
        host_calls: 100_000_000,
        output_rows: 1 << 30,
        output_bytes: ByteSize::mib(1024),
        output_batches: 1 << 20,
        dead_letters: 1 << 24,
        state_bytes: ByteSize::mib(1024),
        timers: 1 << 24,
        reason_bytes: ByteSize::mib(1),
        log_lines: 1 << 20,
        log_line_bytes: ByteSize::mib(1),
    }
}

impl Capture {
    /// The plugin that is in the capture.
    ///
    /// # Errors
    /// As [`Sandbox::load`].
    pub fn plugin(&self, sandbox: &Sandbox) -> Result<Plugin, SandboxError> {
        sandbox.load_bytes(Path::new("(of the capture)"), self.component.clone())
    }

    /// The limits that a replay gives the call: those it had, up to a ceiling.
    pub fn limits(&self) -> Limits {
        self.record.limits.clone().capped(&ceiling())
    }

    /// Makes the call again, on a fresh instance of this plugin (of the capture, or one that should do better).
    ///
    /// # Errors
    /// When the plugin cannot be opened with the configuration and columns of the call.
    pub fn replay(&self, plugin: &Plugin) -> Result<Replay, SandboxError> {
        let plugin = plugin.with_limits(self.limits());
        let now = match (&self.record.keyed, &self.keyed, self.record.aggregate, &self.aggregate) {
            (Some(record), Some(inputs), ..) => self.call_keyed(&plugin, record, inputs)?,
            (_, _, Some(function), Some(inputs)) => self.call_aggregate(&plugin, function, inputs)?,
            _ => self.call(&plugin)?,
        };
        let verdict = match &now {
            Ok(_) => Verdict::Passes,
            Err(error) if self.record.failure.is_like(&FailureRecord::from(&**error)) => Verdict::Same,
            Err(_) => Verdict::Different,
        };
        Ok(Replay { now, verdict })
    }
}

type Called = Result<CallOutput, Box<CallError>>;

impl Capture {
    fn call(&self, plugin: &Plugin) -> Result<Called, SandboxError> {
        let mut operator = plugin.operator(&self.record.operator, &self.record.config, self.rows.schema_ref())?;
        let all = 0..self.rows.num_rows();
        let input = operator.input(&self.rows).map_err(Box::new)?;
        Ok(operator.call(self.context(), &input, &all).map_err(Box::new))
    }

    fn call_keyed(&self, plugin: &Plugin, record: &KeyedRecord, inputs: &KeyedInputs) -> Result<Called, SandboxError> {
        let CallRecord { operator: name, config, .. } = &self.record;
        let mut operator = plugin.keyed_operator(name, config, self.rows.schema_ref())?;
        let description = plugin.describe(config)?;
        let state = keyed::begin(record, inputs, &description).map_err(|what| keyed::mismatch(name, &description, what))?;
        let called = if inputs.timers.num_rows() > 0 {
            operator.on_timers(self.context(), state)
        } else {
            operator.process(self.context(), &self.rows, 0..self.rows.num_rows(), state)
        };
        Ok(called.result.map_err(Box::new))
    }

    fn call_aggregate(&self, plugin: &Plugin, function: AggregateFunction, inputs: &AggregateInputs) -> Result<Called, SandboxError> {
        let mut operator = plugin.aggregate(&self.record.operator, &self.record.config)?;
        let called = operator.call(&inputs.call(function, &self.rows)).map_err(Box::new);
        Ok(called.map(|_| CallOutput { logs: operator.take_logs(), ..CallOutput::default() }))
    }
}

impl FailureRecord {
    /// Whether both are one failure: what took too long takes another time now.
    fn is_like(&self, other: &Self) -> bool {
        (&self.step, &self.kind) == (&other.step, &other.kind) && (self.kind == "timeout" || self.message == other.message)
    }
}
