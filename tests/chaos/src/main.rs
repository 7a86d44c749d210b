//! Kills jobs at random moments, again and again, and checks that their output is as if nothing had happened.
//!
//! `chaos FAULTS SEED`: takes the end-to-end cases in turn, at parallelism 1 and 3, each run with checkpoints and killed (SIGKILL) up to eight
//! times, until there were so many kills. Prints one line of JSON: the kills, and the runs whose output had rows lost or doubled. What a case
//! must give out was computed by programs that are not ours. A seed chooses the moments; where a kill hits depends on the machine besides.

use anyhow::{Context, Result};
use std::io::Write;
use std::process::ExitCode;
use stygian_e2e::Case;

/// Those whose output does not depend on the time of day.
const CASES: [&str; 12] =
    ["routes", "fraud", "flights", "late", "sessions", "aircraft", "behaviour", "dedup", "sliding", "top", "poison", "formats"];

/// Kills of one run from its beginning to its end.
const KILLS: usize = 8;

/// So many runs with wrong output are enough.
const MOST_WRONG: usize = 10;

fn main() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let mut number = |what: &'static str| args.next().context(what)?.parse::<u64>().context(what);
    let (faults, seed) = (number("the number of faults")?, number("a seed")?);
    let (mut kills, mut runs, mut wrong) = (0, 0_u64, Vec::new());
    while kills < faults && wrong.len() < MOST_WRONG {
        let name = CASES[usize::try_from(runs / 2)? % CASES.len()];
        let parallelism = if runs.is_multiple_of(2) { 1 } else { 3 };
        let run_seed = seed.wrapping_mul(1_000_003).wrapping_add(runs);
        match Case::named(name)?.check_killed(parallelism, run_seed, KILLS) {
            Ok(killed) => kills += killed as u64,
            Err(error) => {
                let mut text = format!("{error:#}");
                text.truncate(text.floor_char_boundary(2000));
                eprintln(&format!("{name} at parallelism {parallelism}, seed {run_seed}: {text}"))?;
                wrong.push(serde_json::json!({ "case": name, "parallelism": parallelism, "seed": run_seed }));
            }
        }
        runs += 1;
    }
    let line = serde_json::json!({ "figure": "kills at random moments", "faults": kills, "runs": runs, "seed": seed, "wrong": wrong });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn eprintln(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}
