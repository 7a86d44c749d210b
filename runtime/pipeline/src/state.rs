//! `[state]`: where keyed state is held.

use crate::reader::Reading;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use stygian_core::ByteSize;
use toml::Spanned;

/// Where keyed state is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What holds it.
    pub backend: StateBackend,
    /// What the caches and buffers of state on disk may take, of all subtasks together.
    pub memory: ByteSize,
    /// Where state on disk lies; relative paths start at the pipeline file's folder. `None`: beside the user's other caches.
    pub folder: Option<PathBuf>,
}

/// What holds keyed state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StateBackend {
    /// Memory.
    #[default]
    Memory,
    /// The local disk.
    Disk,
}

const LEAST_MEMORY: ByteSize = ByteSize::mib(4);

impl Default for State {
    fn default() -> Self {
        Self { backend: StateBackend::Memory, memory: ByteSize::mib(256), folder: None }
    }
}

/// Where the state of keyed plugins is held. Windows, `top` and `dedup` hold theirs in memory in any case.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "state")]
pub(crate) struct StateKeys {
    /// "memory" (the default): as fast as there is, while it fits; "disk": on the local disk, for more state than memory. What is on disk is a
    /// cache: a job with `[checkpoint]` goes on from what it finds there where that is what the checkpoint holds, and reads the checkpoint
    /// otherwise.
    backend: Option<StateBackend>,
    /// About what the caches and buffers of state on disk take, of all subtasks of the job together; each gets the same share, and 4 MiB at
    /// least. Default: "256 MiB". Raise it when reading from disk takes most of the time.
    #[schemars(with = "ByteSize")]
    memory: Option<Spanned<ByteSize>>,
    /// The folder of state on disk, made with mode 0700 where it is missing, of this job alone; relative paths start at the pipeline file's
    /// folder. Default: `stygian/state/JOB` in `$XDG_CACHE_HOME`, or in `~/.cache`. Name one on a disk that is fast and not shared.
    #[schemars(with = "String")]
    folder: Option<Spanned<String>>,
}

impl StateKeys {
    pub(crate) fn check(self, reading: &mut Reading<'_>) -> State {
        let default = State::default();
        let backend = self.backend.unwrap_or_default();
        let in_memory = backend == StateBackend::Memory;
        let places = [("memory", self.memory.as_ref().map(Spanned::span)), ("folder", self.folder.as_ref().map(Spanned::span))];
        for (key, place) in places {
            if let Some(place) = place.filter(|_| in_memory) {
                let hint = format!("write `backend = \"disk\"`, or leave `{key}` out");
                reading.problem(place, format!("`{key}` is of state on disk, and this job's is in memory"), Some(hint));
            }
        }
        let memory = self.memory.map_or(default.memory, |memory| {
            if *memory.get_ref() < LEAST_MEMORY {
                let message = format!("`memory` is {}, it must be {LEAST_MEMORY} or more", memory.get_ref());
                let hint = "it is for all subtasks together; \"256 MiB\" is the default";
                reading.problem(memory.span(), message, Some(hint.into()));
            }
            memory.into_inner()
        });
        let folder = self.folder.map(|folder| {
            if folder.get_ref().is_empty() {
                reading.problem(folder.span(), "`folder` is empty", Some("leave it out for the user's folder".into()));
            }
            PathBuf::from(folder.into_inner())
        });
        State { backend, memory, folder }
    }
}
