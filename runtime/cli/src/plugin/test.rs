//! `stygian plugin test`: a plugin in the sandbox on the rows of a file, each call made on a used and on a fresh instance.

use crate::args::TestArgs;
use crate::failure::Failure;
use crate::load::open_sandbox;
use crate::terminal::Terminal;
use anyhow::Context;
use arrow_array::RecordBatch;
use arrow_json::LineDelimitedWriter;
use arrow_schema::{Schema, SchemaRef};
use std::io::BufReader;
use std::sync::Arc;
use stygian_core::PluginDescription;
use stygian_sandbox::{CallContext, CallOutput, Limits, Operator, Piece, Plugin};

/// `stygian plugin test`
pub(crate) fn test(args: &TestArgs, terminal: &Terminal) -> Result<(), Failure> {
    let sandbox = open_sandbox(Limits::default())?;
    let plugin = sandbox.load(&args.plugin).map_err(Failure::input)?;
    let description = plugin.describe(&args.config).map_err(Failure::input)?;
    let schema = input_schema(&description).map_err(Failure::input)?;
    let batches = read(args, &schema).map_err(Failure::input)?;
    let mut used = operator(&plugin, args, &schema)?;
    let mut totals = vec![0_usize; description.outputs.len()];
    let (mut rows, mut refused) = (0, 0);
    for batch in &batches {
        let context = CallContext { watermark: None, processing_time: 0 };
        let output = used.process(context, batch)?;
        let fresh = operator(&plugin, args, &schema)?.process(context, batch)?;
        if output != fresh {
            let message = format!("rows {rows} to {}: a fresh instance gives another result than a used one", rows + batch.num_rows() - 1);
            return Err(Failure::Run(anyhow::anyhow!("{message}; the plugin keeps something between calls, which it must not")));
        }
        rows += batch.num_rows();
        refused += output.dead_letters.len();
        show(terminal, &description, batch, &output, &mut totals)?;
    }
    let outputs: Vec<String> = description.outputs.iter().zip(&totals).map(|(output, rows)| format!("{rows} to {}", output.name)).collect();
    terminal.err(&format!("{rows} rows in, {}, {refused} dead letters; fresh and used instances agree\n", outputs.join(", ")));
    Ok(())
}

fn operator(plugin: &Plugin, args: &TestArgs, schema: &SchemaRef) -> Result<Operator, Failure> {
    Ok(plugin.operator("test", &args.config, schema)?)
}

fn input_schema(description: &PluginDescription) -> anyhow::Result<SchemaRef> {
    let input = description.inputs.first().context("the plugin declares no input")?;
    Ok(Arc::new(Schema::new(input.columns.iter().map(stygian_core::Field::arrow).collect::<Vec<_>>())))
}

fn read(args: &TestArgs, schema: &SchemaRef) -> anyhow::Result<Vec<RecordBatch>> {
    let doing = || format!("cannot read rows from {}", args.input.display());
    let file = std::fs::File::open(&args.input).with_context(doing)?;
    let reader = arrow_json::ReaderBuilder::new(schema.clone()).with_batch_size(args.rows.max(1)).build(BufReader::new(file));
    reader.and_then(Iterator::collect).with_context(doing)
}

/// Prints what came of a batch as JSON lines: `{"output": ..., "row": ...}` and `{"dead_letter": ..., "row": ...}`.
fn show(
    terminal: &Terminal,
    description: &PluginDescription,
    input: &RecordBatch,
    output: &CallOutput,
    totals: &mut [usize],
) -> anyhow::Result<()> {
    let mut text = String::new();
    for ((spec, pieces), total) in description.outputs.iter().zip(&output.outputs).zip(totals) {
        for piece in pieces {
            let rows = match piece {
                Piece::Selected(rows) => arrow_select::take::take_record_batch(input, rows)?,
                Piece::Emitted { rows, .. } => rows.clone(),
            };
            *total += rows.num_rows();
            let name = serde_json::Value::from(spec.name.as_str());
            json_rows(&rows)?.iter().for_each(|row| text.push_str(&format!("{{\"output\":{name},\"row\":{row}}}\n")));
        }
    }
    for dead in &output.dead_letters {
        let row = json_rows(&input.slice(dead.row as usize, 1))?.pop().unwrap_or_default();
        text.push_str(&format!("{{\"dead_letter\":{},\"row\":{row}}}\n", serde_json::Value::from(dead.reason.as_str())));
    }
    terminal.out(&text)?;
    output.logs.iter().for_each(|line| terminal.err(&format!("log {:?}: {}\n", line.level, line.message)));
    Ok(())
}

fn json_rows(rows: &RecordBatch) -> anyhow::Result<Vec<String>> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(rows)?;
    writer.finish()?;
    let text = String::from_utf8(writer.into_inner()).context("JSON that is no UTF-8")?;
    Ok(text.lines().map(str::to_owned).collect())
}
