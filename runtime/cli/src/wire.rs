//! From a plan to a job: chains become tasks, edges become targets and exchanges, compiled parts become operators.

use crate::durable::UsedPlugin;
use crate::folders;
use crate::keyed_state::{self, DiskShare, KeyedParts};
use crate::load::Loaded;
use anyhow::Context;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use stygian_api::{Sink, Source};
use stygian_core::{StreamSchema, TimerClock};
use stygian_engine::operators::{Branch, Dedup, Filter, Keyed, KeyedSpec, PluginOperator, PluginOptions, Select, Top, Union, Window};
use stygian_engine::{
    EngineSettings, Head, JobSpec, Keeps, Operator, OperatorError, OperatorFactory, OutletSpec, Partitioning, PoisonPolicy, SourceSpec,
    StageSpec, SubtaskContext, SystemClock, Target, TaskSpec,
};
use stygian_pipeline::{Instances, OnError};
use stygian_plan::{Exchange, NodeIndex, NodeKind, Plan, PlanNode, PluginPlan, aggregate_key};
use stygian_sandbox::{CaptureLimits, Captures, Plugin};
use stygian_state::Slot;

/// The job of a loaded pipeline.
///
/// # Errors
/// When the plan is not what it promises to be.
pub(crate) fn job(loaded: Loaded) -> anyhow::Result<JobSpec> {
    let Loaded { plan, base, sources, sinks, plugins, aggregates, .. } = loaded;
    let attempt = attempt();
    let captures = captures(&plan, &base, &attempt);
    aggregates.iter().for_each(|aggregate| aggregate.save_failed_calls(captures.clone()));
    let disk = keyed_state::on_disk(&plan, &base)?;
    let wiring = Wiring { plan: &plan, sources: &sources, sinks: &sinks, plugins: &plugins, captures, disk };
    let tasks = (0..plan.chains.len()).map(|chain| wiring.task(chain)).collect::<anyhow::Result<_>>()?;
    Ok(JobSpec { name: plan.name.clone(), attempt, settings: settings(&plan), clock: Arc::new(SystemClock), tasks, checkpoints: None })
}

/// The plugins that the operators and windows of a pipeline run.
pub(crate) fn used_plugins(loaded: &Loaded) -> Vec<UsedPlugin> {
    let used = |node: &PlanNode, aggregate: Option<&String>| {
        let key = aggregate.map_or_else(|| node.id.to_string(), |aggregate| aggregate_key(node.id.as_str(), aggregate));
        let (component, described) = (loaded.plugins.get(&key)?.component(), loaded.described.get(&key)?);
        let (name, version) = (described.name.clone(), described.version.clone());
        Some(UsedPlugin { operator: node.id.clone(), aggregate: aggregate.cloned(), name, version, component })
    };
    let of_node = |node: &PlanNode| -> Vec<UsedPlugin> {
        match &node.kind {
            NodeKind::Plugin(_) => used(node, None).into_iter().collect(),
            NodeKind::Window(_, spec) => spec.aggregates.iter().filter_map(|(name, _)| used(node, Some(name))).collect(),
            _ => Vec::new(),
        }
    };
    loaded.plan.nodes.iter().flat_map(of_node).collect()
}

/// What an operator keeps of its state.
fn keeps(kind: &NodeKind) -> Keeps {
    let of = |parts: &[&'static str]| Keeps { parts: parts.to_vec(), ..Keeps::default() };
    match kind {
        NodeKind::Window(_, spec) => Window::keeps(spec),
        NodeKind::Top(_) => of(&["top"]),
        NodeKind::Dedup(_) => of(&["dedup"]),
        NodeKind::Plugin(plugin) if plugin.key.is_some() => {
            let slots = plugin.description.slots.iter().map(|slot| (slot.name.clone(), slot.versions())).collect();
            Keeps { slots, ..of(&["keyed", "timers"]) }
        }
        _ => Keeps::default(),
    }
}

/// A name for this run that no earlier run has had: the time, in microseconds.
fn attempt() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}", since.as_micros())
}

/// Where the inputs of failed calls are saved, if they are.
fn captures(plan: &Plan, base: &Path, attempt: &str) -> Option<Arc<Captures>> {
    let wanted = &plan.captures;
    let folder = match &wanted.folder {
        // The folder is only used where nobody else can reach it, so by its real path.
        Some(folder) => std::fs::canonicalize(base).unwrap_or_else(|_| base.to_owned()).join(folder),
        None => folders::captures(&plan.name)?,
    };
    let limits = CaptureLimits { files: wanted.max_files, bytes: wanted.max_bytes };
    wanted.save.then(|| Arc::new(Captures::new(folder, attempt, limits)))
}

