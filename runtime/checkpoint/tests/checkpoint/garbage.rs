//! Garbage collection deletes what nobody needs, and nothing else.

use crate::common::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use stygian_checkpoint::{
    CheckpointStorage, CommitOutcome, Digest, Garbage, InUse, Inventory, Kind, Manifest, Named, OperatorState, Part, StateFileName, garbage,
};
use stygian_core::CheckpointId;

fn retained(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).expect("some")
}

fn file(id: u64) -> StateFileName {
    StateFileName::new(CheckpointId(id), attempt(1), 0)
}

fn named(kind: Kind, files: &[u64]) -> Named {
    Named { kind, files: files.iter().map(|id| file(*id)).collect(), plugins: BTreeSet::new() }
}

#[test]
fn the_newest_checkpoints_and_what_they_name_are_kept() {
    let manifests = [
        (1, named(Kind::Checkpoint, &[1])),
        (2, named(Kind::Checkpoint, &[1, 2])),
        (3, named(Kind::Skipped, &[1, 2])),
        (4, named(Kind::Checkpoint, &[2, 4])),
        (5, named(Kind::Takeover, &[2, 4])),
        (6, named(Kind::Takeover, &[2, 4])),
    ];
    let there = Inventory {
        manifests: manifests.into_iter().map(|(id, named)| (CheckpointId(id), named)).collect(),
        files: (1..=7).map(file).collect(),
        plugins: BTreeSet::from([Digest::of(b"old"), Digest::of(b"running")]),
        leftovers: BTreeMap::from([("begun 6".into(), CheckpointId(6)), ("begun 7".into(), CheckpointId(7))]),
    };
    let in_use = InUse { plugins: BTreeSet::from([Digest::of(b"running")]), ..InUse::default() };
    let ids = |ids: &[u64]| ids.iter().map(|id| CheckpointId(*id)).collect::<Vec<_>>();
    let one = garbage(&there, CheckpointId(6), retained(1), &in_use);
    let expected = Garbage {
        manifests: ids(&[1, 2, 3, 5]),
        files: [1, 3, 5, 6].map(file).into(),
        plugins: vec![Digest::of(b"old")],
        leftovers: vec!["begun 6".into()],
    };
    assert_eq!(one, expected);
    let two = garbage(&there, CheckpointId(6), retained(2), &in_use);
    assert_eq!((two.manifests, two.files), (ids(&[1, 3, 5]), vec![file(3), file(5), file(6)]));
    // Manifests above the newest committed one may be committed by other means.
    let early = garbage(&there, CheckpointId(2), retained(1), &in_use);
    assert_eq!((early.manifests, early.files), (ids(&[1]), vec![]));
    // One that is being copied stays, with its files.
    let copied = garbage(&there, CheckpointId(6), retained(1), &InUse { checkpoints: BTreeSet::from([CheckpointId(2)]), ..in_use.clone() });
    assert_eq!((copied.manifests, copied.files), (ids(&[1, 3, 5]), vec![file(3), file(5), file(6)]));
    let unknown = garbage(&there, CheckpointId(9), retained(1), &in_use);
    assert_eq!(unknown, Garbage::default());
}

proptest! {
    #[test]
    fn nothing_that_is_needed_is_deleted(
        manifests in prop::collection::btree_map(0_u64..20, (prop::bool::ANY, prop::collection::vec(0_u64..20, 0..5)), 1..10),
        committed in 0_u64..20, keep in 1_u16..4,
    ) {
        let kind = |own| if own { Kind::Checkpoint } else { Kind::Takeover };
        let manifests: BTreeMap<_, _> = manifests.into_iter().map(|(id, (own, files))| (CheckpointId(id), named(kind(own), &files))).collect();
        let there = Inventory { manifests: manifests.clone(), files: (0..20).map(file).collect(), ..Inventory::default() };
        let committed = CheckpointId(committed);
        let garbage = garbage(&there, committed, retained(keep), &InUse::default());
        let left = manifests.clone().into_iter().filter(|(id, _)| !garbage.manifests.contains(id));
        let left: BTreeMap<CheckpointId, Named> = left.collect();
        prop_assert!(garbage.manifests.iter().all(|id| *id < committed));
        prop_assert!(garbage.files.iter().all(|file| file.checkpoint() <= committed));
        prop_assert!(left.values().flat_map(|named| &named.files).all(|file| !garbage.files.contains(file)));
        let own = |named: &Named| named.kind == Kind::Checkpoint;
        let before = manifests.range(..=committed).filter(|(_, named)| own(named)).count();
        let after = left.range(..=committed).filter(|(_, named)| own(named)).count();
        prop_assert!(after >= before.min(keep.into()));
        if manifests.contains_key(&committed) {
            prop_assert!(left.contains_key(&committed));
            prop_assert!(left.len() <= usize::from(keep) + 1 + manifests.range(committed..).count());
        }
    }
}

