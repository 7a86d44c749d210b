//! Reading state files: sections by range, each checked; and whole files, for verifying.

use crate::error::{CheckpointError, Damage};
use crate::layout;
use crate::manifest::{FileFacts, Section};
use crate::names::StateFileName;
use crate::state_file::{HEADER_BYTES, STATE_FORMAT_VERSION, STATE_MAGIC, TRAILER_BYTES, header, trailer};
use crate::storage::CheckpointStorage;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Reads sections of the files that a manifest names. A file's length, beginning and end are checked when it is first touched: that it is
/// the file the manifest was made with, not yet that every byte of it is well; a section's bytes are checked when they are read.
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
        let mut bytes = self.read_batch(std::slice::from_ref(section)).await?;
        Ok(bytes.pop().unwrap_or_default())
    }

    /// The bytes of these sections, in their order, all in memory: the caller says by the batch how much that is. Sections that lie near
    /// each other in a file are read at once.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`], naming the first file that is.
    pub async fn read_batch(&mut self, sections: &[Section]) -> Result<Vec<Bytes>, CheckpointError> {
        let mut by_file: BTreeMap<&StateFileName, Vec<usize>> = BTreeMap::new();
        for (at, section) in sections.iter().enumerate() {
            by_file.entry(&section.file).or_default().push(at);
        }
        let mut read = vec![Bytes::new(); sections.len()];
        for (file, mut of_file) in by_file {
            self.check(file, of_file.iter().map(|at| &sections[*at])).await?;
            of_file.retain(|at| sections[*at].length > 0);
            of_file.sort_by_key(|at| sections[*at].offset);
            let ranges: Vec<_> = of_file.iter().map(|at| sections[*at].offset..sections[*at].offset + sections[*at].length).collect();
            let path = layout::state(file);
            for (at, bytes) in of_file.into_iter().zip(self.storage.ranges(&path, &ranges).await?) {
                let Section { offset, length, sum, .. } = sections[at];
                if bytes.len() as u64 != length || xxh3_64(&bytes) != sum {
                    return Err(CheckpointError::damaged(self.storage.full(&path), Damage::Section { offset, length }));
                }
                read[at] = bytes;
            }
        }
        Ok(read)
    }

    /// That the sections are inside the file as the manifest has it, and that the file is that one.
    async fn check(&mut self, file: &StateFileName, mut sections: impl Iterator<Item = &Section>) -> Result<(), CheckpointError> {
        let facts = self.files.get(file).copied();
        let inside = |section: &Section| {
            let end = section.offset.checked_add(section.length).and_then(|end| end.checked_add(TRAILER_BYTES));
            section.offset >= HEADER_BYTES && end.zip(facts).is_some_and(|(end, facts)| end <= facts.bytes)
        };
        let Some(facts) = facts.filter(|_| sections.all(inside)) else {
            let damage = Damage::Senseless("a section was asked for that is not inside it".into());
            return Err(CheckpointError::damaged(self.storage.full(&layout::state(file)), damage));
        };
        if !self.checked.contains(file) {
            self.storage.check_state_file(file, facts).await?;
            self.checked.insert(file.clone());
        }
        Ok(())
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

    async fn range(&self, path: &Path, range: Range<u64>) -> Result<Bytes, CheckpointError> {
        Ok(self.ranges(path, &[range]).await?.pop().unwrap_or_default())
    }

    /// Bytes of a file that is known to be long enough.
    async fn ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, CheckpointError> {
        match self.store().get_ranges(path, ranges).await {
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
