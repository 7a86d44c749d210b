//! Keeps what a user has paid, in mills (a tenth of a cent), and how much of it since this version: it migrates what `tally` has kept.

use serde::{Deserialize, Serialize};
use stygian_sdk::prelude::*;

/// The columns that are read.
#[derive(Row)]
pub struct Payment {
    cents: i32,
    kind: i64,
}

/// A sum of payments.
#[derive(Clone, Copy, Serialize, Deserialize, Stored)]
pub struct Total {
    mills: i64,
    /// How many were added since it was migrated, or began.
    since: u64,
}

/// What version 1 had in place of a total that it had lost.
const LOST: i64 = -1;

impl From<i64> for Total {
    fn from(cents: i64) -> Self {
        assert!(cents != LOST, "a total of {cents} cents");
        Self { mills: cents * 10, since: 0 }
    }
}

/// A payment.
#[derive(Clone, Serialize, Deserialize, Stored)]
pub struct Mills(i64);

/// What version 1 had in place of a payment that it had lost.
const LOST_PAYMENT: i32 = -2;

impl From<i32> for Mills {
    fn from(cents: i32) -> Self {
        assert!(cents != LOST_PAYMENT, "a payment of {cents} cents");
        Self(i64::from(cents) * 10)
    }
}

/// What is kept for a user.
#[derive(State)]
pub struct Kept {
    #[slot(version = 2, migrate(1 = i64))]
    total: ValueState<Total>,
    /// What was paid in January.
    #[slot(version = 2, migrate(1 = i64))]
    january: ValueState<Total>,
    #[slot(version = 2, migrate(1 = i32))]
    payments: ListState<Mills>,
    /// How many there were of each kind.
    #[slot(version = 2, migrate(1 = u32))]
    kinds: MapState<i64, u64>,
}

/// What a user waits for.
#[derive(Clone, Copy, Timers)]
pub enum Later {
    /// January is over.
    #[timer(event_time)]
    January,
}

/// A row out for each payment, and for each user at the end of January.
#[derive(OutputRow)]
pub struct Paid<'a> {
    user: &'a str,
    what: &'static str,
    total: i64,
    since: u64,
    of_kind: u64,
    largest: i64,
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
        let state = &mut cx.state;
        let mills = i64::from(payment.cents) * 10;
        let total = state.total.or_insert_with(|| Total { mills: 0, since: 0 });
        (total.mills, total.since) = (total.mills + mills, total.since + 1);
        let Total { mills: total, since } = *total;
        state.payments.push(Mills(mills));
        let of_kind = state.kinds.get(&payment.kind).copied().unwrap_or(0) + 1;
        state.kinds.insert(&payment.kind, of_kind);
        let largest = state.payments.iter().map(|Mills(mills)| mills).max().unwrap_or(0);
        cx.out.push(Paid { user: cx.key, what: "mills", total, since, of_kind, largest });
        Ok(())
    }

    fn timer<'a>(&'a self, _: Later, _: TimestampUtc, cx: &mut Context<'a, Self>) -> Result<(), String> {
        let Total { mills: total, since } = *cx.state.january.get().ok_or("a user without a January")?;
        cx.out.push(Paid { user: cx.key, what: "january", total, since, of_kind: 0, largest: 0 });
        Ok(())
    }
}

stygian_sdk::export!(migrating_keyed Tally);
