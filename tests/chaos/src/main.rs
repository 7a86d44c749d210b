//! Kills jobs again and again, and checks that their output is as if nothing had happened.
//!
//! `chaos FAULTS SEED`: takes the end-to-end cases in turn, at parallelism 1 and 3, each run with checkpoints and killed (SIGKILL) up to eight
//! times, until there were so many kills of each kind: at random moments, at named places in the program, and of two processes at once on
//! one job without a lock, one of which is stopped and goes on again. Prints one line of JSON: the faults, and the rows that were lost and
//! doubled. What a case must give out was computed by programs that are not ours. A seed chooses moments and places; a place is found again
//! by the seed of its run, where a moment hits depends on the machine.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use stygian_e2e::{Case, Differences, Killed};

/// Those whose output does not depend on the time of day.
const CASES: [&str; 12] =
    ["routes", "fraud", "flights", "late", "sessions", "aircraft", "behaviour", "dedup", "sliding", "top", "poison", "formats"];

/// Faults of one run from its beginning to its end.
const AT_ONCE: usize = 8;

/// So many runs with wrong output are enough.
const MOST_WRONG: usize = 10;

type Check = fn(&Case, u16, u64, usize) -> Result<Killed>;

const KINDS: [(&str, Check); 3] =
    [("random moments", Case::check_killed), ("named places", Case::check_killed_at_points), ("two processes", Case::check_two_processes)];

/// What has come of the faults of a kind.
#[derive(Default)]
struct Tally {
    faults: u64,
    runs: u64,
    lost: u64,
    doubled: u64,
    places: BTreeMap<&'static str, u64>,
    wrong: Vec<serde_json::Value>,
}

fn main() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let mut number = |what: &'static str| args.next().context(what)?.parse::<u64>().context(what);
    let (faults, seed) = (number("the number of faults")?, number("a seed")?);
    let mut told = serde_json::Map::from_iter([("figure".to_owned(), "chaos".into()), ("seed".to_owned(), seed.into())]);
    let (mut lost, mut doubled, mut wrong) = (0, 0, 0);
    for (kind, check) in KINDS {
        let tally = tally(kind, check, faults, seed)?;
        (lost, doubled, wrong) = (lost + tally.lost, doubled + tally.doubled, wrong + tally.wrong.len());
        let Tally { faults, runs, places, wrong, .. } = tally;
        told.insert(kind.to_owned(), serde_json::json!({ "faults": faults, "runs": runs, "places": places, "wrong": wrong }));
    }
    told.extend([("lost".to_owned(), lost.into()), ("doubled".to_owned(), doubled.into())]);
    writeln!(std::io::stdout(), "{}", serde_json::Value::from(told))?;
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tally(kind: &str, check: Check, faults: u64, seed: u64) -> Result<Tally> {
    let mut tally = Tally::default();
    while tally.faults < faults && tally.wrong.len() < MOST_WRONG {
        let name = CASES[usize::try_from(tally.runs / 2)? % CASES.len()];
        let parallelism = if tally.runs.is_multiple_of(2) { 1 } else { 3 };
        let run_seed = seed.wrapping_mul(1_000_003).wrapping_add(tally.runs);
        match check(&Case::named(name)?, parallelism, run_seed, AT_ONCE) {
            Ok(killed) => {
                tally.faults += killed.times as u64;
                killed.points.into_iter().for_each(|point| *tally.places.entry(point).or_default() += 1);
            }
            Err(error) => {
                if let Some(Differences { lost, doubled, .. }) = error.downcast_ref() {
                    (tally.lost, tally.doubled) = (tally.lost + lost, tally.doubled + doubled);
                }
                let mut text = format!("{error:#}");
                text.truncate(text.floor_char_boundary(2000));
                eprintln(&format!("{kind}: {name} at parallelism {parallelism}, seed {run_seed}: {text}"))?;
                tally.wrong.push(serde_json::json!({ "case": name, "parallelism": parallelism, "seed": run_seed }));
            }
        }
        tally.runs += 1;
    }
    Ok(tally)
}

fn eprintln(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}
