//! The restore plan: which subtask reads what of a manifest, and whether the new plan of the job fits it at all. Pure.

use crate::manifest::{Ahead, Manifest, OperatorState, PendingOutput, PluginFacts, Section, SplitState};
use crate::names::SectionName;
use std::collections::{BTreeMap, BTreeSet};
use stygian_core::{EventTime, KeyGroup, KeyGroupRange, MaxParallelism, OperatorId, Parallelism};

/// The job as it is planned now.
#[derive(Clone, Debug)]
pub struct PlannedJob {
    /// Its key groups.
    pub max_parallelism: MaxParallelism,
    /// Every operator that keeps state.
    pub operators: BTreeMap<OperatorId, PlannedOperator>,
    /// Every source.
    pub sources: BTreeSet<OperatorId>,
    /// Every sink.
    pub sinks: BTreeSet<OperatorId>,
    /// Nodes that were taken out of the pipeline and whose state, splits or pending outputs are to be forgotten (`--drop-state NAME`).
    pub drop_state: BTreeSet<OperatorId>,
}

/// What an operator can read.
#[derive(Clone, Debug)]
pub struct PlannedOperator {
    /// Its subtasks.
    pub parallelism: Parallelism,
    /// The names of sections it reads.
    pub sections: BTreeSet<SectionName>,
    /// Of each slot the versions it reads: its own, and those it migrates from.
    pub slots: BTreeMap<String, BTreeSet<u32>>,
    /// See [`OperatorState::accumulators`].
    pub accumulators: Option<String>,
}

/// What to restore.
#[derive(Clone, Debug, PartialEq)]
pub struct RestorePlan {
    /// Of each operator of the new plan, one entry a subtask. Operators that are new start empty.
    pub operators: BTreeMap<OperatorId, Vec<SubtaskRestore>>,
    /// Of each source the splits to go on with; a new source starts with none.
    pub sources: BTreeMap<OperatorId, Vec<SplitState>>,
    /// What to make visible before anything else.
    pub pending: BTreeMap<OperatorId, Vec<PendingOutput>>,
    /// The manifest without what is dropped: what the coordinator goes on from.
    pub base: Manifest,
}

/// What a subtask of an operator reads.
#[derive(Clone, Debug, PartialEq)]
pub struct SubtaskRestore {
    /// Its key groups.
    pub groups: KeyGroupRange,
    /// The sections of these groups; of each name and group in the order in which to read them, the base first.
    pub sections: Vec<Section>,
    /// The last watermark of the operator's input: windows before it have fired. The least of its key groups.
    pub watermark: Option<EventTime>,
    /// Those of its key groups that had come further: of these, windows up to there have fired. All go on from the largest.
    pub ahead: Vec<Ahead>,
}

/// Why a manifest does not fit a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{node}: {reason}")]
pub struct Refusal {
    /// The node of the pipeline, or `[settings]`.
    pub node: String,
    /// Why, and what to do.
    pub reason: String,
}

/// Who restores what.
///
/// # Errors
/// Everything that does not fit, at once.
pub fn plan(manifest: &Manifest, job: &PlannedJob) -> Result<RestorePlan, Vec<Refusal>> {
    let refusals = refusals(manifest, job);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut base = manifest.clone();
    base.operators.retain(|id, _| !job.drop_state.contains(id));
    base.sources.retain(|id, _| !job.drop_state.contains(id));
    base.pending.retain(|id, _| !job.drop_state.contains(id));
    let used: BTreeSet<_> = base.operators.values().flat_map(|state| &state.sections).map(|section| section.file.clone()).collect();
    base.files.retain(|name, _| used.contains(name));
    let operators = job.operators.iter().map(|(id, planned)| (id.clone(), subtasks(base.operators.get(id), planned, job.max_parallelism)));
    Ok(RestorePlan { operators: operators.collect(), sources: base.sources.clone(), pending: base.pending.clone(), base })
}

fn subtasks(state: Option<&OperatorState>, planned: &PlannedOperator, groups: MaxParallelism) -> Vec<SubtaskRestore> {
    let sections = state.map_or(&[][..], |state| &state.sections);
    let of_subtask = |subtask| {
        let range = groups.range_of(subtask, planned.parallelism);
        let sections = sections.iter().filter(|section| range.contains(section.group)).cloned().collect();
        let (watermark, ahead) = state.map_or((None, Vec::new()), |state| watermarks(state, &range));
        SubtaskRestore { groups: range, sections, watermark, ahead }
    };
    planned.parallelism.subtasks().map(of_subtask).collect()
}

