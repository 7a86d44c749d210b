//! Each kind of operator: what it needs of its inputs, and what it puts out.

use crate::aggregate;
use crate::columns;
use crate::logical::{Graph, Input, error_text, time_hint};
use crate::plan::{NodeKind, PlanOutput};
use crate::plugin;
use crate::top;
use arrow_schema::{Field, Schema, SchemaRef};
use std::sync::Arc;
use stygian_api::suggest;
use stygian_core::{KeyHasher, StreamKind, StreamSchema};
use stygian_expr::{DedupSpec, ExprError, Expression, Predicate, WindowAggregatorSpec, WindowKind, WindowSpec};
use stygian_pipeline::{
    DedupUse, LATE, Literal, NamedSql, OTHER, OperatorKind, OperatorNode, SelectUse, Spanned, WindowShape, WindowTime, WindowUse,
};

/// An operator without problems.
pub(crate) struct Checked {
    pub(crate) kind: NodeKind,
    /// Without dead letters.
    pub(crate) outputs: Vec<PlanOutput>,
    /// The columns its rows are spread by.
    pub(crate) key: Option<Vec<usize>>,
}

/// Checks an operator; `None` when it has problems, which are then told.
pub(crate) fn check<'a>(graph: &mut Graph<'a>, node: &'a OperatorNode, inputs: &[Input<'a>]) -> Option<Checked> {
    let input = inputs.first()?;
    match &node.kind {
        OperatorKind::Plugin(plugin) => plugin::check(graph, node, plugin, input),
        OperatorKind::Union => union(graph, inputs),
        other => {
            if input.schema.kind() == StreamKind::Changelog {
                let message = format!("`{}` is a changelog, whose rows only plugins, unions and sinks can read", input.reference);
                graph.problem(input.reference.at.clone(), message, "an update or delete would lose its meaning here");
                return None;
            }
            match other {
                OperatorKind::Filter(sql) => filter(graph, sql, input),
                OperatorKind::Select(select) => self::select(graph, select, input),
                OperatorKind::Branch(branches) => branch(graph, branches, input),
                OperatorKind::Window(window) => self::window(graph, node, window, input),
                OperatorKind::Dedup(dedup) => self::dedup(graph, dedup, input),
                OperatorKind::Top(top) => top::check(graph, top, input),
                OperatorKind::Plugin(_) | OperatorKind::Union => None,
            }
        }
    }
}

pub(crate) fn main_output(schema: StreamSchema) -> PlanOutput {
    PlanOutput { name: None, schema }
}

pub(crate) fn told<T>(graph: &mut Graph<'_>, sql: &Literal, result: Result<T, ExprError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let at = error.at().map_or_else(|| sql.at.clone(), |part| sql.part(part));
            graph.problem(at, error.to_string(), "");
            None
        }
    }
}

/// All or nothing, but looks at all.
fn every<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    items.collect::<Vec<_>>().into_iter().collect()
}

fn filter(graph: &mut Graph<'_>, sql: &Literal, input: &Input<'_>) -> Option<Checked> {
    let predicate = told(graph, sql, Predicate::compile(&sql.text, input.schema.columns()))?;
    Some(Checked { kind: NodeKind::Filter(predicate), outputs: vec![main_output(input.schema.clone())], key: None })
}

fn branch(graph: &mut Graph<'_>, branches: &[NamedSql], input: &Input<'_>) -> Option<Checked> {
    let mut compile = |branch: &NamedSql| {
        let predicate = told(graph, &branch.sql, Predicate::compile(&branch.sql.text, input.schema.columns()))?;
        Some((branch.name.get_ref().clone(), predicate))
    };
    let branches = every(branches.iter().map(&mut compile))?;
    let names = branches.iter().map(|(name, _)| name.clone()).chain([OTHER.to_owned()]);
    let outputs = names.map(|name| PlanOutput { name: Some(name), schema: input.schema.clone() }).collect();
    Some(Checked { kind: NodeKind::Branch(branches), outputs, key: None })
}

