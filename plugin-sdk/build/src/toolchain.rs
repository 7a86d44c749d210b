//! Finds a compiler that makes WebAssembly: one that has the target's standard library, else one that has the library's source and can
//! build it. Of rustup's and the system's, the first that fits.

use crate::environment::clean_command;
use crate::error::BuildError;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-unknown-unknown";

/// Compilers in the order they are tried: that of `PATH` (rustup's, which heeds `rust-toolchain.toml`), then the system's.
const COMPILERS: [(&str, &str); 2] = [("rustc", "cargo"), ("/usr/bin/rustc", "/usr/bin/cargo")];

/// A compiler, and how it gets the target's standard library.
#[derive(Debug)]
pub(crate) struct Toolchain {
    rustc: &'static str,
    cargo: &'static str,
    /// The linker to build the standard library with; none: the compiler brings library and linker.
    build_std: Option<PathBuf>,
}

impl Toolchain {
    /// The toolchain for crates in this folder.
    pub(crate) fn find(dir: &Path) -> Result<Self, BuildError> {
        let sysroots = COMPILERS.map(|(rustc, cargo)| (rustc, cargo, sysroot(rustc, dir)));
        let with_library = sysroots.iter().find(|(.., sysroot)| sysroot.as_deref().is_some_and(has_library));
        if let Some((rustc, cargo, _)) = with_library {
            return Ok(Self { rustc, cargo, build_std: None });
        }
        let linker = linker(sysroots.iter().filter_map(|(.., sysroot)| sysroot.as_deref()));
        let with_source = sysroots.iter().find(|(.., sysroot)| sysroot.as_deref().is_some_and(has_source));
        match (with_source, linker) {
            (Some((rustc, cargo, _)), Some(linker)) => Ok(Self { rustc, cargo, build_std: Some(linker) }),
            (Some((rustc, ..)), None) => {
                Err(BuildError::NoToolchain { tried: format!("{rustc} could, but there is no rust-lld or wasm-ld to link with") })
            }
            (None, _) => {
                Err(BuildError::NoToolchain { tried: sysroots.map(|(rustc, _, sysroot)| lacking(rustc, sysroot.as_deref())).join(", ") })
            }
        }
    }

    /// Cargo of this toolchain, to be run in a folder.
    pub(crate) fn cargo(&self, dir: &Path) -> Command {
        let mut command = clean_command(self.cargo);
        command.current_dir(dir);
        if self.cargo != "cargo" {
            command.env("RUSTC", self.rustc);
        }
        command
    }

    /// `cargo build` for the target.
    pub(crate) fn cargo_build(&self, dir: &Path) -> Command {
        let mut command = self.cargo(dir);
        command.args(["build", "--target", TARGET]);
        if let Some(linker) = &self.build_std {
            command.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1");
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        command
    }

    /// What it is, for people.
    pub(crate) fn describe(&self) -> String {
        match self.build_std {
            None => format!("{} with its {TARGET} library", self.rustc),
            Some(_) => format!("{} building the {TARGET} library itself (once)", self.rustc),
        }
    }
}

fn sysroot(rustc: &str, dir: &Path) -> Option<PathBuf> {
    let output = clean_command(rustc).args(["--print", "sysroot"]).current_dir(dir).stderr(Stdio::null()).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !path.trim().is_empty()).then(|| PathBuf::from(path.trim()))
}

fn rustlib(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib")
}

fn has_library(sysroot: &Path) -> bool {
    rustlib(sysroot).join(TARGET).join("lib").is_dir()
}

fn has_source(sysroot: &Path) -> bool {
    rustlib(sysroot).join("src/rust/library/Cargo.toml").is_file()
}

fn lacking(rustc: &str, sysroot: Option<&Path>) -> String {
    match sysroot {
        None => format!("{rustc} is not there"),
        Some(_) => format!("{rustc} lacks the target {TARGET} and the library's source"),
    }
}

/// A linker for WebAssembly: that of any toolchain, or LLVM's.
fn linker<'a>(sysroots: impl Iterator<Item = &'a Path>) -> Option<PathBuf> {
    let of_toolchains = sysroots.flat_map(|sysroot| {
        let hosts = std::fs::read_dir(rustlib(sysroot)).into_iter().flatten().flatten();
        hosts.map(|host| host.path().join("bin/rust-lld"))
    });
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let of_system =
        std::env::split_paths(&folders).collect::<Vec<_>>().into_iter().flat_map(|dir| [dir.join("wasm-ld"), dir.join("rust-lld")]);
    of_toolchains.chain(of_system).find(|path| path.is_file())
}
