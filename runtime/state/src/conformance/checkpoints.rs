//! Snapshots that succeed or fail, and what is restored from them.

use crate::conformance::compare::{compare, compare_timers};
use crate::conformance::reference::Reference;
use crate::conformance::{KEYS, Suite, keys_of, new_state, slots_of, state_over, text};
use crate::{KeyedState, StateSize, VersionCount};
use std::collections::{BTreeMap, BTreeSet};
use stygian_core::{ByteSize, EventTime, KeyGroup, SavedSection, SectionKind, StateSection};
use xxhash_rust::xxh3::xxh3_64;

/// What a job remembers of its checkpoints.
#[derive(Default)]
pub(super) struct Checkpoints {
    /// What has to be restored: of each part and group a base, if there is one, and changes.
    chain: Vec<StateSection>,
    /// What was kept when the last of it was taken.
    committed: Kept,
    /// Taken, and neither committed nor failed yet.
    pending: Option<(Vec<StateSection>, Kept)>,
    /// Key groups whose bases have failed: these are taken whole again.
    lost: BTreeSet<KeyGroup>,
}

/// What a state has kept at some time.
#[derive(Clone, Default)]
struct Kept {
    reference: Reference,
    versions: Vec<VersionCount>,
    /// Without room to spare, if it was given back.
    size: Option<StateSize>,
}

impl Checkpoints {
    fn commit(&mut self) {
        let Some((sections, kept)) = self.pending.take() else { return };
        for section in sections {
            if section.kind == SectionKind::Base {
                self.chain.retain(|other| (other.part, other.group) != (section.part, section.group));
            }
            self.chain.push(section);
        }
        self.committed = kept;
        self.lost.clear();
    }

    /// Changes are marked; bases are marked (`mark`), or their groups taken whole again, as the engine has it.
    fn fail(&mut self, state: &mut KeyedState, mark: bool) -> Result<(), String> {
        let sections = self.pending.take().map(|(sections, _)| sections).unwrap_or_default();
        for section in sections {
            if section.kind == SectionKind::Base && !mark {
                self.lost.insert(section.group);
            } else {
                state.mark_unsaved(&section).map_err(text)?;
            }
        }
        Ok(())
    }
}

