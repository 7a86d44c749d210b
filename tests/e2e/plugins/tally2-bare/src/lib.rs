//! Keeps what a user has paid, in mills, and knows nothing of the version before it.

use stygian_sdk::prelude::*;

/// The columns that are read.
#[derive(Row)]
pub struct Payment {
    cents: i32,
}

/// What is kept for a user: slots of the names that `tally` has.
#[derive(State)]
pub struct Kept {
    #[slot(version = 2)]
    total: ValueState<i64>,
    #[slot(version = 2)]
    january: ValueState<i64>,
    #[slot(version = 2)]
    payments: ListState<i64>,
    #[slot(version = 2)]
    kinds: MapState<i64, u64>,
}

/// What a user waits for.
#[derive(Clone, Copy, Timers)]
pub enum Later {
    /// January is over.
    #[timer(event_time)]
    January,
}

/// A row out for each payment.
#[derive(OutputRow)]
pub struct Paid<'a> {
    user: &'a str,
    total: i64,
}

/// Adds payments up.
pub struct Tally;

impl Keyed for Tally {
    type Config = NoConfig;
    type Key<'a> = &'a str;
    type Row<'a> = Payment;
    type State = Kept;
    type Timers = Later;
    type Outputs<'a> = Output<Paid<'a>>;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn row<'a>(&'a self, payment: Payment, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        let mills = i64::from(payment.cents) * 10;
        *cx.state.total.or_default() += mills;
        *cx.state.january.or_default() += mills;
        cx.state.payments.push(mills);
        cx.state.kinds.insert(&0, 0);
        cx.out.push(Paid { user: cx.key, total: *cx.state.total.or_default() });
        Ok(())
    }
}

stygian_sdk::export!(keyed Tally);
