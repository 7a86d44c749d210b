//! From text to a checked pipeline: each part of the file is read, checked for itself, and then against the others (`graph`).
//!
//! A part with a problem is left out and reading goes on, so that all problems are told at once; the result is only handed out when
//! there was none. A name is known to the others even where its node has a problem, so that one problem does not cause more.

use crate::captures::{Captures, CapturesKeys};
use crate::checkpoint::{Checkpoint, CheckpointKeys};
use crate::graph::{self, Declared};
use crate::hdfs::{Hdfs, HdfsKeys};
use crate::kerberos::{Kerberos, KerberosKeys};
use crate::keys::{SinkKeys, SourceKeys};
use crate::nodes::{InputRef, SinkNode, SourceNode};
use crate::pipeline::{MAX_FILE_BYTES, Pipeline};
use crate::reader::{Others, Reading, property_names, sort};
use crate::restart::{Restart, RestartKeys};
use crate::settings::{Settings, SettingsKeys};
use crate::state::{State, StateKeys};
use schemars::JsonSchema;
use std::ops::Range;
use std::sync::Arc;
use stygian_api::{Options, Problem, Problems};
use stygian_core::Span;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The most nodes of a pipeline.
const MAX_NODES: usize = 1_000;
const DEFAULT_WATERMARK_DELAY: Span = Span::secs(5);
pub(crate) const ROOT_KEYS: [&str; 12] =
    ["name", "settings", "limits", "captures", "checkpoint", "restart", "state", "kerberos", "hdfs", "source", "operator", "sink"];

/// Reads and checks a file: what of it is sound, and every problem. `Err` where it is no TOML or too large.
pub(crate) fn parse(text: &str) -> Result<(Pipeline, Vec<Problem>), Problems> {
    let root = syntax(text)?;
    let shared: Arc<str> = text.into();
    let mut reading = Reading::new(text);
    let mut declared = Declared::default();
    let root = root.get_ref();
    for (key, _) in root.iter().filter(|(key, _)| !ROOT_KEYS.contains(&key.get_ref().as_ref())) {
        reading.unknown_key(key.get_ref(), key.span(), &ROOT_KEYS);
    }
    let name = job_name(root, &mut reading);
    let settings = settings(root, &mut reading);
    let limits = limits(root, &shared, &mut reading);
    let captures = captures(root, &mut reading);
    let checkpoint = checkpoint(root, &mut reading);
    let restart = restart(root, checkpoint.is_some(), &mut reading);
    let state = state(root, &mut reading);
    let kerberos = kerberos(root, &mut reading);
    let hdfs = hdfs(root, &mut reading);
    if !check_size(root, &mut reading) {
        return Err(Problems(reading.take_problems()));
    }
    let sources = sources(root, &shared, &mut reading, &mut declared);
    let operators = crate::parse_operator::operators(root, &shared, &mut reading, &mut declared);
    let sinks = sinks(root, &shared, &mut reading, &mut declared);
    graph::check(&declared, &mut reading);
    let (problems, mut warnings) = (reading.take_problems(), std::mem::take(&mut reading.warnings));
    sort(&mut warnings);
    let name = name.unwrap_or_default();
    Ok((
        Pipeline {
            name,
            text: shared,
            settings,
            limits,
            captures,
            checkpoint,
            restart,
            state,
            kerberos,
            hdfs,
            sources,
            operators,
            sinks,
            warnings,
        },
        problems,
    ))
}

/// The table of a file that is TOML and not too large.
pub(crate) fn syntax(text: &str) -> Result<Spanned<DeTable<'_>>, Problems> {
    if text.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes, at most {MAX_FILE_BYTES} are read", text.len());
        return Err(Problem::general(message).into());
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table);
    }
    let problem = |error: &toml::de::Error| Problem { at: error.span(), message: error.message().to_owned(), hint: None };
    let mut problems: Vec<Problem> = errors.iter().map(problem).collect();
    sort(&mut problems);
    Err(Problems(problems))
}

