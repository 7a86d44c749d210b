//! The reference job at a steady rate, exactly-once, between a Kafka and an HDFS that Kerberos guards, all on this machine: whether its lag and its
//! memory grow, and its CPU-seconds per million rows.
//!
//! `bench-steady PIPELINES FOLDER [MINUTES] [ROWS-PER-SECOND]`: one job makes the events, in real time, and another one makes the report of them by the
//! minute, with a checkpoint every 10 s. Lag, memory and CPU are looked at every 10 s.

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use stygian_bench::tell;
use stygian_cluster::{Cluster, Hdfs, Options};
use stygian_e2e::Behaviour;

const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Of the first minutes nothing counts: windows fill, and memory is taken into use.
const SETTLED: Duration = Duration::from_secs(180);
/// At the end the last rows are to be worked off within this time.
const WORKED_OFF: Duration = Duration::from_secs(60);
const MEMORY_GROWS_AT_MOST: f64 = 1.05;

/// The job at one moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Duration,
    rows: u64,
    behind: u64,
    mib: f64,
    cpu: f64,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [pipelines, folder, more @ ..] = args.as_slice() else { bail!("bench-steady PIPELINES FOLDER [MINUTES] [ROWS-PER-SECOND]") };
    let number = |at: usize, or: u64| more.get(at).map_or(Ok(or), |text| text.parse()).context("a number");
    let (minutes, rate) = (number(0, 10)?, number(1, 200_000)?);
    ensure!(Duration::from_secs(60 * minutes) > 2 * SETTLED, "give it more than {} minutes", 2 * SETTLED.as_secs() / 60);
    let rows = rate * 60 * minutes;
    let cluster = Cluster::start(&Options { hdfs: Hdfs::One, ..Options::default() })?;
    // What was read goes soon: there is more than a disk may hold.
    let settings = [("retention.bytes", "268435456"), ("segment.bytes", "67108864")];
    let (pipelines, folder) = (PathBuf::from(pipelines), PathBuf::from(folder));
    let behaviour = Behaviour::prepare(cluster, &pipelines, &folder, &settings, |name, text| steady(name, &text, rows, rate))?;
    let mut job = Ended(start(behaviour.command("report.toml", &["--quiet"])?.0)?);
    let began = Instant::now();
    while behaviour.status().ok().is_none_or(|status| status["phase"] != "running") {
        ensure!(began.elapsed() < WORKED_OFF && job.0.try_wait()?.is_none(), "the job does not start: {}", said(&mut job.0));
        std::thread::sleep(Duration::from_millis(200));
    }
    let began = Instant::now();
    let mut events = Ended(start(behaviour.command("make-events.toml", &["--quiet"])?.0)?);
    let mut looks = vec![look(&behaviour, &job.0, began)?];
    while events.0.try_wait()?.is_none() {
        std::thread::sleep(LOOK_EVERY);
        looks.push(look(&behaviour, &job.0, began)?);
    }
    let made_in = began.elapsed();
    ensure!(events.0.wait()?.success(), "no more events: {}", said(&mut events.0));
    loop {
        let last = look(&behaviour, &job.0, began)?;
        if last.rows == rows {
            break;
        }
        ensure!(last.at < made_in + WORKED_OFF, "{} rows are worked off of {rows}: {last:?}", last.rows);
        std::thread::sleep(Duration::from_secs(1));
    }
    let restarts = behaviour.status()?["restarts"].clone();
    ensure!(Command::new("kill").args(["-INT", &job.0.id().to_string()]).status()?.success(), "the job is gone");
    let ended = job.0.wait()?;
    ensure!(ended.success() && restarts == 0, "the job ended with {ended}, started again {restarts} times: {}", said(&mut job.0));
    figures(rate, made_in, rows, &looks)
}

