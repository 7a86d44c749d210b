//! What cargo says of a crate: its name, its library and where its workspace builds.

use crate::error::BuildError;
use crate::toolchain::Toolchain;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A crate that can become a component.
#[derive(Debug)]
pub(crate) struct Package {
    /// Cargo's name for exactly this one.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) workspace: PathBuf,
    pub(crate) target_dir: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<RawPackage>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct RawPackage {
    id: String,
    name: String,
    manifest_path: PathBuf,
    targets: Vec<RawTarget>,
}

#[derive(Deserialize)]
struct RawTarget {
    crate_types: Vec<String>,
}

impl Package {
    /// Asks cargo about the crate in a folder.
    pub(crate) fn read(toolchain: &Toolchain, crate_dir: &Path) -> Result<Self, BuildError> {
        let not_a_crate = |message: String| BuildError::NotACrate { crate_dir: crate_dir.to_owned(), message };
        let manifest = crate_dir.join("Cargo.toml").canonicalize().map_err(|error| not_a_crate(format!("Cargo.toml: {error}")))?;
        let mut cargo = toolchain.cargo(manifest.parent().unwrap_or(crate_dir));
        cargo.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(&manifest);
        let output = cargo.output().map_err(|source| BuildError::Start { program: "cargo metadata".to_owned(), source })?;
        if !output.status.success() {
            return Err(not_a_crate(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|error| not_a_crate(error.to_string()))?;
        let package = metadata.packages.into_iter().find(|package| package.manifest_path == manifest);
        let package = package.ok_or_else(|| not_a_crate("it is a workspace, not a crate of one".to_owned()))?;
        if !package.targets.iter().any(|target| target.crate_types.iter().any(|kind| kind == "cdylib")) {
            return Err(BuildError::NoCdylib { name: package.name, manifest });
        }
        Ok(Self { id: package.id, name: package.name, workspace: metadata.workspace_root, target_dir: metadata.target_directory })
    }
}
