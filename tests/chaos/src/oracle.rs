//! What the job must have written, by what is in its source topic; and how what it has written differs from that.

use crate::pipeline::{Topics, WINDOW};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use stygian_e2e::{Differences, Rig, read_output};

/// Letters of a day in a time.
const DAY: usize = 10;

/// What the source topic holds.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Rows by their numbers.
    pub(crate) rows: BTreeMap<u64, Row>,
    /// What is none.
    pub(crate) broken: Vec<String>,
    /// Numbers that are there twice, by the fault of who wrote them.
    pub(crate) repeated: Vec<u64>,
}

/// A row of the source topic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    user: String,
    amount: f64,
    at: String,
}

/// How what was written differs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) texts: Vec<String>,
}

impl Truth {
    /// Reads it by kcat.
    pub(crate) fn read(rig: &Rig, topics: &Topics) -> Result<Self> {
        let mut truth = Self::default();
        for record in rig.cluster.kcat_read(&topics.source)? {
            let text = record.value.context("a record of the source without a value")?;
            match serde_json::from_str::<Value>(&text) {
                Ok(row) => truth.add(&row).with_context(|| text.clone())?,
                Err(_) => truth.broken.push(text),
            }
        }
        Ok(truth)
    }

    fn add(&mut self, row: &Value) -> Result<()> {
        let id = row["id"].as_u64().context("no id")?;
        let text = |name: &str| row[name].as_str().map(str::to_owned).context("a column that is missing");
        let new = Row { user: text("user")?, amount: row["amount"].as_f64().context("no amount")?, at: text("at")? };
        if self.rows.insert(id, new).is_some() {
            self.repeated.push(id);
        }
        Ok(())
    }

    /// Numbers whose rows are not in the topic `copy` yet.
    pub(crate) fn missing(&self, rig: &Rig, topics: &Topics) -> Result<usize> {
        let there: BTreeSet<u64> = rig.rows(&topics.copy)?.iter().filter_map(|row| row["id"].as_u64()).collect();
        Ok(self.rows.keys().filter(|id| !there.contains(id)).count())
    }

    /// Compares all that was written.
    pub(crate) fn judge(&self, rig: &Rig, topics: &Topics) -> Result<Verdict> {
        let mut verdict = Verdict::default();
        verdict.take("copy", Differences::check(rig.rows(&topics.copy)?, self.copies()));
        verdict.take("windows", Differences::check(rig.rows(&topics.windows)?.iter().map(compared).collect(), self.windows()?));
        verdict.take("lake", Differences::check(lake(rig, topics)?, self.lake()?));
        let totals = rig.rows(&topics.totals)?;
        let expected = self.totals(&totals);
        verdict.take("totals", Differences::check(totals, expected));
        let broken = self.broken.iter().map(|text| json!({ "row": text })).collect();
        verdict.take("refused", Differences::check(rig.rows(&topics.refused)?, broken));
        Ok(verdict)
    }

    fn copies(&self) -> Vec<Value> {
        let row = |(id, row): (&u64, &Row)| json!({ "id": id, "user": row.user, "amount": row.amount, "at": row.at });
        self.rows.iter().map(row).collect()
    }

    fn windows(&self) -> Result<Vec<Value>> {
        let mut windows: BTreeMap<(&str, String), (u64, f64)> = BTreeMap::new();
        for row in self.rows.values() {
            let window = windows.entry((&row.user, window_start(&row.at)?)).or_default();
            *window = (window.0 + 1, window.1 + row.amount);
        }
        let row = |((user, start), (rows, amount))| json!({ "user": user, "window_start": start, "rows": rows, "amount": amount });
        Ok(windows.into_iter().map(row).collect())
    }

    /// The windows, with the folders that they are in.
    fn lake(&self) -> Result<Vec<Value>> {
        let mut windows = self.windows()?;
        for window in &mut windows {
            let start = window["window_start"].as_str().context("a time")?;
            window["day"] = start.get(..DAY).context("a day")?.into();
        }
        Ok(windows)
    }

    /// Totals depend on the order in which rows of several partitions came; in whatever order, they go up by one row and its amount.
    fn totals(&self, found: &[Value]) -> Vec<Value> {
        let mut order: Vec<(u64, u64)> = found.iter().filter_map(|row| Some((row["count"].as_u64()?, row["id"].as_u64()?))).collect();
        order.sort_unstable();
        let seen: BTreeSet<u64> = order.iter().map(|(_, id)| *id).collect();
        let unseen = self.rows.keys().filter(|id| !seen.contains(id));
        let (mut so_far, mut told) = (BTreeMap::<&str, (u64, f64)>::new(), BTreeSet::new());
        let mut expected = Vec::new();
        for id in order.iter().map(|(_, id)| id).chain(unseen) {
            let Some(row) = self.rows.get(id).filter(|_| told.insert(*id)) else { continue };
            let sums = so_far.entry(&row.user).or_default();
            *sums = (sums.0 + 1, sums.1 + row.amount);
            let (count, sum) = *sums;
            expected.push(json!({ "id": id, "user": row.user, "amount": row.amount, "at": row.at, "count": count, "sum": sum }));
        }
        expected
    }
}

impl Verdict {
    fn take(&mut self, topic: &str, compared: Result<(), Differences>) {
        if let Err(differences) = compared {
            self.lost += differences.lost;
            self.doubled += differences.doubled;
            self.texts.push(format!("{topic}: {differences}"));
        }
    }
}

/// The windows in HDFS, fetched by WebHDFS and read by pyarrow.
fn lake(rig: &Rig, topics: &Topics) -> Result<Vec<Value>> {
    let fetched = tempfile::tempdir()?;
    rig.hdfs_get(&topics.lake(), fetched.path())?;
    let with_day = |row: &Value| {
        let mut row_compared = compared(row);
        row_compared["day"] = row["day"].clone();
        row_compared
    };
    Ok(read_output(fetched.path())?.iter().map(with_day).collect())
}

/// Of a window's row, what is compared: its end follows from its start.
fn compared(row: &Value) -> Value {
    json!({ "user": row["user"], "window_start": row["window_start"], "rows": row["rows"], "amount": row["amount"] })
}

/// The second that a time is in.
fn window_start(at: &str) -> Result<String> {
    const { assert!(WINDOW == 1000) };
    let (second, _) = at.split_once('.').context("a time without a fraction")?;
    Ok(format!("{second}Z"))
}