fn select(graph: &mut Graph<'_>, select: &SelectUse, input: &Input<'_>) -> Option<Checked> {
    let mut compile = |column: &NamedSql| {
        let expression = told(graph, &column.sql, Expression::compile(&column.sql.text, input.schema.columns()))?;
        Some((column.name.get_ref().clone(), expression))
    };
    let expressions = every(select.columns.iter().map(&mut compile))?;
    let fields = expressions.iter().map(|(name, e)| Field::new(name, e.data_type().clone(), e.nullable()));
    let schema = StreamSchema::append(Arc::new(Schema::new(fields.collect::<Vec<_>>())));
    let schema = match &select.event_time {
        Some(time) => {
            if input.schema.event_time().is_none() {
                let message = format!("`{}` has no event time, so there are no watermarks to go with this one", input.reference);
                graph.problem(time.span(), message, "name the event time at the source");
                return None;
            }
            match schema.with_event_time(time.get_ref()) {
                Ok(schema) => schema,
                Err(error) => {
                    let hint = time_hint(&error, &[]);
                    graph.problem(time.span(), error_text(&error), hint);
                    return None;
                }
            }
        }
        None => keep_event_time(schema, &expressions, input),
    };
    Some(Checked { kind: NodeKind::Select(expressions), outputs: vec![main_output(schema)], key: None })
}

/// The input's event time stays one if it is selected as it is, under whatever name; under its own first.
fn keep_event_time(schema: StreamSchema, expressions: &[(String, Expression)], input: &Input<'_>) -> StreamSchema {
    let Some(time) = input.schema.event_time_name() else { return schema };
    let kept = expressions.iter().find(|(name, expression)| name == time && expression.column_name() == Some(time));
    match kept {
        Some((name, _)) => schema.clone().with_event_time(name).unwrap_or(schema),
        None => schema,
    }
}

fn union(graph: &mut Graph<'_>, inputs: &[Input<'_>]) -> Option<Checked> {
    let (first, rest) = inputs.split_first()?;
    let mut good = true;
    for input in rest {
        let reason = columns::difference(first.schema.columns(), input.schema.columns());
        let kinds = (first.schema.kind(), input.schema.kind());
        let reason = reason.or_else(|| (kinds.0 != kinds.1).then(|| format!("it is {} instead of {}", kinds.1, kinds.0)));
        if let Some(reason) = reason {
            let message = format!("`{}` cannot be joined to `{}`: {reason}", input.reference, first.reference);
            graph.problem(input.reference.at.clone(), message, "bring both to the same columns with a `select` before the union");
            good = false;
        }
    }
    if !good {
        return None;
    }
    let schema = StreamSchema::append(nullable_where_any_is(inputs)).with_kind(first.schema.kind());
    let schema = match first.schema.event_time_name() {
        Some(time) if rest.iter().all(|input| input.schema.event_time_name() == Some(time)) => {
            schema.clone().with_event_time(time).unwrap_or(schema)
        }
        None if rest.iter().all(|input| input.schema.event_time().is_none()) => schema,
        _ => {
            let message = "the inputs of this union have different event times, so it has none";
            graph.warning(first.reference.at.clone(), message, "name the same column as `event_time` of all");
            schema
        }
    };
    Some(Checked { kind: NodeKind::Union, outputs: vec![main_output(schema)], key: None })
}

