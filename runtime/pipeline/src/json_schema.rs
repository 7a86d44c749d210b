//! The JSON Schema of the pipeline file, for editors (taplo and others complete and check TOML by it) and for reference pages.
//!
//! It is made of the doc comments of the structs that the file is read into: this crate's, and the connectors', which hand theirs in.

use crate::captures::CapturesKeys;
use crate::checkpoint::CheckpointKeys;
use crate::hdfs::HdfsKeys;
use crate::kerberos::KerberosKeys;
use crate::keys::{OperatorKeys, SinkKeys, SourceKeys};
use crate::restart::RestartKeys;
use crate::settings::SettingsKeys;
use crate::state::StateKeys;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use stygian_api::OptionsDoc;

/// A connector as far as the schema tells of it.
#[derive(Clone, Debug)]
pub struct ConnectorDoc<'a> {
    /// The name in `connector = "..."`.
    pub name: &'a str,
    /// One sentence.
    pub about: &'a str,
    /// Its own keys.
    pub options: OptionsDoc,
}

/// The schema of a pipeline file whose sources and sinks are of these connectors and whose sandbox limits are `limits`.
pub fn json_schema(sources: &[ConnectorDoc<'_>], sinks: &[ConnectorDoc<'_>], limits: &OptionsDoc) -> Value {
    let mut defs = Map::new();
    let mut limits = closed(part(limits.clone().to_value(), "limits", &mut defs));
    let mut operator = closed(part(document::<OperatorKeys>(), "operator", &mut defs));
    set(&mut limits, "description", "Sandbox limits of this plugin where they differ from those of the pipeline.".into());
    set(&mut operator["properties"], "limits", limits.clone());
    set(&mut limits, "description", "Sandbox limits of all plugins.".into());
    set(&mut operator, "oneOf", one_kind());
    let source: Value = node::<SourceKeys>("source", &["connector"], sources, &mut defs);
    let sink: Value = node::<SinkKeys>("sink", &["connector", "input"], sinks, &mut defs);
    let settings = closed(part(document::<SettingsKeys>(), "settings", &mut defs));
    let captures = closed(part(document::<CapturesKeys>(), "captures", &mut defs));
    let checkpoint = closed(part(document::<CheckpointKeys>(), "checkpoint", &mut defs));
    let restart = closed(part(document::<RestartKeys>(), "restart", &mut defs));
    let state = closed(part(document::<StateKeys>(), "state", &mut defs));
    let mut kerberos = closed(part(document::<KerberosKeys>(), "kerberos", &mut defs));
    set(&mut kerberos, "required", json!(["principal", "keytab"]));
    let hdfs = closed(part(document::<HdfsKeys>(), "hdfs", &mut defs));
    let mut schema = json!({
        "$defs": defs,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Stygian pipeline",
        "type": "object",
        "required": ["name", "source", "sink"],
        "additionalProperties": false,
        "properties": {
            "name": { "type": "string", "pattern": NAME, "description": "What the job is called." },
            "settings": settings,
            "limits": limits,
            "captures": captures,
            "checkpoint": checkpoint,
            "restart": restart,
            "state": state,
            "kerberos": kerberos,
            "hdfs": hdfs,
            "source": nodes("Where rows come from: `[source.NAME]`.", &source),
            "operator": nodes("What is done with them: `[operator.NAME]`.", &operator),
            "sink": nodes("Where they go: `[sink.NAME]`.", &sink),
        },
    });
    without_null(&mut schema);
    schema
}

const NAME: &str = "^[a-z][a-z0-9_-]{0,63}$";

fn document<T: JsonSchema>() -> Value {
    SchemaGenerator::default().into_root_schema_for::<T>().to_value()
}

fn nodes(description: &str, node: &Value) -> Value {
    json!({ "type": "object", "description": description, "propertyNames": { "pattern": NAME }, "additionalProperties": node })
}

fn one_kind() -> Value {
    let kinds = ["plugin", "filter", "select", "union", "branch", "dedup", "top"];
    let window = json!({ "required": ["window"], "not": { "required": ["top"] } });
    kinds.iter().map(|kind| json!({ "required": [kind] })).chain([window]).collect()
}

/// A node is of one of the connectors, with that one's keys beside the common ones.
fn node<T: JsonSchema>(prefix: &str, required: &[&str], connectors: &[ConnectorDoc<'_>], defs: &mut Map<String, Value>) -> Value {
    let common = part(document::<T>(), prefix, defs);
    let mut choices = Vec::new();
    for connector in connectors {
        let mut choice = part(connector.options.clone().to_value(), &format!("{prefix}-{}", connector.name), defs);
        let own = choice["properties"].take();
        let mut properties = common["properties"].as_object().cloned().unwrap_or_default();
        properties.extend(own.as_object().cloned().unwrap_or_default());
        properties.insert("connector".into(), json!({ "const": connector.name, "description": connector.about }));
        let own_required = choice["required"].as_array().cloned().unwrap_or_default();
        let required: Vec<Value> = required.iter().map(|key| Value::from(*key)).chain(own_required).collect();
        set(&mut choice, "properties", Value::Object(properties));
        set(&mut choice, "required", Value::Array(required));
        set(&mut choice, "description", connector.about.into());
        choices.push(closed(choice));
    }
    json!({ "oneOf": choices })
}

/// A schema as part of a larger one: its definitions move into `defs` under names of their own.
fn part(mut schema: Value, prefix: &str, defs: &mut Map<String, Value>) -> Value {
    rename_references(&mut schema, prefix);
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        object.remove("title");
        if let Some(Value::Object(own)) = object.remove("$defs") {
            defs.extend(own.into_iter().map(|(name, value)| (format!("{prefix}-{name}"), value)));
        }
    }
    schema
}

fn rename_references(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == "$ref" => {
                        if let Some(name) = text.strip_prefix("#/$defs/") {
                            *text = format!("#/$defs/{prefix}-{name}");
                        }
                    }
                    other => rename_references(other, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename_references(item, prefix)),
        _ => {}
    }
}

fn closed(mut schema: Value) -> Value {
    set(&mut schema, "additionalProperties", false.into());
    schema
}

fn set(schema: &mut Value, key: &str, value: Value) {
    if let Some(object) = schema.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// TOML has no null: an optional key is one that is not there.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice["type"] != "null");
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            if object.get("default") == Some(&Value::Null) {
                object.remove("default");
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}
