//! The names of a case file joined to the pipeline: given rows to sources, expected rows to sinks and to outputs that get a sink of their own.

use super::file::{Action, Case, CaseFile, Expected};
use super::place::{Name, Reading};
use super::rows;
use super::values::Row;
use crate::load::Loaded;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use stygian_api::{Problems, suggest};
use stygian_core::{EventTime, OperatorId};
use stygian_plan::{NodeIndex, NodeKind, Plan};

/// A case in which every name is known and every row has the columns of its stream.
pub(crate) struct ReadyCase {
    pub(crate) name: String,
    pub(crate) start: i64,
    pub(crate) actions: Vec<ReadyAction>,
    pub(crate) ends: bool,
    pub(crate) fails: Option<String>,
    pub(crate) expected: Vec<ReadyExpected>,
}

pub(crate) enum ReadyAction {
    Give { source: String, rows: RecordBatch },
    Watermark { sources: Vec<String>, watermark: EventTime },
    Advance(Duration),
}

pub(crate) struct ReadyExpected {
    /// As the case calls it.
    pub(crate) stream: String,
    /// The sink that collects it.
    pub(crate) sink: String,
    /// The columns that are compared.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Map<String, Value>>,
    pub(crate) ordered: bool,
    pub(crate) tolerance: f64,
}

/// Makes the cases of a file ready, and adds a sink to the plan for every output that they look at.
///
/// # Errors
/// Every problem of the file.
pub(crate) fn ready(file: &CaseFile, loaded: &mut Loaded) -> Result<Vec<ReadyCase>, Problems> {
    let mut joining = Joining { file, plan: &mut loaded.plan, reading: Reading::default(), taps: BTreeMap::new() };
    let cases = file.cases.iter().map(|case| joining.case(case)).collect();
    joining.check_names();
    let mut problems = joining.reading.problems;
    problems.sort_by_key(|problem| problem.at.as_ref().map_or(usize::MAX, |at| at.start));
    problems.dedup();
    if problems.is_empty() { Ok(cases) } else { Err(Problems(problems)) }
}

struct Joining<'a> {
    file: &'a CaseFile,
    plan: &'a mut Plan,
    reading: Reading,
    /// The sinks that were added, by the output that they take.
    taps: BTreeMap<(NodeIndex, usize), String>,
}

