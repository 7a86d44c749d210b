//! A task's part in checkpoints: takes snapshots of its operators, has them stored, and tells the coordinator.
//!
//! A snapshot is taken on the compute thread, between two elements of the stream; it is stored on the I/O runtime while the task goes on.
//! What an operator hands out as changes counts from its snapshot before, so changes of a checkpoint that came to nothing are marked as
//! changed again before the next snapshot. At most one checkpoint is under way: at a barrier it is known what became of the one before.

use crate::checkpoints::CheckpointSpec;
use crate::error::JobError;
use crate::metrics::CheckpointCounters;
use crate::operator::{Operator, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use stygian_api::with_causes;
use stygian_checkpoint::increments::{self, GroupHistory, Write};
use stygian_checkpoint::{
    AttemptId, CheckpointError, CheckpointSettings, CheckpointStorage, Fact, HandOver, Manifest, OperatorPart, Part, SectionName,
    SplitState, TaskId, WrittenFile,
};
use stygian_core::kill_point::kill_point;
use stygian_core::{CheckpointId, EventTime, KeyGroup, KeyGroupRange, OperatorId, SectionKind, StateSection};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// The last committed manifest, as the coordinator has it.
#[derive(Debug)]
pub(crate) struct Outcomes(Mutex<Arc<Manifest>>);

impl Outcomes {
    pub(crate) fn new(committed: Manifest) -> Self {
        Self(Mutex::new(Arc::new(committed)))
    }

    /// Locked for a moment, once a checkpoint.
    pub(crate) fn committed(&self) -> Arc<Manifest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn commit(&self, manifest: Manifest) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(manifest);
    }
}

/// What all participants of a job share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) storage: Arc<CheckpointStorage>,
    pub(crate) settings: CheckpointSettings,
    pub(crate) at_least_once: bool,
    /// There is a commit point.
    pub(crate) transactional: bool,
    pub(crate) attempt: AttemptId,
    pub(crate) outcomes: Arc<Outcomes>,
    pub(crate) counters: CheckpointCounters,
    pub(crate) facts: mpsc::Sender<Fact>,
    pub(crate) io: Handle,
}

impl Shared {
    pub(crate) fn new(spec: &CheckpointSpec, facts: mpsc::Sender<Fact>, io: Handle) -> Self {
        let outcomes = Arc::new(Outcomes::new(spec.restore.base.clone()));
        let (storage, settings, at_least_once) = (spec.storage.clone(), spec.settings, spec.at_least_once);
        let transactional = spec.commit_point.is_some();
        let counters = spec.counters.clone();
        Self { storage, settings, at_least_once, transactional, attempt: spec.attempt, outcomes, counters, facts, io }
    }
}

/// One task's part.
pub(crate) struct Participant {
    shared: Shared,
    pub(crate) task: TaskId,
    /// The key groups of its operators.
    owned: KeyGroupRange,
    /// Its input is parted by key.
    keyed: bool,
    unresolved: Option<Unresolved>,
}

/// The last snapshot, until it is known what became of its checkpoint.
struct Unresolved {
    id: CheckpointId,
    /// By the index of their stage.
    changes: Vec<(usize, Arc<StateSection>)>,
    /// Key groups of stages that were written whole.
    bases: BTreeSet<(usize, KeyGroup)>,
}

/// What a task has taken at a barrier and not stored yet.
pub(crate) struct Taken {
    /// The checkpoint that it is for.
    id: CheckpointId,
    operators: BTreeMap<OperatorId, OperatorPart>,
    sections: Vec<(OperatorId, SectionName, Arc<StateSection>)>,
    pub(crate) sources: BTreeMap<OperatorId, Vec<SplitState>>,
}

/// An operator of a task's chain.
pub(crate) struct Kept<'a> {
    pub(crate) node: &'a OperatorId,
    pub(crate) operator: &'a mut dyn Operator,
}

impl Participant {
    /// `keyed`: its input is parted by key, so that its watermark is that of its key groups.
    pub(crate) fn new(shared: Shared, task: TaskId, owned: KeyGroupRange, keyed: bool) -> Self {
        Self { shared, task, owned, keyed, unresolved: None }
    }

