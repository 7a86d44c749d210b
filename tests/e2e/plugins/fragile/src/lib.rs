//! Fails in every way that a row can make an operator fail: it panics on negative amounts, never comes back from kind `loop`, recurses
//! without end on kind `deep`, and refuses kind `refund` as it should.

use stygian_sdk::prelude::*;

/// What is read.
#[derive(Row)]
pub struct Event<'a> {
    kind: &'a str,
    amount: f64,
}

/// What is added.
#[derive(OutputRow)]
pub struct Rounded {
    rounded: f64,
}

/// The map.
pub struct Fragile;

impl Map for Fragile {
    type Config = NoConfig;
    type In<'a> = Event<'a>;
    type Out<'a> = Rounded;
    const EXTENDS: bool = true;

    fn open(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn map<'a>(&'a self, event: Event<'a>) -> Result<Rounded, Reject> {
        assert!(event.amount >= 0.0, "amount {} is negative", event.amount);
        match event.kind {
            "refund" => Err("a refund".into()),
            "loop" => loop {
                std::hint::spin_loop();
            },
            "deep" => Ok(Rounded { rounded: deep(event.amount) }),
            _ => Ok(Rounded { rounded: event.amount.round() }),
        }
    }
}

#[allow(unconditional_recursion)] // that is what it is for
fn deep(amount: f64) -> f64 {
    std::hint::black_box(deep(std::hint::black_box(amount + 1.0))) + 1.0
}

stygian_sdk::export!(map Fragile);
