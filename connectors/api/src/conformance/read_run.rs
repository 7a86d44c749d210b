//! A job that does nothing but read, and can be crashed anywhere: for tests of sources that go on from checkpoints.

use super::sources::told;
use super::{Finding, check, joined};
use crate::{Decoder, Fetched, Mark, Source, SplitProgress, SplitReader};
use arrow_array::RecordBatch;
use std::collections::BTreeMap;
use std::sync::Arc;
use stygian_core::{Offset, SplitId};

/// What a checkpoint keeps of a source, and the good rows that came before it.
#[derive(Clone, Debug, Default)]
pub struct ReadCheckpoint {
    splits: BTreeMap<SplitId, SplitProgress>,
    rows: Vec<(SplitId, RecordBatch)>,
    bad: usize,
}

impl ReadCheckpoint {
    /// As the engine gives it to [`Source::restore`].
    pub fn progress(&self) -> Vec<SplitProgress> {
        self.splits.values().cloned().collect()
    }

    /// The rows, split by split in the order of `splits`, and those of all others.
    ///
    /// # Errors
    /// When there are rows of another schema.
    pub fn rows(&self, source: &dyn Source, splits: &[SplitId]) -> Result<RecordBatch, Finding> {
        let place = |split: &SplitId| splits.iter().position(|other| other == split).unwrap_or(usize::MAX);
        let mut rows: Vec<&(SplitId, RecordBatch)> = self.rows.iter().collect();
        rows.sort_by_key(|(split, _)| place(split));
        joined(&source.schema(), rows.into_iter().map(|(_, rows)| rows))
    }

    /// As if the ends of splits had not been told yet, which are told last.
    pub fn reopen(&mut self) {
        self.splits.values_mut().for_each(|progress| progress.ended = false);
    }

    /// How many rows were bad.
    pub fn bad(&self) -> usize {
        self.bad
    }

    fn split(&mut self, id: &SplitId) -> &mut SplitProgress {
        let new = || SplitProgress { id: id.clone(), next: Offset(0), ended: false, mark: None };
        self.splits.entry(id.clone()).or_insert_with(new)
    }
}

/// Reads all splits of a source at once. Dropping it is a crash.
pub struct ReadRun {
    source: Arc<dyn Source>,
    decoder: Option<Box<dyn Decoder>>,
    readers: Vec<(SplitId, Box<dyn SplitReader>)>,
    now: ReadCheckpoint,
}

impl ReadRun {
    /// Starts reading, at the beginning or from a checkpoint; `source` has not been used before.
    ///
    /// # Errors
    /// When the source refuses.
    pub async fn start(source: Arc<dyn Source>, from: Option<ReadCheckpoint>) -> Result<Self, Finding> {
        if let Some(from) = &from {
            source.restore(&from.progress()).await.map_err(|e| told(&e))?;
        }
        let decoder = source.decoder();
        let mut run = Self { source, decoder, readers: Vec::new(), now: from.unwrap_or_default() };
        // What was not at its end is named again.
        let unread = run.now.splits.values().filter(|progress| !progress.ended).map(|progress| progress.id.clone());
        let unread: Vec<SplitId> = unread.collect();
        run.look().await?;
        let open = |id: &SplitId| run.readers.iter().any(|(open, _)| open == id);
        check(unread.iter().all(open), || format!("not all of {unread:?} were named after they were restored"))?;
        Ok(run)
    }

    /// Asks for splits, and opens those that are new.
    ///
    /// # Errors
    /// When the source refuses.
    pub async fn look(&mut self) -> Result<(), Finding> {
        for split in self.source.splits().await.map_err(|e| told(&e))? {
            let is_open = self.readers.iter().any(|(open, _)| *open == split.id);
            let progress = self.now.split(&split.id);
            if !is_open && !progress.ended {
                let reader = self.source.open(&split.id, progress.next).await.map_err(|e| told(&e))?;
                self.readers.push((split.id, reader));
            }
        }
        Ok(())
    }

    /// How many splits are being read.
    pub fn open(&self) -> usize {
        self.readers.len()
    }

    /// Fetches once from one of the splits that are being read.
    ///
    /// # Errors
    /// When the reader fails, or says what it must not.
    pub async fn step(&mut self, reader: usize, limit: usize) -> Result<(), Finding> {
        let Some((id, reading)) = self.readers.get_mut(reader) else { return Ok(()) };
        let id = id.clone();
        match reading.fetch(limit).await.map_err(|e| told(&e))? {
            Fetched::Nothing | Fetched::Watermark(_) => {}
            Fetched::Mark(mark) => self.now.split(&id).mark = Some(stored(&mark)?),
            Fetched::Rows { rows, next } => self.take(&id, rows, 0, next),
            Fetched::Messages { messages, next } => {
                let decoded = self.decoder.as_mut().ok_or("the source has messages and no decoder")?.decode(&messages);
                self.take(&id, decoded.rows, decoded.bad.len(), next);
            }
            Fetched::End => {
                self.now.split(&id).ended = true;
                self.readers.remove(reader);
            }
        }
        Ok(())
    }

    fn take(&mut self, id: &SplitId, rows: RecordBatch, bad: usize, next: Offset) {
        self.now.split(id).next = next;
        self.now.bad += bad;
        self.now.rows.push((id.clone(), rows));
    }

    /// Everything that was read up to now.
    pub fn checkpoint(&self) -> ReadCheckpoint {
        self.now.clone()
    }
}

/// As it comes back from a checkpoint.
fn stored(mark: &Mark) -> Result<Mark, Finding> {
    let text = serde_json::to_string(mark).map_err(|e| told(&e))?;
    serde_json::from_str(&text).map_err(|e| told(&e))
}
