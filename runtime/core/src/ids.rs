//! Names and numbers of the parts of a job.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU16;

/// The number of a checkpoint. Ids of a job grow and are never used twice; 0 is the one a first start commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckpointId(pub u64);

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a node of the pipeline (`source.events` is `events`): what state, metrics and errors are filed under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperatorId(String);

impl OperatorId {
    /// Wraps a node's name as the checked pipeline has it.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One of the parallel copies of a task, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubtaskId(pub u16);

impl SubtaskId {
    /// As an index into a list with one entry a subtask.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for SubtaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many copies of a task run at once: 1 to 1,024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Parallelism(NonZeroU16);

/// A number of subtasks that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parallelism {0} is not in 1 to {max}", max = Parallelism::LIMIT)]
pub struct ParallelismError(u16);

impl Parallelism {
    /// One subtask.
    pub const ONE: Self = Self(NonZeroU16::MIN);
    /// The most subtasks a task can have.
    pub const LIMIT: u16 = 1024;

    /// Checks the number.
    ///
    /// # Errors
    /// When it is 0 or over [`Parallelism::LIMIT`].
    pub fn new(number: u16) -> Result<Self, ParallelismError> {
        match NonZeroU16::new(number) {
            Some(n) if number <= Self::LIMIT => Ok(Self(n)),
            _ => Err(ParallelismError(number)),
        }
    }

    /// The number of subtasks.
    pub fn get(self) -> u16 {
        self.0.get()
    }

    /// Every subtask, in order.
    pub fn subtasks(self) -> impl Iterator<Item = SubtaskId> {
        (0..self.get()).map(SubtaskId)
    }
}

impl TryFrom<u16> for Parallelism {
    type Error = ParallelismError;
    fn try_from(number: u16) -> Result<Self, Self::Error> {
        Self::new(number)
    }
}

impl From<Parallelism> for u16 {
    fn from(p: Parallelism) -> Self {
        p.get()
    }
}
