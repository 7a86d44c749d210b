//! Where plugins stand in a pipeline: an operator is one, or some of the aggregates of its window are.

use stygian_pipeline::{AggregateBy, OperatorKind, OperatorNode, PluginUse};
use stygian_plan::aggregate_key;

/// A plugin's place.
#[derive(Clone, Copy)]
pub(crate) struct PluginPlace<'a> {
    pub(crate) operator: &'a str,
    /// `None`: the operator itself.
    pub(crate) aggregate: Option<&'a str>,
    pub(crate) plugin: &'a PluginUse,
}

impl PluginPlace<'_> {
    /// The name that what is known of it goes by.
    pub(crate) fn key(&self) -> String {
        self.aggregate.map_or_else(|| self.operator.to_owned(), |aggregate| aggregate_key(self.operator, aggregate))
    }
}

/// The plugins of an operator.
pub(crate) fn plugins_of(node: &OperatorNode) -> Vec<PluginPlace<'_>> {
    let operator = node.name.get_ref().as_str();
    match &node.kind {
        OperatorKind::Plugin(plugin) => vec![PluginPlace { operator, aggregate: None, plugin }],
        OperatorKind::Window(window) => {
            let aggregates = window.aggregates.iter().filter_map(|aggregate| match &aggregate.by {
                AggregateBy::Plugin(plugin) => Some(PluginPlace { operator, aggregate: Some(aggregate.name.get_ref()), plugin }),
                AggregateBy::Sql(_) => None,
            });
            aggregates.collect()
        }
        _ => Vec::new(),
    }
}
