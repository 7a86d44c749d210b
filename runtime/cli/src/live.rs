//! The live line: rows in and out, rate, watermark, lag; drawn anew twice a second on a terminal.

use crate::terminal::Terminal;
use indicatif::{HumanCount, ProgressBar};
use std::time::{Duration, Instant};
use stygian_core::EventTime;
use stygian_engine::{Clock, Metrics, NodeKind, NodeSnapshot, SystemClock};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_millis(500);

/// A line that is being drawn.
pub(crate) struct Live {
    line: ProgressBar,
    drawing: JoinHandle<()>,
}

impl Live {
    /// Starts to draw; `None` where there is no terminal.
    pub(crate) fn start(on: &Handle, terminal: &Terminal, metrics: Metrics, unbounded: bool) -> Option<Self> {
        let line = terminal.live_line()?;
        let drawn = line.clone();
        let drawing = on.spawn(async move {
            let (mut rows, mut at) = (0, Instant::now());
            loop {
                tokio::time::sleep(EVERY).await;
                let nodes = metrics.snapshot();
                let (read, now) = (rows_of(&nodes, NodeKind::Source, |node| node.rows_out), Instant::now());
                let rate = (read - rows) as f64 / now.duration_since(at).as_secs_f64();
                (rows, at) = (read, now);
                let mut text = text(&nodes, rate, unbounded);
                if let Some(last) = metrics.checkpoint_snapshot().last {
                    text.push_str(&format!(", checkpoint {} {} ago", last.id, age(last.at_micros)));
                }
                drawn.set_message(text);
            }
        });
        Some(Self { line, drawing })
    }

    /// Takes the line away.
    pub(crate) fn finish(self) {
        self.drawing.abort();
        self.line.finish_and_clear();
    }
}

pub(crate) fn rows_of(nodes: &[NodeSnapshot], kind: NodeKind, rows: fn(&NodeSnapshot) -> u64) -> u64 {
    nodes.iter().filter(|node| node.kind == kind).map(rows).sum()
}

fn text(nodes: &[NodeSnapshot], rate: f64, unbounded: bool) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate of rows
    let rate = HumanCount(rate.max(0.0) as u64);
    let read = HumanCount(rows_of(nodes, NodeKind::Source, |node| node.rows_out));
    let written = HumanCount(rows_of(nodes, NodeKind::Sink, |node| node.rows_in));
    let mut text = format!("{read} rows in, {written} out, {rate}/s");
    let watermark = nodes.iter().filter(|node| node.kind == NodeKind::Source).map(|node| node.watermark).min();
    if let Some(watermark) = watermark.filter(|watermark| *watermark != EventTime::MIN && *watermark != EventTime::MAX) {
        text.push_str(&format!(", watermark {watermark}"));
        if unbounded {
            text.push_str(&format!(", lag {}", age(watermark.micros())));
        }
    }
    let dead: u64 = nodes.iter().map(|node| node.dead_letters).sum();
    let late: u64 = nodes.iter().map(|node| node.late_rows).sum();
    if dead > 0 {
        text.push_str(&format!(", {} dead letters", HumanCount(dead)));
    }
    if late > 0 {
        text.push_str(&format!(", {} late", HumanCount(late)));
    }
    text
}

/// How far a time is behind the clock.
fn age(micros: i64) -> String {
    let behind = SystemClock.now().saturating_sub(micros).max(0).cast_unsigned();
    indicatif::HumanDuration(Duration::from_micros(behind)).to_string()
}
