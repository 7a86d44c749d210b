//! Reading state files: sections by range, each checked; and whole files, for verifying.

use crate::error::{CheckpointError, Damage};
use crate::layout;
use crate::manifest::{FileFacts, Section};
use crate::names::StateFileName;
use crate::state_file::{HEADER_BYTES, STATE_FORMAT_VERSION, STATE_MAGIC, TRAILER_BYTES, header, trailer};
use crate::storage::CheckpointStorage;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Reads sections of the files that a manifest names. A file's length, beginning and end are checked when it is first touched: that it is the file
/// the manifest was made with, not yet that every byte of it is well; a section's bytes are checked when they are read.
#[derive(Debug)]
pub struct StateReader<'s> {
    storage: &'s CheckpointStorage,
    files: BTreeMap<StateFileName, FileFacts>,
    checked: BTreeSet<StateFileName>,
}

impl<'s> StateReader<'s> {
    /// A reader of a manifest's files ([`crate::Manifest::files`]).
    pub fn new(storage: &'s CheckpointStorage, files: BTreeMap<StateFileName, FileFacts>) -> Self {
        Self { storage, files, checked: BTreeSet::new() }
    }

    /// The bytes of a section, all in memory.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`], naming the file.
    pub async fn read(&mut self, section: &Section) -> Result<Bytes, CheckpointError> {
        let path = layout::state(&section.file);
        let damaged = |damage| CheckpointError::damaged(self.storage.full(&path), damage);
        let senseless = || damaged(Damage::Senseless("a section was asked for that is not inside it".into()));
        let facts = *self.files.get(&section.file).ok_or_else(senseless)?;
        let end = section.offset.checked_add(section.length).ok_or_else(senseless)?;
        if section.offset < HEADER_BYTES || end.checked_add(TRAILER_BYTES).is_none_or(|end| end > facts.bytes) {
            return Err(senseless());
        }
        if !self.checked.contains(&section.file) {
            self.storage.check_state_file(&section.file, facts).await?;
            self.checked.insert(section.file.clone());
        }
        if section.length == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self.storage.range(&path, section.offset..end).await?;
        if bytes.len() as u64 == section.length && xxh3_64(&bytes) == section.sum {
            return Ok(bytes);
        }
        Err(CheckpointError::damaged(self.storage.full(&path), Damage::Section { offset: section.offset, length: section.length }))
    }
}

impl CheckpointStorage {
    /// Length, beginning and end of a state file.
    async fn check_state_file(&self, name: &StateFileName, facts: FileFacts) -> Result<(), CheckpointError> {
        let path = layout::state(name);
        let damaged = |damage| CheckpointError::damaged(self.full(&path), damage);
        let found = match self.store().head(&path).await {
            Ok(meta) => meta.size,
            Err(object_store::Error::NotFound { .. }) => return Err(damaged(Damage::Gone)),
            Err(source) => return Err(self.failed("read", &path, source)),
        };
        check_length(found, facts.bytes).map_err(damaged)?;
        let body =
            facts.bytes.checked_sub(HEADER_BYTES + TRAILER_BYTES).ok_or_else(|| damaged(Damage::Senseless("it is too short".into())))?;
        self.check_header(&path, &self.range(&path, 0..HEADER_BYTES).await?)?;
        let end = self.range(&path, facts.bytes - TRAILER_BYTES..facts.bytes).await?;
        if end[..] == trailer(body, facts.sum.bits()) { Ok(()) } else { Err(damaged(Damage::Other)) }
    }

    fn check_header(&self, path: &Path, found: &[u8]) -> Result<(), CheckpointError> {
        if found == header() {
            return Ok(());
        }
        let version = found.get(8..12).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        match version {
            Some(version) if found.starts_with(&STATE_MAGIC) && version != STATE_FORMAT_VERSION => {
                Err(CheckpointError::Version { file: self.full(path), found: version, known: STATE_FORMAT_VERSION })
            }
            _ => Err(CheckpointError::damaged(self.full(path), Damage::Magic)),
        }
    }

    /// Reads a whole state file and checks its checksum, holding little of it.
    pub(crate) async fn verify_state_file(&self, name: &StateFileName, facts: FileFacts) -> Result<(), CheckpointError> {
        self.check_state_file(name, facts).await?;
        let path = layout::state(name);
        let got = self.store().get(&path).await.map_err(|source| self.failed("read", &path, source))?;
        let mut rest = facts.bytes - 16;
        let mut sum = Xxh3::new();
        let mut chunks = got.into_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(|source| self.failed("read", &path, source))? {
            let summed = usize::try_from(rest).unwrap_or(usize::MAX).min(chunk.len());
            sum.update(&chunk[..summed]);
            rest -= summed as u64;
        }
        let whole = rest == 0 && sum.digest128() == facts.sum.bits();
        if whole { Ok(()) } else { Err(CheckpointError::damaged(self.full(&path), Damage::Checksum)) }
    }

    pub(crate) async fn range(&self, path: &Path, range: std::ops::Range<u64>) -> Result<Bytes, CheckpointError> {
        match self.store().get_range(path, range).await {
            Err(object_store::Error::NotFound { .. }) => Err(CheckpointError::damaged(self.full(path), Damage::Gone)),
            got => got.map_err(|source| self.failed("read", path, source)),
        }
    }
}

fn check_length(found: u64, expected: u64) -> Result<(), Damage> {
    match found.cmp(&expected) {
        std::cmp::Ordering::Less => Err(Damage::Cut { found, expected }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Damage::Trailing(found - expected)),
    }
}
