//! What subtasks hand over for a checkpoint, and how the next manifest is put together from it and from the last committed one. Pure.

use crate::increments;
use crate::manifest::{Ahead, Kind, Manifest, OperatorPlugins, OperatorState, PendingOutput, SplitState, StateVersions};
use crate::names::{AttemptId, StateFileName};
use crate::state_file::WrittenFile;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use stygian_core::{CheckpointId, EventTime, KeyGroupRange, OperatorId, SubtaskId};

/// One of the parallel copies of a task of the job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The task's name.
    pub task: Arc<str>,
    /// Which copy.
    pub subtask: SubtaskId,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.task, self.subtask)
    }
}

/// What a subtask has to say at a barrier, or at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HandOver {
    /// Every operator of the subtask that keeps state or a watermark, at every checkpoint, whether anything changed or not.
    pub operators: BTreeMap<OperatorId, OperatorPart>,
    /// The state files that were written for this checkpoint: the changes since the last *committed* one, or whole key groups. A key group
    /// without a section has not changed.
    pub files: Vec<WrittenFile>,
    /// Every split that the subtask knows, by source.
    pub sources: BTreeMap<OperatorId, Vec<SplitState>>,
    /// What sinks have finished, by sink, in order; each output is handed over once.
    pub pending: Outputs,
}

/// What sinks have finished, in the words of their connectors.
pub type Outputs = BTreeMap<OperatorId, Vec<serde_json::Value>>;

/// What one subtask knows of an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorPart {
    /// Values that this subtask keeps, by slot and version: all of them, not only the changes.
    pub state_versions: StateVersions,
    /// See [`OperatorState::accumulators`]; the same in all subtasks.
    pub accumulators: Option<String>,
    /// The last watermark of its input.
    pub watermark: Option<EventTime>,
    /// The key groups that this holds of; `None`: the operator has no keys, and only its least watermark counts.
    pub groups: Option<KeyGroupRange>,
    /// Its input has ended, and all has fired: with its other subtasks that are at their ends it has one watermark, the largest.
    pub at_end: bool,
}

/// What is the same at every checkpoint of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) id: CheckpointId,
    pub(crate) attempt: AttemptId,
    pub(crate) kind: Kind,
    pub(crate) created_micros: i64,
}

/// The manifest after `last`, of what all subtasks have handed over. An error is a fault of the engine: a subtask that says less, or
/// something else, than it must.
pub(crate) fn next_manifest<'h>(
    last: &Manifest,
    stamp: Stamp,
    handed: impl Iterator<Item = &'h HandOver> + Clone,
    plugins: &BTreeMap<OperatorId, OperatorPlugins>,
    pending: BTreeMap<OperatorId, Vec<PendingOutput>>,
) -> Result<Manifest, String> {
    let operators = operators(last, handed.clone(), plugins)?;
    let used: BTreeSet<&StateFileName> = operators.values().flat_map(|state| &state.sections).map(|section| &section.file).collect();
    let written = handed.clone().flat_map(|handed| &handed.files).map(|file| (&file.name, file.facts));
    let all = last.files.iter().map(|(name, facts)| (name, *facts)).chain(written);
    let files = all.filter(|(name, _)| used.contains(name)).map(|(name, facts)| (name.clone(), facts)).collect();
    Ok(Manifest {
        job: last.job.clone(),
        uuid: last.uuid,
        id: stamp.id,
        attempt: stamp.attempt,
        kind: stamp.kind,
        created_micros: stamp.created_micros,
        max_parallelism: last.max_parallelism,
        files,
        sources: sources(handed)?,
        operators,
        pending,
    })
}

