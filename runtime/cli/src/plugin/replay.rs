//! `stygian plugin replay`: a call that failed in a job, made again from the file its inputs were saved in.

use crate::args::{OutputStyle, ReplayArgs};
use crate::failure::Failure;
use crate::load::open_sandbox;
use crate::plugin::rows::json_rows;
use crate::terminal::Terminal;
use anyhow::Context;
use arrow_array::RecordBatch;
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use stygian_core::escape;
use stygian_sandbox::{Capture, Limits, MAX_CAPTURE_BYTES, Replay, Verdict};

/// Characters of a text of the file that are shown.
const SHOWN: usize = 4_000;
/// Rows that are shown.
const SHOWN_ROWS: usize = 3;

/// `stygian plugin replay`
pub(crate) fn replay(args: &ReplayArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let capture = read(&args.capture).map_err(Failure::input)?;
    let sandbox = open_sandbox(Limits::default())?;
    let plugin = match &args.plugin {
        Some(path) => sandbox.load(path),
        None => capture.plugin(&sandbox),
    };
    let plugin = plugin.map_err(Failure::input)?;
    let replayed = capture.replay(&plugin).map_err(Failure::input)?;
    match args.output {
        OutputStyle::Json => terminal.out(&format!("{:#}\n", told_json(&capture, plugin.digest(), &replayed)))?,
        OutputStyle::Text => terminal.out(&told(&capture, plugin.digest(), &replayed))?,
    }
    Ok(if replayed.verdict == Verdict::Passes { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &Path) -> anyhow::Result<Capture> {
    let doing = || format!("cannot use the capture {}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(doing)?;
    file.take(MAX_CAPTURE_BYTES as u64 + 1).read_to_end(&mut bytes).with_context(doing)?;
    if bytes.len() > MAX_CAPTURE_BYTES {
        anyhow::bail!("{}: it has more than {MAX_CAPTURE_BYTES} bytes", doing());
    }
    Capture::from_bytes(&bytes).with_context(doing)
}

fn told(capture: &Capture, used: &str, replayed: &Replay) -> String {
    let record = &capture.record;
    let shown = |text: &str| escape(text, SHOWN);
    let (count, what) = match (&capture.keyed, &capture.aggregate) {
        (Some(inputs), _) if inputs.timers.num_rows() > 0 => (inputs.timers.num_rows(), "timer"),
        (_, Some(inputs)) if inputs.groups.num_rows() == 0 => (inputs.accumulators.num_rows(), "accumulator"),
        _ => (capture.rows.num_rows(), "row"),
    };
    let plural = if count == 1 { "" } else { "s" };
    let mut text = format!("call     {} of operator `{}`, {count} {what}{plural}\n", shown(&record.failure.step), shown(&record.operator));
    text.push_str(&format!("plugin   {} (sha256 {})\n", shown(&record.plugin), shown(&record.sha256)));
    if used != record.sha256 {
        text.push_str(&format!("instead  sha256 {used}\n"));
    }
    if capture.limits() != record.limits {
        text.push_str("limits   lower than the capture asks for: no call gets so much here\n");
    }
    let mut show = |label: &str, rows: &RecordBatch| {
        for row in json_rows(&rows.slice(0, rows.num_rows().min(SHOWN_ROWS))).unwrap_or_default() {
            text.push_str(&format!("{label:<9}{}\n", shown(&row)));
        }
    };
    show("row", &capture.rows);
    if let Some(inputs) = &capture.aggregate {
        show("state", &inputs.accumulators);
    }
    if let Some(inputs) = &capture.keyed {
        show("timer", &inputs.timers);
        show("key", &inputs.keys);
        let older = if inputs.versions.is_some() { ", some of older versions" } else { "" };
        text.push_str(&format!("state    {} values and entries of these keys{older}\n", inputs.state.num_rows()));
    }
    text.push_str(&format!("failed   {}\n", shown(&record.failure.message)));
    text.push_str(&match (&replayed.now, replayed.verdict) {
        (Ok(_), _) => "now      it goes well\n".to_owned(),
        (Err(error), Verdict::Different) => format!("now      it fails in another way: {}\n", error.situation),
        (Err(error), _) => format!("now      the same: {}\n", error.situation),
    });
    let logs = match &replayed.now {
        Ok(output) => &output.logs,
        Err(error) => &error.logs,
    };
    logs.iter().for_each(|line| text.push_str(&format!("log      {:?}: {}\n", line.level, line.message)));
    text
}

fn told_json(capture: &Capture, used: &str, replayed: &Replay) -> Value {
    let verdict = match replayed.verdict {
        Verdict::Same => "same",
        Verdict::Different => "different",
        Verdict::Passes => "passes",
    };
    let now = replayed.now.as_ref().err().map(|error| json!({ "kind": error.situation.kind(), "message": error.situation.to_string() }));
    json!({
        "verdict": verdict, "now": now, "rows": capture.rows.num_rows(), "timers": capture.keyed.as_ref().map(|inputs| inputs.timers.num_rows()), "used_sha256": used,
        "limits_lowered": capture.limits() != capture.record.limits, "call": capture.record,
    })
}
