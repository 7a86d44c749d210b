//! A plan as text and as JSON.

use crate::columns::{describe, describe_stream};
use crate::plan::{Edge, Exchange, NodeIndex, NodeKind, Plan, PlanNode, PlanOutput};
use crate::top;
use serde_json::{Value, json};
use std::fmt::Write as _;
use stygian_core::{PluginDescription, Span, StreamSchema, escape};
use stygian_pipeline::{Mode, OnError, StateBackend};

/// Of the shape of [`Plan::explain_json`].
const JSON_VERSION: u32 = 1;

/// What a crash leaves of a job without checkpoints, and of one with them in either mode.
const WITHOUT_CHECKPOINTS: &str =
    "no checkpoints: after a crash the job starts anew; files appear whole or not at all, and messages stay sent";
const EXACTLY_ONCE: &str = "exactly-once: after a crash the job goes on from its last checkpoint, and files, and topics to those who read what \
     is committed, are as if nothing had happened; rows on the console may be shown again";
const AT_LEAST_ONCE: &str = "at-least-once: after a crash the job goes on from its last checkpoint, with its state of then; what it has written \
     since is written again";

impl Plan {
    /// The plan for people: tasks, the nodes in them, exchanges between them, schemas.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = self.write(&mut text);
        text
    }

    /// What a crash leaves.
    pub fn guarantees(&self) -> &'static str {
        match self.checkpoint.as_ref().map(|checkpoint| checkpoint.mode) {
            None => WITHOUT_CHECKPOINTS,
            Some(Mode::ExactlyOnce) => EXACTLY_ONCE,
            Some(Mode::AtLeastOnce) => AT_LEAST_ONCE,
        }
    }

    /// How many subtasks hold the state of keyed plugins.
    pub fn keyed_subtasks(&self) -> usize {
        let keyed = self.nodes.iter().filter(|node| matches!(&node.kind, NodeKind::Plugin(plugin) if plugin.key.is_some()));
        keyed.map(|node| usize::from(node.parallelism.get())).sum()
    }

    /// Where state by key is held, in words.
    fn holds(&self) -> String {
        match self.state.backend {
            StateBackend::Memory => "by key in memory".to_owned(),
            StateBackend::Disk => {
                let subtasks = count(self.keyed_subtasks(), "subtask");
                format!("by key on the local disk; {} of memory for the caches of {subtasks}", self.state.memory)
            }
        }
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        let tasks = count(self.chains.len(), "task");
        writeln!(to, "pipeline {}: {} in {tasks}", self.name, count(self.nodes.len(), "node"))?;
        for (number, chain) in self.chains.iter().enumerate() {
            writeln!(to, "\ntask {} ({})", number + 1, count(chain.parallelism.get().into(), "subtask"))?;
            for node in &chain.nodes {
                self.write_node(*node, self.depth(*node, number) + 1, to)?;
            }
        }
        writeln!(to, "\nguarantees: {}", self.guarantees())?;
        if self.keyed_subtasks() > 0 { writeln!(to, "state: {}", self.holds()) } else { Ok(()) }
    }

    /// How many nodes of its own chain are before it.
    fn depth(&self, node: NodeIndex, chain: usize) -> usize {
        let mut depth = 0;
        let mut next = node;
        while let Some(chain) = self.chains.get(chain)
            && chain.nodes.first() != Some(&next)
            && let Some(edge) = self.nodes.get(next).and_then(|node| node.inputs.first())
        {
            depth += 1;
            next = edge.from;
        }
        depth
    }

    fn write_node(&self, index: NodeIndex, depth: usize, to: &mut String) -> std::fmt::Result {
        let node = &self.nodes[index];
        let indent = "  ".repeat(depth);
        let (kind, detail) = self.words(node);
        let detail = if detail.is_empty() { String::new() } else { format!(": {}", escape(&detail, 2_000)) };
        writeln!(to, "{indent}{kind} {}{detail}", node.id)?;
        for edge in &node.inputs {
            writeln!(to, "{indent}    <- {}", self.edge(edge))?;
        }
        let (streams, dead_letters) = node.outputs.split_at(node.outputs.len().saturating_sub(1));
        let input = node.inputs.first().and_then(|edge| self.schema_of(edge));
        for (number, output) in streams.iter().enumerate() {
            let same = input == Some(&output.schema);
            let columns = if same { "rows as they came".to_owned() } else { escape(&describe_stream(&output.schema), 10_000) };
            writeln!(to, "{indent}    -> {}{columns}", output_name(node, output))?;
            self.write_unread(index, number, &indent, to)?;
        }
        if dead_letters.iter().any(|_| self.is_read(index, streams.len())) {
            writeln!(to, "{indent}    -> {}.dead_letters", node.id)?;
        }
        Ok(())
    }

    fn write_unread(&self, node: NodeIndex, output: usize, indent: &str, to: &mut String) -> std::fmt::Result {
        if self.is_read(node, output) { Ok(()) } else { writeln!(to, "{indent}       (nobody reads it: its rows are dropped)") }
    }

    fn is_read(&self, node: NodeIndex, output: usize) -> bool {
        self.nodes.iter().flat_map(|node| &node.inputs).any(|edge| edge.from == node && edge.output == output)
    }

    /// What a node does, in a word and in detail.
    pub(crate) fn words(&self, node: &PlanNode) -> (&'static str, String) {
        match &node.kind {
            NodeKind::Source(source) => {
                let ends = if source.bounded { "bounded" } else { "endless" };
                let watermark = source.watermark.map(|watermark| {
                    let idle = watermark.idle_after.map(|span| format!(", splits idle after {}", Span(span)));
                    let delay = format!(", watermarks {} behind", Span(watermark.delay));
                    delay + &idle.unwrap_or_default()
                });
                ("source", format!("{}, {ends}{}", source.connector, watermark.unwrap_or_default()))
            }
            NodeKind::Filter(predicate) => ("filter", predicate.sql().to_owned()),
            NodeKind::Select(columns) => ("select", named(columns.iter().map(|(name, e)| (name, e.sql())))),
            NodeKind::Union => ("union", String::new()),
            NodeKind::Branch(branches) => ("branch", named(branches.iter().map(|(name, p)| (name, p.sql())))),
            NodeKind::Dedup(spec) => {
                let within = Span(std::time::Duration::from_micros(spec.within.unsigned_abs()));
                let by: Vec<&str> = spec.keys.iter().map(|key| spec.input.field(*key).name().as_str()).collect();
                ("dedup", format!("by {} within {within}", by.join(", ")))
            }
            NodeKind::Window(windows, spec) => {
                ("window", format!("{windows}; {}", named(spec.aggregates.iter().map(|(n, a)| (n, a.sql())))))
            }
            NodeKind::Top(spec) => ("top", top::words(spec)),
            NodeKind::Plugin(plugin) => {
                let described = &plugin.description;
                let schema = node.inputs.first().and_then(|edge| self.schema_of(edge));
                let fields = |schema: &StreamSchema| {
                    plugin.columns.iter().map(|place| describe(schema.columns().field(*place))).collect::<Vec<_>>().join(", ")
                };
                let reads = schema.map(fields).unwrap_or_default();
                let bad = match plugin.on_error {
                    OnError::Fail => "",
                    OnError::Skip => "; rows on which it fails are skipped",
                    OnError::DeadLetter => "; rows on which it fails go to the dead letters",
                };
                let keeps = plugin.key.as_ref().map(|_| keeps(described)).unwrap_or_default();
                ("plugin", format!("{} {} from {}; reads {reads}{keeps}{bad}", described.name, described.version, plugin.plugin))
            }
            NodeKind::Sink(sink) => ("sink", sink.connector.clone()),
        }
    }

    /// The columns that an exchange goes by, in words.
    pub(crate) fn hashed_by(&self, edge: &Edge) -> String {
        let Exchange::Hash { columns } = &edge.exchange else { return String::new() };
        let schema = self.schema_of(edge);
        let names: Vec<&str> = columns.iter().filter_map(|place| Some(schema?.columns().fields().get(*place)?.name().as_str())).collect();
        if names.is_empty() { "all to one group".to_owned() } else { format!("by {}", names.join(", ")) }
    }

    fn edge(&self, edge: &Edge) -> String {
        let Some(from) = self.nodes.get(edge.from) else { return String::new() };
        let stream = match from.outputs.get(edge.output).and_then(|output| output.name.as_ref()) {
            Some(name) => format!("{}.{name}", from.id),
            None => from.id.to_string(),
        };
        match &edge.exchange {
            Exchange::Forward => stream,
            Exchange::Hash { .. } => {
                format!("{stream}, exchanged {} ({} key groups)", self.hashed_by(edge), self.settings.max_parallelism.get())
            }
        }
    }

    /// The plan for programs. What is here keeps its meaning while `version` is the same; more may be added.
    ///
    /// ```text
    /// { version, pipeline, guarantees,
    ///   state: { backend, memory },                       // "memory" or "disk"; bytes of its caches, null in memory
    ///   tasks: [{ parallelism, nodes: [name, ...] }],
    ///   nodes: [{ name, kind, detail, parallelism,
    ///             task,                                   // counts from 1
    ///             inputs:  [{ node, output,               // output: null for the main one without a name
    ///                         hash_by }],                 // the key columns of an exchange; null: handed over by the subtask before
    ///             outputs: [{ name, kind, event_time,     // kind: "append" or "changelog"; event_time: a column's name or null
    ///                         columns: [{ name, type, nullable }] }] }] }
    /// ```
    pub fn explain_json(&self) -> Value {
        let nodes: Vec<Value> = self.nodes.iter().enumerate().map(|(index, node)| self.node_json(index, node)).collect();
        let chains = self.chains.iter().map(|chain| {
            let names = chain.nodes.iter().map(|node| self.nodes[*node].id.as_str());
            json!({ "parallelism": chain.parallelism.get(), "nodes": names.collect::<Vec<_>>() })
        });
        let (backend, memory) = match self.state.backend {
            StateBackend::Memory => ("memory", None),
            StateBackend::Disk => ("disk", Some(self.state.memory.0)),
        };
        json!({
            "version": JSON_VERSION,
            "pipeline": self.name,
            "tasks": chains.collect::<Vec<_>>(),
            "nodes": nodes,
            "guarantees": self.guarantees(),
            "state": { "backend": backend, "memory": memory },
        })
    }

    fn node_json(&self, index: NodeIndex, node: &PlanNode) -> Value {
        let (kind, detail) = self.words(node);
        let inputs = node.inputs.iter().map(|edge| {
            let from = &self.nodes[edge.from];
            let output = from.outputs.get(edge.output).and_then(|output| output.name.as_ref());
            let hash = match &edge.exchange {
                Exchange::Forward => Value::Null,
                Exchange::Hash { columns } => {
                    let schema = self.schema_of(edge);
                    columns.iter().filter_map(|place| Some(Value::from(schema?.columns().fields().get(*place)?.name().as_str()))).collect()
                }
            };
            json!({ "node": from.id.as_str(), "output": output, "hash_by": hash })
        });
        let outputs = node.outputs.iter().map(output_json);
        json!({
            "name": node.id.as_str(),
            "kind": kind,
            "detail": detail,
            "task": self.chain_of(index).map(|chain| chain + 1),
            "parallelism": node.parallelism.get(),
            "inputs": inputs.collect::<Vec<_>>(),
            "outputs": outputs.collect::<Vec<_>>(),
        })
    }
}

