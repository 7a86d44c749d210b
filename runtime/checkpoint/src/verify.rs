//! Verifying: reading all that a checkpoint needs and telling everything that is wrong.

use crate::error::CheckpointError;
use crate::manifest::Manifest;
use crate::state_reader::StateReader;
use crate::storage::CheckpointStorage;
use stygian_core::CheckpointId;

/// A component is never larger.
pub(crate) const MAX_PLUGIN_BYTES: u64 = 32 * 1024 * 1024;

impl CheckpointStorage {
    /// Reads every file of a checkpoint and checks every checksum: of files, of sections, of plugins. Returns all damages; none: it is
    /// whole.
    ///
    /// # Errors
    /// When the manifest itself cannot be read, or the storage does not answer: then nothing can be said.
    pub async fn verify(&self, id: CheckpointId) -> Result<Vec<CheckpointError>, CheckpointError> {
        self.verify_manifest(&self.open(id).await?).await
    }

    /// The newest checkpoint that is whole, for `--recover-latest`, with the errors of the newer ones that are not.
    ///
    /// # Errors
    /// When the storage does not answer.
    pub async fn newest_whole(&self) -> Result<(Option<Manifest>, Vec<CheckpointError>), CheckpointError> {
        let mut damages = Vec::new();
        for id in self.list().await?.into_iter().rev() {
            let manifest = match self.open(id).await {
                Ok(manifest) => manifest,
                Err(error @ CheckpointError::Storage { .. }) => return Err(error),
                Err(damaged) => {
                    damages.push(damaged);
                    continue;
                }
            };
            let found = self.verify_manifest(&manifest).await?;
            if found.is_empty() {
                return Ok((Some(manifest), damages));
            }
            damages.extend(found);
        }
        Ok((None, damages))
    }

    pub(crate) async fn verify_manifest(&self, manifest: &Manifest) -> Result<Vec<CheckpointError>, CheckpointError> {
        let mut damages = Vec::new();
        let mut whole = Vec::new();
        for (name, facts) in &manifest.files {
            match self.verify_state_file(name, *facts).await {
                Ok(()) => whole.push(name),
                Err(error @ CheckpointError::Storage { .. }) => return Err(error),
                Err(damaged) => damages.push(damaged),
            }
        }
        // A file can be what was written, and the manifest name other sums.
        let mut reader = StateReader::new(self, manifest.files.clone());
        for section in manifest.operators.values().flat_map(|state| &state.sections).filter(|section| whole.contains(&&section.file)) {
            match reader.read(section).await {
                Ok(_) => {}
                Err(error @ CheckpointError::Storage { .. }) => return Err(error),
                Err(damaged) => damages.push(damaged),
            }
        }
        for digest in manifest.plugins() {
            match self.plugin(digest, MAX_PLUGIN_BYTES).await {
                Ok(_) => {}
                Err(error @ CheckpointError::Storage { .. }) => return Err(error),
                Err(damaged) => damages.push(damaged),
            }
        }
        Ok(damages)
    }
}
