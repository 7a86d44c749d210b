//! The coordinator, fact by fact.

use crate::common::*;
use std::collections::BTreeMap;
use std::time::Duration;
use stygian_checkpoint::{CheckpointSettings, Coordinator, Decision, Fact, HandOver, Kind, Manifest, OperatorPart, Part, TaskId, Written};
use stygian_core::{CheckpointId, EventTime, KeyGroupRange};

const SETTINGS: fn() -> CheckpointSettings = || CheckpointSettings { tolerated_failures: 1, ..CheckpointSettings::default() };

fn start(tasks: &[TaskId]) -> Coordinator {
    start_with(SETTINGS(), tasks)
}

fn start_with(settings: CheckpointSettings, tasks: &[TaskId]) -> Coordinator {
    Coordinator::new(settings, attempt(1), tasks.iter().cloned().collect(), BTreeMap::new(), empty(0, 1), at(0))
}

fn ack(id: u64, of: &TaskId, handed: HandOver) -> Fact {
    Fact::Acknowledged { id: CheckpointId(id), task: of.clone(), handed }
}

fn ended(of: &TaskId, first: u64, handed: HandOver) -> Fact {
    Fact::Ended { task: of.clone(), first: CheckpointId(first), handed }
}

fn wrote(id: u64, outcome: Written) -> Fact {
    Fact::Wrote { id: CheckpointId(id), outcome }
}

fn inject(id: u64) -> Decision {
    Decision::Inject { id: CheckpointId(id), last: false }
}

fn written(decisions: &[Decision]) -> (&[Manifest], &Manifest) {
    match decisions {
        [.., Decision::Write { skipped, manifest }] => (skipped, manifest),
        other => panic!("no manifest: {other:?}"),
    }
}

fn to(files: &[&str]) -> Vec<serde_json::Value> {
    outputs(files).remove(&node("report")).expect("some")
}

fn pending(manifest: &Manifest) -> Vec<(u64, &str)> {
    let all = manifest.pending.values().flatten();
    all.map(|pending| (pending.checkpoint.0, pending.output["to"].as_str().expect("a name"))).collect()
}

#[test]
fn key_groups_whose_subtask_is_ahead_are_told_apart() {
    let tasks = [task("a", 0), task("a", 1), task("a", 2)];
    let mut coordinator = start(&tasks);
    coordinator.on(at(10), Fact::Tick);
    let part = |groups, micros: Option<i64>| OperatorPart {
        watermark: micros.map(EventTime::from_micros),
        groups: Some(KeyGroupRange(groups)),
        ..OperatorPart::default()
    };
    let parts = [part(0..43, Some(7)), part(43..86, Some(5)), part(86..128, Some(9))];
    let mut decisions = Vec::new();
    for (task, part) in tasks.iter().zip(parts) {
        let handed = HandOver { operators: BTreeMap::from([(node("totals"), part)]), ..HandOver::default() };
        decisions = coordinator.on(at(11), ack(1, task, handed));
    }
    let totals = &written(&decisions).1.operators[&node("totals")];
    let told: Vec<_> = totals.ahead.iter().map(|ahead| (ahead.groups.0.clone(), ahead.watermark.micros())).collect();
    assert_eq!((totals.watermark, told), (Some(EventTime::from_micros(5)), vec![(0..43, 7), (86..128, 9)]));
}

