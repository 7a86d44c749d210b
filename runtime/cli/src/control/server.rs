//! The side of the job: a thread that listens, one more for each that asks. Nothing here waits for the job's own threads but who has asked
//! them for something.

use crate::control::place;
use crate::control::{Checkpoints, Committed, Node, Place, Reply, Request, Savepoint, Status, Stopped, VERSION, Want, receive, send};
use crate::folders;
use crate::storage::{self, Reach};
use anyhow::Context;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use stygian_core::EventTime;
use stygian_engine::{Clock, Dropped, Job, Metrics, NodeSnapshot, Report, Savepoints, Stop, SystemClock};

/// How long a peer may take to say what it wants, or to take an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a peer hears that its answer is still to come.
const PULSE: Duration = Duration::from_secs(1);
/// How long a job that has ended stays for those that wait for its end.
const FAREWELL: Duration = Duration::from_secs(5);
/// Peers at once.
const MOST_PEERS: usize = 16;

/// What does not change about a job.
pub(crate) struct JobFacts {
    pub(crate) job: String,
    /// Where its checkpoints lie, if it makes any.
    pub(crate) checkpoints: Option<PathBuf>,
    /// How HDFS is reached.
    pub(crate) reach: Reach,
    pub(crate) stop: Stop,
}

/// A job's socket, until this is dropped.
pub(crate) struct Server {
    shared: Arc<Shared>,
    /// `None`: nobody can ask.
    socket: Option<PathBuf>,
}

struct Shared {
    facts: JobFacts,
    began: Instant,
    state: Mutex<State>,
    /// The job has ended, or a peer has left.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Of the present start, or the last.
    metrics: Metrics,
    savepoints: Option<Savepoints>,
    restarts: u32,
    /// The last one.
    failure: Option<String>,
    /// Of the end.
    dropped: Dropped,
    peers: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Running,
    Restarting,
    Ended,
}

impl Server {
    /// Listens. A job that cannot be asked runs all the same; why it cannot is in the second value.
    pub(crate) fn start(facts: JobFacts) -> (Self, Option<anyhow::Error>) {
        let shared = Arc::new(Shared { facts, began: Instant::now(), state: Mutex::default(), changed: Condvar::new() });
        match listen(&shared) {
            Ok(socket) => (Self { shared, socket: Some(socket) }, None),
            Err(error) => (Self { shared, socket: None }, Some(error)),
        }
    }

    /// The job runs.
    pub(crate) fn running(&self, job: &Job) {
        let mut state = self.shared.state();
        (state.phase, state.metrics, state.savepoints) = (Phase::Running, job.metrics(), job.savepoints());
    }

    /// The job has failed and will be started again.
    pub(crate) fn restarting(&self, failure: String) {
        let mut state = self.shared.state();
        state.restarts += 1;
        (state.phase, state.savepoints, state.failure) = (Phase::Restarting, None, Some(failure));
    }

    /// The job has ended so, or failed. Waits until those that wait for that have been told.
    pub(crate) fn ended(&self, how: Result<Report, String>) {
        let (report, failure) = match how {
            Ok(report) => (report, None),
            Err(failure) => (Report::default(), Some(failure)),
        };
        let (until, mut state) = (Instant::now() + FAREWELL, self.shared.state());
        (state.phase, state.savepoints, state.failure, state.dropped) = (Phase::Ended, None, failure, report.dropped);
        self.shared.changed.notify_all();
        while state.peers > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            (state, _) = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            // Whoever finds it takes it away.
            let _ = fs::remove_file(socket);
        }
    }
}

