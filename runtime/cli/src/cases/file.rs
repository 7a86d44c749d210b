//! The file of cases: what is given, in which order, and what is expected.
//!
//! ```toml
//! [defaults.events]                      # columns that given rows of this source leave out
//! kind = "click"
//! [[test]]
//! name = "an hour's clicks are averaged"
//! given.events = [{ user = "ann", amount = 1.0, at = 2026-01-01T00:00:00Z }]
//! watermark = 2026-01-01T01:00:00Z       # of every source, or `watermark.events = ...`
//! advance = "5s"                         # processing time
//! expect.report = [{ user = "ann", average = 1.0 }]
//! expect.clean.dead_letters = []
//! ```
//!
//! `[[test.step]]` tables hold more `given`, `watermark` and `advance`, which follow in this order; then the input ends, unless `end = false`.
//! Columns that no row of an expectation names are not compared.

use super::place::{Name, Placed, Reading};
use super::rows;
use super::values::{self, Row};
use arrow_schema::SchemaRef;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use stygian_api::{Problem, Problems};
use stygian_core::Span;
use stygian_formats::Columns;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How much numbers that are not whole may differ unless an expectation says otherwise.
const TOLERANCE: f64 = 1e-9;
/// Processing time at the beginning of a case: 2000-01-01T00:00:00Z, so that nothing depends on today.
const START: i64 = 946_684_800_000_000;

/// A file of cases.
#[derive(Debug)]
pub(crate) struct CaseFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// The columns of sources whose connectors are not to be asked.
    pub(crate) schemas: BTreeMap<String, SchemaRef>,
    /// By source: what given rows leave out.
    pub(crate) defaults: BTreeMap<String, Map<String, Value>>,
    pub(crate) cases: Vec<Case>,
}

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Processing time at its beginning, in microseconds.
    pub(crate) start: i64,
    pub(crate) actions: Vec<Action>,
    /// Whether the input ends, so that open windows fire.
    pub(crate) ends: bool,
    /// A part of the words with which the job is to fail.
    pub(crate) fails: Option<String>,
    pub(crate) expected: Vec<Expected>,
}

/// What happens next.
#[derive(Debug)]
pub(crate) enum Action {
    Give {
        source: Name,
        rows: Vec<Row>,
    },
    /// No rows before this point of event time (microseconds) follow; of every source, or of one.
    Watermark {
        source: Option<Name>,
        micros: i64,
        at: Range<usize>,
    },
    /// Processing time goes on.
    Advance(Duration),
}

/// What a stream must have carried.
#[derive(Debug)]
pub(crate) struct Expected {
    /// A sink, `node` or `node.output`.
    pub(crate) stream: Name,
    pub(crate) rows: Vec<Row>,
    pub(crate) ordered: bool,
    pub(crate) tolerance: f64,
}

impl CaseFile {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// Every problem of the file.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Problems> {
        let root = DeTable::parse(text).map_err(|error| {
            let at = error.span();
            Problems(vec![Problem { at, message: error.message().to_owned(), hint: None }])
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut reader = Reader { reading: Reading::default(), folder };
        let file = reader.file(path, text, root.get_ref());
        let mut problems = reader.reading.problems;
        if problems.is_empty() && file.cases.is_empty() {
            problems.push(Problem::general("there is no case").hint("begin one with `[[test]]`"));
        }
        problems.sort_by_key(|problem| problem.at.as_ref().map_or(usize::MAX, |at| at.start));
        if problems.is_empty() { Ok(file) } else { Err(Problems(problems)) }
    }
}

struct Reader<'a> {
    reading: Reading,
    /// Where files of rows are.
    folder: &'a Path,
}

const FILE_KEYS: [&str; 3] = ["schema", "defaults", "test"];
const STEP_KEYS: [&str; 3] = ["given", "watermark", "advance"];
const CASE_KEYS: [&str; 9] = ["name", "start", "given", "watermark", "advance", "step", "end", "fails", "expect"];
const EXPECTATION_KEYS: [&str; 4] = ["rows", "file", "ordered", "tolerance"];

