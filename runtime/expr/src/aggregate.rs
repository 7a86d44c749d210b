//! One aggregate function over the rows of a window, compiled once: `avg(amount)`, `count(*)`, `sum(price * quantity)`,
//! `count(distinct user)`, `quantile(delay, 0.95)`, `count(*) filter (where kind = 'click')`.
//!
//! Meaning is DataFusion's: `sum` of integers is 64 bits wide and wraps around on overflow, `avg` of integers is a float, nulls
//! are left out, an aggregate of nothing is null (a count is 0). Those whose names begin with `approx` may differ with the order and
//! the batches of the rows; all others do not but for the rounding of floats. An aggregate can also be a user's own, see
//! [`crate::ExternalFunction`].

use crate::compile::{self, Lowered};
use crate::external::ExternalAccumulator;
use crate::{ExprError, ExternalAccumulators, ExternalFunction, expression};
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use datafusion_common::DataFusionError;
use datafusion_expr::{EmitTo, GroupsAccumulator};
use datafusion_physical_expr::aggregate::AggregateFunctionExpr;
use datafusion_physical_expr::expressions::Column;
use datafusion_physical_expr::utils::collect_columns;
use datafusion_physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr};
use std::fmt;
use std::sync::Arc;

/// A compiled aggregate over the columns of one schema. Cheap to clone; shared between threads; holds no rows.
#[derive(Clone)]
pub struct Aggregate {
    sql: Arc<str>,
    input: SchemaRef,
    function: Function,
    arguments: Arc<[Arc<dyn PhysicalExpr>]>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    data_type: DataType,
    nullable: bool,
}

#[derive(Clone)]
enum Function {
    Native(Arc<AggregateFunctionExpr>),
    External(Arc<dyn ExternalFunction>),
}

impl fmt::Debug for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aggregate").field("sql", &self.sql).field("data_type", &self.data_type).finish_non_exhaustive()
    }
}

impl Aggregate {
    /// Compiles `sql` for rows of `input`.
    ///
    /// # Errors
    /// When the text is not one aggregate, names what there is not, or says what is refused.
    pub fn compile(sql: &str, input: &SchemaRef) -> Result<Self, ExprError> {
        let Lowered { lowered, data_type, nullable } = compile::aggregate(sql, input)?;
        Ok(Self {
            sql: sql.into(),
            input: input.clone(),
            arguments: lowered.aggregate.expressions().into(),
            function: Function::Native(lowered.aggregate),
            filter: lowered.filter,
            data_type,
            nullable,
        })
    }

    /// A user-defined aggregate over these columns of `input`; `name` is for messages.
    pub fn external(name: &str, input: &SchemaRef, columns: &[usize], function: Arc<dyn ExternalFunction>) -> Self {
        let argument = |index: &usize| Arc::new(Column::new(input.field(*index).name(), *index)) as Arc<dyn PhysicalExpr>;
        Self {
            sql: name.into(),
            input: input.clone(),
            arguments: columns.iter().map(argument).collect(),
            filter: None,
            data_type: DataType::Struct(function.results().clone()),
            nullable: false,
            function: Function::External(function),
        }
    }

    /// Whether it is a user-defined one. Its result is a struct with a field for each column.
    pub fn is_external(&self) -> bool {
        matches!(self.function, Function::External(_))
    }

    /// What the accumulators of a user-defined one are.
    pub fn accumulators(&self) -> Option<&ExternalAccumulators> {
        self.external_function().map(|function| function.accumulators())
    }

    pub(crate) fn external_function(&self) -> Option<&Arc<dyn ExternalFunction>> {
        match &self.function {
            Function::External(function) => Some(function),
            Function::Native(_) => None,
        }
    }

    /// The text it was compiled from.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// What it yields.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Whether it can yield null.
    pub fn nullable(&self) -> bool {
        self.nullable
    }

    /// The input columns it reads, ascending and each once.
    pub fn columns(&self) -> Vec<usize> {
        let read = self.arguments.iter().chain(&self.filter).flat_map(collect_columns);
        let mut columns: Vec<usize> = read.map(|column: Column| column.index()).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The schema it was compiled for.
    pub(crate) fn input(&self) -> &SchemaRef {
        &self.input
    }

    /// Its arguments for every row, and which rows count.
    pub(crate) fn arguments(&self, rows: &RecordBatch) -> Result<Arguments, ExprError> {
        expression::check_rows(&self.input, rows)?;
        let evaluate = |expr: &Arc<dyn PhysicalExpr>| expression::evaluate(&self.sql, expr, rows);
        let values = self.arguments.iter().map(evaluate).collect::<Result<_, _>>()?;
        let filter = self.filter.as_ref().map(evaluate).transpose()?.map(|mask| mask.as_boolean().clone());
        Ok(Arguments { values, filter })
    }

    /// A new set of accumulators, one for each group.
    pub(crate) fn accumulator(&self) -> Result<Box<dyn GroupsAccumulator>, DataFusionError> {
        match &self.function {
            Function::External(function) => Ok(Box::new(ExternalAccumulator::new(function.clone()))),
            Function::Native(function) if function.groups_accumulator_supported() => function.create_groups_accumulator(),
            Function::Native(function) => {
                let function = function.clone();
                Ok(Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator())))
            }
        }
    }

    /// The columns of an accumulator's state: those of one that has seen nothing. What functions announce is not always what they give
    /// (`bit_or(distinct n)` announces a list).
    pub(crate) fn state_types(&self) -> Result<Vec<DataType>, ExprError> {
        let arguments = self.arguments(&RecordBatch::new_empty(self.input.clone()))?;
        let state = || {
            let mut accumulator = self.accumulator()?;
            accumulator.update_batch(&arguments.values, &[], arguments.filter.as_ref(), 1)?;
            accumulator.state(EmitTo::All)
        };
        let state = state().map_err(|error| self.failed(&error))?;
        Ok(state.iter().map(|column| column.data_type().clone()).collect())
    }

    pub(crate) fn failed(&self, error: &DataFusionError) -> ExprError {
        ExprError::evaluate(&self.sql, error)
    }
}

/// The arguments of one aggregate for the rows of a batch.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) values: Vec<ArrayRef>,
    pub(crate) filter: Option<BooleanArray>,
}
