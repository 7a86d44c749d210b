//! `[operator.*]`: exactly one kind each, and only the keys that belong to it.

use crate::aggregates;
use crate::dedup;
use crate::graph::{self, Declared};
use crate::keys::{OperatorKeys, SqlTable};
use crate::literal::Literal;
use crate::nodes::{InputRef, NamedSql, OnError, OperatorKind, OperatorNode, PluginUse, SelectUse, TopUse, WindowUse};
use crate::parse::{input_ref, missing};
use crate::pipeline::{DEAD_LETTERS, OTHER};
use crate::reader::{Others, Reading};
use crate::top;
use crate::window::{WindowKeys, Windows};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use stygian_api::Options;
use toml::Spanned;
use toml::de::DeTable;

const KINDS: [&str; 8] = ["plugin", "filter", "select", "union", "branch", "dedup", "window", "top"];
/// Keys that go with some kinds only.
const COMPANIONS: [(&str, &[&str]); 10] = [
    ("inputs", &["union"]),
    ("config", &["plugin"]),
    ("limits", &["plugin"]),
    ("instances", &["plugin"]),
    ("state", &["plugin"]),
    ("on_error", &["plugin"]),
    ("max_poison_rate", &["plugin"]),
    ("event_time", &["select"]),
    ("key_by", &["window", "top", "plugin"]),
    ("aggregate", &["window"]),
];
/// One row in twenty.
const DEFAULT_POISON_RATE: f64 = 0.05;
/// The longest name of a column, in bytes.
const MAX_COLUMN_NAME: usize = 256;

pub(crate) fn operators(root: &DeTable<'_>, text: &Arc<str>, reading: &mut Reading<'_>, declared: &mut Declared) -> Vec<OperatorNode> {
    let mut operators = Vec::new();
    for (name, table, at) in reading.nodes(root, "operator") {
        let keys: OperatorKeys = reading.table(table, at, Others::None);
        let kind_name = kind_of(&name, table, reading);
        let inputs = inputs(&keys, &name, kind_name, table, reading);
        let kind = kind_name.and_then(|kind| read_kind(kind, keys, &name, text, table, reading));
        declared.operator(&name, &inputs, kind.as_ref(), reading);
        if let Some(kind) = kind {
            operators.push(OperatorNode { name, inputs, kind });
        }
    }
    operators
}

/// The one kind whose key the table has.
fn kind_of(name: &Spanned<String>, table: &DeTable<'_>, reading: &mut Reading<'_>) -> Option<&'static str> {
    let mut found: Vec<&'static str> = KINDS.into_iter().filter(|kind| table.contains_key(*kind)).collect();
    if found.contains(&"top") {
        // Its windows may be its own.
        found.retain(|kind| *kind != "window");
    }
    match found.as_slice() {
        [kind] => {
            for (key, goes_with) in COMPANIONS.iter().filter(|(_, goes_with)| !goes_with.contains(kind)) {
                if let Some((at, _)) = table.get_key_value(*key) {
                    let goes_with = goes_with.join("` or `");
                    reading.problem(at.span(), format!("`{key}` goes with `{goes_with}`, not with `{kind}`"), None);
                }
            }
            Some(kind)
        }
        [] => {
            let hint = format!("give it one of {}", KINDS.join(", "));
            reading.problem(name.span(), format!("operator `{}` does nothing", name.get_ref()), Some(hint));
            None
        }
        several => {
            let message = format!("operator `{}` has several kinds: {}", name.get_ref(), several.join(", "));
            reading.problem(name.span(), message, Some("make an operator of each and join them by `input`".into()));
            None
        }
    }
}

fn inputs(
    keys: &OperatorKeys,
    name: &Spanned<String>,
    kind: Option<&str>,
    table: &DeTable<'_>,
    reading: &mut Reading<'_>,
) -> Vec<InputRef> {
    if kind == Some("union") {
        if let Some((at, _)) = table.get_key_value("input") {
            reading.problem(at.span(), "a union reads `inputs`, not `input`", Some("write `inputs = [\"a\", \"b\"]`".into()));
        } else {
            missing("operator", name, "inputs", "write `inputs = [\"a\", \"b\"]`", table, reading);
        }
    } else {
        missing("operator", name, "input", "write `input = \"NODE\"`: the stream it reads", table, reading);
    }
    let several = keys.inputs.iter().flat_map(|inputs| inputs.get_ref());
    let inputs: Vec<InputRef> = keys.input.iter().chain(several).filter_map(|input| input_ref(input, reading)).collect();
    match &keys.inputs {
        Some(all) if all.get_ref().len() < 2 => {
            reading.problem(all.span(), "a union needs two inputs or more", None);
        }
        _ => twice(&inputs, reading),
    }
    inputs
}

