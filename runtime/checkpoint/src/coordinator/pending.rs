//! Outputs that are finished and not yet known to be visible.

use crate::handover::Outputs;
use crate::manifest::PendingOutput;
use std::collections::BTreeMap;
use stygian_core::{CheckpointId, OperatorId};

/// By sink, in the order in which they were finished.
#[derive(Debug, Default)]
pub(super) struct PendingOutputs {
    sinks: BTreeMap<OperatorId, Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    pending: PendingOutput,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In no committed manifest.
    New,
    /// The manifest of this checkpoint is committed and the committer has it.
    Given(CheckpointId),
    /// The committer holds it back.
    Held,
}

impl PendingOutputs {
    /// Those of a committed manifest, which recovery has given to the committers.
    pub(super) fn of(pending: &BTreeMap<OperatorId, Vec<PendingOutput>>) -> Self {
        let entries = |of: &Vec<PendingOutput>| {
            of.iter().map(|pending| Entry { pending: pending.clone(), stage: Stage::Given(pending.checkpoint) }).collect()
        };
        Self { sinks: pending.iter().map(|(sink, of)| (sink.clone(), entries(of))).collect() }
    }

    /// These were finished by the barrier of `checkpoint`.
    pub(super) fn add(&mut self, checkpoint: CheckpointId, outputs: Outputs) {
        for (sink, outputs) in outputs.into_iter().filter(|(_, outputs)| !outputs.is_empty()) {
            let entries = outputs.into_iter().map(|output| Entry { pending: PendingOutput { checkpoint, output }, stage: Stage::New });
            self.sinks.entry(sink).or_default().extend(entries);
        }
    }

    /// All that the manifest of `id` must hold.
    pub(super) fn until(&self, id: CheckpointId) -> BTreeMap<OperatorId, Vec<PendingOutput>> {
        let of = |entries: &Vec<Entry>| -> Vec<PendingOutput> {
            entries.iter().map(|entry| &entry.pending).filter(|pending| pending.checkpoint <= id).cloned().collect()
        };
        self.sinks.iter().map(|(sink, entries)| (sink.clone(), of(entries))).filter(|(_, pending)| !pending.is_empty()).collect()
    }

    /// The manifest of `id` is committed: what each committer is to have now; nothing for one that holds something back, or may come to: whether
    /// it is to let go of it, it has to hear.
    pub(super) fn give(&mut self, id: CheckpointId) -> Vec<(OperatorId, Vec<serde_json::Value>)> {
        let mut all = Vec::new();
        for (sink, entries) in &mut self.sinks {
            let due = entries.iter_mut().filter(|entry| entry.stage == Stage::New && entry.pending.checkpoint <= id);
            let outputs: Vec<_> = due
                .map(|entry| {
                    entry.stage = Stage::Given(id);
                    entry.pending.output.clone()
                })
                .collect();
            if !outputs.is_empty() || entries.iter().any(|entry| entry.stage != Stage::New) {
                all.push((sink.clone(), outputs));
            }
        }
        all
    }

    /// A committer has made visible what it was given up to `through`, but for what it holds back.
    pub(super) fn confirm(&mut self, sink: &OperatorId, through: CheckpointId, held: &[serde_json::Value]) {
        if let Some(entries) = self.sinks.get_mut(sink) {
            entries.retain_mut(|entry| match entry.stage {
                Stage::New => true,
                Stage::Given(by) if by > through => true,
                Stage::Given(_) | Stage::Held => {
                    entry.stage = Stage::Held;
                    held.contains(&entry.pending.output)
                }
            });
        }
        self.sinks.retain(|_, entries| !entries.is_empty());
    }

    /// Puts one in the place of others that are held back; false, and nothing is done, if they are not.
    pub(super) fn replace(&mut self, sink: &OperatorId, parts: &[serde_json::Value], by: PendingOutput) -> bool {
        let Some(entries) = self.sinks.get_mut(sink) else { return false };
        let is_part = |entry: &Entry| entry.stage == Stage::Held && parts.contains(&entry.pending.output);
        let Some(first) = entries.iter().position(is_part) else { return false };
        if entries.iter().filter(|entry| is_part(entry)).count() != parts.len() {
            return false;
        }
        entries.retain(|entry| !is_part(entry));
        entries.insert(first, Entry { pending: by, stage: Stage::New });
        true
    }

    /// Whether a committer is still at something that was finished up to `id`.
    pub(super) fn is_making_visible(&self, id: CheckpointId) -> bool {
        self.entries().any(|entry| entry.stage != Stage::New && entry.pending.checkpoint <= id)
    }

    /// Whether something is in no committed manifest.
    pub(super) fn any_uncommitted(&self) -> bool {
        self.entries().any(|entry| entry.stage == Stage::New)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.sinks.values().flatten()
    }
}
