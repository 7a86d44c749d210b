//! The columns that go in and come out.

use stygian_sdk::prelude::*;

/// The columns that are read.
#[derive(Row)]
pub struct Charge {
    pub(crate) amount: f64,
    pub(crate) at: TimestampUtc,
}

/// A suspicion.
#[derive(OutputRow)]
pub struct Alert<'a> {
    pub(crate) card: &'a str,
    pub(crate) tried_at: TimestampUtc,
    pub(crate) amount: f64,
    pub(crate) at: TimestampUtc,
}

/// The outputs: the charges that look fraudulent, and all others as they came.
#[derive(Outputs)]
pub struct Found<'a> {
    pub(crate) alerts: Output<Alert<'a>>,
    pub(crate) good: SelectedOutput,
}
