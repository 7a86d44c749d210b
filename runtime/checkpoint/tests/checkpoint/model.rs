//! Two processes run one job on one store, are stopped for any time and killed at any point, and only the exclusive creation of manifests
//! stands between them. What must hold all the same: what readers see is the rows of the source, each once, in order.
//!
//! The code under test is the real one: coordinator, storage, recovery, over a store in memory. Every operation of the store is a step
//! before and a step after it; a schedule says whose step is next, and who is killed. The source is the numbers from 0 on, and so is the
//! right output.

use crate::common::*;
use crate::stepped::{SteppedStore, step};
use futures::TryStreamExt;
use object_store::ObjectStore;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::num::NonZeroU16;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use stygian_checkpoint::{
    CheckpointSettings, CheckpointStorage, Coordinator, Decision, Fact, HandOver, InUse, Manifest, Moment, Part, StartFrom, StateReader,
    Written,
};
use stygian_core::{CheckpointId, KeyGroup, Offset, SplitId};

/// Where output goes: finished files under names of one attempt, and what readers see.
#[derive(Debug, Default)]
struct Sink {
    finished: BTreeMap<String, Range<u64>>,
    visible: BTreeMap<String, Range<u64>>,
    /// How often something became visible.
    renames: BTreeMap<String, u32>,
}

impl Sink {
    /// As a committer does: source gone and target there is done; both gone is an error.
    fn rename(&mut self, file: &str) {
        match self.finished.remove(file) {
            Some(rows) => {
                self.visible.insert(file.into(), rows);
                *self.renames.entry(file.into()).or_default() += 1;
            }
            None => assert!(self.visible.contains_key(file), "{file} is lost: {self:#?}"),
        }
    }

    /// The rows that readers see: all of them once, from 0 on.
    fn rows(&self) -> u64 {
        let mut ranges: Vec<_> = self.visible.values().cloned().collect();
        ranges.sort_by_key(|range| range.start);
        let mut next = 0;
        for range in ranges {
            assert_eq!(range.start, next, "rows are lost or doubled: {self:#?}");
            next = range.end;
        }
        next
    }
}

#[derive(Clone)]
struct World {
    store: Arc<SteppedStore>,
    sink: Rc<RefCell<Sink>>,
    /// Every manifest that was created, for ever.
    committed: Rc<RefCell<BTreeMap<CheckpointId, Manifest>>>,
    retained: NonZeroU16,
}

/// What a process is to do at each of its checkpoints.
#[derive(Clone, Copy, Debug)]
enum Act {
    Checkpoint,
    Abort,
    /// The committer has done nothing yet when the next checkpoint begins.
    SlowCommitter,
}

fn file_of(value: &serde_json::Value) -> String {
    value.as_str().expect("a name").to_owned()
}

impl World {
    fn storage(&self) -> CheckpointStorage {
        CheckpointStorage::new(Arc::clone(&self.store) as Arc<dyn ObjectStore>, "model")
    }

    /// This process believes that the manifest is committed.
    fn note(&self, manifest: &Manifest) {
        let mut committed = self.committed.borrow_mut();
        if let Some(other) = committed.insert(manifest.id, manifest.clone()) {
            assert_eq!(other, *manifest, "two manifests of one id");
        }
        // Whoever commits goes on from the one before.
        if let Some(before) = manifest.id.0.checked_sub(1).and_then(|id| committed.get(&CheckpointId(id))) {
            assert!(offset(before) <= offset(manifest), "an offset goes back");
        }
    }

    /// What must hold at every moment, whoever is in the middle of what: readers see each row once and none that the newest manifest does
    /// not know of, and all that the newest manifest needs is there.
    fn check(&self) {
        let visible = self.sink.borrow().rows();
        let store = self.store.inner();
        let list = |folder: &str| block_on(store.list(Some(&folder.into())).try_collect::<Vec<_>>()).expect("listed");
        let Some(newest) = list("checkpoints").into_iter().map(|meta| meta.location).max() else {
            return assert_eq!(visible, 0, "nothing is committed");
        };
        let newest = Manifest::decode(&raw(store, newest.as_ref()), "newest").expect("read");
        assert!(offset(&newest) >= visible, "checkpoint {} is at {}, readers have seen {visible}", newest.id, offset(&newest));
        let files: BTreeSet<String> = list("state").into_iter().filter_map(|meta| meta.location.filename().map(str::to_owned)).collect();
        let gone: Vec<_> = newest.files.keys().filter(|file| !files.contains(file.as_str())).collect();
        assert!(gone.is_empty(), "checkpoint {} needs {gone:?}", newest.id);
        let sink = self.sink.borrow();
        let known = |file: &String| sink.finished.contains_key(file) || sink.visible.contains_key(file);
        let lost: Vec<_> = newest.pending.values().flatten().map(|pending| file_of(&pending.output)).filter(|file| !known(file)).collect();
        assert!(lost.is_empty(), "checkpoint {} has {lost:?} pending", newest.id);
    }
}

