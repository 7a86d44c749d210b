//! Spans of time in a configuration, written as in the rest of a pipeline: `"5ms"`, `"10s"`, `"1h 30m"`.
//!
//! ```text
//! #[serde(with = "stygian_sdk::duration")]
//! gap: std::time::Duration,
//! ```

use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// For serde's `with`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_duration(&text)
        .map_err(|error| serde::de::Error::custom(format!("`{text}` is no span of time like \"10s\" or \"1h 30m\": {error}")))
}
