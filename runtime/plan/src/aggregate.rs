//! The aggregates of a window: SQL, or a plugin whose input columns are found by name.

use crate::logical::{Graph, Input};
use crate::operators::told;
use crate::plugin::crossing;
use std::sync::Arc;
use stygian_expr::Aggregate;
use stygian_pipeline::{AggregateBy, NamedAggregate, PluginUse};

/// The name under which facts of a plugin that aggregates are known.
pub fn aggregate_key(operator: &str, aggregate: &str) -> String {
    format!("{operator}.{aggregate}")
}

/// An aggregate with its name; `None` when it has problems, which are then told.
pub(crate) fn check(graph: &mut Graph<'_>, operator: &str, aggregate: &NamedAggregate, input: &Input<'_>) -> Option<(String, Aggregate)> {
    let name = aggregate.name.get_ref().clone();
    let compiled = match &aggregate.by {
        AggregateBy::Sql(sql) => told(graph, sql, Aggregate::compile(&sql.text, input.schema.columns()))?,
        AggregateBy::Plugin(plugin) => external(graph, &aggregate_key(operator, &name), plugin, input)?,
    };
    Some((name, compiled))
}

fn external(graph: &mut Graph<'_>, key: &str, plugin: &PluginUse, input: &Input<'_>) -> Option<Aggregate> {
    let facts = graph.facts;
    let (Some(description), Some(function)) = (facts.plugins.get(key), facts.aggregates.get(key)) else {
        if !facts.failed.contains(key) {
            let hint = "it could not be found, or did not say what it is";
            graph.problem(plugin.plugin_at.clone(), format!("nothing is known of the plugin of `{key}`"), hint);
        }
        return None;
    };
    let who = format!("plugin {} {}", description.name, description.version);
    if !description.interfaces.aggregate {
        let hint = "only plugins that export `aggregate` can stand here";
        graph.problem(plugin.plugin_at.clone(), format!("{who} does not aggregate"), hint);
        return None;
    }
    let [reads] = description.inputs.as_slice() else {
        graph.problem(plugin.plugin_at.clone(), format!("{who} has {} inputs, an aggregate has one", description.inputs.len()), "");
        return None;
    };
    let columns = crossing(graph, reads, description, input)?;
    Some(Aggregate::external(&plugin.plugin.to_string(), input.schema.columns(), &columns, Arc::clone(function)))
}
