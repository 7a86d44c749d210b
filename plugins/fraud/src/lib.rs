//! Finds a pattern of fraud: a small charge, to try the card, with a large one behind it before the time is up.

pub mod columns;

use columns::{Alert, Charge, Found};
use serde::Deserialize;
use std::time::Duration;
use stygian_sdk::prelude::*;

/// What is known of a card.
#[derive(State)]
pub struct Known {
    /// When its last charge was made, if that was a small one.
    tried: ValueState<TimestampUtc>,
}

/// What a card waits for.
#[derive(Clone, Copy, Timers)]
pub enum Alarm {
    /// The small charge is forgotten.
    #[timer(event_time)]
    Forget,
}

/// The pipeline's `config` table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fraud {
    /// Charges below this amount are small.
    small: f64,
    /// Charges from this amount on are large.
    large: f64,
    /// How soon the large one comes.
    #[serde(with = "stygian_sdk::duration")]
    within: Duration,
}

impl Keyed for Fraud {
    type Config = Self;
    type Key<'a> = &'a str;
    type Row<'a> = Charge;
    type State = Known;
    type Timers = Alarm;
    type Outputs<'a> = Found<'a>;

    fn open(config: Self) -> Result<Self, String> {
        if config.small <= config.large { Ok(config) } else { Err("`small` must not be above `large`".into()) }
    }

    fn row<'a>(&'a self, charge: Charge, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        if charge.amount.is_nan() || charge.amount < 0.0 {
            return Err(format!("a charge of {}", charge.amount).into());
        }
        let tried = cx.state.tried.take();
        tried.inspect(|tried| cx.timers.clear(Alarm::Forget, *tried + self.within));
        match tried {
            Some(tried_at) if charge.amount >= self.large && charge.at < tried_at + self.within => {
                cx.out.alerts.push(Alert { card: cx.key, tried_at, amount: charge.amount, at: charge.at });
            }
            _ => cx.out.good.keep(),
        }
        if charge.amount < self.small {
            cx.state.tried.set(charge.at);
            cx.timers.set(Alarm::Forget, charge.at + self.within);
        }
        Ok(())
    }

    fn timer<'a>(&'a self, _forget: Alarm, _at: TimestampUtc, cx: &mut Context<'a, Self>) -> Result<(), String> {
        cx.state.tried.clear();
        Ok(())
    }
}

stygian_sdk::export!(keyed Fraud);

#[cfg(test)]
mod tests;
