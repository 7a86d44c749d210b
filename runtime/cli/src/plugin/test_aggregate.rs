//! `stygian plugin test` of aggregates: rows are added call by call to one accumulator, and the result of all is shown. With the rows of each call
//! every function is tried: `accumulate`, `merge` of what the rows alone give, `finish`. Each time on a fresh instance and twice on a used one,
//! which must agree.

// A failed call is rare and its error is looked into at once: by value it reads better than boxed.
#![allow(clippy::result_large_err)]

use super::test::{difference, impure, input_schema, read, rows_of};
use crate::args::TestArgs;
use crate::failure::Failure;
use crate::plugin::rows::json_rows;
use crate::terminal::Terminal;
use anyhow::Context;
use arrow_array::{ArrayRef, BinaryArray, RecordBatch};
use stygian_core::PluginDescription;
use stygian_sandbox::{AggregateOperator, CallError, Plugin};

pub(super) fn test(plugin: &Plugin, description: &PluginDescription, args: &TestArgs, terminal: &Terminal) -> Result<(), Failure> {
    let schema = input_schema(description).map_err(Failure::input)?;
    let batches = read(args, &schema).map_err(Failure::input)?;
    let open = || plugin.aggregate("test", &args.config);
    let (mut used, mut so_far, mut rows) = (open()?, BinaryArray::new_null(1), 0);
    for batch in &batches {
        let fresh = made(&mut open()?, &so_far, batch);
        // Twice, so that what a plugin keeps shows in a single call too.
        for _ in 0..2 {
            if let Some(difference) = difference(&fresh, &made(&mut used, &so_far, batch)) {
                return Err(impure(&rows_of(rows, batch), &difference));
            }
        }
        so_far = fresh.with_context(|| format!("the calls with the rows from row {rows} of the file on"))?.with_all;
        rows += batch.num_rows();
    }
    let result = used.finish(&so_far).context("the result of all rows")?;
    let result = RecordBatch::try_new(used.result().clone(), result).map_err(anyhow::Error::from)?;
    json_rows(&result)?.iter().try_for_each(|row| terminal.out(&format!("{row}\n")))?;
    used.take_logs().iter().for_each(|line| terminal.err(&format!("log {:?}: {}\n", line.level, line.message)));
    terminal.err(&format!("{rows} rows in, one accumulator; fresh and used instances agree\n"));
    Ok(())
}

/// What some rows make of an accumulator.
#[derive(PartialEq)]
struct Made {
    /// The accumulator with the rows added.
    with_all: BinaryArray,
    /// The same with the rows merged into it once more.
    merged: BinaryArray,
    /// The result of both.
    results: Vec<Vec<ArrayRef>>,
}

fn made(aggregate: &mut AggregateOperator, so_far: &BinaryArray, rows: &RecordBatch) -> Result<Made, CallError> {
    let groups = vec![0; rows.num_rows()];
    let with_all = aggregate.accumulate(so_far, rows.columns(), &groups)?;
    let alone = aggregate.accumulate(&BinaryArray::new_null(1), rows.columns(), &groups)?;
    let merged = aggregate.merge(&with_all, &alone)?;
    let results = vec![aggregate.finish(&with_all)?, aggregate.finish(&merged)?];
    Ok(Made { with_all, merged, results })
}
