//! The JSON Schema for editors says of every key what it is.

#![allow(clippy::expect_used, clippy::panic)] // Tests and their helpers say what they expect by failing.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;
use stygian_pipeline::{ConnectorDoc, json_schema};

/// What files there are.
#[derive(JsonSchema)]
#[allow(dead_code)]
struct FilesOptions {
    /// The folder.
    path: String,
    /// How rows are written.
    format: Option<Format>,
}

#[derive(JsonSchema)]
#[allow(dead_code)]
enum Format {
    Json,
    Csv,
}

#[derive(JsonSchema)]
#[allow(dead_code)]
struct Limits {
    /// Linear memory of an instance.
    memory: Option<stygian_core::ByteSize>,
}

fn schema() -> Value {
    let doc = || SchemaGenerator::default().into_root_schema_for::<FilesOptions>();
    let files = |about| ConnectorDoc { name: "files", about, options: doc() };
    let console = ConnectorDoc { name: "console", about: "A table.", options: schemars::json_schema!({ "type": "object" }) };
    let limits = SchemaGenerator::default().into_root_schema_for::<Limits>();
    json_schema(&[files("Reads files.")], &[files("Writes files."), console], &limits)
}

fn walk<'a>(schema: &'a Value, path: &str, look: &mut dyn FnMut(&str, &'a Value)) {
    look(path, schema);
    match schema {
        Value::Object(object) => object.iter().for_each(|(key, value)| walk(value, &format!("{path}/{key}"), look)),
        Value::Array(items) => items.iter().for_each(|value| walk(value, path, look)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_null() {
    let schema = schema();
    walk(&schema, "", &mut |path, value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| schema.pointer(pointer));
            assert!(target.is_some(), "{path} refers to {reference}");
        }
        assert_ne!(value, "null", "{path}");
    });
}

#[test]
fn every_key_is_described() {
    let mut keys = 0;
    walk(&schema(), "", &mut |path, value| {
        let Some(properties) = value.get("properties").and_then(Value::as_object) else { return };
        for (key, property) in properties {
            keys += 1;
            assert!(property.get("description").is_some_and(|text| text != ""), "{path}/{key}");
        }
    });
    assert!(keys > 40, "only {keys} keys");
}

#[test]
fn nodes_are_told_apart_by_their_connector() {
    let schema = schema();
    let sinks = schema["properties"]["sink"]["additionalProperties"]["oneOf"].as_array().expect("choices");
    let names: Vec<&Value> = sinks.iter().map(|sink| &sink["properties"]["connector"]["const"]).collect();
    assert_eq!(names, ["files", "console"]);
    assert_eq!(sinks[0]["required"], serde_json::json!(["connector", "input", "path"]));
    let keys: Vec<&String> = sinks[0]["properties"].as_object().expect("keys").keys().collect();
    assert_eq!(keys, ["connector", "format", "input", "path"]);
    let source = &schema["properties"]["source"]["additionalProperties"]["oneOf"][0];
    assert_eq!(source["properties"]["format"]["$ref"], "#/$defs/source-files-Format");
    assert_eq!(source["additionalProperties"], false);
    assert_eq!(
        schema["properties"]["operator"]["additionalProperties"]["properties"]["limits"]["properties"]["memory"]["$ref"],
        "#/$defs/limits-size"
    );
}
