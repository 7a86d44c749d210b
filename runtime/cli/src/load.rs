//! From a pipeline file to a plan: the file is checked, every connector and plugin is asked, and every problem found is told at once.

use crate::args::PipelineArgs;
use crate::cases::Script;
use crate::commit_point;
use crate::failure::Failure;
use crate::folders;
use crate::kept::{Kept, KeptIn, kept};
use crate::plugin_uses::plugins_of;
use crate::registry::Registry;
use crate::storage::Reach;
use crate::terminal::Terminal;
use anyhow::Context;
use arrow_schema::SchemaRef;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stygian_api::{CommitPoint, ConnectorContext, Options, Problem, Problems, Sink, Source, suggest};
use stygian_core::{PluginDescription, PluginRef, StreamSchema, escape};
use stygian_engine::operators::PluginAggregate;
use stygian_formats::Columns;
use stygian_pipeline::{MAX_FILE_BYTES, Mode, Pipeline, PluginUse, SinkNode, apply_set, render, render_warnings};
use stygian_plan::{Facts, Plan, SourceFacts};
use stygian_sandbox::{Compiler, Limits, Plugin, Sandbox, SandboxConfig, SandboxError};
use stygian_state::StateLimits;
use toml::Spanned;

/// A pipeline that can run, with all its parts.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) plan: Plan,
    /// The folder that relative paths start at.
    pub(crate) base: PathBuf,
    pub(crate) sources: BTreeMap<String, Arc<dyn Source>>,
    pub(crate) sinks: BTreeMap<String, Arc<dyn Sink>>,
    pub(crate) plugins: BTreeMap<String, Plugin>,
    /// Those that aggregate.
    pub(crate) aggregates: Vec<Arc<PluginAggregate>>,
    /// What each of them is.
    pub(crate) described: BTreeMap<String, Arc<PluginDescription>>,
    /// What commits its checkpoints besides their manifests, in an exactly-once job.
    pub(crate) commit_point: Option<Arc<dyn CommitPoint>>,
    /// How HDFS is reached.
    pub(crate) reach: Reach,
}

/// Loads a pipeline; warnings are told.
///
/// # Errors
/// Every problem, ready to be shown.
pub(crate) async fn load(args: &PipelineArgs, terminal: &Terminal) -> Result<Loaded, Failure> {
    load_by(args, terminal, None, KeptIn::Nothing).await
}

/// Loads a pipeline that is to run: operators whose plugins are not found go on with those that the checkpoint or savepoint has
/// kept that the job goes on from.
///
/// # Errors
/// As [`load`].
pub(crate) async fn load_to_run(args: &PipelineArgs, terminal: &Terminal, from: KeptIn<'_>) -> Result<Loaded, Failure> {
    load_by(args, terminal, None, from).await
}

/// Loads a pipeline whose sources will be given their rows: the outside of a source is not looked at where `schemas` or the pipeline name its
/// columns.
///
/// # Errors
/// As [`load`].
pub(crate) async fn load_on_given_rows(args: &PipelineArgs, terminal: &Terminal, schemas: &GivenSchemas) -> Result<Loaded, Failure> {
    load_by(args, terminal, Some(schemas), KeptIn::Nothing).await
}

/// The columns of sources, by name.
pub(crate) type GivenSchemas = BTreeMap<String, SchemaRef>;

async fn load_by(args: &PipelineArgs, terminal: &Terminal, given: Option<&GivenSchemas>, from: KeptIn<'_>) -> Result<Loaded, Failure> {
    let file = args.pipeline.display().to_string();
    let text = read(&args.pipeline, "the pipeline").map_err(Failure::input)?;
    let shown = |problems: &Problems, text: &str| Failure::Input(render(problems, text, &file, terminal.err_has_color()));
    let text = apply_set(&text, &args.sets).map_err(|problems| shown(&problems, &text))?;
    let (pipeline, problems) = Pipeline::parse_sound_parts(&text).map_err(|problems| shown(&problems, &text))?;
    let mut loading = Loading::new(args, terminal, &pipeline, problems);
    loading.given = given;
    loading.kept = kept(&pipeline, &Reach::of(&pipeline, &loading.base), &loading.base, &loading.plugin_folders, from).await;
    loading.sources().await;
    loading.plugins();
    for (name, kept) in loading.kept.iter().filter_map(|(name, kept)| Some((name, kept.as_ref().ok()?))) {
        terminal.err(&format!("the plugin of `{name}` is not where the pipeline says; going on with {}\n", kept.told));
    }
    let loaded = loading.finish().await.map_err(|problems| shown(&problems, &text))?;
    let warnings: Vec<Problem> = pipeline.warnings.iter().chain(&loaded.plan.warnings).cloned().collect();
    terminal.err(&render_warnings(&warnings, &text, &file, terminal.err_has_color()));
    Ok(loaded)
}