fn job_name(root: &DeTable<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let hint = "put `name = \"my-job\"` at the top";
    let Some(value) = root.get("name") else {
        reading.problems.push(Problem::general("the pipeline has no name").hint(hint));
        return None;
    };
    let DeValue::String(name) = value.get_ref() else {
        reading.problem(value.span(), "`name` must be a text", Some(hint.into()));
        return None;
    };
    graph::check_name(name, value.span(), reading).then(|| name.to_string())
}

fn settings(root: &DeTable<'_>, reading: &mut Reading<'_>) -> Settings {
    let Some(value) = root.get("settings") else { return Settings::default() };
    let Some(table) = reading.as_table("settings", value, "write `[settings]`") else { return Settings::default() };
    let keys: SettingsKeys = reading.table(table, value.span(), Others::None);
    keys.check(reading)
}

fn captures(root: &DeTable<'_>, reading: &mut Reading<'_>) -> Captures {
    let Some(value) = root.get("captures") else { return Captures::default() };
    let Some(table) = reading.as_table("captures", value, "write `[captures]`") else { return Captures::default() };
    let keys: CapturesKeys = reading.table(table, value.span(), Others::None);
    keys.check(reading)
}

fn checkpoint(root: &DeTable<'_>, reading: &mut Reading<'_>) -> Option<Checkpoint> {
    let value = root.get("checkpoint")?;
    let table = reading.as_table("checkpoint", value, "write `[checkpoint]`")?;
    let keys: CheckpointKeys = reading.table(table, value.span(), Others::None);
    Some(keys.check(reading))
}

fn kerberos(root: &DeTable<'_>, reading: &mut Reading<'_>) -> Option<Kerberos> {
    let value = root.get("kerberos")?;
    let table = reading.as_table("kerberos", value, "write `[kerberos]`")?;
    let keys: KerberosKeys = reading.table(table, value.span(), Others::None);
    keys.check(value.span(), reading)
}

fn hdfs(root: &DeTable<'_>, reading: &mut Reading<'_>) -> Hdfs {
    let Some(value) = root.get("hdfs") else { return Hdfs::default() };
    let Some(table) = reading.as_table("hdfs", value, "write `[hdfs]`") else { return Hdfs::default() };
    let keys: HdfsKeys = reading.table(table, value.span(), Others::None);
    keys.check(reading)
}

fn restart(root: &DeTable<'_>, checkpoints: bool, reading: &mut Reading<'_>) -> Restart {
    let Some(value) = root.get("restart") else { return Restart::default() };
    let Some(table) = reading.as_table("restart", value, "write `[restart]`") else { return Restart::default() };
    if !checkpoints {
        let hint = "add `[checkpoint]`, or leave `[restart]` out";
        reading.problem(value.span(), "a job without checkpoints has nothing to be started again from", Some(hint.into()));
    }
    let keys: RestartKeys = reading.table(table, value.span(), Others::None);
    keys.check(reading)
}

fn state(root: &DeTable<'_>, reading: &mut Reading<'_>) -> State {
    let Some(value) = root.get("state") else { return State::default() };
    let Some(table) = reading.as_table("state", value, "write `[state]`") else { return State::default() };
    let keys: StateKeys = reading.table(table, value.span(), Others::None);
    keys.check(reading)
}

fn limits(root: &DeTable<'_>, text: &Arc<str>, reading: &mut Reading<'_>) -> Options {
    let table = root.get("limits").and_then(|value| reading.as_table("limits", value, "write `[limits]`"));
    match table {
        Some(_) => Options::new(text.clone(), vec!["limits".into()], Vec::new()),
        None => Options::of_text(""),
    }
}

/// Whether the pipeline is small enough to be looked at further.
fn check_size(root: &DeTable<'_>, reading: &mut Reading<'_>) -> bool {
    let size = |key: &str| root.get(key).and_then(|value| value.get_ref().as_table()).map_or(0, DeTable::len);
    let nodes = size("source") + size("operator") + size("sink");
    if nodes > MAX_NODES {
        reading.problems.push(Problem::general(format!("the pipeline has {nodes} nodes, at most {MAX_NODES} are allowed")));
    }
    for (key, example) in [("source", "[source.events]"), ("sink", "[sink.report]")] {
        if size(key) == 0 {
            reading.problems.push(Problem::general(format!("the pipeline has no {key}")).hint(format!("add `{example}`")));
        }
    }
    nodes <= MAX_NODES
}

