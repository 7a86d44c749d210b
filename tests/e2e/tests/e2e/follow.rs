//! A job that follows log files while they grow and are rotated, until it is told to stop.

use crate::process::{end, free_port, metric, signal, start, wait_for};
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use stygian_e2e::read_output;

const PIPELINE: &str = r#"
name = "logs"

[settings]
parallelism = 3

[source.logs]
connector = "files"
path = "logs/*.log*"
format = "json"
schema = { n = "int64 not null" }
follow = true
poll_interval = "20ms"
rotate_wait = "200ms"

[sink.rows]
input = "logs"
connector = "files"
path = "out/rows"
format = "json"
compression = "gzip"

[sink.bad]
input = "logs.dead_letters"
connector = "files"
path = "out/bad"
format = "json"
"#;

fn append(log: &Path, text: &str) {
    File::options().append(true).create(true).open(log).and_then(|mut file| file.write_all(text.as_bytes())).expect("appended");
}

/// What the metrics say of the source.
fn rows_out(port: u16) -> Option<u64> {
    metric(port, "stygian_rows_out_total{node=\"logs\",kind=\"source\"}")
}

#[test]
fn every_row_comes_once_through_growth_and_rotation() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).expect("made");
    let (log, old) = (logs.join("app.log"), logs.join("app.log.1"));
    append(&log, "{\"n\":0}\n{\"n\":1}\n{\"n\"");
    let port = free_port();
    let child = start(folder.path(), PIPELINE, &["--output", "json", "--metrics", &port.to_string()]);
    wait_for("the first rows", || rows_out(port).filter(|rows| *rows == 2));
    append(&log, ":2}\n");
    let mut next = 3;
    for round in 0..3 {
        for _ in 0..50 {
            append(&log, &format!("{{\"n\":{next}}}\n"));
            next += 1;
        }
        std::fs::rename(&log, &old).expect("rotated");
        // A program that has not noticed yet.
        append(&old, &format!("{{\"n\":{next}}}\nno JSON in round {round}\n"));
        append(&log, &format!("{{\"n\":{}}}\n", next + 1));
        append(&logs.join(format!("other-{round}.log")), &format!("{{\"n\":{}}}\n", next + 2));
        next += 3;
        wait_for("the rows of a round", || rows_out(port).filter(|rows| *rows == next));
    }
    signal(&child, "-INT");
    let (out, err, status) = end(child);
    assert_eq!(status, Some(0), "{err}");
    let summary: Value = serde_json::from_str(&out).expect("a JSON summary");
    assert_eq!(summary["status"], "stopped");
    let rows = read_output(&folder.path().join("out/rows")).expect("rows");
    let mut found: Vec<u64> = rows.iter().filter_map(|row| row["n"].as_u64()).collect();
    found.sort_unstable();
    assert_eq!(found, (0..next).collect::<Vec<_>>());
    let bad = read_output(&folder.path().join("out/bad")).expect("dead letters");
    assert_eq!(bad.len(), 3);
    assert!(bad.iter().all(|row| row["split"].as_str().is_some_and(|split| split.starts_with("app.log@"))), "{bad:?}");
}
