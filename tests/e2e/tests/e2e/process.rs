//! What a person does to a running job: Ctrl-C, kill -9, a folder deleted under it, metrics asked for.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use stygian_e2e::{Program, read_output};

const ENDLESS: &str = r#"
name = "endless"

[source.shop]
connector = "generator"
rate = 20000.0
event_time = "at"

[sink.events]
input = "shop"
connector = "files"
path = "out/events"
format = "json"
roll_bytes = "200 KB"
"#;

pub(crate) const WINDOWED: &str = r#"
name = "windowed"

[source.shop]
connector = "generator"
rate = 20000.0
event_time = "at"
watermark_delay = "5s"

[operator.days]
input = "shop"
window = { tumbling = "100days" }
key_by = ["kind"]
aggregate = { n = "count(*)" }

[sink.totals]
input = "days"
connector = "files"
path = "out/totals"
format = "json"
"#;

pub(crate) fn start(folder: &Path, pipeline: &str, args: &[&str]) -> Child {
    std::fs::write(folder.join("pipeline.toml"), pipeline).expect("written");
    let args: Vec<&str> = ["run", "pipeline.toml"].iter().chain(args).copied().collect();
    Program::find().expect("built").command(folder, &args).spawn().expect("starts")
}

/// Waits until `seen` finds something, for a minute at most.
pub(crate) fn wait_for<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = seen() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// The metrics that a job serves; `None`: it serves none yet.
pub(crate) fn metrics(port: u16) -> Option<String> {
    let (mut stream, mut said) = (TcpStream::connect(("127.0.0.1", port)).ok()?, String::new());
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}

/// One number of them, by its name and labels.
pub(crate) fn metric(port: u16, name: &str) -> Option<u64> {
    metrics(port)?.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn files(folder: &Path, visible: bool) -> Vec<String> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with('.') != visible).collect()
}

fn wait_for_rolled(folder: &Path) {
    wait_for("two rolled files", || (files(&folder.join("out/events"), true).len() >= 2).then_some(()));
}

pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs");
    assert!(status.success());
}

/// Standard output, standard error and exit status of a process that ends.
pub(crate) fn end(mut child: Child) -> (String, String, Option<i32>) {
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
    child.stderr.take().expect("piped").read_to_string(&mut err).expect("text");
    (out, err, child.wait().expect("ends").code())
}

#[test]
fn ctrl_c_finishes_and_renames_open_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let child = start(folder.path(), ENDLESS, &["--output", "json"]);
    wait_for_rolled(folder.path());
    signal(&child, "-INT");
    let (out, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    let summary: Value = serde_json::from_str(&out).expect("a JSON summary");
    assert_eq!(summary["status"], "stopped");
    let written = read_output(&folder.path().join("out/events")).expect("whole files").len();
    assert_eq!(summary["nodes"][0]["rows_out"], written, "everything that was read is written: {summary}");
    assert_eq!(files(&folder.path().join("out/events"), false), Vec::<String>::new(), "nothing stays under an in-progress name");
}

/// How many arenas threads have of the C library: regions of 64 MiB that begin at a multiple of that, in use up to somewhere.
#[cfg(target_env = "gnu")]
fn arenas(child: &Child) -> usize {
    const REGION: u64 = 64 << 20;
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.id())).expect("running");
    let hex = |text: &str| u64::from_str_radix(text, 16).expect("an address");
    let pieces: Vec<(u64, u64, bool)> = maps
        .lines()
        .filter_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            Some((hex(from), hex(to), rest.starts_with("rw-p")))
        })
        .collect();
    let is_arena = |pair: &&[(u64, u64, bool)]| match *pair {
        [(from, end, true), (begin, to, false)] => from % REGION == 0 && end == begin && from + REGION == *to,
        _ => false,
    };
    pieces.windows(2).filter(is_arena).count()
}

#[test]
#[cfg(target_env = "gnu")]
fn threads_share_few_arenas_of_memory_unless_told_otherwise() {
    let pipeline = ENDLESS.replace("[source.shop]", "[settings]\nparallelism = 4\n\n[source.shop]");
    let count = |set: Option<&str>| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("pipeline.toml"), &pipeline).expect("written");
        let mut command = Program::find().expect("built").command(folder.path(), &["run", "pipeline.toml"]);
        let child = command.env_remove("MALLOC_ARENA_MAX").envs(set.map(|arenas| ("MALLOC_ARENA_MAX", arenas))).spawn().expect("starts");
        wait_for_rolled(folder.path());
        let arenas = arenas(&child);
        signal(&child, "-KILL");
        end(child);
        arenas
    };
    let (few, many) = (count(None), count(Some("16")));
    assert!(few == 1 && many > 4, "beside that of the first thread {few}, and {many} where 16 are allowed");
}

#[test]
fn kill_9_leaves_renamed_files_whole_and_the_rest_in_progress() {
    let folder = tempfile::tempdir().expect("a folder");
    let child = start(folder.path(), ENDLESS, &[]);
    wait_for_rolled(folder.path());
    signal(&child, "-KILL");
    let (_, _, status) = end(child);
    assert_eq!(status, None);
    let events = folder.path().join("out/events");
    // Every line of every visible file parses, or this fails.
    assert!(read_output(&events).expect("whole files").len() > 1000);
    let in_progress = files(&events, false);
    assert!(in_progress.iter().all(|name| name.ends_with(".inprogress")) && !in_progress.is_empty(), "{in_progress:?}");
}

#[test]
fn a_stop_says_what_is_dropped_and_drain_drops_nothing() {
    for (args, dropped) in [(vec!["--output", "json"], true), (vec!["--output", "json", "--drain"], false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let child = start(folder.path(), WINDOWED, &args);
        std::thread::sleep(Duration::from_millis(500));
        signal(&child, "-TERM");
        let (out, err, status) = end(child);
        assert_eq!(status, Some(0), "{err}");
        let summary: Value = serde_json::from_str(&out).expect("a JSON summary");
        let read = summary["nodes"][0]["rows_out"].as_u64().expect("a count");
        assert!(read > 0);
        assert_eq!(summary["dropped_rows"], if dropped { read } else { 0 });
        let totals = if dropped { Vec::new() } else { read_output(&folder.path().join("out/totals")).expect("totals") };
        let total: u64 = totals.iter().filter_map(|row| row["n"].as_u64()).sum();
        assert_eq!(total, if dropped { 0 } else { read });
    }
}

#[test]
fn a_folder_deleted_under_a_job_stops_it_and_names_the_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let child = start(folder.path(), ENDLESS, &[]);
    wait_for_rolled(folder.path());
    std::fs::rename(folder.path().join("out/events"), folder.path().join("gone")).expect("renamed");
    let (_, err, status) = end(child);
    assert_eq!(status, Some(1), "{err}");
    assert!(err.contains("sink `events` failed") && err.contains("out/events"), "{err}");
    assert!(read_output(&folder.path().join("gone")).is_ok_and(|rows| !rows.is_empty()), "what was renamed stays");
}

#[test]
fn metrics_are_served_while_the_job_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let child = start(folder.path(), ENDLESS, &["--metrics", &port.to_string()]);
    let name = "stygian_rows_out_total{node=\"shop\",kind=\"source\"}";
    let rows = wait_for("rows in the metrics", || metric(port, name).filter(|rows| *rows > 0));
    assert!(rows > 0);
    signal(&child, "-INT");
    assert_eq!(end(child).2, Some(0));
}