#[test]
fn a_checkpoint_is_committed_when_all_subtasks_have_handed_over() {
    let (a, b) = (task("a", 0), task("b", 0));
    let mut coordinator = start(&[a.clone(), b.clone()]);
    assert_eq!(coordinator.wake_at(), Some(Duration::from_secs(10)));
    assert_eq!(coordinator.on(at(9), Fact::Tick), []);
    assert_eq!(coordinator.on(at(10), Fact::Tick), [inject(1)]);
    assert_eq!(coordinator.on(at(11), ack(1, &a, handed(7, vec![], &["one"]))), []);
    let decisions = coordinator.on(at(12), ack(1, &b, HandOver::default()));
    let (skipped, manifest) = written(&decisions);
    assert!(skipped.is_empty());
    assert_eq!((manifest.id, manifest.kind, manifest.attempt), (CheckpointId(1), Kind::Checkpoint, attempt(1)));
    assert_eq!(manifest.sources[&node("events")][0].offset.0, 7);
    assert_eq!(pending(manifest), [(1, "one")]);
    let through = CheckpointId(1);
    let expected = [
        Decision::Committed { id: through, took: Duration::from_secs(3) },
        Decision::MakeVisible { sink: node("report"), through, outputs: to(&["one"]), release: false },
        Decision::CollectGarbage { committed: through },
    ];
    assert_eq!(coordinator.on(at(13), wrote(1, Written::Committed)), expected);
    assert_eq!(coordinator.wake_at(), Some(Duration::from_secs(20)));
}

#[test]
fn outputs_stay_in_the_manifests_until_they_are_visible() {
    let a = task("a", 0);
    let mut coordinator = start(std::slice::from_ref(&a));
    for (id, file) in [(1, "one"), (2, "two"), (3, "three")] {
        coordinator.on(at(id * 10), Fact::Tick);
        let decisions = coordinator.on(at(id * 10), ack(id, &a, handed(id, vec![], &[file])));
        let expected: &[(u64, &str)] = match id {
            1 => &[(1, "one")],
            2 => &[(1, "one"), (2, "two")],
            _ => &[(3, "three")],
        };
        assert_eq!(pending(written(&decisions).1), expected);
        coordinator.on(at(id * 10), wrote(id, Written::Committed));
        if id == 2 {
            coordinator.on(at(21), Fact::MadeVisible { sink: node("report"), through: CheckpointId(2), held: Vec::new() });
        }
    }
}

#[test]
fn what_an_aborted_checkpoint_finished_goes_out_with_the_next_and_its_id_is_filled() {
    let (a, b) = (task("a", 0), task("b", 0));
    let mut coordinator = start(&[a.clone(), b.clone()]);
    coordinator.on(at(10), Fact::Tick);
    coordinator.on(at(11), ack(1, &a, handed(7, vec![], &["one"])));
    let declined =
        Fact::Declined { id: CheckpointId(1), task: b.clone(), pending: outputs(&["late one"]), reason: "the disk is full".into() };
    let decisions = coordinator.on(at(12), declined);
    assert!(matches!(&decisions[..], [Decision::Abort { id: CheckpointId(1), reason }] if reason.contains("the disk is full")));
    assert_eq!(coordinator.on(at(20), Fact::Tick), [inject(2)]);
    coordinator.on(at(21), ack(2, &a, handed(9, vec![], &["two"])));
    let decisions = coordinator.on(at(22), ack(2, &b, HandOver::default()));
    let (skipped, manifest) = written(&decisions);
    assert_eq!(skipped, [empty(0, 1).again(CheckpointId(1), attempt(1), Kind::Skipped)]);
    assert_eq!(pending(manifest), [(1, "one"), (1, "late one"), (2, "two")]);
    assert_eq!(manifest.sources[&node("events")][0].offset.0, 9);
}

#[test]
fn too_many_failures_in_a_row_end_the_job_and_a_success_forgives_them() {
    let a = task("a", 0);
    let mut coordinator = start(std::slice::from_ref(&a));
    let decline =
        |id| Fact::Declined { id: CheckpointId(id), task: task("a", 0), pending: BTreeMap::new(), reason: "no space left".into() };
    coordinator.on(at(10), Fact::Tick);
    assert!(matches!(coordinator.on(at(10), decline(1))[..], [Decision::Abort { .. }]));
    coordinator.on(at(20), Fact::Tick);
    coordinator.on(at(20), ack(2, &a, handed(1, vec![], &[])));
    coordinator.on(at(20), wrote(2, Written::Committed));
    coordinator.on(at(30), Fact::Tick);
    assert!(matches!(coordinator.on(at(30), decline(3))[..], [Decision::Abort { .. }]));
    coordinator.on(at(40), Fact::Tick);
    let decisions = coordinator.on(at(40), decline(4));
    let [Decision::Fail { reason }] = &decisions[..] else { panic!("{decisions:?}") };
    assert!(reason.contains("checkpoint 4") && reason.contains("no space left") && reason.contains("tolerated_failures"), "{reason}");
    assert_eq!(coordinator.on(at(50), Fact::Tick), []);
    assert_eq!(coordinator.wake_at(), None);
}

