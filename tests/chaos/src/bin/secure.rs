//! `chaos-secure FAULTS SEED [--resume FILE]`: breaks a job between guarded topics so many times; one line of JSON.
//!
//! With a file, the line also has the sums of all runs that were added to it. Exits with 1 when anything was lost, doubled or wrong.

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use stygian_chaos::{ALL, Ledger, secure};

fn main() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let mut number = |what: &'static str| args.next().context(what)?.parse::<u64>().context(what);
    let (faults, seed) = (number("the number of faults")?, number("a seed")?);
    let file = match (args.next().as_deref(), args.next()) {
        (None, _) => None,
        (Some("--resume"), Some(file)) => Some(PathBuf::from(file)),
        (Some(other), _) => bail!("`{other}` is no option; --resume FILE is"),
    };
    let outcome = secure(ALL, usize::try_from(faults)?, seed, &mut |text| {
        // Nobody to tell if standard error is gone.
        let _ = writeln!(std::io::stderr(), "{text}");
    })?;
    let mut line = outcome.json();
    if let (Some(file), Some(line)) = (file, line.as_object_mut()) {
        line.insert("all_runs".into(), Ledger::add(&file, &outcome)?.sums());
    }
    writeln!(std::io::stdout(), "{line}")?;
    Ok(if outcome.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