    /// Takes snapshots of the operators of a chain, which stand in its order. `watermark`: of its input, and whether that has ended; `now`: processing time.
    pub(crate) fn take<'a>(
        &mut self,
        id: CheckpointId,
        (watermark, at_end): (Option<EventTime>, bool),
        now: EventTime,
        kept: impl Iterator<Item = Kept<'a>>,
    ) -> Result<Taken, JobError> {
        let committed = self.shared.outcomes.committed();
        let lost = self.unresolved.take().filter(|unresolved| unresolved.id != committed.id);
        let mut taken = Taken { id, operators: BTreeMap::new(), sections: Vec::new(), sources: BTreeMap::new() };
        let mut unresolved = Unresolved { id, changes: Vec::new(), bases: BTreeSet::new() };
        for (stage, Kept { node, operator }) in kept.enumerate() {
            let lost_changes = lost.iter().flat_map(|lost| &lost.changes).filter(|(of, _)| *of == stage);
            for (_, section) in lost_changes {
                operator.unsaved(section).map_err(|source| JobError::Snapshot { operator: node.clone(), source: Box::new(source) })?;
            }
            let lost_base = |group| lost.as_ref().is_some_and(|lost| lost.bases.contains(&(stage, group)));
            let before = committed.operators.get(node).map_or(&[][..], |state| &state.sections);
            let history = Histories::new(before, &self.owned, &self.shared.settings);
            let failed = |source| JobError::Snapshot { operator: node.clone(), source: Box::new(source) };
            let Snapshot { mut sections, complete, versions, accumulators } =
                operator.snapshot(&|group| history.is_due(group) || lost_base(group)).map_err(failed)?;
            if let Some(part) = complete {
                let lost = lost.iter().flat_map(|lost| &lost.bases).filter(|(of, _)| *of == stage).map(|(_, group)| *group);
                sections.extend(history.emptied(part, &sections, lost));
            }
            for section in sections {
                let name = section.part.parse().map_err(|_| JobError::Wiring(format!("`{}` is no name of state", section.part)))?;
                let section = Arc::new(section);
                match section.kind {
                    SectionKind::Change => unresolved.changes.push((stage, Arc::clone(&section))),
                    SectionKind::Base => drop(unresolved.bases.insert((stage, section.group))),
                }
                taken.sections.push((node.clone(), name, section));
            }
            let groups = self.keyed.then(|| self.owned.clone());
            let watermark = operator.clock(now).or(watermark);
            taken.operators.insert(node.clone(), OperatorPart { state_versions: versions, accumulators, watermark, groups, at_end });
        }
        self.unresolved = Some(unresolved);
        kill_point("snapshot");
        Ok(taken)
    }

    /// Has what was taken at a barrier stored while the task goes on.
    pub(crate) fn acknowledge(&self, taken: Taken) {
        let (shared, task) = (self.shared.clone(), self.task.clone());
        self.shared.io.spawn(async move {
            let Taken { id, operators, sections, sources } = taken;
            let fact = match store(&shared, id, sections).await {
                Ok(files) => Fact::Acknowledged { id, task, handed: HandOver { operators, files, sources, ..HandOver::default() } },
                Err(error) => Fact::Declined { id, task, pending: BTreeMap::new(), reason: with_causes(&error) },
            };
            kill_point("stored");
            // A coordinator that is gone has ended the job.
            let _ = shared.facts.send(fact).await;
        });
    }

    /// What a sink has finished before a barrier.
    pub(crate) async fn acknowledge_sink(
        &self,
        id: CheckpointId,
        pending: BTreeMap<OperatorId, Vec<serde_json::Value>>,
    ) -> Result<(), JobError> {
        let handed = HandOver { pending, ..HandOver::default() };
        kill_point("pre-committed");
        self.tell(Fact::Acknowledged { id, task: self.task.clone(), handed }).await
    }

    /// The task is at its end: stores its last state and tells.
    pub(crate) async fn ended(&self, taken: Taken) -> Result<(), JobError> {
        let Taken { id, operators, sections, sources } = taken;
        let shared = self.shared.clone();
        let stored = self.shared.io.spawn(async move { store(&shared, id, sections).await }).await;
        let files = stored.map_err(|error| JobError::Checkpoint(error.to_string()))?;
        let files = files.map_err(|error| {
            JobError::Checkpoint(format!("the last state of {} could not be stored: {}", self.task, with_causes(&error)))
        })?;
        let handed = HandOver { operators, files, sources, ..HandOver::default() };
        self.tell(Fact::Ended { task: self.task.clone(), first: id, handed }).await
    }

    /// A sink is at its end.
    pub(crate) async fn sink_ended(&self, pending: BTreeMap<OperatorId, Vec<serde_json::Value>>) -> Result<(), JobError> {
        kill_point("ended");
        let handed = HandOver { pending, ..HandOver::default() };
        self.tell(Fact::Ended { task: self.task.clone(), first: self.next_checkpoint(), handed }).await
    }

    /// The first checkpoint that can hold what happens now: one behind the last barrier, whose checkpoint may still be committed without it, and
    /// whose commit makes garbage of state that was stored for it and is not in it.
    pub(crate) fn next_checkpoint(&self) -> CheckpointId {
        let committed = self.shared.outcomes.committed().id;
        let barrier = self.unresolved.as_ref().map_or(committed, |unresolved| unresolved.id);
        CheckpointId(committed.max(barrier).0 + 1)
    }

    async fn tell(&self, fact: Fact) -> Result<(), JobError> {
        self.shared.facts.send(fact).await.map_err(|_| JobError::Severed)
    }
}

