//! Parts user behaviour events into purchases, with their price, and clicks as they came.

use stygian_sdk::prelude::*;

/// The columns that are read.
#[derive(Row)]
pub struct Event<'a> {
    user: &'a str,
    item: &'a str,
    kind: &'a str,
    amount: f64,
    at: TimestampUtc,
}

/// A purchase.
#[derive(OutputRow)]
pub struct Purchase<'a> {
    user: &'a str,
    item: &'a str,
    price: f64,
    at: TimestampUtc,
}

/// The operator's outputs: `route.purchases`, which is also `route`, and `route.clicks`.
#[derive(Outputs)]
pub struct Routes<'a> {
    purchases: Output<Purchase<'a>>,
    clicks: SelectedOutput,
}

/// The flat-map.
pub struct Route;

impl FlatMap for Route {
    type Config = NoConfig;
    type Row<'a> = Event<'a>;
    type Outputs<'a> = Routes<'a>;

    fn open(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn flat_map<'a>(&self, event: Event<'a>, out: &mut Routes<'a>) -> Result<(), Reject> {
        match event.kind {
            "click" => out.clicks.keep(),
            "purchase" => out.purchases.push(Purchase { user: event.user, item: event.item, price: event.amount, at: event.at }),
            kind => return Err(format!("unknown kind `{kind}`").into()),
        }
        Ok(())
    }
}

stygian_sdk::export!(flat_map Route);

#[cfg(test)]
mod tests;
