//! Maps: one row out for each row in.

use crate::contract::{Batch, Field, OutputShape, OutputSpec};
use crate::host::Host;
use crate::input::Input;
use crate::operator::{MAIN_OUTPUT, Operator, append_output, for_each_row};
use crate::reject::Reject;
use crate::row::{InputRow, OutputRow};
use serde::de::DeserializeOwned;

/// Makes a new row of each row.
pub trait Map: Sized + 'static {
    /// What the pipeline's `config` table holds; [`crate::NoConfig`] for nothing.
    type Config: DeserializeOwned;

    /// The columns that are read.
    type In<'a>: InputRow<'a>
    where
        Self: 'a;

    /// The columns that are made. They may borrow from those that are read, and from the map.
    type Out<'a>: OutputRow
    where
        Self: 'a;

    /// `true`: the output has all columns of the input, also those that the map does not read, and those of `Out` besides (a column of the
    /// same name is replaced). `false`: it has those of `Out` alone.
    const EXTENDS: bool;

    /// Makes an instance. An error says what is wrong with the configuration.
    fn open(config: Self::Config) -> Result<Self, String>;

    /// The new row. A [`Reject`] sends the old one to the dead letters.
    fn map<'a>(&'a self, row: Self::In<'a>) -> Result<Self::Out<'a>, Reject>;
}

/// A map over batches.
#[derive(Debug)]
pub struct MapOperator<M>(M);

impl<M: Map> MapOperator<M> {
    /// One row out for one row in, so there is room for all from the start, and parents are only told when a row was refused.
    fn run<'a>(&'a self, input: Input<'a>, host: &mut dyn Host) -> Result<(), String> {
        let columns = M::In::bind(input)?;
        let mut builders = M::Out::builders(input.rows() as usize);
        let mut refused: Vec<u32> = Vec::new();
        // SAFETY: rows are below the number that was bound, and each adds one row at most to builders made for as many.
        #[allow(unsafe_code)]
        for_each_row(input.rows(), |row| match self.0.map(unsafe { M::In::read_unchecked(&columns, row as usize) }) {
            Ok(out) => unsafe { out.push_reserved(&mut builders) },
            Err(reject) => {
                refused.push(row);
                host.dead_letter(row, reject.reason());
            }
        });
        let rows = input.rows() - u32::try_from(refused.len()).unwrap_or(input.rows());
        if rows > 0 {
            let parents = (M::EXTENDS && !refused.is_empty()).then(|| rows_without(input.rows(), &refused));
            host.emit(0, &Batch { rows, columns: M::Out::finish(builders) }, parents.as_deref());
        }
        Ok(())
    }
}

/// The rows below `rows` but those refused, which ascend.
fn rows_without(rows: u32, refused: &[u32]) -> Vec<u32> {
    (0..rows).filter(|row| refused.binary_search(row).is_err()).collect()
}

impl<M: Map> Operator for MapOperator<M> {
    type Config = M::Config;

    fn open(config: M::Config) -> Result<Self, String> {
        M::open(config).map(Self)
    }

    fn input() -> Vec<Field> {
        M::In::fields()
    }

    fn outputs() -> Vec<OutputSpec> {
        let columns = M::Out::<'static>::fields();
        vec![append_output(MAIN_OUTPUT, if M::EXTENDS { OutputShape::Extended(columns) } else { OutputShape::Own(columns) })]
    }

    fn process(&self, input: Input<'_>, host: &mut dyn Host) -> Result<(), String> {
        self.run(input, host)
    }
}
