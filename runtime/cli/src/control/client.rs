//! The side of who asks: `stygian status`, `savepoint` and `stop`.

use crate::args::{JobArgs, OutputStyle, SavepointArgs, StatusArgs, StopArgs};
use crate::control::place::{self, Running};
use crate::control::{Checkpoints, Node, Place, Reply, Request, Savepoint, Status, Stopped, VERSION, Want, receive, send};
use crate::dropped;
use crate::failure::Failure;
use crate::storage;
use crate::terminal::Terminal;
use anyhow::{Context, anyhow};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use stygian_engine::Dropped;

/// A job that works on an answer says so every second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells how a job is, or which there are.
pub(crate) fn status(args: &StatusArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let Some(job) = &args.job else { return list(args.output, terminal) };
    match ask(&found(job)?, Want::Status, terminal)? {
        Reply::Status(status) if args.output == OutputStyle::Json => tell_json(&status, terminal)?,
        Reply::Status(status) => terminal.out(&whole(&status))?,
        reply => return Err(unexpected(&reply)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Has a job make a savepoint.
pub(crate) fn savepoint(args: &SavepointArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let JobArgs { job, output } = &args.job;
    match ask(&found(job)?, Want::Savepoint(wanted(args.folder.as_deref())?), terminal)? {
        Reply::Savepoint(savepoint) if *output == OutputStyle::Json => tell_json(&savepoint, terminal)?,
        Reply::Savepoint(savepoint) => terminal.out(&format!("{}\n", told(&savepoint)))?,
        reply => return Err(unexpected(&reply)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops a job.
pub(crate) fn stop(args: &StopArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let JobArgs { job, output } = &args.job;
    let savepoint = args.savepoint.as_ref().map(|folder| wanted(folder.as_deref())).transpose()?;
    let stopped = match ask(&found(job)?, Want::Stop { savepoint, drain: args.drain }, terminal)? {
        Reply::Stopped(stopped) => stopped,
        reply => return Err(unexpected(&reply)),
    };
    match output {
        OutputStyle::Json => tell_json(&stopped, terminal)?,
        OutputStyle::Text => terminal.out(&how(&stopped))?,
    }
    let is_well = stopped.failure.is_none() && stopped.no_savepoint.is_none();
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn found(job: &str) -> Result<Running, Failure> {
    let running = place::all()?;
    place::find(job, running).map_err(|text| Failure::input(anyhow!(text)))
}

fn wanted(folder: Option<&Path>) -> Result<Place, Failure> {
    folder.map(storage::check_scheme).transpose().map_err(Failure::input)?;
    let absolute = |folder| if storage::in_hdfs(folder).is_some() { Ok(folder.to_owned()) } else { std::path::absolute(folder) };
    let absolute = folder.map(absolute).transpose();
    absolute.map(|folder| Place { folder }).map_err(|error| Failure::input(anyhow!("cannot tell where that folder is: {error}")))
}

/// Asks a job for something and waits for the answer, however long the job is at it.
fn ask(job: &Running, want: Want, terminal: &Terminal) -> Result<Reply, Failure> {
    let named = format!("job `{}` (process {})", job.job, job.process);
    let line = terminal.live_line();
    let asked = Instant::now();
    let talk = || -> io::Result<Reply> {
        let mut socket = UnixStream::connect(&job.socket)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        send(&mut socket, &Request { version: VERSION, want })?;
        loop {
            match receive(&mut socket)? {
                Reply::Waiting => {
                    if let Some(line) = &line {
                        line.set_message(format!("waiting for {named}, {} s", asked.elapsed().as_secs()));
                    }
                }
                reply => return Ok(reply),
            }
        }
    };
    let reply = talk();
    if let Some(line) = line {
        line.finish_and_clear();
    }
    let hint = |error: &io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it does not answer; is its process stopped?",
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "it is gone, or cut the connection",
        io::ErrorKind::InvalidData => "it is of another version of `stygian`",
        _ => "it cannot be asked",
    };
    match reply {
        Ok(Reply::Failed(text)) => Err(anyhow!(text).into()),
        Ok(reply) => Ok(reply),
        Err(error) => {
            let hint = hint(&error);
            Err(Failure::from(anyhow!(error).context(format!("{named}: {hint}"))))
        }
    }
}

fn unexpected(reply: &Reply) -> Failure {
    anyhow!("the job gave an answer to something else: {reply:?}").into()
}

fn tell_json(what: &impl Serialize, terminal: &Terminal) -> Result<(), Failure> {
    let text = serde_json::to_string(what).context("cannot write the answer as JSON")?;
    Ok(terminal.out(&format!("{text}\n"))?)
}

/// One line for each job.
fn list(output: OutputStyle, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["job", "process", "is", "for", "rows in", "checkpoint", "its age"]);
    let (mut any, mut code) = (false, ExitCode::SUCCESS);
    for job in place::all()? {
        let status = match ask(&job, Want::Status, terminal) {
            Ok(Reply::Status(status)) => status,
            Ok(reply) => return Err(unexpected(&reply)),
            Err(failure) => {
                code = failure.report(terminal);
                continue;
            }
        };
        any = true;
        if output == OutputStyle::Json {
            tell_json(&status, terminal)?;
            continue;
        }
        let last = status.checkpoints.as_ref().and_then(|checkpoints| checkpoints.last.as_ref());
        table.add_row([
            status.job.clone(),
            status.process.to_string(),
            status.phase.clone(),
            span(status.seconds),
            HumanCount(rows_read(&status)).to_string(),
            last.map(|last| last.id.to_string()).unwrap_or_default(),
            last.map(|last| span(last.age_seconds)).unwrap_or_default(),
        ]);
    }
    match output {
        OutputStyle::Json => {}
        OutputStyle::Text if any => terminal.out(&format!("{table}\n"))?,
        OutputStyle::Text => terminal.out("no job of this user runs on this machine\n")?,
    }
    Ok(code)
}

fn rows_read(status: &Status) -> u64 {
    status.nodes.iter().filter(|node| node.kind == "source").map(|node| node.rows_out).sum()
}

/// A job, for people.
fn whole(status: &Status) -> String {
    let Status { job, process, phase, failure, seconds, restarts, checkpoints, nodes } = status;
    let mut text = format!("job `{job}` (process {process}): {phase}, since {}\n", span(*seconds));
    if let Some(failure) = failure {
        text.push_str(&format!("started again {restarts} times; the last failure: {failure}\n"));
    }
    match checkpoints {
        Some(checkpoints) => text.push_str(&made(checkpoints)),
        None => text.push_str("no checkpoints: its pipeline has no `[checkpoint]`\n"),
    }
    text.push_str(&format!("{}\n", table(nodes)));
    text
}

fn made(checkpoints: &Checkpoints) -> String {
    let Checkpoints { folder, committed, failed, last } = checkpoints;
    let mut text = format!("checkpoints in {}: {committed} committed by this run, {failed} given up\n", folder.display());
    if let Some(last) = last {
        text.push_str(&format!(
            "the last one is {}, {} ago: took {:.0} ms, wrote {} of the {} that it needs\n",
            last.id,
            span(last.age_seconds),
            last.seconds * 1000.0,
            HumanBytes(last.bytes),
            HumanBytes(last.needed_bytes),
        ));
    }
    text
}

fn table(nodes: &[Node]) -> Table {
    let mut table = Table::new();
    let header = ["", "", "rows in", "rows out", "dead letters", "late", "state keys", "state", "timers", "watermark"];
    table.load_style(presets::NOTHING).set_header(header);
    for node in nodes {
        let count = |count: u64| if count == 0 { String::new() } else { HumanCount(count).to_string() };
        let bytes = if node.state_bytes == 0 { String::new() } else { HumanBytes(node.state_bytes).to_string() };
        let counts = [node.rows_in, node.rows_out, node.dead_letters, node.late_rows, node.state_keys].map(count);
        let names = [node.kind.clone(), node.name.clone()];
        let rest = [bytes, count(node.timers), node.watermark.clone().unwrap_or_default()];
        table.add_row(names.into_iter().chain(counts).chain(rest));
    }
    (2..9).filter_map(|column| table.column_mut(column).map(|column| column.set_cell_alignment(CellAlignment::Right))).for_each(drop);
    table
}

fn told(savepoint: &Savepoint) -> String {
    let folder = savepoint.folder.display();
    format!(
        "savepoint of checkpoint {} in {folder}; `stygian run PIPELINE --from-savepoint {folder}` goes on from it",
        savepoint.checkpoint
    )
}

fn how(stopped: &Stopped) -> String {
    let Stopped { job, failure, checkpoint, folder, savepoint, no_savepoint, .. } = stopped;
    let lost = Dropped { windows: stopped.dropped_windows, rows: stopped.dropped_rows, timers: stopped.dropped_timers };
    let mut text = match failure {
        Some(failure) => format!("job `{job}` has stopped; it failed: {failure}\n"),
        None => format!("job `{job}` has stopped\n"),
    };
    if let Some((checkpoint, folder)) = checkpoint.zip(folder.as_ref()) {
        text.push_str(&format!("its last checkpoint is {checkpoint} in {}\n", folder.display()));
    }
    if let Some(savepoint) = savepoint {
        text.push_str(&format!("{}\n", told(savepoint)));
    }
    if let Some(reason) = no_savepoint {
        text.push_str(&format!("{reason}\n"));
    }
    text.push_str(&dropped::told(lost));
    text
}

/// A time for people, in whole seconds.
fn span(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default().as_secs();
    match (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}
