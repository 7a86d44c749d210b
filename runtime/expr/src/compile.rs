//! SQL text to a physical expression: parse, check, plan, coerce types, simplify, cast to the one physical type, lower.
//!
//! All of it runs on a thread of its own, whose stack is large enough for the deepest permitted expression: callers may have
//! small ones. A panic of the planner's ends that thread only and is reported as an error.

use crate::check::{self, Mode};
use crate::planners::{Context, OPTIONS};
use crate::{ExprError, diagnose, parse};
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DFSchemaRef, DataFusionError};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::Cast;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{Expr, ExprSchemable};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::aggregate::{LoweredAggregate, LoweredAggregateBuilder};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion_sql::planner::{PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::ast::Expr as SqlExpr;
use std::sync::Arc;

/// Stack of the thread that compiles; only what is touched is ever backed by memory.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// A compiled scalar expression with the type it yields.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) physical: Arc<dyn PhysicalExpr>,
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
}

/// A compiled aggregate, with what it yields as it is and as it shall be.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub(crate) lowered: LoweredAggregate,
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
}

/// Compiles a scalar expression.
pub(crate) fn scalar(sql: &str, input: &SchemaRef) -> Result<Scalar, ExprError> {
    on_large_stack(sql, || Compiler::new(sql, input)?.scalar())
}

/// Compiles one aggregate.
pub(crate) fn aggregate(sql: &str, input: &SchemaRef) -> Result<Lowered, ExprError> {
    on_large_stack(sql, || Compiler::new(sql, input)?.aggregate())
}

/// The one physical type that a computed column of this type has in a stream (see [`stygian_core::ColumnType::arrow`]).
pub(crate) fn stream_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Timestamp(TimeUnit::Microsecond, _) => data_type.clone(),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Date64 => DataType::Date32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Float16 => DataType::Float32,
        DataType::Dictionary(_, values) => stream_type(values),
        other => other.clone(),
    }
}

fn on_large_stack<T: Send>(sql: &str, work: impl FnOnce() -> Result<T, ExprError> + Send) -> Result<T, ExprError> {
    let failed = |message: String| ExprError::Plan { sql: sql.chars().take(200).collect(), message, at: None };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("stygian-compile".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| failed(format!("no thread to compile on: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(failed("the planner failed on this expression; write it in another way".to_owned())))
    })
}

struct Compiler<'a> {
    sql: &'a str,
    input: &'a SchemaRef,
    schema: DFSchemaRef,
    simplifier: ExprSimplifier,
    props: ExecutionProps,
}

impl<'a> Compiler<'a> {
    fn new(sql: &'a str, input: &'a SchemaRef) -> Result<Self, ExprError> {
        let schema = DFSchema::try_from(input.as_ref().clone());
        let schema = schema.map_err(|error| ExprError::Plan { sql: sql.to_owned(), message: error.strip_backtrace(), at: None })?;
        let schema = Arc::new(schema);
        let context = SimplifyContext::builder().with_schema(schema.clone()).with_config_options(OPTIONS.clone()).build();
        let mut props = ExecutionProps::new();
        props.config_options = Some(OPTIONS.clone());
        Ok(Self { sql, input, schema, simplifier: ExprSimplifier::new(context), props })
    }

    fn scalar(&self) -> Result<Scalar, ExprError> {
        let parsed = self.parsed(Mode::Scalar)?;
        let planned = self.told(&parsed, self.plan(&parsed))?;
        self.only_scalars(&planned)?;
        self.told(&parsed, self.lower(planned))
    }

    fn aggregate(&self) -> Result<Lowered, ExprError> {
        let parsed = self.parsed(Mode::Aggregate)?;
        self.told(&parsed, self.lower_aggregate(&parsed))
    }

    /// The syntax tree, in which every name is known.
    fn parsed(&self, mode: Mode) -> Result<SqlExpr, ExprError> {
        let parsed = parse::parse(self.sql)?;
        check::check(self.sql, &parsed, self.input, mode)?;
        Ok(parsed)
    }

