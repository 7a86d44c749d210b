//! State of a gigabyte in a checkpoint: how much of it is written when 1 % has changed, and how long it takes to be restored.
//!
//! `bench-checkpoints FOLDER [MIB]`: the folder is made and deleted. Keys of 8 bytes with values of 1,000, in one subtask; through real state
//! files, synced.

use anyhow::{Context, Result, ensure};
use arrow_array::{ArrayRef, Int64Array};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use stygian_bench::tell;
use stygian_checkpoint::{AttemptId, CheckpointStorage, Part, Section, StateReader, WrittenFile};
use stygian_core::{ByteSize, CheckpointId, ColumnType, EventTime, MaxParallelism, OperatorId, SectionKind, SlotKind, StateSection};
use stygian_state::{KeyBatch, KeyCodec, KeyedState, Slot, SlotId, StateLimits, Values};

const VALUE: usize = 1_000;
const CALL: i64 = 1_024;

fn state() -> Box<KeyedState> {
    let slot = Slot { name: "value".into(), kind: SlotKind::Value, version: 1, ttl_micros: None };
    let limits = StateLimits { bytes: ByteSize::mib(1 << 16), ..StateLimits::default() };
    Box::new(KeyedState::in_memory(KeyCodec::new(vec![ColumnType::Int64], MaxParallelism::DEFAULT), [slot], [], limits))
}

/// Puts a value to each of these keys.
fn put(mut state: Box<KeyedState>, keys: impl Iterator<Item = i64>, fill: u8) -> Result<Box<KeyedState>> {
    let keys: Vec<i64> = keys.collect();
    let (value, mut batch) = (vec![fill; VALUE], KeyBatch::default());
    for keys in keys.chunks(usize::try_from(CALL)?) {
        let column: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
        state.keys_of(&[column], keys.len(), &mut batch)?;
        let mut call = state.begin(&batch, 0..keys.len(), EventTime::MIN, |_| 0)?;
        let numbers: Vec<u32> = (0..u32::try_from(keys.len())?).collect();
        call.put_values(SlotId(0), &numbers, Values::from_iter(numbers.iter().map(|_| Some(value.as_slice()))))?;
        state = call.commit()?;
    }
    Ok(state)
}

/// Takes a snapshot and stores it: the file, and the seconds that the snapshot and the file took.
async fn store(state: &mut KeyedState, storage: &CheckpointStorage, id: u64, whole: bool) -> Result<(WrittenFile, f64, f64)> {
    let start = Instant::now();
    let sections = state.snapshot(|_| whole)?;
    let taken = start.elapsed().as_secs_f64();
    let mut file = storage.write_state(CheckpointId(id), AttemptId::from_random(1));
    for section in sections {
        let part = if section.kind == SectionKind::Base { Part::Base } else { Part::Change };
        file.begin(OperatorId::new("keyed"), section.part.parse().ok().context("a name")?, section.group, part);
        file.write(&section.bytes).await?;
    }
    let file = file.finish().await?.context("nothing was written")?;
    Ok((file, taken, start.elapsed().as_secs_f64()))
}

async fn restore(storage: &CheckpointStorage, files: &[WrittenFile]) -> Result<Box<KeyedState>> {
    let mut reader = StateReader::new(storage, files.iter().map(|file| (file.name.clone(), file.facts)).collect());
    let mut state = state();
    for (_, section) in files.iter().flat_map(|file| &file.sections) {
        let Section { group, part, .. } = section;
        let kind = if *part == Part::Base { SectionKind::Base } else { SectionKind::Change };
        let bytes = reader.read(section).await?.to_vec();
        state.restore(&StateSection { part: "keyed", group: *group, kind, bytes })?;
    }
    Ok(state)
}

async fn measure(folder: &Path, mib: i64) -> Result<()> {
    let storage = CheckpointStorage::local(folder)?;
    let keys = mib * 1_048_576 / i64::try_from(VALUE)?;
    let mut kept = put(state(), 0..keys, 1)?;
    let (base, base_snapshot, base_seconds) = store(&mut kept, &storage, 1, true).await?;
    kept = put(kept, (0..keys).step_by(100), 2)?;
    let (change, snapshot, seconds) = store(&mut kept, &storage, 2, false).await?;
    let written = change.facts.bytes as f64 / base.facts.bytes as f64;
    tell(&serde_json::json!({
        "figure": "checkpoint of state of which 1 % has changed", "state_bytes": base.facts.bytes, "written_bytes": change.facts.bytes,
        "written": written, "at_most": 0.03, "snapshot_seconds": snapshot, "seconds": seconds,
        "whole_snapshot_seconds": base_snapshot, "whole_seconds": base_seconds,
    }))?;
    let start = Instant::now();
    let restored = restore(&storage, &[base, change]).await?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(restored.size().keys == kept.size().keys, "not all keys were restored");
    tell(&serde_json::json!({ "figure": "cold recovery of that state", "keys": keys, "seconds": seconds }))
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().context("the folder")?;
    let mib = args.next().map_or(Ok(1024), |mib| mib.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = runtime.block_on(measure(Path::new(&folder), mib));
    std::fs::remove_dir_all(&folder)?;
    measured
}
