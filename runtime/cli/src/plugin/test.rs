//! `stygian plugin test`: a plugin in the sandbox on the rows of a file, each call made on a used instance, twice, and on a fresh one.

use crate::args::TestArgs;
use crate::failure::Failure;
use crate::load::open_sandbox;
use crate::plugin::rows::show;
use crate::plugin::{test_aggregate, test_keyed};
use crate::terminal::Terminal;
use anyhow::Context;
use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use std::io::BufReader;
use std::sync::Arc;
use stygian_core::PluginDescription;
use stygian_sandbox::{CallContext, CallError, Limits, Operator, Plugin};

/// `stygian plugin test`
pub(crate) fn test(args: &TestArgs, terminal: &Terminal) -> Result<(), Failure> {
    let sandbox = open_sandbox(Limits::default())?;
    let plugin = sandbox.load(&args.plugin).map_err(Failure::input)?;
    let description = plugin.describe(&args.config).map_err(Failure::input)?;
    if plugin.interfaces().keyed_operator {
        return test_keyed::test(&plugin, &description, args, terminal);
    }
    if plugin.interfaces().aggregate {
        return test_aggregate::test(&plugin, &description, args, terminal);
    }
    let schema = input_schema(&description).map_err(Failure::input)?;
    let batches = read(args, &schema).map_err(Failure::input)?;
    let mut used = operator(&plugin, args, &schema)?;
    let mut totals = vec![0_usize; description.outputs.len()];
    let (mut rows, mut refused) = (0, 0);
    for batch in &batches {
        let fresh = operator(&plugin, args, &schema)?.process(CONTEXT, batch);
        // Twice, so that what a plugin keeps shows in a single call too.
        for _ in 0..2 {
            if let Some(difference) = difference(&fresh, &used.process(CONTEXT, batch)) {
                return Err(impure(&rows_of(rows, batch), &difference));
            }
        }
        let output = fresh.with_context(|| format!("the call with the rows from row {rows} of the file on"))?;
        rows += batch.num_rows();
        refused += output.dead_letters.len();
        show(terminal, &description, batch, &output, &mut totals)?;
    }
    let outputs: Vec<String> = description.outputs.iter().zip(&totals).map(|(output, rows)| format!("{rows} to {}", output.name)).collect();
    terminal.err(&format!("{rows} rows in, {}, {refused} dead letters; fresh and used instances agree\n", outputs.join(", ")));
    Ok(())
}

const CONTEXT: CallContext = CallContext { watermark: None, processing_time: 0 };

/// What rows a call is of, for people.
pub(super) fn rows_of(first: usize, batch: &RecordBatch) -> String {
    format!("rows {first} to {}", first + batch.num_rows() - 1)
}

pub(super) fn impure(what: &str, difference: &str) -> Failure {
    Failure::Run(anyhow::anyhow!("{what}: {difference}; the plugin keeps something between calls, which it must not"))
}

/// How the results of one call on a fresh and on a used instance differ.
pub(super) fn difference<T: PartialEq>(fresh: &Result<T, CallError>, used: &Result<T, CallError>) -> Option<String> {
    match (fresh, used) {
        (Ok(fresh), Ok(used)) if fresh == used => None,
        (Ok(_), Ok(_)) => Some("a fresh instance gives another result than a used one".to_owned()),
        // What a failure says of itself (times, addresses) may vary.
        (Err(fresh), Err(used)) if fresh.situation.kind() == used.situation.kind() => None,
        (Err(fresh), Err(used)) => Some(format!("a fresh instance fails ({fresh}), a used one in another way ({used})")),
        (Ok(_), Err(used)) => Some(format!("a used instance fails ({used}), a fresh one does not")),
        (Err(fresh), Ok(_)) => Some(format!("a fresh instance fails ({fresh}), a used one does not")),
    }
}

fn operator(plugin: &Plugin, args: &TestArgs, schema: &SchemaRef) -> Result<Operator, Failure> {
    Ok(plugin.operator("test", &args.config, schema)?)
}

pub(super) fn input_schema(description: &PluginDescription) -> anyhow::Result<SchemaRef> {
    let input = description.inputs.first().context("the plugin declares no input")?;
    Ok(Arc::new(Schema::new(input.columns.iter().map(stygian_core::Field::arrow).collect::<Vec<_>>())))
}

pub(super) fn read(args: &TestArgs, schema: &SchemaRef) -> anyhow::Result<Vec<RecordBatch>> {
    let doing = || format!("cannot read rows from {}", args.input.display());
    let file = std::fs::File::open(&args.input).with_context(doing)?;
    let reader = arrow_json::ReaderBuilder::new(schema.clone()).with_batch_size(args.rows.max(1)).build(BufReader::new(file));
    reader.and_then(Iterator::collect).with_context(doing)
}
