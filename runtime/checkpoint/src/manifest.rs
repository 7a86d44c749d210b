//! The manifest: all that a checkpoint is, in one value. How it is laid out in bytes is in `FORMAT.md`.
//!
//! A manifest is complete in itself: it names every file it needs, also those that earlier checkpoints wrote, and everything a restart has
//! to know. Its parts are the host's words, except `pending` and the `mark` of splits, whose values are the connectors' own.

use crate::names::{AttemptId, Digest, FileSum, JobUuid, SectionName, StateFileName};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use stygian_core::{CheckpointId, EventTime, KeyGroup, KeyGroupRange, MaxParallelism, Offset, OperatorId, SplitId};

/// A checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The pipeline's name.
    pub job: String,
    /// The job's identity.
    pub uuid: JobUuid,
    /// The checkpoint's id.
    pub id: CheckpointId,
    /// The run that wrote it.
    pub attempt: AttemptId,
    /// Why it was written.
    pub kind: Kind,
    /// When, by the wall clock of the machine, in microseconds since 1970. For people only; nothing is decided by it.
    pub created_micros: i64,
    /// The job's key groups.
    pub max_parallelism: MaxParallelism,
    /// Every state file that a section is in: exactly those, in the order of their names.
    pub files: BTreeMap<StateFileName, FileFacts>,
    /// Every operator that has state, a plugin or an input with a watermark.
    pub operators: BTreeMap<OperatorId, OperatorState>,
    /// Every source, and the splits it knew.
    pub sources: BTreeMap<OperatorId, Vec<SplitState>>,
    /// Of every sink, what is finished and of which it is not known that it was made visible; in the order in which it was finished.
    pub pending: BTreeMap<OperatorId, Vec<PendingOutput>>,
}

/// Why a manifest was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A first start: nothing has been read yet.
    First,
    /// The coordinator's interval, or the end of the input or of the run.
    Checkpoint,
    /// A person asked for it.
    Savepoint,
    /// A new run took the job over: the content of the checkpoint before it.
    Takeover,
    /// Takes the place of an id whose checkpoint was aborted: the content of the checkpoint before it. Manifests follow each other without
    /// a gap, or their exclusive creation would keep nobody out.
    Skipped,
}

/// What is known of a state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// Its length in bytes.
    pub bytes: u64,
    /// The checksum at its end.
    pub sum: FileSum,
}

/// What is kept of an operator, over all of its subtasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperatorState {
    /// The plugins it runs.
    pub plugins: OperatorPlugins,
    /// Stored values by slot and by the version they were written in. A slot of native operators has a name and one version too.
    pub state_versions: StateVersions,
    /// What wrote the accumulators in its state (function, state schema, version of the library); they are only read by the same.
    pub accumulators: Option<String>,
    /// The last watermark of its input, or how far processing time had come for an operator that lives by it; `None`: there was none yet. Of
    /// several subtasks the least.
    pub watermark: Option<EventTime>,
    /// Key groups whose subtasks were ahead of that, as they are where an input was idle for some and back for others, and at the end of the
    /// input. No two overlap.
    pub ahead: Vec<Ahead>,
    /// Its state. Restoring a key group is reading its sections of each name in this order: the base, then the changes.
    pub sections: Vec<Section>,
}

/// Key groups of an operator with a later watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Those of one subtask.
    pub groups: KeyGroupRange,
    /// Its watermark.
    pub watermark: EventTime,
}

/// How many values there are: slot -> version -> count.
pub type StateVersions = BTreeMap<String, BTreeMap<u32, u64>>;

/// The plugins of one operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorPlugins {
    /// What the operator is.
    pub own: Option<PluginFacts>,
    /// Those that aggregate in its windows, by the name of the aggregate.
    pub aggregates: BTreeMap<String, PluginFacts>,
}

/// A plugin by name and by what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginFacts {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// The digest of its component; the bytes lie beside the checkpoints.
    pub digest: Digest,
}

/// A piece of a state file: the whole of, or changes to, what one key group of an operator keeps under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it holds.
    pub name: SectionName,
    /// Of which key group.
    pub group: KeyGroup,
    /// Whole or changes.
    pub part: Part,
    /// The file it is in.
    pub file: StateFileName,
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
    /// XXH3-64 of its bytes.
    pub sum: u64,
}

/// Whether a section stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Everything; what was before it does not matter.
    Base,
    /// What changed since the sections before it.
    Change,
}

/// How far a split was read.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitState {
    /// The split.
    pub split: SplitId,
    /// Everything before it is in the checkpoint.
    pub offset: Offset,
    /// The largest event time seen; `None`: no row yet.
    pub largest: Option<EventTime>,
    /// The split's watermark; `None`: none yet.
    pub watermark: Option<EventTime>,
    /// Left out of the source's watermark, as no rows had come for a while.
    pub idle: bool,
    /// Read to its end.
    pub ended: bool,
    /// What the source knows it by, in its connector's own words.
    pub mark: Option<serde_json::Value>,
}

/// Something finished that waits to be made visible.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingOutput {
    /// The checkpoint whose barrier finished it. Checkpoints that were aborted count: what their barrier finished goes out with the next.
    pub checkpoint: CheckpointId,
    /// What the connector's committer needs. Numbers are kept exactly if they are integers.
    pub output: serde_json::Value,
}

impl Manifest {
    /// The same content under another id, as a new run or in the place of an aborted checkpoint.
    #[must_use]
    pub fn again(&self, id: CheckpointId, attempt: AttemptId, kind: Kind) -> Self {
        Self { id, attempt, kind, ..self.clone() }
    }

    /// What a first start commits: nothing read, nothing kept.
    pub fn first(job: impl Into<String>, uuid: JobUuid, id: CheckpointId, attempt: AttemptId, max_parallelism: MaxParallelism) -> Self {
        Self {
            job: job.into(),
            uuid,
            id,
            attempt,
            kind: Kind::First,
            created_micros: 0,
            max_parallelism,
            files: BTreeMap::new(),
            operators: BTreeMap::new(),
            sources: BTreeMap::new(),
            pending: BTreeMap::new(),
        }
    }

    /// The digests of the plugins it needs.
    pub fn plugins(&self) -> impl Iterator<Item = &Digest> {
        self.operators.values().flat_map(|operator| operator.plugins.all()).map(|plugin| &plugin.digest)
    }

    /// Bytes of state, dead bytes of its files not counted.
    pub fn state_bytes(&self) -> u64 {
        self.operators.values().map(OperatorState::bytes).sum()
    }

    /// How many outputs are finished and not known to be visible.
    pub fn pending_outputs(&self) -> usize {
        self.pending.values().map(Vec::len).sum()
    }

    /// Whether it has something of a node: state, splits or pending outputs.
    pub fn holds(&self, node: &OperatorId) -> bool {
        self.operators.contains_key(node) || self.sources.contains_key(node) || self.pending.contains_key(node)
    }
}

impl OperatorPlugins {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &PluginFacts> {
        self.own.iter().chain(self.aggregates.values())
    }

    /// The one whose state is in a slot: that of an aggregate bears its name.
    pub fn of_slot(&self, slot: &str) -> Option<&PluginFacts> {
        self.own.as_ref().or_else(|| self.aggregates.get(slot))
    }
}

impl OperatorState {
    /// Bytes of its state.
    pub fn bytes(&self) -> u64 {
        self.sections.iter().map(|section| section.length).sum()
    }
}
