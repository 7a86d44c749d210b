//! How many values there are, their sum and their mean: unlike a minimum, all of them are wrong once a row is added twice or an accumulator
//! merged twice.

use stygian_sdk::prelude::*;

/// The column that is read.
#[derive(Row)]
pub struct Event {
    value: Option<i64>,
}

/// The result; sum and mean are null where there was no value.
#[derive(OutputRow)]
pub struct Known {
    count: u64,
    sum: Option<i64>,
    mean: Option<f64>,
}

/// The aggregate.
pub struct Mean;

impl Aggregate for Mean {
    type Config = NoConfig;
    type Row<'a> = Event;
    /// Count and sum.
    type Accumulator = (u64, i64);
    type Out = Known;

    fn open(_config: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn add(&self, (count, sum): &mut (u64, i64), event: Event) -> Result<(), Reject> {
        if let Some(value) = event.value {
            *count += 1;
            *sum += value;
        }
        Ok(())
    }

    fn merge(&self, into: &mut (u64, i64), from: (u64, i64)) {
        into.0 += from.0;
        into.1 += from.1;
    }

    #[allow(clippy::cast_precision_loss)] // exact up to 2^53
    fn finish(&self, (count, sum): (u64, i64)) -> Known {
        Known { count, sum: (count > 0).then_some(sum), mean: (count > 0).then(|| sum as f64 / count as f64) }
    }
}

stygian_sdk::export!(aggregate Mean);
