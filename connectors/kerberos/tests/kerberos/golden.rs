//! Texts that people read, as they are to be.

use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Compares a text with the file of that name, or writes it if `STYGIAN_GOLDEN=write`.
pub(crate) fn compare(name: &str, text: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kerberos/golden").join(format!("{name}.txt"));
    if std::env::var("STYGIAN_GOLDEN").is_ok_and(|wish| wish == "write") {
        return Ok(std::fs::write(&path, text)?);
    }
    let expected = std::fs::read_to_string(&path).with_context(|| format!("there is no golden text {name}; this was printed:\n{text}"))?;
    ensure!(text == expected, "{name} is not as it was\n--- expected\n{expected}--- printed\n{text}");
    Ok(())
}
