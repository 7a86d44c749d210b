//! `soak MINUTES`: runs a job between guarded topics with short tickets, and nothing may be noticed of it; one line of JSON.

use anyhow::{Context, Result};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use stygian_chaos::soak;

fn main() -> Result<ExitCode> {
    let minutes: u64 = std::env::args().nth(1).context("how many minutes")?.parse().context("how many minutes")?;
    let soaked = soak(Duration::from_secs(60 * minutes), &mut |text| {
        // Nobody to tell if standard error is gone.
        let _ = writeln!(std::io::stderr(), "{text}");
    })?;
    writeln!(std::io::stdout(), "{}", soaked.json())?;
    Ok(if soaked.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
