//! Carries out what the coordinator decides: sends barriers, writes manifests, makes output visible, deletes garbage. Runs on the I/O runtime.

use crate::checkpoints::CheckpointSpec;
use crate::checkpoints::followers::Followers;
use crate::checkpoints::participant::{Outcomes, Shared};
use crate::checkpoints::savepoints::{Asked, Request};
use crate::clock::{Clock, SystemClock};
use crate::error::JobError;
use crate::job::Stop;
use crate::metrics::CheckpointCounters;
use crate::wiring::{Committing, Wired};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stygian_api::{CommitError, CommitPoint, CommitRecord, Committer, ConnectorError, Merged, Pending, with_causes};
use stygian_checkpoint::{
    AttemptId, CheckpointError, CheckpointStorage, CommitOutcome, Coordinator, Decision, Digest, Fact, Garbage, InUse, Manifest, Moment,
    OperatorPlugins, Written,
};
use stygian_core::kill_point::kill_point;
use stygian_core::{CheckpointId, OperatorId};
use tokio::sync::mpsc;

/// What the coordinator wants of a source's subtask: a barrier, here and now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceCommand {
    pub(crate) id: CheckpointId,
    /// Nothing is to be read behind it.
    pub(crate) last: bool,
}

/// Barriers that a source may have before it. There are never more than checkpoints that may fail in a row.
pub(crate) const COMMANDS: usize = 256;

/// Facts that may wait.
pub(crate) const FACTS: usize = 64;

/// The coordinator, and all that it decides about.
pub(crate) struct Coordination {
    coordinator: Coordinator,
    storage: Arc<CheckpointStorage>,
    commit_point: Option<Arc<dyn CommitPoint>>,
    attempt: AttemptId,
    /// Plugins of this run, which must not be taken for garbage.
    plugins: BTreeSet<Digest>,
    retained: NonZeroU16,
    outcomes: Arc<Outcomes>,
    facts: mpsc::Receiver<Fact>,
    requests: mpsc::Receiver<Request>,
    asked: Asked,
    counters: CheckpointCounters,
    sources: Vec<mpsc::Sender<SourceCommand>>,
    committers: BTreeMap<OperatorId, Commits>,
    followers: Followers,
    stop: Stop,
    began: Instant,
    /// Another process has the job.
    fenced: bool,
}

/// A sink's committer, and what it has to make visible.
struct Commits {
    /// Not there while it is at work.
    idle: Option<Box<dyn Committer>>,
    waiting: VecDeque<Commit>,
}

/// What is to be made visible after one checkpoint.
struct Commit {
    through: CheckpointId,
    outputs: Vec<Pending>,
    /// Nothing may be held back.
    release: bool,
}

impl Commits {
    fn new(committer: Box<dyn Committer>) -> Self {
        Self { idle: Some(committer), waiting: VecDeque::new() }
    }
}

/// Something that was carried out.
enum Done {
    Wrote(CheckpointId, Written),
    Copied { request: String, result: Result<(), String> },
    Visible { sink: OperatorId, committer: Box<dyn Committer>, through: CheckpointId, result: Result<Vec<Pending>, ConnectorError> },
    Collected(Result<Garbage, CheckpointError>),
}

/// What becomes of the run after a decision.
enum Next {
    GoOn,
    Finished,
}

impl Coordination {
    /// The coordination of a job that is wired and recovered. Takes its committers.
    pub(crate) fn new(
        spec: CheckpointSpec,
        shared: Shared,
        facts: mpsc::Receiver<Fact>,
        requests: mpsc::Receiver<Request>,
        wired: &mut Wired,
        stop: Stop,
    ) -> Self {
        let CheckpointSpec { storage, settings, commit_point, attempt, plugins, restore, .. } = spec;
        let digests = plugins.values().flat_map(OperatorPlugins::all).map(|plugin| plugin.digest.clone()).collect();
        let committers: BTreeMap<OperatorId, Commits> = std::mem::take(&mut wired.committers)
            .into_iter()
            .map(|Committing { node, committer, .. }| (node, Commits::new(committer)))
            .collect();
        let (began, moment) = (Instant::now(), Moment { since_start: Duration::ZERO, wall_micros: 0 });
        let mut coordinator = Coordinator::new(settings, attempt, wired.participants.clone(), plugins, restore.base.clone(), moment);
        // Recovery has made visible what was pending.
        for sink in restore.base.pending.keys() {
            let decided = coordinator.on(moment, Fact::MadeVisible { sink: sink.clone(), through: restore.base.id, held: Vec::new() });
            debug_assert!(decided.is_empty(), "nothing is due at the start");
        }
        Self {
            coordinator,
            storage,
            commit_point,
            attempt,
            plugins: digests,
            retained: settings.retained,
            outcomes: shared.outcomes,
            facts,
            requests,
            asked: Asked::default(),
            counters: wired.metrics.checkpoints(),
            sources: std::mem::take(&mut wired.commands),
            committers,
            followers: Followers::of(wired.sources.iter().map(|(_, reading)| (&reading.node, &reading.source))),
            stop,
            began,
            fenced: false,
        }
    }

