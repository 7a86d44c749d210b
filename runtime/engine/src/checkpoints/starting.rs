//! How a job goes on from a checkpoint: what sinks had finished is made visible, sources are told how far they were, operators get their
//! state back.

use crate::chain::Chain;
use crate::checkpoints::CheckpointSpec;
use crate::error::JobError;
use crate::source_task::SplitPosition;
use crate::wiring::{Committing, Wired};
use std::collections::BTreeMap;
use stygian_api::{Mark, Pending, Source, SplitProgress, with_causes};
use stygian_checkpoint::{CheckpointError, Part, RestorePlan, Section, SplitState, StateReader, SubtaskRestore};
use stygian_core::kill_point::kill_point;
use stygian_core::{EventTime, OperatorId, SavedSection, SectionKind, StateSection};

/// The splits that a source's task begins with.
#[derive(Debug, Default)]
pub(crate) struct Starting {
    /// With where each was.
    pub(crate) splits: Vec<SplitPosition>,
    /// What is known of those that were read before, by id; those at their ends too.
    pub(crate) known: Vec<SplitState>,
}

impl Starting {
    /// Asks a source for its splits, after it was told what was read of them.
    pub(crate) async fn of(source: &dyn Source, known: Vec<SplitState>) -> Result<Self, stygian_api::ConnectorError> {
        if !known.is_empty() {
            source.restore(&known.iter().map(progress).collect::<Vec<_>>()).await?;
        }
        let before: BTreeMap<_, &SplitState> = known.iter().map(|split| (split.split.clone(), split)).collect();
        let mut splits = Vec::new();
        for split in source.splits().await? {
            match before.get(&split.id) {
                Some(state) if state.ended => {}
                Some(state) => splits.push(SplitPosition { split, next: state.offset, ended: false, mark: state.mark.clone().map(Mark) }),
                None => splits.push(SplitPosition::unread(split)),
            }
        }
        Ok(Self { splits, known })
    }
}

/// How far a split was read, in the words of sources.
pub(super) fn progress(split: &SplitState) -> SplitProgress {
    SplitProgress { id: split.split.clone(), next: split.offset, ended: split.ended, mark: split.mark.clone().map(Mark) }
}

/// Makes visible what the checkpoint has pending, deletes what earlier runs began in vain, and gives operators their state back.
pub(crate) async fn recover(spec: &CheckpointSpec, wired: &mut Wired) -> Result<(), JobError> {
    let job = spec.restore.base.uuid.to_string();
    recover_sinks(spec, &job, &mut wired.committers).await?;
    let chains = wired.exchanges.iter_mut().map(|(_, _, chain, _)| chain);
    for chain in chains.chain(wired.sources.iter_mut().map(|(task, _)| &mut task.chain)) {
        kill_point("restoring");
        restore_chain(spec, chain).await?;
    }
    Ok(())
}

fn unreadable(error: &CheckpointError) -> JobError {
    let text = with_causes(error);
    if matches!(error, CheckpointError::Storage { .. }) { JobError::Checkpoint(text) } else { JobError::Damaged(text) }
}

/// What a checkpoint has pending of a sink, in the words of sinks.
pub(super) fn pending_of(restore: &RestorePlan, sink: &OperatorId) -> Vec<Pending> {
    restore.pending.get(sink).into_iter().flatten().map(|pending| Pending(pending.output.clone())).collect()
}

