//! Which file lies where below the storage's root. `FORMAT.md` tells it with the bytes.

use crate::names::{Digest, StateFileName};
use object_store::path::Path;
use stygian_core::CheckpointId;

pub(crate) const MANIFESTS: &str = "checkpoints";
pub(crate) const STATE: &str = "state";
pub(crate) const PLUGINS: &str = "plugins";
/// Held locked by the process that writes; local folders only.
pub(crate) const LOCK: &str = "lock";
const MANIFEST_SUFFIX: &str = ".manifest";

pub(crate) fn manifest(id: CheckpointId) -> Path {
    Path::from_iter([MANIFESTS, &format!("{:020}{MANIFEST_SUFFIX}", id.0)])
}

pub(crate) fn state(name: &StateFileName) -> Path {
    Path::from_iter([STATE, name.as_str()])
}

pub(crate) fn plugin(digest: &Digest) -> Path {
    Path::from_iter([PLUGINS, &format!("{digest}.wasm")])
}

/// The id in the name of a manifest; `None`: the file is none of ours. An error: it is meant to be one of ours and has a name that we never
/// give.
pub(crate) fn manifest_id(name: &str) -> Option<Result<CheckpointId, ()>> {
    let digits = name.strip_suffix(MANIFEST_SUFFIX)?;
    let id = digits.parse::<u64>().ok().filter(|id| format!("{id:020}") == digits);
    Some(id.map(CheckpointId).ok_or(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_sort_by_their_ids() {
        let name = manifest(CheckpointId(7));
        assert_eq!(name.as_ref(), "checkpoints/00000000000000000007.manifest");
        assert_eq!(manifest_id("00000000000000000007.manifest"), Some(Ok(CheckpointId(7))));
        assert_eq!(manifest_id("7.manifest"), Some(Err(())));
        assert_eq!(manifest_id("+0000000000000000007.manifest"), Some(Err(())));
        assert_eq!(manifest_id("notes.txt"), None);
        assert!(manifest(CheckpointId(9)).as_ref() < manifest(CheckpointId(u64::MAX)).as_ref());
    }
}
