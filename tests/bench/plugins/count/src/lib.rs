//! Adds up the weights of each key and puts out nothing: what state costs.

use stygian_sdk::prelude::*;

/// What is read beside the key.
#[derive(Row)]
pub struct Event {
    weight: i64,
}

/// What is kept of a key.
#[derive(State)]
pub struct Counts {
    rows: ValueState<u64>,
}

/// What would be put out.
#[derive(OutputRow)]
pub struct Counted {
    rows: u64,
}

/// The operator.
pub struct Count;

impl Keyed for Count {
    type Config = NoConfig;
    type Key<'a> = &'a str;
    type Row<'a> = Event;
    type State = Counts;
    type Timers = NoTimers;
    type Outputs<'a> = Output<Counted>;

    fn open(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn row<'a>(&'a self, event: Event, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        *cx.state.rows.or_default() += event.weight.unsigned_abs();
        Ok(())
    }
}

stygian_sdk::export!(keyed Count);
