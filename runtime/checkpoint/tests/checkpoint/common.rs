//! Small manifests, state files and storages.

use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use stygian_checkpoint::{
    AttemptId, CheckpointStorage, ExpectedUuid, HandOver, JobUuid, Kind, Manifest, Moment, OperatorPart, Part, SectionName, SplitState,
    StartingRun, TaskId, WrittenFile,
};
use stygian_core::{CheckpointId, EventTime, KeyGroup, MaxParallelism, Offset, OperatorId, SplitId, SubtaskId};

pub(crate) use futures::executor::block_on;

pub(crate) const UUID: JobUuid = JobUuid::from_random(0xabc);

pub(crate) fn attempt(n: u128) -> AttemptId {
    AttemptId::from_random(n)
}

pub(crate) fn name(text: &str) -> SectionName {
    text.parse().expect("a name")
}

pub(crate) fn node(text: &str) -> OperatorId {
    OperatorId::new(text)
}

/// A storage in memory and the store under it.
pub(crate) fn memory_and_store() -> (CheckpointStorage, Arc<InMemory>) {
    let store = Arc::new(InMemory::new());
    (CheckpointStorage::new(Arc::clone(&store) as Arc<dyn ObjectStore>, "memory"), store)
}

pub(crate) fn memory() -> CheckpointStorage {
    memory_and_store().0
}

/// A file's bytes as they lie in the store.
pub(crate) fn raw(store: &InMemory, path: &str) -> Vec<u8> {
    block_on(async { store.get(&path.into()).await.expect("there").bytes().await.expect("read").to_vec() })
}

/// Puts bytes into the store, whatever they are.
pub(crate) fn put(store: &InMemory, path: &str, bytes: &[u8]) {
    block_on(store.put(&path.into(), bytes.to_vec().into())).expect("put");
}

pub(crate) fn at(seconds: u64) -> Moment {
    Moment { since_start: Duration::from_secs(seconds), wall_micros: 1_700_000_000_000_000 }
}

pub(crate) fn task(task: &str, subtask: u16) -> TaskId {
    TaskId { task: task.into(), subtask: SubtaskId(subtask) }
}

pub(crate) fn run(n: u128) -> StartingRun {
    StartingRun {
        job: "clicks".into(),
        uuid: ExpectedUuid::New(UUID),
        attempt: attempt(n),
        max_parallelism: MaxParallelism::DEFAULT,
        wall_micros: 0,
    }
}

/// A manifest of a run without state.
pub(crate) fn empty(id: u64, n: u128) -> Manifest {
    Manifest::first("clicks", UUID, CheckpointId(id), attempt(n), MaxParallelism::DEFAULT).again(
        CheckpointId(id),
        attempt(n),
        Kind::Checkpoint,
    )
}

/// Writes a state file of sections of operator `totals`: key group, whole or change, bytes.
pub(crate) fn state_file(storage: &CheckpointStorage, id: u64, n: u128, sections: &[(u16, Part, &[u8])]) -> WrittenFile {
    block_on(async {
        let mut writer = storage.write_state(CheckpointId(id), attempt(n));
        for (group, part, bytes) in sections {
            writer.begin(node("totals"), name("keyed"), KeyGroup(*group), *part);
            writer.write(bytes).await.expect("written");
        }
        writer.finish().await.expect("finished").expect("a file")
    })
}

/// What a subtask with a source `events` at this offset and an operator `totals` hands over.
pub(crate) fn handed(offset: u64, files: Vec<WrittenFile>, pending: &[&str]) -> HandOver {
    let split = SplitState {
        split: SplitId::new("0"),
        offset: Offset(offset),
        largest: Some(EventTime::from_micros(5)),
        watermark: None,
        idle: false,
        ended: false,
        mark: None,
    };
    let part = OperatorPart { watermark: Some(EventTime::from_micros(4)), ..OperatorPart::default() };
    HandOver {
        operators: BTreeMap::from([(node("totals"), part)]),
        files,
        sources: BTreeMap::from([(node("events"), vec![split])]),
        pending: outputs(pending),
    }
}

pub(crate) fn outputs(pending: &[&str]) -> BTreeMap<OperatorId, Vec<serde_json::Value>> {
    BTreeMap::from([(node("report"), pending.iter().map(|file| serde_json::json!({ "to": file })).collect())])
}
