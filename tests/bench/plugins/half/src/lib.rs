//! A text filter that passes half of the rows.

use stygian_sdk::prelude::*;

/// What is read.
#[derive(Row)]
pub struct Named<'a> {
    name: &'a str,
}

/// The filter.
pub struct Half;

impl Filter for Half {
    type Config = NoConfig;
    type Row<'a> = Named<'a>;

    fn open(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn keep(&self, row: Named<'_>) -> Result<bool, Reject> {
        Ok(row.name.starts_with("user-") && row.name.ends_with(['0', '2', '4', '6', '8']))
    }
}

stygian_sdk::export!(filter Half);
