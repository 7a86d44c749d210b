//! Session windows against the same by hand: a native hash map from key to the sessions that are open, and the keys by the times at which
//! sessions end. 5 million rows at each number of keys.
//!
//! `bench-sessions [ROWS]`. Each key has rows a second apart, eight at a time, then an hour's pause that closes its session; keys take turns. Both
//! count the rows, add up their weights and give each session out at the watermark that reaches its end. Runs are interleaved; a figure is the
//! CPU time of the median round, a ratio that of their medians. Bytes a key are the most that the windows say they hold, and that the tables and
//! allocations of the native ones take, an allocation with the allocator's 8 bytes before it.

use anyhow::Result;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::Arc;
use stygian_bench::{cpu_nanos, median, tell};
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

/// A session of a key: `[start, last + gap)`.
#[derive(Clone, Copy)]
struct Session {
    start: i64,
    last: i64,
    count: i64,
    weight: i64,
}

/// What a run gave out: sessions so far at every watermark, and the sum of their counts and weights.
type Given = (Vec<usize>, i64);

/// A key's open sessions, which are few.
struct Open {
    key: Vec<u8>,
    sessions: Vec<Session>,
}

/// Open sessions by key, and by the time at which to look at each key again.
#[derive(Default)]
struct ByHand {
    numbers: HashMap<Vec<u8>, usize>,
    open: Vec<Open>,
    free: Vec<usize>,
    due: BTreeMap<i64, Vec<usize>>,
}

impl ByHand {
    fn add(&mut self, key: &[u8], time: i64, weight: i64) {
        let alone = Session { start: time, last: time, count: 1, weight };
        let Some(number) = self.numbers.get(key).copied() else {
            let open = Open { key: key.to_vec(), sessions: vec![alone] };
            let number = self.free.pop().unwrap_or(self.open.len());
            match self.open.get_mut(number) {
                Some(gone) => *gone = open,
                None => self.open.push(open),
            }
            self.numbers.insert(key.to_vec(), number);
            return self.due.entry(time + GAP).or_default().push(number);
        };
        let sessions = &mut self.open[number].sessions;
        let mut reached = (0..sessions.len()).filter(|at| time < sessions[*at].last + GAP && time > sessions[*at].start - GAP);
        match (reached.next(), reached.next()) {
            (None, _) => {
                sessions.push(alone);
                self.due.entry(time + GAP).or_default().push(number);
            }
            (Some(at), None) => sessions[at].join(alone),
            (Some(at), Some(other)) => {
                let bridged = sessions.swap_remove(other);
                sessions[at].join(bridged);
                sessions[at].join(alone);
            }
        }
    }

    /// Takes the sessions that end at or before the watermark.
    fn advance(&mut self, watermark: i64, ended: &mut Vec<(Vec<u8>, Session)>) {
        while let Some(first) = self.due.first_entry().filter(|first| *first.key() <= watermark) {
            for number in first.remove() {
                let Open { key, sessions } = &mut self.open[number];
                if let Some(at) = sessions.iter().position(|session| session.last.saturating_add(GAP) <= watermark) {
                    ended.push((key.clone(), sessions.swap_remove(at)));
                    if sessions.is_empty() {
                        self.numbers.remove(key);
                        self.free.push(number);
                    }
                } else if let Some(next) = sessions.iter().map(|session| session.last + GAP).min() {
                    self.due.entry(next).or_default().push(number);
                }
            }
        }
    }

    /// Bytes on the heap.
    fn memory(&self) -> usize {
        let numbers = self.numbers.capacity() * 8 / 7 * (size_of::<(Vec<u8>, usize)>() + 1);
        let of_open = |open: &Open| 2 * (open.key.capacity() + 8) + open.sessions.capacity() * size_of::<Session>() + 8;
        let open = self.open.capacity() * size_of::<Open>() + self.open.iter().map(of_open).sum::<usize>();
        let due: usize = self.due.values().map(|numbers| numbers.capacity() * size_of::<usize>() + 64).sum();
        numbers + open + self.free.capacity() * size_of::<usize>() + due
    }
}