fn sources(root: &DeTable<'_>, text: &Arc<str>, reading: &mut Reading<'_>, declared: &mut Declared) -> Vec<SourceNode> {
    let mut sources = Vec::new();
    for (name, table, at) in reading.nodes(root, "source") {
        declared.source(&name, reading);
        let keys: SourceKeys = reading.table(table, at, Others::Connector);
        if keys.event_time.is_none() && !table.contains_key("event_time") {
            needs_event_time(&keys, reading);
        }
        let connector = required_connector(keys.connector, "source", &name, table, reading);
        let duration = |span: Option<Spanned<Span>>| span.map(|span| span.get_ref().0);
        let Some(connector) = connector else { continue };
        sources.push(SourceNode {
            connector,
            event_time: keys.event_time,
            watermark_delay: duration(keys.watermark_delay).unwrap_or(DEFAULT_WATERMARK_DELAY.0),
            idle_after: duration(keys.idle_after),
            options: node_options::<SourceKeys>(text, "source", name.get_ref()),
            name,
        });
    }
    sources
}

fn needs_event_time(keys: &SourceKeys, reading: &mut Reading<'_>) {
    let all = [("watermark_delay", &keys.watermark_delay), ("idle_after", &keys.idle_after)];
    for (key, value) in all {
        if let Some(value) = value {
            let hint = "add `event_time = \"COLUMN\"`";
            reading.problem(value.span(), format!("`{key}` means nothing without `event_time`"), Some(hint.into()));
        }
    }
}

fn sinks(root: &DeTable<'_>, text: &Arc<str>, reading: &mut Reading<'_>, declared: &mut Declared) -> Vec<SinkNode> {
    let mut sinks = Vec::new();
    for (name, table, at) in reading.nodes(root, "sink") {
        let keys: SinkKeys = reading.table(table, at, Others::Connector);
        let connector = required_connector(keys.connector, "sink", &name, table, reading);
        let input = match keys.input {
            Some(input) => input_ref(&input, reading),
            None => {
                missing("sink", &name, "input", "write `input = \"NODE\"`: what the sink writes", table, reading);
                None
            }
        };
        declared.sink(&name, input.as_ref(), reading);
        let (Some(connector), Some(input)) = (connector, input) else { continue };
        sinks.push(SinkNode { input, connector, options: node_options::<SinkKeys>(text, "sink", name.get_ref()), name });
    }
    sinks
}

fn node_options<T: JsonSchema>(text: &Arc<str>, kind: &str, name: &str) -> Options {
    Options::new(text.clone(), vec![kind.to_owned(), name.to_owned()], property_names::<T>())
}

fn required_connector(
    found: Option<Spanned<String>>,
    kind: &str,
    name: &Spanned<String>,
    table: &DeTable<'_>,
    reading: &mut Reading<'_>,
) -> Option<Spanned<String>> {
    if found.is_none() {
        let hint = "write `connector = \"files\"` or another that `stygian connectors` lists";
        missing(kind, name, "connector", hint, table, reading);
    }
    found
}

/// A problem for a key that is not there; none if it is there but wrong, which has been told.
pub(crate) fn missing(kind: &str, name: &Spanned<String>, key: &str, hint: &str, table: &DeTable<'_>, reading: &mut Reading<'_>) {
    if !table.contains_key(key) {
        reading.problem(name.span(), format!("{kind} `{}` has no `{key}`", name.get_ref()), Some(hint.to_owned()));
    }
}

/// `node` or `node.output`.
pub(crate) fn input_ref(value: &Spanned<String>, reading: &mut Reading<'_>) -> Option<InputRef> {
    let text = value.get_ref();
    let (node, output) = match text.split_once('.') {
        Some((node, output)) => (node, Some(output.to_owned())),
        None => (text.as_str(), None),
    };
    let at: Range<usize> = value.span();
    if node.is_empty() || output.as_ref().is_some_and(String::is_empty) {
        reading.problem(at, format!("`{text}` names no stream"), Some("write `NODE` or `NODE.OUTPUT`".into()));
        return None;
    }
    Some(InputRef { node: node.to_owned(), output, at })
}
