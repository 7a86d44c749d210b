//! A count by key in a plugin against the same in a native hash map through a trait, one get and one put a row.
//!
//! `bench-state STYGIAN PLUGINS CACHE [KEYS...]`. 5 million rows at each number of keys, in calls of 1,024 rows at some, and of as many as the
//! engine passes by default at all. Runs are interleaved; a figure is the CPU time of the median round, a ratio that of their medians. Bytes a
//! key are what the state says it takes, and what the heap of the native map does: its table, and an allocation of 16 bytes at least a key and
//! a value, with the allocator's 8 before each.

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use stygian_bench::{CALL_ROWS, cpu_nanos, median, plugin, sandbox, tell};
use stygian_core::{ColumnType, EventTime, MaxParallelism};
use stygian_sandbox::{CallContext, KeyedOperator, Limits, Plugin};
use stygian_state::{KeyBatch, KeyCodec, KeyedState, Slot, StateLimits};

const ROUNDS: usize = 7;
const ROWS: u64 = 5_000_000;

trait Store {
    fn get(&self, key: &[u8]) -> Option<&[u8]>;
    fn put(&mut self, key: &[u8], value: &[u8]);
}

#[derive(Default)]
struct Native(HashMap<Vec<u8>, Vec<u8>>);

impl Store for Native {
    fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        match self.0.get_mut(key) {
            Some(old) => {
                old.clear();
                old.extend_from_slice(value);
            }
            None => {
                self.0.insert(key.to_vec(), value.to_vec());
            }
        }
    }
}

fn count_natively(store: &mut dyn Store, rows: &RecordBatch) {
    let (keys, weights) = (rows.column(0).as_string::<i32>(), rows.column(1).as_primitive::<Int64Type>());
    for row in 0..rows.num_rows() {
        let key = keys.value(row).as_bytes();
        let before = store.get(key).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes));
        store.put(key, &(before + weights.value(row).unsigned_abs()).to_le_bytes());
    }
}

/// The plugin with its state.
struct Guarded {
    plugin: KeyedOperator,
    keys: KeyBatch,
    state: Option<Box<KeyedState>>,
}

impl Guarded {
    fn new(plugin: &Plugin, batch: &RecordBatch) -> Result<Self> {
        let slots: Vec<Slot> = plugin.describe("{}")?.slots.iter().map(Slot::from).collect();
        let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::DEFAULT);
        let limits = StateLimits { bytes: stygian_core::ByteSize::mib(4096), ..StateLimits::default() };
        let state = KeyedState::in_memory(codec, slots, [], limits);
        Ok(Self { plugin: plugin.keyed_operator("count", "{}", &batch.schema())?, keys: KeyBatch::default(), state: Some(Box::new(state)) })
    }

    fn count(&mut self, rows: &RecordBatch) -> Result<()> {
        let mut state = self.state.take().context("the state of a call that failed")?;
        state.keys_of(&[rows.column(0).clone()], rows.num_rows(), &mut self.keys)?;
        let call = state.begin(&self.keys, 0..rows.num_rows(), EventTime::MIN, |_| 0)?;
        let called = self.plugin.process(CallContext::default(), rows, 0..rows.num_rows(), call);
        called.result?;
        self.state = Some(called.state.commit()?);
        Ok(())
    }
}

/// The rows of a call, whose keys are spread over `keys` names.
fn batch(keys: u64, call: u64, call_rows: u64) -> Result<RecordBatch> {
    let numbers = call * call_rows..(call + 1) * call_rows;
    let names = numbers.clone().map(|n| Some(format!("user-{:011}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys)));
    let columns =
        [("key", Arc::new(names.collect::<StringArray>()) as ArrayRef), ("weight", Arc::new(numbers.map(|_| 1).collect::<Int64Array>()))];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, false)))?)
}

/// The CPU time a row of some work on all rows. Those of each call are made just before it: in the caches, as when a decoder has made them.
#[allow(clippy::cast_precision_loss)] // counts of a benchmark
fn nanos_per_row(keys: u64, call_rows: u64, mut work: impl FnMut(&RecordBatch) -> Result<()>) -> Result<f64> {
    let (calls, mut taken) = (ROWS / call_rows, 0.0);
    for call in 0..calls {
        let rows = batch(keys, call, call_rows)?;
        let start = cpu_nanos();
        work(black_box(&rows))?;
        taken += cpu_nanos() - start;
    }
    Ok(taken / (calls * call_rows) as f64)
}

#[allow(clippy::cast_precision_loss)] // counts of a benchmark
fn compare(plugin: &Plugin, keys: u64, call_rows: u64, at_most: f64) -> Result<()> {
    let mut guarded = Guarded::new(plugin, &batch(keys, 0, call_rows)?)?;
    let mut native: Box<dyn Store> = Box::new(Native::default());
    let (mut natives, mut sandboxed) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let plain = nanos_per_row(keys, call_rows, |rows| {
            count_natively(black_box(native.as_mut()), rows);
            Ok(())
        })?;
        let ours = nanos_per_row(keys, call_rows, |rows| guarded.count(rows))?;
        // The first round makes the keys.
        if round > 0 {
            natives.push(plain);
            sandboxed.push(ours);
        }
    }
    let (plain, sandboxed) = (median(natives), median(sandboxed));
    let size = guarded.state.as_ref().context("the state")?.size();
    // A key of 16 bytes and a value of 8, two vectors of 24 bytes, the table at most 7/8 full.
    let of_map = (keys * 8 / 7).next_power_of_two() as f64 * 49.0 / keys as f64 + 24.0 + 24.0;
    let bytes = size.bytes.0 as f64 / size.keys as f64;
    tell(&serde_json::json!({
        "figure": "keyed count by a plugin", "keys": keys, "rows_per_call": call_rows, "native_ns_per_row": plain, "plugin_ns_per_row": sandboxed, "ratio": sandboxed / plain,
        "at_most": at_most, "bytes_per_key": bytes, "native_bytes_per_key": of_map, "bytes_ratio": bytes / of_map,
    }))
}

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let mut next = |what: &'static str| args.next().context(what);
    let (stygian, folder, cache) = (next("the program")?, next("the folder of components")?, next("a cache folder")?);
    let plugin = plugin(&sandbox(&stygian, &cache)?, &folder, "bench-count")?;
    let asked = args.map(|keys| keys.to_string_lossy().parse().with_context(|| format!("{} is no number of keys", keys.display())));
    let asked: Vec<u64> = asked.collect::<Result<_>>()?;
    let keys = if asked.is_empty() { vec![1_000, 10_000, 100_000, 1_000_000] } else { asked };
    for keys in keys {
        if [1_000, 100_000].contains(&keys) {
            compare(&plugin, keys, CALL_ROWS as u64, 1.2)?;
        }
        compare(&plugin, keys, u64::from(Limits::default().rows_per_call), 1.3)?;
    }
    Ok(())
}
