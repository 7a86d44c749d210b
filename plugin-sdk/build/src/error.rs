//! What can go wrong, with what to do about it. Cargo's own messages went to `progress` while it ran; they are not repeated here.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why no component came of a crate.
#[derive(Debug, Error)]
pub enum BuildError {
    /// No compiler was found that makes WebAssembly.
    #[error(
        "no Rust compiler here can make WebAssembly ({tried}); install one: `rustup target add wasm32-unknown-unknown`, or on Debian `apt-get install rustc-web cargo-web rust-web-src lld`"
    )]
    NoToolchain {
        /// What was looked at and what it lacks.
        tried: String,
    },
    /// A program did not start.
    #[error("cannot start `{program}`")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The folder is no crate that cargo can read.
    #[error("cannot read the crate in {}: {message}", crate_dir.display())]
    NotACrate {
        /// The folder.
        crate_dir: PathBuf,
        /// What cargo says.
        message: String,
    },
    /// The crate makes no dynamic library, which is what becomes a component.
    #[error("crate `{name}` has no library of type cdylib; add to {}: [lib] crate-type = [\"cdylib\", \"rlib\"]", manifest.display())]
    NoCdylib {
        /// The crate.
        name: String,
        /// Its Cargo.toml.
        manifest: PathBuf,
    },
    /// Two crates would become one file.
    #[error("two crates are named `{name}`: their components would have one file name")]
    SameName {
        /// The name.
        name: String,
    },
    /// The crate does not compile.
    #[error("cargo could not build {crates}; its messages stand above{hint}")]
    Compile {
        /// The crates that were asked for.
        crates: String,
        /// What to do, where a common cause was seen; or nothing.
        hint: &'static str,
    },
    /// Cargo was done but named no file for the crate.
    #[error("cargo built `{name}` but named no WebAssembly file for it")]
    NoModule {
        /// The crate.
        name: String,
    },
    /// The library exports no operator.
    #[error(
        "crate `{name}` exports no operator; end its lib.rs with a line like `stygian_sdk::export!(filter YourFilter);` (or `map`, `flat_map`, `keyed`, `aggregate`)"
    )]
    NoExport {
        /// The crate.
        name: String,
    },
    /// The library wants what no plugin gets.
    #[error("crate `{name}` imports `{import}`, which plugins do not get{hint}")]
    ForeignImport {
        /// The crate.
        name: String,
        /// What it imports.
        import: String,
        /// What to do, or nothing.
        hint: &'static str,
    },
    /// The module could not be made a component.
    #[error("crate `{name}` does not make a valid component: {message}")]
    Component {
        /// The crate.
        name: String,
        /// Why.
        message: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why no new crate was made.
#[derive(Debug, Error)]
pub enum NewError {
    /// The name does not suit a plugin.
    #[error(
        "`{name}` cannot be a plugin's name: it has lower-case letters, digits and single hyphens, at most 64, and begins with a letter"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The folder has something in it.
    #[error("{} is there already and is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