impl Reader<'_> {
    fn file(&mut self, path: &Path, text: &str, root: &DeTable<'_>) -> CaseFile {
        self.reading.only_keys(root, &FILE_KEYS);
        let schemas = self.named(root, "schema", |reader, value| reader.schema(value));
        let defaults = self.named(root, "defaults", |reader, value| {
            let table = reader.reading.table(value, "the defaults of a source")?;
            Some(values::object(&mut reader.reading, table))
        });
        let cases = root.get("test").map_or_else(Vec::new, |tests| self.reading.list(tests, "`test`"));
        let cases = cases.into_iter().filter_map(|case| self.case(case)).collect();
        CaseFile { path: path.to_owned(), text: text.to_owned(), schemas, defaults, cases }
    }

    /// The values under `[key.NAME]`.
    fn named<T>(
        &mut self,
        root: &DeTable<'_>,
        key: &str,
        mut read: impl FnMut(&mut Self, &Placed<'_>) -> Option<T>,
    ) -> BTreeMap<String, T> {
        let Some(value) = root.get(key) else { return BTreeMap::new() };
        let Some(table) = self.reading.table(value, &format!("`{key}`")) else { return BTreeMap::new() };
        table.iter().filter_map(|(name, value)| Some((name.get_ref().to_string(), read(self, value)?))).collect()
    }

    fn schema(&mut self, value: &Placed<'_>) -> Option<SchemaRef> {
        let table = self.reading.table(value, "a schema")?.clone();
        match Columns::deserialize(toml::Deserializer::from(Spanned::new(value.span(), table))) {
            Ok(columns) => Some(columns.schema()),
            Err(error) => {
                let at = error.span().unwrap_or_else(|| value.span());
                self.reading.problem(at, error.message(), "");
                None
            }
        }
    }

    fn case(&mut self, value: &Placed<'_>) -> Option<Case> {
        let table = self.reading.table(value, "a test")?;
        self.reading.only_keys(table, &CASE_KEYS);
        let Some(name) = table.get("name") else {
            self.reading.problem(value.span(), "a test needs a `name`", "");
            return None;
        };
        let name = self.reading.text(name, "`name`")?;
        let start = table.get("start").and_then(|start| self.time(start)).unwrap_or(START);
        let mut actions = Vec::new();
        self.step(table, &mut actions);
        let steps = table.get("step").map_or_else(Vec::new, |steps| self.reading.list(steps, "`step`"));
        for step in steps {
            let Some(step) = self.reading.table(step, "a step") else { continue };
            self.reading.only_keys(step, &STEP_KEYS);
            self.step(step, &mut actions);
        }
        let ends = table.get("end").is_none_or(|end| self.reading.flag(end, "`end`"));
        let fails = table.get("fails").and_then(|fails| self.reading.text(fails, "`fails`"));
        let mut expected = Vec::new();
        if let Some(streams) = table.get("expect") {
            self.expectations(streams, None, &mut expected);
        } else if fails.is_none() {
            self.reading.problem(value.span(), format!("test `{name}` expects nothing"), "write `expect.SINK = [...]`");
        }
        Some(Case { name, start, actions, ends, fails, expected })
    }

    fn step(&mut self, table: &DeTable<'_>, actions: &mut Vec<Action>) {
        if let Some(given) = table.get("given")
            && let Some(given) = self.reading.table(given, "`given`")
        {
            for (source, value) in given {
                let rows = values::rows(&mut self.reading, value, self.folder);
                actions.push(Action::Give { source: name(source), rows });
            }
        }
        if let Some(watermark) = table.get("watermark") {
            self.watermarks(watermark, actions);
        }
        if let Some(advance) = table.get("advance")
            && let Some(text) = self.reading.text(advance, "`advance`")
        {
            match text.parse::<Span>() {
                Ok(span) => actions.push(Action::Advance(span.0)),
                Err(error) => self.reading.problem(advance.span(), error.to_string(), ""),
            }
        }
    }

    fn watermarks(&mut self, value: &Placed<'_>, actions: &mut Vec<Action>) {
        let mut push = |reader: &mut Self, source: Option<Name>, value: &Placed<'_>| {
            if let Some(micros) = reader.time(value) {
                actions.push(Action::Watermark { source, micros, at: value.span() });
            }
        };
        match value.get_ref() {
            DeValue::Table(sources) => sources.iter().for_each(|(source, value)| push(self, Some(name(source)), value)),
            _ => push(self, None, value),
        }
    }

    /// A point in time, in microseconds.
    fn time(&mut self, value: &Placed<'_>) -> Option<i64> {
        let text = match value.get_ref() {
            DeValue::Datetime(time) => Some(time.to_string()),
            DeValue::String(text) => Some(text.to_string()),
            _ => None,
        };
        let micros = text.and_then(|text| rows::micros(&text));
        if micros.is_none() {
            self.reading.problem(value.span(), "this is no point in time", "write `2026-01-01T00:00:00Z`");
        }
        micros
    }

    /// `expect.SINK`, `expect.NODE`, `expect.NODE.OUTPUT`.
    fn expectations(&mut self, value: &Placed<'_>, node: Option<&Name>, to: &mut Vec<Expected>) {
        let Some(streams) = self.reading.table(value, "an expectation") else { return };
        for (key, value) in streams {
            let mut stream = name(key);
            if let Some(node) = node {
                stream = Name { text: format!("{}.{}", node.text, stream.text), at: node.at.start..stream.at.end };
            }
            match value.get_ref() {
                DeValue::Table(table) if !EXPECTATION_KEYS.iter().any(|key| table.contains_key(*key)) && node.is_none() => {
                    self.expectations(value, Some(&stream), to);
                }
                _ => to.push(self.expectation(stream, value)),
            }
        }
    }

    fn expectation(&mut self, stream: Name, value: &Placed<'_>) -> Expected {
        let DeValue::Table(table) = value.get_ref() else {
            let rows = values::rows(&mut self.reading, value, self.folder);
            return Expected { stream, rows, ordered: false, tolerance: TOLERANCE };
        };
        self.reading.only_keys(table, &EXPECTATION_KEYS);
        let rows = match (table.get("rows"), table.get("file")) {
            (Some(rows), None) => values::rows(&mut self.reading, rows, self.folder),
            (None, Some(file)) => values::file_rows(&mut self.reading, file, self.folder),
            _ => {
                self.reading.problem(value.span(), "an expectation has `rows` or a `file`", "");
                Vec::new()
            }
        };
        let ordered = table.get("ordered").is_some_and(|ordered| self.reading.flag(ordered, "`ordered`"));
        let tolerance = table.get("tolerance").and_then(|tolerance| self.reading.number(tolerance, "`tolerance`"));
        Expected { stream, rows, ordered, tolerance: tolerance.unwrap_or(TOLERANCE) }
    }
}

fn name(key: &Spanned<std::borrow::Cow<'_, str>>) -> Name {
    Name { text: key.get_ref().to_string(), at: key.span() }
}
