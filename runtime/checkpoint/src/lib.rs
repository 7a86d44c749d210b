//! Checkpoints: what is stored so that a job that dies goes on as if it had not, how it is stored, and who decides.
//!
//! - [`Manifest`]: all that a checkpoint is. It names the state files ([`StateFileWriter`]) whose sections are the state.
//! - [`CheckpointStorage`]: manifests, state files and plugins in a local folder or any other object store;
//!   [`CheckpointStorage::commit`] and what its errors mean; garbage collection.
//! - [`increments`]: what is written whole again, what is carried over.
//! - [`Coordinator`]: when a checkpoint begins, when it is complete, what happens then. A state machine without a clock or I/O.
//! - [`recovery`] and [`restore`]: what a starting run goes on from, and which subtask reads what.
//!
//! A run: open the storage; [`CheckpointStorage::look`], and [`restore::plan`] over the newest manifest, so that a job that does not fit is
//! refused before anything is written; [`CheckpointStorage::take_over`]; the plan again, over the manifest that is now the run's own; make
//! visible what is pending; collect garbage; restore what the plan says with a [`StateReader`]; make a [`Coordinator`] of the plan's base,
//! tell it facts and do what it decides until it says [`Decision::Finish`] or [`Decision::Fail`].
//!
//! The bytes are documented in `FORMAT.md`. Nothing here knows Kafka, HDFS, or the engine.

mod codec;
mod commit;
mod coordinator;
mod error;
mod garbage;
mod handover;
pub mod increments;
mod layout;
mod local;
mod manifest;
mod names;
pub mod recovery;
pub mod restore;
mod savepoint;
mod settings;
mod state_file;
mod state_reader;
mod storage;
mod verify;
mod wire;

pub use codec::{FORMAT_VERSION, MAX_MANIFEST_BYTES};
pub use commit::CommitOutcome;
pub use coordinator::{Coordinator, Decision, Fact, Moment, Written};
pub use error::{CHOICES, CheckpointError, Damage};
pub use garbage::{Garbage, InUse, Inventory, Named, garbage, kept};
pub use handover::{HandOver, OperatorPart, Outputs, TaskId};
pub use increments::{GroupHistory, RebasePolicy, Write};
pub use manifest::{
    Ahead, FileFacts, Kind, Manifest, OperatorPlugins, OperatorState, Part, PendingOutput, PluginFacts, Section, SplitState, StateVersions,
};
pub use names::{AttemptId, Digest, FileSum, JobUuid, NameError, SectionName, StateFileName};
pub use recovery::{ExpectedUuid, Found, RecoveryError, StartFrom, StartingRun};
pub use restore::{PlannedJob, PlannedOperator, Refusal, RestorePlan, SubtaskRestore};
pub use settings::CheckpointSettings;
pub use state_file::{STATE_FORMAT_VERSION, StateFileWriter, WrittenFile};
pub use state_reader::StateReader;
pub use storage::CheckpointStorage;
