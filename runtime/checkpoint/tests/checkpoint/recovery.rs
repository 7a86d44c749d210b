//! What a starting run goes on from.

use crate::common::*;
use std::collections::{BTreeMap, BTreeSet};
use stygian_checkpoint::{
    Ahead, CheckpointStorage, CommitOutcome, ExpectedUuid, JobUuid, Kind, Manifest, OperatorState, Part, PendingOutput, PlannedJob,
    PlannedOperator, RecoveryError, StartFrom, StartingRun, restore,
};
use stygian_core::{CheckpointId, EventTime, KeyGroup, KeyGroupRange, MaxParallelism, OperatorId, Parallelism, SubtaskId};

fn commit(storage: &CheckpointStorage, manifest: &Manifest) {
    assert!(matches!(block_on(storage.commit(&[], manifest)), CommitOutcome::Committed));
}

fn take_over(storage: &CheckpointStorage, n: u128) -> Result<Manifest, RecoveryError> {
    block_on(storage.take_over(&run(n), &StartFrom::Newest))
}

#[test]
fn a_first_start_commits_checkpoint_0_and_a_second_takes_it_over() {
    let storage = memory();
    let first = take_over(&storage, 1).expect("started");
    assert_eq!((first.id, first.kind, first.attempt), (CheckpointId(0), Kind::First, attempt(1)));
    let second = take_over(&storage, 2).expect("started");
    assert_eq!(second, first.again(CheckpointId(1), attempt(2), Kind::Takeover));
    assert_eq!(block_on(storage.open(CheckpointId(1))).expect("stored"), second);
}

