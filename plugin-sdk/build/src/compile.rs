//! Crates -> files of components, by cargo in a target folder of its own, so that native builds and these do not undo each other.
//!
//! Several processes may build at once: cargo's lock orders them, and a component is written under another name and renamed.

use crate::component;
use crate::error::BuildError;
use crate::package::Package;
use crate::toolchain::Toolchain;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};

/// Plugins are small and run hot: the profile of every one, whatever its workspace says. Function names stay, for the report of a trap.
const PROFILE: [(&str, &str); 7] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_STRIP", "debuginfo"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
];

/// What to build and how.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// The folder with the crate's `Cargo.toml`.
    pub crate_dir: PathBuf,
    /// Where the component goes, as `<crate>.wasm`. None: `wasm/plugins` in cargo's target folder.
    pub out_dir: Option<PathBuf>,
    /// Where cargo works. None: `wasm` in the target folder of the crate's workspace. Crates that share one share the standard library,
    /// which may take a minute to build.
    pub target_dir: Option<PathBuf>,
    /// Do not use the network.
    pub offline: bool,
    /// Refuse to change `Cargo.lock`.
    pub locked: bool,
}

impl BuildOptions {
    /// Builds the crate in a folder, all else as by default.
    pub fn new(crate_dir: impl Into<PathBuf>) -> Self {
        Self { crate_dir: crate_dir.into(), ..Self::default() }
    }
}

/// A component that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The crate.
    pub name: String,
    /// The file.
    pub component: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Builds a crate to a component. Cargo's messages go to `progress`, line by line.
pub fn build(options: &BuildOptions, progress: &mut dyn FnMut(&str)) -> Result<Built, BuildError> {
    let crate_dirs = [options.crate_dir.as_path()];
    let mut built = build_all(&crate_dirs, options, progress)?;
    built.pop().ok_or_else(|| BuildError::NoModule { name: options.crate_dir.display().to_string() })
}

/// Builds crates to components, in the order given, with one run of cargo for each workspace among them; `crate_dir` of the options is not
/// heeded. Nothing is written unless all compile.
pub fn build_all(crate_dirs: &[&Path], options: &BuildOptions, progress: &mut dyn FnMut(&str)) -> Result<Vec<Built>, BuildError> {
    let Some(first) = crate_dirs.first() else { return Ok(Vec::new()) };
    let toolchain = Toolchain::find(first)?;
    progress(&format!("using {}", toolchain.describe()));
    let packages = crate_dirs.iter().map(|dir| Package::read(&toolchain, dir)).collect::<Result<Vec<_>, _>>()?;
    refuse_same_names(&packages)?;
    let mut components = BTreeMap::new();
    for (workspace, members) in by_workspace(&packages) {
        let modules = compile(&toolchain, workspace, &members, options, progress)?;
        for package in members {
            let path = modules.get(&package.id).ok_or_else(|| BuildError::NoModule { name: package.name.clone() })?;
            let module = fs::read(path).map_err(file_error("read", path))?;
            components.insert(&package.id, component::encode(&package.name, &module)?);
        }
    }
    packages.iter().map(|package| place(package, components.get(&package.id).map_or(&[], Vec::as_slice), options)).collect()
}

fn refuse_same_names(packages: &[Package]) -> Result<(), BuildError> {
    let mut names = BTreeSet::new();
    match packages.iter().find(|package| !names.insert(&package.name)) {
        Some(package) => Err(BuildError::SameName { name: package.name.clone() }),
        None => Ok(()),
    }
}

fn by_workspace(packages: &[Package]) -> BTreeMap<&Path, Vec<&Package>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for package in packages {
        groups.entry(package.workspace.as_path()).or_default().push(package);
    }
    groups
}

fn work_dir(package: &Package, options: &BuildOptions) -> PathBuf {
    options.target_dir.clone().unwrap_or_else(|| package.target_dir.join("wasm"))
}

