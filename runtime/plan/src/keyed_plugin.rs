//! What a plugin with state needs besides: a key of the columns that it declares, and times for its timers.

use crate::columns;
use crate::logical::{Graph, Input};
use crate::operators::key_columns;
use crate::plan::KeyPlan;
use crate::plugin::{SHOWN, cast};
use stygian_core::{ColumnType, PluginDescription, TimerClock, escape};
use stygian_pipeline::PluginUse;

/// The key of a plugin that is used with `key_by`.
pub(crate) fn key(graph: &mut Graph<'_>, plugin: &PluginUse, description: &PluginDescription, input: &Input<'_>) -> Option<KeyPlan> {
    let who = &description.name;
    let event_timer = description.timers.iter().find(|timer| timer.clock == TimerClock::EventTime);
    if let (Some(timer), None) = (event_timer, input.schema.event_time()) {
        let message = format!("plugin {who} sets the timer `{}` in event time, and `{}` has none", timer.name, input.reference);
        let hint = "name its column as `event_time` of the source, and keep it under its name in every `select` on the way";
        graph.problem(plugin.plugin_at.clone(), message, hint);
        return None;
    }
    let schema = input.schema.columns();
    let columns = key_columns(graph, &plugin.key_by, schema, "plugin")?;
    let wanted = description.inputs.first().map_or(&[][..], |input| &input.key);
    if wanted.len() != columns.len() {
        let names: Vec<String> = wanted.iter().map(|field| escape(&field.to_string(), SHOWN)).collect();
        let message =
            format!("plugin {who} has a key of {} columns ({}), and `key_by` names {}", wanted.len(), names.join(", "), columns.len());
        graph.problem(plugin.key_by_at.clone().unwrap_or(plugin.plugin_at.clone()), message, "name a column for each, in this order");
        return None;
    }
    let mut types = Vec::with_capacity(columns.len());
    for ((named, place), wanted) in plugin.key_by.iter().zip(&columns).zip(wanted) {
        let column = schema.field(*place);
        if ColumnType::of(column.data_type()) != Some(wanted.column_type) {
            let found = columns::type_name(column.data_type());
            let message = format!("plugin {who} has a key of {}, but column `{}` is {found}", wanted.column_type, column.name());
            graph.problem(
                named.span(),
                message,
                format!("convert it with a `select` before: `{}`", cast(column.name(), wanted.column_type)),
            );
        } else if column.is_nullable() && !wanted.nullable {
            let message = format!("the key of plugin {who} has a value in every row, and column `{}` may be null here", column.name());
            let hint = format!(
                "give it one with a `select` before (`coalesce({}, ...)`), or make the key an `Option` in the plugin",
                column.name()
            );
            graph.problem(named.span(), message, hint);
        } else {
            types.push(wanted.column_type);
        }
    }
    (types.len() == columns.len()).then_some(KeyPlan { columns, types, state: plugin.state.clone() })
}
