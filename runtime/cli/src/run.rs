//! `stygian run`: a pipeline from its file to its end, over as many starts as it takes.
//!
//! Every start has runtimes of its own: when they are gone, nothing of the start before it can still be at a file or a folder.

use crate::args::{OutputStyle, RunArgs};
use crate::control::{JobFacts, Server};
use crate::durable::{Durable, TakenOver};
use crate::failure::Failure;
use crate::kept::KeptIn;
use crate::kerberos;
use crate::live::Live;
use crate::load::{Loaded, load_to_run};
use crate::restart::Restarts;
use crate::summary::Summary;
use crate::terminal::Terminal;
use crate::{metrics, wire};
use anyhow::{Context, anyhow};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stygian_engine::{Job, JobError, Report, Runtimes, Stop};
use stygian_kerberos::Login;

/// Exit status after a second Ctrl-C.
const CUT_OFF: u8 = 130;

/// How long a failed start may take to be gone. A call into a plugin ends at its limit; a file on a server that is away may not.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// Runs a pipeline.
pub(crate) fn run(args: &RunArgs, terminal: &Terminal) -> Result<(), Failure> {
    let login = kerberos::log_in(&args.pipeline, terminal)?;
    let stop = Stop::new(args.drain);
    let from = match &args.from_savepoint {
        Some(folder) => KeptIn::Folder(folder),
        None if args.fresh => KeptIn::Nothing,
        None => KeptIn::Checkpoints,
    };
    let runtimes = runtimes()?;
    let loaded = runtimes.block_on(load_to_run(&args.pipeline, terminal, from))?;
    login.iter().try_for_each(|login| kerberos::keep_alive(login.clone()))?;
    stop_on_signals(&stop, terminal)?;
    let durable = Durable::open(&loaded)?;
    let checkpoints = durable.as_ref().map(|durable| durable.folder().to_owned());
    let (server, deaf) =
        Server::start(JobFacts { job: loaded.plan.name.clone(), checkpoints, reach: loaded.reach.clone(), stop: stop.clone() });
    if let Some(error) = deaf.filter(|_| !args.quiet) {
        terminal.err(&format!("nobody can ask this job (`stygian status`, `savepoint`, `stop`): {error:#}\n"));
    }
    let (name, restarts) = (loaded.plan.name.clone(), Restarts::new(loaded.plan.restart.clone()));
    let running = Running { name, args, terminal, stop, login, server: &server, durable, restarts, again: false };
    let result = running.run(runtimes, loaded);
    server.ended(result.as_ref().copied().map_err(Failure::text));
    result.map(|_| ())
}

fn runtimes() -> Result<Runtimes, JobError> {
    Runtimes::new(std::thread::available_parallelism().map_or(1, usize::from))
}

/// A job over all its starts.
struct Running<'a> {
    name: String,
    args: &'a RunArgs,
    terminal: &'a Terminal,
    stop: Stop,
    /// Who the process is to guarded clusters.
    login: Option<Arc<Login>>,
    server: &'a Server,
    durable: Option<Durable>,
    restarts: Restarts,
    /// It has been started before.
    again: bool,
}

