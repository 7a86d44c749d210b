//! State files: the sections that one subtask wrote at one checkpoint, back to back. Written once as a stream and never changed.
//!
//! A writer holds at most 8 MiB of what it was given; the file appears under its name, complete and durable, when
//! [`StateFileWriter::finish`] returns, and not at all if that is never reached. The layout is in `FORMAT.md`.

use crate::error::CheckpointError;
use crate::layout;
use crate::manifest::{FileFacts, Part, Section};
use crate::names::{FileSum, SectionName, StateFileName};
use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use std::sync::Arc;
use stygian_core::kill_point::kill_point;
use stygian_core::{KeyGroup, OperatorId};
use xxhash_rust::xxh3::Xxh3;

pub(crate) const STATE_MAGIC: [u8; 8] = *b"STYGSTAT";
/// The version of state files.
pub const STATE_FORMAT_VERSION: u32 = 1;
/// Magic, format version, four zeros.
const HEADER: usize = 16;
pub(crate) const HEADER_BYTES: u64 = HEADER as u64;
/// The length of the sections, the checksum.
const TRAILER: usize = 24;
pub(crate) const TRAILER_BYTES: u64 = TRAILER as u64;
/// What a writer gathers before it writes.
pub(crate) const PART_BYTES: usize = 8 * 1024 * 1024;

/// The first bytes of every state file.
pub(crate) fn header() -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&STATE_MAGIC);
    header[8..12].copy_from_slice(&STATE_FORMAT_VERSION.to_le_bytes());
    header
}

/// The last bytes of a file by the length of its sections and the checksum of all before the checksum.
pub(crate) fn trailer(body: u64, sum: u128) -> [u8; TRAILER] {
    let mut trailer = [0; TRAILER];
    trailer[..8].copy_from_slice(&body.to_le_bytes());
    trailer[8..].copy_from_slice(&sum.to_le_bytes());
    trailer
}

/// A finished file and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenFile {
    /// Its name.
    pub name: StateFileName,
    /// Its length and checksum.
    pub facts: FileFacts,
    /// The sections in it with the operators they are of, in the order in which they were written.
    pub sections: Vec<(OperatorId, Section)>,
}

/// Writes one state file. Call [`StateFileWriter::begin`], then [`StateFileWriter::write`] as often as is needed, for each section in turn.
/// Runs on the I/O runtime.
pub struct StateFileWriter {
    store: Arc<dyn ObjectStore>,
    what: String,
    name: StateFileName,
    /// Opened with the first part; small files are written at once.
    upload: Option<Box<dyn MultipartUpload>>,
    buffer: Vec<u8>,
    /// Bytes that were given to the store.
    sent: u64,
    whole: Xxh3,
    section: Xxh3,
    open: Option<(OperatorId, Section)>,
    done: Vec<(OperatorId, Section)>,
}

impl std::fmt::Debug for StateFileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateFileWriter").field("name", &self.name).field("bytes", &self.at()).finish_non_exhaustive()
    }
}

impl StateFileWriter {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, what: String, name: StateFileName) -> Self {
        let header = header();
        let mut whole = Xxh3::new();
        whole.update(&header);
        let (buffer, section) = (header.to_vec(), Xxh3::new());
        Self { store, what, name, upload: None, buffer, sent: 0, whole, section, open: None, done: Vec::new() }
    }

    /// Begins a section; the one before it is complete. An operator's sections of one name and key group come base first, then changes.
    pub fn begin(&mut self, operator: OperatorId, name: SectionName, group: KeyGroup, part: Part) {
        self.close();
        self.section = Xxh3::new();
        let section = Section { name, group, part, file: self.name.clone(), offset: self.at(), length: 0, sum: 0 };
        self.open = Some((operator, section));
    }

    /// Adds bytes to the section; any number of them.
    ///
    /// # Errors
    /// When they cannot be written; the writer is then of no more use. [`CheckpointError::Unwritable`] before the first
    /// [`StateFileWriter::begin`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        let Some((_, section)) = &mut self.open else {
            let reason = "bytes came before the first section of a state file".into();
            return Err(CheckpointError::Unwritable { id: self.name.checkpoint(), reason });
        };
        section.length += bytes.len() as u64;
        self.section.update(bytes);
        self.append(bytes).await
    }

    /// Completes the file and makes it durable; `None` if nothing was begun: there is no file then.
    ///
    /// # Errors
    /// When it cannot be written. Whether there is a file is not known then; it is deleted as garbage one day.
    pub async fn finish(mut self) -> Result<Option<WrittenFile>, CheckpointError> {
        self.close();
        if self.done.is_empty() {
            return Ok(None);
        }
        let body = self.at() - HEADER_BYTES;
        self.append(&body.to_le_bytes()).await?;
        let sum = self.whole.digest128();
        self.buffer.extend_from_slice(&trailer(body, sum)[8..]);
        let facts = FileFacts { bytes: self.at(), sum: FileSum::from_bits(sum) };
        kill_point("state-unfinished");
        self.send_last().await?;
        kill_point("state-written");
        Ok(Some(WrittenFile { name: self.name, facts, sections: self.done }))
    }

    /// The length of the file so far, in bytes.
    pub fn bytes(&self) -> u64 {
        self.at()
    }

    /// Where the next byte goes.
    fn at(&self) -> u64 {
        self.sent + self.buffer.len() as u64
    }

    fn close(&mut self) {
        if let Some((operator, mut section)) = self.open.take() {
            section.sum = self.section.digest();
            self.done.push((operator, section));
        }
    }

    async fn append(&mut self, mut bytes: &[u8]) -> Result<(), CheckpointError> {
        self.whole.update(bytes);
        while self.buffer.len() + bytes.len() >= PART_BYTES {
            let (now, later) = bytes.split_at(PART_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(now);
            bytes = later;
            let part = std::mem::take(&mut self.buffer);
            self.send(part).await?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// One part at a time, so that no more than one is held.
    async fn send(&mut self, part: Vec<u8>) -> Result<(), CheckpointError> {
        let length = part.len() as u64;
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(self.store.put_multipart(&layout::state(&self.name)).await.map_err(|e| failed(&self.what, &self.name, e))?),
        };
        upload.put_part(PutPayload::from(part)).await.map_err(|e| failed(&self.what, &self.name, e))?;
        self.sent += length;
        Ok(())
    }

    async fn send_last(&mut self) -> Result<(), CheckpointError> {
        let part = std::mem::take(&mut self.buffer);
        if self.upload.is_none() {
            let put = self.store.put(&layout::state(&self.name), Bytes::from(part).into()).await;
            return put.map(|_| ()).map_err(|e| failed(&self.what, &self.name, e));
        }
        if !part.is_empty() {
            self.send(part).await?;
        }
        let Some(mut upload) = self.upload.take() else { return Ok(()) };
        upload.complete().await.map(|_| ()).map_err(|e| failed(&self.what, &self.name, e))
    }

    /// Gives the file up.
    ///
    /// # Errors
    /// When what was written cannot be removed; it is garbage then, and nothing refers to it.
    pub async fn abort(mut self) -> Result<(), CheckpointError> {
        match self.upload.take() {
            Some(mut upload) => upload.abort().await.map_err(|e| failed(&self.what, &self.name, e)),
            None => Ok(()),
        }
    }
}

fn failed(what: &str, name: &StateFileName, source: object_store::Error) -> CheckpointError {
    CheckpointError::storage("write", format!("{what}/{}", layout::state(name)), source)
}
