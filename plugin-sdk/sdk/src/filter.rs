//! Filters: keep a row or not.

use crate::contract::{Field, OutputShape, OutputSpec};
use crate::host::Host;
use crate::input::Input;
use crate::operator::{MAIN_OUTPUT, Operator, append_output};
use crate::reject::Reject;
use crate::row::InputRow;
use serde::de::DeserializeOwned;

/// Decides for each row whether it goes on. Rows keep all their columns, also those that the filter does not read.
pub trait Filter: Sized {
    /// What the pipeline's `config` table holds; [`crate::NoConfig`] for nothing.
    type Config: DeserializeOwned;

    /// The columns that are read.
    type Row<'a>: InputRow<'a>;

    /// Makes an instance. An error says what is wrong with the configuration.
    fn open(config: Self::Config) -> Result<Self, String>;

    /// Whether the row goes on. A [`Reject`] sends it to the dead letters.
    fn keep(&self, row: Self::Row<'_>) -> Result<bool, Reject>;
}

/// A filter over batches.
#[derive(Debug)]
pub struct FilterOperator<F>(F);

impl<F: Filter> Operator for FilterOperator<F> {
    type Config = F::Config;

    fn open(config: F::Config) -> Result<Self, String> {
        F::open(config).map(Self)
    }

    fn input() -> Vec<Field> {
        F::Row::fields()
    }

    fn outputs() -> Vec<OutputSpec> {
        vec![append_output(MAIN_OUTPUT, OutputShape::Selected)]
    }

    fn process(&self, input: Input<'_>, host: &mut dyn Host) -> Result<(), String> {
        let columns = F::Row::bind(input)?;
        // Every row is written and only counted when kept: no branch to guess wrong when about half of the rows go on.
        let (mut kept, mut count) = (vec![0; input.rows() as usize], 0);
        for row in 0..input.rows() {
            // SAFETY: below the number of rows that was bound.
            #[allow(unsafe_code)]
            match self.0.keep(unsafe { F::Row::read_unchecked(&columns, row as usize) }) {
                Ok(keep) => {
                    kept[count] = row;
                    count += usize::from(keep);
                }
                Err(reject) => host.dead_letter(row, reject.reason()),
            }
        }
        if count > 0 {
            host.select(0, &kept[..count]);
        }
        Ok(())
    }
}
