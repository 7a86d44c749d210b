//! Runs a job: tasks, channels, exchange, alignment, watermarks, native operators.
//!
//! The way through: [`JobSpec`] (data: what runs where, every part already built and checked) -> [`Job::start`] (channels and tasks) ->
//! [`Job::finish`] (the [`Report`], or the first error). A task's parallel copies are *subtasks*; a subtask owns a chain of
//! operators, which call each other as functions, and speaks to other subtasks through bounded channels only.
//!
//! Pure decisions have files of their own: `alignment` (which input may go on), `watermark` (how far a stream has come), `exchange` (whose
//! row it is), `retry` (which rows of a failed call to try again). The loops around them are `source_task`, `exchange_task`, `sink_task`
//! and `poison`; `checkpoints` is what a job that can be killed needs besides. Nothing here knows Kafka, files or HTTP.

mod alignment;
mod chain;
mod channel;
mod checkpoints;
mod clock;
mod dead_letters;
mod error;
mod exchange;
mod exchange_task;
mod inputs;
mod job;
mod metrics;
mod operator;
pub mod operators;
mod outlet;
mod poison;
mod retry;
mod settings;
mod sink_task;
mod source_task;
mod spec;
mod split_discovery;
mod split_reader;
mod watermark;
mod wiring;

pub use checkpoints::{CheckpointSpec, Keeps, SavepointError, Savepoints};
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{JobError, OperatorError};
pub use job::{Job, Report, Runtimes, Stop};
pub use metrics::{CheckpointCounters, CheckpointSnapshot, CommittedCheckpoint, Metrics, NodeKind, NodeSnapshot};
pub use operator::{CallContext, Dropped, Operator, OperatorFactory, Output, Snapshot, SubtaskContext};
pub use poison::{OnError, PoisonPolicy};
pub use settings::EngineSettings;
pub use spec::{Head, JobSpec, OutletSpec, Partitioning, SourceSpec, StageSpec, Target, TaskSpec};
