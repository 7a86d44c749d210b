//! The result of a run, as tests want to look at it.

use serde_json::Value;
use stygian_sdk::contract::Level;

/// A row that the operator refused.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Which input row, from 0.
    pub row: usize,
    /// The row as it was given.
    pub value: Value,
    /// The operator's reason.
    pub reason: String,
}

/// What came of some rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Rows by output, in the order the operator declares them; the first is the main one.
    pub outputs: Vec<(String, Vec<Value>)>,
    /// Rows that were refused, in the order they were.
    pub dead_letters: Vec<DeadLetter>,
    /// What was logged.
    pub logs: Vec<(Level, String)>,
}

impl Run {
    /// The rows of the main output.
    pub fn main(&self) -> &[Value] {
        self.outputs.first().map_or(&[], |(_, rows)| rows)
    }

    /// The rows of an output.
    ///
    /// # Panics
    /// Where the operator has no such output: the test is wrong.
    #[track_caller]
    #[allow(clippy::panic)] // a test's own mistake
    pub fn rows(&self, output: &str) -> &[Value] {
        match self.outputs.iter().find(|(name, _)| name == output) {
            Some((_, rows)) => rows,
            None => panic!(
                "no output `{output}`; there are: {}",
                self.outputs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
            ),
        }
    }

    /// Row numbers and reasons of the dead letters.
    pub fn dead_reasons(&self) -> Vec<(usize, &str)> {
        self.dead_letters.iter().map(|letter| (letter.row, letter.reason.as_str())).collect()
    }

    /// The lines that were logged, of all levels.
    pub fn log_lines(&self) -> Vec<&str> {
        self.logs.iter().map(|(_, line)| line.as_str()).collect()
    }

    /// Whether rows and dead letters are the same; lines in the log are for people.
    pub(crate) fn same_rows(&self, other: &Self) -> bool {
        self.outputs == other.outputs && self.dead_letters == other.dead_letters
    }

    /// Adds the result of later rows, `offset` rows after this one's first.
    pub(crate) fn append(&mut self, later: Self, offset: usize) {
        for ((_, rows), (_, more)) in self.outputs.iter_mut().zip(later.outputs) {
            rows.extend(more);
        }
        self.dead_letters.extend(later.dead_letters.into_iter().map(|letter| DeadLetter { row: letter.row + offset, ..letter }));
        self.logs.extend(later.logs);
    }
}

/// A timer that is set.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingTimer {
    /// Its name.
    pub name: String,
    /// The columns of its key.
    pub key: Value,
    /// When it fires, in microseconds of its clock.
    pub at: i64,
}

/// What came of a stream through a keyed operator, and what is left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyedRun {
    /// Rows and dead letters. The numbers of dead letters count all rows of the stream.
    pub run: Run,
    /// Timers that are still set, by time.
    pub timers: Vec<PendingTimer>,
    /// How many values, list items and map entries are still stored.
    pub values: usize,
}

impl std::ops::Deref for KeyedRun {
    type Target = Run;

    fn deref(&self) -> &Run {
        &self.run
    }
}

impl std::ops::DerefMut for KeyedRun {
    fn deref_mut(&mut self) -> &mut Run {
        &mut self.run
    }
}
