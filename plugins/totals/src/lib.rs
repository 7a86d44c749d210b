//! Adds running totals to each row: how many rows of its key there were so far, and the sum of their amounts.

use stygian_sdk::prelude::*;

/// The columns that are read.
#[derive(Row)]
pub struct Event {
    amount: Option<f64>,
}

/// What is kept for a key.
#[derive(State)]
pub struct Sums {
    count: ValueState<u64>,
    sum: ValueState<f64>,
}

/// The columns that are added.
#[derive(OutputRow)]
pub struct Running {
    count: u64,
    sum: f64,
}

/// The operator.
pub struct Totals;

impl Keyed for Totals {
    type Config = NoConfig;
    type Key<'a> = &'a str;
    type Row<'a> = Event;
    type State = Sums;
    type Timers = NoTimers;
    type Outputs<'a> = ExtendedOutput<Running>;

    fn open(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn row<'a>(&'a self, event: Event, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        let amount = event.amount.ok_or("amount is absent")?;
        let (count, sum) = (cx.state.count.or_default(), cx.state.sum.or_default());
        *count += 1;
        *sum += amount;
        cx.out.push(Running { count: *count, sum: *sum });
        Ok(())
    }
}

stygian_sdk::export!(keyed Totals);

#[cfg(test)]
mod tests {
    use super::*;
    use stygian_testing::{Harness, json, rows};

    #[test]
    fn counts_and_sums_by_key_and_leaves_refused_rows_out() {
        let run = Harness::keyed::<Totals>(json!({}), &["user"]).unwrap().run(rows![
            { "user": "ann", "amount": 1.5, "at": 1 },
            { "user": "bob", "amount": 2.0, "at": 2 },
            { "user": "ann", "amount": null, "at": 3 },
            { "user": "ann", "amount": 3.0, "at": 4 },
        ]);
        let expected = rows![
            { "user": "ann", "amount": 1.5, "at": 1, "count": 1, "sum": 1.5 },
            { "user": "bob", "amount": 2.0, "at": 2, "count": 1, "sum": 2.0 },
            { "user": "ann", "amount": 3.0, "at": 4, "count": 2, "sum": 4.5 },
        ];
        let run = run.unwrap();
        assert_eq!(run.main(), expected);
        assert_eq!(run.dead_reasons(), [(2, "amount is absent")]);
        assert_eq!(run.values, 4);
    }
}