#[test]
fn a_damaged_newest_manifest_is_an_error_with_choices_and_the_one_before_it_is_not_taken() {
    let root = tempfile::tempdir().expect("a folder");
    let storage = CheckpointStorage::local(root.path()).expect("made");
    for id in 0..3 {
        commit(&storage, &empty(id, 1));
    }
    let newest = root.path().join("checkpoints/00000000000000000002.manifest");
    let mut bytes = std::fs::read(&newest).expect("read");
    bytes[100] ^= 1;
    std::fs::write(&newest, &bytes).expect("written");
    let error = take_over(&storage, 2).expect_err("refused").to_string();
    for part in ["00000000000000000002.manifest", "checksum", "--recover-latest", "--from-savepoint", "--fresh"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(block_on(storage.list()).expect("listed").len(), 3, "nothing was written");
    let (whole, damages) = block_on(storage.newest_whole()).expect("read");
    let whole = whole.expect("one is whole");
    assert_eq!((whole.id, damages.len()), (CheckpointId(1), 1));
    let taken = block_on(storage.take_over(&run(2), &StartFrom::Whole(Box::new(whole.clone())))).expect("started");
    assert_eq!(taken, whole.again(CheckpointId(3), attempt(2), Kind::Takeover));
    let fresh = block_on(storage.take_over(&run(3), &StartFrom::Nothing)).expect("started");
    assert_eq!((fresh.id, fresh.kind), (CheckpointId(4), Kind::First));
}

#[test]
fn state_without_a_manifest_is_no_first_start() {
    let storage = memory();
    state_file(&storage, 5, 1, &[(0, Part::Base, b"x")]);
    let error = take_over(&storage, 1).expect_err("refused").to_string();
    assert!(error.contains("manifests are lost") && error.contains("--fresh"), "{error}");
}

#[test]
fn the_checkpoints_of_another_job_are_refused() {
    let storage = memory();
    take_over(&storage, 1).expect("started");
    let other = StartingRun { job: "orders".into(), ..run(2) };
    let whole = Box::new(block_on(storage.open(CheckpointId(0))).expect("read"));
    for from in [StartFrom::Newest, StartFrom::Nothing, StartFrom::Whole(whole.clone()), StartFrom::Savepoint(whole)] {
        let error = block_on(storage.take_over(&other, &from)).expect_err("refused").to_string();
        assert!(error.contains("`clicks`") && error.contains("`orders`"), "{error}");
    }
    let other = StartingRun { uuid: ExpectedUuid::Known(JobUuid::from_random(77)), ..run(2) };
    let error = block_on(storage.take_over(&other, &StartFrom::Newest)).expect_err("refused").to_string();
    assert!(error.contains(&UUID.to_string()), "{error}");
}

/// A checkpoint of operator `totals` with a base in every key group of 128 and a change in some.
fn with_state(storage: &CheckpointStorage) -> Manifest {
    let bases: Vec<(u16, Part, &[u8])> = (0..128).map(|group| (group, Part::Base, &b"base"[..])).collect();
    let changes: Vec<(u16, Part, &[u8])> = (0..128).step_by(3).map(|group| (group, Part::Change, &b"change"[..])).collect();
    let files = [state_file(storage, 1, 1, &bases), state_file(storage, 2, 1, &changes)];
    let sections = files.iter().flat_map(|file| &file.sections).map(|(_, section)| section.clone()).collect();
    let state = OperatorState {
        sections,
        state_versions: BTreeMap::from([("sum".into(), BTreeMap::from([(1, 10), (2, 5), (3, 0)]))]),
        watermark: Some(EventTime::from_micros(9)),
        accumulators: Some("datafusion 55".into()),
        ..OperatorState::default()
    };
    Manifest {
        files: files.iter().map(|file| (file.name.clone(), file.facts)).collect(),
        operators: BTreeMap::from([(node("totals"), state)]),
        sources: handed(3, vec![], &[]).sources,
        pending: BTreeMap::from([(node("report"), vec![PendingOutput { checkpoint: CheckpointId(2), output: "file".into() }])]),
        ..empty(2, 1)
    }
}

fn planned(parallelism: u16) -> PlannedJob {
    let totals = PlannedOperator {
        parallelism: Parallelism::new(parallelism).expect("a number"),
        sections: BTreeSet::from([name("keyed")]),
        slots: BTreeMap::from([("sum".into(), BTreeSet::from([1, 2]))]),
        accumulators: Some("datafusion 55".into()),
    };
    PlannedJob {
        max_parallelism: MaxParallelism::DEFAULT,
        operators: BTreeMap::from([(node("totals"), totals)]),
        sources: BTreeSet::from([node("events")]),
        sinks: BTreeSet::from([node("report")]),
        drop_state: BTreeSet::new(),
    }
}

#[test]
fn every_section_is_restored_once_at_any_parallelism_base_first() {
    let manifest = with_state(&memory());
    for parallelism in [1, 2, 3, 7, 128, 200] {
        let plan = restore::plan(&manifest, &planned(parallelism)).expect("it fits");
        let subtasks = &plan.operators[&node("totals")];
        assert_eq!(subtasks.len(), usize::from(parallelism));
        let mut seen = BTreeMap::<KeyGroup, Vec<Part>>::new();
        for (subtask, restore) in (0..).zip(subtasks) {
            for section in &restore.sections {
                let owner = MaxParallelism::DEFAULT.owner_of(section.group, Parallelism::new(parallelism).expect("a number"));
                assert_eq!(owner, SubtaskId(subtask));
                seen.entry(section.group).or_default().push(section.part);
            }
        }
        assert_eq!(seen.len(), 128);
        for (group, parts) in seen {
            let expected: &[Part] = if group.0 % 3 == 0 { &[Part::Base, Part::Change] } else { &[Part::Base] };
            assert_eq!(parts, expected, "{group:?}");
        }
    }
}

/// Subtasks that were at different watermarks go on from their own; where they are put together, from the least, and then at once from the
/// largest.
#[test]
fn every_key_group_keeps_its_watermark() {
    let at = |micros| Some(EventTime::from_micros(micros));
    let mut manifest = with_state(&memory());
    let ahead = |groups, micros| Ahead { groups: KeyGroupRange(groups), watermark: EventTime::from_micros(micros) };
    let totals = manifest.operators.get_mut(&node("totals")).expect("there");
    totals.ahead = vec![ahead(32..64, 20), ahead(96..128, 15)];
    let watermarks = |parallelism| {
        let plan = restore::plan(&manifest, &planned(parallelism)).expect("it fits");
        plan.operators[&node("totals")].iter().map(|subtask| (subtask.watermark, subtask.ahead.clone())).collect::<Vec<_>>()
    };
    assert_eq!(watermarks(4), [(at(9), vec![]), (at(20), vec![]), (at(9), vec![]), (at(15), vec![])]);
    assert_eq!(watermarks(2), [(at(9), vec![ahead(32..64, 20)]), (at(9), vec![ahead(96..128, 15)])]);
    assert_eq!(watermarks(1), [(at(9), vec![ahead(32..64, 20), ahead(96..128, 15)])]);
    assert_eq!(watermarks(8)[2..4], [(at(20), vec![]), (at(20), vec![])]);
    assert_eq!(watermarks(3)[1], (at(9), vec![ahead(43..64, 20)]));
}

fn refused(job: &PlannedJob) -> Vec<String> {
    let refusals = restore::plan(&with_state(&memory()), job).expect_err("it does not fit");
    refusals.iter().map(ToString::to_string).collect()
}

#[test]
fn all_that_does_not_fit_is_told_at_once() {
    let mut job = planned(1);
    job.max_parallelism = MaxParallelism::new(256).expect("a number");
    let totals = job.operators.get_mut(&node("totals")).expect("there");
    totals.slots = BTreeMap::from([("sum".into(), BTreeSet::from([2, 4]))]);
    totals.accumulators = None;
    totals.sections.clear();
    job.sources.clear();
    job.sinks.clear();
    job.drop_state.insert(node("typo"));
    let text = refused(&job);
    let expected =
        ["[settings]: `max_parallelism` is 256", "totals: keeps `keyed`", "10 values of version 1", "written by `datafusion 55`"];
    let expected = expected.iter().chain(&["events: has offsets", "report: has 1 finished outputs", "typo: is named by"]);
    for (n, part) in expected.enumerate() {
        assert!(text[n].contains(part), "{part}: {text:#?}");
    }
    assert_eq!(text.len(), 7, "{text:#?}");
}

#[test]
fn versions_that_are_not_read_are_told_with_what_to_do() {
    let told = |reads: &[u32]| {
        let mut job = planned(1);
        let totals = job.operators.get_mut(&node("totals")).expect("there");
        totals.slots = BTreeMap::from([("sum".into(), BTreeSet::from_iter(reads.iter().copied()))]);
        refused(&job)
    };
    let older = told(&[2, 4]);
    assert_eq!(older.len(), 1, "{older:?}");
    assert!(
        older[0].contains("10 values of version 1 in slot `sum`, and its plugin reads versions 2, 4; use a plugin that migrates"),
        "{older:?}"
    );
    let newer = told(&[1]);
    assert_eq!(newer.len(), 1, "of version 3 there is none: {newer:?}");
    assert!(newer[0].contains("5 values of version 2 in slot `sum`, and its plugin reads version 1;"), "{newer:?}");
    assert!(newer[0].contains("use that or one after it"), "{newer:?}");
}

#[test]
fn an_operator_that_is_gone_needs_its_state_dropped() {
    let mut job = planned(1);
    let totals = job.operators.remove(&node("totals"));
    let text = refused(&job);
    assert!(text[0].contains("--drop-state totals"), "{text:?}");
    job.drop_state.insert(node("totals"));
    let plan = restore::plan(&with_state(&memory()), &job).expect("it fits");
    assert!(plan.base.files.is_empty() && plan.base.operators.is_empty() && !plan.base.sources.is_empty());
    // A new operator starts empty.
    job = planned(2);
    job.operators.insert(OperatorId::new("new"), totals.expect("there"));
    let plan = restore::plan(&with_state(&memory()), &job).expect("it fits");
    assert!(plan.operators[&node("new")].iter().all(|subtask| subtask.sections.is_empty() && subtask.watermark.is_none()));
}