#[test]
fn a_checkpoint_that_takes_too_long_is_aborted_and_says_what_it_waits_for() {
    let (a, b) = (task("a", 0), task("b", 3));
    let mut coordinator = start(&[a.clone(), b.clone()]);
    coordinator.on(at(10), Fact::Tick);
    coordinator.on(at(11), ack(1, &a, HandOver::default()));
    assert_eq!(coordinator.wake_at(), Some(Duration::from_secs(610)));
    let decisions = coordinator.on(at(610), Fact::Tick);
    assert!(matches!(&decisions[0], Decision::Abort { reason, .. } if reason.contains("1 of 2 subtasks (b (3))")), "{decisions:?}");
    // The interval is long over.
    assert_eq!(decisions[1..], [inject(2)]);
    assert_eq!(coordinator.on(at(611), ack(1, &b, HandOver::default())), [], "too late");
}

#[test]
fn a_manifest_of_unknown_outcome_is_tried_again_and_then_ends_the_job() {
    let a = task("a", 0);
    let mut coordinator = start(std::slice::from_ref(&a));
    coordinator.on(at(10), Fact::Tick);
    let first = coordinator.on(at(10), ack(1, &a, handed(1, vec![], &["one"])));
    assert_eq!(coordinator.on(at(10), wrote(1, Written::Unknown("no answer".into()))), []);
    assert_eq!(coordinator.wake_at(), Some(Duration::from_secs(11)));
    assert_eq!(coordinator.on(at(11), Fact::Tick), first, "exactly the same again");
    coordinator.on(at(12), wrote(1, Written::Unknown("no answer".into())));
    let decisions = coordinator.on(at(610), Fact::Tick);
    assert!(matches!(&decisions[..], [Decision::Fail { reason }] if reason.contains("not known")), "{decisions:?}");
}

#[test]
fn a_fenced_run_stops_and_makes_nothing_visible() {
    let a = task("a", 0);
    let mut coordinator = start(std::slice::from_ref(&a));
    coordinator.on(at(10), Fact::Tick);
    coordinator.on(at(10), ack(1, &a, handed(1, vec![], &["one"])));
    let decisions = coordinator.on(at(11), wrote(1, Written::Fenced("checkpoint 1 of run 00ff".into())));
    assert!(matches!(&decisions[..], [Decision::Fail { reason }] if reason.contains("00ff")), "{decisions:?}");
}

#[test]
fn an_ended_subtask_counts_with_its_last_hand_over_and_hands_its_files_over_once() {
    let storage = memory();
    let (a, b) = (task("a", 0), task("b", 0));
    let mut coordinator = start(&[a.clone(), b.clone()]);
    let base = state_file(&storage, 1, 1, &[(3, Part::Base, b"x")]);
    let change = state_file(&storage, 2, 1, &[(3, Part::Change, b"y")]);
    let expected: Vec<_> = [&base, &change].map(|file| file.sections[0].1.clone()).into();
    coordinator.on(at(10), Fact::Tick);
    coordinator.on(at(10), ack(1, &a, handed(50, vec![base], &[])));
    coordinator.on(at(10), ack(1, &b, HandOver::default()));
    coordinator.on(at(10), wrote(1, Written::Committed));
    assert_eq!(coordinator.on(at(11), ended(&a, 2, handed(70, vec![change], &["end of a"]))), []);
    for id in [2, 3] {
        assert_eq!(coordinator.on(at(id * 10), Fact::Tick), [inject(id)]);
        let decisions = coordinator.on(at(id * 10), ack(id, &b, HandOver::default()));
        let (_, manifest) = written(&decisions);
        assert_eq!(manifest.sources[&node("events")][0].offset.0, 70);
        assert_eq!((manifest.files.len(), &manifest.operators[&node("totals")].sections), (2, &expected), "checkpoint {id}");
        coordinator.on(at(id * 10), wrote(id, Written::Committed));
    }
}

