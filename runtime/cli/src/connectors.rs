//! `stygian connectors`: what there is, and the options of one, made from their doc comments.

use crate::failure::Failure;
use crate::registry::Registry;
use crate::terminal::Terminal;
use serde_json::Value;
use stygian_api::{OptionsDoc, suggest};

/// `stygian connectors [NAME]`
pub(crate) fn print(name: Option<&str>, terminal: &Terminal) -> Result<(), Failure> {
    let registry = Registry::new(terminal);
    let Some(name) = name else {
        for connector in registry.all() {
            let kinds = match (connector.source_options(), connector.sink_options()) {
                (Some(_), Some(_)) => "source, sink",
                (Some(_), None) => "source",
                _ => "sink",
            };
            terminal.out(&format!("{:<12}{:<14}{}\n", connector.name(), kinds, connector.about()))?;
        }
        return Ok(());
    };
    let connector = registry
        .get(name)
        .map_err(|known| Failure::Input(format!("error: there is no connector `{name}`; {}\n", suggest(name, &known))))?;
    terminal.out(&format!("{}: {}\n", connector.name(), connector.about()))?;
    for (table, options) in [("source", connector.source_options()), ("sink", connector.sink_options())] {
        if let Some(options) = options {
            terminal.out(&format!("\n[{table}.NAME]\nconnector = \"{name}\"\n{}", reference(&options)))?;
        }
    }
    Ok(())
}

/// The options as commented TOML keys.
fn reference(options: &OptionsDoc) -> String {
    let required: Vec<&str> = options.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut text = String::new();
    for (key, doc) in options.get("properties").and_then(Value::as_object).into_iter().flatten() {
        text.push('\n');
        for line in doc.get("description").and_then(Value::as_str).unwrap_or_default().lines() {
            text.push_str(&format!("# {}\n", line.trim()));
        }
        let note = if required.contains(&key.as_str()) { "  # required" } else { "" };
        text.push_str(&format!("{key} = {}{note}\n", kind_of(doc, options)));
    }
    text
}

/// What can stand behind a key.
fn kind_of(doc: &Value, options: &OptionsDoc) -> String {
    if let Some(name) = doc.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/")) {
        return options.get("$defs").and_then(|defs| defs.get(name)).map_or_else(|| name.to_owned(), |inner| kind_of(inner, options));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(choices) = doc.get(key).and_then(Value::as_array) {
            let kinds: Vec<String> = choices.iter().map(|choice| kind_of(choice, options)).filter(|kind| kind != "null").collect();
            return kinds.join(" | ");
        }
    }
    if let Some(value) = doc.get("const") {
        return value.to_string();
    }
    if let Some(choices) = doc.get("enum").and_then(Value::as_array) {
        return choices.iter().filter(|choice| !choice.is_null()).map(Value::to_string).collect::<Vec<_>>().join(" | ");
    }
    if let Some(example) = doc.get("examples").and_then(|examples| examples.get(0)) {
        return format!("{example} (for example)");
    }
    match doc.get("type") {
        Some(Value::String(kind)) => format!("<{kind}>"),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            kinds.map(|kind| format!("<{kind}>")).collect::<Vec<_>>().join(" | ")
        }
        _ => "<value>".to_owned(),
    }
}