fn nullable_where_any_is(inputs: &[Input<'_>]) -> SchemaRef {
    let Some(first) = inputs.first() else { return Arc::new(Schema::empty()) };
    let nullable = |index: usize| inputs.iter().any(|input| input.schema.columns().field(index).is_nullable());
    let fields = first.schema.columns().fields().iter().enumerate();
    Arc::new(Schema::new(fields.map(|(index, field)| field.as_ref().clone().with_nullable(nullable(index))).collect::<Vec<_>>()))
}

fn window(graph: &mut Graph<'_>, node: &OperatorNode, window: &WindowUse, input: &Input<'_>) -> Option<Checked> {
    let schema = input.schema.columns();
    let by_event = window.windows.time == WindowTime::Event;
    let event_time = input.schema.event_time().filter(|_| by_event);
    if by_event && event_time.is_none() {
        let message = format!("windows need an event time, and `{}` has none", input.reference);
        let hint = "name its column as `event_time` of the source, and keep it under its name in every `select` on the \
                    way; or write `time = \"processing\"` for windows of the time at which rows come by";
        graph.problem(window.windows_at.clone(), message, hint);
    }
    let keys = key_columns(graph, &window.key_by, schema, "window");
    let aggregates = every(window.aggregates.iter().map(|named| aggregate::check(graph, node.name.get_ref(), named, input)));
    let (keys, aggregates) = (keys?, aggregates?);
    let spec = WindowAggregatorSpec {
        window: window_spec(window.windows.shape),
        keys: keys.clone(),
        event_time: if by_event { Some(event_time?) } else { None },
        allowed_lateness: window.windows.allowed_lateness.micros(),
        early: window.windows.early.is_some(),
        aggregates,
        input: schema.clone(),
    };
    if let Err(error) = spec.check() {
        graph.problem(window.windows_at.clone(), error.to_string(), "");
        return None;
    }
    let result = StreamSchema::append(spec.output_schema());
    // Times of processing say nothing of the watermarks, which are of event time.
    let result = if by_event { result.clone().with_event_time(WINDOW_TIME).unwrap_or(result) } else { result };
    let outputs = vec![main_output(result), PlanOutput { name: Some(LATE.to_owned()), schema: input.schema.clone() }];
    Some(Checked { kind: NodeKind::Window(window.windows, Arc::new(spec)), outputs, key: Some(keys) })
}

/// The places of key columns.
pub(crate) fn key_columns(graph: &mut Graph<'_>, keys: &[Spanned<String>], schema: &SchemaRef, what: &str) -> Option<Vec<usize>> {
    let mut key_column = |key: &Spanned<String>| {
        let Some((index, field)) = schema.column_with_name(key.get_ref()) else {
            let hint = suggest(key.get_ref(), &columns::names(schema));
            graph.problem(key.span(), format!("there is no column `{}`", key.get_ref()), hint);
            return None;
        };
        if !KeyHasher::supports(field.data_type()) {
            let message = format!("column `{}` is {}, which cannot be a key", key.get_ref(), columns::type_name(field.data_type()));
            graph.problem(key.span(), message, format!("make a column of a plain type with a `select` before the {what}"));
            return None;
        }
        Some(index)
    };
    every(keys.iter().map(&mut key_column))
}

fn dedup(graph: &mut Graph<'_>, dedup: &DedupUse, input: &Input<'_>) -> Option<Checked> {
    let event_time = input.schema.event_time();
    if event_time.is_none() {
        let message = format!("`dedup` needs an event time, and `{}` has none", input.reference);
        let hint = "name its column as `event_time` of the source, and keep it under its name in every `select` on the way";
        graph.problem(dedup.at.clone(), message, hint);
    }
    let keys = key_columns(graph, &dedup.by, input.schema.columns(), "dedup")?;
    let within = dedup.within.micros();
    let spec = DedupSpec { keys: keys.clone(), event_time: event_time?, within, input: input.schema.columns().clone() };
    if let Err(error) = spec.check() {
        graph.problem(dedup.at.clone(), error.to_string(), "");
        return None;
    }
    let outputs = vec![main_output(input.schema.clone()), PlanOutput { name: Some(LATE.to_owned()), schema: input.schema.clone() }];
    Some(Checked { kind: NodeKind::Dedup(Arc::new(spec)), outputs, key: Some(keys) })
}

/// The event time of a window's results.
pub(crate) const WINDOW_TIME: &str = "window_time";

pub(crate) fn window_spec(shape: WindowShape) -> WindowSpec {
    match shape {
        WindowShape::Tumbling { size, offset } => {
            WindowSpec { kind: WindowKind::Tumbling { size: size.micros() }, offset: offset.micros() }
        }
        WindowShape::Sliding { size, slide, offset } => {
            WindowSpec { kind: WindowKind::Sliding { size: size.micros(), slide: slide.micros() }, offset: offset.micros() }
        }
        WindowShape::Session { gap } => WindowSpec::session(gap.micros()),
    }
}
