//! Event time: microseconds since 1970-01-01T00:00:00Z, as Arrow's `Timestamp(Microsecond)` stores them.

use std::fmt;
use std::time::Duration;

/// A point in event time, in microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

impl EventTime {
    /// Before every event: the watermark of a split of which nothing is known yet.
    pub const MIN: Self = Self(i64::MIN);
    /// After every event: the watermark at the end of bounded input.
    pub const MAX: Self = Self(i64::MAX);

    /// The point `micros` microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This point moved into the past; stays at [`EventTime::MIN`] rather than wrap around.
    #[must_use]
    pub fn earlier_by(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.write_str("the beginning"),
            Self::MAX => f.write_str("the end"),
            Self(micros) => match arrow_array::temporal_conversions::timestamp_us_to_datetime(micros) {
                Some(time) => write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%S%.6fZ")),
                None => write!(f, "{micros} us"),
            },
        }
    }
}
