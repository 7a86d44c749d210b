//! What the planner must be told about the outside.

use arrow_schema::SchemaRef;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use stygian_core::PluginDescription;
use stygian_expr::ExternalFunction;

/// What was found out before planning, each by the name of its node.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Of every source.
    pub sources: BTreeMap<String, SourceFacts>,
    /// Of every operator that is a plugin: what it says under the operator's configuration.
    pub plugins: BTreeMap<String, Arc<PluginDescription>>,
    /// Of every plugin that aggregates in a window, under [`crate::aggregate_key`], as its description is in `plugins`: what computes it.
    pub aggregates: BTreeMap<String, Arc<dyn ExternalFunction>>,
    /// Sources and operators whose facts could not be found out, for a reason that has been told already: the planner tells no problem
    /// of theirs and of what depends on them, but checks the rest.
    pub failed: BTreeSet<String>,
}

/// What a source's connector says.
#[derive(Clone, Debug)]
pub struct SourceFacts {
    /// The columns of its rows.
    pub columns: SchemaRef,
    /// Whether it ends by itself.
    pub bounded: bool,
}