fn offset(manifest: &Manifest) -> u64 {
    manifest.sources.get(&node("events")).and_then(|splits| splits.first()).map_or(0, |split| split.offset.0)
}

/// The state is the sum of all rows read, in one key group: the base is a number, each change another one that is added.
/// `None`: another run has taken over and deleted what is no longer needed.
async fn restore_sum(storage: &CheckpointStorage, manifest: &Manifest) -> Option<u64> {
    let mut reader = StateReader::new(storage, manifest.files.clone());
    let mut sum = 0;
    for section in manifest.operators.get(&node("totals")).map_or(&[][..], |state| &state.sections) {
        let bytes = match reader.read(section).await {
            Ok(bytes) => bytes,
            Err(error) => {
                let by = storage.taken_over(manifest.id).await.expect("listed");
                assert!(by.is_some(), "what the newest manifest needs is there: {error}");
                return None;
            }
        };
        let number = u64::from_le_bytes(bytes[..].try_into().expect("eight bytes"));
        sum = if section.part == Part::Base { number } else { sum + number };
    }
    Some(sum)
}

/// One run of the job, from its start until it stops by itself.
async fn run_job(world: World, n: u128, acts: Vec<Act>) {
    let storage = world.storage();
    let Ok(manifest) = storage.take_over(&run(n), &StartFrom::Newest).await else { return };
    world.note(&manifest);
    for pending in manifest.pending.values().flatten() {
        step().await;
        world.sink.borrow_mut().rename(&file_of(&pending.output));
    }
    let mut at = offset(&manifest);
    let Some(mut saved) = restore_sum(&storage, &manifest).await else { return };
    assert_eq!(saved, (0..at).sum::<u64>(), "the state is that of the offset");
    let settings = CheckpointSettings { tolerated_failures: 100, retained: world.retained, ..CheckpointSettings::default() };
    let me = task("all", 0);
    let moment = |seconds| Moment { since_start: Duration::from_secs(seconds), wall_micros: 0 };
    let mut coordinator =
        Coordinator::new(settings, attempt(n), BTreeSet::from([me.clone()]), BTreeMap::new(), manifest.clone(), moment(0));
    coordinator.on(moment(0), Fact::MadeVisible { sink: node("report"), through: manifest.id, held: Vec::new() });
    for (turn, act) in (1..).zip(acts) {
        let now = moment(turn * 1000);
        let Some(Decision::Inject { id, .. }) = coordinator.on(now, Fact::Tick).pop() else { panic!("no barrier") };
        let file = format!("{n}-{id}");
        world.sink.borrow_mut().finished.insert(file.clone(), at..at + 3);
        at += 3;
        step().await;
        if matches!(act, Act::Abort) {
            let pending = BTreeMap::from([(node("report"), vec![file.into()])]);
            coordinator.on(now, Fact::Declined { id, task: me.clone(), pending, reason: "no".into() });
            continue;
        }
        // Garbage of the last checkpoint is collected while the next one is written.
        let last = coordinator.committed().id;
        let none = InUse::default();
        let collecting = storage.collect_garbage(last, attempt(n), world.retained, &none);
        let (handed, _) = futures::join!(hand_over(&storage, id, n, at, saved, &file), collecting);
        let decisions = coordinator.on(now, Fact::Acknowledged { id, task: me.clone(), handed });
        let Some(manifest) = write(&world, &storage, &mut coordinator, now, decisions).await else { return };
        saved = (0..at).sum();
        make_visible(&world, &mut coordinator, now, act, &manifest).await;
    }
}

async fn hand_over(storage: &CheckpointStorage, id: CheckpointId, n: u128, at: u64, saved: u64, file: &str) -> HandOver {
    let sum: u64 = (0..at).sum();
    let mut writer = storage.write_state(id, attempt(n));
    // The first time, and now and then, as a base.
    let (part, number) = if saved == 0 || id.0.is_multiple_of(4) { (Part::Base, sum) } else { (Part::Change, sum - saved) };
    writer.begin(node("totals"), name("keyed"), KeyGroup(0), part);
    writer.write(&number.to_le_bytes()).await.expect("written");
    let file_written = writer.finish().await.expect("written").expect("a file");
    let mut handed = handed(at, vec![file_written], &[]);
    handed.sources.values_mut().flatten().for_each(|split| (split.split, split.offset) = (SplitId::new("0"), Offset(at)));
    handed.pending = BTreeMap::from([(node("report"), vec![file.into()])]);
    handed
}

