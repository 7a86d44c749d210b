//! Texts that people read, as they are to be.

use crate::world::World;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use stygian_api::ConnectorError;

/// Compares an error with the golden text of that name, and whether it may pass.
pub(crate) fn told<T>(world: &World, name: &str, result: Result<T, ConnectorError>) -> Result<()> {
    let error = result.err().with_context(|| format!("{name}: it went well"))?;
    compare(world, name, &error_text(&error))
}

/// What is told of an error.
pub(crate) fn error_text(error: &ConnectorError) -> String {
    let reason = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{reason}\nmay pass: {}\n", if error.may_pass() { "yes" } else { "no" })
}

/// Compares a text with the file of that name, or writes it if `STYGIAN_GOLDEN=write`.
pub(crate) fn compare(world: &World, name: &str, text: &str) -> Result<()> {
    let text = world.named(text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hdfs/golden").join(format!("{name}.txt"));
    if std::env::var("STYGIAN_GOLDEN").is_ok_and(|wish| wish == "write") {
        return Ok(std::fs::write(&path, text)?);
    }
    let expected = std::fs::read_to_string(&path).with_context(|| format!("there is no golden text {name}; this was told:\n{text}"))?;
    ensure!(text == expected, "{name} is not as it was\n--- expected\n{expected}--- told\n{text}");
    Ok(())
}
