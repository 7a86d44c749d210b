//! The files of one subtask: one open file a folder, closed by size, by age, when too many are open, and at every commit.

use crate::committer::now;
use crate::file_system::FileSystem;
use crate::holding::Compaction;
use crate::in_progress::{Owner, final_name};
use crate::output::{Names, Output, Writing};
use crate::partition::{Part, Partitioning};
use crate::pending_file::PendingFile;
use crate::source::blocking;
use arrow_array::RecordBatch;
use async_trait::async_trait;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stygian_api::{ConnectorError, Pending, SinkContext, SinkWriter};

/// Files far away that are closed at once.
const CLOSED_AT_ONCE: usize = 16;

/// What all writers of a sink share.
#[derive(Clone, Debug)]
pub(crate) struct WriterSpec {
    pub(crate) files: Arc<dyn FileSystem>,
    pub(crate) root: PathBuf,
    /// The sink's node.
    pub(crate) sink: String,
    pub(crate) writing: Writing,
    pub(crate) extension: String,
    pub(crate) partitioning: Partitioning,
    pub(crate) roll_bytes: u64,
    pub(crate) roll_after: Duration,
    pub(crate) max_open: usize,
    /// Set where small files are merged.
    pub(crate) compaction: Option<Compaction>,
}

/// The writer of one subtask. Its files are worked on where blocking is allowed, and are gone when that fails.
pub(crate) struct FilesWriter {
    files: Option<Files>,
}

impl FilesWriter {
    pub(crate) fn new(spec: WriterSpec, context: &SinkContext) -> Self {
        let owner = Owner::new(&context.job, &spec.sink);
        let context = context.clone();
        Self { files: Some(Files { spec, context, owner, begun: 0, writes: 0, open: HashMap::new(), finished: Vec::new() }) }
    }

    async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Files) -> Result<T, ConnectorError> + Send + 'static,
    ) -> Result<T, ConnectorError> {
        let gone = || ConnectorError::io("write", "files", "an earlier write failed or was given up");
        let mut files = self.files.take().ok_or_else(gone)?;
        let (files, result) =
            blocking(move || Ok((work(&mut files).map(|done| (files, done))).map_or_else(|e| (None, Err(e)), |(f, d)| (Some(f), Ok(d)))))
                .await?;
        self.files = files;
        result
    }
}

/// What is open far away may have to be waited for, even to be given up.
impl Drop for FilesWriter {
    fn drop(&mut self) {
        if let Some(files) = self.files.take().filter(|files| files.spec.files.is_far() && !files.open.is_empty()) {
            std::thread::spawn(move || drop(files));
        }
    }
}

#[async_trait]
impl SinkWriter for FilesWriter {
    async fn write(&mut self, rows: RecordBatch) -> Result<(), ConnectorError> {
        self.work(move |files| files.write(&rows, Instant::now())).await
    }

    async fn tick(&mut self) -> Result<(), ConnectorError> {
        let now = Instant::now();
        match &self.files {
            Some(files) if !files.any_old(now) => Ok(()),
            _ => self.work(move |files| files.close_old(now)).await,
        }
    }

    fn take_pending(&mut self) -> Vec<Pending> {
        self.files.as_mut().map(|files| std::mem::take(&mut files.finished)).unwrap_or_default()
    }

    async fn pre_commit(&mut self) -> Result<Vec<Pending>, ConnectorError> {
        self.work(Files::close_all).await
    }
}

/// Finishes files, each on a thread of its own if there are several.
fn finished(outputs: Vec<Output>) -> Result<Vec<PendingFile>, ConnectorError> {
    if outputs.len() < 2 {
        return outputs.into_iter().map(Output::finish).collect();
    }
    std::thread::scope(|scope| {
        let finishing: Vec<_> = outputs.into_iter().map(|output| scope.spawn(move || output.finish())).collect();
        let panicked = |_| Err(ConnectorError::io("finish", "files", "a thread that was at it panicked"));
        finishing.into_iter().map(|finishing| finishing.join().unwrap_or_else(panicked)).collect()
    })
}

