//! The body of a manifest as JSON: the types that stand between [`Manifest`] and its text. What they are called here is the format.

use crate::manifest::{
    Ahead, FileFacts, Kind, Manifest, OperatorPlugins, OperatorState, Part, PendingOutput, PluginFacts, Section, SplitState,
};
use crate::names::{AttemptId, FileSum, JobUuid, SectionName, StateFileName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use stygian_core::{CheckpointId, EventTime, KeyGroup, KeyGroupRange, MaxParallelism, Offset, OperatorId, SplitId};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    job: Job,
    checkpoint: CheckpointId,
    attempt: AttemptId,
    kind: Kind,
    created_micros: i64,
    max_parallelism: u16,
    files: Vec<File>,
    operators: BTreeMap<OperatorId, Operator>,
    sources: BTreeMap<OperatorId, Vec<Split>>,
    pending: BTreeMap<OperatorId, Vec<PendingOutput>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    name: String,
    uuid: JobUuid,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: StateFileName,
    bytes: u64,
    xxh3_128: FileSum,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Operator {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plugin: Option<PluginFacts>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    aggregates: BTreeMap<String, PluginFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accumulators: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    watermark: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ahead: Vec<LaterGroups>,
    state_versions: BTreeMap<String, BTreeMap<u32, u64>>,
    sections: Vec<Piece>,
}

/// `[first key group, last key group, watermark]`
#[derive(Serialize, Deserialize)]
struct LaterGroups(u16, u16, i64);

/// `[name, key group, "base" or "change", index into files, offset, length, XXH3-64 in 16 hexadecimal digits]`
#[derive(Serialize, Deserialize)]
struct Piece(SectionName, u16, Part, u32, u64, u64, String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Split {
    split: SplitId,
    offset: Offset,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    largest: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    watermark: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    idle: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ended: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<serde_json::Value>,
}

impl Body {
    /// The text's types of a manifest; an error says which section is in no file.
    pub(crate) fn of(manifest: &Manifest) -> Result<Self, String> {
        let index: BTreeMap<&StateFileName, u32> = manifest.files.keys().zip(0..).collect();
        let operators = manifest.operators.iter().map(|(id, state)| Ok((id.clone(), Operator::of(state, &index)?)));
        let splits = |splits: &Vec<SplitState>| splits.iter().map(Split::of).collect();
        Ok(Self {
            job: Job { name: manifest.job.clone(), uuid: manifest.uuid },
            checkpoint: manifest.id,
            attempt: manifest.attempt,
            kind: manifest.kind,
            created_micros: manifest.created_micros,
            max_parallelism: manifest.max_parallelism.get(),
            files: manifest
                .files
                .iter()
                .map(|(name, facts)| File { name: name.clone(), bytes: facts.bytes, xxh3_128: facts.sum })
                .collect(),
            operators: operators.collect::<Result<_, String>>()?,
            sources: manifest.sources.iter().map(|(id, of)| (id.clone(), splits(of))).collect(),
            pending: manifest.pending.clone(),
        })
    }

    /// The manifest; an error says what in the text cannot be.
    pub(crate) fn manifest(self) -> Result<Manifest, String> {
        let max_parallelism = MaxParallelism::new(self.max_parallelism);
        let names: Vec<StateFileName> = self.files.iter().map(|file| file.name.clone()).collect();
        let files: BTreeMap<_, _> =
            self.files.into_iter().map(|file| (file.name, FileFacts { bytes: file.bytes, sum: file.xxh3_128 })).collect();
        if !files.keys().eq(&names) {
            return Err("its files are not in the order of their names, or one is named twice".into());
        }
        let operators = self.operators.into_iter().map(|(id, operator)| Ok((id, operator.state(&names)?)));
        Ok(Manifest {
            job: self.job.name,
            uuid: self.job.uuid,
            id: self.checkpoint,
            attempt: self.attempt,
            kind: self.kind,
            created_micros: self.created_micros,
            max_parallelism: max_parallelism.ok_or_else(|| format!("max_parallelism is {}", self.max_parallelism))?,
            files,
            operators: operators.collect::<Result<_, String>>()?,
            sources: self.sources.into_iter().map(|(id, splits)| (id, splits.into_iter().map(Split::state).collect())).collect(),
            pending: self.pending,
        })
    }
}

impl Operator {
    fn of(state: &OperatorState, files: &BTreeMap<&StateFileName, u32>) -> Result<Self, String> {
        Ok(Self {
            plugin: state.plugins.own.clone(),
            aggregates: state.plugins.aggregates.clone(),
            accumulators: state.accumulators.clone(),
            watermark: state.watermark.map(EventTime::micros),
            ahead: state.ahead.iter().map(LaterGroups::of).collect::<Result<_, _>>()?,
            state_versions: state.state_versions.clone(),
            sections: state.sections.iter().map(|section| Piece::of(section, files)).collect::<Result<_, _>>()?,
        })
    }

    fn state(self, files: &[StateFileName]) -> Result<OperatorState, String> {
        Ok(OperatorState {
            plugins: OperatorPlugins { own: self.plugin, aggregates: self.aggregates },
            state_versions: self.state_versions,
            accumulators: self.accumulators,
            watermark: self.watermark.map(EventTime::from_micros),
            ahead: self.ahead.into_iter().map(LaterGroups::ahead).collect::<Result<_, _>>()?,
            sections: self.sections.into_iter().map(|piece| piece.section(files)).collect::<Result<_, _>>()?,
        })
    }
}

impl LaterGroups {
    fn of(ahead: &Ahead) -> Result<Self, String> {
        match ahead.groups.0.end.checked_sub(1).filter(|last| ahead.groups.0.start <= *last) {
            Some(last) => Ok(Self(ahead.groups.0.start, last, ahead.watermark.micros())),
            None => Err("no key group is ahead".to_owned()),
        }
    }

    fn ahead(self) -> Result<Ahead, String> {
        let Self(first, last, watermark) = self;
        let end = last.checked_add(1).filter(|end| first < *end).ok_or_else(|| format!("key groups {first} to {last} are ahead"))?;
        Ok(Ahead { groups: KeyGroupRange(first..end), watermark: EventTime::from_micros(watermark) })
    }
}

impl Piece {
    fn of(section: &Section, files: &BTreeMap<&StateFileName, u32>) -> Result<Self, String> {
        let file = files.get(&section.file).ok_or_else(|| format!("a section is in {}, which is not among the files", section.file))?;
        let sum = format!("{:016x}", section.sum);
        Ok(Self(section.name.clone(), section.group.0, section.part, *file, section.offset, section.length, sum))
    }

    fn section(self, files: &[StateFileName]) -> Result<Section, String> {
        let Self(name, group, part, file, offset, length, sum) = self;
        let at = usize::try_from(file).ok().and_then(|file| files.get(file));
        let file = at.cloned().ok_or_else(|| format!("a section is in file {file} of {}", files.len()))?;
        let wrong = || format!("`{}` is no checksum of a section", stygian_core::escape(&sum, 40));
        let number = u64::from_str_radix(&sum, 16).map_err(|_| wrong())?;
        if format!("{number:016x}") != sum {
            return Err(wrong());
        }
        Ok(Section { name, group: KeyGroup(group), part, file, offset, length, sum: number })
    }
}

impl Split {
    fn of(state: &SplitState) -> Self {
        Self {
            split: state.split.clone(),
            offset: state.offset,
            largest: state.largest.map(EventTime::micros),
            watermark: state.watermark.map(EventTime::micros),
            idle: state.idle,
            ended: state.ended,
            mark: state.mark.clone(),
        }
    }

    fn state(self) -> SplitState {
        SplitState {
            split: self.split,
            offset: self.offset,
            largest: self.largest.map(EventTime::from_micros),
            watermark: self.watermark.map(EventTime::from_micros),
            idle: self.idle,
            ended: self.ended,
            mark: self.mark,
        }
    }
}
