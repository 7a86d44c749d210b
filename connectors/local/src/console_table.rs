//! The first rows since the last print, and how many more there were.

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::ArrowError;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};

/// The longest value shown, in characters.
const VALUE: usize = 60;

/// Rows that wait to be shown.
#[derive(Debug)]
pub(crate) struct WaitingRows {
    kept: Vec<RecordBatch>,
    limit: usize,
    /// Rows that may still be kept.
    room: usize,
    more: u64,
}

impl WaitingRows {
    pub(crate) fn new(limit: usize) -> Self {
        Self { kept: Vec::new(), limit, room: limit, more: 0 }
    }

    pub(crate) fn push(&mut self, rows: &RecordBatch) {
        let take = rows.num_rows().min(self.room);
        if take > 0 {
            self.kept.push(rows.slice(0, take));
        }
        self.room -= take;
        self.more += (rows.num_rows() - take) as u64;
    }

    /// The table of what waits; `None` if nothing does.
    pub(crate) fn take(&mut self) -> Result<Option<String>, ArrowError> {
        let (kept, more) = (std::mem::take(&mut self.kept), std::mem::take(&mut self.more));
        self.room = self.limit;
        if kept.is_empty() && more == 0 {
            return Ok(None);
        }
        let mut text = if kept.is_empty() { String::new() } else { format!("{}\n", table(&kept)?) };
        if more > 0 {
            text.push_str(&format!("... and {more} more row{}\n", if more == 1 { "" } else { "s" }));
        }
        Ok(Some(text))
    }
}

fn table(batches: &[RecordBatch]) -> Result<Table, ArrowError> {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    if let Some(first) = batches.first() {
        table.set_header(first.schema().fields().iter().map(|field| stygian_core::escape(field.name(), VALUE)));
    }
    let options = FormatOptions::default().with_null("null").with_display_error(true);
    for batch in batches {
        let formatters = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            table.add_row(formatters.iter().map(|f| stygian_core::escape(&f.value(row).to_string(), VALUE)));
        }
    }
    Ok(table)
}
