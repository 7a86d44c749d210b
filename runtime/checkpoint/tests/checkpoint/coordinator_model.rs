//! The coordinator against a job of several subtasks that acknowledge, fail and end in any order, and a storage that says no at times.

use crate::common::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use stygian_checkpoint::{CheckpointSettings, Coordinator, Decision, Fact, Kind, Manifest, Moment, TaskId, Written};
use stygian_core::{CheckpointId, SplitId};

/// What happens next; subtasks by their number.
#[derive(Clone, Copy, Debug)]
enum Event {
    Acknowledge(usize),
    /// The subtask is behind the barrier and still at storing what it took there.
    Store(usize),
    /// It has stored the first such thing.
    Stored(usize),
    Decline(usize),
    End(usize),
    Seconds(u64),
    Wrote(u8),
    /// The sink is done with what it was given; it may hold some of it back.
    Visible(bool),
    /// The sink has merged two of those that it holds back.
    Merged,
    Savepoint,
}

const TASKS: usize = 3;
/// One hand-over of so many has no output.
const QUIET: u64 = 3;

struct Job {
    coordinator: Coordinator,
    now: Moment,
    /// Barriers on their way to each subtask.
    barriers: Vec<Vec<CheckpointId>>,
    /// The last one behind which each subtask is.
    passed: [CheckpointId; TASKS],
    /// What each subtask is storing.
    storing: [VecDeque<Fact>; TASKS],
    ended: [bool; TASKS],
    /// How far each subtask has read; it reads one more before every hand-over, and finishes one output at most of them.
    read: [u64; TASKS],
    /// What each hand-over said: the offset of a subtask at a barrier.
    said: BTreeMap<(usize, CheckpointId), u64>,
    writing: Option<Manifest>,
    committed: Manifest,
    handed: Vec<String>,
    /// What the sink was given and is at.
    at_work: Vec<String>,
    /// It may hold nothing back.
    release: bool,
    held: Vec<String>,
    given: Vec<String>,
    visible: CheckpointId,
    /// Savepoints that have just been copied.
    copied: Vec<String>,
    over: Option<Decision>,
}

fn me(of: usize) -> TaskId {
    task("all", u16::try_from(of).expect("small"))
}

impl Job {
    fn new() -> Self {
        let settings = CheckpointSettings { tolerated_failures: 5, min_pause: Duration::from_secs(1), ..CheckpointSettings::default() };
        let first = empty(0, 1);
        let coordinator = Coordinator::new(settings, attempt(1), (0..TASKS).map(me).collect(), BTreeMap::new(), first.clone(), at(0));
        Self {
            coordinator,
            now: at(0),
            barriers: vec![Vec::new(); TASKS],
            passed: [CheckpointId(0); TASKS],
            storing: Default::default(),
            ended: [false; TASKS],
            read: [0; TASKS],
            said: BTreeMap::new(),
            writing: None,
            committed: first,
            handed: Vec::new(),
            at_work: Vec::new(),
            release: false,
            held: Vec::new(),
            given: Vec::new(),
            visible: CheckpointId(0),
            copied: Vec::new(),
            over: None,
        }
    }

    fn hand_over(&mut self, of: usize) -> stygian_checkpoint::HandOver {
        let quiet = (self.read[of] + 1).is_multiple_of(QUIET);
        self.hand_over_with(of, !quiet)
    }

    fn hand_over_with(&mut self, of: usize, output: bool) -> stygian_checkpoint::HandOver {
        self.read[of] += 1;
        let name = format!("{of}-{}", self.read[of]);
        let outputs: &[&str] = if output { &[&name] } else { &[] };
        let mut handed = handed(self.read[of], vec![], outputs);
        handed.sources.values_mut().flatten().for_each(|split| split.split = SplitId::new(of.to_string()));
        self.handed.extend(outputs.iter().map(|output| (*output).to_owned()));
        handed
    }

    /// The subtask passes its next barrier.
    fn pass(&mut self, of: usize) -> CheckpointId {
        self.passed[of] = self.barriers[of].remove(0);
        self.passed[of]
    }

