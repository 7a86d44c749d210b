//! A manifest as bytes: magic, format version, length, JSON, SHA-256. Reading is strict: whatever is not exactly what was written is an
//! error that says what is wrong. `FORMAT.md` has the layout byte by byte.
//!
//! The checksum is SHA-256, as manifests are small and `sha256sum` can check one by hand; it finds accidents, not forgers, against whom
//! the folder's permissions stand.

use crate::error::{CheckpointError, Damage};
use crate::layout::MAX_ID;
use crate::manifest::{Manifest, OperatorState, Part, Section};
use crate::state_file::{HEADER_BYTES, TRAILER_BYTES};
use crate::wire::Body;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The format version that is written and read.
pub const FORMAT_VERSION: u32 = 1;
/// A manifest file is never larger; that is room for about two million sections.
pub const MAX_MANIFEST_BYTES: u64 = 256 * 1024 * 1024;

pub(crate) const MANIFEST_MAGIC: [u8; 8] = *b"STYGCKPT";
/// Magic, format version, length of the body.
const HEAD_BYTES: usize = 20;
const SHA_BYTES: usize = 32;

impl Manifest {
    /// The bytes of its file.
    ///
    /// # Errors
    /// When reading the bytes again would fail ([`CheckpointError::Unwritable`]): nothing is committed that could not be restored.
    pub fn encode(&self) -> Result<Vec<u8>, CheckpointError> {
        let unwritable = |reason: String| CheckpointError::Unwritable { id: self.id, reason };
        let body = Body::of(self).map_err(unwritable)?;
        let mut bytes = Vec::with_capacity(4096);
        bytes.extend(MANIFEST_MAGIC);
        bytes.extend(FORMAT_VERSION.to_le_bytes());
        bytes.extend([0; 8]);
        serde_json::to_writer(&mut bytes, &body).map_err(|error| unwritable(error.to_string()))?;
        bytes.push(b'\n');
        let length = (bytes.len() - HEAD_BYTES) as u64;
        bytes[12..HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
        let sum = Sha256::digest(&bytes);
        bytes.extend(sum);
        match Self::decode(&bytes, "it") {
            Ok(_) => Ok(bytes),
            Err(CheckpointError::Damaged { damage, .. }) => Err(unwritable(damage.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Reads the bytes of a manifest file. Never panics, never allocates more than a small multiple of what it is given.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] or [`CheckpointError::Version`], naming `file`.
    pub fn decode(bytes: &[u8], file: &str) -> Result<Self, CheckpointError> {
        let damaged = |damage| CheckpointError::damaged(file, damage);
        let body = open(bytes, file)?;
        let body: Body = serde_json::from_slice(body).map_err(|error| damaged(Damage::Body(error.to_string())))?;
        let manifest = body.manifest().map_err(|reason| damaged(Damage::Senseless(reason)))?;
        check(&manifest).map_err(|reason| damaged(Damage::Senseless(reason)))?;
        Ok(manifest)
    }
}

/// The body of an intact file.
fn open<'b>(bytes: &'b [u8], file: &str) -> Result<&'b [u8], CheckpointError> {
    let damaged = |damage| CheckpointError::damaged(file, damage);
    let found = bytes.len() as u64;
    let cut = |expected: u64| damaged(Damage::Cut { found, expected });
    let least = (HEAD_BYTES + SHA_BYTES) as u64;
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| cut(least))?;
    if *magic != MANIFEST_MAGIC {
        return Err(damaged(Damage::Magic));
    }
    let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| cut(least))?;
    let version = u32::from_le_bytes(*version);
    let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(|| cut(least))?;
    if version != FORMAT_VERSION {
        return Err(CheckpointError::Version { file: file.into(), found: version, known: FORMAT_VERSION });
    }
    let length = u64::from_le_bytes(*length);
    if length > MAX_MANIFEST_BYTES {
        return Err(damaged(Damage::TooLarge(length)));
    }
    let expected = least + length;
    if found < expected {
        return Err(cut(expected));
    }
    if found > expected {
        return Err(damaged(Damage::Trailing(found - expected)));
    }
    let (body, sum) = rest.split_last_chunk::<SHA_BYTES>().ok_or_else(|| cut(least))?;
    if Sha256::digest(&bytes[..bytes.len() - SHA_BYTES])[..] != sum[..] {
        return Err(damaged(Damage::Checksum));
    }
    Ok(body)
}

/// What the types cannot say: an intact manifest for which this fails was written by a faulty program.
fn check(manifest: &Manifest) -> Result<(), String> {
    if manifest.id.0 > MAX_ID {
        return Err(format!("no checkpoint has the id {}", manifest.id));
    }
    let mut used = BTreeSet::new();
    for (operator, state) in &manifest.operators {
        check_ahead(manifest, state).map_err(|reason| format!("operator {operator}: {reason}"))?;
        let mut based = BTreeSet::new();
        for section in &state.sections {
            check_section(manifest, section).map_err(|reason| format!("operator {operator}: {reason}"))?;
            used.insert(&section.file);
            let first = match section.part {
                Part::Base => based.insert((&section.name, section.group)),
                Part::Change => based.contains(&(&section.name, section.group)),
            };
            if !first {
                let what = if section.part == Part::Base { "a second base" } else { "a change without a base before it" };
                return Err(format!("operator {operator}: {what} of {} of key group {}", section.name, section.group.0));
            }
        }
    }
    if let Some(unused) = manifest.files.keys().find(|name| !used.contains(name)) {
        return Err(format!("no section is in {unused}"));
    }
    if let Some(late) = manifest.files.keys().find(|name| name.checkpoint() > manifest.id) {
        return Err(format!("{late} is of a later checkpoint"));
    }
    match manifest.pending.values().flatten().find(|pending| pending.checkpoint > manifest.id) {
        Some(late) => Err(format!("an output is pending since checkpoint {}, which is later", late.checkpoint)),
        None => Ok(()),
    }
}

/// Those that are ahead are ascending, and ahead.
fn check_ahead(manifest: &Manifest, state: &OperatorState) -> Result<(), String> {
    let mut next = 0;
    for ahead in &state.ahead {
        let groups = &ahead.groups.0;
        if groups.start < next || groups.end > manifest.max_parallelism.get() || Some(ahead.watermark) <= state.watermark {
            return Err(format!("key groups {} to {} cannot be ahead of the others", groups.start, groups.end - 1));
        }
        next = groups.end;
    }
    Ok(())
}

fn check_section(manifest: &Manifest, section: &Section) -> Result<(), String> {
    let groups = manifest.max_parallelism.get();
    if section.group.0 >= groups {
        return Err(format!("a section is of key group {} of {groups}", section.group.0));
    }
    let end = section.offset.checked_add(section.length).and_then(|end| end.checked_add(TRAILER_BYTES));
    let fits = manifest.files.get(&section.file).zip(end).is_some_and(|(file, end)| end <= file.bytes);
    if section.offset < HEADER_BYTES || !fits {
        return Err(format!("{} bytes at {} are not inside {}", section.length, section.offset, section.file));
    }
    Ok(())
}
