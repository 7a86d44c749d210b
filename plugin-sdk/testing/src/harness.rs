//! An operator under a configuration, ready to be run.

use crate::columns;
use crate::error::TestError;
use crate::host::Recorder;
use crate::run::Run;
use serde_json::{Map as Object, Value};
use std::fmt;
use std::marker::PhantomData;
use stygian_sdk::contract::Description;
use stygian_sdk::{Filter, FilterOperator, FlatMap, FlatMapOperator, Input, Map, MapOperator, Operator, describe, log, open};

/// Runs an operator as the host does.
pub struct Harness<O> {
    config: String,
    description: Description,
    operator: PhantomData<fn() -> O>,
}

// Derived, it would ask the same of the operator, which tests have no use for.
impl<O> fmt::Debug for Harness<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Harness<()> {
    /// A filter under a configuration.
    pub fn filter<F: Filter>(config: Value) -> Result<Harness<FilterOperator<F>>, TestError> {
        Harness::new(config)
    }

    /// A map under a configuration.
    pub fn map<M: Map>(config: Value) -> Result<Harness<MapOperator<M>>, TestError> {
        Harness::new(config)
    }

    /// A flat-map under a configuration.
    pub fn flat_map<F: FlatMap>(config: Value) -> Result<Harness<FlatMapOperator<F>>, TestError> {
        Harness::new(config)
    }
}

impl<O: Operator> Harness<O> {
    /// An operator under a configuration.
    #[allow(clippy::needless_pass_by_value)] // so that `json!({...})` reads well
    pub fn new(config: Value) -> Result<Self, TestError> {
        let config = config.to_string();
        let description = describe::<O>("tested", "0.0.0", &config).map_err(TestError::Config)?;
        Ok(Self { config, description, operator: PhantomData })
    }

    /// What the operator says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What comes of these rows.
    pub fn run(&self, rows: impl IntoIterator<Item = Value>) -> Result<Run, TestError> {
        let rows = rows.into_iter().enumerate().map(object).collect::<Result<Vec<_>, _>>()?;
        let used = self.open()?;
        let run = self.call(&used, &rows)?;
        if !self.call(&used, &rows)?.same_rows(&run) {
            return Err(TestError::Impure { when: "on an instance that was used before" });
        }
        if !self.row_by_row(&rows)?.same_rows(&run) {
            return Err(TestError::Impure { when: "when rows come one at a time" });
        }
        Ok(run)
    }

    fn open(&self) -> Result<O, TestError> {
        open(&self.config).map_err(TestError::Config)
    }

    fn row_by_row(&self, rows: &[Object<String, Value>]) -> Result<Run, TestError> {
        let operator = self.open()?;
        let mut all = self.call(&operator, &[])?;
        for (at, row) in rows.iter().enumerate() {
            all.append(self.call(&operator, std::slice::from_ref(row))?, at);
        }
        Ok(all)
    }

    fn call(&self, operator: &O, rows: &[Object<String, Value>]) -> Result<Run, TestError> {
        let batch = columns::batch(&O::input(), rows)?;
        let mut host = Recorder::new(&self.description.outputs, rows);
        let (result, logs) = log::capture(|| operator.process(Input::checked(&batch), &mut host));
        result.map_err(TestError::Failed)?;
        host.finish(logs)
    }
}

/// A row of a test.
pub(crate) fn object((row, value): (usize, Value)) -> Result<Object<String, Value>, TestError> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(TestError::Row { row, problem: format!("`{other}` is not an object of columns") }),
    }
}
