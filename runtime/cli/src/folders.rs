//! Folders of the user's: compiled code, captures of failed calls, and plugins by name.

use crate::storage;
use anyhow::Context;
use std::path::{Path, PathBuf};
use stygian_core::PluginRef;
use stygian_pipeline::Checkpoint;

/// Where compiled plugins are kept: `$STYGIAN_CACHE`, else `$XDG_CACHE_HOME/stygian`, else `~/.cache/stygian`.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    if let Some(folder) = folder_of("STYGIAN_CACHE") {
        return Ok(folder);
    }
    let base = folder_of("XDG_CACHE_HOME").or_else(|| folder_of("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("stygian")).context("there is no place for compiled plugins: set STYGIAN_CACHE to a folder of yours")
}

/// Where a job's captures are kept, if the pipeline names no folder: `stygian/captures/JOB` in `$XDG_STATE_HOME`, else in `~/.local/state`;
/// `None` where neither is known.
pub(crate) fn captures(job: &str) -> Option<PathBuf> {
    Some(state_home()?.join("stygian/captures").join(job))
}

/// Where a job's checkpoints lie, if the pipeline names no folder: `stygian/checkpoints/JOB` beside the captures.
fn checkpoints(job: &str) -> Option<PathBuf> {
    Some(state_home()?.join("stygian/checkpoints").join(job))
}

/// Where the checkpoints of a pipeline lie, which stands in `base`; `None`: it names no folder, and there is no other place.
pub(crate) fn of_checkpoints(wanted: &Checkpoint, job: &str, base: &Path) -> Option<PathBuf> {
    match &wanted.folder {
        Some(folder) => Some(storage::absolute(folder, base)),
        None => checkpoints(job),
    }
}

/// Where a savepoint of a job goes, if no folder is named: `stygian/savepoints/JOB/TIME` beside the captures.
pub(crate) fn savepoints(job: &str, time: &str) -> Option<PathBuf> {
    Some(state_home()?.join("stygian/savepoints").join(job).join(time.replace(':', "")))
}

/// Where running jobs listen: `stygian` in `$XDG_RUNTIME_DIR`; where that is not set, a folder in `/tmp`
/// with the user's number.
pub(crate) fn sockets() -> PathBuf {
    folder_of("XDG_RUNTIME_DIR").map_or_else(sockets_without_session, |folder| folder.join("stygian"))
}

/// Where jobs listen that were started without a session, by a service or a timer.
pub(crate) fn sockets_without_session() -> PathBuf {
    Path::new("/tmp").join(format!("stygian-{}", rustix::process::geteuid().as_raw()))
}

/// What is kept between runs.
fn state_home() -> Option<PathBuf> {
    folder_of("XDG_STATE_HOME").or_else(|| folder_of("HOME").map(|home| home.join(".local/state")))
}

/// Where a job's state on disk lies, if the pipeline names no folder: `state/JOB` beside compiled plugins.
pub(crate) fn state(job: &str) -> Option<PathBuf> {
    Some(cache().ok()?.join("state").join(job))
}

/// Where plugins are looked for by name, in this order.
pub(crate) fn plugins(given: &[PathBuf], beside: &Path) -> Vec<PathBuf> {
    let data = folder_of("XDG_DATA_HOME").or_else(|| folder_of("HOME").map(|home| home.join(".local/share")));
    let own = data.map(|data| data.join("stygian/plugins"));
    given.iter().cloned().chain([beside.join("plugins")]).chain(own).collect()
}

fn folder_of(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A plugin's file.
///
/// # Errors
/// Says where it was looked for.
pub(crate) fn find_plugin(plugin: &PluginRef, base: &Path, folders: &[PathBuf]) -> Result<PathBuf, String> {
    match plugin {
        PluginRef::Path(path) => {
            let path = if base == Path::new(".") { path.clone() } else { base.join(path) };
            if path.is_file() { Ok(path) } else { Err(format!("there is no file {}", path.display())) }
        }
        PluginRef::Named { name, .. } => {
            let candidates =
                folders.iter().flat_map(|folder| versions_in(folder, plugin).into_iter().chain([folder.join(format!("{name}.wasm"))]));
            candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
                let searched: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
                format!("there is no plugin `{plugin}` in {}", searched.join(", "))
            })
        }
    }
}

/// Files `name@1.2.3.wasm` of a folder whose version will do, the newest first.
fn versions_in(folder: &Path, plugin: &PluginRef) -> Vec<PathBuf> {
    let PluginRef::Named { name, version } = plugin else { return Vec::new() };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(semver::Version, PathBuf)> = entries
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let found: semver::Version = file.strip_suffix(".wasm")?.strip_prefix(name.as_str())?.strip_prefix('@')?.parse().ok()?;
            version.matches(&found).then(|| (found, entry.path()))
        })
        .collect();
    found.sort_by(|a, b| b.0.cmp(&a.0));
    found.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_newest_version_that_will_do() {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["clean@1.1.0.wasm", "clean@1.10.0.wasm", "clean@2.0.0.wasm", "cleaner@1.0.0.wasm"] {
            std::fs::write(folder.path().join(file), "").expect("written");
        }
        let folders = [folder.path().to_owned()];
        let found = |text: &str| find_plugin(&text.parse().expect("a plugin"), Path::new("/"), &folders);
        assert_eq!(found("clean@1"), Ok(folder.path().join("clean@1.10.0.wasm")));
        assert!(found("clean@3").is_err_and(|reason| reason.contains("clean@^3")));
    }
}