fn twice(inputs: &[InputRef], reading: &mut Reading<'_>) {
    let mut seen = BTreeSet::new();
    for input in inputs {
        if !seen.insert((&input.node, &input.output)) {
            reading.problem(input.at.clone(), format!("`{input}` is read twice"), Some("every row would be doubled".into()));
        }
    }
}

fn read_kind(
    kind: &str,
    keys: OperatorKeys,
    name: &Spanned<String>,
    text: &Arc<str>,
    table: &DeTable<'_>,
    reading: &mut Reading<'_>,
) -> Option<OperatorKind> {
    match kind {
        "plugin" => plugin(keys, name, text, reading).map(OperatorKind::Plugin),
        "filter" => keys.filter.map(|sql| OperatorKind::Filter(Literal::new(sql, reading.file))),
        "select" => select(keys, reading).map(OperatorKind::Select),
        "union" => union(keys.union.as_ref()?, reading),
        "branch" => branch(keys.branch?, reading).map(OperatorKind::Branch),
        "dedup" => dedup::check(keys.dedup?, reading).map(OperatorKind::Dedup),
        "top" => top(keys, reading).map(OperatorKind::Top),
        _ => window(keys, name, table, reading).map(OperatorKind::Window),
    }
}

fn plugin(keys: OperatorKeys, name: &Spanned<String>, text: &Arc<str>, reading: &mut Reading<'_>) -> Option<PluginUse> {
    let named = keys.plugin?;
    let at = named.span();
    let plugin = named.get_ref().parse().map_err(|error| reading.problem(at.clone(), format!("{error}"), None));
    let config_at = keys.config.as_ref().map_or(at.clone(), Spanned::span);
    let config = keys.config.map(|config| json_table(config.into_inner(), &config_at, reading)).unwrap_or_default();
    let options = |table: &str| {
        let path = vec!["operator".to_owned(), name.get_ref().clone(), table.to_owned()];
        Options::new(text.clone(), path, Vec::new())
    };
    let (key_by_at, key_by) = match keys.key_by {
        Some(key_by) => (Some(key_by.span()), self::key_by(key_by, reading)),
        None => (None, Vec::new()),
    };
    let on_error = keys.on_error.map(Spanned::into_inner).unwrap_or_default();
    let max_poison_rate = max_poison_rate(keys.max_poison_rate, on_error, reading);
    Some(PluginUse {
        plugin: plugin.ok()?,
        plugin_at: at,
        config,
        config_at,
        limits: keys.limits.map(|_| options("limits")),
        instances: keys.instances.map(Spanned::into_inner).unwrap_or_default(),
        key_by,
        key_by_at,
        state: keys.state.map(|_| options("state")),
        on_error,
        max_poison_rate,
    })
}

fn max_poison_rate(rate: Option<Spanned<f64>>, on_error: OnError, reading: &mut Reading<'_>) -> f64 {
    let Some(rate) = rate else { return DEFAULT_POISON_RATE };
    if !(0.0..=1.0).contains(rate.get_ref()) {
        reading.problem(rate.span(), format!("`max_poison_rate` is {}, it must be 0 to 1", rate.get_ref()), None);
    } else if on_error == OnError::Fail {
        let hint = "add `on_error = \"skip\"` or \"dead-letter\"";
        reading.warning(rate.span(), "`max_poison_rate` means nothing where the first such row fails the job", Some(hint.into()));
    }
    *rate.get_ref()
}

pub(crate) fn json_table(table: toml::Table, at: &Range<usize>, reading: &mut Reading<'_>) -> Map<String, Value> {
    table.into_iter().map(|(key, value)| (key, json(value, at, reading))).collect()
}

/// TOML as JSON: dates and times become texts; numbers that JSON lacks are problems.
fn json(value: toml::Value, at: &Range<usize>, reading: &mut Reading<'_>) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Boolean(yes) => yes.into(),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(|item| json(item, at, reading)).collect(),
        toml::Value::Table(table) => Value::Object(json_table(table, at, reading)),
        toml::Value::Float(number) => {
            if !number.is_finite() {
                reading.problem(at.clone(), format!("`{number}` cannot be handed to a plugin"), Some("JSON has no such number".into()));
            }
            number.into()
        }
    }
}