    /// Runs until everything is committed and visible and nothing more will come.
    pub(crate) async fn run(mut self) -> Result<(), JobError> {
        let mut work = FuturesUnordered::<BoxFuture<'static, Done>>::new();
        let mut stopping = false;
        loop {
            let stop = self.stop.clone();
            let wake = self.coordinator.wake_at().map(|at| self.began + at);
            let fact = tokio::select! {
                Some(fact) = self.facts.recv() => fact,
                Some(done) = work.next(), if !work.is_empty() => match self.done(done, &work)? {
                    Some(fact) => fact,
                    None => Fact::Tick,
                },
                Some(request) = self.requests.recv() => {
                    let last = request.last;
                    let request = self.asked.take(request);
                    if last && !stop.request_checkpoint() {
                        self.asked.answer(&request, Err("the job is draining already, and its last checkpoint is no savepoint".to_owned()));
                        Fact::Tick
                    } else if last {
                        stopping = true;
                        Fact::Stop { savepoint: Some(request) }
                    } else {
                        Fact::Savepoint { request }
                    }
                }
                () = stop.requested(), if !stopping => {
                    stopping = true;
                    // A stop that counts as the end of the data ends the tasks, which say so themselves.
                    if stop.drains() { Fact::Tick } else { Fact::Stop { savepoint: None } }
                }
                () = sleep_until(wake) => Fact::Tick,
            };
            // Before an acknowledgement, with which the manifest may be made; after what tells that the parts are held back.
            let mut facts = self.take_merged();
            let at = if matches!(fact, Fact::MadeVisible { .. }) { 0 } else { facts.len() };
            facts.insert(at, fact);
            for fact in facts {
                if let Next::Finished = self.tell(fact, &work)? {
                    self.followers.finish().await;
                    return Ok(());
                }
            }
        }
    }

    fn tell(&mut self, fact: Fact, work: &FuturesUnordered<BoxFuture<'static, Done>>) -> Result<Next, JobError> {
        for decision in self.coordinator.on(self.now(), fact) {
            if let Next::Finished = self.carry_out(decision, work)? {
                return Ok(Next::Finished);
            }
        }
        Ok(Next::GoOn)
    }

    /// What committers have merged meanwhile, for the checkpoint at hand. One that is at work is asked the next time.
    fn take_merged(&mut self) -> Vec<Fact> {
        if !self.coordinator.takes_merged() {
            return Vec::new();
        }
        let idle = self.committers.iter_mut().filter_map(|(sink, commits)| Some((sink, commits.idle.as_mut()?)));
        idle.flat_map(|(sink, committer)| {
            let words = |parts: Vec<Pending>| parts.into_iter().map(|part| part.0).collect();
            let merged = committer.take_merged().into_iter();
            merged.map(move |Merged { parts, into }| Fact::Merged { sink: sink.clone(), parts: words(parts), into: into.0 })
        })
        .collect()
    }

    fn now(&self) -> Moment {
        Moment { since_start: self.began.elapsed(), wall_micros: SystemClock.now() }
    }

    fn carry_out(&mut self, decision: Decision, work: &FuturesUnordered<BoxFuture<'static, Done>>) -> Result<Next, JobError> {
        match decision {
            Decision::Inject { id, last } => {
                kill_point("barrier");
                for source in &self.sources {
                    if let Err(mpsc::error::TrySendError::Full(_)) = source.try_send(SourceCommand { id, last }) {
                        return Err(JobError::Checkpoint(format!("a source has {COMMANDS} barriers before it and takes none")));
                    }
                }
            }
            Decision::Abort { id, reason } => {
                self.counters.failed();
                tracing::warn!(checkpoint = id.0, "the checkpoint was given up: {reason}");
            }
            Decision::Write { skipped, manifest } => {
                work.push(write(self.storage.clone(), self.commit_point.clone(), skipped, manifest));
            }
            Decision::Committed { id, took } => {
                tracing::debug!(checkpoint = id.0, "committed");
                let (before, committed) = (self.outcomes.committed(), self.coordinator.committed().clone());
                self.counters.committed(took, &before, &committed);
                self.followers.tell(&committed);
                self.outcomes.commit(committed);
            }
            Decision::MakeVisible { sink, through, outputs, release } => {
                let outputs = outputs.into_iter().map(Pending).collect();
                if let Some(commits) = self.committers.get_mut(&sink) {
                    commits.waiting.push_back(Commit { through, outputs, release });
                    commits.go_on(&sink, work);
                }
            }
            Decision::CollectGarbage { committed } => {
                let (storage, attempt, retained) = (self.storage.clone(), self.attempt, self.retained);
                let in_use = InUse { plugins: self.plugins.clone(), checkpoints: self.coordinator.savepoints().collect() };
                work.push(Box::pin(async move { Done::Collected(storage.collect_garbage(committed, attempt, retained, &in_use).await) }));
            }
            Decision::CopySavepoint { request, manifest } => match self.asked.target(&request) {
                Some(to) => work.push(copy(self.storage.clone(), request, manifest, to)),
                None => return Err(JobError::Checkpoint(format!("savepoint `{request}` was never asked for"))),
            },
            Decision::Answer { request, result } => self.asked.answer(&request, result),
            Decision::Finish => return Ok(Next::Finished),
            Decision::Fail { reason } if self.fenced => return Err(JobError::Fenced(reason)),
            Decision::Fail { reason } => return Err(JobError::Checkpoint(reason)),
        }
        Ok(Next::GoOn)
    }

