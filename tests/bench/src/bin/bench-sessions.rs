//! Session windows against the same by hand: a native hash map from key to the session that is open. 5 million rows at each number of keys.
//!
//! `bench-sessions [ROWS]`. Each key has rows a second apart, eight at a time, then an hour's pause that closes its session; keys take turns. Both
//! count the rows and add up their weights. Runs are interleaved; a figure is the median of the rounds, a ratio that of their medians. Bytes
//! a key are what the windows say they hold at most, and what the heap of the native map takes: its table, and a key's allocation.

use anyhow::Result;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use stygian_bench::{median, tell};
use stygian_core::EventTime;
use stygian_expr::{Aggregate, WindowAggregator, WindowAggregatorSpec, WindowSpec};

const ROUNDS: usize = 3;
const ROWS: u64 = 5_000_000;
const BATCH: u64 = 8_192;
const SECOND: i64 = 1_000_000;
const GAP: i64 = 600 * SECOND;
/// Rows of a session.
const BURST: u64 = 8;

/// The rows, in batches, with the watermark behind each.
#[allow(clippy::cast_possible_wrap)] // counts of a benchmark
fn batches(keys: u64, rows: u64) -> Result<Vec<(RecordBatch, i64)>> {
    let time = |row: u64| ((row / keys) as i64) * SECOND + ((row / keys / BURST) as i64) * 3600 * SECOND;
    let batch = |first: u64| {
        let numbers = first..rows.min(first + BATCH);
        let names = numbers.clone().map(|row| Some(format!("user-{:011}", (row % keys).wrapping_mul(0x9E37_79B9) % keys)));
        let times = TimestampMicrosecondArray::from_iter_values(numbers.clone().map(time));
        let weights = Int64Array::from_iter_values(numbers.map(|row| (row % 7) as i64));
        let columns: [(&str, ArrayRef); 3] =
            [("key", Arc::new(names.collect::<StringArray>())), ("at", Arc::new(times)), ("weight", Arc::new(weights))];
        let watermark = time(first) - 5 * SECOND;
        Ok((RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, false)))?, watermark))
    };
    (0..rows).step_by(usize::try_from(BATCH)?).map(batch).collect()
}

struct Session {
    start: i64,
    last: i64,
    count: i64,
    weight: i64,
}

/// Sessions that ended, by a map of those that are open; they end when a row comes after the gap, or at the end.
fn natively(batches: &[(RecordBatch, i64)]) -> (usize, i64) {
    let mut open: HashMap<Vec<u8>, Session> = HashMap::new();
    let mut ended: Vec<(Vec<u8>, Session)> = Vec::new();
    let (mut sessions, mut total) = (0, 0);
    for (rows, _) in batches {
        let (keys, times) = (rows.column(0).as_string::<i32>(), rows.column(1).as_primitive::<TimestampMicrosecondType>());
        let weights = rows.column(2).as_primitive::<Int64Type>();
        for row in 0..rows.num_rows() {
            let (key, time, weight) = (keys.value(row).as_bytes(), times.value(row), weights.value(row));
            match open.get_mut(key) {
                Some(session) if time < session.last + GAP => {
                    session.last = session.last.max(time);
                    session.count += 1;
                    session.weight += weight;
                }
                Some(session) => {
                    let whole = std::mem::replace(session, Session { start: time, last: time, count: 1, weight });
                    ended.push((key.to_vec(), whole));
                }
                None => drop(open.insert(key.to_vec(), Session { start: time, last: time, count: 1, weight })),
            }
        }
        sessions += ended.len();
        total += black_box(&ended).iter().map(|(_, session)| session.count + session.weight).sum::<i64>();
        ended.clear();
    }
    black_box(open.values().map(|session| session.last - session.start).max());
    (sessions + open.len(), total + open.values().map(|session| session.count + session.weight).sum::<i64>())
}

/// The same by windows; also the most bytes a key that they held.
#[allow(clippy::cast_precision_loss)] // counts of a benchmark
fn by_windows(spec: &Arc<WindowAggregatorSpec>, batches: &[(RecordBatch, i64)]) -> Result<((usize, i64), f64)> {
    let mut windows = WindowAggregator::new(spec.clone())?;
    let (mut sessions, mut total, mut bytes) = (0, 0, 0.0_f64);
    let mut take = |results: Vec<RecordBatch>| {
        for rows in results {
            sessions += rows.num_rows();
            let sum = |column: usize| rows.column(column).as_primitive::<Int64Type>().values().iter().sum::<i64>();
            total += sum(4) + sum(5);
        }
    };
    for (number, (rows, watermark)) in batches.iter().enumerate() {
        anyhow::ensure!(windows.push(rows)?.is_none(), "a late row");
        take(windows.advance(EventTime::from_micros(*watermark))?);
        if number % 64 == 63 || number + 1 == batches.len() {
            bytes = bytes.max(windows.memory() as f64 / windows.open_keys().max(1) as f64);
        }
    }
    take(windows.advance(EventTime::MAX)?);
    Ok(((sessions, total), bytes))
}

#[allow(clippy::cast_precision_loss)] // counts of a benchmark
fn compare(keys: u64, rows: u64) -> Result<()> {
    let batches = batches(keys, rows)?;
    let input = batches[0].0.schema();
    let aggregates =
        [("n", "count(*)"), ("weight", "sum(weight)")].map(|(name, sql)| Ok((name.to_owned(), Aggregate::compile(sql, &input)?)));
    let spec = Arc::new(WindowAggregatorSpec {
        window: WindowSpec::session(GAP),
        keys: vec![0],
        event_time: Some(1),
        allowed_lateness: 0,
        early: false,
        aggregates: aggregates.into_iter().collect::<Result<_>>()?,
        input,
    });
    let (mut natives, mut windowed, mut bytes) = (Vec::new(), Vec::new(), 0.0);
    for round in 0..=ROUNDS {
        let start = Instant::now();
        let expected = natively(black_box(&batches));
        let plain = start.elapsed().as_nanos() as f64 / rows as f64;
        let start = Instant::now();
        let (found, held) = by_windows(&spec, black_box(&batches))?;
        let ours = start.elapsed().as_nanos() as f64 / rows as f64;
        anyhow::ensure!(found == expected, "other sessions: {found:?} instead of {expected:?}");
        if round > 0 {
            natives.push(plain);
            windowed.push(ours);
            bytes = held;
        }
    }
    let (plain, ours) = (median(natives), median(windowed));
    // A vector of 24 bytes and a session of 32 an entry, the table at most 7/8 full; 24 bytes for the key's own 16.
    let native_bytes = (keys * 8 / 7).next_power_of_two() as f64 * 57.0 / keys as f64 + 24.0;
    tell(&serde_json::json!({
        "figure": "session windows", "keys": keys, "rows": rows, "native_ns_per_row": plain, "windows_ns_per_row": ours, "ratio": ours / plain,
        "at_most": 1.3, "bytes_per_key": bytes, "native_bytes_per_key": native_bytes, "bytes_ratio": bytes / native_bytes,
    }))
}

fn main() -> Result<()> {
    let rows = std::env::args().nth(1).map_or(Ok(ROWS), |rows| rows.parse())?;
    [1_000, 10_000, 100_000, 1_000_000].into_iter().try_for_each(|keys| compare(keys, rows))
}