    /// Explains what went wrong while compiling all of the text.
    fn told<T>(&self, parsed: &SqlExpr, result: Result<T, DataFusionError>) -> Result<T, ExprError> {
        result.map_err(|error| diagnose::explain(self.sql, parsed, error, &|part| self.type_of(part)))
    }

    fn type_of(&self, part: &SqlExpr) -> Result<DataType, DataFusionError> {
        if check::is_aggregate(part) {
            return Ok(self.lower_aggregate(part)?.data_type);
        }
        Ok(self.lower(self.plan(part)?)?.data_type)
    }

    /// The logical expression with the types coerced.
    fn plan(&self, parsed: &SqlExpr) -> Result<Expr, DataFusionError> {
        let planned = SqlToRel::new(&Context).sql_to_expr(parsed.clone(), &self.schema, &mut PlannerContext::new())?;
        self.simplifier.coerce(planned, &self.schema)
    }

    fn lower_aggregate(&self, parsed: &SqlExpr) -> Result<Lowered, DataFusionError> {
        let mut expr = self.plan(parsed)?.unalias_nested().data;
        if let Expr::AggregateFunction(function) = &mut expr {
            // Not the call itself: its simplification may turn it into something that is no aggregate.
            for arg in &mut function.params.args {
                *arg = self.simplifier.simplify(arg.clone())?;
            }
            if let Some(filter) = function.params.filter.take() {
                function.params.filter = Some(Box::new(self.simplifier.simplify(*filter)?));
            }
        }
        let context = PhysicalPlanningContext::default();
        let builder = LoweredAggregateBuilder::new(&expr, &self.schema, self.input, &self.props, &context);
        let lowered = builder.with_name(self.sql).build()?;
        // Some arguments (the share of a quantile, the type of a sketch) are only looked at here.
        match lowered.aggregate.groups_accumulator_supported() {
            true => drop(lowered.aggregate.create_groups_accumulator()?),
            false => drop(lowered.aggregate.create_accumulator()?),
        }
        let field = lowered.aggregate.field();
        Ok(Lowered { data_type: stream_type(field.data_type()), nullable: field.is_nullable(), lowered })
    }

    /// A second look behind the planner, in case some syntax led it past the check of names.
    fn only_scalars(&self, planned: &Expr) -> Result<(), ExprError> {
        let mut found = None;
        let walked = planned.apply(|expr| {
            #[expect(deprecated)]
            let refused = matches!(
                expr,
                Expr::AggregateFunction(_)
                    | Expr::WindowFunction(_)
                    | Expr::ScalarSubquery(_)
                    | Expr::InSubquery(_)
                    | Expr::Exists(_)
                    | Expr::SetComparison(_)
                    | Expr::Wildcard { .. }
                    | Expr::Placeholder(_)
                    | Expr::ScalarVariable(..)
                    | Expr::Unnest(_)
                    | Expr::GroupingSet(_)
                    | Expr::HigherOrderFunction(_)
                    | Expr::Lambda(_)
            );
            if refused {
                found = Some(expr.to_string());
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        // The walk itself cannot fail.
        walked.map_err(|error| ExprError::evaluate(self.sql, &error))?;
        match found {
            Some(what) => {
                let reason = "an expression computes one row's value from its columns".to_owned();
                Err(ExprError::Refused { sql: self.sql.to_owned(), what, reason, at: None })
            }
            None => Ok(()),
        }
    }

    fn lower(&self, expr: Expr) -> Result<Scalar, DataFusionError> {
        let expr = self.simplifier.simplify(expr)?.unalias_nested().data;
        let found = expr.get_type(self.schema.as_ref())?;
        let wanted = stream_type(&found);
        let expr = if wanted == found { expr } else { Expr::Cast(Cast::new(Box::new(expr), wanted.clone())) };
        let physical = create_physical_expr(&expr, &self.schema, &self.props, &PhysicalPlanningContext::default())?;
        let nullable = physical.nullable(self.input)?;
        Ok(Scalar { physical, data_type: wanted, nullable })
    }
}