/// The text of a file that is `what`.
///
/// # Errors
/// When it cannot be read, or is too large.
pub(crate) fn read(path: &Path, what: &str) -> anyhow::Result<String> {
    let doing = || format!("cannot read {what} {}", path.display());
    let size = std::fs::metadata(path).with_context(doing)?.len();
    if size > MAX_FILE_BYTES as u64 {
        anyhow::bail!("{what} {} has {size} bytes, more than {MAX_FILE_BYTES}", path.display());
    }
    std::fs::read_to_string(path).with_context(doing)
}

struct Loading<'a> {
    pipeline: &'a Pipeline,
    registry: Registry,
    /// The folder that relative paths start at.
    base: PathBuf,
    plugin_folders: Vec<PathBuf>,
    /// Sources stand in for others, which have these columns.
    given: Option<&'a GivenSchemas>,
    /// By the name of a plugin's facts: what it is where its file is not found, or why that cannot be read.
    kept: BTreeMap<String, Result<Kept, String>>,
    facts: Facts,
    sources: BTreeMap<String, Arc<dyn Source>>,
    plugins: BTreeMap<String, Plugin>,
    aggregates: Vec<Arc<PluginAggregate>>,
    /// Whether the file itself had no problems.
    whole: bool,
    problems: Vec<Problem>,
}

impl<'a> Loading<'a> {
    fn new(args: &PipelineArgs, terminal: &Terminal, pipeline: &'a Pipeline, problems: Vec<Problem>) -> Self {
        let base = args.pipeline.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        Self {
            pipeline,
            registry: Registry::new(terminal),
            plugin_folders: folders::plugins(&args.plugins, &base),
            base,
            given: None,
            kept: BTreeMap::new(),
            facts: Facts::default(),
            sources: BTreeMap::new(),
            plugins: BTreeMap::new(),
            aggregates: Vec::new(),
            whole: problems.is_empty(),
            problems,
        }
    }

    fn context(&self, node: &str) -> ConnectorContext {
        let Reach { hdfs, principal, .. } = Reach::of(self.pipeline, &self.base);
        ConnectorContext { job: self.pipeline.name.clone(), node: node.to_owned(), base: self.base.clone(), principal, hdfs }
    }

    async fn sources(&mut self) {
        for node in &self.pipeline.sources {
            let name = node.name.get_ref();
            match self.source(name, &node.connector, &node.options).await {
                Ok(source) => {
                    self.facts.sources.insert(name.clone(), SourceFacts { columns: source.schema(), bounded: source.bounded() });
                    self.sources.insert(name.clone(), source);
                }
                Err(problems) => {
                    self.problems.extend(problems.0);
                    self.facts.failed.insert(name.clone());
                }
            }
        }
    }

    async fn source(&self, name: &str, connector: &Spanned<String>, options: &Options) -> Result<Arc<dyn Source>, Problems> {
        let found = self.registry.get(connector.get_ref()).map_err(|known| unknown_connector(connector, &known))?;
        if found.source_options().is_none() {
            return Err(Problem::at(connector.span(), format!("`{}` cannot be read from: it is a sink", found.name())).into());
        }
        match self.given.and_then(|given| given.get(name).cloned().or_else(|| named_schema(options))) {
            Some(schema) => Ok(Arc::new(Script::new(schema).0)),
            None => found.source(options, &self.context(name)).await,
        }
    }

    async fn sink(
        &self,
        name: &str,
        connector: &Spanned<String>,
        options: &Options,
        schema: &StreamSchema,
    ) -> Result<Arc<dyn Sink>, Problems> {
        let found = self.registry.get(connector.get_ref()).map_err(|known| unknown_connector(connector, &known))?;
        if found.sink_options().is_none() {
            return Err(Problem::at(connector.span(), format!("`{}` cannot be written to: it is a source", found.name())).into());
        }
        found.sink(options, &self.context(name), schema).await
    }

    /// Loads every plugin and asks it what it is under its configuration.
    fn plugins(&mut self) {
        let mut sandbox = None;
        for place in self.pipeline.operators.iter().flat_map(plugins_of) {
            let name = place.key();
            if let Err(problems) = self.know_plugin(&mut sandbox, &name, place.plugin) {
                self.problems.extend(problems.0);
                self.facts.failed.insert(name);
            }
        }
    }

