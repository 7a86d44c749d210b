//! How many values there are, their sum and their mean: unlike a minimum, all of them are wrong once a row is added twice or an accumulator
//! merged twice. Some values and sums make it fail, with words that say what it has: only a call with the same accumulators fails with the same.

use serde::Deserialize;
use std::sync::atomic::{AtomicI64, Ordering};
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

/// The pipeline's `config` table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    /// A value that makes `accumulate` panic.
    bad: Option<i64>,
    /// A value that makes it run for ever.
    endless: Option<i64>,
    /// A sum that makes `finish` panic.
    bad_sum: Option<i64>,
    /// Sums up what it has seen in a static, as no plugin may.
    #[serde(default)]
    impure: bool,
}

static SEEN: AtomicI64 = AtomicI64::new(0);

impl Aggregate for Mean {
    type Config = Self;
    type Row<'a> = Event;
    /// Count and sum.
    type Accumulator = (u64, i64);
    type Out = Known;

    fn open(config: Self) -> Result<Self, String> {
        Ok(config)
    }

    fn add(&self, (count, sum): &mut (u64, i64), event: Event) -> Result<(), Reject> {
        if let Some(value) = event.value {
            assert!(self.bad != Some(value), "{value} is bad, after {count} of the sum {sum}");
            while self.endless == Some(value) {
                std::hint::black_box(value);
            }
            *count += 1;
            *sum += if self.impure { SEEN.fetch_add(value, Ordering::Relaxed) } else { value };
        }
        Ok(())
    }

    fn merge(&self, into: &mut (u64, i64), from: (u64, i64)) {
        into.0 += from.0;
        into.1 += from.1;
    }

    #[allow(clippy::cast_precision_loss)] // exact up to 2^53
    fn finish(&self, (count, sum): (u64, i64)) -> Known {
        assert!(self.bad_sum != Some(sum), "the sum {sum} of {count} is bad");
        Known { count, sum: (count > 0).then_some(sum), mean: (count > 0).then(|| sum as f64 / count as f64) }
    }
}

stygian_sdk::export!(aggregate Mean);