    /// What something that was carried out is to the coordinator.
    fn done(&mut self, done: Done, work: &FuturesUnordered<BoxFuture<'static, Done>>) -> Result<Option<Fact>, JobError> {
        match done {
            Done::Wrote(id, outcome) => {
                self.fenced |= matches!(outcome, Written::Fenced(_));
                Ok(Some(Fact::Wrote { id, outcome }))
            }
            Done::Visible { sink, committer, through, result } => {
                let held = result.map_err(|source| JobError::Sink { sink: sink.clone(), source })?;
                kill_point("visible");
                if let Some(commits) = self.committers.get_mut(&sink) {
                    commits.idle = Some(committer);
                    commits.go_on(&sink, work);
                }
                Ok(Some(Fact::MadeVisible { sink, through, held: held.into_iter().map(|held| held.0).collect() }))
            }
            Done::Copied { request, result } => Ok(Some(Fact::SavepointCopied { request, result })),
            Done::Collected(Err(error)) => {
                tracing::warn!("old checkpoints could not be deleted, which is tried again after the next one: {}", with_causes(&error));
                Ok(None)
            }
            Done::Collected(Ok(_)) => Ok(None),
        }
    }
}

impl Commits {
    fn go_on(&mut self, sink: &OperatorId, work: &FuturesUnordered<BoxFuture<'static, Done>>) {
        if self.waiting.is_empty() {
            return;
        }
        if let Some(mut committer) = self.idle.take()
            && let Some(Commit { through, outputs, release }) = self.waiting.pop_front()
        {
            let sink = sink.clone();
            work.push(Box::pin(async move {
                let result =
                    if release { committer.commit(&outputs).await.map(|()| Vec::new()) } else { committer.commit_or_hold(&outputs).await };
                Done::Visible { sink, committer, through, result }
            }));
        }
    }
}

fn write(
    storage: Arc<CheckpointStorage>,
    point: Option<Arc<dyn CommitPoint>>,
    skipped: Vec<Manifest>,
    manifest: Box<Manifest>,
) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        let outcome = match (storage.commit(&skipped, &manifest).await, point) {
            (CommitOutcome::Committed, Some(point)) => record(&*point, &manifest).await,
            (outcome, _) => outcome.written(),
        };
        Done::Wrote(manifest.id, outcome)
    })
}

/// The manifest is there; what makes it count is outside.
async fn record(point: &dyn CommitPoint, manifest: &Manifest) -> Written {
    kill_point("transaction-open");
    let record = CommitRecord { job: manifest.uuid.to_string(), checkpoint: manifest.id.0 };
    let outcome = match point.commit(&record).await {
        Ok(()) => Written::Committed,
        Err(error @ CommitError::Fenced(_)) => Written::Fenced(format!("{}: {}", point.name(), with_causes(&error))),
        Err(error @ CommitError::Unknown(_)) => {
            let text = format!("{}: {}", point.name(), with_causes(&error));
            tracing::warn!(checkpoint = manifest.id.0, "the commit is tried again: {text}");
            Written::Unknown(text)
        }
        Err(error @ CommitError::Failed(_)) => Written::Lost(format!("{}: {}", point.name(), with_causes(&error))),
    };
    kill_point("transaction-committed");
    outcome
}

fn copy(storage: Arc<CheckpointStorage>, request: String, manifest: Box<Manifest>, to: Arc<CheckpointStorage>) -> BoxFuture<'static, Done> {
    Box::pin(async move {
        let copied = storage.copy_savepoint(&manifest, &to).await;
        Done::Copied { request, result: copied.map(|_| ()).map_err(|error| with_causes(&error)) }
    })
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.max(Instant::now() + Duration::from_millis(1)).into()).await,
        None => std::future::pending().await,
    }
}
