//! A job's checkpoints, as the engine takes part in them.
//!
//! `coordination` drives the coordinator's decisions; every task is a [`Participant`], which hands over what it has at a barrier and at its end;
//! `savepoints` is how others ask for one; `followers` are told of commits; `starting` makes a job go on from the checkpoint before it. What is stored and when is decided in `stygian-checkpoint`.

mod coordination;
mod followers;
mod participant;
mod savepoints;
mod starting;

pub(crate) use coordination::{COMMANDS, Coordination, FACTS, SourceCommand};
pub(crate) use participant::{Kept, Participant, Shared, Taken};
pub use savepoints::{SavepointError, Savepoints};
pub(crate) use starting::{Starting, recover};

use crate::error::JobError;
use crate::metrics::CheckpointCounters;
use crate::spec::{Head, JobSpec, OutletSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use stygian_api::CommitPoint;
use stygian_checkpoint::{AttemptId, CheckpointSettings, CheckpointStorage, OperatorPlugins, PlannedJob, PlannedOperator, RestorePlan};
use stygian_core::OperatorId;

/// Where a job's checkpoints lie, when they are made, and what the job goes on from.
pub struct CheckpointSpec {
    /// Where they lie; this run has taken it over.
    pub storage: Arc<CheckpointStorage>,
    /// When they are made.
    pub settings: CheckpointSettings,
    /// Output becomes visible as soon as it is finished, so that some of it comes again after a crash; else with the checkpoint behind it.
    pub at_least_once: bool,
    /// This run.
    pub attempt: AttemptId,
    /// What commits the checkpoints, besides their manifests; this run has fenced it.
    pub commit_point: Option<Arc<dyn CommitPoint>>,
    /// The plugins of each operator that has some.
    pub plugins: BTreeMap<OperatorId, OperatorPlugins>,
    /// Where its checkpoints are counted: the same for all starts of one run.
    pub counters: CheckpointCounters,
    /// What the run's first manifest holds, for the job as it is planned.
    pub restore: RestorePlan,
}

/// What an operator keeps, as far as it must be known before it is restored.
#[derive(Clone, Debug, Default)]
pub struct Keeps {
    /// The parts of its state ([`stygian_core::StateSection::part`]).
    pub parts: Vec<&'static str>,
    /// Of each slot the versions that it reads.
    pub slots: BTreeMap<String, BTreeSet<u32>>,
    /// What wrote its accumulators; they are only read by the same.
    pub accumulators: Option<String>,
}

impl JobSpec {
    /// The job as far as a checkpoint must fit it. `drop_state`: nodes that are gone and whose state is to be forgotten.
    pub fn planned(&self, drop_state: BTreeSet<OperatorId>) -> PlannedJob {
        let mut job = PlannedJob {
            max_parallelism: self.settings.max_parallelism,
            operators: BTreeMap::new(),
            sources: BTreeSet::new(),
            sinks: BTreeSet::new(),
            drop_state,
        };
        for task in &self.tasks {
            if let Head::Source(source) = &task.head {
                job.sources.insert(source.node.clone());
            }
            for stage in &task.stages {
                let Keeps { parts, slots, accumulators } = stage.keeps.clone();
                let sections = parts.into_iter().filter_map(|part| part.parse().ok()).collect();
                let planned = PlannedOperator { parallelism: task.parallelism, sections, slots, accumulators };
                job.operators.insert(stage.node.clone(), planned);
            }
            job.sinks.extend(task.outlets.iter().filter_map(|outlet| match outlet {
                OutletSpec::Sink { node, .. } => Some(node.clone()),
                OutletSpec::Exchange { .. } => None,
            }));
        }
        job
    }

    /// Whether the job's sinks can go on from what a checkpoint has pending, as far as that shows without touching anything. To be asked before a
    /// checkpoint that somebody has chosen becomes the newest one.
    ///
    /// # Errors
    /// When a sink cannot; it is named.
    pub async fn check_pending(&self, restore: &RestorePlan) -> Result<(), JobError> {
        for outlet in self.tasks.iter().flat_map(|task| &task.outlets) {
            if let OutletSpec::Sink { node, sink } = outlet {
                let checked = sink.committer().check(&starting::pending_of(restore, node)).await;
                checked.map_err(|source| JobError::Sink { sink: node.clone(), source })?;
            }
        }
        Ok(())
    }
}
