//! Savepoints: a checkpoint copied so that it stands alone, and taken from there into a job's storage.
//!
//! What is copied is what the manifest needs, section by section and checked on the way, not whole files with the garbage in them. The
//! manifest is written last: a folder without one is no savepoint, whatever is in it.

use crate::commit::CommitOutcome;
use crate::error::CheckpointError;
use crate::manifest::{Kind, Manifest};
use crate::names::AttemptId;
use crate::state_file::{StateFileWriter, WrittenFile};
use crate::state_reader::StateReader;
use crate::storage::CheckpointStorage;
use crate::verify::MAX_PLUGIN_BYTES;
use std::collections::BTreeMap;
use stygian_core::CheckpointId;
use stygian_core::kill_point::kill_point;

/// A copied state file is not much longer than this and one section.
const FILE_BYTES: u64 = 1024 * 1024 * 1024;

impl CheckpointStorage {
    /// Copies a checkpoint of this storage into `to`, which becomes a savepoint; its output must all be visible, as in
    /// [`crate::Decision::CopySavepoint`]. Returns the savepoint's manifest.
    ///
    /// # Errors
    /// [`CheckpointError::NoSavepoint`] when `to` has checkpoints already or something is pending; otherwise when something cannot be read
    /// or written, or is damaged. There is no savepoint in `to` then.
    pub async fn copy_savepoint(&self, manifest: &Manifest, to: &Self) -> Result<Manifest, CheckpointError> {
        refuse_pending(manifest, to)?;
        if !to.list().await?.is_empty() {
            return Err(no_savepoint(to, "there are checkpoints in it already; a savepoint takes an empty folder"));
        }
        let copy = Manifest { kind: Kind::Savepoint, ..to.copy_from(self, manifest, manifest.id, manifest.attempt).await? };
        kill_point("savepoint-copied");
        match to.commit(&[], &copy).await {
            CommitOutcome::Committed => Ok(copy),
            CommitOutcome::NotWritten(error) | CommitOutcome::Unknown(error) => Err(error),
            CommitOutcome::Fenced { .. } => Err(no_savepoint(to, "another process writes into it")),
        }
    }

    /// Copies what the savepoint in `from` needs into this storage, under the names of `attempt`, and returns its content for
    /// [`crate::StartFrom::Savepoint`]. Nothing is committed yet: what is copied is garbage until a manifest names it. No other run of this
    /// job may be at work.
    ///
    /// # Errors
    /// [`CheckpointError::NoSavepoint`] when there is none in `from`, or it is a job's storage with output yet to be made visible;
    /// otherwise when something cannot be read or written, or is damaged.
    pub async fn adopt(&self, from: &Self, attempt: AttemptId) -> Result<Manifest, CheckpointError> {
        let newest = from.list().await?.last().copied().ok_or_else(|| no_savepoint(from, "there is no complete one in it"))?;
        let manifest = from.open(newest).await?;
        refuse_pending(&manifest, from)?;
        let id = self.list().await?.last().map_or(CheckpointId(0), |newest| CheckpointId(newest.0 + 1));
        self.copy_from(from, &manifest, id, attempt).await
    }

    /// The manifest with its sections in new files of this storage.
    async fn copy_from(&self, from: &Self, manifest: &Manifest, id: CheckpointId, attempt: AttemptId) -> Result<Manifest, CheckpointError> {
        for digest in manifest.plugins() {
            self.keep_plugin(&from.plugin(digest, MAX_PLUGIN_BYTES).await?).await?;
        }
        let mut copy = Manifest { files: BTreeMap::new(), ..manifest.clone() };
        copy.operators.values_mut().for_each(|state| state.sections.clear());
        let mut reader = StateReader::new(from, manifest.files.clone());
        let mut writer = self.write_state(id, attempt);
        for (operator, state) in &manifest.operators {
            for section in &state.sections {
                if writer.bytes() >= FILE_BYTES {
                    let full = std::mem::replace(&mut writer, self.write_state(id, attempt));
                    finish(full, &mut copy).await?;
                }
                let bytes = reader.read(section).await?;
                writer.begin(operator.clone(), section.name.clone(), section.group, section.part);
                writer.write(&bytes).await?;
            }
        }
        finish(writer, &mut copy).await?;
        Ok(copy)
    }
}

async fn finish(writer: StateFileWriter, copy: &mut Manifest) -> Result<(), CheckpointError> {
    let Some(WrittenFile { name, facts, sections }) = writer.finish().await? else { return Ok(()) };
    copy.files.insert(name, facts);
    for (operator, section) in sections {
        copy.operators.entry(operator).or_default().sections.push(section);
    }
    Ok(())
}

fn refuse_pending(manifest: &Manifest, storage: &CheckpointStorage) -> Result<(), CheckpointError> {
    match manifest.pending.values().map(Vec::len).sum::<usize>() {
        0 => Ok(()),
        pending => Err(no_savepoint(storage, &format!("checkpoint {} has {pending} outputs that are not yet visible", manifest.id))),
    }
}

fn no_savepoint(storage: &CheckpointStorage, reason: &str) -> CheckpointError {
    CheckpointError::NoSavepoint { storage: storage.name().to_owned(), reason: reason.to_owned() }
}