    fn happen(&mut self, event: Event) {
        let fact = match event {
            Event::Acknowledge(of) if !self.barriers[of].is_empty() && !self.ended[of] => {
                let id = self.pass(of);
                let handed = self.hand_over(of);
                self.said.insert((of, id), self.read[of]);
                Fact::Acknowledged { id, task: me(of), handed }
            }
            Event::Store(of) if !self.barriers[of].is_empty() && !self.ended[of] => {
                let id = self.pass(of);
                // What sinks have finished is told at once.
                let handed = self.hand_over_with(of, false);
                self.said.insert((of, id), self.read[of]);
                self.storing[of].push_back(Fact::Acknowledged { id, task: me(of), handed });
                return;
            }
            Event::Stored(of) => match self.storing[of].pop_front() {
                Some(acknowledged) => acknowledged,
                None => return,
            },
            Event::Decline(of) if !self.barriers[of].is_empty() && !self.ended[of] => {
                let id = self.pass(of);
                let pending = self.hand_over(of).pending;
                Fact::Declined { id, task: me(of), pending, reason: "no".into() }
            }
            Event::End(of) if !self.ended[of] => {
                self.ended[of] = true;
                let first = CheckpointId(self.passed[of].max(self.committed.id).0 + 1);
                Fact::Ended { task: me(of), first, handed: self.hand_over(of) }
            }
            Event::Seconds(seconds) => {
                self.now.since_start += Duration::from_secs(seconds);
                Fact::Tick
            }
            Event::Wrote(how) if self.writing.is_some() => {
                let outcome = match how {
                    0 => Written::NotWritten("no".into()),
                    1 => Written::Unknown("who knows".into()),
                    _ => Written::Committed,
                };
                let Some(manifest) = self.writing.take() else { return };
                let id = manifest.id;
                match &outcome {
                    Written::Committed => self.committed = manifest,
                    Written::Unknown(_) => self.writing = Some(manifest),
                    _ => {}
                }
                Fact::Wrote { id, outcome }
            }
            Event::Visible(hold) => self.make_visible(hold),
            // A committer that is at work is not asked.
            Event::Merged if self.coordinator.takes_merged() && self.at_work.is_empty() && self.held.len() > 1 => {
                let rest = self.held.split_off(2);
                let parts = std::mem::replace(&mut self.held, rest);
                Fact::Merged { sink: node("report"), into: word(&parts.join("+")), parts: parts.iter().map(|part| word(part)).collect() }
            }
            Event::Savepoint => Fact::Savepoint { request: "s".into() },
            _ => return,
        };
        let decisions = self.coordinator.on(self.now, fact);
        decisions.into_iter().for_each(|decision| self.decided(decision));
        while let Some(request) = self.copied.pop() {
            let decisions = self.coordinator.on(self.now, Fact::SavepointCopied { request, result: Ok(()) });
            decisions.into_iter().for_each(|decision| self.decided(decision));
        }
    }

    /// The sink makes all visible, or holds back what is not merged yet.
    fn make_visible(&mut self, hold: bool) -> Fact {
        self.held.append(&mut self.at_work);
        let release = std::mem::take(&mut self.release);
        let visible = self.held.extract_if(.., |output| release || !hold || output.contains('+'));
        self.given.extend(visible.flat_map(|output| output.split('+').map(str::to_owned).collect::<Vec<_>>()));
        let held = self.held.iter().map(|output| word(output)).collect();
        Fact::MadeVisible { sink: node("report"), through: self.visible, held }
    }

    fn decided(&mut self, decision: Decision) {
        assert!(self.over.is_none(), "{decision:?} after {:?}", self.over);
        match decision {
            Decision::Inject { id, .. } => {
                assert!(self.writing.is_none() && id > self.committed.id);
                (0..TASKS).filter(|of| !self.ended[*of]).for_each(|of| self.barriers[of].push(id));
            }
            Decision::Write { skipped, manifest } => self.check_manifest(&skipped, *manifest),
            Decision::MakeVisible { outputs, through, release, .. } => {
                let pending: BTreeSet<&str> = names(&self.committed).collect();
                let outputs: Vec<String> = outputs.iter().map(|output| output["to"].as_str().expect("a name").to_owned()).collect();
                let all = outputs.iter().chain(&self.held).chain(&self.at_work);
                assert!(all.clone().all(|output| pending.contains(output.as_str())), "{all:?} are not all in the committed manifest");
                assert_eq!(through, self.committed.id);
                self.at_work.extend(outputs);
                self.release |= release;
                self.visible = through;
            }
            Decision::CopySavepoint { request, manifest } => {
                assert!(manifest.pending.is_empty() && manifest.kind == Kind::Savepoint);
                let saved = |output: &String| self.said_by(output).is_some_and(|id| id <= manifest.id);
                assert!(!self.held.iter().chain(&self.at_work).any(saved), "not all of it is visible");
                self.copied.push(request);
            }
            Decision::Finish | Decision::Fail { .. } => self.over = Some(decision),
            Decision::Abort { .. } | Decision::Committed { .. } | Decision::CollectGarbage { .. } | Decision::Answer { .. } => {}
        }
    }