/// The pipelines of the demo, without an end and by the minute.
fn steady(name: &str, text: &str, rows: u64, rate: u64) -> Result<String> {
    let step = Duration::from_secs(1).as_nanos() / u128::from(rate);
    let changes = if name == "report.toml" {
        vec![
            ("until = \"latest\"\n", String::new()),
            ("interval = \"2s\"", "interval = \"10s\"".to_owned()),
            ("window = { tumbling = \"1h\" }", "window = { tumbling = \"1m\" }".to_owned()),
            ("watermark_delay = \"1m\"", "watermark_delay = \"10s\"".to_owned()),
        ]
    } else {
        vec![
            ("rows = 1_000_000", format!("rows = {rows}\nrate = {rate}.0\nstep = \"{step}ns\"")),
            ("topic = \"events\"", "topic = \"events\"\ncompression = \"lz4\"".to_owned()),
        ]
    };
    changes.into_iter().try_fold(text.to_owned(), |text, (from, to)| {
        ensure!(text.contains(from), "{name} has no {from}");
        Ok(text.replace(from, &to))
    })
}

/// A process that does not outlive this one.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(mut command: Command) -> Result<Child> {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().with_context(|| format!("{command:?}"))
}

/// What a process has said that has ended or is to.
fn said(child: &mut Child) -> String {
    // It may have ended.
    let _ = child.kill();
    let mut text = String::new();
    let read = child.stderr.take().map(|mut err| err.read_to_string(&mut text));
    if matches!(read, Some(Ok(_))) { text } else { "it cannot be told".to_owned() }
}

fn look(behaviour: &Behaviour, job: &Child, began: Instant) -> Result<Look> {
    let status = behaviour.status()?;
    let nodes = status["nodes"].as_array().context("no nodes")?;
    let events = nodes.iter().find(|node| node["name"] == "events").context("no events")?;
    let (rows, behind) = (events["rows_out"].as_u64().context("rows")?, events["behind"].as_u64().unwrap_or(0));
    let of_process = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", job.id()));
    let stat = of_process("stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("a stat line")?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("a number of ticks");
    let line = of_process("status")?.lines().find_map(|line| Some(line.strip_prefix("VmRSS:")?.trim().to_owned())).context("no VmRSS")?;
    let kib: f64 = line.strip_suffix(" kB").context("KiB")?.parse()?;
    Ok(Look { at: began.elapsed(), rows, behind, mib: kib / 1024.0, cpu: (ticks(11)? + ticks(12)?) / 100.0 })
}

#[allow(clippy::cast_precision_loss)]
fn figures(rate: u64, made_in: Duration, rows: u64, looks: &[Look]) -> Result<()> {
    let settled: Vec<Look> = looks.iter().copied().filter(|look| look.at >= SETTLED && look.at <= made_in).collect();
    let (first, last) = (settled.first().context("too short")?, settled.last().context("too short")?);
    let (early, late) = settled.split_at(settled.len() / 2);
    let of = |looks: &[Look], part: fn(&Look) -> f64| looks.iter().map(part).sum::<f64>() / looks.len() as f64;
    let seconds = |looks: &[Look]| of(looks, |look| look.behind as f64) / rate as f64;
    let grown = of(late, |look| look.mib) / of(early, |look| look.mib);
    tell(&json!({
        "figure": "reference job at a steady rate", "rows": rows, "wanted_rows_per_second": rate,
        "rows_per_second": rows as f64 / made_in.as_secs_f64(), "minutes": made_in.as_secs_f64() / 60.0,
        "lag_seconds": { "first half": seconds(early), "second half": seconds(late),
                         "most": settled.iter().map(|look| look.behind).max().unwrap_or(0) as f64 / rate as f64 },
        "cpu_seconds_per_million_rows": (last.cpu - first.cpu) / ((last.rows - first.rows) as f64 / 1e6),
        "mib": { "first half": of(early, |look| look.mib), "second half": of(late, |look| look.mib),
                 "least": settled.iter().map(|look| look.mib).fold(f64::MAX, f64::min),
                 "most": settled.iter().map(|look| look.mib).fold(0.0, f64::max) },
        "memory_grows": grown, "memory_grows_at_most": MEMORY_GROWS_AT_MOST,
    }))
}
