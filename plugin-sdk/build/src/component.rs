//! Core module -> component: what the plugin's compiler made, checked and wrapped.
//!
//! A module that imports anything but the contract is refused here with a hint, before the sandbox would refuse it without one.

use crate::error::BuildError;
use wasmparser::{BinaryReaderError, Parser, Payload};
use wit_component::ComponentEncoder;

const CONTRACT: &str = "stygian:plugin/";
/// What every plugin exports.
const METADATA: &str = "stygian:plugin/metadata@";

/// The component of a crate's core module.
pub(crate) fn encode(name: &str, module: &[u8]) -> Result<Vec<u8>, BuildError> {
    check_imports(name, module)?;
    let encoded = ComponentEncoder::default().validate(true).module(module).and_then(|mut encoder| encoder.encode());
    let component = encoded.map_err(|error| BuildError::Component { name: name.to_owned(), message: format!("{error:#}") })?;
    if is_plugin(&component).map_err(|error| invalid(name, &error))? {
        Ok(component)
    } else {
        Err(BuildError::NoExport { name: name.to_owned() })
    }
}

fn invalid(name: &str, error: &BinaryReaderError) -> BuildError {
    BuildError::Component { name: name.to_owned(), message: error.to_string() }
}

fn check_imports(name: &str, module: &[u8]) -> Result<(), BuildError> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(imports) = payload.map_err(|error| invalid(name, &error))? {
            for import in imports.into_imports() {
                let import = import.map_err(|error| invalid(name, &error))?;
                check_import(name, import.module, import.name)?;
            }
        }
    }
    Ok(())
}

/// Whether the component exports the contract. A module whose exports merely have the right names makes one that exports nothing.
fn is_plugin(component: &[u8]) -> Result<bool, BinaryReaderError> {
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::ComponentExportSection(exports) = payload? {
            for export in exports {
                if export?.name.name.starts_with(METADATA) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

fn check_import(name: &str, module: &str, field: &str) -> Result<(), BuildError> {
    if module.starts_with(CONTRACT) {
        return Ok(());
    }
    let hint = if module.starts_with("wasi") {
        ": there are no files, clocks, sockets or random numbers inside; build for wasm32-unknown-unknown and drop the dependency that wants WASI"
    } else if module.contains("wbindgen") {
        ": a dependency was made for browsers; switch off its feature `js`, `wasm-bindgen` or the like"
    } else if module == "env" {
        ": a dependency wants a C function; use one in pure Rust"
    } else {
        ""
    };
    Err(BuildError::ForeignImport { name: name.to_owned(), import: format!("{module}::{field}"), hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(module: &str) -> String {
        encode("mine", &wat::parse_str(module).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn names_the_import_that_no_plugin_gets_and_what_to_do() {
        let wasi = error(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))"#);
        assert!(wasi.contains("`wasi_snapshot_preview1::fd_write`") && wasi.contains("wasm32-unknown-unknown"), "{wasi}");
        let browser = error(r#"(module (import "__wbindgen_placeholder__" "__wbindgen_throw" (func (param i32 i32))))"#);
        assert!(browser.contains("browsers"), "{browser}");
        assert!(error(r#"(module (import "env" "getenv" (func)))"#).contains("pure Rust"));
    }

    #[test]
    fn refuses_what_exports_no_operator_or_is_no_module() {
        assert!(error("(module)").contains("stygian_sdk::export!"));
        assert!(matches!(encode("mine", b"not wasm"), Err(BuildError::Component { .. })));
        // The right name, but not the contract's: it was not made by the SDK.
        assert!(error(r#"(module (func (export "stygian:plugin/metadata@0.2.0#describe")))"#).contains("stygian_sdk::export!"));
    }
}
