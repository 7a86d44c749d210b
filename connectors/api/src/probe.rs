//! What `stygian doctor` tries of a node: each step changes nothing that others see, and the first that fails says what is missing.

use crate::ConnectorError;
use std::fmt;

/// A step by which it is found out whether a source or a sink can do its work.
pub struct Probe {
    /// What is tried, as a heading: "topic `events`: read".
    pub name: String,
    /// Tries it; may block for a bounded time. Gives back what was found.
    pub run: Box<dyn FnOnce() -> Result<String, ConnectorError> + Send>,
}

impl Probe {
    /// A step.
    pub fn new(name: impl Into<String>, run: impl FnOnce() -> Result<String, ConnectorError> + Send + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({})", self.name)
    }
}
