//! What a run may end with instead of a result.

use thiserror::Error;

/// Why there is no result. What the operator refuses row by row is no error but a dead letter.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TestError {
    /// The operator does not accept the configuration.
    #[error("configuration: {0}")]
    Config(String),
    /// A row that the test gives does not fit the columns that the operator reads.
    #[error("row {row}: {problem}")]
    Row {
        /// Which row, from 0.
        row: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The operator failed the whole call.
    #[error("the operator failed: {0}")]
    Failed(String),
    /// The operator handed over what the host would refuse.
    #[error("against the contract: {0}")]
    Contract(String),
    /// The result depends on more than the rows.
    #[error("the result differs {when}: an operator must keep nothing from one row or call to the next")]
    Impure {
        /// Under what circumstances.
        when: &'static str,
    },
}

impl TestError {
    /// The same with row numbers that count from `offset` rows earlier.
    pub(crate) fn later_by(self, offset: usize) -> Self {
        match self {
            Self::Row { row, problem } => Self::Row { row: row + offset, problem },
            other => other,
        }
    }
}
