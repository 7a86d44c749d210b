//! How a job fails: always with the node's name, and with the rows where they are known.

use std::ops::Range;
use std::path::PathBuf;
use stygian_api::{ConnectorError, with_causes};
use stygian_core::{OperatorId, SubtaskId};
use stygian_expr::ExprError;
use stygian_sandbox::{CallError, SandboxError};

/// What an operator could not do.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// An expression, aggregate or window.
    #[error("could not evaluate an expression")]
    Expression(#[from] ExprError),
    /// A call into a plugin; it names the operator and the rows of the call.
    #[error(transparent)]
    Call(#[from] Box<CallError>),
    /// A row that makes a plugin fail, where `on_error` is "fail".
    #[error("{call}{}", told(saved.as_ref()))]
    Poison {
        /// The call with that row alone; it names the operator.
        call: Box<CallError>,
        /// The call's inputs.
        saved: Option<PathBuf>,
    },
    /// More rows make a plugin fail than the pipeline allows.
    #[error(
        "operator `{operator}` gave up {given_up} of its last {of} rows, a larger share than `max_poison_rate` ({max}); the last one: \
         {reason}{}",
        told(saved.as_ref())
    )]
    TooMuchPoison {
        /// The operator.
        operator: OperatorId,
        /// Rows that were given up.
        given_up: u64,
        /// Rows in which they were counted.
        of: u64,
        /// `max_poison_rate`
        max: f64,
        /// Why the last one was.
        reason: String,
        /// The inputs of a failed call.
        saved: Option<PathBuf>,
    },
    /// A plugin that could not be made ready.
    #[error("the plugin could not be opened")]
    Open(#[from] SandboxError),
    /// Rows of another shape than was planned: a fault of the engine or of a connector.
    #[error("rows do not fit together")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// Keyed state: a limit that was passed, or a backend that failed.
    #[error(transparent)]
    State(#[from] stygian_state::StateError),
    /// A call after one that failed and ended the job: a fault of the engine.
    #[error("the state went with a call that failed")]
    StateLost,
    /// Timers that set timers for times that have come, again and again.
    #[error(
        "timers were called {calls} times at the watermark {watermark} and still set new ones that are due; at the end of the input every timer is due at once: do not set another one when the watermark is at its end"
    )]
    TimersWithoutEnd {
        /// Calls.
        calls: usize,
        /// The watermark.
        watermark: stygian_core::EventTime,
    },
    /// A deadline came for an operator that named one without taking it: a fault of the operator.
    #[error("it asked to be called at a time and has no timers")]
    NoTimers,
    /// State for an operator that keeps none: the pipeline was changed without being checked.
    #[error("the checkpoint has `{part}` state for it, and it keeps none")]
    NoState {
        /// Which part of a state.
        part: &'static str,
    },
    /// A key column that cannot be hashed: a fault of the planner.
    #[error("the key could not be hashed")]
    Key(#[from] stygian_core::KeyHashError),
}

/// Where a call's inputs are.
fn told(saved: Option<&PathBuf>) -> String {
    saved.map(|path| format!("; its input is saved, `stygian plugin replay {}` runs it again", path.display())).unwrap_or_default()
}

/// Why a job failed. The first failure is the one that is told; what it drags along is not.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// An operator failed on rows.
    #[error("operator `{operator}` (subtask {subtask}) failed on rows {first} to {last} of a batch", first = rows.start, last = rows.end.saturating_sub(1))]
    Rows {
        /// The operator.
        operator: OperatorId,
        /// Its subtask.
        subtask: SubtaskId,
        /// The rows, counted in the batch that the operator was given.
        rows: Range<usize>,
        /// Why.
        #[source]
        source: Box<OperatorError>,
    },
    /// A call into a plugin failed, or too many did; it names the operator, the rows of the call and what to do.
    #[error(transparent)]
    Plugin(Box<OperatorError>),
    /// An operator failed on something else than rows: when it was opened, or when the watermark advanced.
    #[error("operator `{operator}` (subtask {subtask}) failed while it {doing}")]
    Operator {
        /// The operator.
        operator: OperatorId,
        /// Its subtask.
        subtask: SubtaskId,
        /// What it did: `was opened`, ...
        doing: &'static str,
        /// Why.
        #[source]
        source: Box<OperatorError>,
    },
    /// A source could not go on.
    #[error("source `{source_name}` failed")]
    Source {
        /// The source.
        source_name: OperatorId,
        /// Why.
        #[source]
        source: ConnectorError,
    },
    /// A sink could not go on.
    #[error("sink `{sink}` failed")]
    Sink {
        /// The sink.
        sink: OperatorId,
        /// Why.
        #[source]
        source: ConnectorError,
    },
    /// A checkpoint could not be made or gone on from.
    #[error("{0}")]
    Checkpoint(String),
    /// What a checkpoint holds cannot be read: it is damaged, or of a version that is not known.
    #[error("{0}")]
    Damaged(String),
    /// Another process has taken the job over; this one must not go on.
    #[error("{0}")]
    Fenced(String),
    /// What an operator keeps could not be read out.
    #[error("the state of operator `{operator}` could not be read for a checkpoint")]
    Snapshot {
        /// The operator.
        operator: OperatorId,
        /// Why.
        #[source]
        source: Box<OperatorError>,
    },
    /// What an operator kept could not be given back to it.
    #[error("the state of operator `{operator}` (subtask {subtask}) could not be restored from checkpoint {checkpoint}")]
    Restore {
        /// The operator.
        operator: OperatorId,
        /// Its subtask.
        subtask: SubtaskId,
        /// The checkpoint.
        checkpoint: stygian_core::CheckpointId,
        /// Why.
        #[source]
        source: Box<OperatorError>,
    },
    /// A task panicked: a fault of Stygian or of a library.
    #[error("task `{task}` panicked: {message}; this is a bug, please report it with the log")]
    Panic {
        /// The task.
        task: String,
        /// The message.
        message: String,
    },
    /// The parts of the job do not fit: a fault of the planner.
    #[error("the job cannot be wired: {0}")]
    Wiring(String),
    /// The machine refused a thread.
    #[error("could not start the {0} runtime")]
    Runtime(&'static str, #[source] std::io::Error),
    /// Another task has ended first; its error is the one to tell.
    #[error("a neighbour has stopped")]
    Severed,
}

impl JobError {
    /// Whether this is only the echo of another failure.
    pub fn is_echo(&self) -> bool {
        matches!(self, Self::Severed)
    }

    /// Whether the same job may come further if it is started again: what failed is outside, and may be well again by then. What depends on
    /// rows and code only fails the same way again.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Source { source, .. } | Self::Sink { source, .. } => source.may_pass(),
            Self::Checkpoint(_) => true,
            Self::Rows { source, .. } | Self::Operator { source, .. } | Self::Snapshot { source, .. } | Self::Restore { source, .. } => {
                matches!(&**source, OperatorError::State(error) if error.may_pass())
            }
            _ => false,
        }
    }

    /// The message with all its causes, for logs.
    pub fn chain(&self) -> String {
        with_causes(self)
    }
}