    /// The checkpoint at whose barrier the last part of an output was finished; `None`: at none, as with its subtask's end.
    fn said_by(&self, output: &str) -> Option<CheckpointId> {
        let part = |part: &str| {
            let (of, number) = part.split_once('-').expect("a dash");
            let (of, number) = (of.parse::<usize>().expect("a number"), number.parse::<u64>().expect("a number"));
            self.said.iter().find(|((by, _), read)| *by == of && **read == number).map(|((_, id), _)| *id)
        };
        output.split('+').map(part).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    fn check_manifest(&mut self, skipped: &[Manifest], manifest: Manifest) {
        let ids: Vec<u64> = skipped.iter().map(|skipped| skipped.id.0).chain([manifest.id.0]).collect();
        assert!(ids.into_iter().eq(self.committed.id.0 + 1..=manifest.id.0), "without a gap");
        let offsets: Vec<u64> = manifest.sources[&node("events")].iter().map(|split| split.offset.0).collect();
        for (of, offset) in offsets.iter().enumerate() {
            let expected = self.said.get(&(of, manifest.id)).copied().unwrap_or(self.read[of]);
            assert_eq!(*offset, expected, "subtask {of} in checkpoint {}", manifest.id);
        }
        // All that was finished up to these offsets and is not known to be visible, and nothing behind them.
        let pending: BTreeSet<String> = names(&manifest).flat_map(|name| name.split('+')).map(str::to_owned).collect();
        assert_eq!(pending.len(), names(&manifest).flat_map(|name| name.split('+')).count(), "none is named twice");
        for output in &self.handed {
            let (of, number) = output.split_once('-').expect("a dash");
            let before = number.parse::<u64>().expect("a number") <= offsets[of.parse::<usize>().expect("a number")];
            assert!(pending.contains(output) || !before || self.given.contains(output), "{output} is lost");
            assert!(!pending.contains(output) || before, "{output} is early");
        }
        if let Some(tried) = &self.writing {
            assert_eq!(*tried, manifest, "the same again");
        }
        self.writing = Some(manifest);
    }
}

fn word(output: &str) -> serde_json::Value {
    serde_json::json!({ "to": output })
}

fn names(manifest: &Manifest) -> impl Iterator<Item = &str> {
    manifest.pending.values().flatten().filter_map(|pending| pending.output["to"].as_str())
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        9 => (0..TASKS).prop_map(Event::Acknowledge),
        3 => (0..TASKS).prop_map(Event::Store),
        3 => (0..TASKS).prop_map(Event::Stored),
        1 => (0..TASKS).prop_map(Event::Decline),
        1 => (0..TASKS).prop_map(Event::End),
        4 => prop_oneof![1_u64..20, Just(700)].prop_map(Event::Seconds),
        4 => (0_u8..8).prop_map(Event::Wrote),
        2 => any::<bool>().prop_map(Event::Visible),
        2 => Just(Event::Merged),
        1 => Just(Event::Savepoint),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1000), ..ProptestConfig::default() })]

    #[test]
    fn every_output_is_made_visible_once_whatever_subtasks_and_storage_do(events in prop::collection::vec(event(), 0..150)) {
        let mut job = Job::new();
        for event in events {
            job.happen(event);
            if job.over.is_some() { break; }
        }
        // From now on all goes well.
        (0..TASKS).for_each(|of| job.happen(Event::End(of)));
        for _ in 0..20 {
            let stored = (0..TASKS).map(Event::Stored);
            stored.chain([Event::Seconds(2), Event::Wrote(7), Event::Visible(true)]).for_each(|event| if job.over.is_none() { job.happen(event); });
        }
        match &job.over {
            Some(Decision::Finish) => {
                let (mut handed, mut given) = (job.handed.clone(), job.given.clone());
                handed.sort();
                given.sort();
                prop_assert_eq!(handed, given);
            }
            Some(Decision::Fail { .. }) => prop_assert!(job.given.len() <= job.handed.len()),
            other => prop_assert!(false, "the job does not end: {other:?}, {:?}", job.coordinator),
        }
    }
}
