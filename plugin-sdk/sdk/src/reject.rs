//! Why a row was refused.

use std::borrow::Cow;
use std::fmt;

/// Sends the row to the operator's dead letters, with a reason for people. Other rows of the call are not touched.
///
/// Made from text by `?` or `.into()`: `event.amount.ok_or("no amount")?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    reason: Cow<'static, str>,
}

impl Reject {
    /// Refuses for this reason.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into() }
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<&'static str> for Reject {
    fn from(reason: &'static str) -> Self {
        Self::new(reason)
    }
}

impl From<String> for Reject {
    fn from(reason: String) -> Self {
        Self::new(reason)
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Reject {}
