//! `stygian run`: a pipeline from its file to its end.

use crate::args::{OutputStyle, RunArgs};
use crate::failure::Failure;
use crate::live::Live;
use crate::load::load;
use crate::summary::Summary;
use crate::terminal::Terminal;
use crate::{durable, metrics, wire};
use anyhow::Context;
use std::time::Instant;
use stygian_engine::{Job, Runtimes, Stop};

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
    let loaded = load(&args.pipeline, terminal).await?;
    let unbounded = loaded.sources.values().any(|source| !source.bounded());
    let durable = loaded.plan.checkpoint.clone().map(|wanted| {
        let folder = durable::folder(&wanted, &loaded.plan.name, &loaded.base)?;
        Ok::<_, anyhow::Error>((wanted, folder, wire::used_plugins(&loaded)))
    });
    let mut spec = wire::job(loaded)?;
    if let Some((wanted, folder, plugins)) = durable.transpose()? {
        spec.checkpoints = Some(durable::take_over(&spec, (&wanted, &folder), plugins, args, terminal).await?);
    }
    let name = spec.name.clone();
    let stop = Stop::new(args.drain);
    stop_on_signals(&stop, terminal)?;
    let start = Instant::now();
    let job = Job::start(spec, runtimes, &stop).await.map_err(|error| failed(&name, &error))?;
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
    match &ended {
        Ok(_) => Ok(()),
        Err(error) => Err(failed(&summary.name, error)),
    }
}

fn failed(name: &str, error: &stygian_engine::JobError) -> Failure {
    Failure::Run(anyhow::anyhow!("job `{name}` failed: {}", error.chain()))
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
