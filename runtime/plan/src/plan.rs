//! A plan: nodes with compiled expressions and known schemas, joined by edges and grouped into chains.
//!
//! Nodes are in topological order: every edge comes from a node with a smaller index. Every node is in exactly one chain; a chain is a
//! tree of forward edges rooted at its first node; an edge that hashes always leads from one chain to another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use stygian_api::{Accepts, Options, Problem, Problems};
use stygian_core::{ColumnType, OperatorId, Parallelism, PluginDescription, PluginRef, StreamKind, StreamSchema};
use stygian_expr::{DedupSpec, Expression, Predicate, TopSpec, WindowAggregatorSpec};
use stygian_pipeline::{Captures, Checkpoint, Instances, OnError, Restart, Settings, State, Windows};

/// A place in [`Plan::nodes`].
pub type NodeIndex = usize;
/// A place in [`Plan::chains`].
pub type ChainIndex = usize;

/// What runs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The job's name.
    pub name: String,
    /// Settings of the job.
    pub settings: Settings,
    /// What is saved of plugin calls that failed.
    pub captures: Captures,
    /// Its checkpoints; `None`: it makes none.
    pub checkpoint: Option<Checkpoint>,
    /// When it is started again after a failure.
    pub restart: Restart,
    /// Where keyed state is held.
    pub state: State,
    /// Every node, in topological order.
    pub nodes: Vec<PlanNode>,
    /// The tasks.
    pub chains: Vec<Chain>,
    /// What works, but probably not as it was meant; without those of the pipeline itself.
    pub warnings: Vec<Problem>,
}

/// A source, operator or sink.
#[derive(Clone, Debug)]
pub struct PlanNode {
    /// Its name in the pipeline.
    pub id: OperatorId,
    /// What it does.
    pub kind: NodeKind,
    /// Where its rows come from: nothing for a source, several for a union.
    pub inputs: Vec<Edge>,
    /// What it puts out, by index; none for a sink. The last output of all others is `dead_letters`.
    pub outputs: Vec<PlanOutput>,
    /// How many copies of it run.
    pub parallelism: Parallelism,
    /// Where its name stands in the pipeline file.
    pub at: std::ops::Range<usize>,
}

/// Where rows come from, and how they get here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The node that puts them out.
    pub from: NodeIndex,
    /// Which of its outputs.
    pub output: usize,
    /// How they are spread over subtasks.
    pub exchange: Exchange,
}

/// How rows are spread over the subtasks of the next node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// To the subtask of the same number.
    Forward,
    /// To the owner of the key group of these columns; no column: all rows are of one group.
    Hash {
        /// Indices in the schema of the edge's output.
        columns: Vec<usize>,
    },
}

/// An output of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanOutput {
    /// `None`: the one that is read by the node's plain name alone.
    pub name: Option<String>,
    /// What it carries.
    pub schema: StreamSchema,
}

/// What a node does, with all that was compiled for it.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// Reads. Outputs: rows, dead letters.
    Source(SourcePlan),
    /// Passes on rows. Outputs: rows, dead letters.
    Filter(Predicate),
    /// Makes rows of named expressions. Outputs: rows, dead letters.
    Select(Vec<(String, Expression)>),
    /// Passes on the rows of all inputs as rows of its output's schema (which may be nullable where an input's is not). Outputs: rows,
    /// dead letters.
    Union,
    /// A row goes to the first condition that holds. Outputs: one a condition, `other`, dead letters.
    Branch(Vec<(String, Predicate)>),
    /// Drops repetitions. Outputs: rows, `late`, dead letters.
    Dedup(Arc<DedupSpec>),
    /// Aggregates. Outputs: results, `late`, dead letters.
    Window(Windows, Arc<WindowAggregatorSpec>),
    /// Passes on the first rows of each window. Outputs: rows with their rank, `late`, dead letters.
    Top(Arc<TopSpec>),
    /// Calls a plugin. Outputs: the plugin's in its order, dead letters.
    Plugin(Box<PluginPlan>),
    /// Writes. No outputs.
    Sink(SinkPlan),
}

/// What is read.
#[derive(Clone, Debug)]
pub struct SourcePlan {
    /// The connector.
    pub connector: String,
    /// Whether it ends by itself.
    pub bounded: bool,
    /// Where it has an event time: how watermarks are made of it.
    pub watermark: Option<WatermarkPlan>,
}

