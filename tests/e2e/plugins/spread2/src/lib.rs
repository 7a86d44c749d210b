//! The next version of `spread`: it keeps and gives tenths, so that a range of version 1 that was taken as it is makes a wrong result.

use serde::{Deserialize, Serialize};
use stygian_sdk::prelude::*;

/// The column that is read.
#[derive(Row)]
pub struct Event {
    amount: Option<f64>,
}

/// What version 1 kept: smallest and largest value.
#[derive(Stored, Serialize, Deserialize)]
struct Range {
    least: f64,
    most: f64,
}

/// Smallest and largest value so far, in tenths.
#[derive(Stored, Serialize, Deserialize)]
pub struct Tenths {
    least: f64,
    most: f64,
}

impl Default for Tenths {
    fn default() -> Self {
        Self { least: f64::INFINITY, most: f64::NEG_INFINITY }
    }
}

/// The result, in tenths; null where there was no value.
#[derive(OutputRow)]
pub struct Apart {
    spread: Option<f64>,
}

/// The aggregate.
pub struct Spread;

impl Aggregate for Spread {
    type Config = NoConfig;
    type Row<'a> = Event;
    type Accumulator = Tenths;
    type Out = Apart;
    const VERSION: u32 = 2;

    fn open(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn add(&self, range: &mut Tenths, event: Event) -> Result<(), Reject> {
        let tenths = event.amount.map(|amount| amount * 10.0);
        tenths.into_iter().for_each(|tenths| self.merge(range, Tenths { least: tenths, most: tenths }));
        Ok(())
    }

    fn merge(&self, into: &mut Tenths, from: Tenths) {
        (into.least, into.most) = (into.least.min(from.least), into.most.max(from.most));
    }

    fn finish(&self, range: Tenths) -> Apart {
        Apart { spread: (range.least <= range.most).then_some(range.most - range.least) }
    }
}

impl OldAccumulators for Spread {
    const READS: &'static [u32] = &[1];

    fn migrate(_from_version: u32, bytes: &[u8]) -> Result<Tenths, String> {
        let Range { least, most } = Stored::read(bytes)?;
        Ok(Tenths { least: least * 10.0, most: most * 10.0 })
    }
}

stygian_sdk::export!(migrating_aggregate Spread, name = "spread");
