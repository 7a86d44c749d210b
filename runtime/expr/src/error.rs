//! What can be wrong with an expression or a window, as situations with what a message needs to say.
//!
//! Every error of compiling carries the SQL text and, when it is known, the byte range of the fault in it, so that a caller can
//! underline it. The texts name DataFusion's words only where they are the best there is.

use arrow_schema::{ArrowError, DataType};
use datafusion_common::DataFusionError;
use std::ops::Range;
use stygian_core::{KeyGroup, type_name};

/// An expression, aggregate or window that cannot be compiled or evaluated.
#[derive(Debug, thiserror::Error)]
pub enum ExprError {
    /// The text is longer, deeper or has more parts than allowed.
    #[error("the expression has {found} {what}, at most {limit} are allowed; {hint}")]
    TooLarge {
        /// The whole text.
        sql: String,
        /// What was counted.
        what: &'static str,
        /// How many there are (at least).
        found: usize,
        /// How many may be.
        limit: usize,
        /// What to do.
        hint: &'static str,
    },
    /// The text is no SQL expression.
    #[error("no SQL expression: {message}")]
    Syntax {
        /// The whole text.
        sql: String,
        /// What the parser says.
        message: String,
        /// The fault in the text.
        at: Option<Range<usize>>,
    },
    /// A name that is no column of the input.
    #[error("there is no column `{name}`{hint}")]
    UnknownColumn {
        /// The whole text.
        sql: String,
        /// The name as written.
        name: String,
        /// The nearest name and the list of all.
        hint: String,
        /// The fault in the text.
        at: Option<Range<usize>>,
    },
    /// A name that is no function.
    #[error("there is no function `{name}`{hint}")]
    UnknownFunction {
        /// The whole text.
        sql: String,
        /// The name as written.
        name: String,
        /// The nearest name and the list of all.
        hint: String,
        /// The fault in the text.
        at: Option<Range<usize>>,
    },
    /// SQL that is refused on purpose.
    #[error("{what} cannot be used here: {reason}")]
    Refused {
        /// The whole text.
        sql: String,
        /// The function or construct.
        what: String,
        /// Why, and what to do instead.
        reason: String,
        /// The fault in the text.
        at: Option<Range<usize>>,
    },
    /// The parts do not fit together: types, argument counts.
    #[error("{message}")]
    Plan {
        /// The whole text.
        sql: String,
        /// What does not go with what.
        message: String,
        /// The fault in the text.
        at: Option<Range<usize>>,
    },
    /// A predicate that is no yes or no.
    #[error("a condition must be true or false, this is {}; compare it with something", type_name(.found))]
    NotBoolean {
        /// The whole text.
        sql: String,
        /// What it is.
        found: DataType,
    },
    /// Rows for which the expression has no value (a division by zero, a cast that fails).
    #[error("`{sql}` failed: {message}")]
    Evaluate {
        /// The whole text.
        sql: String,
        /// What went wrong.
        message: String,
    },
    /// A text function whose result is too large.
    #[error(
        "`{function}` would make {bytes} bytes or more of one batch, at most {limit} are allowed; shorten its texts or counts, or use \
         smaller batches"
    )]
    ResultTooLarge {
        /// The function.
        function: String,
        /// What it would make, at least or by estimate.
        bytes: u64,
        /// What it may make.
        limit: u64,
    },
    /// A window or its keys that cannot be.
    #[error("{reason}")]
    Window {
        /// What is wrong and what to do.
        reason: String,
    },
    /// State that was stored of something else than there is now.
    #[error(
        "the stored state is of another {what}: it was `{stored}`, now it is `{now}`; put back what it was, or give the operator a new name \
         so that it starts empty and leave the old state out with `--drop-state`"
    )]
    OtherState {
        /// What differs.
        what: &'static str,
        /// What it was, escaped.
        stored: String,
        /// What the pipeline has, escaped.
        now: String,
    },
    /// State in a format of another version of Stygian.
    #[error("the stored state is in format {found}, this Stygian reads {known}; use the one that wrote it")]
    StateVersion {
        /// The version it is of.
        found: u16,
        /// The version that is read.
        known: u16,
    },
    /// Stored state that cannot be read.
    #[error("the stored state of key group {} is damaged: {reason}; restore another checkpoint or savepoint", group.0)]
    DamagedState {
        /// The key group.
        group: KeyGroup,
        /// What is wrong with it.
        reason: String,
    },
    /// State that cannot be written.
    #[error("the state cannot be stored: {reason}")]
    Unstorable {
        /// Why.
        reason: String,
    },
    /// Rows of another schema than the one compiled for.
    #[error("column {column} is {found}, the expression was compiled for {expected}")]
    WrongRows {
        /// The column.
        column: String,
        /// What came.
        found: String,
        /// What was announced.
        expected: String,
    },
}

