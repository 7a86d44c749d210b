//! What a pipeline file can say about made-up user behaviour.

use schemars::JsonSchema;
use serde::Deserialize;
use stygian_core::Span;

/// Options of a source of kind `generator`. Its columns are `user`, `item` and `kind` (text), `amount` (float64), `at` (timestamp_utc),
/// `session` and `page` (text), all not null. A click's amount is the seconds spent on the page, a purchase's the price; a session is half an
/// hour of a user's.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GeneratorOptions {
    /// How many rows there are. Default: no end.
    pub rows: Option<u64>,
    /// Rows per second, of all splits together. Default: as fast as it can.
    pub rate: Option<f64>,
    /// Where chance begins: the same seed gives the same rows. Default: 42.
    pub seed: u64,
    /// How many users there are, named "user-1" and so on, the most active first. Default: 10000.
    pub users: u64,
    /// How many items there are, named "item-1" and so on, the most wanted first. Default: 1000.
    pub items: u64,
    /// How unevenly users and items share the rows: the exponent of a Zipf distribution; 0 is evenly. Default: 1.0. Raise it to try how
    /// a pipeline bears hot keys.
    pub skew: f64,
    /// How much earlier than the newest time before it a row's time can be, at most. Default: "5s".
    pub disorder: Span,
    /// The time of the first row, as RFC 3339 text. Default: "2026-01-01T00:00:00Z".
    pub start: String,
    /// The event time between two rows. Default: "86ms 400us", so that 2 million rows take two days.
    pub step: Span,
    /// The share of rows that are purchases, 0 to 1; the others are clicks. Default: 0.1.
    pub purchases: f64,
    /// The share of rows that are clicks of robots (users named "robot-1" and so on, under half a second on a page), 0 to 1. Default: 0.02.
    pub robots: f64,
    /// The share of rows with a mistake in them (a negative amount, or an unknown kind), 0 to 1. Default: 0.001.
    pub bad: f64,
    /// In how many splits the rows come, so that as many subtasks can make them. Default: 1. The rows stay the same.
    pub splits: u16,
}

impl Default for GeneratorOptions {
    fn default() -> Self {
        Self {
            rows: None,
            rate: None,
            seed: 42,
            users: 10_000,
            items: 1_000,
            skew: 1.0,
            disorder: Span::secs(5),
            start: "2026-01-01T00:00:00Z".into(),
            step: Span(std::time::Duration::from_micros(86_400)),
            purchases: 0.1,
            robots: 0.02,
            bad: 0.001,
            splits: 1,
        }
    }
}
