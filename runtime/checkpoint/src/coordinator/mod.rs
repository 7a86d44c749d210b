//! The coordinator of a run's checkpoints: facts in, decisions out. Pure; time comes in with every fact.
//!
//! One checkpoint at a time: barriers are injected, every subtask hands over what it has, the manifest is written, and when it is committed
//! the committers make visible what was finished before the barriers. The next one does not begin before that manifest is settled, so
//! n + 1 is committed only after n. Invariants:
//! - What a sink has finished is in every manifest from the first one committed after it until its committer has confirmed it; also
//!   what was finished for a checkpoint that was aborted, for its rows are before every later barrier.
//! - What a committer holds back stays in every manifest, until it is visible or what it was merged into is in the manifest in its place. A
//!   job ends, and a savepoint is copied, with nothing held back.
//! - Nothing is made visible before the manifest that holds it is committed.
//! - An id is never used twice: that of an aborted checkpoint is filled (see [`Kind::Skipped`]) when the next manifest is written.
//! - A manifest of which it is not known whether it was written is tried again or ends the run; it is never passed over.
//!
//! Who carries out decisions reports every outcome as a fact; one whose report never comes ends in the timeout.

mod facts;
mod pending;
mod phase;

pub use facts::{Decision, Fact, Moment, Written};

use crate::handover::{self, HandOver, Outputs, Stamp, TaskId};
use crate::manifest::{Kind, Manifest, OperatorPlugins, PendingOutput};
use crate::names::AttemptId;
use crate::settings::CheckpointSettings;
use pending::PendingOutputs;
use phase::{Collecting, Phase, Savepoint, Stop, Writing};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use stygian_core::{CheckpointId, OperatorId};

/// How long to wait before a write of unknown outcome is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// See the module's text.
#[derive(Debug)]
pub struct Coordinator {
    settings: CheckpointSettings,
    attempt: AttemptId,
    tasks: BTreeSet<TaskId>,
    plugins: BTreeMap<OperatorId, OperatorPlugins>,
    /// The last committed manifest.
    last: Manifest,
    next_id: CheckpointId,
    phase: Phase,
    /// When the next checkpoint begins by itself.
    due: Duration,
    /// No checkpoint begins before, whoever asks for it.
    not_before: Duration,
    failures: u32,
    /// What ended subtasks have. Their outputs are moved out at once, their files when they are committed.
    ended: BTreeMap<TaskId, HandOver>,
    /// Ended subtasks whose last hand-over is in no committed manifest.
    uncommitted: BTreeSet<TaskId>,
    outputs: PendingOutputs,
    /// Savepoints asked for, not begun.
    requests: Vec<String>,
    stop: Stop,
    savepoints: Vec<Savepoint>,
}

impl Coordinator {
    /// The coordinator of a run with these subtasks; `plugins` says what each operator runs. `committed` is what the run was restored from
    /// ([`crate::RestorePlan::base`]); its pending outputs were given to the committers, and [`Fact::MadeVisible`] is still to be told of
    /// each sink that has some. The first checkpoint begins an interval after `now`.
    pub fn new(
        settings: CheckpointSettings,
        attempt: AttemptId,
        tasks: BTreeSet<TaskId>,
        plugins: BTreeMap<OperatorId, OperatorPlugins>,
        committed: Manifest,
        now: Moment,
    ) -> Self {
        Self {
            settings,
            attempt,
            tasks,
            plugins,
            next_id: CheckpointId(committed.id.0 + 1),
            phase: Phase::Resting,
            due: now.since_start + settings.interval,
            not_before: now.since_start,
            failures: 0,
            ended: BTreeMap::new(),
            uncommitted: BTreeSet::new(),
            outputs: PendingOutputs::of(&committed.pending),
            last: committed,
            requests: Vec::new(),
            stop: Stop::No,
            savepoints: Vec::new(),
        }
    }

    /// The last committed checkpoint.
    pub fn committed(&self) -> &Manifest {
        &self.last
    }

    /// Whether what a committer has merged can be in the checkpoint at hand ([`Fact::Merged`]). Not in one by which all of it becomes visible (the last,
    /// and savepoints): what is visible is named by two checkpoints, so that the job can go on from the one before the newest, too.
    pub fn takes_merged(&self) -> bool {
        matches!(&self.phase, Phase::Collecting(collecting) if !collecting.last && collecting.requests.is_empty())
    }

