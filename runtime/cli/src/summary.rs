//! What a run has done, told at its end.

use crate::dropped;
use crate::live::rows_of;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::HumanCount;
use serde_json::{Value, json};
use stygian_engine::{JobError, NodeKind, NodeSnapshot, Report};

/// The end of a run.
pub(crate) struct Summary<'a> {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    pub(crate) nodes: Vec<NodeSnapshot>,
    pub(crate) stopped: bool,
    pub(crate) ended: &'a Result<Report, JobError>,
}

impl Summary<'_> {
    /// As one JSON object.
    pub(crate) fn json(&self) -> Value {
        let nodes = self.nodes.iter().map(|node| {
            json!({
                "name": node.node.as_str(), "kind": node.kind.name(), "rows_in": node.rows_in, "rows_out": node.rows_out,
                "dead_letters": node.dead_letters, "late_rows": node.late_rows,
                "repeated_rows": node.repeated_rows, "first_dead_letter": node.first_dead_letter,
                "poison_rows": node.poison_rows, "retried_calls": node.retried_calls, "first_poison": node.first_poison,
            })
        });
        let (status, error, dropped) = match self.ended {
            Ok(report) if self.stopped => ("stopped", None, report.dropped),
            Ok(report) => ("done", None, report.dropped),
            Err(error) => ("failed", Some(error.chain()), Default::default()),
        };
        json!({
            "job": self.name, "status": status, "error": error, "seconds": self.seconds, "nodes": nodes.collect::<Vec<_>>(),
            "dropped_windows": dropped.windows, "dropped_rows": dropped.rows, "dropped_timers": dropped.timers,
        })
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["", "", "rows in", "rows out", "dead letters", "late"]);
        for node in &self.nodes {
            let count = |count: u64| if count == 0 { String::new() } else { HumanCount(count).to_string() };
            let counts = [node.rows_in, node.rows_out, node.dead_letters, node.late_rows].map(count);
            table.add_row([node.kind.name().to_owned(), node.node.to_string()].into_iter().chain(counts));
        }
        (2..6).filter_map(|column| table.column_mut(column).map(|column| column.set_cell_alignment(CellAlignment::Right))).for_each(drop);
        let read = rows_of(&self.nodes, NodeKind::Source, |node| node.rows_out);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // a rate of rows
        let rate = HumanCount((read as f64 / self.seconds.max(0.001)) as u64);
        let how = match self.ended {
            Ok(_) if self.stopped => "stopped",
            Ok(_) => "done",
            Err(_) => "failed",
        };
        let mut text = format!("{}\njob `{}` {how} after {:.1} s: {} rows, {rate}/s\n", table, self.name, self.seconds, HumanCount(read));
        self.tell_losses(&mut text);
        text
    }

    fn tell_losses(&self, text: &mut String) {
        for node in &self.nodes {
            if let Some(reason) = &node.first_poison {
                let rows = if node.poison_rows == 1 { "row" } else { "rows" };
                let count = HumanCount(node.poison_rows);
                text.push_str(&format!("{count} {rows} on which the plugin of `{}` fails, the first: {reason}\n", node.node));
            }
            if let Some(reason) = &node.first_dead_letter {
                let letters = if node.dead_letters == 1 { "dead letter" } else { "dead letters" };
                text.push_str(&format!("{} {letters} of `{}`, the first: {reason}\n", HumanCount(node.dead_letters), node.node));
            }
        }
        for node in self.nodes.iter().filter(|node| node.repeated_rows > 0) {
            text.push_str(&format!("{} rows of `{}` repeated others and were dropped\n", HumanCount(node.repeated_rows), node.node));
        }
        let Ok(Report { dropped }) = self.ended else { return };
        text.push_str(&dropped::told(*dropped));
    }
}
