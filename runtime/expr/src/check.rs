//! What an expression may say, checked on the syntax tree where every fault still has a place in the text.
//!
//! After this the planner sees only columns that exist and functions of the allow-list; that they fit together is its to say.

use crate::functions::{self, FUNCTIONS};
use crate::{ExprError, span, suggest};
use arrow_schema::{DataType, Schema};
use datafusion_sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectNamePart, Query, Spanned, Value, Visit, Visitor,
};
use datafusion_sql::sqlparser::tokenizer::Span;
use std::ops::ControlFlow;

/// Whether the text is evaluated row by row or over the rows of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No aggregates.
    Scalar,
    /// Exactly one aggregate, at the top.
    Aggregate,
}

/// Checks every name and construct of `expr`.
pub(crate) fn check(sql: &str, expr: &Expr, schema: &Schema, mode: Mode) -> Result<(), ExprError> {
    if mode == Mode::Aggregate && !is_aggregate_call(expr) {
        check(sql, expr, schema, Mode::Scalar).or_else(|error| match error {
            // `sum(a) / count(*)`: the text is right but for its form.
            ExprError::Refused { ref reason, .. } if *reason == AGGREGATE_HERE => Ok(()),
            other => Err(other),
        })?;
        let reason = "it stands alone, as in `avg(amount)`; compute with it in a `select` behind the window";
        return Err(refused(sql, "anything but one aggregate".to_owned(), reason, expr.span()));
    }
    let mut checker = Checker { sql, schema, aggregates: usize::from(mode == Mode::Aggregate) };
    match expr.visit(&mut checker) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

const AGGREGATE_HERE: &str = "it is an aggregate over many rows; use it in a window's `aggregate`";

fn is_aggregate_call(expr: &Expr) -> bool {
    called(expr).is_some_and(|name| FUNCTIONS.aggregates.contains_key(&name) || functions::refused(&name).is_some())
}

/// Whether an expression is an aggregate, of those there are.
pub(crate) fn is_aggregate(expr: &Expr) -> bool {
    called(expr).is_some_and(|name| FUNCTIONS.aggregates.contains_key(&name))
}

fn called(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => called(inner),
        Expr::Function(function) => name_of(function),
        _ => None,
    }
}

/// The name a function is found by: unquoted ones in lower case, as the planner looks them up.
fn name_of(function: &Function) -> Option<String> {
    match function.name.0.as_slice() {
        [ObjectNamePart::Identifier(Ident { value, quote_style: None, .. })] => Some(value.to_ascii_lowercase()),
        [ObjectNamePart::Identifier(Ident { value, .. })] => Some(value.clone()),
        _ => None,
    }
}

struct Checker<'a> {
    sql: &'a str,
    schema: &'a Schema,
    /// How many aggregate calls may still come.
    aggregates: usize,
}

type Flow = ControlFlow<Box<ExprError>>;

fn refused(sql: &str, what: String, reason: &str, span: Span) -> ExprError {
    ExprError::Refused { sql: sql.to_owned(), what, reason: reason.to_owned(), at: span::bytes(sql, span) }
}