/// The least watermark of key groups, and those that had come further.
fn watermarks(state: &OperatorState, groups: &KeyGroupRange) -> (Option<EventTime>, Vec<Ahead>) {
    let of_group = |group| {
        let ahead = state.ahead.iter().find(|ahead| ahead.groups.contains(KeyGroup(group)));
        ahead.map_or(state.watermark, |ahead| Some(ahead.watermark))
    };
    let least = groups.0.clone().map(of_group).min().unwrap_or(state.watermark);
    let ahead = state.ahead.iter().filter(|ahead| Some(ahead.watermark) > least).map(|ahead| {
        let groups = ahead.groups.0.start.max(groups.0.start)..ahead.groups.0.end.min(groups.0.end);
        Ahead { groups: KeyGroupRange(groups), watermark: ahead.watermark }
    });
    (least, ahead.filter(|ahead| !ahead.groups.0.is_empty()).collect())
}

fn refusals(manifest: &Manifest, job: &PlannedJob) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let mut refuse = |node: &str, reason: String| refusals.push(Refusal { node: node.to_owned(), reason });
    let (was, is) = (manifest.max_parallelism.get(), job.max_parallelism.get());
    if was != is {
        refuse(
            "[settings]",
            format!(
                "`max_parallelism` is {is}, but the checkpoint was made with {was}; it is fixed for the life of the state: set it to {was}"
            ),
        );
    }
    for (id, state) in manifest.operators.iter().filter(|(id, _)| !job.drop_state.contains(*id)) {
        match job.operators.get(id) {
            Some(planned) => operator_refusals(state, planned).into_iter().for_each(|reason| refuse(id.as_str(), reason)),
            None if state.sections.is_empty() => {}
            None => refuse(id.as_str(), gone(id, "keeps state in the checkpoint", "its state is forgotten")),
        }
    }
    let sources = manifest.sources.iter().filter(|(id, splits)| !splits.is_empty() && !job.sources.contains(*id));
    for (id, _) in sources.filter(|(id, _)| !job.drop_state.contains(*id)) {
        refuse(id.as_str(), gone(id, "has offsets in the checkpoint", "they are forgotten, and a source of this name begins anew"));
    }
    let sinks = manifest.pending.iter().filter(|(id, pending)| !pending.is_empty() && !job.sinks.contains(*id));
    for (id, pending) in sinks.filter(|(id, _)| !job.drop_state.contains(*id)) {
        let has = format!("has {} finished outputs that are yet to be made visible", pending.len());
        refuse(id.as_str(), gone(id, &has, "they never become visible, though their rows are read"));
    }
    for id in job.drop_state.iter().filter(|id| !manifest.holds(id)) {
        refuse(id.as_str(), "is named by `--drop-state`, but the checkpoint has nothing of that name".into());
    }
    refusals
}

fn gone(id: &OperatorId, has: &str, means: &str) -> String {
    format!("{has}, but is not in the pipeline; put it back, or drop what it has with `--drop-state {id}` ({means})")
}

fn operator_refusals(state: &OperatorState, planned: &PlannedOperator) -> Vec<String> {
    let mut reasons = Vec::new();
    let names: BTreeSet<&SectionName> = state.sections.iter().map(|section| &section.name).collect();
    for name in names.into_iter().filter(|name| !planned.sections.contains(*name)) {
        reasons.push(format!(
            "keeps `{name}` in the checkpoint, which an operator of its present kind does not read; give it a new name, or drop its state"
        ));
    }
    for (slot, versions) in &state.state_versions {
        let kept = versions.iter().filter(|(_, count)| **count > 0);
        reasons.extend(
            kept.filter_map(|(version, count)| uncovered(slot, *version, *count, planned.slots.get(slot), state.plugins.of_slot(slot))),
        );
    }
    if !state.sections.is_empty() && state.accumulators != planned.accumulators {
        let name = |accumulators: &Option<String>| accumulators.clone().unwrap_or_else(|| "none".into());
        let (was, is) = (name(&state.accumulators), name(&planned.accumulators));
        reasons.push(format!(
            "its accumulators were written by `{was}` and cannot be read by `{is}`; run the version that wrote them, or drop its state"
        ));
    }
    reasons
}

/// Why values of this version cannot be read by an operator that reads these of the slot.
fn uncovered(slot: &str, version: u32, count: u64, reads: Option<&BTreeSet<u32>>, wrote: Option<&PluginFacts>) -> Option<String> {
    match reads {
        Some(reads) if reads.contains(&version) => None,
        Some(reads) => {
            let newer = reads.last().is_some_and(|own| *own < version);
            let hint = match wrote.filter(|_| newer) {
                Some(PluginFacts { name, version, .. }) => format!("they are of {name}@{version}, a later one: use that or one after it"),
                None if newer => "a later plugin wrote them: use that or one after it".to_owned(),
                None => format!("use a plugin that migrates slot `{slot}` from version {version}, or drop the operator's state"),
            };
            let reads: Vec<String> = reads.iter().map(ToString::to_string).collect();
            let (plural, reads) = (if reads.len() == 1 { "" } else { "s" }, reads.join(", "));
            Some(format!("has {count} values of version {version} in slot `{slot}`, and its plugin reads version{plural} {reads}; {hint}"))
        }
        None => {
            let hint = "use one that does, or drop the operator's state";
            Some(format!("has {count} values in slot `{slot}`, which its plugin no longer declares; {hint}"))
        }
    }
}
