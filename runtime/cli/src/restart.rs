//! Whether a job that failed is started again, and after what pause.

use std::time::Duration;
use stygian_pipeline::{Restart, RestartStrategy};

/// Counts failures in a row.
#[derive(Debug)]
pub(crate) struct Restarts {
    policy: Restart,
    /// Failures without a new checkpoint between them.
    failures: u32,
}

impl Restarts {
    pub(crate) fn new(policy: Restart) -> Self {
        Self { policy, failures: 0 }
    }

    /// The job has failed; `came_on`: it has committed a checkpoint since it was started. The pause before it is started again; `None`: it is
    /// not.
    pub(crate) fn failed(&mut self, came_on: bool) -> Option<Duration> {
        if came_on {
            self.failures = 0;
        }
        self.failures += 1;
        let Restart { strategy, attempts, delay, max_delay } = &self.policy;
        if self.failures > *attempts {
            return None;
        }
        match strategy {
            RestartStrategy::None => None,
            RestartStrategy::Fixed => Some(delay.0),
            RestartStrategy::Exponential => {
                let doubled = 2_u32.saturating_pow(self.failures - 1);
                Some(delay.0.saturating_mul(doubled).min(max_delay.0.max(delay.0)))
            }
        }
    }

    /// Restarts that are left.
    pub(crate) fn left(&self) -> u32 {
        self.policy.attempts.saturating_sub(self.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stygian_core::Span;

    fn policy(strategy: RestartStrategy) -> Restart {
        Restart { strategy, attempts: 3, delay: Span::secs(2), max_delay: Span::secs(5) }
    }

    fn pauses(strategy: RestartStrategy, failures: &[bool]) -> Vec<Option<u64>> {
        let mut restarts = Restarts::new(policy(strategy));
        failures.iter().map(|came_on| restarts.failed(*came_on).map(|pause| pause.as_secs())).collect()
    }

    #[test]
    fn pauses_grow_up_to_a_bound_and_end() {
        let none = [false; 4];
        assert_eq!(pauses(RestartStrategy::Exponential, &none), [Some(2), Some(4), Some(5), None]);
        assert_eq!(pauses(RestartStrategy::Fixed, &none), [Some(2), Some(2), Some(2), None]);
        assert_eq!(pauses(RestartStrategy::None, &none), [None; 4]);
    }

    #[test]
    fn a_new_checkpoint_begins_the_count_anew() {
        assert_eq!(pauses(RestartStrategy::Exponential, &[false, false, true, false]), [Some(2), Some(4), Some(2), Some(4)]);
    }
}
