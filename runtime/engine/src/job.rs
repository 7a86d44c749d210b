//! A running job: spawns its tasks on two runtimes, watches over them, stops them.
//!
//! Compute threads run subtasks and never wait for anything outside; I/O threads run connectors, so that a slow operator never stalls
//! a connection. Every task's end reaches the job: done, failed, or panicked. The first failure ends all others.

use crate::checkpoints::{self, Coordination, FACTS, Savepoints, Shared, Starting};
use crate::error::JobError;
use crate::metrics::Metrics;
use crate::operator::Dropped;
use crate::spec::{Head, JobSpec};
use crate::wiring::Committing;
use crate::{exchange_task, sink_task, wiring};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The two runtimes of a process.
pub struct Runtimes {
    compute: Runtime,
    /// `None`: the same.
    io: Option<Runtime>,
}

impl Runtimes {
    /// `threads` compute threads (one a core is right), and two for I/O.
    ///
    /// # Errors
    /// When the machine refuses a thread.
    pub fn new(threads: usize) -> Result<Self, JobError> {
        let build = |name: &'static str, threads: usize| {
            let runtime = Builder::new_multi_thread().worker_threads(threads.max(1)).thread_name(name).enable_all().build();
            runtime.map_err(|error| JobError::Runtime(name, error))
        };
        Ok(Self { compute: build("compute", threads)?, io: Some(build("io", 2)?) })
    }

    /// One thread for everything: the caller's, and only while it is in [`Runtimes::block_on`]. `idle` is called when no task has anything to
    /// do, before the thread sleeps. For tests that must know when something is done.
    ///
    /// # Errors
    /// When the machine refuses it.
    pub fn on_one_thread(idle: impl Fn() + Send + Sync + 'static) -> Result<Self, JobError> {
        let runtime = Builder::new_current_thread().on_thread_park(idle).enable_all().build();
        Ok(Self { compute: runtime.map_err(|error| JobError::Runtime("test", error))?, io: None })
    }

    /// Runs a future on the I/O runtime and waits for it.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.io.as_ref().unwrap_or(&self.compute).block_on(future)
    }

    /// The I/O runtime, for what else a process has to do there.
    pub fn io(&self) -> &Handle {
        self.io.as_ref().unwrap_or(&self.compute).handle()
    }

    /// Waits for threads that are busy, also with files that tasks had begun to write when they were ended; at most so long. Whether all are
    /// done. Not to be called from a task.
    pub fn wait(self, most: Duration) -> bool {
        let began = Instant::now();
        self.compute.shutdown_timeout(most);
        if let Some(io) = self.io {
            io.shutdown_timeout(most.saturating_sub(began.elapsed()));
        }
        began.elapsed() < most
    }

    /// Leaves without waiting for threads that are busy.
    pub fn leave(self) {
        self.compute.shutdown_background();
        if let Some(io) = self.io {
            io.shutdown_background();
        }
    }
}

/// A request to stop gracefully: sources stop reading, everything read is worked off, open files are finished. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    requested: CancellationToken,
    /// What a plain request means.
    drain: bool,
    /// How it was requested first, which holds.
    how: Arc<OnceLock<How>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// What is open stays open, and a last checkpoint has it.
    Stop,
    /// As if the input had ended.
    Drain,
}

impl Stop {
    /// A request that has not been made. With `drain`, a stop counts as the end of the data, so that open windows fire.
    pub fn new(drain: bool) -> Self {
        Self { requested: CancellationToken::new(), drain, how: Arc::default() }
    }

    /// Makes the request. One that was made before holds; so with the others.
    pub fn request(&self) {
        self.request_as(if self.drain { How::Drain } else { How::Stop });
    }

    /// Makes the request, and the stop counts as the end of the data. Whether it does: one that was made before holds.
    pub fn request_drain(&self) -> bool {
        self.request_as(How::Drain)
    }

    /// Makes the request, and the stop does not count as the end of the data: a last checkpoint is to have what is open.
    pub(crate) fn request_checkpoint(&self) -> bool {
        self.request_as(How::Stop)
    }

    fn request_as(&self, how: How) -> bool {
        let holds = *self.how.get_or_init(|| how) == how;
        self.requested.cancel();
        holds
    }

    /// Whether it has been made.
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Waits until it is made.
    pub async fn requested(&self) {
        self.requested.cancelled().await;
    }

