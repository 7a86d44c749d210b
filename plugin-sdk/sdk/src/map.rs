//! Maps: one row out for each row in.

use crate::contract::{Field, OutputSpec};
use crate::host::Host;
use crate::input::Input;
use crate::operator::{MAIN_OUTPUT, Operator};
use crate::output::{ExtendedOutput, Output, OutputPort, RowPort};
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
    fn run<'a, P: RowPort<M::Out<'a>>>(&'a self, input: Input<'a>, host: &mut dyn Host) -> Result<(), String> {
        let columns = M::In::bind(input)?;
        let mut port = P::with_capacity(input.rows() as usize);
        for row in 0..input.rows() {
            match self.0.map(M::In::read(&columns, row as usize)) {
                Ok(out) => {
                    port.begin_row(row);
                    port.push(out);
                }
                Err(reject) => host.dead_letter(row, reject.reason()),
            }
        }
        port.flush(0, input.rows(), host);
        Ok(())
    }
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
        vec![if M::EXTENDS { ExtendedOutput::<M::Out<'static>>::spec(MAIN_OUTPUT) } else { Output::<M::Out<'static>>::spec(MAIN_OUTPUT) }]
    }

    fn process(&self, input: Input<'_>, host: &mut dyn Host) -> Result<(), String> {
        if M::EXTENDS { self.run::<ExtendedOutput<M::Out<'_>>>(input, host) } else { self.run::<Output<M::Out<'_>>>(input, host) }
    }
}
