//! Savepoints stand alone, and are taken from there.

use crate::common::*;
use std::collections::BTreeMap;
use stygian_checkpoint::{
    CheckpointStorage, CommitOutcome, Kind, Manifest, OperatorPlugins, OperatorState, Part, PendingOutput, PluginFacts, StartFrom,
    StateReader,
};
use stygian_core::CheckpointId;

/// A job of two checkpoints: bases of three key groups, a change of one, and a group that was rebased.
fn job(storage: &CheckpointStorage) -> Manifest {
    let first = state_file(storage, 1, 1, &[(0, Part::Base, b"zero"), (1, Part::Base, b"one"), (2, Part::Base, b"old two")]);
    let second = state_file(storage, 2, 1, &[(0, Part::Change, b"zero changed"), (2, Part::Base, b"two")]);
    let pick = |file: &stygian_checkpoint::WrittenFile, at: usize| file.sections[at].1.clone();
    let sections = vec![pick(&first, 0), pick(&second, 0), pick(&first, 1), pick(&second, 1)];
    let digest = block_on(storage.keep_plugin(b"component")).expect("kept");
    let own = Some(PluginFacts { name: "totals".into(), version: "1.0.0".parse().expect("a version"), digest });
    let plugins = OperatorPlugins { own, ..OperatorPlugins::default() };
    let state = OperatorState { sections, plugins, ..OperatorState::default() };
    let manifest = Manifest {
        files: [first, second].into_iter().map(|file| (file.name, file.facts)).collect(),
        operators: BTreeMap::from([(node("totals"), state)]),
        sources: handed(9, vec![], &[]).sources,
        ..empty(0, 1)
    };
    let manifest = manifest.again(CheckpointId(2), attempt(1), Kind::Savepoint);
    assert!(matches!(block_on(storage.commit(&[], &manifest)), CommitOutcome::Committed));
    manifest
}

fn content(storage: &CheckpointStorage, manifest: &Manifest) -> Vec<(u16, Part, Vec<u8>)> {
    let mut reader = StateReader::new(storage, manifest.files.clone());
    let sections = &manifest.operators[&node("totals")].sections;
    sections.iter().map(|section| (section.group.0, section.part, block_on(reader.read(section)).expect("read").to_vec())).collect()
}

#[test]
fn a_savepoint_stands_alone_and_is_the_beginning_of_another_job() {
    let root = tempfile::tempdir().expect("a folder");
    let storage = CheckpointStorage::local(&root.path().join("job")).expect("made");
    let manifest = job(&storage);
    let savepoint = CheckpointStorage::local(&root.path().join("savepoint")).expect("made");
    let copy = block_on(storage.copy_savepoint(&manifest, &savepoint)).expect("copied");
    assert_eq!(content(&savepoint, &copy), content(&storage, &manifest));
    drop(storage);
    std::fs::remove_dir_all(root.path().join("job")).expect("removed");
    assert_eq!(block_on(savepoint.verify(CheckpointId(2))).expect("read").len(), 0);
    let old_two = b"old two";
    let files = std::fs::read_dir(root.path().join("savepoint/state")).expect("there").map(|e| std::fs::read(e.expect("an entry").path()));
    assert!(files.map(|file| file.expect("read")).all(|file| !file.windows(7).any(|w| w == old_two)), "garbage is not copied");

    let other = memory();
    let adopted = block_on(other.adopt(&savepoint, attempt(5))).expect("adopted");
    let start = block_on(other.take_over(&run(5), &StartFrom::Savepoint(Box::new(adopted)))).expect("started");
    assert_eq!((start.id, start.kind), (CheckpointId(0), Kind::Takeover));
    drop(savepoint);
    assert_eq!(content(&other, &start), content(&other, &start));
    assert_eq!(content(&other, &start).len(), 4);
    assert_eq!(block_on(other.verify(CheckpointId(0))).expect("read").len(), 0);
}

#[test]
fn a_savepoint_is_taken_into_a_job_that_has_checkpoints_under_the_next_id() {
    let (storage, savepoint) = (memory(), memory());
    let manifest = job(&storage);
    block_on(storage.copy_savepoint(&manifest, &savepoint)).expect("copied");
    let adopted = block_on(storage.adopt(&savepoint, attempt(6))).expect("adopted");
    let start = block_on(storage.take_over(&run(6), &StartFrom::Savepoint(Box::new(adopted)))).expect("started");
    assert_eq!(start.id, CheckpointId(3));
    assert_eq!(content(&storage, &start), content(&storage, &manifest));
}

#[test]
fn what_is_no_savepoint_is_refused() {
    let (storage, full) = (memory(), memory());
    let manifest = job(&storage);
    let text = |error: stygian_checkpoint::CheckpointError| error.to_string();
    assert!(text(block_on(memory().adopt(&full, attempt(2))).expect_err("empty")).contains("no complete one"));
    job(&full);
    assert!(text(block_on(storage.copy_savepoint(&manifest, &full)).expect_err("full")).contains("an empty folder"));
    let pending = BTreeMap::from([(node("report"), vec![PendingOutput { checkpoint: CheckpointId(2), output: "x".into() }])]);
    let manifest = Manifest { pending, ..manifest };
    assert!(text(block_on(storage.copy_savepoint(&manifest, &memory())).expect_err("pending")).contains("1 outputs"));
}

#[test]
fn a_damaged_checkpoint_makes_no_savepoint() {
    let (storage, store) = memory_and_store();
    let manifest = job(&storage);
    let file = manifest.files.keys().next().expect("some");
    let mut bytes = raw(&store, &format!("state/{file}"));
    bytes[17] ^= 4;
    put(&store, &format!("state/{file}"), &bytes);
    let savepoint = memory();
    let error = block_on(storage.copy_savepoint(&manifest, &savepoint)).expect_err("damaged").to_string();
    assert!(error.contains(file.as_str()) && error.contains("4 bytes from 16 on"), "{error}");
    assert!(block_on(savepoint.list()).expect("listed").is_empty());
}