    fn know_plugin(&mut self, sandbox: &mut Option<Sandbox>, name: &str, plugin: &PluginUse) -> Result<(), Problems> {
        let (loaded, description) = self.plugin(sandbox, name, plugin)?;
        if description.interfaces.aggregate {
            let config = serde_json::Value::Object(plugin.config.clone()).to_string();
            let opened = PluginAggregate::new(loaded.clone(), name, &config);
            let opened = opened.map_err(|error| Problem::at(plugin.plugin_at.clone(), format!("{:#}", anyhow::Error::from(error))))?;
            let opened = Arc::new(opened);
            self.facts.aggregates.insert(name.to_owned(), opened.clone());
            self.aggregates.push(opened);
        }
        self.facts.plugins.insert(name.to_owned(), Arc::new(description));
        self.plugins.insert(name.to_owned(), loaded);
        Ok(())
    }

    /// The component of an operator: its file, or what a checkpoint has kept of it.
    fn component(&self, name: &str, wanted: &PluginUse) -> Result<Component, Problems> {
        let kept = self.kept.get(name);
        if let Some(Ok(Kept { path, component, .. })) = kept {
            return Ok(Component { path: path.clone(), kept: Some(component.clone()) });
        }
        let found = folders::find_plugin(&wanted.plugin, &self.base, &self.plugin_folders).map_err(|reason| {
            let damaged = kept.and_then(|kept| kept.as_ref().err()).map_or_else(String::new, |text| format!("; {text}"));
            Problem::at(wanted.plugin_at.clone(), reason + &damaged)
                .hint("build it with `stygian plugin build`, or say where it is with `--plugins`")
        });
        Ok(Component { path: found?, kept: None })
    }

    fn plugin(&self, sandbox: &mut Option<Sandbox>, name: &str, wanted: &PluginUse) -> Result<(Plugin, PluginDescription), Problems> {
        let at = |message: String| Problems::from(Problem::at(wanted.plugin_at.clone(), message));
        let Component { path, kept } = self.component(name, wanted)?;
        let sandbox = match sandbox {
            Some(sandbox) => sandbox,
            None => sandbox.insert(open_sandbox(self.pipeline.limits.read()?).map_err(|error| at(format!("{error:#}")))?),
        };
        let told = |error: SandboxError| at(format!("{:#}", anyhow::Error::from(error)));
        let loaded = match kept {
            Some(component) => sandbox.load_bytes(&path, component),
            None => sandbox.load(&path),
        };
        let mut plugin = loaded.map_err(told)?;
        if let Some(limits) = &wanted.limits {
            plugin = plugin.with_limits(limits.read()?);
        }
        if let Some(state) = &wanted.state {
            // Only to find problems now: the operator reads them when it is built.
            state.read::<StateLimits>()?;
        }
        let config = serde_json::Value::Object(wanted.config.clone()).to_string();
        let description = plugin.describe(&config);
        let description = description.map_err(|error| {
            Problem::at(wanted.config_at.clone(), format!("{:#}", anyhow::Error::from(error)))
                .hint(format!("the plugin is {}; `stygian plugin inspect` shows more", path.display()))
        })?;
        match &wanted.plugin {
            PluginRef::Named { name, version } if *name != description.name || !version.matches(&description.version) => {
                Err(at(format!("{} is {}@{}, not {}", path.display(), escape(&description.name, 64), description.version, wanted.plugin)))
            }
            _ => Ok((plugin, description)),
        }
    }