impl Session {
    fn join(&mut self, other: Self) {
        self.start = self.start.min(other.start);
        self.last = self.last.max(other.last);
        self.count += other.count;
        self.weight += other.weight;
    }
}

/// Sessions by hand; also the most bytes a key that they took.
#[allow(clippy::cast_precision_loss)] // counts of a benchmark
fn by_hand(batches: &[(RecordBatch, i64)]) -> (Given, f64) {
    let mut sessions = ByHand::default();
    let mut ended = Vec::new();
    let (mut given, mut total, mut bytes) = (vec![0], 0, 0.0_f64);
    let mut take = |ended: &mut Vec<(Vec<u8>, Session)>| {
        given.push(given.last().copied().unwrap_or(0) + ended.len());
        total += black_box(&*ended).iter().map(|(_, session)| session.count + session.weight).sum::<i64>();
        ended.clear();
    };
    for (number, (rows, watermark)) in batches.iter().enumerate() {
        let (keys, times) = (rows.column(0).as_string::<i32>(), rows.column(1).as_primitive::<TimestampMicrosecondType>());
        let weights = rows.column(2).as_primitive::<Int64Type>();
        for row in 0..rows.num_rows() {
            sessions.add(keys.value(row).as_bytes(), times.value(row), weights.value(row));
        }
        sessions.advance(*watermark, &mut ended);
        take(&mut ended);
        if number % 64 == 63 || number + 1 == batches.len() {
            bytes = bytes.max(sessions.memory() as f64 / sessions.numbers.len().max(1) as f64);
        }
    }
    sessions.advance(i64::MAX, &mut ended);
    take(&mut ended);
    ((given, total), bytes)
}

/// The same by windows; also the most bytes a key that they held.
#[allow(clippy::cast_precision_loss)] // counts of a benchmark
fn by_windows(spec: &Arc<WindowAggregatorSpec>, batches: &[(RecordBatch, i64)]) -> Result<(Given, f64)> {
    let mut windows = WindowAggregator::new(spec.clone())?;
    let (mut given, mut total, mut bytes) = (vec![0], 0, 0.0_f64);
    let mut take = |results: Vec<RecordBatch>| {
        given.push(given.last().copied().unwrap_or(0) + results.iter().map(RecordBatch::num_rows).sum::<usize>());
        for rows in results {
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
    Ok(((given, total), bytes))
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
    let (mut natives, mut windowed, mut bytes, mut native_bytes) = (Vec::new(), Vec::new(), 0.0, 0.0);
    for round in 0..=ROUNDS {
        let start = cpu_nanos();
        let (expected, took) = by_hand(black_box(&batches));
        let plain = (cpu_nanos() - start) / rows as f64;
        let start = cpu_nanos();
        let (found, held) = by_windows(&spec, black_box(&batches))?;
        let ours = (cpu_nanos() - start) / rows as f64;
        anyhow::ensure!(found == expected, "other sessions than by hand, or at other watermarks");
        if round > 0 {
            natives.push(plain);
            windowed.push(ours);
            (bytes, native_bytes) = (held, took);
        }
    }
    let (plain, ours) = (median(natives), median(windowed));
    tell(&serde_json::json!({
        "figure": "session windows", "keys": keys, "rows": rows, "native_ns_per_row": plain, "windows_ns_per_row": ours, "ratio": ours / plain,
        "at_most": 1.3, "bytes_per_key": bytes, "native_bytes_per_key": native_bytes, "bytes_ratio": bytes / native_bytes,
    }))
}

fn main() -> Result<()> {
    let rows = std::env::args().nth(1).map_or(Ok(ROWS), |rows| rows.parse())?;
    [1_000, 10_000, 100_000, 1_000_000].into_iter().try_for_each(|keys| compare(keys, rows))
}
