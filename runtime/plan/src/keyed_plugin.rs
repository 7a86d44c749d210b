//! What a plugin with state needs besides: a key of plain columns, and times for its timers.

use crate::logical::{Graph, Input};
use crate::operators::key_columns;
use crate::plan::KeyPlan;
use stygian_core::{ColumnType, PluginDescription, TimerClock};
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
    let types: Option<Vec<ColumnType>> = columns.iter().map(|place| ColumnType::of(schema.field(*place).data_type())).collect();
    let Some(types) = types else {
        let message = format!("the key of plugin {who} has a column of a type that does not cross into plugins");
        graph.problem(plugin.plugin_at.clone(), message, "make a column of a plain type with a `select` before");
        return None;
    };
    Some(KeyPlan { columns, types, state: plugin.state.clone() })
}
