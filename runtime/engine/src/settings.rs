//! What can be set about a job as a whole. Every bound has a name and a unit.

use std::time::Duration;
use stygian_core::{ByteSize, MaxParallelism};

/// Bounds and delays of a job.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// Key groups. Fixed for the life of the job's state.
    pub max_parallelism: MaxParallelism,
    /// Rows of a batch: what a source reads at once and an exchange merges up to.
    pub batch_rows: usize,
    /// How long rows may wait in an exchange for more.
    pub max_batch_delay: Duration,
    /// The least time between two watermarks of a source's subtask.
    pub watermark_interval: Duration,
    /// Batches that a channel between two subtasks holds.
    pub channel_batches: usize,
    /// Bytes that a channel between two subtasks holds; an empty channel takes a batch of any size.
    pub channel_bytes: ByteSize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_parallelism: MaxParallelism::DEFAULT,
            batch_rows: 8192,
            max_batch_delay: Duration::from_millis(5),
            watermark_interval: Duration::from_millis(200),
            channel_batches: 4,
            channel_bytes: ByteSize::mib(8),
        }
    }
}
