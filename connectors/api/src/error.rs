//! What can go wrong while a connector runs.

use std::error::Error;

/// An error with all its causes, for people.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// A failure of a source or sink while the job runs; ends the job.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// An operation on something outside failed.
    #[error("could not {doing} {what}")]
    Io {
        /// The verb: `read`, `write`, `rename`, ...
        doing: &'static str,
        /// The path, topic or address.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// What was read is not what the format says.
    #[error("{what} is not valid {format}: {reason}")]
    Corrupt {
        /// The path, or topic and offset.
        what: String,
        /// The format's name.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Something was found in a state in which going on would lose or double data.
    #[error("{what}: {reason}; {hint}")]
    Refused {
        /// What.
        what: String,
        /// Why.
        reason: String,
        /// What to do.
        hint: String,
    },
}

impl ConnectorError {
    /// An [`ConnectorError::Io`].
    pub fn io(doing: &'static str, what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Io { doing, what: what.into(), source: source.into() }
    }

    /// Whether it may go well if it is tried again: something outside failed in a way that can pass by itself (a disk that is full, a server that
    /// is away). What is not there, not allowed or not what it should be stays so.
    pub fn may_pass(&self) -> bool {
        use std::io::ErrorKind;
        let Self::Io { source, .. } = self else { return false };
        let mut cause: Option<&(dyn Error + 'static)> = Some(source.as_ref());
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<std::io::Error>() {
                let lasting = [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::InvalidInput, ErrorKind::InvalidData];
                return !lasting.contains(&error.kind());
            }
            cause = error.source();
        }
        true
    }

    /// A [`ConnectorError::Refused`].
    pub fn refused(what: impl Into<String>, reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), reason: reason.into(), hint: hint.into() }
    }
}
