//! A plugin as an operator: whether its input has the columns it reads, and the schemas of its outputs.
//!
//! Outputs: `selected` has the input's columns; `extended` has them too, with the plugin's own in place of those of the same name and
//! else behind them in their order; `own` has the plugin's alone.

use crate::logical::{Graph, Input, error_text};
use crate::operators::Checked;
use crate::plan::{NodeKind, PlanOutput, PluginPlan};
use crate::{columns, keyed_plugin};
use arrow_schema::{DataType, Field as ArrowField, FieldRef, Schema, SchemaRef};
use std::sync::Arc;
use stygian_api::suggest;
use stygian_core::{
    ColumnType, Field, InputSpec, OPERATION_COLUMN, OutputShape, OutputSpec, PluginDescription, StreamKind, StreamSchema, escape,
};
use stygian_pipeline::{DEAD_LETTERS, OperatorNode, PluginUse};

/// How much of a plugin's name for something is shown.
pub(crate) const SHOWN: usize = 300;

pub(crate) fn check<'a>(graph: &mut Graph<'a>, node: &'a OperatorNode, plugin: &PluginUse, input: &Input<'a>) -> Option<Checked> {
    let name = node.name.get_ref();
    let facts = graph.facts;
    let Some(description) = facts.plugins.get(name) else {
        graph.unknown(name, plugin.plugin_at.clone(), "the plugin of", "it could not be found, or did not say what it is");
        return None;
    };
    let reads = reads(graph, plugin, description)?;
    let columns = crossing(graph, reads, description, input);
    let outputs = outputs(graph, plugin, description, input);
    let key = plugin.key_by_at.as_ref().map(|_| keyed_plugin::key(graph, plugin, description, input));
    let (columns, outputs, key) = (columns?, outputs?, key.map_or(Some(None), |key| key.map(Some))?);
    let kind = NodeKind::Plugin(Box::new(PluginPlan {
        plugin: plugin.plugin.clone(),
        description: description.clone(),
        config: serde_json::Value::Object(plugin.config.clone()).to_string(),
        instances: plugin.instances,
        on_error: plugin.on_error,
        max_poison_rate: plugin.max_poison_rate,
        limits: plugin.limits.clone(),
        columns,
        key: key.clone(),
    }));
    Some(Checked { kind, outputs, key: key.map(|key| key.columns) })
}

/// The one input of a plugin, which must be of the kind it is used as.
fn reads<'d>(graph: &mut Graph<'_>, plugin: &PluginUse, description: &'d PluginDescription) -> Option<&'d InputSpec> {
    let who = format!("plugin {} {}", description.name, description.version);
    let interfaces = description.interfaces;
    let wrong = match (plugin.key_by_at.is_some(), interfaces.operator, interfaces.keyed_operator) {
        (false, true, _) | (true, _, true) => None,
        (false, false, true) => {
            Some(("keeps state by key, and no key is named", "add `key_by = [\"column\"]`: the columns whose equal values share state"))
        }
        (true, true, false) => Some(("keeps no state, so it has no use for a key", "leave `key_by` out")),
        (_, false, false) if interfaces.aggregate => Some(("is an aggregate", "use it in a `window`")),
        _ => Some(("exports none of the contract's operators", "build it anew with the SDK")),
    };
    if let Some((what, hint)) = wrong {
        graph.problem(plugin.key_by_at.clone().unwrap_or(plugin.plugin_at.clone()), format!("{who} {what}"), hint);
        return None;
    }
    match description.inputs.as_slice() {
        [input] => Some(input),
        several => {
            let message = format!("{who} has {} inputs, an operator has one", several.len());
            graph.problem(plugin.plugin_at.clone(), message, "");
            None
        }
    }
}

/// The places of the columns that the plugin reads.
pub(crate) fn crossing(graph: &mut Graph<'_>, reads: &InputSpec, description: &PluginDescription, input: &Input<'_>) -> Option<Vec<usize>> {
    let schema = input.schema.columns();
    let at = &input.reference.at;
    let who = &description.name;
    let mut places = Vec::with_capacity(reads.columns.len());
    for wanted in &reads.columns {
        let name = escape(&wanted.name, SHOWN);
        let Some((place, found)) = schema.column_with_name(&wanted.name) else {
            let message = format!("plugin {who} reads a column `{name}`, which `{}` does not have", input.reference);
            graph.problem(at.clone(), message, suggest(&wanted.name, &columns::names(schema)));
            continue;
        };
        if ColumnType::of(found.data_type()) != Some(wanted.column_type) {
            let found = columns::type_name(found.data_type());
            let message = format!("plugin {who} reads column `{name}` as {}, but it is {found}", wanted.column_type);
            let hint = format!("convert it with a `select` before: `{}`", cast(&name, wanted.column_type));
            graph.problem(at.clone(), message, hint);
        } else if found.is_nullable() && !wanted.nullable {
            let message = format!("plugin {who} needs a value in every row of column `{name}`, which may be null here");
            let hint = format!("give it one with a `select` before (`coalesce({name}, ...)`), or make it an `Option` in the plugin");
            graph.problem(at.clone(), message, hint);
        } else {
            places.push(place);
        }
    }
    if input.schema.kind() == StreamKind::Changelog && !reads.columns.iter().any(|column| column.name == OPERATION_COLUMN) {
        let message = format!("`{}` is a changelog, and plugin {who} does not read its column `{OPERATION_COLUMN}`", input.reference);
        graph.problem(at.clone(), message, "an update or delete would be taken for a new row");
        return None;
    }
    (places.len() == reads.columns.len()).then_some(places)
}

