//! Whose fault a failed call is: the one table that decides whether its rows are tried again or the job ends at once.
//!
//! Whatever the plugin does while it works on rows is put down to the rows: a panic, a loop, a limit, an output that breaks the contract.
//! Fewer rows may pass. What happens before it sees rows, or outside of it, is not: no other rows would help.

use crate::{CallError, Situation, Step};

/// Whose fault a failed call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The rows', or the plugin's on account of them.
    Rows {
        /// It was stopped because it took too long: on a busy machine it may pass the next time.
        timed_out: bool,
    },
    /// The host's or the set-up's: an instance that cannot be made or opened, a batch of another schema.
    Host,
}

impl CallError {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self.step {
            Step::Process | Step::OnTimers | Step::Accumulate | Step::Merge | Step::Finish | Step::Migrate => self.situation.blame(),
            Step::Instantiate | Step::Describe | Step::Open | Step::Reads => Blame::Host,
        }
    }
}

impl Situation {
    /// Whose fault it is, where the plugin was at work on rows. No `_` here: who adds a situation decides.
    fn blame(&self) -> Blame {
        match self {
            Self::Timeout { .. } => Blame::Rows { timed_out: true },
            Self::Trap { .. }
            | Self::StackOverflow { .. }
            | Self::OutOfMemory { .. }
            | Self::TableTooLarge { .. }
            | Self::TooManyRows { .. }
            | Self::TooManyBytes { .. }
            | Self::TooManyBatches { .. }
            | Self::TooManyLogs { .. }
            | Self::TooManyHostCalls { .. }
            | Self::TooManyDeadLetters { .. }
            | Self::TooMuchState { .. }
            | Self::TooManyTimers { .. }
            | Self::State(_)
            | Self::BadOutput(_)
            | Self::GuestError(_) => Blame::Rows { timed_out: false },
            Self::TooManyInstances { .. } | Self::WrongInput(_) | Self::Host(_) => Blame::Host,
        }
    }

    /// The situation in a word that stays the same from version to version, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "trap",
            Self::StackOverflow { .. } => "stack-overflow",
            Self::Timeout { .. } => "timeout",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::TableTooLarge { .. } => "table-too-large",
            Self::TooManyInstances { .. } => "too-many-instances",
            Self::TooManyRows { .. } => "too-many-rows",
            Self::TooManyBytes { .. } => "too-many-bytes",
            Self::TooManyBatches { .. } => "too-many-batches",
            Self::TooManyLogs { .. } => "too-many-logs",
            Self::TooManyHostCalls { .. } => "too-many-host-calls",
            Self::TooManyDeadLetters { .. } => "too-many-dead-letters",
            Self::TooMuchState { .. } => "too-much-state",
            Self::TooManyTimers { .. } => "too-many-timers",
            Self::State(_) => "state",
            Self::BadOutput(_) => "bad-output",
            Self::GuestError(_) => "guest-error",
            Self::WrongInput(_) => "wrong-input",
            Self::Host(_) => "host",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(step: Step, situation: Situation) -> CallError {
        CallError { plugin: String::new(), operator: String::new(), rows: 0..1, step, migrating: None, situation, logs: Vec::new() }
    }

    #[test]
    fn a_trap_while_opening_is_not_put_down_to_rows() {
        let trap = || Situation::Trap { message: "unreachable".into(), panic: None };
        assert_eq!(error(Step::Process, trap()).blame(), Blame::Rows { timed_out: false });
        assert_eq!(error(Step::Migrate, trap()).blame(), Blame::Rows { timed_out: false });
        for step in [Step::Instantiate, Step::Describe, Step::Open, Step::Reads] {
            assert_eq!(error(step, trap()).blame(), Blame::Host);
        }
        assert_eq!(error(Step::Process, Situation::Host("gone".into())).blame(), Blame::Host);
    }
}
