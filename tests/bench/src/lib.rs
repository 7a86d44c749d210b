//! What the figures share: rows, plugins, medians, and one line of JSON a figure.

use anyhow::{Context, Result};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use stygian_sandbox::{Compiler, Limits, Plugin, Sandbox, SandboxConfig, thread_cpu};

/// Rows of a call.
pub const CALL_ROWS: usize = 1024;

/// Rows with a value, a weight and a name, half of which end in an even digit.
///
/// # Errors
/// Never: the columns are of one length.
pub fn rows(count: usize) -> Result<RecordBatch> {
    let numbers = 0..i64::try_from(count)?;
    let value: Float64Array = numbers.clone().map(|n| f64::from(i32::try_from(n % 1000).unwrap_or(0)) * 0.25).collect();
    let weight: Int64Array = numbers.clone().map(|n| n % 7).collect();
    let name: StringArray = numbers.map(|n| Some(format!("user-{:011}", n * 7919 % 1_000_003))).collect();
    let columns = [("value", Arc::new(value) as ArrayRef), ("weight", Arc::new(weight)), ("name", Arc::new(name))];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, false)))?)
}

/// A sandbox whose compiler is the program `stygian`, with a cache of its own.
///
/// # Errors
/// When it cannot be set up.
pub fn sandbox(stygian: &Path, cache: &Path) -> Result<Sandbox> {
    let compiler = Compiler::Child { program: stygian.to_owned(), args: vec!["compile-component".into()] };
    let mut config = SandboxConfig::new(cache, compiler);
    config.limits = Limits::default();
    Ok(Sandbox::new(config)?)
}

/// A component of a folder.
///
/// # Errors
/// When it cannot be loaded.
pub fn plugin(sandbox: &Sandbox, folder: &Path, name: &str) -> Result<Plugin> {
    sandbox.load(&folder.join(format!("{name}.wasm"))).with_context(|| format!("cannot load {name}; build it first"))
}

/// The CPU time that this thread has taken, in nanoseconds: what else runs on the machine does not count.
pub fn cpu_nanos() -> f64 {
    thread_cpu().as_secs_f64() * 1e9
}

/// The middle of the samples.
pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints a figure.
///
/// # Errors
/// When nobody reads it.
pub fn tell(figure: &serde_json::Value) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{figure}")?)
}