fn listen(shared: &Arc<Shared>) -> anyhow::Result<PathBuf> {
    let socket = place::socket(&place::folder()?, &shared.facts.job);
    // Under its name when it can be spoken to: one that refuses is taken for what a dead process has left.
    let begun = socket.with_extension("new");
    let listening = || -> io::Result<UnixListener> {
        // Of an earlier process with our number.
        let _ = fs::remove_file(&begun);
        let listener = UnixListener::bind(&begun)?;
        fs::set_permissions(&begun, Permissions::from_mode(0o600))?;
        fs::rename(&begun, &socket)?;
        Ok(listener)
    };
    let listener = listening().with_context(|| format!("cannot listen on {}", socket.display()))?;
    let shared = shared.clone();
    let accept = move || {
        for peer in listener.incoming() {
            match peer {
                Ok(peer) => shared.admit(peer),
                // No more files may be open: later, perhaps.
                Err(_) => std::thread::sleep(PULSE),
            }
        }
    };
    std::thread::Builder::new().name("control".to_owned()).spawn(accept).context("cannot start the thread that listens")?;
    Ok(socket)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a peer on a thread of its own, if it may ask at all.
    fn admit(self: &Arc<Self>, mut peer: UnixStream) {
        let ours = rustix::process::geteuid();
        if !rustix::net::sockopt::socket_peercred(&peer).is_ok_and(|peer| peer.uid == ours) {
            tracing::warn!("a process of another user asked this job for something and was refused");
            return;
        }
        let mut state = self.state();
        if state.peers >= MOST_PEERS {
            drop(state);
            let busy = format!("{MOST_PEERS} others are asking this job; try again");
            // It may have gone.
            let _ = peer.set_write_timeout(Some(PULSE)).and_then(|()| send(&mut peer, &Reply::Failed(busy)));
            return;
        }
        state.peers += 1;
        drop(state);
        let shared = self.clone();
        let serve = move || {
            // A peer that went away has no use for an answer.
            let _ = shared.serve(peer);
            shared.leave();
        };
        if std::thread::Builder::new().name("control peer".to_owned()).spawn(serve).is_err() {
            self.leave();
        }
    }

    fn leave(&self) {
        self.state().peers -= 1;
        self.changed.notify_all();
    }

    fn serve(self: &Arc<Self>, mut peer: UnixStream) -> io::Result<()> {
        peer.set_write_timeout(Some(PATIENCE))?;
        let Request { version, want } = receive(&mut Until { peer: &peer, deadline: Instant::now() + PATIENCE })?;
        if version != VERSION {
            let text =
                format!("the job speaks version {VERSION} of the protocol, and was asked in version {version}; use its own `stygian`");
            return send(&mut peer, &Reply::Failed(text));
        }
        let (answer, answered) = mpsc::channel();
        let shared = self.clone();
        let work = move || {
            // Who has asked may be gone.
            let _ = answer.send(shared.answer(want));
        };
        std::thread::Builder::new().name("control work".to_owned()).spawn(work)?;
        loop {
            match answered.recv_timeout(PULSE) {
                Ok(reply) => return send(&mut peer, &reply),
                Err(RecvTimeoutError::Timeout) => send(&mut peer, &Reply::Waiting)?,
                Err(RecvTimeoutError::Disconnected) => return send(&mut peer, &Reply::Failed("the job could not answer".to_owned())),
            }
        }
    }

    fn answer(&self, want: Want) -> Reply {
        match want {
            Want::Status => Reply::Status(Box::new(self.status())),
            Want::Savepoint(Place { folder }) => match self.savepoint(folder, false) {
                Ok(savepoint) => Reply::Savepoint(savepoint),
                Err(text) => Reply::Failed(text),
            },
            Want::Stop { savepoint: None, drain } => {
                let holds = if drain {
                    self.facts.stop.request_drain()
                } else {
                    self.facts.stop.request();
                    true
                };
                match self.stopped(None) {
                    Reply::Stopped(stopped) if !holds => Reply::Failed(format!(
                        "job `{}` was stopping already, so it has not drained; its last checkpoint has what is open",
                        stopped.job
                    )),
                    reply => reply,
                }
            }
            Want::Stop { savepoint: Some(Place { folder }), .. } => {
                let taken = self.savepoint(folder, true);
                match taken {
                    // Nothing was begun: the job goes on, and what is wrong can be mended.
                    Err(text) if !self.facts.stop.is_requested() => Reply::Failed(text),
                    taken => self.stopped(Some(taken)),
                }
            }
        }
    }

    fn savepoint(&self, folder: Option<PathBuf>, stop: bool) -> Result<Savepoint, String> {
        let job = &self.facts.job;
        if self.facts.checkpoints.is_none() {
            return Err(format!("job `{job}` makes no checkpoints, so no savepoints: its pipeline has no `[checkpoint]`"));
        }
        let (phase, savepoints) = {
            let state = self.state();
            (state.phase, state.savepoints.clone())
        };
        let Some(savepoints) = savepoints else { return Err(format!("job `{job}` is {} just now; try again", phase.name(false))) };
        let folder = folder
            .or_else(|| folders::savepoints(job, &EventTime::from_micros(SystemClock.now()).to_string()))
            .ok_or("name a folder for the savepoint: HOME is not set")?;
        let told = |text: String| format!("no savepoint in {}: {text}", folder.display());
        let to = storage::take(&folder, &self.facts.reach).map_err(|error| told(format!("{error:#}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| told(error.to_string()))?;
        let to = Arc::new(to);
        let taken = if stop { runtime.block_on(savepoints.take_and_stop(to)) } else { runtime.block_on(savepoints.take(to)) };
        let checkpoint = taken.map_err(|error| told(error.to_string()))?.0;
        Ok(Savepoint { checkpoint, folder: fs::canonicalize(&folder).unwrap_or(folder) })
    }

    /// Waits for the end.
    fn stopped(&self, savepoint: Option<Result<Savepoint, String>>) -> Reply {
        let mut state = self.state();
        while state.phase != Phase::Ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let (savepoint, no_savepoint) = match savepoint {
            Some(Ok(savepoint)) => (Some(savepoint), None),
            Some(Err(text)) => (None, Some(text)),
            None => (None, None),
        };
        let Dropped { windows, rows, timers } = state.dropped;
        Reply::Stopped(Stopped {
            job: self.facts.job.clone(),
            process: std::process::id(),
            failure: state.failure.clone(),
            checkpoint: state.metrics.checkpoint_snapshot().last.map(|last| last.id.0),
            folder: self.facts.checkpoints.clone(),
            savepoint,
            no_savepoint,
            dropped_windows: windows,
            dropped_rows: rows,
            dropped_timers: timers,
        })
    }

    fn status(&self) -> Status {
        let state = self.state();
        let told = state.metrics.checkpoint_snapshot();
        let last = told.last.map(|last| Committed {
            id: last.id.0,
            seconds: last.duration.as_secs_f64(),
            bytes: last.bytes,
            needed_bytes: last.needed_bytes,
            age_seconds: seconds(SystemClock.now() - last.at_micros),
        });
        let (committed, failed) = (told.committed, told.failed);
        Status {
            job: self.facts.job.clone(),
            process: std::process::id(),
            phase: state.phase.name(self.facts.stop.is_requested()).to_owned(),
            failure: state.failure.clone(),
            seconds: self.began.elapsed().as_secs_f64(),
            restarts: state.restarts,
            checkpoints: self.facts.checkpoints.clone().map(|folder| Checkpoints { folder, committed, failed, last }),
            nodes: state.metrics.snapshot().iter().map(node).collect(),
        }
    }
}

/// Reads up to a moment, however slowly it comes.
struct Until<'a> {
    peer: &'a UnixStream,
    deadline: Instant,
}

impl io::Read for Until<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.peer.set_read_timeout(Some(left))?;
        let mut peer = self.peer;
        peer.read(to)
    }
}

impl Phase {
    fn name(self, stopping: bool) -> &'static str {
        match self {
            Self::Ended => "ended",
            _ if stopping => "stopping",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
        }
    }
}

fn node(node: &NodeSnapshot) -> Node {
    Node {
        name: node.node.to_string(),
        kind: node.kind.name().to_owned(),
        rows_in: node.rows_in,
        rows_out: node.rows_out,
        behind: node.behind,
        dead_letters: node.dead_letters,
        late_rows: node.late_rows,
        state_keys: node.state_keys,
        state_bytes: node.state_bytes,
        timers: node.timers,
        watermark: Some(node.watermark).filter(|watermark| *watermark != EventTime::MIN).map(|watermark| watermark.to_string()),
    }
}

#[allow(clippy::cast_precision_loss)] // an age
fn seconds(micros: i64) -> f64 {
    micros.max(0) as f64 / 1e6
}