/// What is kept of every operator: the parts of its subtasks together, and its sections.
fn operators<'h>(
    last: &Manifest,
    handed: impl Iterator<Item = &'h HandOver> + Clone,
    plugins: &BTreeMap<OperatorId, OperatorPlugins>,
) -> Result<BTreeMap<OperatorId, OperatorState>, String> {
    let mut merged: BTreeMap<OperatorId, Merged> = BTreeMap::new();
    for (id, part) in handed.clone().flat_map(|handed| &handed.operators) {
        add_part(merged.entry(id.clone()).or_default(), part).map_err(|reason| format!("operator {id}: {reason}"))?;
    }
    for (id, section) in handed.flat_map(|handed| &handed.files).flat_map(|file| &file.sections) {
        let operator = merged.get_mut(id).ok_or_else(|| format!("state of operator {id} came without the operator"))?;
        operator.state.sections.push(section.clone());
    }
    if let Some((lost, _)) = last.operators.iter().find(|(id, state)| !state.sections.is_empty() && !merged.contains_key(*id)) {
        return Err(format!("no subtask has handed over operator {lost}, of which there is state"));
    }
    for (id, plugins) in plugins {
        merged.entry(id.clone()).or_default().state.plugins = plugins.clone();
    }
    let carry = |(id, mut merged): (OperatorId, Merged)| {
        let before = last.operators.get(&id).map_or(&[][..], |state| &state.sections);
        let ahead = merged.ahead();
        let sections = increments::carry_over(before, merged.state.sections);
        (id, OperatorState { sections, ahead, ..merged.state })
    };
    Ok(merged.into_iter().map(carry).collect())
}

#[derive(Default)]
struct Merged {
    state: OperatorState,
    parts: usize,
    watermarks: Vec<(KeyGroupRange, EventTime)>,
    /// All of its subtasks are at their ends.
    at_end: bool,
}

impl Merged {
    /// Those that are beyond the least watermark. At the end there is only the largest, whichever subtask had the last window.
    fn ahead(&mut self) -> Vec<Ahead> {
        if self.at_end {
            let all = self.watermarks.drain(..).map(|(_, watermark)| watermark);
            self.state.watermark = self.state.watermark.max(all.max());
        }
        let later = self.watermarks.iter().filter(|(_, watermark)| Some(*watermark) > self.state.watermark);
        let mut ahead: Vec<Ahead> = later.map(|(groups, watermark)| Ahead { groups: groups.clone(), watermark: *watermark }).collect();
        ahead.sort_by_key(|ahead| ahead.groups.0.start);
        ahead
    }
}

fn add_part(merged: &mut Merged, part: &OperatorPart) -> Result<(), String> {
    let state = &mut merged.state;
    if merged.parts > 0 && state.accumulators != part.accumulators {
        return Err("its subtasks do not agree on what wrote their accumulators".into());
    }
    state.accumulators.clone_from(&part.accumulators);
    // A subtask that knows of no watermark holds the operator's back.
    state.watermark = if merged.parts == 0 { part.watermark } else { state.watermark.min(part.watermark) };
    merged.at_end = part.at_end && (merged.parts == 0 || merged.at_end);
    let groups = part.groups.clone().filter(|groups| !groups.0.is_empty());
    merged.watermarks.extend(groups.zip(part.watermark));
    for (slot, versions) in &part.state_versions {
        let slot = state.state_versions.entry(slot.clone()).or_default();
        versions.iter().for_each(|(version, count)| *slot.entry(*version).or_default() += count);
    }
    merged.parts += 1;
    Ok(())
}

fn sources<'h>(handed: impl Iterator<Item = &'h HandOver>) -> Result<BTreeMap<OperatorId, Vec<SplitState>>, String> {
    let mut sources: BTreeMap<OperatorId, Vec<SplitState>> = BTreeMap::new();
    for (id, splits) in handed.flat_map(|handed| &handed.sources) {
        sources.entry(id.clone()).or_default().extend_from_slice(splits);
    }
    for (id, splits) in &mut sources {
        splits.sort_by(|a, b| a.split.cmp(&b.split));
        if let Some(twice) = splits.windows(2).find(|pair| pair[0].split == pair[1].split) {
            return Err(format!("source {id}: two subtasks have handed over split {}", twice[0].split));
        }
    }
    Ok(sources)
}
