//! What goes into a call of an operator beside the rows, and what comes out of it.
//!
//! Row indices count the rows of the batch given to [`crate::Operator::process`], however many guest calls it was cut into.

use arrow_array::{RecordBatch, UInt32Array};

/// The circumstances of a call: the only clock a guest has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallContext {
    /// The operator's watermark, in microseconds of event time; `None` before the first one.
    pub watermark: Option<i64>,
    /// Processing time, in microseconds since 1970-01-01T00:00:00Z; the same for every retry of the call.
    pub processing_time: i64,
}

/// What an operator made of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallOutput {
    /// Per declared output, in the order they were handed over: what goes there.
    pub outputs: Vec<Vec<Piece>>,
    /// Rows that go to the dead letters, ascending.
    pub dead_letters: Vec<DeadRow>,
    /// What the plugin had to say; escaped.
    pub logs: Vec<LogLine>,
}

/// Rows for an output.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// These input rows, strictly ascending (outputs of shape `selected`; at most one piece a batch).
    Selected(UInt32Array),
    /// New rows (outputs of shape `extended` and `own`).
    Emitted {
        /// The declared columns.
        rows: RecordBatch,
        /// `extended`: the input row of each row; `None` means that row i comes from input row i, and that this is the output's only piece
        /// and as long as the input. Always `None` for `own`.
        parents: Option<UInt32Array>,
    },
}

/// A row that the plugin refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRow {
    /// Its index.
    pub row: u32,
    /// Why; escaped.
    pub reason: String,
}

/// Something a plugin had to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// The text; escaped.
    pub message: String,
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Odd.
    Warn,
    /// A person should look.
    Error,
}
