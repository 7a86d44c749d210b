//! Keyed state that changes at random, is checkpointed in increments, aborted, and restored at any parallelism: what comes back is what
//! was.

use crate::common::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use stygian_checkpoint::{
    CheckpointSettings, CheckpointStorage, Coordinator, Decision, Fact, GroupHistory, InUse, Part, PlannedJob, PlannedOperator,
    RebasePolicy, StartFrom, StateReader, Write, Written, increments, restore,
};
use stygian_core::{KeyGroup, MaxParallelism, Parallelism};

const GROUPS: u16 = 8;

/// Of each key group, key -> value.
type State = BTreeMap<u16, BTreeMap<u8, u8>>;

#[derive(Clone, Debug)]
enum Event {
    /// A key of a group gets a value, or none.
    Write(u16, u8, Option<u8>),
    Checkpoint,
    /// A checkpoint whose files are written and whose manifest is not.
    Abort,
    /// The process dies, and another goes on with this many subtasks.
    Restart(u16),
}

/// What is known of the keys that changed since the last committed checkpoint: key and value, or key and nothing.
fn encode(values: impl Iterator<Item = (u8, Option<u8>)>) -> Vec<u8> {
    values.flat_map(|(key, value)| [key, u8::from(value.is_some()), value.unwrap_or(0)]).collect()
}

fn apply(bytes: &[u8], part: Part, values: &mut BTreeMap<u8, u8>) {
    if part == Part::Base {
        values.clear();
    }
    for change in bytes.chunks(3) {
        match change {
            [key, 1, value] => values.insert(*key, *value),
            [key, ..] => values.remove(key),
            [] => None,
        };
    }
}

struct Job<'s> {
    storage: &'s CheckpointStorage,
    coordinator: Coordinator,
    n: u128,
    seconds: u64,
    state: State,
    /// What the last committed checkpoint holds.
    saved: State,
    dirty: BTreeSet<(u16, u8)>,
}

fn groups() -> MaxParallelism {
    MaxParallelism::new(GROUPS).expect("a number")
}

impl<'s> Job<'s> {
    fn start(storage: &'s CheckpointStorage, n: u128, parallelism: u16) -> Self {
        let run = stygian_checkpoint::StartingRun { max_parallelism: groups(), ..run(n) };
        let manifest = block_on(storage.take_over(&run, &StartFrom::Newest)).expect("started");
        let operator = PlannedOperator {
            parallelism: Parallelism::new(parallelism).expect("a number"),
            sections: BTreeSet::from([name("keyed")]),
            slots: BTreeMap::new(),
            accumulators: None,
        };
        let job = PlannedJob {
            max_parallelism: groups(),
            operators: BTreeMap::from([(node("totals"), operator)]),
            sources: BTreeSet::from([node("events")]),
            sinks: BTreeSet::new(),
            drop_state: BTreeSet::new(),
        };
        let plan = restore::plan(&manifest, &job).expect("it fits");
        let mut state = State::new();
        for subtask in &plan.operators[&node("totals")] {
            let mut reader = StateReader::new(storage, plan.base.files.clone());
            let all = block_on(reader.read_batch(&subtask.sections)).expect("read");
            for (section, bytes) in subtask.sections.iter().zip(all) {
                apply(&bytes, section.part, state.entry(section.group.0).or_default());
            }
        }
        state.retain(|_, values| !values.is_empty());
        let settings = CheckpointSettings { tolerated_failures: 1000, ..CheckpointSettings::default() };
        let coordinator = Coordinator::new(settings, attempt(n), BTreeSet::from([task("all", 0)]), BTreeMap::new(), plan.base, at(0));
        Self { storage, coordinator, n, seconds: 0, saved: state.clone(), state, dirty: BTreeSet::new() }
    }

    fn write(&mut self, group: u16, key: u8, value: Option<u8>) {
        let values = self.state.entry(group).or_default();
        match value {
            Some(value) => values.insert(key, value),
            None => values.remove(&key),
        };
        self.dirty.insert((group, key));
    }

