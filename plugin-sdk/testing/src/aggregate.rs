//! An aggregate under a configuration, tried on rows that are split and merged as the host may do it.

use crate::columns;
use crate::error::TestError;
use crate::harness::{Harness, object};
use crate::keyed_host::states;
use serde_json::{Map as Object, Value};
use std::fmt;
use std::marker::PhantomData;
use stygian_sdk::contract::{Description, OutputShape, SlotStates};
use stygian_sdk::{Aggregate, AggregateOperator, Input};

type Row = Object<String, Value>;

/// How far results of other ways to split the rows may be off, in parts of the result: sums of floating-point numbers depend on their order.
const TOLERANCE: f64 = 1e-9;

/// Runs an aggregate as the host does.
pub struct AggregateHarness<A> {
    config: String,
    description: Description,
    aggregate: PhantomData<fn() -> A>,
}

impl<A> fmt::Debug for AggregateHarness<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateHarness").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Harness<()> {
    /// An aggregate under a configuration.
    #[allow(clippy::needless_pass_by_value)] // so that `json!({...})` reads well
    pub fn aggregate<A: Aggregate>(config: Value) -> Result<AggregateHarness<A>, TestError> {
        let config = config.to_string();
        let description = AggregateOperator::<A>::describe("tested", "0.0.0", &config).map_err(TestError::Config)?;
        Ok(AggregateHarness { config, description, aggregate: PhantomData })
    }
}

impl<A: Aggregate> AggregateHarness<A> {
    /// What the aggregate says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The result of these rows. It is computed in many ways, at once, row by row, and in two parts that are merged, which must agree.
    pub fn result(&self, rows: impl IntoIterator<Item = Value>) -> Result<Value, TestError> {
        let rows = rows.into_iter().enumerate().map(object).collect::<Result<Vec<_>, _>>()?;
        let whole = self.finish(&self.add(&states(&[None]), &rows)?)?;
        let one_by_one = rows.chunks(1).try_fold(states(&[None]), |accumulator, row| self.add(&accumulator, row))?;
        self.agree(&whole, &one_by_one, "when rows come one at a time")?;
        for at in 0..=rows.len() {
            let (first, second) = rows.split_at(at);
            let (first, second) = (self.add(&states(&[None]), first)?, self.add(&states(&[None]), second)?);
            self.agree(&whole, &self.merge(&first, &second)?, "when parts are merged")?;
            self.agree(&whole, &self.merge(&second, &first)?, "when parts are merged the other way round")?;
        }
        Ok(whole)
    }

    /// On an instance of its own: nothing may be kept.
    fn open(&self) -> Result<AggregateOperator<A>, TestError> {
        AggregateOperator::open(&self.config).map_err(TestError::Config)
    }

    fn add(&self, accumulators: &SlotStates, rows: &[Row]) -> Result<SlotStates, TestError> {
        let batch = columns::batch(&AggregateOperator::<A>::input(), rows)?;
        self.open()?.accumulate(accumulators, Input::checked(&batch), &vec![0; rows.len()]).map_err(TestError::Failed)
    }

    fn merge(&self, into: &SlotStates, from: &SlotStates) -> Result<SlotStates, TestError> {
        self.open()?.merge(into, from).map_err(TestError::Failed)
    }

    fn finish(&self, accumulators: &SlotStates) -> Result<Value, TestError> {
        let batch = self.open()?.finish(accumulators).map_err(TestError::Failed)?;
        let Some(OutputShape::Own(fields)) = self.description.outputs.first().map(|output| &output.shape) else {
            return Err(TestError::Contract("an aggregate has one output with columns of its own".to_owned()));
        };
        match columns::rows(fields, &batch).map_err(TestError::Contract)?.as_slice() {
            [row] => Ok(Value::Object(row.clone())),
            rows => Err(TestError::Contract(format!("{} results of one accumulator", rows.len()))),
        }
    }

    fn agree(&self, whole: &Value, parts: &SlotStates, when: &'static str) -> Result<(), TestError> {
        if alike(whole, &self.finish(parts)?) { Ok(()) } else { Err(TestError::Impure { when }) }
    }
}

fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|((name, one), (same, other))| name == same && alike(one, other))
        }
        (Value::Number(one), Value::Number(other)) if one != other => match (one.as_f64(), other.as_f64()) {
            (Some(one), Some(other)) => (one - other).abs() <= TOLERANCE * one.abs().max(other.abs()),
            _ => false,
        },
        _ => one == other,
    }
}
