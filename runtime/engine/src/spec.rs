//! A job as data: tasks, their chains, and where rows go. Everything in it is already built and checked; what is left is to run it.

use crate::{CheckpointSpec, Clock, EngineSettings, Keeps, OperatorFactory};
use std::sync::Arc;
use std::time::Duration;
use stygian_api::{Sink, Source};
use stygian_core::{OperatorId, Parallelism, StreamSchema};

/// A job.
pub struct JobSpec {
    /// The pipeline's name.
    pub name: String,
    /// Different for every run: part of the names of files that are being written.
    pub attempt: String,
    /// Bounds and delays.
    pub settings: EngineSettings,
    /// Processing time.
    pub clock: Arc<dyn Clock>,
    /// The tasks.
    pub tasks: Vec<TaskSpec>,
    /// `None`: it makes no checkpoints, and begins at the beginning.
    pub checkpoints: Option<CheckpointSpec>,
}

/// A chain of operators that runs in parallel copies.
pub struct TaskSpec {
    /// For messages: the names of its nodes.
    pub name: String,
    /// How many copies.
    pub parallelism: Parallelism,
    /// Where its rows come from.
    pub head: Head,
    /// The operators of the chain, each before those it feeds. An exchange feeds the first one.
    pub stages: Vec<StageSpec>,
    /// Where rows leave the chain.
    pub outlets: Vec<OutletSpec>,
}

/// Where a task's rows come from.
pub enum Head {
    /// The splits of a source.
    Source(SourceSpec),
    /// The outlets of other tasks that name this one.
    Exchange,
}

/// A source at the head of a chain.
pub struct SourceSpec {
    /// The node.
    pub node: OperatorId,
    /// What reads.
    pub source: Arc<dyn Source>,
    /// Its rows; the event time column is watched.
    pub schema: StreamSchema,
    /// How far event times may lie behind the largest one of their split.
    pub disorder: Duration,
    /// After how long without rows a split no longer holds the watermark back; `None`: never.
    pub idle_after: Option<Duration>,
    /// Where the rows go.
    pub rows: Vec<Target>,
    /// Where messages go that are no rows.
    pub dead_letters: Vec<Target>,
}

/// An operator in a chain.
pub struct StageSpec {
    /// The node.
    pub node: OperatorId,
    /// Makes the operator.
    pub operator: Arc<dyn OperatorFactory>,
    /// Where the rows of each output go, by the output's index.
    pub outputs: Vec<Vec<Target>>,
    /// What it keeps.
    pub keeps: Keeps,
}

/// A place for rows within a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The stage with this index, which is later in the chain.
    Stage(usize),
    /// The outlet with this index.
    Outlet(usize),
}

/// A place where rows leave a chain.
pub enum OutletSpec {
    /// To another task.
    Exchange {
        /// Index of the task.
        task: usize,
        /// Which of its subtasks a row goes to.
        partitioning: Partitioning,
    },
    /// To the outside.
    Sink {
        /// The node.
        node: OperatorId,
        /// What writes.
        sink: Arc<dyn Sink>,
    },
}

/// How rows are spread over the subtasks of the next task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Partitioning {
    /// To the subtask of the same number; both tasks have the same parallelism.
    Forward,
    /// To the owner of the key group of these columns.
    Hash(Vec<usize>),
}
