//! A run with faults.

use crate::breaking::Breaker;
use crate::faults::{Fault, chosen};
use crate::feeder::Feeder;
use crate::job::Job;
use crate::pipeline::Topics;
use crate::scene::{self, End, Watch};
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use stygian_cluster::Protection;
use stygian_e2e::{Chance, Rig};

/// After so many faults the job must have come on.
const COMES_ON: usize = 6;

/// What has come of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What chose faults and moments.
    pub seed: u64,
    /// How many threads each operator had.
    pub parallelism: u16,
    /// Faults by kind.
    pub kinds: BTreeMap<Fault, u64>,
    /// Kills by place.
    pub places: BTreeMap<&'static str, u64>,
    /// Rows that were worked off, and lines that were none.
    pub rows: u64,
    /// Rows that should be in a topic or file and are not.
    pub lost: u64,
    /// Rows that are in a topic or file and should not.
    pub doubled: u64,
    /// What went wrong otherwise, and what differs.
    pub wrong: Vec<String>,
    /// How often the job started again by itself.
    pub restarts: u64,
    /// How often it had to be started, as it had given up.
    pub gave_up: u64,
    /// What was refused, and transactions of the source that nobody may see.
    pub beside: (u64, u64),
    /// How long it took, without the start of the cluster.
    pub seconds: u64,
}

impl Outcome {
    /// Whether nothing was lost, doubled or wrong.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.wrong.is_empty()
    }

    /// As one line.
    pub fn json(&self) -> Value {
        let kinds: BTreeMap<&str, u64> = self.kinds.iter().map(|(fault, count)| (fault.name(), *count)).collect();
        let faults: u64 = kinds.values().sum();
        let Self { seed, parallelism, places, rows, lost, doubled, wrong, restarts, gave_up, beside, seconds, .. } = self;
        json!({ "figure": "chaos-secure", "seed": seed, "parallelism": parallelism, "faults": faults, "kinds": kinds, "places": places,
                "rows": rows, "refused": beside.0, "transactions_given_up": beside.1, "restarts_by_itself": restarts,
                "started_as_it_gave_up": gave_up, "lost": lost, "doubled": doubled, "wrong": wrong, "seconds": seconds })
    }
}

/// Breaks so many things of these kinds; says what it does by `tell`.
///
/// # Errors
/// When the cluster does not start. What goes wrong after that is in the outcome; then its folders are kept.
pub fn secure(kinds: &[Fault], faults: usize, seed: u64, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let mut chance = Chance(seed);
    let parallelism = if chance.below(2) == 0 { 1 } else { 3 };
    let protection = chance.one_of(&[Protection::Authentication, Protection::Integrity, Protection::Privacy]);
    tell(&format!("parallelism {parallelism}, data transfer protection {protection:?}"));
    let mut outcome = Outcome { seed, parallelism, ..Outcome::default() };
    let (mut rig, place) = (scene::rig(protection)?, tempfile::tempdir()?);
    let began = Instant::now();
    let plan = chosen(kinds, faults, &mut chance);
    let result = std::thread::scope(|scope| {
        let topics = Topics::create(&rig)?;
        let job = Job::new(&rig, &topics, parallelism, place.path())?;
        let mut breaker = Breaker::new(scope, &rig.cluster, topics.folder.clone(), job, chance);
        let result = run(&rig, &topics, &plan, &mut breaker, tell);
        (outcome.kinds, outcome.places) = (std::mem::take(&mut breaker.done), std::mem::take(&mut breaker.places));
        (outcome.restarts, outcome.gave_up) = (breaker.job.restarts(), breaker.job.gave_up);
        result
    });
    match result {
        Ok(End { rows, broken, given_up, verdict }) => {
            (outcome.rows, outcome.beside) = (rows, (broken, given_up));
            (outcome.lost, outcome.doubled, outcome.wrong) = (verdict.lost, verdict.doubled, verdict.texts);
        }
        Err(error) => outcome.wrong.push(format!("{error:#}")),
    }
    outcome.seconds = began.elapsed().as_secs();
    if !outcome.is_clean() {
        rig.cluster.keep_folder();
        tell(&format!("kept: {} and {}", place.keep().display(), rig.cluster.folder().display()));
    }
    Ok(outcome)
}

fn run(rig: &Rig, topics: &Topics, plan: &[Fault], breaker: &mut Breaker<'_, '_>, tell: &mut dyn FnMut(&str)) -> Result<End> {
    let (feeder, watch, began) = (Feeder::start(&rig.cluster, &topics.source)?, Watch::new(rig, topics)?, Instant::now());
    tell(&format!("the job's folder is {}", breaker.job.place().display()));
    breaker.job.start(None)?;
    breaker.job.until("the first checkpoint", Duration::from_secs(150), || Ok(watch.committed().is_some()))?;
    for (at, fault) in plan.iter().enumerate() {
        tell(&format!("{:.1} s, fault {}: {}", began.elapsed().as_secs_f64(), at + 1, fault.name()));
        breaker.carry_out(*fault)?;
        let pause = Duration::from_millis(100 + breaker.chance.below(2_500));
        breaker.job.go_on_for(pause)?;
        if (at + 1).is_multiple_of(COMES_ON) {
            watch.until_more(&mut breaker.job)?;
        }
    }
    breaker.kdc_back()?;
    tell(&format!("{:.1} s, no more faults", began.elapsed().as_secs_f64()));
    watch.until_more(&mut breaker.job)?;
    scene::end(rig, topics, feeder, &mut breaker.job)
}
