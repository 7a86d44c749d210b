//! Reads a component's outside from its bytes, before anything of it is compiled: what it imports and exports.
//!
//! A component that imports anything beyond the contract is refused here, by name.

use crate::SandboxError;
use std::path::Path;
use stygian_core::{PluginInterfaces, escape};
use stygian_wit::interface;
use wasmparser::{Encoding, Parser, Payload};

/// Names of a component's imports and exports, escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outside {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Interfaces a plugin may import; `types` only gives names to types.
const GRANTED: [&str; 5] = ["types", "output", "state-access", "timers", "log"];

/// Imports and exports together; a component with more is refused.
const MOST_NAMES: usize = 1000;

impl Outside {
    /// Reads the outermost level of a component.
    pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Self, SandboxError> {
        let no_component = |reason: String| SandboxError::NotAComponent { path: path.to_owned(), reason };
        if !Parser::is_component(bytes) {
            let reason = if Parser::is_core_wasm(bytes) { "it is a core module" } else { "it does not begin as WebAssembly does" };
            return Err(no_component(reason.to_owned()));
        }
        let outside = Self::names(bytes).map_err(|error| no_component(escape(error.message(), 500)))?;
        if outside.imports.len() + outside.exports.len() > MOST_NAMES {
            return Err(no_component(format!("it imports and exports more than {MOST_NAMES} things")));
        }
        Ok(outside)
    }

    fn names(bytes: &[u8]) -> wasmparser::Result<Self> {
        let (mut outside, mut depth) = (Self::default(), 0_usize);
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { encoding: Encoding::Module | Encoding::Component, .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        push(&mut outside.imports, import?.name.name);
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        push(&mut outside.exports, export?.name.name);
                    }
                }
                _ => {}
            }
        }
        Ok(outside)
    }

    /// Refuses what lies outside the contract.
    pub(crate) fn check(&self, path: &Path) -> Result<(), SandboxError> {
        for import in &self.imports {
            if GRANTED.iter().any(|name| interface(name) == *import) {
                continue;
            }
            let path = path.to_owned();
            return Err(match import.strip_prefix("stygian:plugin/") {
                Some(_) => SandboxError::Contract { path, reason: format!("it imports `{import}`, which this version does not have") },
                None => SandboxError::ForeignImport { path, import: import.clone(), hint: hint(import) },
            });
        }
        if self.exports.contains(&interface("metadata")) {
            return Ok(());
        }
        let reason = format!("it does not export `{}`", interface("metadata"));
        Err(SandboxError::Contract { path: path.to_owned(), reason })
    }

    /// Which optional parts of the contract are exported.
    pub(crate) fn interfaces(&self) -> PluginInterfaces {
        let has = |name: &str| self.exports.contains(&interface(name));
        PluginInterfaces {
            operator: has("operator"),
            keyed_operator: has("keyed-operator"),
            aggregate: has("aggregate"),
            migration: has("migration"),
        }
    }
}

fn push(names: &mut Vec<String>, name: &str) {
    if names.len() <= MOST_NAMES {
        names.push(escape(name, 300));
    }
}

/// What to do instead of an import.
fn hint(import: &str) -> &'static str {
    let is = |part: &str| import.contains(part);
    if is("clock") {
        "plugins have no clock; processing time and watermark come with each call"
    } else if is("filesystem") || is("preopens") {
        "plugins have no files; put what it needs into its configuration or into the component"
    } else if is("sockets") || is("http") {
        "plugins have no network; join such data in as a stream of its own"
    } else if is("random") {
        "plugins have no randomness, so that a replay gives the same rows; hash a column instead"
    } else if is("wasi:") {
        "build it for wasm32-unknown-unknown, which has no WASI"
    } else {
        "plugins import the contract's `output`, `log`, `state-access` and `timers` alone"
    }
}