/// Runs cargo for packages of one workspace: package id -> core module.
fn compile(
    toolchain: &Toolchain,
    workspace: &Path,
    packages: &[&Package],
    options: &BuildOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<BTreeMap<String, PathBuf>, BuildError> {
    let mut cargo = toolchain.cargo_build(workspace);
    cargo.args(["--release", "--lib", "--message-format=json-render-diagnostics"]);
    cargo.args(options.offline.then_some("--offline")).args(options.locked.then_some("--locked"));
    cargo.args(packages.iter().flat_map(|package| ["--package", &package.id]));
    // Set though empty: so flags from configuration files do not count either.
    cargo.envs(PROFILE).env("CARGO_ENCODED_RUSTFLAGS", "");
    if let Some(package) = packages.first() {
        cargo.env("CARGO_TARGET_DIR", work_dir(package, options));
    }
    cargo.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = cargo.spawn().map_err(|source| BuildError::Start { program: "cargo build".to_owned(), source })?;
    watch(child, progress).map_err(|hint| BuildError::Compile { crates: names(packages), hint })
}

fn names(packages: &[&Package]) -> String {
    packages.iter().map(|package| format!("`{}`", package.name)).collect::<Vec<_>>().join(", ")
}

/// Passes cargo's messages on and collects what it built. An error is a hint.
fn watch(mut child: Child, progress: &mut dyn FnMut(&str)) -> Result<BTreeMap<String, PathBuf>, &'static str> {
    let stdout = child.stdout.take();
    let artifacts = std::thread::spawn(move || stdout.map(read_artifacts).unwrap_or_default());
    let mut hint = "";
    for line in child.stderr.take().into_iter().flat_map(lossy_lines) {
        hint = cause(&line).unwrap_or(hint);
        progress(&line);
    }
    let modules = artifacts.join().unwrap_or_default();
    match child.wait() {
        Ok(status) if status.success() => Ok(modules),
        _ => Err(hint),
    }
}

fn lossy_lines(input: impl Read) -> impl Iterator<Item = String> {
    let lines = BufReader::new(input).split(b'\n').map_while(Result::ok);
    lines.map(|line| String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// What to do about a line of cargo's that has come up often.
fn cause(line: &str) -> Option<&'static str> {
    if line.contains("--locked was passed") {
        Some("; Cargo.lock does not fit Cargo.toml: build once without `--locked`")
    } else if line.contains("offline mode") || line.contains("--offline was") {
        Some("; a crate was not fetched yet: build once without `--offline`")
    } else if line.contains("failed to download") || line.contains("Could not resolve host") {
        Some("; crates could not be fetched: is there a network, or a mirror in cargo's configuration?")
    } else {
        None
    }
}

#[derive(Deserialize)]
struct Artifact {
    package_id: String,
    filenames: Vec<PathBuf>,
}

fn read_artifacts(stdout: ChildStdout) -> BTreeMap<String, PathBuf> {
    lossy_lines(stdout).filter_map(|line| module_of(&line)).collect()
}

/// The module that a message names; none where the message is about something else.
fn module_of(message: &str) -> Option<(String, PathBuf)> {
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    let module = artifact.filenames.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "wasm"))?;
    Some((artifact.package_id, module))
}

/// Writes a component under its final name, at once.
fn place(package: &Package, component: &[u8], options: &BuildOptions) -> Result<Built, BuildError> {
    let dir = options.out_dir.clone().unwrap_or_else(|| work_dir(package, options).join("plugins"));
    let path = dir.join(format!("{}.wasm", package.name));
    write_whole(&dir, &path, component).map_err(file_error("write", &path))?;
    let sha256 = Sha256::digest(component).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Built { name: package.name.clone(), component: path, bytes: component.len() as u64, sha256 })
}

fn write_whole(dir: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(content)?;
    readable_by_all(file.as_file())?;
    file.persist(path)?;
    Ok(())
}

/// A temporary file is its maker's alone; a component is no secret.
#[cfg(unix)]
fn readable_by_all(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_all(_file: &fs::File) -> io::Result<()> {
    Ok(())
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    move |source| BuildError::File { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_module_among_the_files_of_a_message() {
        let message =
            r#"{"reason":"compiler-artifact","package_id":"path+file:///p#a@1.0.0","filenames":["/t/liba.rlib","/t/a.wasm"],"fresh":true}"#;
        assert_eq!(module_of(message), Some(("path+file:///p#a@1.0.0".to_owned(), PathBuf::from("/t/a.wasm"))));
        assert_eq!(module_of(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(module_of("not JSON"), None);
    }

    #[test]
    fn replaces_a_file_and_leaves_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.wasm");
        for content in ["first", "second", "second"] {
            write_whole(path.parent().unwrap(), &path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
