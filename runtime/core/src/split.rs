//! Where a source stands: its splits and the offset reached in each.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of a part of a source that is read in order (a file, a partition of a topic): stable across restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SplitId(String);

impl SplitId {
    /// Wraps the connector's name of the split.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SplitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A position in a split. Its unit is the connector's (bytes of a text file, rows of a Parquet file, offsets of a partition);
/// it only ever grows, and reading from it yields exactly what was not read before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
