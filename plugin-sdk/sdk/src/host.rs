//! What an operator's call may ask of its host, as a trait, so that a test can stand in for it.

use crate::bindings::stygian::plugin::output;
use crate::contract::Batch;

/// Where the rows of one call go. Nothing is applied before the call has returned ok.
pub trait Host {
    /// Passes input rows (strictly ascending) on to an output of shape `selected`.
    fn select(&mut self, output: u32, rows: &[u32]);

    /// Passes rows to an output of shape `own` (no parents) or `extended` (the input row of each; none: row i of input row i).
    fn emit(&mut self, output: u32, rows: &Batch, parents: Option<&[u32]>);

    /// Sends an input row to the dead letters instead.
    fn dead_letter(&mut self, row: u32, reason: &str);
}

/// The host of a component: its imports. They exist inside the sandbox only; natively every call panics.
#[derive(Clone, Copy, Debug)]
pub struct Imports;

impl Host for Imports {
    fn select(&mut self, output: u32, rows: &[u32]) {
        output::select(output, rows);
    }

    fn emit(&mut self, output: u32, rows: &Batch, parents: Option<&[u32]>) {
        output::emit(output, rows, parents);
    }

    fn dead_letter(&mut self, row: u32, reason: &str) {
        output::dead_letter(row, reason);
    }
}
