//! From a [`JobSpec`] to tasks with channels between them: every subtask gets its chain, its inputs and its outlets.

use crate::chain::{Chain, Stage};
use crate::channel::{Receiver, channel};
use crate::checkpoints::{COMMANDS, Participant, Shared, SourceCommand, Starting};
use crate::clock::Clock;
use crate::error::JobError;
use crate::exchange::HashPartitioner;
use crate::inputs::Inputs;
use crate::job::Stop;
use crate::metrics::{Metrics, MetricsBuilder, NodeKind};
use crate::operator::SubtaskContext;
use crate::outlet::Outlet;
use crate::sink_task::{Finished, PENDING_PARCELS, SinkTask};
use crate::source_task::{SourceTask, SplitPosition};
use crate::spec::{Head, JobSpec, OutletSpec, Partitioning, SourceSpec, TaskSpec};
use crate::split_discovery::{Assigned, Discovery, NEW_SPLITS};
use crate::split_reader::{Reading, spread};
use crate::watermark::SplitWatermarks;
use crate::{EngineSettings, StageSpec};
use std::collections::BTreeSet;
use std::sync::Arc;
use stygian_api::{Committer, Pending, SinkContext};
use stygian_checkpoint::{JobUuid, TaskId};
use stygian_core::{OperatorId, Parallelism, StreamElement, SubtaskId};
use tokio::sync::mpsc;

/// A job that is ready to be spawned.
pub(crate) struct Wired {
    pub(crate) sources: Vec<(SourceTask, Reading)>,
    pub(crate) discoveries: Vec<Discovery>,
    pub(crate) exchanges: Vec<(String, Inputs, Chain, Option<Participant>)>,
    pub(crate) sinks: Vec<SinkTask>,
    pub(crate) committers: Vec<Committing>,
    pub(crate) metrics: Metrics,
    /// Everybody who takes part in checkpoints, and where barriers go in.
    pub(crate) participants: BTreeSet<TaskId>,
    pub(crate) commands: Vec<mpsc::Sender<SourceCommand>>,
}

/// A sink's committer, and where finished work comes from.
pub(crate) struct Committing {
    pub(crate) node: OperatorId,
    pub(crate) committer: Box<dyn Committer>,
    pub(crate) finished: mpsc::Receiver<Vec<Pending>>,
}

/// Wires a job. `splits` are those of each task's source, by the task's index; empty for the others. `shared`: what those have who take part
/// in checkpoints, where there are any.
///
/// # Errors
/// When an operator cannot be built, or the spec does not fit together.
pub(crate) fn wire(
    spec: JobSpec,
    splits: Vec<Starting>,
    stop: &Stop,
    job: Option<JobUuid>,
    shared: Option<Shared>,
) -> Result<Wired, JobError> {
    check(&spec)?;
    let parallelism = spec.tasks.iter().map(|task| task.parallelism).collect();
    let mut wiring = Wiring {
        settings: spec.settings,
        clock: spec.clock,
        job: job.map_or(spec.name, |job| job.to_string()),
        shared,
        attempt: spec.attempt,
        inputs: spec.tasks.iter().map(|task| task.parallelism.subtasks().map(|_| Vec::new()).collect()).collect(),
        parallelism,
        keyed: BTreeSet::new(),
        metrics: MetricsBuilder::default(),
        wired: Wired {
            sources: Vec::new(),
            discoveries: Vec::new(),
            exchanges: Vec::new(),
            sinks: Vec::new(),
            committers: Vec::new(),
            metrics: Metrics::default(),
            participants: BTreeSet::new(),
            commands: Vec::new(),
        },
    };
    let mut chains = Vec::new();
    for task in spec.tasks {
        chains.push(wiring.task(task)?);
    }
    for (task, (built, splits)) in chains.into_iter().zip(splits).enumerate() {
        wiring.head(task, built, splits, stop);
    }
    let counters = wiring.shared.as_ref().map(|shared| shared.counters.clone());
    wiring.wired.metrics = wiring.metrics.finish(counters.unwrap_or_default());
    Ok(wiring.wired)
}

/// A task whose chains are built, and whose inputs are not complete yet.
struct Built {
    name: String,
    head: Head,
    chains: Vec<Chain>,
    source_counters: Vec<Arc<crate::metrics::Counters>>,
}

struct Wiring {
    shared: Option<Shared>,
    settings: EngineSettings,
    clock: Arc<dyn Clock>,
    job: String,
    attempt: String,
    parallelism: Vec<Parallelism>,
    /// Tasks whose input is parted by key.
    keyed: BTreeSet<usize>,
    /// The receiving ends of each task's subtasks.
    inputs: Vec<Vec<Vec<Receiver<StreamElement>>>>,
    metrics: MetricsBuilder,
    wired: Wired,
}

