//! Where the coordinator stands.

use crate::handover::{HandOver, TaskId};
use crate::manifest::Manifest;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use stygian_core::CheckpointId;

#[derive(Debug)]
pub(super) enum Phase {
    Resting,
    Collecting(Collecting),
    Writing(Box<Writing>),
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Go on.
    No,
    /// The next checkpoint is the last.
    Asked,
    /// The last checkpoint is committed.
    Committed,
}

/// A checkpoint whose barriers are on their way.
#[derive(Debug)]
pub(super) struct Collecting {
    pub(super) id: CheckpointId,
    pub(super) began: Duration,
    pub(super) waiting: BTreeSet<TaskId>,
    pub(super) handed: BTreeMap<TaskId, HandOver>,
    pub(super) requests: Vec<String>,
    pub(super) last: bool,
}

/// A checkpoint whose manifest is being written.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) manifest: Manifest,
    pub(super) skipped: Vec<Manifest>,
    /// When its checkpoint began.
    pub(super) began: Duration,
    /// When its writing did.
    pub(super) since: Duration,
    pub(super) retry_at: Option<Duration>,
    /// Ended subtasks whose last hand-over is in it.
    pub(super) settles: BTreeSet<TaskId>,
    pub(super) requests: Vec<String>,
    pub(super) last: bool,
}

/// A committed savepoint that is not yet copied.
#[derive(Debug)]
pub(super) struct Savepoint {
    pub(super) request: String,
    pub(super) manifest: Manifest,
    pub(super) copying: bool,
}