    pub(crate) fn drains(&self) -> bool {
        self.how.get() == Some(&How::Drain)
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What open windows held when the job was stopped without `drain`.
    pub dropped: Dropped,
}

/// A job whose tasks are running.
pub struct Job {
    tasks: JoinSet<Result<Dropped, JobError>>,
    names: HashMap<Id, String>,
    metrics: Metrics,
    /// The task that coordinates checkpoints: when it is done, everything is.
    coordinator: Option<Id>,
    savepoints: Option<Savepoints>,
}

impl Job {
    /// Asks the sources for their splits, wires the job and starts it. One with checkpoints goes on from its first manifest: what that has
    /// pending is made visible, and operators get their state back, before anything runs.
    ///
    /// # Errors
    /// When a source cannot name its splits or an operator cannot be opened; nothing runs then.
    pub async fn start(spec: JobSpec, runtimes: &Runtimes, stop: &Stop) -> Result<Self, JobError> {
        let io = runtimes.io();
        let mut spec = spec;
        let splits = splits_of(&spec, io).await?;
        let (facts, to_coordinator) = mpsc::channel(FACTS);
        let shared = spec.checkpoints.as_ref().map(|checkpoints| Shared::new(checkpoints, facts, io.clone()));
        let checkpoints = spec.checkpoints.take();
        let (batch_rows, uuid) = (spec.settings.batch_rows, checkpoints.as_ref().map(|checkpoints| checkpoints.restore.base.uuid));
        let mut wired = wiring::wire(spec, splits, stop, uuid, shared.clone())?;
        let (tasks, names, metrics) = (JoinSet::new(), HashMap::new(), wired.metrics.clone());
        let mut job = Self { tasks, names, metrics, coordinator: None, savepoints: None };
        if let Some((checkpoints, shared)) = checkpoints.zip(shared) {
            checkpoints::recover(&checkpoints, &mut wired).await?;
            let (savepoints, requests) = Savepoints::new();
            job.savepoints = Some(savepoints);
            let coordination = Coordination::new(checkpoints, shared, to_coordinator, requests, &mut wired, stop.clone());
            job.coordinator = Some(job.spawn("coordinate checkpoints".to_owned(), io, done(coordination.run())));
        } else {
            for Committing { node, committer, finished } in wired.committers {
                let name = format!("commit {node}");
                job.spawn(name, io, done(sink_task::commit(node, committer, finished)));
            }
        }
        for task in wired.sinks {
            job.spawn(format!("write {}", task.node), io, done(task.run()));
        }
        for (name, inputs, chain, participant) in wired.exchanges {
            job.spawn(name, runtimes.compute.handle(), exchange_task::run(inputs, chain, participant));
        }
        // Subtasks without anything to read say so before the others begin: no watermark waits for them.
        for (task, _) in wired.sources.iter_mut().filter(|(_, reading)| reading.is_over()) {
            if let Err(error) = task.nothing_comes().await {
                job.spawn(task.node.to_string(), io, async move { Err(error) });
            }
        }
        for (task, reading) in wired.sources {
            let name = format!("read {}", reading.node);
            job.spawn(name, io, done(reading.run(batch_rows, stop.requested.clone())));
            job.spawn(task.node.to_string(), runtimes.compute.handle(), task.run());
        }
        for discovery in wired.discoveries {
            let name = format!("find splits of {}", discovery.node);
            job.spawn(name, io, done(discovery.run(stop.requested.clone())));
        }
        Ok(job)
    }

    /// What the job counts.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Where savepoints of it are asked for; `None`: it has no checkpoints.
    pub fn savepoints(&self) -> Option<Savepoints> {
        self.savepoints.clone()
    }

    /// Waits for the end. At the first failure all other tasks are ended; what they hold is not committed.
    ///
    /// # Errors
    /// The first failure.
    pub async fn finish(mut self) -> Result<Report, JobError> {
        let (mut report, mut failure) = (Report::default(), None::<JobError>);
        while let Some(ended) = self.tasks.join_next_with_id().await {
            let error = match ended {
                Ok((task, Ok(_))) if Some(task) == self.coordinator => {
                    // Everything is committed and visible; who still waits for more waits in vain.
                    self.tasks.shutdown().await;
                    break;
                }
                Ok((_, Ok(dropped))) => {
                    report.dropped.windows += dropped.windows;
                    report.dropped.rows += dropped.rows;
                    report.dropped.timers += dropped.timers;
                    continue;
                }
                Ok((_, Err(error))) => error,
                Err(error) if error.is_cancelled() => continue,
                Err(error) => self.panicked(error),
            };
            let told = first_failure(failure, error);
            if !told.is_echo() {
                self.tasks.abort_all();
            }
            failure = Some(told);
        }
        failure.map_or(Ok(report), Err)
    }

    fn spawn(&mut self, name: String, on: &Handle, task: impl Future<Output = Result<Dropped, JobError>> + Send + 'static) -> Id {
        let id = self.tasks.spawn_on(task, on).id();
        self.names.insert(id, name);
        id
    }

    fn panicked(&self, error: JoinError) -> JobError {
        let task = self.names.get(&error.id()).cloned().unwrap_or_default();
        let payload = error.into_panic();
        let text = payload.downcast_ref::<&str>().map(ToString::to_string).or_else(|| payload.downcast_ref::<String>().cloned());
        JobError::Panic { task, message: text.unwrap_or_else(|| "no message".to_owned()) }
    }
}

/// The failure to tell: the first, but a real one rather than an echo, which may come before the failure that caused it.
fn first_failure(known: Option<JobError>, next: JobError) -> JobError {
    match known {
        Some(known) if !known.is_echo() || next.is_echo() => known,
        _ => next,
    }
}

async fn done(task: impl Future<Output = Result<(), JobError>>) -> Result<Dropped, JobError> {
    task.await.map(|()| Dropped::default())
}

/// The splits of each task's source, and where each was.
async fn splits_of(spec: &JobSpec, io: &Handle) -> Result<Vec<Starting>, JobError> {
    let mut all = Vec::with_capacity(spec.tasks.len());
    for task in &spec.tasks {
        let Head::Source(head) = &task.head else {
            all.push(Starting::default());
            continue;
        };
        let known = spec.checkpoints.as_ref().and_then(|checkpoints| checkpoints.restore.sources.get(&head.node)).cloned();
        let source = head.source.clone();
        let asked = io.spawn(async move { Starting::of(source.as_ref(), known.unwrap_or_default()).await }).await;
        let asked =
            asked.map_err(|error| JobError::Panic { task: format!("list the splits of {}", head.node), message: error.to_string() })?;
        all.push(asked.map_err(|source| JobError::Source { source_name: head.node.clone(), source })?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_gives_way_to_the_failure_that_caused_it() {
        let real = |what: &str| JobError::Wiring(what.to_owned());
        let told = [JobError::Severed, JobError::Severed, real("first"), JobError::Severed, real("second")];
        let told = told.into_iter().fold(None, |known, next| Some(first_failure(known, next)));
        assert!(matches!(told, Some(JobError::Wiring(what)) if what == "first"));
    }
}
