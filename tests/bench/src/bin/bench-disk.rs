//! State on disk: what a row costs with 20 times more state than its caches may take, and how long a start with 1 GB of state takes with and
//! without what the process before it has left.
//!
//! `bench-disk FOLDER [KEYS]`: the folder is made and emptied; a key's value has 1,000 bytes, and there are 1,000,000 of them unless said otherwise.

use anyhow::{Context, Result};
use arrow_array::{ArrayRef, StringArray};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use stygian_bench::{CALL_ROWS, tell};
use stygian_core::{ByteSize, ColumnType, EventTime, KeyGroup, MaxParallelism, SavedSection, SectionKind, SlotKind, StateSection};
use stygian_state::{
    DiskBackend, DiskPlace, KeyBatch, KeyCodec, KeyedState, MemoryBackend, Slot, SlotId, StateBackend, StateLimits, Values,
};
use xxhash_rust::xxh3::xxh3_64;

const VALUE_BYTES: usize = 1_000;
const MEMORY: ByteSize = ByteSize::mib(48);

fn slots() -> Arc<[Slot]> {
    [Slot { name: "value".into(), kind: SlotKind::Value, version: 1, ttl_micros: None }].into()
}

fn state(folder: Option<&Path>) -> Result<Box<KeyedState>> {
    let backend: Box<dyn StateBackend> = match folder {
        Some(folder) => {
            let place = DiskPlace { folder: folder.to_owned(), memory: MEMORY, owner: "bench".into() };
            Box::new(DiskBackend::open(&place, slots())?)
        }
        None => Box::new(MemoryBackend::new(slots())),
    };
    let codec = KeyCodec::new(vec![ColumnType::Text], MaxParallelism::DEFAULT);
    let limits = StateLimits { bytes: ByteSize(u64::MAX), ..StateLimits::default() };
    Ok(Box::new(KeyedState::new(codec, backend, slots(), [].into(), limits)))
}

/// Reads and writes the values of some keys.
fn call(mut state: Box<KeyedState>, keys: impl Iterator<Item = u64>, round: u8) -> Result<Box<KeyedState>> {
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(keys.map(|key| format!("user-{key:011}"))));
    let mut batch = KeyBatch::default();
    state.keys_of(std::slice::from_ref(&names), names.len(), &mut batch)?;
    let mut call = state.begin(&batch, 0..names.len(), EventTime::MIN, |_| 0)?;
    let distinct = call.keys().len();
    // Not the same byte again and again, in case something packs them.
    let value =
        |key: u64| -> Vec<u8> { (0..VALUE_BYTES as u64).map(|at| (at.wrapping_mul(key | 1) >> 3).to_le_bytes()[0] ^ round).collect() };
    let values: Vec<Vec<u8>> = (0..distinct as u64).map(value).collect();
    let all: Vec<u32> = (0..u32::try_from(distinct)?).collect();
    call.put_values(SlotId(0), &all, values.iter().map(|value| Some(value.as_slice())).collect::<Values>())?;
    Ok(call.commit()?)
}

/// Sections on their way to a file and back, as a checkpoint would keep them.
struct Sections {
    file: File,
    known: Vec<(SavedSection, usize)>,
}

impl Sections {
    fn store(&mut self, sections: Vec<StateSection>) -> Result<()> {
        for StateSection { part, group, kind, bytes } in sections {
            self.known.push((SavedSection { part, group, kind, sum: xxh3_64(&bytes) }, bytes.len()));
            self.file.write_all(&bytes)?;
        }
        Ok(())
    }

    fn restore(&self, path: &Path, state: &mut KeyedState) -> Result<()> {
        let mut file = File::open(path)?;
        for (SavedSection { part, group, kind, .. }, length) in &self.known {
            let mut bytes = vec![0; *length];
            file.read_exact(&mut bytes)?;
            state.restore(&StateSection { part, group: *group, kind: *kind, bytes })?;
        }
        Ok(())
    }
}

/// Writes every key once and then as many at random: the time of a row in microseconds, of each.
#[allow(clippy::cast_precision_loss)] // counts of a benchmark
fn rows(
    mut state: Box<KeyedState>,
    keys: u64,
    mut after: impl FnMut(&mut KeyedState) -> Result<()>,
) -> Result<(Box<KeyedState>, f64, f64)> {
    let calls = keys / CALL_ROWS as u64;
    let mut times = [0.0; 2];
    for (round, time) in (0_u8..).zip(&mut times) {
        let start = Instant::now();
        for number in 0..calls {
            let in_order = number * CALL_ROWS as u64..(number + 1) * CALL_ROWS as u64;
            let of_round = in_order.map(|key| if round == 0 { key } else { key.wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys });
            state = call(state, of_round, round)?;
            if number % 64 == 0 {
                after(&mut state)?;
            }
        }
        *time = start.elapsed().as_secs_f64() * 1e6 / keys as f64;
    }
    Ok((state, times[0], times[1]))
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().context("a folder")?);
    let keys: u64 = args.next().map_or(Ok(1_000_000), |keys| keys.parse())?;
    std::fs::create_dir_all(&folder)?;
    let (place, file) = (folder.join("state"), folder.join("sections"));
    let mut sections = Sections { file: File::create(&file)?, known: Vec::new() };
    let mut bases = true;
    let (mut on_disk, new, again) = rows(state(Some(&place))?, keys, |state| {
        let snapshot = state.snapshot(|_: KeyGroup| bases)?;
        bases = false;
        sections.store(snapshot)
    })?;
    sections.store(on_disk.snapshot(|_| false)?)?;
    let size = on_disk.size();
    // What the last checkpoint does not have: it is taken back.
    on_disk = call(on_disk, 0..10_000, 9)?;
    drop(on_disk);
    tell(
        &serde_json::json!({ "figure": "row with state on disk", "new_us": new, "random_us": again, "bytes": size.bytes.0, "memory": MEMORY.0 }),
    )?;
    let saved: Vec<SavedSection> = sections.known.iter().map(|(saved, _)| *saved).collect();
    debug_assert!(saved.iter().any(|saved| saved.kind == SectionKind::Change));
    let start = Instant::now();
    let mut resumed = state(Some(&place))?;
    let held = resumed.resume(&saved)?;
    let (warm, same) = (start.elapsed().as_secs_f64(), resumed.size() == size);
    drop(resumed);
    std::fs::remove_dir_all(&place)?;
    let start = Instant::now();
    let mut cold_state = state(Some(&place))?;
    sections.restore(&file, &mut cold_state)?;
    let (cold, equal) = (start.elapsed().as_secs_f64(), cold_state.size() == size);
    drop(cold_state);
    tell(&serde_json::json!({
        "figure": "recovery of state on disk", "bytes": size.bytes.0, "valid_cache_s": warm, "cold_s": cold, "held": held, "same": same && equal,
        "at_most_s": 5,
    }))?;
    let (_, new, again) = rows(state(None)?, keys, |_| Ok(()))?;
    tell(&serde_json::json!({ "figure": "row with state in memory", "new_us": new, "random_us": again }))?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