/// All sinks are checked before anything is changed, and nothing is deleted that a run may have begun which has taken the job over meanwhile:
/// what is found before it is asked for cannot be that run's.
async fn recover_sinks(spec: &CheckpointSpec, job: &str, committers: &mut [Committing]) -> Result<(), JobError> {
    let failed = |sink: &OperatorId| {
        let sink = sink.clone();
        |source| JobError::Sink { sink, source }
    };
    for Committing { node, committer, .. } in committers.iter_mut() {
        committer.check(&pending_of(&spec.restore, node)).await.map_err(failed(node))?;
    }
    let mut orphans = Vec::new();
    for Committing { node, committer, .. } in committers.iter_mut() {
        kill_point("recovering");
        let pending = pending_of(&spec.restore, node);
        committer.recover(&pending).await.map_err(failed(node))?;
        orphans.push(committer.orphans(job, &pending).await.map_err(failed(node))?);
    }
    let base = spec.restore.base.id;
    let newer = spec.storage.taken_over(base).await.map_err(|error| JobError::Checkpoint(with_causes(&error)))?;
    if let Some(newer) = newer {
        let text = format!("another process has taken the job over (checkpoint {newer} is there, and this run began with {base})");
        return Err(JobError::Fenced(format!("{text}, so this one is out; let only one run")));
    }
    for (Committing { node, committer, .. }, orphans) in committers.iter_mut().zip(orphans) {
        let finished = pending_of(&spec.restore, node).len();
        let deleted = committer.delete_orphans(orphans).await.map_err(failed(node))?;
        if finished > 0 || deleted > 0 {
            tracing::info!(sink = %node, finished, deleted, "finished what the last checkpoint had pending");
        }
    }
    Ok(())
}

/// What an operator is told of a section of its own.
fn saved(section: &Section, node: &OperatorId) -> Result<SavedSection, JobError> {
    let part = crate::operator::PARTS.into_iter().find(|part| *part == section.name.as_str());
    let part = part.ok_or_else(|| JobError::Checkpoint(format!("the checkpoint has `{}` state of `{node}`", section.name)))?;
    let kind = match section.part {
        Part::Base => SectionKind::Base,
        Part::Change => SectionKind::Change,
    };
    Ok(SavedSection { part, group: section.group, kind, sum: section.sum })
}

/// Gives the operators of a chain their state back. Runs before any of its elements.
async fn restore_chain(spec: &CheckpointSpec, chain: &mut Chain) -> Result<(), JobError> {
    let (subtask, base) = (chain.subtask(), &spec.restore.base);
    let mut reader = StateReader::new(&spec.storage, base.files.clone());
    let (mut watermarks, mut furthest) = (Vec::new(), None);
    for (node, operator) in chain.stages_mut() {
        let restore = spec.restore.operators.get(node).and_then(|subtasks| subtasks.get(subtask.index()));
        let Some(SubtaskRestore { sections, watermark, ahead, .. }) = restore else { continue };
        let failed = |source| JobError::Restore { operator: node.clone(), subtask, checkpoint: base.id, source: Box::new(source) };
        let sections: Vec<&Section> = sections.iter().filter(|section| section.length > 0).collect();
        let saved = sections.iter().map(|section| saved(section, node)).collect::<Result<Vec<_>, _>>()?;
        let held = operator.resume(&saved).map_err(failed)?;
        for (section, saved) in sections.into_iter().zip(saved).filter(|(_, saved)| !held.contains(&saved.part)) {
            let bytes = reader.read(section).await.map_err(|error| unreadable(&error))?;
            let section = StateSection { part: saved.part, group: saved.group, kind: saved.kind, bytes: bytes.to_vec() };
            operator.restore(&section).map_err(failed)?;
        }
        if !held.is_empty() {
            tracing::info!(operator = %node, subtask = subtask.0, "the state is on the local disk as the checkpoint has it");
        }
        if let Some(watermark) = watermark {
            operator.restore_watermark(*watermark);
        }
        operator.restore_ahead(ahead);
        if operator.clock(EventTime::MIN).is_none() {
            watermarks.push(*watermark);
            furthest = furthest.max(ahead.iter().map(|ahead| ahead.watermark).max());
        }
    }
    // An operator that is new knows of none, and holds the others back.
    if let Some(watermark) = watermarks.into_iter().min().flatten() {
        chain.restore_watermark(watermark, furthest);
    }
    Ok(())
}
