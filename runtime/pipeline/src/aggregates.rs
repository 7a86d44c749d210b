//! `aggregate = {...}`: what a window computes, each by an SQL aggregate or by a plugin.

use crate::keys::OnError;
use crate::keys::{Instances, SqlTable};
use crate::literal::Literal;
use crate::nodes::{AggregateBy, NamedAggregate, PluginUse};
use crate::parse_operator::{check_column_name, json_table};
use crate::reader::Reading;
use schemars::JsonSchema;
use std::borrow::Cow;
use std::ops::Range;
use stygian_api::suggest;
use toml::Spanned;

/// The table in a schema for editors; read as an [`SqlTable`].
pub(crate) struct AggregateTable;

impl JsonSchema for AggregateTable {
    fn schema_name() -> Cow<'static, str> {
        "aggregate-table".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let plugin = serde_json::json!({
            "type": "object", "additionalProperties": false, "required": ["plugin"],
            "properties": {
                "plugin": { "type": "string", "description": "The plugin: a path to a component, or a name and a version." },
                "config": { "type": "object", "description": "Its configuration; which keys it has, the plugin says. Default: empty." }
            }
        });
        schemars::json_schema!({
            "type": "object", "minProperties": 1, "additionalProperties": { "anyOf": [{ "type": "string" }, plugin] }
        })
    }
}

const HINT: &str = "write an SQL aggregate, \"sum(amount)\", or a plugin, `{ plugin = \"spread@0.1\" }`";

/// The aggregates of a window; at least one.
pub(crate) fn named(table: Spanned<SqlTable>, reading: &mut Reading<'_>) -> Option<Vec<NamedAggregate>> {
    let at = table.span();
    let SqlTable(all) = table.into_inner();
    if all.is_empty() {
        reading.problem(at, "at least one column is needed", Some("write `{ name = \"expression\" }`".into()));
        return None;
    }
    let mut entries = Vec::new();
    for (name, value) in all {
        check_column_name(&name, reading);
        let at = value.span();
        let by = match value.into_inner() {
            toml::Value::String(text) => Some(AggregateBy::Sql(Literal::new(Spanned::new(at, text), reading.file))),
            toml::Value::Table(table) => plugin(table, &at, reading).map(Box::new).map(AggregateBy::Plugin),
            other => {
                reading.problem(at, format!("aggregate `{}` is of type {}", name.get_ref(), other.type_str()), Some(HINT.into()));
                None
            }
        };
        entries.extend(by.map(|by| NamedAggregate { name, by }));
    }
    Some(entries)
}

fn plugin(mut table: toml::Table, at: &Range<usize>, reading: &mut Reading<'_>) -> Option<PluginUse> {
    let (named, config) = (table.remove("plugin"), table.remove("config"));
    for key in table.keys() {
        reading.problem(at.clone(), format!("unknown key `{key}`"), Some(suggest(key, &["plugin", "config"])));
    }
    let Some(toml::Value::String(named)) = named else {
        reading.problem(at.clone(), "an aggregate by a plugin needs `plugin`: its path, or its name and version", Some(HINT.into()));
        return None;
    };
    let config = match config {
        None => serde_json::Map::new(),
        Some(toml::Value::Table(config)) => json_table(config, at, reading),
        Some(other) => {
            reading.problem(at.clone(), format!("`config` is of type {}, it must be a table", other.type_str()), None);
            return None;
        }
    };
    let plugin = named.parse().map_err(|error| reading.problem(at.clone(), format!("{error}"), None)).ok()?;
    Some(PluginUse {
        plugin,
        plugin_at: at.clone(),
        config,
        config_at: at.clone(),
        limits: None,
        instances: Instances::default(),
        key_by: Vec::new(),
        key_by_at: None,
        state: None,
        on_error: OnError::default(),
        max_poison_rate: 0.0,
    })
}