fn settings(plan: &Plan) -> EngineSettings {
    let settings = &plan.settings;
    EngineSettings {
        max_parallelism: settings.max_parallelism,
        batch_rows: settings.batch_rows,
        max_batch_delay: settings.max_batch_delay.0,
        watermark_interval: settings.watermark_interval.0,
        channel_batches: settings.channel_batches,
        channel_bytes: settings.channel_bytes,
    }
}

struct Wiring<'a> {
    plan: &'a Plan,
    sources: &'a BTreeMap<String, Arc<dyn Source>>,
    sinks: &'a BTreeMap<String, Arc<dyn Sink>>,
    plugins: &'a BTreeMap<String, Plugin>,
    captures: Option<Arc<Captures>>,
    disk: Option<DiskShare>,
}

/// A task in the making: where each node of the chain stands among its stages.
#[derive(Default)]
struct Task {
    stages: BTreeMap<NodeIndex, usize>,
    outlets: Vec<OutletSpec>,
}

impl Wiring<'_> {
    fn task(&self, chain: usize) -> anyhow::Result<TaskSpec> {
        let nodes = &self.plan.chains[chain].nodes;
        let mut task = Task::default();
        let operators = nodes.iter().filter(|node| !matches!(self.plan.nodes[**node].kind, NodeKind::Source(_) | NodeKind::Sink(_)));
        task.stages = operators.enumerate().map(|(stage, node)| (*node, stage)).collect();
        let head = nodes.first().context("a chain without nodes")?;
        let head = match &self.plan.nodes[*head].kind {
            NodeKind::Source(_) => Head::Source(self.source(*head, chain, &mut task)?),
            NodeKind::Sink(_) => anyhow::bail!("a sink cannot head a chain"),
            _ => Head::Exchange,
        };
        let operators: Vec<NodeIndex> = task.stages.keys().copied().collect();
        let stages = operators.into_iter().map(|node| self.stage(node, chain, &mut task)).collect::<anyhow::Result<_>>()?;
        let names: Vec<&str> = nodes.iter().map(|node| self.plan.nodes[*node].id.as_str()).collect();
        let parallelism = self.plan.chains[chain].parallelism;
        Ok(TaskSpec { name: names.join(" -> "), parallelism, head, stages, outlets: task.outlets })
    }

    fn source(&self, node: NodeIndex, chain: usize, task: &mut Task) -> anyhow::Result<SourceSpec> {
        let planned = &self.plan.nodes[node];
        let NodeKind::Source(source) = &planned.kind else { anyhow::bail!("`{}` is no source", planned.id) };
        Ok(SourceSpec {
            node: planned.id.clone(),
            source: self.sources.get(planned.id.as_str()).context("a source that was not opened")?.clone(),
            schema: planned.outputs.first().context("a source without output")?.schema.clone(),
            disorder: source.watermark.map_or(Duration::ZERO, |watermark| watermark.delay),
            idle_after: source.watermark.and_then(|watermark| watermark.idle_after),
            rows: self.targets(node, 0, chain, task)?,
            dead_letters: self.targets(node, 1, chain, task)?,
        })
    }

    fn stage(&self, node: NodeIndex, chain: usize, task: &mut Task) -> anyhow::Result<StageSpec> {
        let planned = &self.plan.nodes[node];
        let outputs = 0..planned.outputs.len();
        let outputs = outputs.map(|output| self.targets(node, output, chain, task)).collect::<anyhow::Result<_>>()?;
        Ok(StageSpec { node: planned.id.clone(), operator: self.operator(planned)?, outputs, keeps: keeps(&planned.kind) })
    }

    /// Where the rows of an output go, from within a chain.
    fn targets(&self, from: NodeIndex, output: usize, chain: usize, task: &mut Task) -> anyhow::Result<Vec<Target>> {
        let mut targets = Vec::new();
        for (to, node) in self.plan.nodes.iter().enumerate() {
            for edge in node.inputs.iter().filter(|edge| edge.from == from && edge.output == output) {
                let to_chain = self.plan.chain_of(to).context("a node outside of all chains")?;
                let outlet = match (&node.kind, &edge.exchange) {
                    (NodeKind::Sink(_), _) => self.sink(node)?,
                    _ if to_chain == chain => {
                        targets.push(Target::Stage(*task.stages.get(&to).context("an operator that is no stage")?));
                        continue;
                    }
                    (_, Exchange::Forward) => OutletSpec::Exchange { task: to_chain, partitioning: Partitioning::Forward },
                    (_, Exchange::Hash { columns }) => {
                        OutletSpec::Exchange { task: to_chain, partitioning: Partitioning::Hash(columns.clone()) }
                    }
                };
                task.outlets.push(outlet);
                targets.push(Target::Outlet(task.outlets.len() - 1));
            }
        }
        Ok(targets)
    }

    fn sink(&self, node: &PlanNode) -> anyhow::Result<OutletSpec> {
        let sink = self.sinks.get(node.id.as_str()).context("a sink that was not opened")?.clone();
        Ok(OutletSpec::Sink { node: node.id.clone(), sink })
    }

    fn operator(&self, node: &PlanNode) -> anyhow::Result<Arc<dyn OperatorFactory>> {
        let schema = node.outputs.first().context("an operator without output")?.schema.columns().clone();
        Ok(match &node.kind {
            NodeKind::Filter(predicate) => {
                let predicate = predicate.clone();
                factory(move |_| Ok(Filter(predicate.clone())))
            }
            NodeKind::Select(columns) => {
                let columns: Vec<_> = columns.iter().map(|(_, expression)| expression.clone()).collect();
                factory(move |_| Ok(Select::new(schema.clone(), columns.clone())))
            }
            NodeKind::Union => factory(move |_| Ok(Union(schema.clone()))),
            NodeKind::Branch(conditions) => {
                let conditions: Vec<_> = conditions.iter().map(|(_, predicate)| predicate.clone()).collect();
                factory(move |_| Ok(Branch(conditions.clone())))
            }
            NodeKind::Dedup(spec) => {
                let spec = spec.clone();
                factory(move |context| Dedup::new(spec.clone(), context))
            }
            NodeKind::Window(windows, spec) => {
                let (spec, early) = (spec.clone(), windows.early.map(|early| early.0));
                factory(move |context| Window::new(spec.clone(), early, context))
            }
            NodeKind::Top(spec) => {
                let spec = spec.clone();
                factory(move |context| Top::new(spec.clone(), context))
            }
            NodeKind::Plugin(plugin) => self.plugin(node, plugin)?,
            NodeKind::Source(_) | NodeKind::Sink(_) => anyhow::bail!("`{}` is no operator", node.id),
        })
    }

    fn plugin(&self, node: &PlanNode, planned: &PluginPlan) -> anyhow::Result<Arc<dyn OperatorFactory>> {
        let plugin = self.plugins.get(node.id.as_str()).context("a plugin that was not loaded")?.clone();
        let edge = node.inputs.first().context("a plugin without input")?;
        let input = self.plan.schema_of(edge).context("an edge without schema")?.columns().clone();
        // The last output is the dead letters, which are not the plugin's own.
        let outputs = node.outputs.split_last().map_or(&[][..], |(_, own)| own);
        let outputs: Vec<_> = outputs.iter().map(|output| output.schema.columns().clone()).collect();
        let config = planned.config.clone();
        let on_error = match planned.on_error {
            OnError::Fail => stygian_engine::OnError::Fail,
            OnError::Skip => stygian_engine::OnError::Skip,
            OnError::DeadLetter => stygian_engine::OnError::DeadLetter,
        };
        let fresh = planned.instances == Instances::Fresh;
        let options =
            PluginOptions { fresh, poison: PoisonPolicy { on_error, max_rate: planned.max_poison_rate }, captures: self.captures.clone() };
        if let Some(key) = &planned.key {
            let key = key.clone();
            let event_time = self.plan.schema_of(edge).and_then(StreamSchema::event_time);
            let timers: Vec<String> = planned.description.timers.iter().map(|timer| timer.name.clone()).collect();
            let parts = KeyedParts {
                codec: (key.types.clone(), self.plan.settings.max_parallelism),
                slots: planned.description.slots.iter().map(Slot::from).collect(),
                clocks: planned.description.timers.iter().map(|timer| timer.clock).collect(),
                limits: keyed_state::limits(key.state.as_ref(), self.disk.is_some())?,
                lives_by: if event_time.is_some() { TimerClock::EventTime } else { TimerClock::ProcessingTime },
                parallelism: node.parallelism,
                disk: self.disk.clone(),
            };
            return Ok(factory(move |context| {
                let spec = KeyedSpec {
                    plugin: plugin.keyed_operator(context.node.as_str(), &config, &input)?,
                    key: key.columns.iter().map(|place| (*place, input.field(*place).name().clone())).collect(),
                    state: parts.build(context)?.with_timer_names(timers.iter().map(String::as_str)),
                    event_time,
                    outputs: outputs.clone(),
                    timers: timers.clone(),
                    fresh,
                    poison: options.poison,
                    captures: options.captures.clone(),
                };
                Ok(Keyed::new(context, spec))
            }));
        }
        Ok(factory(move |context| {
            let operator = plugin.operator(context.node.as_str(), &config, &input)?;
            Ok(PluginOperator::new(context, operator, outputs.clone(), options.clone()))
        }))
    }
}

fn factory<O: Operator + 'static>(
    build: impl Fn(&SubtaskContext) -> Result<O, OperatorError> + Send + Sync + 'static,
) -> Arc<dyn OperatorFactory> {
    Arc::new(move |context: &SubtaskContext| build(context).map(|operator| Box::new(operator) as Box<dyn Operator>))
}