#[test]
fn the_end_of_a_subtask_does_not_take_the_place_of_what_it_is_storing_for_the_barrier_before() {
    let storage = memory();
    let a = task("a", 0);
    let mut coordinator = start(std::slice::from_ref(&a));
    let [at_barrier, at_end] = [(1, "x"), (2, "y")].map(|(id, bytes)| state_file(&storage, id, 1, &[(3, Part::Base, bytes.as_bytes())]));
    let names = [&at_barrier, &at_end].map(|file| file.name.clone());
    coordinator.on(at(10), Fact::Tick);
    assert_eq!(coordinator.on(at(11), ended(&a, 2, handed(70, vec![at_end], &[]))), []);
    let mut decisions = coordinator.on(at(12), ack(1, &a, handed(50, vec![at_barrier], &[])));
    for (id, offset, name) in [(1, 50, &names[0]), (2, 70, &names[1])] {
        let (_, manifest) = written(&decisions);
        assert_eq!((manifest.id, manifest.sources[&node("events")][0].offset.0), (CheckpointId(id), offset));
        assert_eq!(manifest.files.keys().collect::<Vec<_>>(), [name]);
        decisions = coordinator.on(at(12 + id), wrote(id, Written::Committed));
    }
}

#[test]
fn at_the_end_of_the_input_all_is_committed_and_visible_before_the_job_finishes() {
    let (a, b) = (task("a", 0), task("b", 0));
    let mut coordinator = start(&[a.clone(), b.clone()]);
    // One subtask has acknowledged the barrier and ended behind it, before the checkpoint was complete.
    coordinator.on(at(10), Fact::Tick);
    coordinator.on(at(11), ack(1, &a, handed(50, vec![], &["one"])));
    coordinator.on(at(12), ended(&a, 2, handed(70, vec![], &["end of a"])));
    let decisions = coordinator.on(at(13), ended(&b, 1, HandOver::default()));
    let (_, manifest) = written(&decisions);
    assert_eq!((manifest.sources[&node("events")][0].offset.0, pending(manifest)), (50, vec![(1, "one")]));
    let decisions = coordinator.on(at(14), wrote(1, Written::Committed));
    let (_, manifest) = written(&decisions);
    assert_eq!((manifest.id, manifest.sources[&node("events")][0].offset.0), (CheckpointId(2), 70));
    assert_eq!(pending(manifest), [(1, "one"), (2, "end of a")]);
    let decisions = coordinator.on(at(15), wrote(2, Written::Committed));
    assert!(!decisions.contains(&Decision::Finish));
    // It began when the one before it was committed, and not with the barriers of that.
    assert_eq!(decisions[0], Decision::Committed { id: CheckpointId(2), took: Duration::from_secs(1) });
    assert_eq!(coordinator.on(at(16), Fact::MadeVisible { sink: node("report"), through: CheckpointId(1), held: Vec::new() }), []);
    assert_eq!(coordinator.wake_at(), None);
    assert_eq!(
        coordinator.on(at(16), Fact::MadeVisible { sink: node("report"), through: CheckpointId(2), held: Vec::new() }),
        [Decision::Finish]
    );
}

