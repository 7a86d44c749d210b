//! Files, folders, exclusive creation.

use crate::common::*;
use stygian_checkpoint::{CheckpointStorage, CommitOutcome, Part, StateReader};
use stygian_core::CheckpointId;

#[test]
fn a_committed_checkpoint_is_read_back_from_a_local_folder() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("checkpoints of clicks");
    let storage = CheckpointStorage::local(&folder).expect("made");
    let first = empty(0, 1);
    assert!(matches!(block_on(storage.commit(&[], &first)), CommitOutcome::Committed));
    assert!(matches!(block_on(storage.commit(&[], &empty(0, 2))), CommitOutcome::Fenced { by: CheckpointId(0), .. }));
    assert!(matches!(block_on(storage.commit(&[], &first)), CommitOutcome::Committed), "once more is once");
    drop(storage);
    let storage = CheckpointStorage::local(&folder).expect("free again");
    assert_eq!(block_on(storage.list()).expect("listed"), [CheckpointId(0)]);
    assert_eq!(block_on(storage.open(CheckpointId(0))).expect("read"), first);
}

#[test]
fn sections_are_read_back_from_files_of_any_size() {
    let storage = memory();
    let large = vec![7; 20 * 1024 * 1024];
    let file =
        state_file(&storage, 1, 1, &[(0, Part::Base, b"abc"), (1, Part::Base, &large), (1, Part::Change, b""), (2, Part::Base, b"z")]);
    let mut reader = StateReader::new(&storage, [(file.name.clone(), file.facts)].into());
    let read: Vec<_> = file.sections.iter().map(|(_, section)| block_on(reader.read(section)).expect("read")).collect();
    assert_eq!(read, [&b"abc"[..], &large, b"", b"z"]);
}
