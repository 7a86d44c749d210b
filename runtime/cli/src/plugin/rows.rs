//! What a call put out, as JSON lines for people and programs.

use crate::terminal::Terminal;
use anyhow::Context;
use arrow_array::RecordBatch;
use arrow_json::LineDelimitedWriter;
use stygian_core::PluginDescription;
use stygian_sandbox::{CallOutput, Piece};

/// Prints what came of a batch as JSON lines: `{"output": ..., "row": ...}` and `{"dead_letter": ..., "row": ...}`.
pub(super) fn show(
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

pub(super) fn json_rows(rows: &RecordBatch) -> anyhow::Result<Vec<String>> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(rows)?;
    writer.finish()?;
    let text = String::from_utf8(writer.into_inner()).context("JSON that is no UTF-8")?;
    Ok(text.lines().map(str::to_owned).collect())
}
