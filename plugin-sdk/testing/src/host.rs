//! The host's side of a call: checks what the operator hands over, as the real one does, and applies it to the rows as JSON.

use crate::columns;
use crate::error::TestError;
use crate::run::{DeadLetter, Run};
use serde_json::{Map as Object, Value};
use stygian_sdk::Host;
use stygian_sdk::contract::{Batch, Level, OutputShape, OutputSpec};

type Row = Object<String, Value>;

/// Collects one call.
pub(crate) struct Recorder<'a> {
    specs: &'a [OutputSpec],
    input: &'a [Row],
    run: Run,
    last_selected: Vec<Option<u32>>,
    /// The first thing that was wrong.
    problem: Option<String>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(specs: &'a [OutputSpec], input: &'a [Row]) -> Self {
        let outputs = specs.iter().map(|spec| (spec.name.clone(), Vec::new())).collect();
        Self { specs, input, run: Run { outputs, ..Run::default() }, last_selected: vec![None; specs.len()], problem: None }
    }

    pub(crate) fn finish(mut self, logs: Vec<(Level, String)>) -> Result<Run, TestError> {
        self.run.logs = logs;
        self.problem.map_or(Ok(self.run), |problem| Err(TestError::Contract(problem)))
    }

    fn check(&mut self, what: Result<(), String>) {
        if let Err(problem) = what {
            self.problem.get_or_insert(problem);
        }
    }

    fn input_row(&self, row: u32) -> Result<&'a Row, String> {
        let rows = self.input.len();
        self.input.get(row as usize).ok_or_else(|| format!("input row {row} was named, but there are {rows}"))
    }

    fn spec(&self, output: u32) -> Result<&'a OutputSpec, String> {
        let outputs = self.specs.len();
        self.specs.get(output as usize).ok_or_else(|| format!("output {output} was named, but there are {outputs}"))
    }

    fn try_select(&mut self, output: u32, rows: &[u32]) -> Result<(), String> {
        let spec = self.spec(output)?;
        if !matches!(spec.shape, OutputShape::Selected) {
            return Err(format!("`select` on output `{}`, which has columns of its own", spec.name));
        }
        for &row in rows {
            let value = Value::Object(self.input_row(row)?.clone());
            let last = &mut self.last_selected[output as usize];
            if last.is_some_and(|last| last >= row) {
                return Err(format!("rows selected for output `{}` do not ascend at row {row}", spec.name));
            }
            *last = Some(row);
            self.run.outputs[output as usize].1.push(value);
        }
        Ok(())
    }

    fn try_emit(&mut self, output: u32, batch: &Batch, parents: Option<&[u32]>) -> Result<(), String> {
        let spec = self.spec(output)?;
        let rows = match &spec.shape {
            OutputShape::Selected => Err("it passes on input rows only: use `select`".to_owned()),
            OutputShape::Own(_) if parents.is_some() => Err("its rows have no parents".to_owned()),
            OutputShape::Own(fields) => columns::rows(fields, batch),
            OutputShape::Extended(fields) => columns::rows(fields, batch).and_then(|rows| self.extend(rows, parents)),
        };
        let rows = rows.map_err(|problem| format!("`emit` on output `{}`: {problem}", spec.name))?;
        self.run.outputs[output as usize].1.extend(rows.into_iter().map(Value::Object));
        Ok(())
    }

    fn extend(&self, rows: Vec<Row>, parents: Option<&[u32]>) -> Result<Vec<Row>, String> {
        let one_to_one: Vec<u32>;
        let parents = match parents {
            Some(parents) => parents,
            None => {
                one_to_one = (0_u32..).take(self.input.len()).collect();
                &one_to_one
            }
        };
        if parents.len() != rows.len() {
            return Err(format!("{} rows but {} parents", rows.len(), parents.len()));
        }
        rows.into_iter()
            .zip(parents)
            .map(|(new, parent)| self.input_row(*parent).map(|row| row.clone().into_iter().chain(new).collect()))
            .collect()
    }
}

impl Host for Recorder<'_> {
    fn select(&mut self, output: u32, rows: &[u32]) {
        let done = self.try_select(output, rows);
        self.check(done);
    }

    fn emit(&mut self, output: u32, rows: &Batch, parents: Option<&[u32]>) {
        let done = self.try_emit(output, rows, parents);
        self.check(done);
    }

    fn dead_letter(&mut self, row: u32, reason: &str) {
        let letter = self.input_row(row).map(|value| DeadLetter {
            row: row as usize,
            value: Value::Object(value.clone()),
            reason: reason.to_owned(),
        });
        let done = letter.map(|letter| self.run.dead_letters.push(letter));
        self.check(done);
    }
}