fn select(keys: OperatorKeys, reading: &mut Reading<'_>) -> Option<SelectUse> {
    let columns = named_sql(keys.select?, "column", reading)?;
    for column in &columns {
        check_column_name(&column.name, reading);
    }
    if let Some(time) = &keys.event_time {
        let names: Vec<&str> = columns.iter().map(|column| column.name.get_ref().as_str()).collect();
        if !names.contains(&time.get_ref().as_str()) {
            let message = format!("`{}` is not among the selected columns", time.get_ref());
            reading.problem(time.span(), message, Some(stygian_api::suggest(time.get_ref(), &names)));
        }
    }
    Some(SelectUse { columns, event_time: keys.event_time })
}

fn union(union: &Spanned<bool>, reading: &mut Reading<'_>) -> Option<OperatorKind> {
    if !*union.get_ref() {
        reading.problem(union.span(), "`union` can only be true", Some("leave the key out".into()));
        return None;
    }
    Some(OperatorKind::Union)
}

fn branch(branches: Spanned<SqlTable>, reading: &mut Reading<'_>) -> Option<Vec<NamedSql>> {
    let branches = named_sql(branches, "output", reading)?;
    for NamedSql { name, .. } in &branches {
        if [OTHER, DEAD_LETTERS].contains(&name.get_ref().as_str()) {
            reading.problem(name.span(), format!("every branch has an output `{}` of its own", name.get_ref()), None);
        } else {
            graph::check_name(name.get_ref(), name.span(), reading);
        }
    }
    Some(branches)
}

fn window(keys: OperatorKeys, name: &Spanned<String>, table: &DeTable<'_>, reading: &mut Reading<'_>) -> Option<WindowUse> {
    missing("operator", name, "aggregate", "write `aggregate = { n = \"count(*)\" }`", table, reading);
    let windows = keys.window.and_then(|window| windows(window, reading));
    let aggregates = keys.aggregate.and_then(|aggregates| aggregates::named(aggregates, reading));
    let key_by = keys.key_by.map(|key_by| self::key_by(key_by, reading)).unwrap_or_default();
    let (windows, windows_at) = windows?;
    Some(WindowUse { windows, windows_at, key_by, aggregates: aggregates? })
}

fn windows(keys: Spanned<WindowKeys>, reading: &mut Reading<'_>) -> Option<(Windows, Range<usize>)> {
    let at = keys.span();
    Some((keys.into_inner().check(at.clone(), reading)?, at))
}

fn top(keys: OperatorKeys, reading: &mut Reading<'_>) -> Option<TopUse> {
    let own_windows = keys.window.is_some();
    let windows = keys.window.and_then(|window| windows(window, reading));
    let key_by = keys.key_by.map(|key_by| self::key_by(key_by, reading)).unwrap_or_default();
    let good = windows.is_some() || !own_windows;
    top::check(keys.top?, windows, key_by, reading).filter(|_| good)
}

/// The key columns, each once.
fn key_by(key_by: Spanned<Vec<Spanned<String>>>, reading: &mut Reading<'_>) -> Vec<Spanned<String>> {
    let key_by = key_by.into_inner();
    named_twice(&key_by, reading);
    key_by
}

/// Tells columns that are named twice.
pub(crate) fn named_twice(columns: &[Spanned<String>], reading: &mut Reading<'_>) {
    let mut seen = BTreeSet::new();
    for column in columns.iter().filter(|column| !seen.insert(column.get_ref())) {
        reading.problem(column.span(), format!("`{}` is named twice", column.get_ref()), None);
    }
}

/// The entries of a table of names and SQL; at least one.
fn named_sql(table: Spanned<SqlTable>, what: &str, reading: &mut Reading<'_>) -> Option<Vec<NamedSql>> {
    let at = table.span();
    let mut entries = Vec::new();
    let SqlTable(all) = table.into_inner();
    if all.is_empty() {
        reading.problem(at, format!("at least one {what} is needed"), Some("write `{ name = \"expression\" }`".into()));
        return None;
    }
    for (name, value) in all {
        let at = value.span();
        match value.into_inner() {
            toml::Value::String(text) => {
                entries.push(NamedSql { name, sql: Literal::new(Spanned::new(at, text), reading.file) });
            }
            other => {
                let message =
                    format!("{what} `{}` is of type {}, it must be a text with an SQL expression", name.get_ref(), other.type_str());
                reading.problem(at, message, Some("put it in quotes".into()));
            }
        }
    }
    Some(entries)
}

pub(crate) fn check_column_name(name: &Spanned<String>, reading: &mut Reading<'_>) {
    let length = name.get_ref().len();
    if length == 0 || length > MAX_COLUMN_NAME {
        reading.problem(name.span(), format!("a column's name has 1 to {MAX_COLUMN_NAME} bytes, this one has {length}"), None);
    }
}
