//! Rows as people write them: values of TOML or lines of JSON, each with its place.

use super::place::{Placed, Reading};
use serde_json::{Map, Number, Value};
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// The largest file of rows.
const MAX_ROWS_BYTES: u64 = 64 * 1024 * 1024;

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) values: Map<String, Value>,
    pub(crate) at: Range<usize>,
}

/// A list of tables, or `{ file = "rows.jsonl" }`.
pub(crate) fn rows(reading: &mut Reading, value: &Placed<'_>, folder: &Path) -> Vec<Row> {
    match value.get_ref() {
        DeValue::Array(list) => list.iter().filter_map(|row| row_of(reading, row)).collect(),
        DeValue::Table(table) => {
            reading.only_keys(table, &["file"]);
            match table.get("file") {
                Some(file) => file_rows(reading, file, folder),
                None => Vec::new(),
            }
        }
        _ => {
            reading.problem(value.span(), "rows are a list of tables", "write `[{ user = \"ann\" }]` or `{ file = \"rows.jsonl\" }`");
            Vec::new()
        }
    }
}

fn row_of(reading: &mut Reading, value: &Placed<'_>) -> Option<Row> {
    let table = reading.table(value, "a row")?;
    Some(Row { values: object(reading, table), at: value.span() })
}

/// A file of JSON lines.
pub(crate) fn file_rows(reading: &mut Reading, file: &Placed<'_>, folder: &Path) -> Vec<Row> {
    let Some(name) = reading.text(file, "`file`") else { return Vec::new() };
    let path = folder.join(name);
    let mut text = String::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(MAX_ROWS_BYTES + 1).read_to_string(&mut text));
    match read {
        Err(error) => reading.problem(file.span(), format!("cannot read {}: {error}", path.display()), ""),
        Ok(bytes) if bytes as u64 > MAX_ROWS_BYTES => {
            reading.problem(file.span(), format!("{} has more than {MAX_ROWS_BYTES} bytes", path.display()), "give fewer rows");
        }
        Ok(_) => return lines(reading, &text, file.span(), &path),
    }
    Vec::new()
}

fn lines(reading: &mut Reading, text: &str, at: Range<usize>, path: &Path) -> Vec<Row> {
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str::<Map<String, Value>>(line) {
            Ok(values) => rows.push(Row { values, at: at.clone() }),
            Err(error) => {
                reading.problem(at, format!("line {} of {} is no JSON object: {error}", number + 1, path.display()), "");
                break;
            }
        }
    }
    rows
}

/// A table as a JSON object.
pub(crate) fn object(reading: &mut Reading, table: &DeTable<'_>) -> Map<String, Value> {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), json(reading, value))).collect()
}

fn json(reading: &mut Reading, value: &Placed<'_>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(list) => list.iter().map(|value| json(reading, value)).collect(),
        DeValue::Table(table) => Value::Object(object(reading, table)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).map_or_else(
            |_| {
                reading.problem(value.span(), "this number does not fit 64 bits", "write it as a text");
                Value::Null
            },
            Value::from,
        ),
        DeValue::Float(number) => number.as_str().parse().ok().and_then(Number::from_f64).map_or_else(
            || {
                reading.problem(value.span(), "rows have finite numbers only", "");
                Value::Null
            },
            Value::Number,
        ),
    }
}
