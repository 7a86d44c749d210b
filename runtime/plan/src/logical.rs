//! The typed graph: nodes in the order rows flow, each with the schemas of its outputs.
//!
//! A node with a problem gets no outputs, and what reads it is left out without a word, so that one problem does not cause more.

use crate::chains::chains;
use crate::columns;
use crate::facts::Facts;
use crate::operators::{self, Checked};
use crate::plan::{Edge, Exchange, NodeIndex, NodeKind, Plan, PlanNode, PlanOutput, SinkPlan, SourcePlan, WatermarkPlan};
use std::collections::BTreeMap;
use std::ops::Range;
use stygian_api::{Problem, Problems, suggest};
use stygian_core::{DeadLetters, OperatorId, SchemaError, StreamSchema};
use stygian_pipeline::{DEAD_LETTERS, InputRef, OperatorNode, Pipeline, SinkNode, SourceNode};

/// Plans a pipeline.
///
/// # Errors
/// Every problem found; none at all where the only ones are of `facts.failed`.
pub fn plan(pipeline: &Pipeline, facts: &Facts) -> Result<Plan, Problems> {
    let mut graph =
        Graph { pipeline, facts, nodes: Vec::new(), index: BTreeMap::new(), problems: Vec::new(), warnings: Vec::new(), whole: true };
    for source in &pipeline.sources {
        graph.source(source);
    }
    for operator in in_order(pipeline) {
        graph.operator(operator);
    }
    for sink in &pipeline.sinks {
        graph.sink(sink);
    }
    graph.warn_unread();
    let Graph { nodes, mut problems, warnings, whole, .. } = graph;
    if !whole || !problems.is_empty() {
        problems.sort_by_key(|problem| problem.at.as_ref().map_or(usize::MAX, |at| at.start));
        return Err(Problems(problems));
    }
    let chains = chains(&nodes);
    Ok(Plan {
        name: pipeline.name.clone(),
        settings: pipeline.settings.clone(),
        captures: pipeline.captures.clone(),
        checkpoint: pipeline.checkpoint.clone(),
        restart: pipeline.restart.clone(),
        state: pipeline.state.clone(),
        nodes,
        chains,
        warnings,
    })
}

/// The operators, each behind those it reads; those of the file's order first.
fn in_order(pipeline: &Pipeline) -> Vec<&OperatorNode> {
    let mut waiting: Vec<&OperatorNode> = pipeline.operators.iter().collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let names: std::collections::BTreeSet<&str> = waiting.iter().map(|operator| operator.name.get_ref().as_str()).collect();
        let (ready, rest): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|operator| !operator.inputs.iter().any(|input| names.contains(input.node.as_str())));
        if ready.is_empty() {
            // A cycle, which a checked pipeline does not have.
            break;
        }
        ordered.extend(ready);
        waiting = rest;
    }
    ordered
}

/// A stream that an operator reads.
pub(crate) struct Input<'a> {
    pub(crate) from: NodeIndex,
    pub(crate) output: usize,
    pub(crate) schema: StreamSchema,
    pub(crate) reference: &'a InputRef,
}

pub(crate) struct Graph<'a> {
    pipeline: &'a Pipeline,
    pub(crate) facts: &'a Facts,
    nodes: Vec<PlanNode>,
    /// `None`: a node that has problems.
    index: BTreeMap<&'a str, Option<NodeIndex>>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    whole: bool,
}

impl<'a> Graph<'a> {
    pub(crate) fn problem(&mut self, at: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self.problems.push(Problem { at: Some(at), message: message.into(), hint });
    }

    pub(crate) fn warning(&mut self, at: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        self.warnings.push(Problem::at(at, message).hint(hint));
    }

    fn source(&mut self, node: &'a SourceNode) {
        let name = node.name.get_ref().as_str();
        let Some(facts) = self.facts.sources.get(name) else {
            self.unknown(name, node.name.span(), "source", "its connector could not be asked for its columns");
            return;
        };
        let schema = StreamSchema::append(facts.columns.clone());
        let schema = match &node.event_time {
            None => schema,
            Some(column) => match schema.with_event_time(column.get_ref()) {
                Ok(schema) => schema,
                Err(error) => {
                    let hint = time_hint(&error, &columns::names(&facts.columns));
                    self.problem(column.span(), error_text(&error), hint);
                    self.lost(name);
                    return;
                }
            },
        };
        let watermark = schema.event_time().map(|_| WatermarkPlan { delay: node.watermark_delay, idle_after: node.idle_after });
        let kind = NodeKind::Source(SourcePlan { connector: node.connector.get_ref().clone(), bounded: facts.bounded, watermark });
        self.add(name, node.name.span(), kind, Vec::new(), vec![PlanOutput { name: None, schema }]);
    }