impl Suite<'_> {
    /// The last checkpoint ends, well or not, and another one is taken.
    pub(super) fn checkpoint(&mut self) -> Result<(), String> {
        if self.random.below(3) == 0 {
            let mark = self.random.below(2) == 0;
            self.checkpoints.fail(&mut self.state, mark)?;
        } else {
            self.checkpoints.commit();
        }
        let (bases, lost) = (self.random.below(8), &self.checkpoints.lost);
        let sections = self.state.snapshot(|group| lost.contains(&group) || bases >> group.0 & 1 == 1).map_err(text)?;
        // What was written right now is not written again.
        if let Some(section) = self.state.snapshot(|_| false).map_err(text)?.first() {
            return Err(format!("part {} of key group {} is written twice", section.part, section.group.0));
        }
        // Sizes are compared without what compaction gives back; and places move before the next change of theirs is noted.
        let size = (self.random.below(2) == 0).then(|| {
            self.state.backend.shrink();
            self.state.size()
        });
        let kept = Kept { reference: self.reference.clone(), versions: self.state.versions(), size };
        self.checkpoints.pending = Some((sections, kept));
        Ok(())
    }

    /// The job ends in the middle of things and starts again, first in several pieces that are only looked at, then in one.
    pub(super) fn restore(&mut self) -> Result<(), String> {
        if self.random.below(2) == 0 {
            self.checkpoints.commit();
        }
        self.checkpoints.pending = None;
        self.checkpoints.lost.clear();
        self.version += u32::try_from(self.random.below(2)).unwrap_or(0);
        let (pieces, mut versions, mut size) = (self.random.below(3) + 1, Vec::new(), StateSize::default());
        for piece in 0..pieces {
            let (restored, piece) = self.piece((pieces, piece))?;
            versions.extend(restored);
            size = StateSize { keys: size.keys + piece.keys, bytes: ByteSize(size.bytes.0 + piece.bytes.0) };
        }
        let committed = &self.checkpoints.committed;
        if sum(&versions) != sum(&committed.versions) {
            return Err(format!("{versions:?} were restored, not {:?}", committed.versions));
        }
        if committed.size.is_some_and(|committed| committed != size) {
            return Err(format!("{size:?} was restored, not {:?}", committed.size));
        }
        let held = self.begin_again()?;
        for section in self.checkpoints.chain.iter().filter(|section| !held.contains(&section.part)) {
            self.state.restore(section).map_err(text)?;
        }
        if let Some(section) = self.state.snapshot(|_| false).map_err(text)?.first() {
            return Err(format!("part {} of key group {} was just restored and is written", section.part, section.group.0));
        }
        self.reference = self.checkpoints.committed.reference.clone();
        if !held.is_empty() {
            self.resumed += 1;
            self.compare_resumed()?;
        }
        Ok(())
    }

    /// A state to restore into, and the parts that it has already.
    fn begin_again(&mut self) -> Result<&'static [&'static str], String> {
        let Some(reopen) = self.reopen.filter(|_| self.random.below(2) == 0) else {
            self.state = new_state(self.make, self.version);
            return Ok(&[]);
        };
        let ended = std::mem::replace(&mut self.state, new_state(self.make, self.version));
        self.state = state_over(reopen(ended.backend, slots_of(self.version)), self.version);
        let saved = |section: &StateSection| SavedSection {
            part: section.part,
            group: section.group,
            kind: section.kind,
            sum: xxh3_64(&section.bytes),
        };
        let saved: Vec<SavedSection> = self.checkpoints.chain.iter().map(saved).collect();
        self.state.resume(&saved).map_err(text)
    }

    /// Compares all there is with what there was at the last checkpoint.
    fn compare_resumed(&mut self) -> Result<(), String> {
        let committed = &self.checkpoints.committed;
        if self.state.versions() != committed.versions {
            return Err(format!("resumed with {:?}, not {:?}", self.state.versions(), committed.versions));
        }
        if committed.size.is_some_and(|committed| committed != self.state.size()) {
            return Err(format!("resumed with {:?}, not {:?}", self.state.size(), committed.size));
        }
        let numbers: Vec<i64> = (0..i64::try_from(KEYS).unwrap_or(0)).collect();
        let mut state = std::mem::replace(&mut self.state, new_state(self.make, self.version));
        let (keys, now) = (keys_of(&mut state, &numbers)?, EventTime::from_micros(self.watermark));
        let mut call = state.begin(&keys, 0..numbers.len(), now, |_| 0).map_err(text)?;
        compare(&mut call, &self.reference, self.watermark, &mut self.random).map_err(|what| format!("resumed: {what}"))?;
        self.state = call.abort();
        Ok(())
    }

    /// Restores every so many key groups, from one on, and compares them.
    fn piece(&mut self, (pieces, piece): (i64, i64)) -> Result<(Vec<VersionCount>, StateSize), String> {
        let mut state = new_state(self.make, self.version);
        for section in self.checkpoints.chain.iter().filter(|section| i64::from(section.group.0) % pieces == piece) {
            state.restore(section).map_err(text)?;
        }
        state.backend.shrink();
        let (versions, size) = (state.versions(), state.size());
        let numbers: Vec<i64> = (0..i64::try_from(KEYS).unwrap_or(0)).collect();
        let (keys, now) = (keys_of(&mut state, &numbers)?, EventTime::from_micros(self.watermark));
        let mut call = state.begin(&keys, 0..numbers.len(), now, |_| 0).map_err(text)?;
        let found = call.keys();
        let own: Vec<&[u8]> = (0..found.len())
            .filter(|index| i64::from(found.group(*index).0) % pieces == piece)
            .map(|index| found.keys().get(index))
            .collect();
        let reference = self.checkpoints.committed.reference.of(|key| own.contains(&key));
        compare(&mut call, &reference, self.watermark, &mut self.random)
            .map_err(|what| format!("restored as piece {piece} of {pieces}: {what}"))?;
        let state = call.abort();
        compare_timers(&state, &reference).map_err(|what| format!("restored as piece {piece} of {pieces}: {what}"))?;
        Ok((versions, size))
    }
}

fn sum(versions: &[VersionCount]) -> BTreeMap<(&str, u32), u64> {
    let mut sum = BTreeMap::new();
    for count in versions {
        *sum.entry((count.slot.as_str(), count.version)).or_default() += count.values;
    }
    sum
}
