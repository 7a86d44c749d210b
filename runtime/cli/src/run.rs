//! `stygian run`: a pipeline from its file to its end.

use crate::args::{OutputStyle, RunArgs};
use crate::durable::Durable;
use crate::failure::Failure;
use crate::live::Live;
use crate::load::{Loaded, load};
use crate::restart::Restarts;
use crate::summary::Summary;
use crate::terminal::Terminal;
use crate::{metrics, wire};
use anyhow::Context;
use std::time::Instant;
use stygian_engine::{Job, JobError, Runtimes, Stop};

/// Exit status after a second Ctrl-C.
const CUT_OFF: i32 = 130;

/// Runs a pipeline.
pub(crate) fn run(args: &RunArgs, terminal: &Terminal) -> Result<(), Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtimes = Runtimes::new(threads)?;
    let result = runtimes.io().block_on(run_on(&runtimes, args, terminal));
    // A call into a plugin may still be busy on a compute thread; its limit would end it, but there is nothing to wait for.
    runtimes.leave();
    result
}

async fn run_on(runtimes: &Runtimes, args: &RunArgs, terminal: &Terminal) -> Result<(), Failure> {
    let stop = Stop::new(args.drain);
    let mut loaded = load(&args.pipeline, terminal).await?;
    stop_on_signals(&stop, terminal)?;
    let mut durable = Durable::open(&loaded)?;
    let mut restarts = Restarts::new(loaded.plan.restart.clone());
    loop {
        let start = Instant::now();
        let error = match run_once(runtimes, loaded, durable.as_mut(), &stop, args, terminal).await {
            Err(Failed::Job(error)) => error,
            Err(Failed::Other(failure)) => return Err(failure),
            Ok(()) => return Ok(()),
        };
        let Some(durable) = durable.as_mut().filter(|_| error.error.may_pass() && !stop.is_requested()) else { return Err(error.told()) };
        // A folder that cannot be read now has not come on; the failure to tell is the job's.
        let came_on = durable.came_on().await.unwrap_or(false);
        let Some(pause) = restarts.failed(came_on) else { return Err(error.told()) };
        let (after, left) = (start.elapsed().as_secs_f64(), restarts.left());
        terminal.err(&format!("job `{}` failed after {after:.1} s: {}\n", error.name, error.error.chain()));
        terminal.err(&format!("it is started again from its last checkpoint in {pause:?} ({left} more times if nothing changes)\n"));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.requested() => return Err(error.told()),
        }
        // Connectors begin anew.
        loaded = load(&args.pipeline, terminal).await?;
        durable.go_on();
    }
}

/// A job that failed.
struct FailedJob {
    name: String,
    error: JobError,
}

impl FailedJob {
    fn told(self) -> Failure {
        Failure::Run(anyhow::anyhow!("job `{}` failed: {}", self.name, self.error.chain()))
    }
}

enum Failed {
    Job(FailedJob),
    Other(Failure),
}

impl<E: Into<Failure>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Runs the job from its beginning, or its last checkpoint, to its end or its first failure.
async fn run_once(
    runtimes: &Runtimes,
    loaded: Loaded,
    durable: Option<&mut Durable>,
    stop: &Stop,
    args: &RunArgs,
    terminal: &Terminal,
) -> Result<(), Failed> {
    let unbounded = loaded.sources.values().any(|source| !source.bounded());
    let plugins = wire::used_plugins(&loaded);
    let mut spec = wire::job(loaded)?;
    if let Some(durable) = durable {
        spec.checkpoints = Some(durable.take_over(&spec, plugins, args, terminal).await?);
    }
    let (name, start) = (spec.name.clone(), Instant::now());
    let job = match Job::start(spec, runtimes, stop).await {
        Ok(job) => job,
        Err(error) => return Err(Failed::Job(FailedJob { name, error })),
    };
    let counters = job.metrics();
    let _server = args.metrics.map(|address| metrics::serve(address, counters.clone())).transpose()?;
    let live = if args.quiet { None } else { Live::start(runtimes.io(), terminal, counters.clone(), unbounded) };
    let ended = job.finish().await;
    if let Some(live) = live {
        live.finish();
    }
    let summary =
        Summary { name, seconds: start.elapsed().as_secs_f64(), nodes: counters.snapshot(), stopped: stop.is_requested(), ended: &ended };
    match args.pipeline.output {
        OutputStyle::Json => terminal.out(&format!("{}\n", summary.json()))?,
        OutputStyle::Text if !args.quiet => terminal.err(&summary.text()),
        OutputStyle::Text => {}
    }
    let name = summary.name;
    ended.map(|_| ()).map_err(|error| Failed::Job(FailedJob { name, error }))
}

/// The first Ctrl-C (or SIGTERM) stops gracefully, the second one at once.
fn stop_on_signals(stop: &Stop, terminal: &Terminal) -> anyhow::Result<()> {
    let (stop, terminal) = (stop.clone(), terminal.clone());
    let told = move || {
        if stop.is_requested() {
            std::process::exit(CUT_OFF);
        }
        terminal.err("stopping: finishing what was read and open files; Ctrl-C again leaves at once\n");
        stop.request();
    };
    ctrlc::set_handler(told).context("cannot listen for Ctrl-C")
}
