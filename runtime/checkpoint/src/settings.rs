//! `[checkpoint]`: what can be set about checkpoints. Every bound has a name, a unit and a default.

use crate::increments::RebasePolicy;
use std::num::NonZeroU16;
use std::time::Duration;

/// When checkpoints are made and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckpointSettings {
    /// From the beginning of one checkpoint to the beginning of the next. Default: 10 s (on HDFS rather 60 s). Output becomes visible at
    /// this pace.
    pub interval: Duration,
    /// A checkpoint that takes longer has failed. Default: 10 min.
    pub timeout: Duration,
    /// At least from the end of one checkpoint to the beginning of the next. Default: 0. Raise it where checkpoints take most of the
    /// interval.
    pub min_pause: Duration,
    /// This many checkpoints in a row may fail; one more fails the job. Default: 3.
    pub tolerated_failures: u32,
    /// How many committed checkpoints are kept. Default: 3. A restart uses the newest; the others are there for a person who wants to go
    /// back.
    pub retained: NonZeroU16,
    /// When state is written whole again.
    pub rebase: RebasePolicy,
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(600),
            min_pause: Duration::ZERO,
            tolerated_failures: 3,
            retained: NonZeroU16::MIN.saturating_add(2),
            rebase: RebasePolicy::default(),
        }
    }
}