/// What is stored of an operator's key groups.
struct Histories {
    /// By part and group.
    groups: BTreeMap<(SectionName, KeyGroup), GroupHistory>,
    /// Those of which a base is stored that is still good enough.
    well: BTreeSet<KeyGroup>,
}

impl Histories {
    /// Those of a subtask's own groups.
    fn new(sections: &[stygian_checkpoint::Section], owned: &KeyGroupRange, settings: &CheckpointSettings) -> Self {
        let mut groups = GroupHistory::of(sections);
        groups.retain(|(_, group), _| owned.contains(*group));
        let histories: Vec<GroupHistory> = groups.values().copied().collect();
        let writes = increments::plan(&histories, &settings.rebase);
        let due: BTreeSet<KeyGroup> =
            groups.keys().zip(writes).filter(|(_, write)| *write == Write::Base).map(|((_, group), _)| *group).collect();
        let stored = groups.iter().filter(|(_, history)| history.base.is_some()).map(|((_, group), _)| *group);
        let well = stored.filter(|group| !due.contains(group)).collect();
        Self { groups, well }
    }

    /// Whether a group is to be written whole: it never was, or its changes have become too many.
    fn is_due(&self, group: KeyGroup) -> bool {
        !self.well.contains(&group)
    }

    /// Empty bases of a part for groups that were stored and of which nothing is held any more; also for those that a checkpoint has which may yet
    /// be committed.
    fn emptied(&self, part: &'static str, held: &[StateSection], lost: impl Iterator<Item = KeyGroup>) -> Vec<StateSection> {
        let held: BTreeSet<KeyGroup> = held.iter().filter(|section| section.part == part).map(|section| section.group).collect();
        let stored = self.groups.iter().filter(|((name, _), history)| name.as_str() == part && history.base.is_some_and(|bytes| bytes > 0));
        let gone: BTreeSet<KeyGroup> = stored.map(|((_, group), _)| *group).chain(lost).filter(|group| !held.contains(group)).collect();
        gone.into_iter().map(|group| StateSection { part, group, kind: SectionKind::Base, bytes: Vec::new() }).collect()
    }
}

async fn store(
    shared: &Shared,
    id: CheckpointId,
    sections: Vec<(OperatorId, SectionName, Arc<StateSection>)>,
) -> Result<Vec<WrittenFile>, CheckpointError> {
    let mut file = shared.storage.write_state(id, shared.attempt);
    for (operator, name, section) in sections {
        let part = match section.kind {
            SectionKind::Base => Part::Base,
            SectionKind::Change => Part::Change,
        };
        file.begin(operator, name, section.group, part);
        file.write(&section.bytes).await?;
    }
    Ok(file.finish().await?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stygian_checkpoint::JobUuid;
    use stygian_core::{MaxParallelism, Parallelism, SubtaskId};

    /// The commit of the last barrier's checkpoint, which does not hold it, must not make garbage of it.
    #[tokio::test]
    async fn the_last_state_is_stored_behind_the_last_barrier() {
        let folder = tempfile::tempdir().expect("a folder");
        let (attempt, groups) = (AttemptId::from_random(2), MaxParallelism::DEFAULT);
        let shared = Shared {
            storage: Arc::new(CheckpointStorage::local(folder.path()).expect("free")),
            settings: CheckpointSettings::default(),
            at_least_once: false,
            transactional: false,
            attempt,
            outcomes: Arc::new(Outcomes::new(Manifest::first("job", JobUuid::from_random(1), CheckpointId(4), attempt, groups))),
            counters: CheckpointCounters::default(),
            facts: mpsc::channel(1).0,
            io: Handle::current(),
        };
        let task = TaskId { task: "task".into(), subtask: SubtaskId(0) };
        let mut participant = Participant::new(shared, task, groups.range_of(SubtaskId(0), Parallelism::ONE), true);
        assert_eq!(participant.next_checkpoint(), CheckpointId(5));
        participant.take(CheckpointId(5), (None, false), EventTime::MIN, std::iter::empty()).expect("nothing is kept");
        assert_eq!(participant.next_checkpoint(), CheckpointId(6));
    }
}
