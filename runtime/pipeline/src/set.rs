//! `--set KEY=VALUE`: changes to the text of a pipeline file, so that what follows sees one file and speaks of its places.

use crate::parse::syntax;
use stygian_api::{Problem, Problems};
use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

/// The text with every `dotted.key=value` of `sets` set, comments and order kept. A value is read as TOML (`3`, `true`, `["a"]`); what
/// is no TOML, or takes the place of a text, is a text.
///
/// # Errors
/// The problems of syntax of the text, or every set that cannot be done.
pub fn apply_set(text: &str, sets: &[String]) -> Result<String, Problems> {
    syntax(text)?;
    if sets.is_empty() {
        return Ok(text.to_owned());
    }
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| match e.span() {
        Some(at) => Problem::at(at, e.message()),
        None => Problem::general(e.message()),
    })?;
    let problems: Vec<Problem> = sets.iter().filter_map(|set| apply(&mut document, set).err()).collect();
    if problems.is_empty() { Ok(document.to_string()) } else { Err(Problems(problems)) }
}

fn apply(document: &mut DocumentMut, set: &str) -> Result<(), Problem> {
    let problem =
        |reason: String| Problem::general(format!("`--set {set}` cannot be done: {reason}")).hint("write `--set dotted.key=value`");
    let (path, value) = set.split_once('=').ok_or_else(|| problem("there is no `=`".into()))?;
    let steps = toml_edit::Key::parse(path.trim()).map_err(|_| problem(format!("`{}` is no key", path.trim())))?;
    let (last, tables) = steps.split_last().ok_or_else(|| problem("there is no key".into()))?;
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for step in tables {
        let item = table.entry(step.get()).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        table = item.as_table_like_mut().ok_or_else(|| problem(format!("`{}` is no table", step.get())))?;
    }
    match table.get_mut(last.get()) {
        Some(Item::Value(old)) => {
            let decor = old.decor().clone();
            *old = read(value, old.is_str());
            *old.decor_mut() = decor;
        }
        Some(Item::Table(_) | Item::ArrayOfTables(_)) => return Err(problem(format!("`{}` is a table", last.get()))),
        Some(Item::None) | None => {
            table.insert(last.get(), Item::Value(read(value, false)));
        }
    }
    Ok(())
}

/// A value as TOML, else as text; where a text stood, only a quoted text is TOML.
fn read(value: &str, was_text: bool) -> Value {
    match value.trim().parse::<Value>() {
        Ok(parsed) if parsed.is_str() || !was_text => parsed,
        _ => Value::from(value),
    }
}
