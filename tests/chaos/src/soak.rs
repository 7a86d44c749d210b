//! A run without faults, in which tickets expire and connections authenticate again all the time: nobody may notice.

use crate::feeder::Feeder;
use crate::job::{Job, Process};
use crate::pipeline::Topics;
use crate::scene::{self, End, Watch};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use stygian_cluster::Protection;
use stygian_e2e::Rig;

/// What the job says when all is well; then comes the summary, which begins with an empty line or its table.
const FINE: [&str; 2] = ["a first start; checkpoints go to ", "stopping: "];
/// What words of trouble the summary would hold.
const TROUBLE: [&str; 6] = ["error", "failed", "warn", "panicked", "lost", "dropped"];
/// By then the job's memory is in use.
const SETTLED: Duration = Duration::from_secs(30);

/// What has come of it.
#[derive(Debug, Default)]
pub struct Soaked {
    /// How long it ran.
    pub minutes: f64,
    /// Rows that were worked off.
    pub rows: u64,
    /// Resident memory of the job after half a minute and at the end, in MiB.
    pub memory: (u64, u64),
    /// What is lost.
    pub lost: u64,
    /// What is doubled.
    pub doubled: u64,
    /// Restarts, whatever the job has said that would worry its user, and what differs.
    pub wrong: Vec<String>,
}

impl Soaked {
    /// Whether nobody has noticed anything.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.wrong.is_empty()
    }

    /// As one line.
    pub fn json(&self) -> Value {
        let Self { minutes, rows, memory, lost, doubled, wrong } = self;
        json!({ "figure": "soak", "minutes": (minutes * 10.0).round() / 10.0, "rows": rows, "rss_mib_start": memory.0,
                "rss_mib_end": memory.1, "lost": lost, "doubled": doubled, "wrong": wrong })
    }
}

/// Runs for so long.
///
/// # Errors
/// When the cluster does not start. What goes wrong after that is in what is given back.
pub fn soak(time: Duration, tell: &mut dyn FnMut(&str)) -> Result<Soaked> {
    let (mut rig, place, began) = (scene::rig(Protection::Authentication)?, tempfile::tempdir()?, Instant::now());
    let mut soaked = Soaked::default();
    let topics = Topics::create(&rig)?;
    let mut job = Job::new(&rig, &topics, 3, place.path())?;
    match run(&rig, &topics, time, &mut job, &mut soaked, tell) {
        Ok(End { rows, verdict, .. }) => {
            soaked.rows = rows;
            (soaked.lost, soaked.doubled) = (verdict.lost, verdict.doubled);
            soaked.wrong.extend(verdict.texts);
        }
        Err(error) => soaked.wrong.push(format!("{error:#}")),
    }
    if job.restarts() + job.gave_up > 0 {
        soaked.wrong.push(format!("it was started again {} times", job.restarts() + job.gave_up));
    }
    soaked.wrong.extend(worries(&job.process.as_ref().map(Process::says).transpose()?.unwrap_or_default()));
    soaked.minutes = began.elapsed().as_secs_f64() / 60.0;
    drop(job);
    if !soaked.is_clean() {
        rig.cluster.keep_folder();
        tell(&format!("kept: {} and {}", place.keep().display(), rig.cluster.folder().display()));
    }
    Ok(soaked)
}

fn run(rig: &Rig, topics: &Topics, time: Duration, job: &mut Job, soaked: &mut Soaked, tell: &mut dyn FnMut(&str)) -> Result<End> {
    let (feeder, watch) = (Feeder::start(&rig.cluster, &topics.source)?, Watch::new(rig, topics)?);
    tell(&format!("the job's folder is {}", job.place().display()));
    job.start(None)?;
    job.go_on_for(SETTLED.min(time / 2))?;
    soaked.memory.0 = memory(job)?;
    job.go_on_for(time.saturating_sub(SETTLED.min(time / 2)))?;
    watch.until_more(job)?;
    soaked.memory.1 = memory(job)?;
    scene::end(rig, topics, feeder, job)
}

/// In MiB.
fn memory(job: &Job) -> Result<u64> {
    let id = job.process.as_ref().and_then(Process::id).context("no process has the job")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    ensure!(kib > 0, "no memory");
    Ok(kib / 1024)
}

/// What a user would take for an error, or a warning of one: any line before the job was told to stop but those of its start, and
/// lines with words of trouble after that.
fn worries(says: &str) -> Vec<String> {
    let (mut at_end, mut worries) = (false, Vec::new());
    for line in says.lines() {
        at_end |= line.starts_with("stopping: ") || line.trim().is_empty() || line.contains("rows in");
        let lower = line.to_lowercase();
        let is_fine = FINE.iter().any(|fine| line.starts_with(fine)) || (at_end && !TROUBLE.iter().any(|word| lower.contains(word)));
        if !is_fine {
            worries.push(format!("the job says: {line}"));
        }
    }
    worries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_trouble_is_a_worry_and_a_summary_is_none() {
        let summary = "\n source events 12 12 3\n3 dead letters of `events`, the first: it is no JSON\n";
        assert_eq!(worries(&format!("a first start; checkpoints go to /c\n{summary}")), Vec::<String>::new());
        assert_eq!(worries("a first start; checkpoints go to /c\nWARN kafka: Ticket expired\n").len(), 1);
        assert_eq!(worries(&format!("{summary}job `j` failed after 3 s\n")).len(), 1);
    }
}
