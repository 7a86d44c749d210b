//! From a checked pipeline to what runs: pure, without a look at the outside.
//!
//! [`plan`] takes the pipeline and the [`Facts`] that others found out (the columns of sources, what plugins say of themselves), gives
//! every stream its schema, compiles every expression, and joins nodes to [`Chain`]s (a chain is a task). It tells every problem at
//! once, underlined in the pipeline file. [`Plan::explain`] shows the result. Opening connectors and plugins is left to the binary,
//! running to the engine.

mod aggregate;
mod chains;
mod columns;
mod explain;
mod facts;
mod keyed_plugin;
mod logical;
mod operators;
mod plan;
mod plugin;
mod svg;
mod top;

pub use aggregate::aggregate_key;
pub use facts::{Facts, SourceFacts};
pub use logical::plan;
pub use plan::{
    Chain, ChainIndex, Edge, Exchange, NodeIndex, NodeKind, Plan, PlanNode, PlanOutput, PluginPlan, SinkPlan, SourcePlan, WatermarkPlan,
};
