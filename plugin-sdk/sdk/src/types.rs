//! Values that Rust's own types do not tell apart: dates, times and decimals, as the numbers they are stored as.

use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};
use std::time::Duration;

/// Days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Date(pub i32);

/// Microseconds since 1970-01-01T00:00:00 of a clock without a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimestampUtc(pub i64);

/// A number of at most `P` digits (1 to 38), `S` of them behind the point: the number times 10 to the power of `S`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Decimal<const P: u8, const S: u8>(pub i128);

/// Later or earlier times, which stop at the ends of what microseconds can name.
macro_rules! time {
    ($($time:ident)*) => {$(
        impl $time {
            /// How long this is after another time; nothing, if it is not.
            pub fn since(self, earlier: Self) -> Duration {
                Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
            }
        }

        impl Add<Duration> for $time {
            type Output = Self;

            #[inline]
            fn add(self, later: Duration) -> Self {
                Self(self.0.saturating_add(micros(later)))
            }
        }

        impl Sub<Duration> for $time {
            type Output = Self;

            #[inline]
            fn sub(self, earlier: Duration) -> Self {
                Self(self.0.saturating_sub(micros(earlier)))
            }
        }

        impl Micros for $time {
            #[inline]
            fn micros(self) -> i64 {
                self.0
            }
        }
    )*};
}

time!(Timestamp TimestampUtc);

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A point in time, in microseconds since 1970-01-01; one without a zone counts as UTC.
pub trait Micros: Copy {
    /// The microseconds.
    fn micros(self) -> i64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_move_by_durations_and_stop_at_the_ends() {
        let at = TimestampUtc(5_000_000);
        assert_eq!((at + Duration::from_secs(1)).0, 6_000_000);
        assert_eq!((at - Duration::from_millis(1)).0, 4_999_000);
        assert_eq!((at + Duration::MAX).0, i64::MAX);
        assert_eq!((Timestamp(i64::MIN) - Duration::from_secs(1)).0, i64::MIN);
        assert_eq!((at.since(TimestampUtc(1)), at.since(TimestampUtc(6_000_000))), (Duration::from_micros(4_999_999), Duration::ZERO));
    }
}