#[test]
fn a_savepoint_is_copied_when_its_output_is_visible() {
    let a = task("a", 0);
    let mut coordinator = start(std::slice::from_ref(&a));
    assert_eq!(coordinator.on(at(1), Fact::Savepoint { request: "before the upgrade".into() }), [inject(1)]);
    let decisions = coordinator.on(at(1), ack(1, &a, handed(5, vec![], &["one"])));
    assert_eq!(written(&decisions).1.kind, Kind::Savepoint);
    assert_eq!(coordinator.on(at(2), wrote(1, Written::Committed)).len(), 3);
    let decisions = coordinator.on(at(3), Fact::MadeVisible { sink: node("report"), through: CheckpointId(1), held: Vec::new() });
    let [Decision::CopySavepoint { request, manifest }] = &decisions[..] else { panic!("{decisions:?}") };
    assert!(manifest.pending.is_empty() && manifest.id == CheckpointId(1));
    let copied = Fact::SavepointCopied { request: request.clone(), result: Ok(()) };
    let answer = Decision::Answer { request: "before the upgrade".into(), result: Ok(CheckpointId(1)) };
    assert_eq!(coordinator.on(at(4), copied), [answer]);
    assert_eq!(coordinator.wake_at(), Some(Duration::from_secs(11)));
}

#[test]
fn a_stop_is_tried_again_when_its_checkpoint_fails_and_finishes_after_its_savepoint() {
    let a = task("a", 0);
    let mut coordinator = start(std::slice::from_ref(&a));
    let last = |id| Decision::Inject { id: CheckpointId(id), last: true };
    assert_eq!(coordinator.on(at(1), Fact::Stop { savepoint: Some("s".into()) }), [last(1)]);
    let decline = Fact::Declined { id: CheckpointId(1), task: a.clone(), pending: BTreeMap::new(), reason: "no".into() };
    let decisions = coordinator.on(at(2), decline);
    assert!(matches!(&decisions[..], [Decision::Abort { .. }, Decision::Inject { id: CheckpointId(2), last: true }]), "{decisions:?}");
    coordinator.on(at(3), ack(2, &a, handed(5, vec![], &[])));
    let decisions = coordinator.on(at(4), wrote(2, Written::Committed));
    assert!(matches!(&decisions[..], [.., Decision::CopySavepoint { .. }]), "{decisions:?}");
    let late = coordinator.on(at(5), Fact::Savepoint { request: "late".into() });
    assert!(matches!(&late[..], [Decision::Answer { result: Err(_), .. }]), "{late:?}");
    let decisions = coordinator.on(at(6), Fact::SavepointCopied { request: "s".into(), result: Ok(()) });
    assert!(matches!(&decisions[..], [Decision::Answer { result: Ok(CheckpointId(2)), .. }, Decision::Finish]), "{decisions:?}");
}

#[test]
fn a_pause_is_kept_between_checkpoints_that_take_long() {
    let settings = CheckpointSettings { min_pause: Duration::from_secs(5), ..SETTINGS() };
    let a = task("a", 0);
    let mut coordinator = start_with(settings, std::slice::from_ref(&a));
    coordinator.on(at(10), Fact::Tick);
    coordinator.on(at(19), ack(1, &a, HandOver::default()));
    assert_eq!(coordinator.on(at(19), wrote(1, Written::Committed)).len(), 2);
    assert_eq!(coordinator.on(at(23), Fact::Savepoint { request: "s".into() }), []);
    assert_eq!(coordinator.wake_at(), Some(Duration::from_secs(24)));
    assert_eq!(coordinator.on(at(24), Fact::Tick), [inject(2)]);
}

#[test]
fn a_subtask_that_says_less_than_it_must_fails_the_job() {
    let storage = memory();
    let a = task("a", 0);
    let mut coordinator = start(std::slice::from_ref(&a));
    coordinator.on(at(10), Fact::Tick);
    let file = state_file(&storage, 1, 1, &[(3, Part::Base, b"x")]);
    coordinator.on(at(10), ack(1, &a, handed(1, vec![file], &[])));
    coordinator.on(at(10), wrote(1, Written::Committed));
    coordinator.on(at(20), Fact::Tick);
    let decisions = coordinator.on(at(20), ack(2, &a, HandOver::default()));
    assert!(matches!(&decisions[..], [Decision::Fail { reason }] if reason.contains("totals")), "{decisions:?}");
}