    /// Committed savepoints that are not copied yet: what they need must stay.
    pub fn savepoints(&self) -> impl Iterator<Item = CheckpointId> + '_ {
        self.savepoints.iter().map(|savepoint| savepoint.manifest.id)
    }

    /// When to say [`Fact::Tick`], if nothing else happens before; `None`: no need.
    pub fn wake_at(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Over => None,
            Phase::Collecting(collecting) => Some(collecting.began + self.settings.timeout),
            Phase::Writing(writing) => Some(writing.retry_at.into_iter().fold(writing.since + self.settings.timeout, Duration::min)),
            Phase::Resting if self.is_ending() && !self.owes_a_last() => None,
            Phase::Resting if self.is_urgent() => Some(self.not_before),
            Phase::Resting => Some(self.due.max(self.not_before)),
        }
    }

    /// Takes a fact; the decisions are to be carried out in order.
    pub fn on(&mut self, now: Moment, fact: Fact) -> Vec<Decision> {
        let mut out = Vec::new();
        if !matches!(self.phase, Phase::Over) {
            self.take(now, fact, &mut out);
            self.look_at_the_clock(now.since_start, &mut out);
            self.go_on(now, &mut out);
        }
        out
    }

    fn take(&mut self, now: Moment, fact: Fact, out: &mut Vec<Decision>) {
        match fact {
            Fact::Tick => {}
            Fact::Acknowledged { id, task, handed } => self.acknowledged(id, task, handed, out),
            Fact::Declined { id, task, pending, reason } => self.declined(now.since_start, id, &task, pending, &reason, out),
            Fact::Ended { task, first, handed } => self.task_ended(task, first, handed),
            Fact::Wrote { id, outcome } => self.wrote(now.since_start, id, outcome, out),
            Fact::MadeVisible { sink, through, held } => self.outputs.confirm(&sink, through, &held),
            Fact::Merged { sink, parts, into } => self.merged(&sink, &parts, into, out),
            Fact::Savepoint { request } => self.requests.push(request),
            Fact::Stop { savepoint } => {
                self.requests.extend(savepoint);
                if self.stop == Stop::No {
                    self.stop = Stop::Asked;
                }
            }
            Fact::SavepointCopied { request, result } => {
                if let Some(at) = self.savepoints.iter().position(|savepoint| savepoint.request == request) {
                    let id = self.savepoints.remove(at).manifest.id;
                    out.push(Decision::Answer { request, result: result.map(|()| id) });
                }
            }
        }
    }

    fn acknowledged(&mut self, id: CheckpointId, task: TaskId, mut handed: HandOver, out: &mut Vec<Decision>) {
        if id >= self.next_id {
            return self.fail(format!("{task} has acknowledged checkpoint {id}, which was never begun"), out);
        }
        let outputs = std::mem::take(&mut handed.pending);
        if let Phase::Collecting(collecting) = &mut self.phase
            && collecting.id == id
        {
            if !collecting.waiting.remove(&task) {
                return;
            }
            collecting.handed.insert(task, handed);
        }
        // Also of a checkpoint that was aborted meanwhile: these rows are before every later barrier.
        self.outputs.add(id, outputs);
    }

    fn declined(&mut self, now: Duration, id: CheckpointId, task: &TaskId, pending: Outputs, reason: &str, out: &mut Vec<Decision>) {
        self.outputs.add(id, pending);
        if matches!(&self.phase, Phase::Collecting(collecting) if collecting.id == id) {
            self.give_up(now, &format!("{task} could not store its state: {reason}"), out);
        }
    }

    fn task_ended(&mut self, task: TaskId, first: CheckpointId, mut handed: HandOver) {
        let mut first_in = self.next_id;
        if let Phase::Collecting(collecting) = &mut self.phase
            && collecting.id >= first
            && collecting.waiting.remove(&task)
        {
            first_in = collecting.id;
        }
        self.outputs.add(first_in, std::mem::take(&mut handed.pending));
        self.uncommitted.insert(task.clone());
        self.ended.insert(task, handed);
    }

    fn merged(&mut self, sink: &OperatorId, parts: &[serde_json::Value], into: serde_json::Value, out: &mut Vec<Decision>) {
        // The first one whose manifest is not made yet.
        let id = if let Phase::Collecting(collecting) = &self.phase { collecting.id } else { self.next_id };
        if !self.outputs.replace(sink, parts, PendingOutput { checkpoint: id, output: into }) {
            self.fail(format!("sink `{sink}` has merged what it does not hold back, and its rows would be there twice"), out);
        }
    }

    fn wrote(&mut self, now: Duration, id: CheckpointId, outcome: Written, out: &mut Vec<Decision>) {
        let Phase::Writing(writing) = &mut self.phase else { return };
        if writing.manifest.id != id {
            return;
        }
        match outcome {
            Written::Committed => self.commit(now, out),
            Written::NotWritten(reason) => self.give_up(now, &format!("its manifest could not be written: {reason}"), out),
            Written::Unknown(_) => writing.retry_at = Some(now + RETRY_AFTER),
            Written::Lost(reason) => self.fail(format!("checkpoint {id} could not be committed: {reason}"), out),
            Written::Fenced(by) => self.fail(format!("another process has taken over this job ({by}); this one stops"), out),
        }
    }

    fn commit(&mut self, now: Duration, out: &mut Vec<Decision>) {
        let Phase::Writing(writing) = std::mem::replace(&mut self.phase, Phase::Resting) else { return };
        let id = writing.manifest.id;
        out.push(Decision::Committed { id, took: now.saturating_sub(writing.began) });
        let give = self.outputs.give(id);
        for task in &writing.settles {
            self.uncommitted.remove(task);
            if let Some(handed) = self.ended.get_mut(task) {
                handed.files.clear();
            }
        }
        if writing.last {
            self.stop = Stop::Committed;
        }
        // Also where the tasks came to their ends while this one was made.
        let release = !writing.requests.is_empty() || (self.is_ending() && !self.owes_a_last());
        out.extend(give.into_iter().map(|(sink, outputs)| Decision::MakeVisible { sink, through: id, outputs, release }));
        out.push(Decision::CollectGarbage { committed: id });
        for request in writing.requests {
            self.savepoints.push(Savepoint { request, manifest: writing.manifest.clone(), copying: false });
        }
        self.failures = 0;
        self.last = writing.manifest;
        self.rest(now, writing.began);
    }

    /// The checkpoint at hand has failed.
    fn give_up(&mut self, now: Duration, reason: &str, out: &mut Vec<Decision>) {
        let (id, began, requests, last) = match std::mem::replace(&mut self.phase, Phase::Resting) {
            Phase::Collecting(at) => (at.id, at.began, at.requests, at.last),
            Phase::Writing(at) => (at.manifest.id, at.began, at.requests, at.last),
            phase => {
                self.phase = phase;
                return;
            }
        };
        self.failures += 1;
        if last {
            // A stop is not given up: it is tried again, and its savepoint with it.
            self.requests.splice(0..0, requests);
        } else {
            let answer = |request| Decision::Answer { request, result: Err(reason.to_owned()) };
            out.extend(requests.into_iter().map(answer));
        }
        if self.failures > self.settings.tolerated_failures {
            let (failures, tolerated) = (self.failures, self.settings.tolerated_failures);
            return self.fail(
                format!("checkpoint {id} has failed: {reason}; {failures} in a row have (`checkpoint.tolerated_failures` is {tolerated})"),
                out,
            );
        }
        out.push(Decision::Abort { id, reason: reason.to_owned() });
        self.rest(now, began);
    }

    fn rest(&mut self, now: Duration, began: Duration) {
        self.not_before = now + self.settings.min_pause;
        self.due = (began + self.settings.interval).max(self.not_before);
    }

    fn fail(&mut self, reason: String, out: &mut Vec<Decision>) {
        let running = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Collecting(at) => at.requests,
            Phase::Writing(at) => at.requests,
            Phase::Resting | Phase::Over => Vec::new(),
        };
        self.refuse_requests(running, &reason, out);
        out.push(Decision::Fail { reason });
    }

    fn refuse_requests(&mut self, running: Vec<String>, reason: &str, out: &mut Vec<Decision>) {
        let waiting = std::mem::take(&mut self.requests);
        let copying = std::mem::take(&mut self.savepoints).into_iter().map(|savepoint| savepoint.request);
        let all = running.into_iter().chain(waiting).chain(copying);
        out.extend(all.map(|request| Decision::Answer { request, result: Err(reason.to_owned()) }));
    }

    fn look_at_the_clock(&mut self, now: Duration, out: &mut Vec<Decision>) {
        let timeout = self.settings.timeout;
        match &mut self.phase {
            Phase::Collecting(at) if !at.waiting.is_empty() && now >= at.began + timeout => {
                let some: Vec<String> = at.waiting.iter().take(3).map(ToString::to_string).collect();
                let more = if at.waiting.len() > some.len() { ", ..." } else { "" };
                let waiting = format!("{} of {} subtasks ({}{more})", at.waiting.len(), self.tasks.len(), some.join(", "));
                self.give_up(now, &format!("it took longer than {timeout:?} (`checkpoint.timeout`), waiting for {waiting}"), out);
            }
            Phase::Writing(at) if now >= at.since + timeout => {
                let id = at.manifest.id;
                let reason = "so it is not known whether it is committed; a restart will find out";
                self.fail(
                    format!("the manifest of checkpoint {id} was not written within {timeout:?} (`checkpoint.timeout`), {reason}"),
                    out,
                );
            }
            Phase::Writing(at) if at.retry_at.is_some_and(|retry_at| now >= retry_at) => {
                at.retry_at = None;
                out.push(Decision::Write { skipped: at.skipped.clone(), manifest: Box::new(at.manifest.clone()) });
            }
            _ => {}
        }
    }

    /// Whatever is now possible.
    fn go_on(&mut self, now: Moment, out: &mut Vec<Decision>) {
        self.copy_savepoints(out);
        if matches!(self.phase, Phase::Resting) {
            self.begin_or_finish(now.since_start, out);
        }
        if matches!(&self.phase, Phase::Collecting(collecting) if collecting.waiting.is_empty()) {
            self.write(now, out);
        }
    }

    fn copy_savepoints(&mut self, out: &mut Vec<Decision>) {
        for savepoint in self.savepoints.iter_mut().filter(|savepoint| !savepoint.copying) {
            if !self.outputs.is_making_visible(savepoint.manifest.id) {
                savepoint.copying = true;
                let manifest = Box::new(Manifest { pending: BTreeMap::new(), ..savepoint.manifest.clone() });
                out.push(Decision::CopySavepoint { request: savepoint.request.clone(), manifest });
            }
        }
    }

    /// No rows will follow those that have been.
    fn is_ending(&self) -> bool {
        self.stop == Stop::Committed || self.ended.len() == self.tasks.len()
    }

    /// At the end of all input there is something that no manifest holds.
    fn owes_a_last(&self) -> bool {
        self.ended.len() == self.tasks.len() && (!self.uncommitted.is_empty() || self.outputs.any_uncommitted())
    }

    /// Somebody waits for a checkpoint.
    fn is_urgent(&self) -> bool {
        self.owes_a_last() || self.stop == Stop::Asked || !self.requests.is_empty()
    }

    fn begin_or_finish(&mut self, now: Duration, out: &mut Vec<Decision>) {
        if self.is_ending() && !self.owes_a_last() {
            self.stop = Stop::Committed;
            self.refuse_requests_at_the_end(out);
            if !self.outputs.is_making_visible(self.last.id) && self.savepoints.is_empty() {
                self.phase = Phase::Over;
                out.push(Decision::Finish);
            }
            return;
        }
        if now < self.not_before || (now < self.due && !self.is_urgent()) {
            return;
        }
        let id = self.next_id;
        self.next_id = CheckpointId(id.0 + 1);
        let waiting: BTreeSet<TaskId> = self.tasks.iter().filter(|task| !self.ended.contains_key(*task)).cloned().collect();
        let last = waiting.is_empty() || self.stop == Stop::Asked;
        if !waiting.is_empty() {
            out.push(Decision::Inject { id, last });
        }
        let requests = std::mem::take(&mut self.requests);
        self.phase = Phase::Collecting(Collecting { id, began: now, waiting, handed: BTreeMap::new(), requests, last });
    }

    fn refuse_requests_at_the_end(&mut self, out: &mut Vec<Decision>) {
        let late = std::mem::take(&mut self.requests);
        let answer = |request| Decision::Answer { request, result: Err("the job is ending; its last checkpoint is committed".into()) };
        out.extend(late.into_iter().map(answer));
    }

    /// All have handed over.
    fn write(&mut self, now: Moment, out: &mut Vec<Decision>) {
        let Phase::Collecting(at) = std::mem::replace(&mut self.phase, Phase::Resting) else { return };
        let kind = if at.requests.is_empty() { Kind::Checkpoint } else { Kind::Savepoint };
        let stamp = Stamp { id: at.id, attempt: self.attempt, kind, created_micros: now.wall_micros };
        let ended = self.ended.iter().filter(|(task, _)| !at.handed.contains_key(*task));
        let settles = ended.clone().map(|(task, _)| task.clone()).collect();
        let handed = at.handed.values().chain(ended.map(|(_, handed)| handed));
        let manifest = handover::next_manifest(&self.last, stamp, handed, &self.plugins, self.outputs.until(at.id));
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(reason) => {
                self.requests.splice(0..0, at.requests);
                return self.fail(format!("checkpoint {} cannot be put together: {reason}", at.id), out);
            }
        };
        let skip = |id| self.last.again(CheckpointId(id), self.attempt, Kind::Skipped);
        let skipped: Vec<Manifest> = (self.last.id.0 + 1..at.id.0).map(skip).collect();
        out.push(Decision::Write { skipped: skipped.clone(), manifest: Box::new(manifest.clone()) });
        let (began, requests, last) = (at.began, at.requests, at.last);
        let since = now.since_start;
        self.phase = Phase::Writing(Box::new(Writing { manifest, skipped, began, since, retry_at: None, settles, requests, last }));
    }
}