struct Files {
    spec: WriterSpec,
    context: SinkContext,
    owner: Owner,
    /// Files begun, which numbers them.
    begun: u64,
    writes: u64,
    /// By folder.
    open: HashMap<String, Output>,
    finished: Vec<Pending>,
}

impl Files {
    fn write(&mut self, rows: &RecordBatch, now: Instant) -> Result<(), ConnectorError> {
        let parts =
            self.spec.partitioning.part(rows).map_err(|e| ConnectorError::io("write", self.spec.files.shown(&self.spec.root), e))?;
        parts.into_iter().try_for_each(|part| self.write_part(part, now))
    }

    fn write_part(&mut self, Part { folder, rows }: Part, now: Instant) -> Result<(), ConnectorError> {
        self.writes += 1;
        if !self.open.contains_key(&folder) {
            if self.open.len() >= self.spec.max_open {
                self.close_longest_unwritten()?;
            }
            let output = self.begin(folder.clone(), now)?;
            self.open.insert(folder.clone(), output);
        }
        let Some(output) = self.open.get_mut(&folder) else { return Ok(()) };
        output.last_write = self.writes;
        output.write(&rows)?;
        if output.size() >= self.spec.roll_bytes { self.close(&folder) } else { Ok(()) }
    }

    fn begin(&mut self, folder: String, now: Instant) -> Result<Output, ConnectorError> {
        let name = final_name(&self.context.attempt, self.context.subtask, self.begun, &self.spec.extension);
        self.begun += 1;
        let names = Names { files: self.spec.files.clone(), root: self.spec.root.clone(), folder, name, owner: self.owner.clone() };
        Output::create(names, &self.spec.writing, self.spec.partitioning.file_schema(), now)
    }

    fn close(&mut self, folder: &str) -> Result<(), ConnectorError> {
        if let Some(output) = self.open.remove(folder) {
            self.finished.push(self.pending(output.finish()?));
        }
        Ok(())
    }

    fn close_longest_unwritten(&mut self) -> Result<(), ConnectorError> {
        let oldest = self.open.iter().min_by_key(|(_, output)| output.last_write).map(|(folder, _)| folder.clone());
        oldest.map_or(Ok(()), |folder| self.close(&folder))
    }

    fn any_old(&self, now: Instant) -> bool {
        self.open.values().any(|output| now.duration_since(output.opened) >= self.spec.roll_after)
    }

    fn close_old(&mut self, now: Instant) -> Result<(), ConnectorError> {
        let old = |output: &Output| now.duration_since(output.opened) >= self.spec.roll_after;
        let mut folders: Vec<String> = self.open.iter().filter(|(_, output)| old(output)).map(|(folder, _)| folder.clone()).collect();
        folders.sort();
        self.close_these(&folders)
    }

    fn close_all(&mut self) -> Result<Vec<Pending>, ConnectorError> {
        let mut folders: Vec<String> = self.open.keys().cloned().collect();
        folders.sort();
        self.close_these(&folders)?;
        Ok(std::mem::take(&mut self.finished))
    }

    fn pending(&self, file: PendingFile) -> Pending {
        let small = self.spec.compaction.is_some_and(|compaction| file.length < compaction.below);
        PendingFile { held_since: small.then(now), ..file }.into_pending()
    }

    /// Closes files, several at once where that takes long.
    fn close_these(&mut self, folders: &[String]) -> Result<(), ConnectorError> {
        let at_once = if self.spec.files.is_far() { CLOSED_AT_ONCE } else { 1 };
        for some in folders.chunks(at_once) {
            let outputs: Vec<Output> = some.iter().filter_map(|folder| self.open.remove(folder)).collect();
            let finished: Vec<Pending> = finished(outputs)?.into_iter().map(|file| self.pending(file)).collect();
            self.finished.extend(finished);
        }
        Ok(())
    }
}