/// How watermarks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatermarkPlan {
    /// How far event times may lie behind the largest one of their split.
    pub delay: Duration,
    /// After how long without rows a split no longer holds the watermark back.
    pub idle_after: Option<Duration>,
}

/// A plugin and how it is called.
#[derive(Clone, Debug)]
pub struct PluginPlan {
    /// Which plugin.
    pub plugin: PluginRef,
    /// What it says of itself under `config`.
    pub description: Arc<PluginDescription>,
    /// The configuration, JSON.
    pub config: String,
    /// How long instances live.
    pub instances: Instances,
    /// What becomes of rows on which it fails.
    pub on_error: OnError,
    /// The largest share of rows that may be given up so.
    pub max_poison_rate: f64,
    /// Limits that differ from the pipeline's.
    pub limits: Option<Options>,
    /// The input columns that cross into the sandbox, in the plugin's order.
    pub columns: Vec<usize>,
    /// The key, of a plugin that keeps state.
    pub key: Option<KeyPlan>,
}

/// The key of an operator with state.
#[derive(Clone, Debug)]
pub struct KeyPlan {
    /// Where its columns stand in the input.
    pub columns: Vec<usize>,
    /// Their types.
    pub types: Vec<ColumnType>,
    /// Limits of the state that differ from the defaults.
    pub state: Option<Options>,
}

/// What is written to.
#[derive(Clone, Debug)]
pub struct SinkPlan {
    /// The connector.
    pub connector: String,
}

/// Nodes that call each other as functions: a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its nodes in topological order; the first is its head.
    pub nodes: Vec<NodeIndex>,
    /// How many copies of it run.
    pub parallelism: Parallelism,
}

impl Plan {
    /// The schema of the rows that come over an edge.
    pub fn schema_of(&self, edge: &Edge) -> Option<&StreamSchema> {
        Some(&self.nodes.get(edge.from)?.outputs.get(edge.output)?.schema)
    }

    /// The chain that a node is in.
    pub fn chain_of(&self, node: NodeIndex) -> Option<ChainIndex> {
        self.chains.iter().position(|chain| chain.nodes.contains(&node))
    }

    /// The node of a name.
    pub fn node(&self, name: &str) -> Option<(NodeIndex, &PlanNode)> {
        self.nodes.iter().enumerate().find(|(_, node)| node.id.as_str() == name)
    }

    /// Every sink's name with the schema that it writes: what connectors make sinks of.
    pub fn sinks(&self) -> impl Iterator<Item = (&str, &StreamSchema)> {
        let sinks = self.nodes.iter().filter(|node| matches!(node.kind, NodeKind::Sink(_)));
        sinks.filter_map(|node| Some((node.id.as_str(), self.schema_of(node.inputs.first()?)?)))
    }

    /// Adds a sink for an output of a node, in the node's own chain: a way to look at what goes through a plan.
    pub fn add_sink(&mut self, id: OperatorId, from: NodeIndex, output: usize) {
        let Some(node) = self.nodes.get(from) else { return };
        let (parallelism, at, chain) = (node.parallelism, node.at.clone(), self.chain_of(from));
        let inputs = vec![Edge { from, output, exchange: Exchange::Forward }];
        let kind = NodeKind::Sink(SinkPlan { connector: "collect".to_owned() });
        if let Some(chain) = chain.and_then(|chain| self.chains.get_mut(chain)) {
            chain.nodes.push(self.nodes.len());
        }
        self.nodes.push(PlanNode { id, kind, inputs, outputs: Vec::new(), parallelism, at });
    }

    /// Checks that every sink takes the kind of stream it is given; `accepts` by the sink's name.
    ///
    /// # Errors
    /// Every sink that does not.
    pub fn check_sinks(&self, accepts: &BTreeMap<String, Accepts>) -> Result<(), Problems> {
        let problem = |(name, schema): (&str, &StreamSchema)| {
            let refused = schema.kind() == StreamKind::Changelog && accepts.get(name) == Some(&Accepts::Append);
            let at = self.node(name).map(|(_, node)| node.at.clone());
            let message = format!("sink `{name}` takes rows that stay, but its input is a changelog");
            let hint = "choose a connector that takes changes, or a plugin output that appends";
            refused.then_some(Problem { at, message, hint: Some(hint.into()) })
        };
        let problems: Vec<Problem> = self.sinks().filter_map(problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}