impl ExprError {
    /// The SQL text, where the error is about one.
    pub fn sql(&self) -> Option<&str> {
        match self {
            Self::TooLarge { sql, .. }
            | Self::Syntax { sql, .. }
            | Self::UnknownColumn { sql, .. }
            | Self::UnknownFunction { sql, .. }
            | Self::Refused { sql, .. }
            | Self::Plan { sql, .. }
            | Self::NotBoolean { sql, .. }
            | Self::Evaluate { sql, .. } => Some(sql),
            Self::ResultTooLarge { .. }
            | Self::Window { .. }
            | Self::OtherState { .. }
            | Self::StateVersion { .. }
            | Self::DamagedState { .. }
            | Self::Unstorable { .. }
            | Self::WrongRows { .. } => None,
        }
    }

    /// The bytes of [`ExprError::sql`] that are at fault, where that is known; always within the text and on character boundaries.
    pub fn at(&self) -> Option<Range<usize>> {
        match self {
            Self::Syntax { at, .. }
            | Self::UnknownColumn { at, .. }
            | Self::UnknownFunction { at, .. }
            | Self::Refused { at, .. }
            | Self::Plan { at, .. } => at.clone(),
            _ => None,
        }
    }

    /// The cap that a function hit, if that is why it failed.
    pub(crate) fn cap(error: &DataFusionError) -> Option<Self> {
        cap_exceeded(error)
    }

    /// An error of evaluating `sql`.
    pub(crate) fn evaluate(sql: &str, error: &DataFusionError) -> Self {
        cap_exceeded(error).unwrap_or_else(|| Self::Evaluate { sql: sql.to_owned(), message: text(error) })
    }

    /// An error of Arrow's kernels while evaluating `sql`.
    pub(crate) fn arrow(sql: &str, error: &ArrowError) -> Self {
        Self::Evaluate { sql: sql.to_owned(), message: error.to_string() }
    }

    pub(crate) fn window(reason: impl Into<String>) -> Self {
        Self::Window { reason: reason.into() }
    }
}

/// The cap that a function hit, carried through DataFusion's error.
#[derive(Debug, thiserror::Error)]
#[error("`{function}` would make {bytes} bytes or more")]
pub(crate) struct CapExceeded {
    pub(crate) function: String,
    pub(crate) bytes: u64,
    pub(crate) limit: u64,
}

fn cap_exceeded(error: &DataFusionError) -> Option<ExprError> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(CapExceeded { function, bytes, limit }) = error.downcast_ref() {
            return Some(ExprError::ResultTooLarge { function: function.clone(), bytes: *bytes, limit: *limit });
        }
        next = error.source();
    }
    None
}

/// The words of an error without the prefixes and back traces that DataFusion wraps around them.
fn text(error: &DataFusionError) -> String {
    let message = match error.find_root() {
        DataFusionError::Plan(message) | DataFusionError::Execution(message) | DataFusionError::NotImplemented(message) => message.clone(),
        DataFusionError::ArrowError(arrow, _) => arrow.to_string(),
        other => other.strip_backtrace(),
    };
    message.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default().trim().to_owned()
}

/// The planner's words, if they are fit for people: they speak of the expression, not of the planner's insides.
pub(crate) fn planner_words(error: &DataFusionError) -> Option<String> {
    const INSIDES: [&str; 7] = ["nternal error", "coerc", "signature", "No function matches", "bug", "Utf8", "TypeSignature"];
    if matches!(error.find_root(), DataFusionError::Internal(_) | DataFusionError::NotImplemented(_)) {
        return None;
    }
    let words = text(error);
    let words = words.lines().next().unwrap_or_default().trim();
    let fit = !words.is_empty() && !INSIDES.iter().any(|inside| words.contains(inside));
    fit.then(|| {
        let mut chars = words.chars();
        chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
    })
}