    fn checkpoint(&mut self, abort: bool) {
        self.seconds += 1000;
        let now = at(self.seconds);
        let Some(Decision::Inject { id, .. }) = self.coordinator.on(now, Fact::Tick).pop() else { panic!("no barrier") };
        let sections = self.coordinator.committed().operators.get(&node("totals")).map_or(&[][..], |state| &state.sections);
        let histories = GroupHistory::of(sections);
        let history = |group: u16| GroupHistory {
            dirty: 3 * self.dirty.range((group, 0)..=(group, u8::MAX)).count() as u64,
            ..histories.get(&(name("keyed"), KeyGroup(group))).copied().unwrap_or_default()
        };
        let policy = RebasePolicy { ratio: 0.5, changes: 3, share: 0.3 };
        let plan = increments::plan(&(0..GROUPS).map(history).collect::<Vec<_>>(), &policy);
        let mut writer = self.storage.write_state(id, attempt(self.n));
        for (group, write) in (0..GROUPS).zip(plan) {
            let none = BTreeMap::new();
            let values = self.state.get(&group).unwrap_or(&none);
            let (part, bytes) = match write {
                Write::Nothing => continue,
                Write::Base => (Part::Base, encode(values.iter().map(|(key, value)| (*key, Some(*value))))),
                Write::Change => {
                    let keys = self.dirty.range((group, 0)..=(group, u8::MAX)).map(|(_, key)| *key);
                    (Part::Change, encode(keys.map(|key| (key, values.get(&key).copied()))))
                }
            };
            writer.begin(node("totals"), name("keyed"), KeyGroup(group), part);
            block_on(writer.write(&bytes)).expect("written");
        }
        let files = block_on(writer.finish()).expect("finished").into_iter().collect();
        let decisions = self.coordinator.on(now, Fact::Acknowledged { id, task: task("all", 0), handed: handed(1, files, &[]) });
        let [Decision::Write { skipped, manifest }] = &decisions[..] else { panic!("{decisions:?}") };
        let outcome = if abort { Written::NotWritten("no".into()) } else { block_on(self.storage.commit(skipped, manifest)).written() };
        self.coordinator.on(now, Fact::Wrote { id, outcome: outcome.clone() });
        if outcome == Written::Committed {
            self.dirty.clear();
            self.saved = self.state.clone();
            let one = std::num::NonZeroU16::MIN;
            let _ = block_on(self.storage.collect_garbage(id, attempt(self.n), one, &InUse::default())).expect("collected");
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0..GROUPS, 0_u8..6, prop::option::weighted(0.7, any::<u8>())).prop_map(|(group, key, value)| Event::Write(group, key, value)),
        4 => Just(Event::Checkpoint),
        1 => Just(Event::Abort),
        1 => (1_u16..10).prop_map(Event::Restart),
    ]
}

proptest! {
    #[test]
    fn what_is_restored_is_what_was_committed(events in prop::collection::vec(event(), 0..120)) {
        let storage = memory();
        let mut job = Job::start(&storage, 1, 1);
        for event in events.into_iter().chain([Event::Checkpoint, Event::Restart(3)]) {
            match event {
                Event::Write(group, key, value) => job.write(group, key, value),
                Event::Checkpoint => job.checkpoint(false),
                Event::Abort => job.checkpoint(true),
                Event::Restart(parallelism) => {
                    let saved = std::mem::take(&mut job.saved).into_iter().filter(|(_, values)| !values.is_empty()).collect::<State>();
                    job = Job::start(&storage, job.n + 1, parallelism);
                    prop_assert_eq!(&job.state, &saved);
                }
            }
        }
        let newest = *block_on(storage.list()).expect("listed").last().expect("one");
        prop_assert!(block_on(storage.verify(newest)).expect("read").is_empty());
    }
}
