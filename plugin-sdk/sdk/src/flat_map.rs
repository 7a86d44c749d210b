//! Flat-maps: any number of rows for each row, to any number of outputs.

use crate::contract::{Field, OutputSpec};
use crate::host::Host;
use crate::input::Input;
use crate::operator::Operator;
use crate::output::Outputs;
use crate::reject::Reject;
use crate::row::InputRow;
use serde::de::DeserializeOwned;

/// Passes rows to outputs of its choice.
pub trait FlatMap: Sized + 'static {
    /// What the pipeline's `config` table holds; [`crate::NoConfig`] for nothing.
    type Config: DeserializeOwned;

    /// The columns that are read.
    type Row<'a>: InputRow<'a>
    where
        Self: 'a;

    /// The outputs: one, or a struct with `#[derive(Outputs)]`. Rows may borrow from the input's, and from the flat-map.
    type Outputs<'a>: Outputs
    where
        Self: 'a;

    /// Makes an instance. An error says what is wrong with the configuration.
    fn open(config: Self::Config) -> Result<Self, String>;

    /// Works on one row. A [`Reject`] sends it to the dead letters and takes back what it has pushed.
    fn flat_map<'a>(&'a self, row: Self::Row<'a>, out: &mut Self::Outputs<'a>) -> Result<(), Reject>;
}

/// A flat-map over batches.
#[derive(Debug)]
pub struct FlatMapOperator<F>(F);

impl<F: FlatMap> Operator for FlatMapOperator<F> {
    type Config = F::Config;

    fn open(config: F::Config) -> Result<Self, String> {
        F::open(config).map(Self)
    }

    fn input() -> Vec<Field> {
        F::Row::fields()
    }

    fn outputs() -> Vec<OutputSpec> {
        <F::Outputs<'static>>::specs()
    }

    fn process(&self, input: Input<'_>, host: &mut dyn Host) -> Result<(), String> {
        let columns = F::Row::bind(input)?;
        let mut outputs = <F::Outputs<'_>>::with_capacity(input.rows() as usize);
        for row in 0..input.rows() {
            outputs.begin_row(row);
            if let Err(reject) = self.0.flat_map(F::Row::read(&columns, row as usize), &mut outputs) {
                outputs.undo_row();
                host.dead_letter(row, reject.reason());
            }
        }
        outputs.flush(input.rows(), host)
    }
}
