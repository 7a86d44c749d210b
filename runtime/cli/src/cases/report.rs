//! What came of the cases, for people and for programs.

use super::play::{Played, StreamDifference};
use comfy_table::{Table, presets};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use stygian_core::escape;

/// Rows of a difference that are shown; programs get all.
const SHOWN_ROWS: usize = 20;
/// Characters of a value that are shown.
const SHOWN_VALUE: usize = 200;

/// All cases that were played.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) outcomes: Vec<Outcome>,
}

/// One case.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) file: PathBuf,
    pub(crate) name: String,
    pub(crate) result: Played,
}

impl Report {
    pub(crate) fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.result != Played::Passed).count()
    }

    /// One line.
    pub(crate) fn summary(&self) -> String {
        let (failed, all) = (self.failed(), self.outcomes.len());
        let tests = if all == 1 { "test" } else { "tests" };
        if failed == 0 { format!("{all} {tests} passed\n") } else { format!("{failed} of {all} {tests} failed\n") }
    }

    /// For programs.
    pub(crate) fn json(&self, pipeline: &Path) -> Value {
        let tests = self.outcomes.iter().map(Outcome::json).collect::<Vec<_>>();
        let failed = self.failed();
        json!({ "pipeline": pipeline.display().to_string(), "passed": tests.len() - failed, "failed": failed, "tests": tests })
    }
}

impl Outcome {
    /// For people: a line, and what differs.
    pub(crate) fn text(&self) -> String {
        let name = escape(&self.name, SHOWN_VALUE);
        match &self.result {
            Played::Passed => format!("ok    {name}\n"),
            Played::Ended(how) => format!("FAIL  {name}\n      {}\n", escape(how, 4_000)),
            Played::Differs(streams) => {
                let streams: Vec<String> = streams.iter().map(StreamDifference::text).collect();
                format!("FAIL  {name}\n{}", streams.join(""))
            }
        }
    }

    fn json(&self) -> Value {
        let (error, streams) = match &self.result {
            Played::Passed => (None, Vec::new()),
            Played::Ended(how) => (Some(how.clone()), Vec::new()),
            Played::Differs(streams) => (None, streams.iter().map(StreamDifference::json).collect()),
        };
        json!({
            "file": self.file.display().to_string(), "name": self.name, "passed": self.result == Played::Passed,
            "error": error, "differences": streams,
        })
    }
}

impl StreamDifference {
    fn text(&self) -> String {
        let difference = &self.difference;
        let rows = |count: usize| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
        let head = match difference.disorder {
            Some(place) => format!("from row {} on in another order", place + 1),
            None => format!("{} instead of {}", rows(self.found), self.expected),
        };
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header([String::new()].into_iter().chain(self.columns.iter().map(|name| shown(name))));
        let signed = difference.missing.iter().map(|row| ("- expected", row));
        let signed = signed.chain(difference.unexpected.iter().map(|row| ("+ found", row)));
        for (sign, row) in signed.clone().take(SHOWN_ROWS) {
            table.add_row([sign.to_owned()].into_iter().chain(self.columns.iter().map(|column| value(row, column))));
        }
        let lines: Vec<String> = table.lines().map(|line| format!("        {}\n", line.trim_end())).collect();
        let more = signed.count().saturating_sub(SHOWN_ROWS);
        let more = if more > 0 { format!("        and {more} more; `--output json` tells all\n") } else { String::new() };
        format!("      {}: {head}\n{}{more}", escape(&self.stream, SHOWN_VALUE), lines.concat())
    }

    fn json(&self) -> Value {
        json!({
            "stream": self.stream, "expected_rows": self.expected, "found_rows": self.found, "first_in_another_order": self.difference.disorder,
            "missing": self.difference.missing, "unexpected": self.difference.unexpected,
        })
    }
}

fn shown(text: &str) -> String {
    escape(text, SHOWN_VALUE)
}

fn value(row: &Map<String, Value>, column: &str) -> String {
    match row.get(column) {
        None | Some(Value::Null) => "null".to_owned(),
        Some(Value::String(text)) => shown(text),
        Some(other) => shown(&other.to_string()),
    }
}
