//! An aggregate: how far the values of a group lie apart, which is the largest less the smallest.

use serde::{Deserialize, Serialize};
use stygian_sdk::prelude::*;

/// The column that is read.
#[derive(Row)]
pub struct Event {
    amount: Option<f64>,
}

/// Smallest and largest value so far.
#[derive(Stored, Serialize, Deserialize)]
pub struct Range {
    least: f64,
    most: f64,
}

impl Default for Range {
    fn default() -> Self {
        Self { least: f64::INFINITY, most: f64::NEG_INFINITY }
    }
}

/// The result; null where there was no value.
#[derive(OutputRow)]
pub struct Apart {
    spread: Option<f64>,
}

/// The aggregate.
pub struct Spread;

impl Aggregate for Spread {
    type Config = NoConfig;
    type Row<'a> = Event;
    type Accumulator = Range;
    type Out = Apart;

    fn open(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn add(&self, range: &mut Range, event: Event) -> Result<(), Reject> {
        let amount = event.amount.filter(|amount| !amount.is_nan());
        amount.into_iter().for_each(|amount| self.merge(range, Range { least: amount, most: amount }));
        Ok(())
    }

    fn merge(&self, into: &mut Range, from: Range) {
        (into.least, into.most) = (into.least.min(from.least), into.most.max(from.most));
    }

    fn finish(&self, range: Range) -> Apart {
        Apart { spread: (range.least <= range.most).then_some(range.most - range.least) }
    }
}

stygian_sdk::export!(aggregate Spread);

#[cfg(test)]
mod tests {
    use super::*;
    use stygian_testing::{Harness, json, rows};

    #[test]
    fn is_the_largest_less_the_smallest_and_null_without_values() {
        let spread = Harness::aggregate::<Spread>(json!({})).unwrap();
        let rows = rows![{ "amount": 2.5 }, { "amount": -1.0 }, { "amount": null }, { "amount": "NaN" }, { "amount": 0.0 }];
        assert_eq!(spread.result(rows).unwrap(), json!({ "spread": 3.5 }));
        assert_eq!(spread.result(rows![{ "amount": 7.0 }]).unwrap(), json!({ "spread": 0.0 }));
        assert_eq!(spread.result(rows![{ "amount": null }]).unwrap(), json!({ "spread": null }));
        assert_eq!(spread.result([]).unwrap(), json!({ "spread": null }));
    }
}
