//! Sizes and durations as people write them in a pipeline file: `"8 MiB"`, `"5ms"`, `"1h 30m"`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A text that is no size or no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a number of bytes.
    #[error("`{0}` is not a size; write a number and a unit, such as \"512 KiB\" or \"8 MiB\"")]
    Size(String),
    /// Not a span of time.
    #[error("`{0}` is not a duration; write numbers and units, such as \"5ms\", \"10s\" or \"1h 30m\"")]
    Span(String),
}

/// A number of bytes, written as `"8 MiB"` (powers of 1,024) or `"8 MB"` (powers of 1,000).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// `n` KiB.
    pub const fn kib(n: u64) -> Self {
        Self(n * 1024)
    }

    /// `n` MiB.
    pub const fn mib(n: u64) -> Self {
        Self::kib(n * 1024)
    }

    /// As a length in memory; the largest one where the machine's words are smaller.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        text.parse::<bytesize::ByteSize>().map(|size| Self(size.0)).map_err(|_| UnitError::Size(text.to_owned()))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bytesize::ByteSize(self.0).display().iec().fmt(f)
    }
}

/// A span of time, written as `"5ms"`, `"10s"` or `"1h 30m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// `n` milliseconds.
    pub const fn millis(n: u64) -> Self {
        Self(Duration::from_millis(n))
    }

    /// `n` seconds.
    pub const fn secs(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }

    /// In microseconds, the unit of event time.
    pub fn micros(self) -> i64 {
        i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX)
    }
}

impl FromStr for Span {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        humantime::parse_duration(text).map(Self).map_err(|_| UnitError::Span(text.to_owned()))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A text that is read as exactly this; what people are shown is rounded.
trait Exact: fmt::Display {
    fn exact(&self) -> String {
        self.to_string()
    }
}

impl Exact for Span {}

impl Exact for ByteSize {
    fn exact(&self) -> String {
        let rounded = self.to_string();
        if rounded.parse() == Ok(*self) { rounded } else { format!("{} B", self.0) }
    }
}

macro_rules! as_text {
    ($type:ident, $name:literal, $example:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.exact())
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "examples": [$example] })
            }
        }
    };
}

as_text!(ByteSize, "size", "8 MiB");
as_text!(Span, "duration", "10s");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for size in [ByteSize(0), ByteSize(1), ByteSize::kib(256), ByteSize::mib(8)] {
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        for span in [Span::millis(5), Span::secs(90), Span::secs(86_400)] {
            assert_eq!(span.to_string().parse(), Ok(span));
        }
    }

    #[test]
    fn sizes_are_stored_exactly() {
        for size in [ByteSize(1_234_567), ByteSize::mib(64), ByteSize((1 << 50) + 1)] {
            assert_eq!(size.exact().parse(), Ok(size));
        }
        assert_eq!(ByteSize::mib(64).exact(), ByteSize::mib(64).to_string());
    }

    #[test]
    fn names_the_text_it_cannot_read() {
        assert_eq!("lots".parse::<ByteSize>(), Err(UnitError::Size("lots".into())));
        assert_eq!("10".parse::<Span>(), Err(UnitError::Span("10".into())));
    }
}
