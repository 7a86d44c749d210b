//! `[restart]`: whether and when a job that failed is started again, from its last checkpoint.

use crate::reader::Reading;
use schemars::JsonSchema;
use serde::Deserialize;
use stygian_core::Span;
use toml::Spanned;

/// When a job that failed is started again. Only failures that may pass count: a disk that is full, a server that is away. Others end it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// How the pause before the next start grows.
    pub strategy: RestartStrategy,
    /// So many restarts in a row without a new checkpoint; the failure after them ends the job.
    pub attempts: u32,
    /// The first pause.
    pub delay: Span,
    /// The longest pause.
    pub max_delay: Span,
}

/// How pauses between starts grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RestartStrategy {
    /// Never start again.
    None,
    /// Always the same pause.
    Fixed,
    /// Twice as long every time.
    Exponential,
}

impl Default for Restart {
    fn default() -> Self {
        Self { strategy: RestartStrategy::Exponential, attempts: 10, delay: Span::secs(1), max_delay: Span::secs(60) }
    }
}

/// When a job with `[checkpoint]` that failed is started again by itself, from its last checkpoint. Only failures that may pass count (a full
/// disk, a server that is away); others end the job at once.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "restart")]
pub(crate) struct RestartKeys {
    /// "exponential" (the default): each pause is twice as long as the one before; "fixed": always the same; "none": the first failure ends the job.
    strategy: Option<RestartStrategy>,
    /// Restarts in a row without a new checkpoint; one more failure ends the job; 1 to 1,000,000. Default: 10.
    #[schemars(with = "i64", range(min = 1, max = 1_000_000))]
    attempts: Option<Spanned<i64>>,
    /// The first pause. Default: "1s".
    delay: Option<Span>,
    /// The longest pause of "exponential". Default: "1min".
    max_delay: Option<Span>,
}

impl RestartKeys {
    pub(crate) fn check(self, reading: &mut Reading<'_>) -> Restart {
        let default = Restart::default();
        let attempts = self.attempts.map_or(default.attempts, |attempts| match u32::try_from(*attempts.get_ref()) {
            Ok(number) if (1..=1_000_000).contains(&number) => number,
            _ => {
                let hint = "to never start again, write `strategy = \"none\"`";
                let message = format!("`attempts` is {}, it must be 1 to 1000000", attempts.get_ref());
                reading.problem(attempts.span(), message, Some(hint.into()));
                default.attempts
            }
        });
        Restart {
            strategy: self.strategy.unwrap_or(default.strategy),
            attempts,
            delay: self.delay.unwrap_or(default.delay),
            max_delay: self.max_delay.unwrap_or(default.max_delay),
        }
    }
}
