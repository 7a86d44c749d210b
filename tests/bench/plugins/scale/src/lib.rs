//! A numeric map over two columns.

use stygian_sdk::prelude::*;

/// What is read.
#[derive(Row)]
pub struct Measured {
    value: f64,
    weight: i64,
}

/// What is made.
#[derive(OutputRow)]
pub struct Scaled {
    scaled: f64,
}

/// The map.
pub struct Scale;

impl Map for Scale {
    type Config = NoConfig;
    type In<'a> = Measured;
    type Out<'a> = Scaled;
    const EXTENDS: bool = true;

    fn open(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    #[allow(clippy::cast_precision_loss)] // the weights are small
    fn map(&self, row: Measured) -> Result<Scaled, Reject> {
        Ok(Scaled { scaled: row.value * row.weight as f64 + 1.0 })
    }
}

stygian_sdk::export!(map Scale);