impl Wiring {
    fn task(&mut self, task: TaskSpec) -> Result<Built, JobError> {
        let subtasks: Vec<SubtaskId> = task.parallelism.subtasks().collect();
        let source_counters = match &task.head {
            Head::Source(source) => subtasks.iter().map(|_| self.metrics.subtask(&source.node, NodeKind::Source)).collect(),
            Head::Exchange => Vec::new(),
        };
        let stages = subtasks.iter().map(|subtask| self.stages(&task.stages, *subtask)).collect::<Result<Vec<_>, _>>()?;
        let mut outlets: Vec<Vec<Outlet>> = subtasks.iter().map(|_| Vec::new()).collect();
        for outlet in task.outlets {
            let of_subtasks = match outlet {
                OutletSpec::Exchange { task: to, partitioning } => self.exchange(task.parallelism, to, &partitioning),
                OutletSpec::Sink { node, sink } => self.sink(&subtasks, &node, &sink),
            };
            outlets.iter_mut().zip(of_subtasks).for_each(|(outlets, outlet)| outlets.push(outlet));
        }
        let chains = subtasks.into_iter().zip(stages).zip(outlets);
        let chains = chains.map(|((subtask, stages), outlets)| Chain::new(subtask, stages, outlets, self.clock.clone())).collect();
        Ok(Built { name: task.name, head: task.head, chains, source_counters })
    }

    fn stages(&mut self, stages: &[StageSpec], subtask: SubtaskId) -> Result<Vec<Stage>, JobError> {
        let groups = self.settings.max_parallelism;
        let build = |stage: &StageSpec| {
            let counters = self.metrics.subtask(&stage.node, NodeKind::Operator);
            let context = SubtaskContext { node: stage.node.clone(), subtask, groups, counters: counters.clone() };
            let operator = stage.operator.build(&context).map_err(|source| JobError::Operator {
                operator: stage.node.clone(),
                subtask,
                doing: "was opened",
                source: source.into(),
            })?;
            let outputs = stage.outputs.iter().map(|targets| targets.as_slice().into()).collect();
            Ok(Stage { node: stage.node.clone(), operator, outputs, counters })
        };
        stages.iter().map(build).collect()
    }

    /// The outlets of every upstream subtask to another task.
    fn exchange(&mut self, from: Parallelism, to: usize, partitioning: &Partitioning) -> Vec<Outlet> {
        let (batches, bytes) = (self.settings.channel_batches, self.settings.channel_bytes);
        let mut connect = |subtask: SubtaskId| {
            let (sender, receiver) = channel(batches, bytes);
            self.inputs[to][subtask.index()].push(receiver);
            sender
        };
        let downstream = self.parallelism[to];
        from.subtasks()
            .map(|subtask| match partitioning {
                Partitioning::Forward => Outlet::forward(connect(subtask)),
                Partitioning::Hash(columns) => {
                    self.keyed.insert(to);
                    let partitioner = HashPartitioner::new(columns.clone(), self.settings.max_parallelism, downstream);
                    let channels = downstream.subtasks().map(&mut connect).collect();
                    Outlet::hash(channels, partitioner, self.settings.batch_rows, self.settings.max_batch_delay)
                }
            })
            .collect()
    }

    fn sink(&mut self, subtasks: &[SubtaskId], node: &OperatorId, sink: &Arc<dyn stygian_api::Sink>) -> Vec<Outlet> {
        let at_least_once = self.shared.as_ref().is_some_and(|shared| shared.at_least_once);
        let transactional = self.shared.as_ref().is_some_and(|shared| shared.transactional) && sink.commit_point().is_some();
        let (finished, to_commit) = mpsc::channel(PENDING_PARCELS);
        self.wired.committers.push(Committing { node: node.clone(), committer: sink.committer(), finished: to_commit });
        let mut writer = |subtask: &SubtaskId| {
            let finished = match self.participant(format!("sink {node}"), *subtask, Parallelism::ONE, false) {
                Some(participant) if at_least_once => Finished::AtOnce { participant: Box::new(participant), committer: sink.committer() },
                Some(participant) => Finished::Checkpoint { participant: Box::new(participant), held: Vec::new() },
                None => Finished::Committer(finished.clone()),
            };
            let (to, from) = channel(self.settings.channel_batches, self.settings.channel_bytes);
            self.wired.sinks.push(SinkTask {
                node: node.clone(),
                sink: sink.clone(),
                context: SinkContext { job: self.job.clone(), subtask: *subtask, attempt: self.attempt.clone(), transactional },
                from,
                finished,
                counters: self.metrics.subtask(node, NodeKind::Sink),
            });
            Outlet::forward(to)
        };
        subtasks.iter().map(&mut writer).collect()
    }

    /// Takes a subtask into the job's checkpoints.
    fn participant(&mut self, task: String, subtask: SubtaskId, parallelism: Parallelism, keyed: bool) -> Option<Participant> {
        let owner = if parallelism == Parallelism::ONE { SubtaskId(0) } else { subtask };
        let owned = self.settings.max_parallelism.range_of(owner, parallelism);
        let task = TaskId { task: task.into(), subtask };
        let shared = self.shared.clone()?;
        self.wired.participants.insert(task.clone());
        Some(Participant::new(shared, task, owned, keyed))
    }

