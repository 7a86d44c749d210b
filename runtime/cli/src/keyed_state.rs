//! The state of keyed plugins as the pipeline wants it: in memory, or in a folder for each subtask.

use crate::folders;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stygian_api::Options;
use stygian_core::{ByteSize, ColumnType, MaxParallelism, Parallelism, TimerClock};
use stygian_engine::{OperatorError, SubtaskContext};
use stygian_plan::Plan;
use stygian_state::{DiskBackend, DiskPlace, KeyCodec, KeyedState, MemoryBackend, Slot, StateBackend, StateLimits};

/// The disk as the subtasks of a job share it.
#[derive(Clone)]
pub(crate) struct DiskShare {
    job: String,
    folder: PathBuf,
    /// What the caches of one subtask may take.
    memory: ByteSize,
}

/// Where the state of keyed plugins lies on disk; `None`: it is held in memory.
///
/// # Errors
/// When there is no place for it.
pub(crate) fn on_disk(plan: &Plan, base: &Path) -> anyhow::Result<Option<DiskShare>> {
    if plan.state.backend == stygian_pipeline::StateBackend::Memory {
        return Ok(None);
    }
    let folder = match &plan.state.folder {
        // The folder is only used where nobody else can reach it, so by its real path.
        Some(folder) => std::fs::canonicalize(base).unwrap_or_else(|_| base.to_owned()).join(folder),
        None => folders::state(&plan.name).context("there is no place for state on disk: set `folder` of `[state]`, or HOME")?,
    };
    let share = plan.state.memory.0 / (plan.keyed_subtasks().max(1) as u64);
    Ok(Some(DiskShare { job: plan.name.clone(), folder, memory: ByteSize(share) }))
}

/// What the state of a keyed plugin is made of.
pub(crate) struct KeyedParts {
    /// The types of the key columns, and the job's key groups.
    pub(crate) codec: (Vec<ColumnType>, MaxParallelism),
    pub(crate) slots: Arc<[Slot]>,
    pub(crate) clocks: Arc<[TimerClock]>,
    pub(crate) limits: StateLimits,
    pub(crate) lives_by: TimerClock,
    pub(crate) parallelism: Parallelism,
    /// `None`: in memory.
    pub(crate) disk: Option<DiskShare>,
}

impl KeyedParts {
    /// The state of one subtask.
    ///
    /// # Errors
    /// When its folder cannot be used.
    pub(crate) fn build(&self, context: &SubtaskContext) -> Result<KeyedState, OperatorError> {
        let (types, groups) = &self.codec;
        let (slots, clocks, limits) = (self.slots.clone(), self.clocks.clone(), self.limits.clone());
        let backend: Box<dyn StateBackend> = match &self.disk {
            None => Box::new(MemoryBackend::new(slots.clone())),
            Some(DiskShare { job, folder, memory }) => {
                let range = groups.range_of(context.subtask, self.parallelism);
                let subtask = format!("{}-of-{}", context.subtask.0, self.parallelism.get());
                let types: Vec<String> = types.iter().map(ToString::to_string).collect();
                let place = DiskPlace {
                    folder: folder.join(context.node.as_str()).join(subtask),
                    memory: *memory,
                    owner: format!(
                        "job {job}, operator {}, groups {range:?} of {}, key ({}), by {}",
                        context.node,
                        groups.get(),
                        types.join(", "),
                        self.lives_by
                    ),
                };
                Box::new(DiskBackend::open(&place, slots.clone())?)
            }
        };
        Ok(KeyedState::new(KeyCodec::new(types.clone(), *groups), backend, slots, clocks, limits).living_by(self.lives_by))
    }
}

/// What a subtask's state may take.
///
/// # Errors
/// The problems of what is written.
pub(crate) fn limits(given: Option<&Options>, on_disk: bool) -> Result<StateLimits, stygian_api::Problems> {
    let mut limits = given.map(Options::read::<StateLimits>).transpose()?.unwrap_or_default();
    let names_bytes = given.is_some_and(|given| given.span_of("bytes") != given.span());
    if on_disk && !names_bytes {
        limits.bytes = StateLimits::BYTES_ON_DISK;
    }
    Ok(limits)
}
