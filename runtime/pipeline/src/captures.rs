//! `[captures]`: where the inputs of plugin calls that failed are saved, and how much of them.

use crate::reader::Reading;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;
use stygian_core::ByteSize;
use toml::Spanned;

/// What is saved of failed calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captures {
    /// Whether anything is.
    pub save: bool,
    /// Where; relative paths start at the pipeline file's folder. `None`: in the user's folder, under the job's name.
    pub folder: Option<PathBuf>,
    /// Files a run, and in the folder.
    pub max_files: usize,
    /// Bytes of all files in the folder.
    pub max_bytes: ByteSize,
}

impl Default for Captures {
    fn default() -> Self {
        Self { save: true, folder: None, max_files: 16, max_bytes: ByteSize::mib(64) }
    }
}

/// The inputs of plugin calls that failed: files that `stygian plugin replay` runs again. They hold users' data (the columns that the plugin
/// reads of the rows at fault) and the plugin, and only the job's user can read them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "captures")]
pub(crate) struct CapturesKeys {
    /// Whether they are saved. Default: true. Turn it off where rows must not be kept anywhere but in sinks.
    save: Option<bool>,
    /// The folder, made with mode 0700 where it is missing; relative paths start at the pipeline file's folder. Default:
    /// `$XDG_STATE_HOME/stygian/captures/JOB`, or in `~/.local/state`. The oldest files in it are removed beyond the bounds below.
    #[schemars(with = "String")]
    folder: Option<Spanned<String>>,
    /// The most files that a run saves (its first failures) and that the folder keeps (the newest); 1 to 1,000. Default: 16.
    #[schemars(with = "i64", range(min = 1, max = 1000))]
    max_files: Option<Spanned<i64>>,
    /// The most bytes of all files in the folder; a larger capture is not saved. Default: "64 MiB". Raise it for plugins of more than a few megabytes.
    max_bytes: Option<ByteSize>,
}

impl CapturesKeys {
    pub(crate) fn check(self, reading: &mut Reading<'_>) -> Captures {
        let default = Captures::default();
        let max_files = self.max_files.map_or(default.max_files, |files| match usize::try_from(*files.get_ref()) {
            Ok(number) if (1..=1000).contains(&number) => number,
            _ => {
                let hint = "to save nothing, write `save = false`";
                reading.problem(files.span(), format!("`max_files` is {}, it must be 1 to 1000", files.get_ref()), Some(hint.into()));
                default.max_files
            }
        });
        let folder = self.folder.map(|folder| {
            if folder.get_ref().is_empty() {
                reading.problem(folder.span(), "`folder` is empty", Some("leave it out for the user's folder".into()));
            }
            PathBuf::from(folder.into_inner())
        });
        Captures { save: self.save.unwrap_or(true), folder, max_files, max_bytes: self.max_bytes.unwrap_or(default.max_bytes) }
    }
}