    fn head(&mut self, task: usize, built: Built, starting: Starting, stop: &Stop) {
        match built.head {
            Head::Exchange => {
                let inputs = std::mem::take(&mut self.inputs[task]);
                for (channels, chain) in inputs.into_iter().zip(built.chains) {
                    let participant =
                        self.participant(built.name.clone(), chain.subtask(), self.parallelism[task], self.keyed.contains(&task));
                    self.wired.exchanges.push((built.name.clone(), Inputs::new(channels), chain, participant));
                }
            }
            Head::Source(source) => {
                let Starting { splits, known } = starting;
                let named = splits.iter().map(|position| position.split.id.clone());
                let all: Vec<_> = named.chain(known.iter().map(|split| split.split.clone())).collect();
                let splits = spread(splits, built.chains.len());
                let assigned = Assigned::new(splits.iter().map(Vec::len).collect(), all);
                let (mut readers, parallelism) = (Vec::new(), self.parallelism[task]);
                for ((chain, splits), counters) in built.chains.into_iter().zip(splits).zip(built.source_counters) {
                    let (mut task, mut reading) = self.source(&source, splits, chain, counters, stop.clone());
                    let subtask = task.chain.subtask();
                    if let Some(participant) = self.participant(built.name.clone(), subtask, parallelism, false) {
                        let (to, commands) = mpsc::channel(COMMANDS);
                        self.wired.commands.push(to);
                        (task.participant, task.commands) = (Some(participant), Some(commands));
                    }
                    task.take_known(&known);
                    if source.source.new_splits_every().is_some() {
                        let (to, new) = mpsc::channel(NEW_SPLITS);
                        reading.new = Some(new);
                        readers.push(to);
                    }
                    self.wired.sources.push((task, reading));
                }
                if let Some(every) = source.source.new_splits_every() {
                    let (node, source) = (source.node.clone(), source.source.clone());
                    self.wired.discoveries.push(Discovery { node, source, every, readers, assigned });
                }
            }
        }
    }

    fn source(
        &self,
        spec: &SourceSpec,
        splits: Vec<SplitPosition>,
        chain: Chain,
        counters: Arc<crate::metrics::Counters>,
        stop: Stop,
    ) -> (SourceTask, Reading) {
        let (to, from) = channel(self.settings.channel_batches, self.settings.channel_bytes);
        let begin = splits.iter().map(|position| (position.split.clone(), position.next)).collect();
        let reading =
            Reading { node: spec.node.clone(), source: spec.source.clone(), splits: begin, new: None, to, counters: counters.clone() };
        let task = SourceTask {
            node: spec.node.clone(),
            watermarks: SplitWatermarks::new(splits.len(), spec.disorder, spec.idle_after, spec.source.new_splits_every().is_some()),
            splits,
            done: Vec::new(),
            commands: None,
            participant: None,
            from,
            decoder: spec.source.decoder(),
            event_time: spec.schema.event_time(),
            watermark_interval: self.settings.watermark_interval,
            drain: stop,
            rows: spec.rows.as_slice().into(),
            dead_letters: spec.dead_letters.as_slice().into(),
            counters,
            chain,
        };
        (task, reading)
    }
}

/// What the rest takes for granted: targets exist and lie later in the chain, exchanges lead to exchange-headed tasks.
fn check(spec: &JobSpec) -> Result<(), JobError> {
    use crate::spec::Target;
    let wrong = |task: &TaskSpec, what: &str| Err(JobError::Wiring(format!("task `{}`: {what}", task.name)));
    for task in &spec.tasks {
        let fits = |from: Option<usize>, target: &Target| match *target {
            Target::Stage(stage) => stage < task.stages.len() && from.is_none_or(|from| stage > from),
            Target::Outlet(outlet) => outlet < task.outlets.len(),
        };
        let of_stages =
            task.stages.iter().enumerate().all(|(at, stage)| stage.outputs.iter().flatten().all(|target| fits(Some(at), target)));
        let of_head = match &task.head {
            Head::Source(source) => source.rows.iter().chain(&source.dead_letters).all(|target| fits(None, target)),
            Head::Exchange => !task.stages.is_empty(),
        };
        if !of_stages || !of_head {
            return wrong(task, "a target does not exist or lies before its stage");
        }
        for outlet in &task.outlets {
            let OutletSpec::Exchange { task: to, partitioning } = outlet else { continue };
            let fits = spec.tasks.get(*to).is_some_and(|to| {
                matches!(to.head, Head::Exchange) && (*partitioning != Partitioning::Forward || to.parallelism == task.parallelism)
            });
            if !fits {
                return wrong(task, "an exchange leads to no task that takes one");
            }
        }
    }
    Ok(())
}
