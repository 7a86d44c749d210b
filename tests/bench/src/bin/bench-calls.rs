//! Calls into the sandbox against the same logic called natively through a trait object row by row; in calls of 1,024 rows, and of as many as
//! the engine passes by default; all checks on.
//!
//! `bench-calls STYGIAN PLUGINS CACHE`. Runs are interleaved; a figure is the median of the rounds, a ratio that of their medians.

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Float64Array, RecordBatch, UInt32Array};
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;
use stygian_bench::{CALL_ROWS, median, plugin, rows, sandbox, tell};
use stygian_sandbox::{CallContext, Limits, Operator};

const ROUNDS: usize = 41;
/// Rows of a round.
const ROWS: usize = 400 * CALL_ROWS;

trait RowMap {
    fn map(&self, value: f64, weight: i64) -> f64;
}

trait RowFilter {
    fn keep(&self, name: &str) -> bool;
}

struct Native;

impl RowMap for Native {
    #[allow(clippy::cast_precision_loss)] // the weights are small
    fn map(&self, value: f64, weight: i64) -> f64 {
        value * weight as f64 + 1.0
    }
}

impl RowFilter for Native {
    fn keep(&self, name: &str) -> bool {
        name.starts_with("user-") && name.ends_with(['0', '2', '4', '6', '8'])
    }
}

fn native_map(operator: &dyn RowMap, rows: &RecordBatch) -> Float64Array {
    let (values, weights) = (rows.column(0).as_primitive::<Float64Type>(), rows.column(1).as_primitive::<Int64Type>());
    let mut out = Vec::with_capacity(rows.num_rows());
    for row in 0..rows.num_rows() {
        out.push(operator.map(values.value(row), weights.value(row)));
    }
    out.into()
}

fn native_filter(operator: &dyn RowFilter, rows: &RecordBatch) -> UInt32Array {
    let names = rows.column(2).as_string::<i32>();
    let mut out = Vec::with_capacity(rows.num_rows());
    for (row, index) in (0_u32..).take(rows.num_rows()).enumerate() {
        if operator.keep(names.value(row)) {
            out.push(index);
        }
    }
    out.into()
}

/// Nanoseconds a row.
fn timed(call_rows: usize, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..ROWS / call_rows {
        call()?;
    }
    #[allow(clippy::cast_precision_loss)] // a count of rows
    Ok(start.elapsed().as_nanos() as f64 / ROWS as f64)
}

fn compare(figure: &str, limit: f64, mut native: impl FnMut(), operator: &mut Operator, batch: &RecordBatch) -> Result<()> {
    let (mut natives, mut sandboxed) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS + 3 {
        let plain = timed(batch.num_rows(), || {
            native();
            Ok(())
        })?;
        let guarded = timed(batch.num_rows(), || {
            black_box(operator.process(CallContext::default(), black_box(batch))?);
            Ok(())
        })?;
        // The first rounds warm up.
        if round >= 3 {
            natives.push(plain);
            sandboxed.push(guarded);
        }
    }
    let (plain, guarded) = (median(natives), median(sandboxed));
    tell(
        &serde_json::json!({ "figure": figure, "rows_per_call": batch.num_rows(), "native_ns_per_row": plain, "sandbox_ns_per_row": guarded, "ratio": guarded / plain, "at_most": limit }),
    )
}

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let mut next = |what: &'static str| args.next().context(what);
    let (stygian, folder, cache) = (next("the program")?, next("the folder of components")?, next("a cache folder")?);
    let sandbox = sandbox(&stygian, &cache)?;
    let (map, filter): (Box<dyn RowMap>, Box<dyn RowFilter>) = (Box::new(Native), Box::new(Native));
    for call_rows in [CALL_ROWS, Limits::default().rows_per_call as usize] {
        let batch = rows(call_rows)?;
        let mut scale = plugin(&sandbox, &folder, "bench-scale")?.operator("scale", "{}", &batch.schema())?;
        let mut half = plugin(&sandbox, &folder, "bench-half")?.operator("half", "{}", &batch.schema())?;
        let native = || drop(black_box(native_map(black_box(map.as_ref()), black_box(&batch))));
        compare("numeric map over two columns", 1.3, native, &mut scale, &batch)?;
        let native = || drop(black_box(native_filter(black_box(filter.as_ref()), black_box(&batch))));
        compare("text filter that passes half", 3.0, native, &mut half, &batch)?;
    }
    Ok(())
}
