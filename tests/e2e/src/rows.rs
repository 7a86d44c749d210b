//! Rows as JSON values, and whether two sets of them are the same.

use crate::program::{Program, python};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The rows of a file of JSON lines.
///
/// # Errors
/// When it cannot be read or is none.
pub fn read_json_lines(path: &Path) -> Result<Vec<Value>> {
    let text = read_text(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()))).collect()
}

/// A file's text, also of a compressed one, by programs that are not ours.
fn read_text(path: &Path) -> Result<String> {
    let bytes = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let output = Command::new("gzip").arg("-dc").arg(path).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        }
        Some("zst") => zstd::decode_all(std::fs::File::open(path)?)?,
        _ => std::fs::read(path)?,
    };
    Ok(String::from_utf8(bytes)?)
}

/// The lines of a file as rows of one column.
fn read_lines(path: &Path) -> Result<Vec<Value>> {
    Ok(read_text(path)?.lines().map(|line| serde_json::json!({ "line": line })).collect())
}

/// The rows of all visible files (JSON lines, lines of text and Parquet) under a folder; a folder `key=value` adds the key as text.
///
/// # Errors
/// When a file cannot be read.
pub fn read_output(folder: &Path) -> Result<Vec<Value>> {
    let (parquet, others): (Vec<PathBuf>, Vec<PathBuf>) =
        visible_files(folder)?.into_iter().partition(|file| file.extension().is_some_and(|extension| extension == "parquet"));
    let mut read: Vec<(PathBuf, Vec<Value>)> = read_parquet(&parquet)?.into_iter().zip(parquet).map(|(rows, file)| (file, rows)).collect();
    for file in others {
        let rows = if file.extension().is_some_and(|extension| extension == "txt") { read_lines(&file)? } else { read_json_lines(&file)? };
        read.push((file, rows));
    }
    let mut rows = Vec::new();
    for (file, read) in read {
        let keys: Vec<(String, String)> = file
            .strip_prefix(folder)?
            .iter()
            .filter_map(|part| part.to_str()?.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        rows.extend(read.into_iter().map(|mut row| {
            for (key, value) in &keys {
                if let Value::Object(row) = &mut row {
                    row.insert(key.clone(), Value::from(value.as_str()));
                }
            }
            row
        }));
    }
    Ok(rows)
}

fn visible_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("no output folder {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(visible_files(&path)?);
        } else if !path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with('.')) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The rows of Parquet files, each file's by itself, as pyarrow reads them.
fn read_parquet(files: &[PathBuf]) -> Result<Vec<Vec<Value>>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/python/read_parquet.py");
    let program = Program::find()?;
    let args = std::iter::once(program.data()).chain(files.iter().map(PathBuf::as_path));
    let read = python(&script, args).with_context(|| format!("pyarrow cannot read all of {files:?}"))?;
    let rows: Vec<Vec<Value>> = serde_json::Deserializer::from_slice(&read).into_iter().collect::<Result<_, _>>()?;
    ensure!(rows.len() == files.len(), "pyarrow has read {} of {} files", rows.len(), files.len());
    Ok(rows)
}

/// How rows differ from those that were expected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Rows that were expected and are not there.
    pub lost: u64,
    /// Rows that are there and were not expected, or were expected once less.
    pub doubled: u64,
    /// The first of them, for people.
    text: String,
}

impl std::error::Error for Differences {}

impl std::fmt::Display for Differences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { lost, doubled, text } = self;
        write!(f, "{lost} rows are missing and {doubled} are not expected, the first of them:\n{text}")
    }
}

impl Differences {
    /// Of rows in any order.
    ///
    /// # Errors
    /// Where there are any.
    pub fn check(found: Vec<Value>, expected: Vec<Value>) -> Result<(), Self> {
        let sorted = |rows: Vec<Value>| {
            let mut rows: Vec<(String, Value)> = rows.into_iter().map(|row| (sort_key(&row), row)).collect();
            rows.sort_by(|a, b| a.0.cmp(&b.0));
            rows
        };
        let (found, expected) = (sorted(found), sorted(expected));
        if found.len() == expected.len() && found.iter().zip(&expected).all(|(found, expected)| same(&found.1, &expected.1)) {
            return Ok(());
        }
        let (mut found, mut expected, mut seen) = (found.into_iter().peekable(), expected.into_iter().peekable(), Self::default());
        loop {
            let order = match (found.peek(), expected.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(found), Some(expected)) => found.0.cmp(&expected.0),
            };
            let found = if order.is_le() { found.next() } else { None };
            let expected = if order.is_ge() { expected.next() } else { None };
            seen.add(found.as_ref().map(|(_, row)| row), expected.as_ref().map(|(_, row)| row));
        }
        if seen == Self::default() { Ok(()) } else { Err(seen) }
    }

    fn add(&mut self, found: Option<&Value>, expected: Option<&Value>) {
        if found.zip(expected).is_some_and(|(found, expected)| same(found, expected)) {
            return;
        }
        for (what, row) in [("found   ", found), ("expected", expected)] {
            if let Some(row) = row.filter(|_| self.lost + self.doubled < 5) {
                self.text.push_str(&format!("{what} {row}\n"));
            }
        }
        self.doubled += u64::from(found.is_some());
        self.lost += u64::from(expected.is_some());
    }
}

/// The row without what may differ in its last digits (fractions) or be left out (nulls).
fn sort_key(row: &Value) -> String {
    match row {
        Value::Object(row) => {
            row.iter().filter(|(_, value)| !value.is_f64() && !value.is_null()).map(|(key, value)| format!("{key}={value};")).collect()
        }
        other => other.to_string(),
    }
}

fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            // A null may be left out.
            let value = |row: &serde_json::Map<String, Value>, key: &str| row.get(key).cloned().unwrap_or(Value::Null);
            found.keys().chain(expected.keys()).all(|key| same(&value(found, key), &value(expected, key)))
        }
        (Value::Number(found), Value::Number(expected)) => match (found.as_f64(), expected.as_f64()) {
            (Some(found), Some(expected)) => (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
            _ => found == expected,
        },
        _ => found == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sees_what_differs_and_nothing_else() {
        let rows = || vec![json!({"k": "a", "x": 1.5}), json!({"k": "b", "x": 2})];
        let turned = vec![json!({"x": 2.000_000_000_000_1, "k": "b", "n": null}), json!({"x": 1.5, "k": "a"})];
        assert_eq!(Differences::check(turned, rows()), Ok(()));
        let counts = |found, expected| {
            let seen = Differences::check(found, expected).expect_err("they differ");
            (seen.lost, seen.doubled)
        };
        assert_eq!(counts(rows(), rows()[..1].to_vec()), (0, 1));
        assert_eq!(counts(rows()[1..].to_vec(), rows()), (1, 0));
        assert_eq!(counts([rows(), rows()].concat(), rows()), (0, 2));
        assert_eq!(counts(vec![json!({"k": "a", "x": 1.5001}), rows()[1].clone()], rows()), (1, 1));
        assert_eq!(counts(vec![json!({"k": "a"}), rows()[1].clone()], rows()), (1, 1));
    }
}
