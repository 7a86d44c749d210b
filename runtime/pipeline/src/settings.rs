//! `[settings]`: what can be set about a job as a whole. Every bound has a name, a unit and a default.

use crate::reader::Reading;
use schemars::JsonSchema;
use serde::Deserialize;
use stygian_core::{ByteSize, MaxParallelism, Parallelism, Span};

/// The settings of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many copies of every task run at once.
    pub parallelism: Parallelism,
    /// Key groups.
    pub max_parallelism: MaxParallelism,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// How long rows wait for a batch to fill.
    pub max_batch_delay: Span,
    /// The least time between two watermarks of a source's subtask.
    pub watermark_interval: Span,
    /// Batches a channel holds.
    pub channel_batches: usize,
    /// Bytes a channel holds.
    pub channel_bytes: ByteSize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallelism: Parallelism::ONE,
            max_parallelism: MaxParallelism::DEFAULT,
            batch_rows: 8192,
            max_batch_delay: Span::millis(5),
            watermark_interval: Span::millis(200),
            channel_batches: 4,
            channel_bytes: ByteSize::mib(8),
        }
    }
}

/// Settings of the job as a whole.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "settings")]
pub(crate) struct SettingsKeys {
    /// How many copies (subtasks) of every task run at once; 1 to 1,024 and at most `max_parallelism`. Default: 1. Raise it up to the
    /// number of cores when one core cannot keep up.
    #[schemars(with = "i64", range(min = 1, max = 1024))]
    parallelism: Option<toml::Spanned<i64>>,
    /// Key groups: the most subtasks the job can ever be rescaled to; 1 to 32,768. Default: 128. Fixed for the life of the job's state:
    /// raise it before the first start if the job may outgrow 128 cores.
    #[schemars(with = "i64", range(min = 1, max = 32768))]
    max_parallelism: Option<toml::Spanned<i64>>,
    /// Rows of a batch: what a source reads at once and an exchange merges up to; 1 to 1,048,576. Default: 8,192. Lower it when rows are
    /// very large.
    #[schemars(with = "i64", range(min = 1, max = 1_048_576))]
    batch_rows: Option<toml::Spanned<i64>>,
    /// How long rows wait for a batch to fill before they are sent on. Default: "5ms". Raise it for throughput at low rates, lower it for
    /// latency.
    max_batch_delay: Option<Span>,
    /// The least time between two watermarks of a source's subtask. Default: "200ms". Lower it when windows should close sooner; every
    /// watermark cuts the batches of every exchange.
    watermark_interval: Option<Span>,
    /// Batches that a channel between two subtasks holds; 1 to 1,024. Default: 4. Raise it when tasks take turns at working.
    #[schemars(with = "i64", range(min = 1, max = 1024))]
    channel_batches: Option<toml::Spanned<i64>>,
    /// Bytes that a channel between two subtasks holds; an empty channel takes one batch of any size. Default: "8 MiB". Lower it when
    /// memory is short: there is one channel for every pair of subtasks that exchange rows.
    channel_bytes: Option<ByteSize>,
}

impl SettingsKeys {
    pub(crate) fn check(self, reading: &mut Reading<'_>) -> Settings {
        let default = Settings::default();
        let mut bounded = |name: &str, value: Option<toml::Spanned<i64>>, max: u32, default: u32| {
            let Some(value) = value else { return default };
            match u32::try_from(*value.get_ref()) {
                Ok(number) if (1..=max).contains(&number) => number,
                _ => {
                    reading.problem(value.span(), format!("`{name}` is {}, it must be 1 to {max}", value.get_ref()), None);
                    default
                }
            }
        };
        let wide = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let narrow = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        let at = self.parallelism.as_ref().map(toml::Spanned::span);
        let parallelism = narrow(bounded("parallelism", self.parallelism, Parallelism::LIMIT.into(), 1));
        let groups = narrow(bounded("max_parallelism", self.max_parallelism, MaxParallelism::LIMIT.into(), 128));
        let batch_rows = bounded("batch_rows", self.batch_rows, 1 << 20, wide(default.batch_rows)) as usize;
        let channel_batches = bounded("channel_batches", self.channel_batches, 1024, wide(default.channel_batches)) as usize;
        if let (true, Some(at)) = (parallelism > groups, at) {
            let hint = "lower `parallelism` or raise `max_parallelism`: a subtask without a key group would do nothing";
            reading.problem(at, format!("`parallelism` is {parallelism}, but there are only {groups} key groups"), Some(hint.into()));
        }
        Settings {
            parallelism: Parallelism::new(parallelism).unwrap_or(Parallelism::ONE),
            max_parallelism: MaxParallelism::new(groups).unwrap_or(MaxParallelism::DEFAULT),
            batch_rows,
            max_batch_delay: self.max_batch_delay.unwrap_or(default.max_batch_delay),
            watermark_interval: self.watermark_interval.unwrap_or(default.watermark_interval),
            channel_batches,
            channel_bytes: self.channel_bytes.unwrap_or(default.channel_bytes),
        }
    }
}
