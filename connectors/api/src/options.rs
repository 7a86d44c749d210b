//! The options of a node: its part of the pipeline file, read into a connector's own struct with the place of every problem.

use crate::{Problem, Problems};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// An options struct's JSON Schema, of which reference pages and editors' schemas are made.
pub type OptionsDoc = Schema;

/// The keys of one node that its connector (or operator) understands. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Options {
    /// The whole file, which parses.
    text: Arc<str>,
    /// The tables to step into, from the root.
    path: Vec<String>,
    /// Keys of the node that others read.
    taken: Vec<String>,
}

impl Options {
    /// The node at `path` of a file, without the keys in `taken`, which are common to all nodes.
    pub fn new(text: Arc<str>, path: Vec<String>, taken: Vec<String>) -> Self {
        Self { text, path, taken }
    }

    /// The keys of a text without any other node around them, for tests and tools.
    pub fn of_text(text: &str) -> Self {
        Self::new(text.into(), Vec::new(), Vec::new())
    }

    /// Reads all keys into `T`. Every unknown key and every wrong value is reported, each with its place.
    ///
    /// # Errors
    /// All problems found.
    pub fn read<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Problems> {
        let mut table = self.table()?;
        let mut problems = self.take_unknown::<T>(&mut table);
        let whole = table.span();
        loop {
            match T::deserialize(toml::Deserializer::from(table.clone())) {
                Ok(value) if problems.is_empty() => return Ok(value),
                Ok(_) => return Err(Problems(problems)),
                Err(error) => {
                    let at = error.span().unwrap_or_else(|| whole.clone());
                    problems.push(Problem::at(at.clone(), error.message()));
                    if !take_key_at(&mut table, &at) {
                        return Err(Problems(problems));
                    }
                }
            }
        }
    }

    /// Where the node stands in the file.
    pub fn span(&self) -> Range<usize> {
        self.table().map_or(0..self.text.len(), |table| table.span())
    }

    /// Where a key's value stands, or the node if it has no such key.
    pub fn span_of(&self, key: &str) -> Range<usize> {
        let span = |table: Spanned<DeTable<'_>>| table.get_ref().get(key).map(Spanned::span);
        self.table().ok().and_then(span).unwrap_or_else(|| self.span())
    }

    /// A problem with a key's value.
    pub fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        Problem::at(self.span_of(key), message)
    }

    fn table(&self) -> Result<Spanned<DeTable<'_>>, Problems> {
        let whole = 0..self.text.len();
        let mut table = DeTable::parse(&self.text).map_err(|e| Problem::at(e.span().unwrap_or(whole.clone()), e.message()))?;
        for step in &self.path {
            let inner = table.get_mut().remove(step.as_str());
            let span = inner.as_ref().map_or(whole.clone(), Spanned::span);
            let Some(DeValue::Table(inner)) = inner.map(Spanned::into_inner) else {
                return Err(Problem::at(span, format!("`{step}` is no table")).into());
            };
            table = Spanned::new(span, inner);
        }
        keep(&mut table, |key, _| !self.taken.iter().any(|taken| taken == key));
        Ok(table)
    }

    fn take_unknown<T: JsonSchema>(&self, table: &mut Spanned<DeTable<'_>>) -> Vec<Problem> {
        let Some(known) = property_names::<T>() else { return Vec::new() };
        let unknown = |key: &str| !known.iter().any(|k| k == key);
        let all: Vec<&str> = known.iter().chain(&self.taken).map(String::as_str).collect();
        let problems = table.get_ref().iter().filter(|(key, _)| unknown(key.get_ref())).map(|(key, _)| {
            let name = key.get_ref();
            Problem::at(key.span(), format!("unknown key `{name}`")).hint(suggest(name, &all))
        });
        let problems = problems.collect();
        keep(table, |key, _| !unknown(key));
        problems
    }
}

/// Advice on a name that is not among the known ones.
pub fn suggest(name: &str, known: &[&str]) -> String {
    let scored = known.iter().map(|k| (strsim::jaro_winkler(name, k), k));
    match scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, near)) => format!("did you mean `{near}`?"),
        None => format!("known: {}", known.join(", ")),
    }
}

fn property_names<T: JsonSchema>() -> Option<Vec<String>> {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>();
    schema.get("properties")?.as_object().map(|properties| properties.keys().cloned().collect())
}

/// Drops the keys that `wanted` (told the key and the place of its value) does not want.
fn keep(table: &mut Spanned<DeTable<'_>>, wanted: impl Fn(&str, Range<usize>) -> bool) {
    let all = std::mem::take(table.get_mut());
    table.get_mut().extend(all.into_iter().filter(|(key, value)| wanted(key.get_ref(), value.span())));
}

/// Removes the key whose value holds the faulty range; false when there is none (a missing key, say).
fn take_key_at(table: &mut Spanned<DeTable<'_>>, at: &Range<usize>) -> bool {
    let before = table.get_ref().len();
    keep(table, |_, value| !(value.start <= at.start && at.end <= value.end));
    table.get_ref().len() < before
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    struct Sample {
        path: String,
        rows: Option<u32>,
        size: Option<stygian_core::ByteSize>,
    }

    #[test]
    fn reads_a_node_without_the_keys_of_others() {
        let text = "[source.a]\nconnector = \"files\"\npath = \"x\"\nsize = \"1 KiB\"\n";
        let path = vec!["source".into(), "a".into()];
        let options = Options::new(text.into(), path, vec!["connector".into()]);
        let sample = Sample { path: "x".into(), rows: None, size: Some(stygian_core::ByteSize::kib(1)) };
        assert_eq!(options.read::<Sample>(), Ok(sample));
        assert_eq!(&text[options.span_of("path")], "\"x\"");
    }

    #[test]
    fn reports_every_problem_with_its_place() {
        let text = "pth = \"x\"\nrows = \"many\"\nsize = \"big\"\n";
        let problems = Options::of_text(text).read::<Sample>().expect_err("four problems").0;
        let places: Vec<&str> = problems.iter().map(|p| &text[p.at.clone().expect("a place")]).collect();
        assert_eq!(places[..3], ["pth", "\"many\"", "\"big\""]);
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `path`?"));
        assert_eq!(problems[3].message, "missing field `path`");
    }
}
