//! Reads tables of the parsed file into structs and collects every problem on the way: unknown keys with a suggestion, wrong values
//! with their place.
//!
//! A key with a wrong value is reported once and then read as if it were missing, so that one mistake hides no other. Structs read
//! here have only optional fields: what must be there is checked (and told) by who asked.

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use std::ops::Range;
use stygian_api::{Problem, suggest};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The problems that are shown of one file.
const MAX_PROBLEMS: usize = 100;

/// A file being read.
pub(crate) struct Reading<'a> {
    pub(crate) file: &'a str,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

/// Whose keys a table may hold besides those of the struct it is read into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// Nobody's: unknown keys are problems.
    None,
    /// A connector's, which reads them itself.
    Connector,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(file: &'a str) -> Self {
        Self { file, problems: Vec::new(), warnings: Vec::new() }
    }

    pub(crate) fn problem(&mut self, at: Range<usize>, message: impl Into<String>, hint: Option<String>) {
        self.problems.push(Problem { at: Some(at), message: message.into(), hint });
    }

    pub(crate) fn warning(&mut self, at: Range<usize>, message: impl Into<String>, hint: Option<String>) {
        self.warnings.push(Problem { at: Some(at), message: message.into(), hint });
    }

    /// Reads the table's keys.
    pub(crate) fn table<T: DeserializeOwned + JsonSchema + Default>(&mut self, table: &DeTable<'_>, at: Range<usize>, others: Others) -> T {
        let known = property_names::<T>();
        let (mut mine, rest): (Vec<_>, Vec<_>) =
            table.clone().into_iter().partition(|(key, _)| known.iter().any(|name| name == key.get_ref()));
        if others == Others::None {
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            for (key, _) in rest {
                self.unknown_key(key.get_ref(), key.span(), &names);
            }
        }
        loop {
            let table: DeTable<'_> = mine.iter().cloned().collect();
            let error = match T::deserialize(toml::Deserializer::from(Spanned::new(at.clone(), table))) {
                Ok(value) => return value,
                Err(error) => error,
            };
            let faulty = error.span().unwrap_or_else(|| at.clone());
            self.problem(faulty.clone(), error.message(), None);
            let before = mine.len();
            mine.retain(|(_, value)| !holds(&value.span(), &faulty));
            if mine.len() == before {
                return T::default();
            }
        }
    }

    pub(crate) fn unknown_key(&mut self, name: &str, at: Range<usize>, known: &[&str]) {
        self.problem(at, format!("unknown key `{name}`"), Some(suggest(name, known)));
    }

    /// The tables under a key of the root: `[source.a]`, `[source.b]`, ... with the places of their names.
    pub(crate) fn nodes<'t, 'i>(&mut self, root: &'t DeTable<'i>, key: &str) -> Vec<(Spanned<String>, &'t DeTable<'i>, Range<usize>)> {
        let Some(value) = root.get(key) else { return Vec::new() };
        let Some(all) = self.as_table(key, value, &format!("write `[{key}.NAME]`")) else { return Vec::new() };
        let mut nodes = Vec::new();
        for (name, value) in all {
            let hint = format!("write `[{key}.{}]`", name.get_ref());
            if let Some(table) = self.as_table(&format!("{key}.{}", name.get_ref()), value, &hint) {
                nodes.push((Spanned::new(name.span(), name.get_ref().to_string()), table, value.span()));
            }
        }
        nodes
    }

    pub(crate) fn as_table<'t, 'i>(&mut self, key: &str, value: &'t Spanned<DeValue<'i>>, hint: &str) -> Option<&'t DeTable<'i>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(table);
        }
        self.problem(value.span(), format!("`{key}` must be a table"), Some(hint.to_owned()));
        None
    }

    /// The problems in the order of the file; at most [`MAX_PROBLEMS`].
    pub(crate) fn take_problems(&mut self) -> Vec<Problem> {
        let mut problems = std::mem::take(&mut self.problems);
        sort(&mut problems);
        problems
    }
}

/// Sorts by place, those of the whole file last, and cuts the list.
pub(crate) fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by_key(|problem| problem.at.as_ref().map_or(usize::MAX, |at| at.start));
    problems.dedup();
    if problems.len() > MAX_PROBLEMS {
        let more = problems.len() - MAX_PROBLEMS;
        problems.truncate(MAX_PROBLEMS);
        problems.push(Problem::general(format!("and {more} more problems")));
    }
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

pub(crate) fn property_names<T: JsonSchema>() -> Vec<String> {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>();
    let properties = schema.get("properties").and_then(serde_json::Value::as_object);
    properties.map(|all| all.keys().cloned().collect()).unwrap_or_default()
}