/// How a column becomes one of this type, as an expression.
pub(crate) fn cast(column: &str, wanted: ColumnType) -> String {
    let sql = match wanted {
        ColumnType::Text => "varchar",
        ColumnType::Bool => "boolean",
        ColumnType::Int64 => "bigint",
        ColumnType::Int32 => "int",
        ColumnType::Float64 => "double",
        ColumnType::Timestamp => "timestamp",
        ColumnType::Date => "date",
        _ => return format!("cast({column} as ...)"),
    };
    format!("cast({column} as {sql})")
}

fn outputs(graph: &mut Graph<'_>, plugin: &PluginUse, description: &PluginDescription, input: &Input<'_>) -> Option<Vec<PlanOutput>> {
    let mut outputs: Vec<PlanOutput> = Vec::new();
    let mut faults: Vec<String> = Vec::new();
    for spec in &description.outputs {
        let name = escape(&spec.name, SHOWN);
        if spec.name == DEAD_LETTERS || outputs.iter().any(|output| output.name.as_ref() == Some(&spec.name)) {
            faults.push(format!("it names two outputs `{name}`"));
        }
        match output_schema(spec, input) {
            Ok((schema, time_dropped)) => {
                if time_dropped {
                    let message = format!("output `{name}` has no event time, because `{}` has none", input.reference);
                    graph.warning(plugin.plugin_at.clone(), message, "name the event time at the source");
                }
                outputs.push(PlanOutput { name: Some(spec.name.clone()), schema });
            }
            Err(fault) => faults.push(format!("its output `{name}` cannot be: {fault}")),
        }
    }
    if description.outputs.is_empty() {
        faults.push("it has no output".into());
    }
    let good = faults.is_empty();
    for fault in faults {
        let message = format!("plugin {} {} is not usable here: {fault}", description.name, description.version);
        graph.problem(plugin.plugin_at.clone(), message, "this is a fault of the plugin, or of its configuration");
    }
    good.then_some(outputs)
}

/// The schema of an output, and whether an event time was declared in vain.
fn output_schema(spec: &OutputSpec, input: &Input<'_>) -> Result<(StreamSchema, bool), String> {
    let from = input.schema.columns();
    let columns: SchemaRef = match &spec.shape {
        OutputShape::Selected => from.clone(),
        OutputShape::Extended(fields) => extended(from, fields),
        OutputShape::Own(fields) => Arc::new(Schema::new(fields.iter().map(Field::arrow).collect::<Vec<_>>())),
    };
    check_names(&columns)?;
    if spec.kind == StreamKind::Changelog {
        let operation = columns.column_with_name(OPERATION_COLUMN).map(|(_, field)| field);
        if operation.is_none_or(|field| *field.data_type() != DataType::Utf8) {
            return Err(format!("a changelog has a column `{OPERATION_COLUMN}` of type text"));
        }
    }
    let schema = StreamSchema::append(columns).with_kind(spec.kind);
    match (&spec.event_time, input.schema.event_time()) {
        (Some(_), None) => Ok((schema, true)),
        (Some(time), Some(_)) => schema.with_event_time(time).map(|schema| (schema, false)).map_err(|error| error_text(&error)),
        (None, None) => Ok((schema, false)),
        (None, Some(time)) => {
            let time = from.field(time);
            let kept = schema.columns().column_with_name(time.name()).is_some_and(|(_, field)| field.data_type() == time.data_type());
            let with_time = if kept { schema.clone().with_event_time(time.name()).ok() } else { None };
            Ok((with_time.unwrap_or(schema), false))
        }
    }
}

fn extended(from: &SchemaRef, added: &[Field]) -> SchemaRef {
    let mut fields: Vec<FieldRef> = from.fields().iter().cloned().collect();
    for field in added {
        let new: FieldRef = Arc::new(ArrowField::clone(&field.arrow()));
        match fields.iter_mut().find(|old| old.name() == new.name()) {
            Some(old) => *old = new,
            None => fields.push(new),
        }
    }
    Arc::new(Schema::new(fields))
}

fn check_names(columns: &SchemaRef) -> Result<(), String> {
    let mut names = columns::names(columns);
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two columns are called `{}`", escape(pair[0], SHOWN))),
        None => Ok(()),
    }
}
