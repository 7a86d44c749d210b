//! `[checkpoint]`: that a job makes checkpoints, where they lie, and when they are made.

use crate::reader::Reading;
use schemars::JsonSchema;
use serde::Deserialize;
use std::num::NonZeroU16;
use std::path::PathBuf;
use stygian_core::Span;
use toml::Spanned;

/// The checkpoints of a job. Of what is `None` the checkpoints' own default holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Where they lie; relative paths start at the pipeline file's folder. `None`: in the user's folder, under the job's name.
    pub folder: Option<PathBuf>,
    /// What holds after a crash.
    pub mode: Mode,
    /// From the beginning of one to the beginning of the next.
    pub interval: Option<Span>,
    /// One that takes longer has failed.
    pub timeout: Option<Span>,
    /// From the end of one to the beginning of the next, at least.
    pub min_pause: Option<Span>,
    /// So many may fail in a row.
    pub tolerated_failures: Option<u32>,
    /// So many are kept.
    pub retained: Option<NonZeroU16>,
}

/// How often a row counts in the output after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Once: output becomes visible when the checkpoint is committed that is behind it.
    #[default]
    ExactlyOnce,
    /// Once or more: output becomes visible as soon as it is finished, and what came after the last checkpoint is written again.
    AtLeastOnce,
}

/// The table makes a job that survives being killed: run again, it goes on from its last checkpoint, and its files are as if nothing had
/// happened. What sinks have written becomes visible at every checkpoint.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "checkpoint")]
pub(crate) struct CheckpointKeys {
    /// The folder, made with mode 0700 where it is missing, of this job alone; relative paths start at the pipeline file's folder. Or one in
    /// HDFS, such as "hdfs://cluster/checkpoints/clicks". Default:
    /// `$XDG_STATE_HOME/stygian/checkpoints/JOB`, or in `~/.local/state`. A job is its name and its checkpoints' folder.
    #[schemars(with = "String")]
    folder: Option<Spanned<String>>,
    /// What holds after a crash: "exactly-once" (the default), or "at-least-once", where output does not wait for a checkpoint to become
    /// visible, and what came after the last one is written again.
    mode: Mode,
    /// From the beginning of one checkpoint to the beginning of the next. Default: "10s", in HDFS "60s". Output becomes visible at this pace; after a crash so
    /// much is read again.
    #[schemars(with = "Span")]
    interval: Option<Spanned<Span>>,
    /// A checkpoint that takes longer has failed. Default: "10min", or less where a Kafka sink's
    /// `transaction_timeout` asks for it.
    #[schemars(with = "Span")]
    timeout: Option<Spanned<Span>>,
    /// At least so long from the end of a checkpoint to the beginning of the next. Default: "0s". Raise it where checkpoints take most of the
    /// interval.
    min_pause: Option<Span>,
    /// So many checkpoints in a row may fail, one more ends the job; 0 to 1,000. Default: 3.
    #[schemars(with = "i64", range(min = 0, max = 1000))]
    tolerated_failures: Option<Spanned<i64>>,
    /// So many checkpoints are kept; 1 to 1,000. Default: 3. A restart uses the newest, the others are there for who wants to go back.
    #[schemars(with = "i64", range(min = 1, max = 1000))]
    retained: Option<Spanned<i64>>,
}

impl CheckpointKeys {
    pub(crate) fn check(self, reading: &mut Reading<'_>) -> Checkpoint {
        let folder = self.folder.map(|folder| {
            if folder.get_ref().is_empty() {
                reading.problem(folder.span(), "`folder` is empty", Some("leave it out for the user's folder".into()));
            }
            if let Err(message) = stygian_api::in_hdfs(folder.get_ref()) {
                reading.problem(folder.span(), message, Some("write a local folder, or one that begins with hdfs://".into()));
            }
            PathBuf::from(folder.into_inner())
        });
        let mut positive = |name: &str, span: Option<Spanned<Span>>| {
            span.map(|span| {
                if span.get_ref().0.is_zero() {
                    reading.problem(span.span(), format!("`{name}` is nothing, it must be longer"), None);
                }
                span.into_inner()
            })
        };
        let (interval, timeout) = (positive("interval", self.interval), positive("timeout", self.timeout));
        let mut bounded = |name: &str, value: Option<Spanned<i64>>, min: u16| {
            let value = value?;
            match u16::try_from(*value.get_ref()) {
                Ok(number) if (min..=1000).contains(&number) => Some(number),
                _ => {
                    reading.problem(value.span(), format!("`{name}` is {}, it must be {min} to 1000", value.get_ref()), None);
                    None
                }
            }
        };
        let tolerated_failures = bounded("tolerated_failures", self.tolerated_failures, 0).map(u32::from);
        let retained = bounded("retained", self.retained, 1).and_then(NonZeroU16::new);
        Checkpoint { folder, mode: self.mode, interval, timeout, min_pause: self.min_pause, tolerated_failures, retained }
    }
}