    async fn finish(mut self) -> Result<Loaded, Problems> {
        let planned = if self.whole { stygian_plan::plan(self.pipeline, &self.facts) } else { Err(Problems(Vec::new())) };
        let plan = match planned {
            Ok(plan) => plan,
            Err(problems) => {
                self.problems.extend(problems.0);
                // Sinks cannot be asked without a schema; a connector that does not exist is told all the same.
                let unknown =
                    |sink: &SinkNode| Some(unknown_connector(&sink.connector, &self.registry.get(sink.connector.get_ref()).err()?).0);
                let unknown: Vec<Problem> = self.pipeline.sinks.iter().filter_map(unknown).flatten().collect();
                self.problems.extend(unknown);
                return Err(in_order(self.problems));
            }
        };
        let mut sinks = BTreeMap::new();
        for node in &self.pipeline.sinks {
            let name = node.name.get_ref();
            let Some((_, schema)) = plan.sinks().find(|(sink, _)| *sink == name) else { continue };
            match self.sink(name, &node.connector, &node.options, schema).await {
                Ok(sink) => {
                    sinks.insert(name.clone(), sink);
                }
                Err(problems) => self.problems.extend(problems.0),
            }
        }
        self.holds_nothing_without_checkpoints(&sinks);
        let accepts = sinks.iter().map(|(name, sink)| (name.clone(), sink.accepts())).collect();
        if let Err(problems) = plan.check_sinks(&accepts) {
            self.problems.extend(problems.0);
        }
        let commit_point = self.commit_point(&sinks).unwrap_or_else(|problem| {
            self.problems.push(problem);
            None
        });
        if !self.problems.is_empty() {
            return Err(in_order(self.problems));
        }
        let reach = Reach::of(self.pipeline, &self.base);
        let Self { base, sources, plugins, aggregates, facts, .. } = self;
        Ok(Loaded { plan, base, reach, sources, sinks, plugins, aggregates, described: facts.plugins, commit_point })
    }

    /// What waits for a later checkpoint would wait for ever, or not at all.
    fn holds_nothing_without_checkpoints(&mut self, sinks: &BTreeMap<String, Arc<dyn Sink>>) {
        let why = match &self.pipeline.checkpoint {
            None => "the pipeline makes none; add a [checkpoint] table",
            Some(checkpoint) if checkpoint.mode == Mode::AtLeastOnce => {
                "with mode = \"at-least-once\" output does not wait for one; make it \"exactly-once\""
            }
            Some(_) => return,
        };
        for node in &self.pipeline.sinks {
            if let Some(option) = sinks.get(node.name.get_ref()).and_then(|sink| sink.holds_by()) {
                let message = format!("`{option}` holds output back until a later checkpoint, and {why}, or leave the option out");
                self.problems.push(node.options.problem(option, message));
            }
        }
    }

    fn commit_point(&self, sinks: &BTreeMap<String, Arc<dyn Sink>>) -> Result<Option<Arc<dyn CommitPoint>>, Problem> {
        if self.pipeline.checkpoint.as_ref().is_none_or(|checkpoint| checkpoint.mode == Mode::AtLeastOnce) {
            return Ok(None);
        }
        let nodes = &self.pipeline.sinks;
        let in_order = nodes.iter().filter_map(|node| Some((node.name.get_ref().as_str(), sinks.get(node.name.get_ref())?)));
        let point = commit_point::of(in_order).map_err(|(name, message)| {
            let node = nodes.iter().find(|node| *node.name.get_ref() == name);
            match node {
                Some(node) => Problem::at(node.connector.span(), message),
                None => Problem::general(message),
            }
        })?;
        if let (Some(point), Some(checkpoint)) = (&point, &self.pipeline.checkpoint) {
            commit_point::settings(&**point, checkpoint).map_err(Problem::general)?;
        }
        Ok(point)
    }
}

/// A component that is to be loaded.
struct Component {
    path: PathBuf,
    /// Its bytes, where they are not in a file of its own.
    kept: Option<Arc<[u8]>>,
}

/// The columns that a source's own options name, as those of most connectors can.
fn named_schema(options: &Options) -> Option<SchemaRef> {
    #[derive(Deserialize)]
    struct Named {
        schema: Option<Columns>,
    }
    impl JsonSchema for Named {
        fn schema_name() -> Cow<'static, str> {
            "named".into()
        }
        /// Of any keys: the others are the connector's.
        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            Schema::default()
        }
    }
    options.read::<Named>().ok()?.schema.map(|columns| columns.schema())
}

/// In the order of the file.
fn in_order(mut problems: Vec<Problem>) -> Problems {
    problems.sort_by_key(|problem| problem.at.as_ref().map_or(usize::MAX, |at| at.start));
    Problems(problems)
}

fn unknown_connector(connector: &Spanned<String>, known: &[&'static str]) -> Problems {
    let message = format!("there is no connector `{}`", connector.get_ref());
    Problem::at(connector.span(), message).hint(suggest(connector.get_ref(), known)).into()
}

/// A sandbox that compiles in a child process of this very program.
pub(crate) fn open_sandbox(limits: Limits) -> anyhow::Result<Sandbox> {
    let program = std::env::current_exe().context("cannot find this program's own file, which compiles plugins")?;
    let compiler = Compiler::Child { program, args: vec!["compile-component".into()] };
    let mut config = SandboxConfig::new(folders::cache()?, compiler);
    config.limits = limits;
    Ok(Sandbox::new(config)?)
}
