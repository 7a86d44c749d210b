//! Outputs of flat-maps and keyed operators: typed ports that collect the rows of a call and hand them to the host at its end.
//!
//! Rows that were pushed for an input row can be taken back until the next input row begins.

use crate::contract::{Batch, OutputShape, OutputSpec};
use crate::host::Host;
use crate::operator::{MAIN_OUTPUT, append_output};
use crate::row::OutputRow;

/// In the place of an input row where none belongs to what is pushed: a timer has fired.
pub(crate) const NO_ROW: u32 = u32::MAX;

/// All outputs of an operator: one port, named `main`, or a struct of ports with `#[derive(Outputs)]`.
pub trait Outputs {
    /// The outputs, in the order of their indices.
    fn specs() -> Vec<OutputSpec>;

    /// Empty outputs of a call with so many input rows.
    fn with_capacity(rows: usize) -> Self;

    /// What is pushed from now on comes from this input row.
    fn begin_row(&mut self, row: u32);

    /// Takes back what was pushed since the input row began.
    fn undo_row(&mut self);

    /// Hands everything to the host; the call had `rows` input rows. An error names an output that needs some where there were none.
    fn flush(self, rows: u32, host: &mut dyn Host) -> Result<(), String>;
}

/// One output.
pub trait OutputPort: Sized {
    /// An empty output of a call with so many input rows.
    fn with_capacity(rows: usize) -> Self;

    /// What it is, under a name.
    fn spec(name: &str) -> OutputSpec;

    /// What is pushed from now on comes from this input row.
    fn begin_row(&mut self, row: u32);

    /// Takes back what was pushed since the input row began.
    fn undo_row(&mut self);

    /// Hands everything to the host as output `index`; the call had `rows` input rows. An error says that it needs some where there were none.
    fn flush(self, index: u32, rows: u32, host: &mut dyn Host) -> Result<(), &'static str>;
}

/// An operator with one output needs no struct for it.
impl<P: OutputPort> Outputs for P {
    fn specs() -> Vec<OutputSpec> {
        vec![P::spec(MAIN_OUTPUT)]
    }

    fn with_capacity(rows: usize) -> Self {
        OutputPort::with_capacity(rows)
    }

    #[inline]
    fn begin_row(&mut self, row: u32) {
        OutputPort::begin_row(self, row);
    }

    fn undo_row(&mut self) {
        OutputPort::undo_row(self);
    }

    fn flush(self, rows: u32, host: &mut dyn Host) -> Result<(), String> {
        OutputPort::flush(self, 0, rows, host).map_err(|problem| format!("the output {problem}"))
    }
}

const NO_PARENT: &str = "passes input rows on, but a timer has none: give what timers make an `Output` of its own";

/// Rows that are collected, and how many there were when the present input row began.
struct Collected<T: OutputRow> {
    builders: T::Builders,
    rows: u32,
    mark: u32,
}

impl<T: OutputRow> Collected<T> {
    fn with_capacity(rows: usize) -> Self {
        Self { builders: T::builders(rows), rows: 0, mark: 0 }
    }

    #[inline]
    fn push(&mut self, row: T) {
        row.push(&mut self.builders);
        self.rows += 1;
    }

    fn undo(&mut self) {
        if self.rows != self.mark {
            T::truncate(&mut self.builders, self.mark as usize);
            self.rows = self.mark;
        }
    }

    fn emit(self, index: u32, parents: Option<&[u32]>, host: &mut dyn Host) {
        if self.rows > 0 {
            host.emit(index, &Batch { rows: self.rows, columns: T::finish(self.builders) }, parents);
        }
    }
}

/// Rows with the columns of `T` alone.
pub struct Output<T: OutputRow>(Collected<T>);

impl<T: OutputRow> Output<T> {
    /// Adds a row.
    #[inline]
    pub fn push(&mut self, row: T) {
        self.0.push(row);
    }
}

impl<T: OutputRow> OutputPort for Output<T> {
    fn with_capacity(rows: usize) -> Self {
        Self(Collected::with_capacity(rows))
    }

    fn spec(name: &str) -> OutputSpec {
        append_output(name, OutputShape::Own(T::fields()))
    }

    #[inline]
    fn begin_row(&mut self, _row: u32) {
        self.0.mark = self.0.rows;
    }

    fn undo_row(&mut self) {
        self.0.undo();
    }

    fn flush(self, index: u32, _rows: u32, host: &mut dyn Host) -> Result<(), &'static str> {
        self.0.emit(index, None, host);
        Ok(())
    }
}

/// Rows with all columns of the input row they come from, and those of `T` besides.
pub struct ExtendedOutput<T: OutputRow> {
    collected: Collected<T>,
    /// The input row of each row; `None` as long as row i comes from input row i, as it does in most maps.
    parents: Option<Vec<u32>>,
    row: u32,
}

impl<T: OutputRow> ExtendedOutput<T> {
    /// Adds a row that extends the present input row.
    #[inline]
    pub fn push(&mut self, row: T) {
        if self.parents.is_some() || self.collected.rows != self.row {
            self.parents.get_or_insert_with(|| (0..self.collected.rows).collect()).push(self.row);
        }
        self.collected.push(row);
    }
}

impl<T: OutputRow> OutputPort for ExtendedOutput<T> {
    fn with_capacity(rows: usize) -> Self {
        Self { collected: Collected::with_capacity(rows), parents: None, row: 0 }
    }

    fn spec(name: &str) -> OutputSpec {
        append_output(name, OutputShape::Extended(T::fields()))
    }

    #[inline]
    fn begin_row(&mut self, row: u32) {
        self.collected.mark = self.collected.rows;
        self.row = row;
    }

    fn undo_row(&mut self) {
        self.collected.undo();
        if let Some(parents) = &mut self.parents {
            parents.truncate(self.collected.rows as usize);
        }
    }

    fn flush(self, index: u32, rows: u32, host: &mut dyn Host) -> Result<(), &'static str> {
        if rows == 0 && self.collected.rows > 0 {
            return Err(NO_PARENT);
        }
        let one_to_one = |parents: &Vec<u32>| parents.iter().copied().eq(0..rows);
        let parents = match self.parents {
            None if self.collected.rows == rows => None,
            None => Some((0..self.collected.rows).collect()),
            Some(parents) => Some(parents).filter(|parents| !one_to_one(parents)),
        };
        self.collected.emit(index, parents.as_deref(), host);
        Ok(())
    }
}

/// Input rows as they are. An input row is there once however often it is kept.
#[derive(Debug)]
pub struct SelectedOutput {
    rows: Vec<u32>,
    row: u32,
}

impl SelectedOutput {
    /// Passes on the present input row.
    #[inline]
    pub fn keep(&mut self) {
        if self.rows.last() != Some(&self.row) {
            self.rows.push(self.row);
        }
    }
}

impl OutputPort for SelectedOutput {
    fn with_capacity(rows: usize) -> Self {
        Self { rows: Vec::with_capacity(rows), row: 0 }
    }

    fn spec(name: &str) -> OutputSpec {
        append_output(name, OutputShape::Selected)
    }

    #[inline]
    fn begin_row(&mut self, row: u32) {
        self.row = row;
    }

    fn undo_row(&mut self) {
        if self.rows.last() == Some(&self.row) {
            self.rows.pop();
        }
    }

    fn flush(self, index: u32, rows: u32, host: &mut dyn Host) -> Result<(), &'static str> {
        if self.rows.is_empty() {
            return Ok(());
        }
        if rows == 0 {
            return Err(NO_PARENT);
        }
        host.select(index, &self.rows);
        Ok(())
    }
}