/// Commits; `None`: the run is over.
async fn write(
    world: &World,
    storage: &CheckpointStorage,
    coordinator: &mut Coordinator,
    mut now: Moment,
    mut decisions: Vec<Decision>,
) -> Option<Manifest> {
    for _ in 0..50 {
        let Some(Decision::Write { skipped, manifest }) = decisions.pop() else { return None };
        let outcome = storage.commit(&skipped, &manifest).await.written();
        if outcome == Written::Committed {
            world.note(&manifest);
        }
        let committed = outcome == Written::Committed;
        decisions = coordinator.on(now, Fact::Wrote { id: manifest.id, outcome });
        if committed {
            return Some(*manifest);
        }
        now.since_start += Duration::from_secs(5);
        decisions.extend(coordinator.on(now, Fact::Tick));
    }
    None
}

async fn make_visible(world: &World, coordinator: &mut Coordinator, now: Moment, act: Act, manifest: &Manifest) {
    if matches!(act, Act::SlowCommitter) {
        return;
    }
    for pending in manifest.pending.values().flatten() {
        step().await;
        world.sink.borrow_mut().rename(&file_of(&pending.output));
    }
    coordinator.on(now, Fact::MadeVisible { sink: node("report"), through: manifest.id, held: Vec::new() });
}

type Process = Pin<Box<dyn Future<Output = ()>>>;

/// Whose step it is, and whether that one is killed instead.
#[derive(Clone, Debug)]
struct Turn {
    process: usize,
    steps: usize,
    kill: bool,
}

fn simulate(turns: &[Turn], acts: &[Vec<Act>], retained: u16, faults: u64) {
    let store = Arc::new(SteppedStore::new(faults));
    let retained = NonZeroU16::new(retained).expect("some");
    let world = World { store: Arc::clone(&store), sink: Rc::default(), committed: Rc::default(), retained };
    let mut started = 0;
    let mut start = || -> Process {
        started += 1;
        Box::pin(run_job(world.clone(), started as u128, acts[started % acts.len()].clone()))
    };
    let mut processes = [start(), start()];
    let mut context = Context::from_waker(Waker::noop());
    for turn in turns {
        let process = &mut processes[turn.process];
        for _ in 0..turn.steps {
            if process.as_mut().poll(&mut context).is_ready() {
                *process = start();
            }
        }
        if turn.kill {
            *process = start();
        }
        world.check();
    }
    // A last run, alone and without faults: everything that was committed becomes visible.
    drop(processes);
    store.stop_faults();
    block_on(store.arrive());
    let mut last: Process = Box::pin(run_job(world.clone(), u128::MAX, vec![Act::Checkpoint, Act::Checkpoint]));
    let done = (0..100_000).any(|_| matches!(last.as_mut().poll(&mut context), Poll::Ready(())));
    assert!(done, "the last run comes to its end");
    let committed = world.committed.borrow();
    let newest = committed.values().next_back().expect("something was committed");
    assert_eq!(world.sink.borrow().rows(), offset(newest));
    assert!(offset(newest) >= 6, "the last run went on");
    assert!(world.sink.borrow().renames.values().all(|times| *times == 1), "{:#?}", world.sink.borrow());
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = (0_usize..2, prop_oneof![1_usize..6, 1_usize..60], prop::bool::weighted(0.1));
    prop::collection::vec(turn.prop_map(|(process, steps, kill)| Turn { process, steps, kill }), 1..60)
}

fn acts() -> impl Strategy<Value = Vec<Vec<Act>>> {
    let act = prop_oneof![4 => Just(Act::Checkpoint), 1 => Just(Act::Abort), 1 => Just(Act::SlowCommitter)];
    prop::collection::vec(prop::collection::vec(act, 0..8), 4)
}

proptest! {
    // Or as many as `PROPTEST_CASES` says.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), ..ProptestConfig::default() })]

    #[test]
    fn two_processes_that_are_killed_anywhere_lose_and_double_nothing(turns in turns(), acts in acts(), retained in 1_u16..3) {
        simulate(&turns, &acts, retained, 0);
    }

    #[test]
    fn nor_do_they_when_the_store_says_no_and_means_yes(turns in turns(), acts in acts(), retained in 1_u16..3, faults in 1_u64..) {
        simulate(&turns, &acts, retained, faults);
    }
}