fn output_json(output: &PlanOutput) -> Value {
    let columns = output.schema.columns().fields().iter();
    let columns = columns.map(
        |field| json!({ "name": field.name(), "type": crate::columns::type_name(field.data_type()), "nullable": field.is_nullable() }),
    );
    json!({
        "name": output.name,
        "kind": output.schema.kind().to_string(),
        "event_time": output.schema.event_time_name(),
        "columns": columns.collect::<Vec<_>>(),
    })
}

fn output_name(node: &PlanNode, output: &PlanOutput) -> String {
    output.name.as_ref().map(|name| format!("{}.{}: ", node.id, escape(name, 300))).unwrap_or_default()
}

fn named<'a>(all: impl Iterator<Item = (&'a String, &'a str)>) -> String {
    all.map(|(name, sql)| format!("{name} = {sql}")).collect::<Vec<_>>().join(", ")
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The state and the timers of a plugin.
fn keeps(plugin: &PluginDescription) -> String {
    let slots = plugin.slots.iter().map(|slot| {
        let ttl = slot.ttl_millis.map(|millis| format!(" for {}", Span::millis(millis))).unwrap_or_default();
        format!("{} {} v{}{ttl}", slot.kind, escape(&slot.name, 100), slot.version)
    });
    let timers = plugin.timers.iter().map(|timer| format!("timer {} in {}", escape(&timer.name, 100), timer.clock));
    let all: Vec<String> = slots.chain(timers).collect();
    if all.is_empty() { String::new() } else { format!("; keeps {}", all.join(", ")) }
}
