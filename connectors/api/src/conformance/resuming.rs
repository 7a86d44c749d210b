//! What a source must do after a crash: give the rows that were not in the checkpoint, and no others.

use super::read_run::{ReadCheckpoint, ReadRun};
use super::samples::Chance;
use super::sources::told;
use super::{Finding, check};
use crate::Source;
use arrow_array::RecordBatch;
use std::sync::Arc;
use stygian_core::SplitId;

/// A bounded source's rows, and how often to crash.
pub struct ResumeCase<'a> {
    /// All good rows, split by split in the order of the splits.
    pub rows: &'a RecordBatch,
    /// How many bad rows there are besides.
    pub bad: usize,
    /// Chooses where checkpoints and crashes come.
    pub seed: u64,
    /// At most so many crashes; then the source is read to its end.
    pub crashes: usize,
    /// At most so many rows are fetched at once.
    pub at_once: usize,
}

/// Reads a source, crashes at a random place, goes on from a random checkpoint before it with a new source, and so on. `make`: opens the
/// source as a new process would.
///
/// # Errors
/// What is wrong.
pub async fn source_resumes(make: impl AsyncFn() -> Arc<dyn Source>, case: ResumeCase<'_>) -> Result<(), Finding> {
    let mut chance = Chance::new(case.seed);
    let first = make().await;
    let order: Vec<SplitId> = first.splits().await.map_err(|e| told(&e))?.into_iter().map(|split| split.id).collect();
    let mut from: Option<ReadCheckpoint> = None;
    let steps = case.rows.num_rows() / case.at_once.max(1) + 4 * order.len() + 4;
    for _ in 0..case.crashes {
        let mut run = ReadRun::start(make().await, from.clone()).await?;
        for _ in 0..chance.below(steps) {
            step(&mut run, &mut chance, case.at_once).await?;
            if chance.below(3) == 0 {
                from = Some(run.checkpoint());
            }
        }
    }
    let mut run = ReadRun::start(make().await, from).await?;
    while run.open() > 0 {
        step(&mut run, &mut chance, case.at_once).await?;
    }
    let read = run.checkpoint();
    let found = read.rows(&*first, &order)?;
    check(found == *case.rows, || {
        format!("after {} crashes {} rows came instead of {}:\n{found:?}", case.crashes, found.num_rows(), case.rows.num_rows())
    })?;
    check(read.bad() == case.bad, || format!("after {} crashes {} rows were bad instead of {}", case.crashes, read.bad(), case.bad))?;
    // A checkpoint after the end: nothing is left to read.
    let run = ReadRun::start(make().await, Some(read)).await?;
    check(run.open() == 0, || format!("{} splits were read again after their end", run.open()))
}

async fn step(run: &mut ReadRun, chance: &mut Chance, at_once: usize) -> Result<(), Finding> {
    let reader = chance.below(run.open());
    let limit = 1 + chance.below(at_once);
    run.step(reader, limit).await
}