    fn operator(&mut self, node: &'a OperatorNode) {
        let name = node.name.get_ref().as_str();
        let inputs: Vec<Option<Input<'a>>> = node.inputs.iter().map(|input| self.input(input)).collect();
        let Some(inputs) = inputs.into_iter().collect::<Option<Vec<_>>>() else {
            self.lost(name);
            return;
        };
        let Some(Checked { kind, outputs, key }) = operators::check(self, node, &inputs) else {
            self.lost(name);
            return;
        };
        let exchange = key.map_or(Exchange::Forward, |columns| Exchange::Hash { columns });
        let edges = inputs.iter().map(|input| Edge { from: input.from, output: input.output, exchange: exchange.clone() }).collect();
        self.add(name, node.name.span(), kind, edges, outputs);
    }

    fn sink(&mut self, node: &'a SinkNode) {
        let Some(input) = self.input(&node.input) else {
            self.lost(node.name.get_ref());
            return;
        };
        let edge = Edge { from: input.from, output: input.output, exchange: Exchange::Forward };
        let kind = NodeKind::Sink(SinkPlan { connector: node.connector.get_ref().clone() });
        self.add(node.name.get_ref(), node.name.span(), kind, vec![edge], Vec::new());
    }

    fn add(&mut self, name: &'a str, at: Range<usize>, kind: NodeKind, inputs: Vec<Edge>, mut outputs: Vec<PlanOutput>) {
        if !matches!(kind, NodeKind::Sink(_)) {
            let schema = StreamSchema::append(DeadLetters::schema());
            outputs.push(PlanOutput { name: Some(DEAD_LETTERS.to_owned()), schema });
        }
        self.index.insert(name, Some(self.nodes.len()));
        let parallelism = self.pipeline.settings.parallelism;
        self.nodes.push(PlanNode { id: OperatorId::new(name), kind, inputs, outputs, parallelism, at });
    }

    /// The node has problems, which have been told.
    fn lost(&mut self, name: &'a str) {
        self.index.insert(name, None);
        self.whole = false;
    }

    /// A node without facts.
    pub(crate) fn unknown(&mut self, name: &'a str, at: Range<usize>, kind: &str, why: &str) {
        if !self.facts.failed.contains(name) {
            self.problem(at, format!("nothing is known of {kind} `{name}`"), why);
        }
        self.lost(name);
    }

    /// The stream of a reference; `None` with or without a problem told.
    fn input(&mut self, reference: &'a InputRef) -> Option<Input<'a>> {
        let from = (*self.index.get(reference.node.as_str())?)?;
        let outputs = &self.nodes[from].outputs;
        let plugin = matches!(self.nodes[from].kind, NodeKind::Plugin(_));
        let output = match reference.output.as_deref() {
            None => Some(0),
            name => outputs.iter().position(|output| output.name.as_deref() == name),
        };
        match output.and_then(|index| Some((index, outputs.get(index)?))) {
            Some((output, found)) => Some(Input { from, output, schema: found.schema.clone(), reference }),
            None => {
                let known: Vec<&str> = outputs.iter().filter_map(|output| output.name.as_deref()).collect();
                let hint = suggest(reference.output.as_deref().unwrap_or_default(), &known);
                let owner = if plugin { "the plugin of " } else { "" };
                let message = format!("{owner}`{}` has no output `{}`", reference.node, reference.output.as_deref().unwrap_or_default());
                self.problem(reference.at.clone(), message, hint);
                None
            }
        }
    }

    /// Outputs of plugins are only known here.
    fn warn_unread(&mut self) {
        let mut warnings = Vec::new();
        for (index, node) in self.nodes.iter().enumerate().filter(|(_, node)| matches!(node.kind, NodeKind::Plugin(_))) {
            let read =
                |output: usize| self.nodes.iter().flat_map(|node| &node.inputs).any(|edge| edge.from == index && edge.output == output);
            let own = node.outputs.len().saturating_sub(1);
            if !(0..own).any(read) {
                continue; // The pipeline has warned that nobody reads the node.
            }
            for (n, output) in node.outputs[..own].iter().enumerate().filter(|(n, _)| !read(*n)) {
                let name = output.name.clone().unwrap_or_else(|| format!("{n}"));
                let message = format!("nobody reads the output `{}.{name}`", node.id);
                warnings.push(Problem::at(node.at.clone(), message).hint("its rows are dropped"));
            }
        }
        self.warnings.extend(warnings);
    }
}

/// What is wrong with an event time, in the words of a pipeline file.
pub(crate) fn error_text(error: &SchemaError) -> String {
    match error {
        SchemaError::NoSuchColumn(name) => format!("there is no column `{name}`"),
        SchemaError::NotATime { name, found } => {
            format!("column `{name}` is {}, an event time must be a timestamp", columns::type_name(found))
        }
    }
}

pub(crate) fn time_hint(error: &SchemaError, names: &[&str]) -> String {
    match error {
        SchemaError::NoSuchColumn(name) => suggest(name, names),
        SchemaError::NotATime { .. } => "read it as `timestamp` or `timestamp_utc`".to_owned(),
    }
}
