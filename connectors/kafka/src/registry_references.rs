//! A schema that names types of others, as one that stands alone: where a type is named first, what it is is put in its place.

use serde_json::{Map, Value};
use std::collections::HashMap;

/// The longest schema that may come of it.
const MOST: usize = stygian_formats::MAX_SCHEMA_BYTES;

/// The schema with the types of `others` in it; each of them may name types of those before it.
pub(crate) fn inlined(schema: &str, others: &[String]) -> Result<String, String> {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).map_err(|e| format!("it is no JSON: {e}"));
    let mut types = HashMap::new();
    for other in others {
        let mut other = parsed(other)?;
        if let Some((full, namespace)) = name_of(&other, "") {
            // Where it is put, another namespace may be in force.
            if let Value::Object(object) = &mut other {
                object.insert("name".into(), full.rsplit('.').next().unwrap_or_default().into());
                object.insert("namespace".into(), namespace.into());
            }
            types.insert(full, other);
        }
    }
    let mut schema = parsed(schema)?;
    put(&mut schema, "", &mut types);
    let text = schema.to_string();
    if text.len() > MOST { Err(format!("with those that it refers to it takes {} bytes, more than {MOST}", text.len())) } else { Ok(text) }
}

/// The full name of a named type, and its namespace.
fn name_of(schema: &Value, within: &str) -> Option<(String, String)> {
    let kind = schema.get("type").and_then(Value::as_str)?;
    if !matches!(kind, "record" | "error" | "enum" | "fixed") {
        return None;
    }
    let name = schema.get("name").and_then(Value::as_str)?;
    let namespace = schema.get("namespace").and_then(Value::as_str).unwrap_or(within);
    let full = full_name(name, namespace);
    let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
    Some((full, namespace))
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

/// Puts types in the place of their names; each leaves `types` with that, as it is known from there on.
fn put(schema: &mut Value, namespace: &str, types: &mut HashMap<String, Value>) {
    match schema {
        Value::String(name) => {
            if let Some(found) = types.remove(&full_name(name, namespace)).or_else(|| types.remove(name.as_str())) {
                *schema = found;
                put(schema, namespace, types);
            }
        }
        Value::Array(branches) => branches.iter_mut().for_each(|branch| put(branch, namespace, types)),
        Value::Object(_) => {
            let named = name_of(schema, namespace);
            let namespace = named.as_ref().map_or(namespace, |(_, namespace)| namespace.as_str());
            if let Value::Object(object) = schema {
                parts(object, namespace, types);
            }
        }
        _ => {}
    }
}

fn parts(object: &mut Map<String, Value>, namespace: &str, types: &mut HashMap<String, Value>) {
    for key in ["type", "items", "values"] {
        if let Some(part) = object.get_mut(key) {
            put(part, namespace, types);
        }
    }
    let fields = object.get_mut("fields").and_then(Value::as_array_mut);
    for field in fields.into_iter().flatten().filter_map(|field| field.get_mut("type")) {
        put(field, namespace, types);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_type_is_put_where_it_is_named_first() {
        let money = r#"{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"unit","type":"Unit"}]}"#;
        let unit = r#"{"type":"enum","name":"shop.Unit","symbols":["EUR"]}"#;
        let bare = r#"{"type":"fixed","name":"Bare","size":2}"#;
        let schema = r#"{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"paid","type":["null","Money"]},{"name":"due","type":"shop.Money"},{"name":"bare","type":"Bare"}]}"#;
        let text = inlined(schema, &[unit.into(), money.into(), bare.into()]).expect("inlined");
        let unit = json!({ "type": "enum", "name": "Unit", "namespace": "shop", "symbols": ["EUR"] });
        let money = json!({ "type": "record", "name": "Money", "namespace": "shop", "fields": [{ "name": "unit", "type": unit }] });
        let bare = json!({ "type": "fixed", "name": "Bare", "namespace": "", "size": 2 });
        let fields = json!([
            { "name": "paid", "type": ["null", money] }, { "name": "due", "type": "shop.Money" }, { "name": "bare", "type": bare },
        ]);
        let expected = json!({ "type": "record", "name": "Order", "namespace": "shop", "fields": fields });
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), expected);
        stygian_formats::WriterSchema::read(&text).expect("a schema");
    }

    #[test]
    fn what_names_itself_ends() {
        let list = r#"{"type":"record","name":"List","fields":[{"name":"next","type":["null","List"]}]}"#;
        let schema = r#"{"type":"record","name":"r","fields":[{"name":"list","type":"List"}]}"#;
        let text = inlined(schema, &[list.into()]).expect("inlined");
        assert_eq!(stygian_formats::WriterSchema::read(&text).expect_err("recursive"), "it is recursive: a type is within itself");
    }
}
