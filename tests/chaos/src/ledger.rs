//! What several runs have come to, kept in a file.

use crate::secure::Outcome;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// A file with one line of JSON a run.
#[derive(Debug)]
pub struct Ledger {
    runs: Vec<Value>,
}

impl Ledger {
    /// Adds a run to a file, which need not be there yet.
    ///
    /// # Errors
    /// When it cannot be read or written, or is none.
    pub fn add(path: &Path, outcome: &Outcome) -> Result<Self> {
        let told = || format!("the file of earlier runs, {}", path.display());
        let text = if path.exists() { std::fs::read_to_string(path).with_context(told)? } else { String::new() };
        let mut runs: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>().with_context(told)?;
        runs.push(outcome.json());
        let lines: String = runs.iter().map(|run| format!("{run}\n")).collect();
        std::fs::write(path, lines).with_context(told)?;
        Ok(Self { runs })
    }

    /// The sums.
    pub fn sums(&self) -> Value {
        let sum = |name: &str| self.runs.iter().filter_map(|run| run[name].as_u64()).sum::<u64>();
        let wrong: usize = self.runs.iter().filter_map(|run| run["wrong"].as_array()).map(Vec::len).sum();
        let mut kinds = BTreeMap::<&str, u64>::new();
        for (kind, count) in self.runs.iter().filter_map(|run| run["kinds"].as_object()).flatten() {
            *kinds.entry(kind).or_default() += count.as_u64().unwrap_or_default();
        }
        json!({ "runs": self.runs.len(), "faults": sum("faults"), "kinds": kinds, "rows": sum("rows"), "lost": sum("lost"),
                "doubled": sum("doubled"), "wrong": wrong })
    }
}
