//! Which file lies where below the storage's root. `FORMAT.md` tells it with the bytes.

use crate::names::{Digest, StateFileName};
use object_store::path::Path;
use stygian_core::CheckpointId;

pub(crate) const MANIFESTS: &str = "checkpoints";
pub(crate) const STATE: &str = "state";
pub(crate) const PLUGINS: &str = "plugins";
/// Held locked by the process that writes; local folders only.
pub(crate) const LOCK: &str = "lock";
/// No id is higher: there is always a next one, and it is an offset for Kafka too.
pub(crate) const MAX_ID: u64 = i64::MAX.cast_unsigned();
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
    let id = digits.parse::<u64>().ok().filter(|id| *id <= MAX_ID && format!("{id:020}") == digits);
    Some(id.map(CheckpointId).ok_or(()))
}

/// Of a file that a store had begun under a temporary name (`.NAME.tmp.1`, as the one for HDFS does) and never renamed: the checkpoint that
/// `NAME` is of. The local store's temporary files are never listed; [`crate::local`] deletes them.
pub(crate) fn leftover(name: &str) -> Option<CheckpointId> {
    let (inner, number) = name.strip_prefix('.')?.rsplit_once(".tmp.")?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return None;
    }
    match manifest_id(inner) {
        Some(id) => id.ok(),
        None => inner.parse::<StateFileName>().ok().map(|name| name.checkpoint()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_told_from_other_files() {
        let state = StateFileName::new(CheckpointId(8), crate::AttemptId::from_random(1), 0);
        assert_eq!(leftover(".00000000000000000007.manifest.tmp.1"), Some(CheckpointId(7)));
        assert_eq!(leftover(&format!(".{state}.tmp.12")), Some(CheckpointId(8)));
        for other in
            ["00000000000000000007.manifest", ".7.manifest.tmp.1", ".notes.tmp.1", ".tmp.1", &format!(".{state}.tmp."), state.as_str()]
        {
            assert_eq!(leftover(other), None, "{other}");
        }
    }

    #[test]
    fn manifests_sort_by_their_ids() {
        let name = manifest(CheckpointId(7));
        assert_eq!(name.as_ref(), "checkpoints/00000000000000000007.manifest");
        assert_eq!(manifest_id("00000000000000000007.manifest"), Some(Ok(CheckpointId(7))));
        assert_eq!(manifest_id("7.manifest"), Some(Err(())));
        assert_eq!(manifest_id("+0000000000000000007.manifest"), Some(Err(())));
        assert_eq!(manifest_id("18446744073709551615.manifest"), Some(Err(())));
        assert_eq!(manifest_id("notes.txt"), None);
        assert!(manifest(CheckpointId(9)).as_ref() < manifest(CheckpointId(u64::MAX)).as_ref());
    }
}