impl Checker<'_> {
    fn refuse(&self, what: &str, reason: &str, span: Span) -> Flow {
        ControlFlow::Break(Box::new(refused(self.sql, what.to_owned(), reason, span)))
    }

    fn column(&self, ident: &Ident) -> Flow {
        if self.schema.column_with_name(&ident.value).is_some() {
            return ControlFlow::Continue(());
        }
        let hint = suggest::hint(&ident.value, "columns", self.schema.fields().iter().map(|field| field.name().as_str()));
        ControlFlow::Break(Box::new(ExprError::UnknownColumn {
            sql: self.sql.to_owned(),
            name: ident.value.clone(),
            hint,
            at: span::bytes(self.sql, ident.span),
        }))
    }

    fn path(&self, idents: &[Ident], span: Span) -> Flow {
        let Some(first) = idents.first() else { return ControlFlow::Continue(()) };
        let joined = idents.iter().map(|ident| ident.value.as_str()).collect::<Vec<_>>().join(".");
        if self.schema.column_with_name(&joined).is_some() {
            let reason = format!("a column whose name has a dot is written in double quotes: \"{joined}\"");
            return self.refuse(&format!("`{joined}`"), &reason, span);
        }
        self.column(first)?;
        match self.schema.field_with_name(&first.value).map(arrow_schema::Field::data_type) {
            Ok(DataType::Struct(_)) => ControlFlow::Continue(()),
            _ => self.refuse(&format!("`{joined}`"), &format!("column `{}` has no fields", first.value), span),
        }
    }

    fn function(&mut self, function: &Function) -> Flow {
        let span = function.name.span();
        let Some(name) = name_of(function) else {
            return self.refuse(&format!("`{}`", function.name), "functions have one plain name", span);
        };
        let shown = format!("`{name}`");
        // The parser takes some plain names (`user`, `current_date`) for functions without brackets.
        if function.args == FunctionArguments::None && self.schema.column_with_name(&name).is_some() {
            return ControlFlow::Continue(());
        }
        if let Some(reason) = functions::refused(&name) {
            return self.refuse(&shown, reason, span);
        }
        if function.over.is_some() {
            return self.refuse("`over`", "windows over rows do not exist in expressions; use a window operator", span);
        }
        if let FunctionArguments::None = function.args {
            return self.refuse(&shown, "a function is called with brackets", span);
        }
        if FUNCTIONS.aggregates.contains_key(&name) {
            return self.aggregate(function, &shown, span);
        }
        if has_wildcard(function) {
            return self.refuse("`*`", "only `count(*)` counts rows", span);
        }
        if FUNCTIONS.scalars.contains_key(&name) {
            return ControlFlow::Continue(());
        }
        let known = FUNCTIONS.scalars.keys().chain(FUNCTIONS.aggregates.keys().filter(|_| self.aggregates > 0));
        let hint = suggest::hint(&name, "functions", known.map(String::as_str));
        ControlFlow::Break(Box::new(ExprError::UnknownFunction { sql: self.sql.to_owned(), name, hint, at: span::bytes(self.sql, span) }))
    }

    fn aggregate(&mut self, function: &Function, shown: &str, span: Span) -> Flow {
        if self.aggregates == 0 {
            return self.refuse(shown, AGGREGATE_HERE, span);
        }
        self.aggregates -= 1;
        if has_wildcard(function) && shown != "`count`" {
            return self.refuse("`*`", "only `count(*)` counts rows", span);
        }
        if let FunctionArguments::List(list) = &function.args
            && !list.clauses.is_empty()
        {
            return self.refuse("`order by` and the like", "an aggregate does not depend on the order of its rows", span);
        }
        ControlFlow::Continue(())
    }
}

fn has_wildcard(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    list.args.iter().any(|arg| {
        let (FunctionArg::Unnamed(arg) | FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. }) = arg;
        !matches!(arg, FunctionArgExpr::Expr(_))
    })
}

impl Visitor for Checker<'_> {
    type Break = Box<ExprError>;

    fn pre_visit_query(&mut self, query: &Query) -> Flow {
        self.refuse("a sub-query", "an expression sees one row of one stream", query.span())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Flow {
        match expr {
            Expr::Identifier(ident) if ident.value.starts_with('@') && ident.quote_style.is_none() => {
                self.refuse(&format!("`{}`", ident.value), "there are no variables", ident.span)
            }
            Expr::Identifier(ident) => self.column(ident),
            Expr::CompoundIdentifier(idents) => self.path(idents, expr.span()),
            Expr::Function(function) => self.function(function),
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                self.refuse("a sub-query", "an expression sees one row of one stream", expr.span())
            }
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => {
                self.refuse("`*`", "an expression makes one column; only `count(*)` counts rows", expr.span())
            }
            Expr::Lambda(_) => self.refuse("`->`", "there are no lambda functions", expr.span()),
            Expr::Array(_) | Expr::Tuple(_) | Expr::Struct { .. } | Expr::Dictionary(_) | Expr::Map(_) | Expr::Named { .. } => {
                self.refuse("a list, struct or map", "an expression makes plain values", expr.span())
            }
            Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) | Expr::MatchAgainst { .. } | Expr::JsonAccess { .. } => {
                self.refuse("this syntax", "expressions do not have it", expr.span())
            }
            Expr::Value(value) => match &value.value {
                Value::Placeholder(text) => self.refuse(&format!("`{text}`"), "there are no parameters; write the value", value.span),
                _ => ControlFlow::Continue(()),
            },
            _ => ControlFlow::Continue(()),
        }
    }
}
