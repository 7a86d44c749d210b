//! A hostile operator: every call spins until its limit ends it.

use stygian_sdk::prelude::*;

/// What is read.
#[derive(Row)]
pub struct Named<'a> {
    name: &'a str,
}

/// The operator.
pub struct Spins;

impl Filter for Spins {
    type Config = NoConfig;
    type Row<'a> = Named<'a>;

    fn open(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn keep(&self, row: Named<'_>) -> Result<bool, Reject> {
        loop {
            std::hint::black_box(row.name);
        }
    }
}

stygian_sdk::export!(filter Spins);
