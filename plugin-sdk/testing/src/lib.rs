//! Tests an operator natively, in milliseconds and with a debugger: rows in and out as JSON, no sandbox, no host.
//!
//! [`Harness::run`] plays the host: it lays rows out as columns, checks what the operator hands over as the host does, and applies it. Every
//! run is done three times (on an instance that was used before, on a fresh one, and row by row on a fresh one), since the host may cut
//! batches and make instances as it likes: a difference is an error. Limits of time, memory and output are left to the sandbox.
//!
//! ```
//! use stygian_sdk::prelude::*;
//! use stygian_testing::{Harness, json, rows};
//!
//! #[derive(Row)]
//! struct Event<'a> { user: &'a str, amount: Option<f64> }
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Large { least: f64 }
//!
//! impl Filter for Large {
//!     type Config = Self;
//!     type Row<'a> = Event<'a>;
//!     fn open(config: Self) -> Result<Self, String> { Ok(config) }
//!     fn keep(&self, event: Event<'_>) -> Result<bool, Reject> {
//!         log::debug!("looking at {}", event.user);
//!         Ok(event.amount.ok_or("no amount")? >= self.least)
//!     }
//! }
//!
//! # fn main() -> Result<(), stygian_testing::TestError> {
//! let run = Harness::filter::<Large>(json!({ "least": 10 }))?.run(rows![
//!     { "user": "a", "amount": 12.5, "untouched": [1, 2] },
//!     { "user": "b", "amount": 2.0 },
//!     { "user": "c" },
//! ])?;
//! assert_eq!(run.main(), rows![{ "user": "a", "amount": 12.5, "untouched": [1, 2] }]);
//! assert_eq!(run.dead_reasons(), [(2, "no amount")]);
//! assert_eq!(run.log_lines()[0], "looking at a");
//! # Ok(())
//! # }
//! ```
//!
//! [`Harness::keyed`] runs keyed operators on a [`Stream`] of rows, watermarks and processing time, keeps their state and timers, and checks that
//! nothing depends on how calls are cut; [`Harness::aggregate`] splits and merges.
//!
//! Values: numbers, `true`, text; binary as hexadecimal text; dates, timestamps and decimals as text (`"2026-02-28"`,
//! `"2026-02-28T10:00:00.5"`, with `Z` behind it for a `TimestampUtc`, `"12.50"`), the first two also as numbers of days or microseconds.

mod aggregate;
mod cell;
mod columns;
mod error;
mod harness;
mod host;
mod keyed;
mod keyed_host;
mod run;
mod simulation;
mod store;

pub use aggregate::AggregateHarness;
pub use error::TestError;
pub use harness::Harness;
pub use keyed::{KeyedHarness, Stream};
pub use run::{DeadLetter, KeyedRun, PendingTimer, Run};
pub use serde_json::{Value, json};
pub use stygian_sdk::contract::Level;

/// Rows as JSON objects: `rows![{ "user": "a" }, { "user": "b" }]`.
#[macro_export]
macro_rules! rows {
    ($($row:tt),* $(,)?) => { <[$crate::Value]>::into_vec(::std::boxed::Box::new([$($crate::json!($row)),*])) };
}