fn commit_with(storage: &CheckpointStorage, id: u64, n: u128, part: Part) -> Manifest {
    let file = state_file(storage, id, n, &[(0, part, b"bytes")]);
    let sections = file.sections.into_iter().map(|(_, section)| section).collect();
    let manifest = Manifest {
        files: BTreeMap::from([(file.name, file.facts)]),
        operators: BTreeMap::from([(node("totals"), OperatorState { sections, ..OperatorState::default() })]),
        ..empty(id, n)
    };
    assert!(matches!(block_on(storage.commit(&[], &manifest)), CommitOutcome::Committed));
    manifest
}

#[test]
fn a_folder_is_left_with_what_is_needed() {
    let root = tempfile::tempdir().expect("a folder");
    let storage = CheckpointStorage::local(root.path()).expect("made");
    for id in 0..5 {
        commit_with(&storage, id, 1, Part::Base);
    }
    let in_flight = state_file(&storage, 5, 1, &[(0, Part::Base, b"being written")]);
    std::fs::write(root.path().join("state/notes.txt"), "mine").expect("written");
    block_on(storage.collect_garbage(CheckpointId(4), attempt(1), retained(2), &InUse::default())).expect("collected");
    assert_eq!(block_on(storage.list()).expect("listed"), [CheckpointId(3), CheckpointId(4)]);
    let mut left: Vec<_> = std::fs::read_dir(root.path().join("state")).expect("there").map(|e| e.expect("an entry").file_name()).collect();
    left.sort();
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(left.contains(&in_flight.name.as_str().into()) && left.contains(&"notes.txt".into()), "{left:?}");
    for id in [3, 4] {
        assert_eq!(block_on(storage.verify(CheckpointId(id))).expect("read").len(), 0);
    }
}

#[test]
fn what_a_store_had_begun_and_never_finished_goes_when_a_later_checkpoint_is_committed() {
    let (storage, store) = memory_and_store();
    commit_with(&storage, 0, 1, Part::Base);
    let old = format!("state/.{}.tmp.1", file(1));
    let new = format!("state/.{}.tmp.1", file(2));
    put(&store, &old, b"half");
    put(&store, &new, b"half");
    put(&store, "checkpoints/.00000000000000000001.manifest.tmp.3", b"half");
    commit_with(&storage, 1, 1, Part::Base);
    let garbage = block_on(storage.collect_garbage(CheckpointId(1), attempt(1), retained(3), &InUse::default())).expect("collected");
    assert_eq!(garbage.leftovers, ["checkpoints/.00000000000000000001.manifest.tmp.3", &old]);
    assert_eq!(raw(&store, &new), b"half");
}

#[test]
fn a_run_that_was_taken_over_deletes_nothing() {
    let storage = memory();
    commit_with(&storage, 0, 1, Part::Base);
    commit_with(&storage, 1, 1, Part::Base);
    commit_with(&storage, 2, 2, Part::Base);
    let collected = block_on(storage.collect_garbage(CheckpointId(1), attempt(1), retained(1), &InUse::default())).expect("looked");
    assert_eq!(collected, Garbage::default());
}

#[test]
fn nothing_is_deleted_while_a_manifest_is_damaged() {
    let (storage, store) = memory_and_store();
    for id in 0..4 {
        commit_with(&storage, id, 1, Part::Base);
    }
    put(&store, "checkpoints/00000000000000000002.manifest", b"torn");
    let error = block_on(storage.collect_garbage(CheckpointId(3), attempt(1), retained(1), &InUse::default())).expect_err("damaged");
    assert!(error.to_string().contains("00000000000000000002.manifest"), "{error}");
    assert_eq!(block_on(storage.list()).expect("listed").len(), 4);
}
