//! What DataFusion's SQL planner asks for: functions by name, and the meaning of types and of syntax that stands for a function.
//!
//! There are no tables, variables, window functions or lambdas. A type may be written as SQL has it or as pipeline files have it
//! (`timestamp_utc`, `int64`, `text`); `int8` is a byte, as in pipeline files, not PostgreSQL's eight bytes.

use crate::functions::FUNCTIONS;
use arrow_schema::{DataType, Field, FieldRef, TimeUnit};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, Result, ScalarValue, TableReference, not_impl_err, plan_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::{
    ContextProvider, ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawFieldAccessExpr, TypePlanner,
};
use datafusion_expr::{AggregateUDF, Expr, GetFieldAccess, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion_functions_aggregate::planner::AggregateFunctionPlanner;
use datafusion_sql::sqlparser::ast::{BinaryOperator, DataType as SqlType, TimezoneInfo};
use std::sync::{Arc, LazyLock};
use stygian_core::ColumnType;

/// The options every expression is planned and evaluated with.
pub(crate) static OPTIONS: LazyLock<Arc<ConfigOptions>> = LazyLock::new(|| {
    let mut options = ConfigOptions::default();
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    Arc::new(options)
});

static PLANNERS: LazyLock<[Arc<dyn ExprPlanner>; 2]> = LazyLock::new(|| [Arc::new(Syntax), Arc::new(AggregateFunctionPlanner)]);

/// The functions of the allow-list and nothing else.
pub(crate) struct Context;

impl ContextProvider for Context {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        plan_err!("there is no table `{name}` in an expression")
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        PLANNERS.as_slice()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        FUNCTIONS.scalars.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        FUNCTIONS.aggregates.get(name).cloned()
    }

    fn get_window_meta(&self, _: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &OPTIONS
    }

    fn udf_names(&self) -> Vec<String> {
        FUNCTIONS.scalars.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        FUNCTIONS.aggregates.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Syntax that stands for a function of the allow-list.
#[derive(Debug)]
struct Syntax;

fn call<T>(name: &str, args: Vec<Expr>) -> Result<PlannerResult<T>> {
    match FUNCTIONS.scalars.get(name) {
        Some(function) => Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function.clone(), args)))),
        None => not_impl_err!("`{name}` is not available"),
    }
}

impl ExprPlanner for Syntax {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        let function = ScalarFunction::new_udf(FUNCTIONS.concat_operator.clone(), vec![expr.left, expr.right]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(function)))
    }

    fn plan_field_access(&self, expr: RawFieldAccessExpr, _: &DFSchema) -> Result<PlannerResult<RawFieldAccessExpr>> {
        match expr.field_access {
            GetFieldAccess::NamedStructField { name } => call("get_field", vec![expr.expr, Expr::Literal(name, None)]),
            _ => Ok(PlannerResult::Original(expr)),
        }
    }

    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let mut expr = Expr::from((qualifier, &Arc::new(field.clone())));
        for name in nested {
            match call::<()>("get_field", vec![expr, Expr::Literal(ScalarValue::from(name.as_str()), None)])? {
                PlannerResult::Planned(field) => expr = field,
                PlannerResult::Original(()) => return not_impl_err!("fields of structs are not available"),
            }
        }
        Ok(PlannerResult::Planned(expr))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call("date_part", args)
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call("strpos", args)
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call("substr", args)
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call("overlay", args)
    }

    fn plan_aggregate(&self, expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        Ok(PlannerResult::Original(expr))
    }
}

/// Types by the names of pipeline files, and SQL's timestamps in microseconds.
#[derive(Debug)]
struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql: &SqlType) -> Result<Option<FieldRef>> {
        let planned = match sql {
            SqlType::Timestamp(None | Some(6), zone) => {
                let zoned = matches!(zone, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone);
                Some(DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into())))
            }
            other => other.to_string().to_lowercase().parse::<ColumnType>().ok().map(ColumnType::arrow),
        };
        Ok(planned.map(|planned| Arc::new(Field::new("", planned, true))))
    }
}