impl Joining<'_> {
    fn case(&mut self, case: &Case) -> ReadyCase {
        ReadyCase {
            name: case.name.clone(),
            start: case.start,
            actions: case.actions.iter().filter_map(|action| self.action(action)).collect(),
            ends: case.ends,
            fails: case.fails.clone(),
            expected: case.expected.iter().filter_map(|expected| self.expected(expected)).collect(),
        }
    }

    fn action(&mut self, action: &Action) -> Option<ReadyAction> {
        Some(match action {
            Action::Advance(span) => ReadyAction::Advance(*span),
            Action::Give { source, rows } => {
                let schema = self.source(source)?;
                let filled = self.with_defaults(source, rows);
                let rows = rows::columns(&mut self.reading, &schema, &filled)?;
                ReadyAction::Give { source: source.text.clone(), rows }
            }
            Action::Watermark { source, micros, at } => {
                let sources = match source {
                    Some(source) => {
                        self.source(source)?;
                        vec![source.text.clone()]
                    }
                    None => self.sources(),
                };
                let timed = sources.into_iter().filter(|source| self.has_event_time(source)).collect::<Vec<_>>();
                if timed.is_empty() {
                    self.reading.problem(at.clone(), "no source that this watermark is for has an event time", "name it in the pipeline");
                    return None;
                }
                ReadyAction::Watermark { sources: timed, watermark: EventTime::from_micros(*micros) }
            }
        })
    }

    fn sources(&self) -> Vec<String> {
        let sources = self.plan.nodes.iter().filter(|node| matches!(node.kind, NodeKind::Source(_)));
        sources.map(|node| node.id.to_string()).collect()
    }

    fn has_event_time(&self, source: &str) -> bool {
        let output = self.plan.node(source).and_then(|(_, node)| node.outputs.first());
        output.is_some_and(|output| output.schema.event_time().is_some())
    }

    /// The columns of a source.
    fn source(&mut self, name: &Name) -> Option<SchemaRef> {
        let sources = self.sources();
        if !sources.contains(&name.text) {
            let known: Vec<&str> = sources.iter().map(String::as_str).collect();
            self.reading.problem(name.at.clone(), format!("the pipeline has no source `{}`", name.text), suggest(&name.text, &known));
            return None;
        }
        Some(self.plan.node(&name.text)?.1.outputs.first()?.schema.columns().clone())
    }

    fn with_defaults(&self, source: &Name, rows: &[Row]) -> Vec<Row> {
        let Some(defaults) = self.file.defaults.get(&source.text) else { return rows.to_vec() };
        let filled = |row: &Row| {
            let mut values = defaults.clone();
            values.extend(row.values.clone());
            Row { values, at: row.at.clone() }
        };
        rows.iter().map(filled).collect()
    }

    fn expected(&mut self, expected: &Expected) -> Option<ReadyExpected> {
        let (sink, schema) = self.stream(&expected.stream)?;
        let batch = rows::columns(&mut self.reading, &rows::nullable(&schema), &expected.rows)?;
        let columns = rows::named(&schema, &expected.rows);
        let rows = match rows::objects(&[batch], &columns) {
            Ok(rows) => rows,
            Err(reason) => {
                self.reading.problem(expected.stream.at.clone(), reason, "");
                return None;
            }
        };
        let stream = expected.stream.text.clone();
        Some(ReadyExpected { stream, sink, columns, rows, ordered: expected.ordered, tolerance: expected.tolerance })
    }

    /// The sink that collects a stream, and its columns.
    fn stream(&mut self, name: &Name) -> Option<(String, SchemaRef)> {
        if let Some((_, schema)) = self.plan.sinks().find(|(sink, _)| *sink == name.text) {
            return Some((name.text.clone(), schema.columns().clone()));
        }
        let (node, output) = name.text.split_once('.').map_or((name.text.as_str(), None), |(node, output)| (node, Some(output)));
        let Some((index, found)) = self.plan.node(node) else {
            let known: Vec<String> = self.plan.nodes.iter().map(|node| node.id.to_string()).collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            self.reading.problem(name.at.clone(), format!("the pipeline has no node `{node}`"), suggest(node, &known));
            return None;
        };
        let place = match output {
            None => (!found.outputs.is_empty()).then_some(0),
            Some(output) => found.outputs.iter().position(|planned| planned.name.as_deref() == Some(output)),
        };
        let Some(place) = place else {
            let known: Vec<&str> = found.outputs.iter().filter_map(|output| output.name.as_deref()).collect();
            let output = output.unwrap_or_default();
            let (message, hint) = (format!("`{node}` has no output `{output}`"), suggest(output, &known));
            self.reading.problem(name.at.clone(), message, hint);
            return None;
        };
        let schema = found.outputs[place].schema.columns().clone();
        Some((self.tap(index, place), schema))
    }

    /// The sink of an output, made where there is none yet.
    fn tap(&mut self, node: NodeIndex, output: usize) -> String {
        let sink = self.taps.entry((node, output)).or_insert_with(|| format!("expected {node}.{output}")).clone();
        if self.plan.node(&sink).is_none() {
            self.plan.add_sink(OperatorId::new(&sink), node, output);
        }
        sink
    }

    /// Schemas and defaults of sources that there are not.
    fn check_names(&mut self) {
        let sources = self.sources();
        let known: Vec<&str> = sources.iter().map(String::as_str).collect();
        for name in self.file.schemas.keys().chain(self.file.defaults.keys()).filter(|name| !sources.contains(name)) {
            let problem = stygian_api::Problem::general(format!("the pipeline has no source `{name}`"));
            self.reading.problems.push(problem.hint(suggest(name, &known)));
        }
    }
}