impl Running<'_> {
    fn run(mut self, mut runtimes: Runtimes, mut loaded: Loaded) -> Result<Report, Failure> {
        loop {
            let began = Instant::now();
            let failed = match runtimes.block_on(self.run_once(&runtimes, loaded)) {
                Ok(report) => {
                    // A call into a plugin may still be busy on a compute thread; its limit would end it, but there is nothing to wait for.
                    runtimes.leave();
                    return Ok(report);
                }
                Err(failed) => runtimes.block_on(self.unless_taken_over(failed)),
            };
            if !failed.may_pass(self.again) || self.durable.is_none() || self.stop.is_requested() {
                runtimes.leave();
                return Err(failed.told());
            }
            self.server.restarting(failed.text());
            let came_on = runtimes.block_on(self.came_on());
            let is_gone = runtimes.wait(GONE_WITHIN);
            (runtimes, loaded) = self.start_again(failed, is_gone, came_on, began.elapsed())?;
        }
    }

    /// Waits as long as the restart strategy says and loads the pipeline anew, so that connectors begin anew; as often as it takes.
    fn start_again(
        &mut self,
        mut failed: Failed,
        mut is_gone: bool,
        mut came_on: bool,
        ran: Duration,
    ) -> Result<(Runtimes, Loaded), Failure> {
        let mut when = format!("after {:.1} s", ran.as_secs_f64());
        loop {
            if !is_gone || self.stop.is_requested() {
                return Err(failed.told());
            }
            let Some(pause) = self.restarts.failed(came_on) else { return Err(failed.told()) };
            let left = self.restarts.left();
            let text = failed.text();
            self.terminal.err(&format!("job `{}` failed {when}: {text}\n", self.name));
            self.terminal
                .err(&format!("it is started again from its last checkpoint in {pause:?} ({left} more times if nothing changes)\n"));
            self.again = true;
            let runtimes = runtimes()?;
            if runtimes.block_on(self.stopped_within(pause)) {
                return Err(failed.told());
            }
            match runtimes.block_on(load_to_run(&self.args.pipeline, self.terminal, KeptIn::Checkpoints)) {
                Ok(loaded) => {
                    self.durable.iter_mut().for_each(Durable::go_on);
                    return Ok((runtimes, loaded));
                }
                // What could be asked before and cannot now may come back.
                Err(failure) => failed = Failed::Other(failure.in_a_run()),
            }
            self.server.restarting(failed.text());
            (is_gone, came_on, when) = (runtimes.wait(GONE_WITHIN), false, "when it was to be started again".to_owned());
        }
    }

    async fn stopped_within(&self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.stop.requested()).await.is_ok()
    }

    /// Why it has failed, in the end: another process that has gone on with the job also deletes the checkpoint that this one was reading.
    async fn unless_taken_over(&self, failed: Failed) -> Failed {
        let Some(durable) = self.durable.as_ref().filter(|_| !failed.is_taken_over()) else { return failed };
        match durable.taken_over().await {
            Ok(Some(other)) => Failed::Other(Failure::Run(anyhow!("{}", failed.text()).context(other))),
            // A folder that cannot be read does not say so; the failure to tell is the job's.
            Ok(None) | Err(_) => failed,
        }
    }

    /// Whether a checkpoint was committed since the last start.
    async fn came_on(&mut self) -> bool {
        match &mut self.durable {
            // A folder that cannot be read now has not come on; the failure to tell is the job's.
            Some(durable) => durable.came_on().await.unwrap_or(false),
            None => false,
        }
    }

    /// Runs the job from its beginning, or its last checkpoint, to its end or its first failure.
    async fn run_once(&mut self, runtimes: &Runtimes, loaded: Loaded) -> Result<Report, Failed> {
        let Self { args, terminal, stop, login, server, durable, .. } = self;
        let unbounded = loaded.sources.values().any(|source| !source.bounded());
        let (plugins, point) = (wire::used_plugins(&loaded), loaded.commit_point.clone());
        let mut spec = wire::job(loaded)?;
        if let Some(durable) = durable {
            spec.checkpoints = Some(durable.take_over(&spec, plugins, point, args, terminal).await?);
        }
        let (name, start) = (spec.name.clone(), Instant::now());
        let job = match Job::start(spec, runtimes, stop).await {
            Ok(job) => job,
            Err(error) => return Err(Failed::Job(FailedJob { name, error })),
        };
        server.running(&job);
        let counters = job.metrics();
        let _server = args.metrics.map(|address| metrics::serve(address, counters.clone(), login.clone())).transpose()?;
        let live = if args.quiet { None } else { Live::start(runtimes.io(), terminal, counters.clone(), unbounded) };
        let ended = job.finish().await;
        if let Some(live) = live {
            live.finish();
        }
        let summary = Summary {
            name,
            seconds: start.elapsed().as_secs_f64(),
            nodes: counters.snapshot(),
            stopped: stop.is_requested(),
            ended: &ended,
        };
        match args.pipeline.output {
            OutputStyle::Json => terminal.out(&format!("{}\n", summary.json()))?,
            OutputStyle::Text if !args.quiet => terminal.err(&summary.text()),
            OutputStyle::Text => {}
        }
        let name = summary.name;
        ended.map_err(|error| Failed::Job(FailedJob { name, error }))
    }
}

/// A job that failed.
struct FailedJob {
    name: String,
    error: JobError,
}

enum Failed {
    Job(FailedJob),
    Other(Failure),
}

impl Failed {
    /// Whether it may go better the next time. What fails before the job has run at all is for who has started it.
    fn may_pass(&self, again: bool) -> bool {
        match self {
            Self::Job(failed) => failed.error.may_pass(),
            Self::Other(Failure::Run(_)) => again && !self.is_taken_over(),
            Self::Other(Failure::Input(_)) => false,
        }
    }

    fn is_taken_over(&self) -> bool {
        match self {
            Self::Job(failed) => matches!(failed.error, JobError::Fenced(_)),
            Self::Other(Failure::Run(error)) => error.is::<TakenOver>(),
            Self::Other(Failure::Input(_)) => false,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Job(failed) => failed.error.chain(),
            Self::Other(failure) => failure.text(),
        }
    }

    fn told(self) -> Failure {
        match self {
            Self::Job(FailedJob { name, error }) => Failure::Run(anyhow!("job `{name}` failed: {}", error.chain())),
            Self::Other(failure) => failure,
        }
    }
}

impl<E: Into<Failure>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// The first Ctrl-C (or SIGTERM) stops gracefully, the second one at once.
fn stop_on_signals(stop: &Stop, terminal: &Terminal) -> anyhow::Result<()> {
    let (stop, terminal, told) = (stop.clone(), terminal.clone(), AtomicBool::new(false));
    let told = move || {
        if told.swap(true, Ordering::Relaxed) {
            stygian_kerberos::leave(CUT_OFF);
        }
        terminal.err("stopping: finishing what was read and open files; Ctrl-C again leaves at once\n");
        stop.request();
    };
    ctrlc::set_handler(told).context("cannot listen for Ctrl-C")
}
