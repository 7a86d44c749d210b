//! What the coordinator is told and what it tells: the words between it and the engine.

use crate::handover::{HandOver, Outputs, TaskId};
use crate::manifest::Manifest;
use std::time::Duration;
use stygian_core::{CheckpointId, OperatorId};

/// When a fact came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since the run began, on a clock that never goes back.
    pub since_start: Duration,
    /// By the wall clock, microseconds since 1970: only written down, never decided by.
    pub wall_micros: i64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Time passed; see [`crate::Coordinator::wake_at`].
    Tick,
    /// A subtask has taken its snapshot, stored it, and pre-committed its sinks.
    Acknowledged {
        /// Of this barrier.
        id: CheckpointId,
        /// The subtask.
        task: TaskId,
        /// What it has.
        handed: HandOver,
    },
    /// A subtask could not store its snapshot. Its sinks have finished their files all the same.
    Declined {
        /// At this barrier.
        id: CheckpointId,
        /// The subtask.
        task: TaskId,
        /// What its sinks have finished.
        pending: Outputs,
        /// Why.
        reason: String,
    },
    /// A subtask has come to the end of its input and stored its last state. It counts as having acknowledged every later barrier, and one
    /// under way that did not reach it. What it hands over is applied behind the checkpoint that is under way, if that one's barrier has: so
    /// either its changes are such that applying them twice is applying them once, or it writes bases.
    Ended {
        /// The subtask.
        task: TaskId,
        /// The first checkpoint that can hold what it hands over: behind its last barrier, whose acknowledgement may come after this, as what
        /// was taken there is stored while the subtask goes on.
        first: CheckpointId,
        /// What it has.
        handed: HandOver,
    },
    /// [`Decision::Write`] was carried out.
    Wrote {
        /// The manifest.
        id: CheckpointId,
        /// With this outcome.
        outcome: Written,
    },
    /// [`Decision::MakeVisible`] was carried out.
    MadeVisible {
        /// The sink.
        sink: OperatorId,
        /// Up to and with this one.
        through: CheckpointId,
        /// All that the sink's committer holds back, as it was given to it: not visible, and to be named by later checkpoints.
        held: Vec<serde_json::Value>,
    },
    /// A sink's committer has merged some of what it holds back.
    Merged {
        /// The sink.
        sink: OperatorId,
        /// What is not to be named any more.
        parts: Vec<serde_json::Value>,
        /// What is to be named in its place, and given to the committer when the first checkpoint that names it is committed.
        into: serde_json::Value,
    },
    /// A person asks for a savepoint.
    Savepoint {
        /// What the request is called in the answer.
        request: String,
    },
    /// The job is to stop after a last checkpoint.
    Stop {
        /// The last checkpoint is a savepoint, asked for by this request.
        savepoint: Option<String>,
    },
    /// [`Decision::CopySavepoint`] was carried out; an error says why not.
    SavepointCopied {
        /// The request.
        request: String,
        /// How it went.
        result: Result<(), String>,
    },
}

/// How writing a manifest ended; the pure side of [`crate::CommitOutcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is committed.
    Committed,
    /// Another process has the job; the text says which.
    Fenced(String),
    /// It is not there and will not come.
    NotWritten(String),
    /// It may be there.
    Unknown(String),
    /// It is there, but the transaction that would have committed it is lost, with the output of this run since the last one.
    Lost(String),
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Send this barrier from every source that has not ended.
    Inject {
        /// The barrier.
        id: CheckpointId,
        /// Sources stop reading behind it (they stay, in case it is aborted and another comes).
        last: bool,
    },
    /// Tell the subtasks that this checkpoint will not be: their next changes are since the last committed one, and what was written for it
    /// is garbage.
    Abort {
        /// The checkpoint.
        id: CheckpointId,
        /// Why, for people.
        reason: String,
    },
    /// Commit this manifest ([`crate::CheckpointStorage::commit`]) and report [`Fact::Wrote`].
    Write {
        /// The manifests of the ids that were skipped since the last one.
        skipped: Vec<Manifest>,
        /// The manifest.
        manifest: Box<Manifest>,
    },
    /// Tell the subtasks that their next changes are since this checkpoint.
    Committed {
        /// The checkpoint.
        id: CheckpointId,
        /// Since it began: with its barriers, or, at the end of the input, without any.
        took: Duration,
    },
    /// Have the sink's committer make these visible, in order, behind what it was given before, and report [`Fact::MadeVisible`]. There may be
    /// none, for a committer that holds something back.
    MakeVisible {
        /// The sink.
        sink: OperatorId,
        /// All that was finished up to this checkpoint.
        through: CheckpointId,
        /// What was not given to it before.
        outputs: Vec<serde_json::Value>,
        /// Nothing may be held back, also of what was given before: it is the last checkpoint, or a savepoint.
        release: bool,
    },
    /// Delete what no manifest that is kept names ([`crate::CheckpointStorage::collect_garbage`]).
    CollectGarbage {
        /// The newest committed checkpoint.
        committed: CheckpointId,
    },
    /// All output of the savepoint is visible: copy it to where the request wants it and report [`Fact::SavepointCopied`].
    CopySavepoint {
        /// The request.
        request: String,
        /// The savepoint; nothing is pending in it.
        manifest: Box<Manifest>,
    },
    /// Answer a request for a savepoint.
    Answer {
        /// The request.
        request: String,
        /// The savepoint's id, or why there is none.
        result: Result<CheckpointId, String>,
    },
    /// Everything is committed and visible, and nothing more will come: end the job's tasks.
    Finish,
    /// End the job at once: make nothing more visible; recovery finds what holds.
    Fail {
        /// Why.
        reason: String,
    },
}
