//! Increments: what of a key group is written whole again, and what is carried over from one manifest to the next. Pure.
//!
//! At a checkpoint a key group either has not changed (its sections are carried over), or its changes are written behind them, or it is
//! written whole (*rebased*), which makes everything before it garbage. Changes that are never rebased cost disk and restore time without
//! end; rebasing all groups at once makes one checkpoint as dear as the first. So groups are rebased a few at a time: those with the most
//! changes first, within a share of the state a checkpoint.
//!
//! With the defaults: at 1 % of the state changed evenly a checkpoint, changes grow to half of a group's base in 50 checkpoints; from
//! then on each checkpoint also rebases 1/64 of the state. That is 1 % + 1.6 %, and a restore reads less than twice the state.

use crate::manifest::{Part, Section};
use crate::names::SectionName;
use std::collections::{BTreeMap, BTreeSet};
use stygian_core::KeyGroup;

/// When to rebase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RebasePolicy {
    /// A group whose changes have this share of its base's bytes may be rebased. Default: 0.5. Lower it for faster restores, raise it for
    /// smaller checkpoints.
    pub ratio: f64,
    /// A group with this many changes may be rebased, whatever their size. Default: 100. Each is an entry of the manifest.
    pub changes: u32,
    /// A checkpoint rebases at most this share of the bytes, but always at least one group that is due. Default: 1/64.
    pub share: f64,
}

impl Default for RebasePolicy {
    fn default() -> Self {
        Self { ratio: 0.5, changes: 100, share: 1.0 / 64.0 }
    }
}

/// What is stored of a key group under a name, and what is to be added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupHistory {
    /// Bytes of the base; `None`: there is none yet.
    pub base: Option<u64>,
    /// Bytes of all changes behind it.
    pub change_bytes: u64,
    /// How many changes.
    pub changes: u32,
    /// About how many bytes the changes since the last committed checkpoint would take; 0: none.
    pub dirty: u64,
}

/// What to write of a key group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Nothing changed.
    Nothing,
    /// What changed since the last committed checkpoint.
    Change,
    /// All of it.
    Base,
}

impl GroupHistory {
    /// The history of every name and key group of an operator, from its sections in the last committed manifest.
    pub fn of(sections: &[Section]) -> BTreeMap<(SectionName, KeyGroup), Self> {
        let mut histories: BTreeMap<_, Self> = BTreeMap::new();
        for section in sections {
            let history = histories.entry((section.name.clone(), section.group)).or_default();
            match section.part {
                Part::Base => *history = Self { base: Some(section.length), ..Self::default() },
                Part::Change => {
                    history.change_bytes += section.length;
                    history.changes += 1;
                }
            }
        }
        histories
    }

    /// How much a rebase is due: 1 and more is due.
    fn due(&self, policy: &RebasePolicy) -> f64 {
        let base = self.base.unwrap_or(0).max(1);
        let by_bytes = (self.change_bytes + self.dirty) as f64 / (base as f64 * policy.ratio.max(f64::MIN_POSITIVE));
        let by_count = f64::from(self.changes) / f64::from(policy.changes.max(1));
        if self.changes == 0 && self.dirty == 0 { 0.0 } else { by_bytes.max(by_count) }
    }
}

/// What to write of each group of a subtask; the answers stand in the order of `groups`.
pub fn plan(groups: &[GroupHistory], policy: &RebasePolicy) -> Vec<Write> {
    let mut writes: Vec<Write> = groups.iter().map(plan_alone).collect();
    let total: u64 = groups.iter().map(|group| group.base.unwrap_or(0)).sum();
    let mut due: Vec<(f64, usize)> = groups.iter().map(|group| group.due(policy)).zip(0..).collect();
    due.retain(|(due, at)| *due >= 1.0 && writes[*at] != Write::Base);
    due.sort_by(|a, b| b.0.total_cmp(&a.0));
    let budget = total as f64 * policy.share;
    let mut spent = 0.0;
    for (nth, (_, at)) in due.into_iter().enumerate() {
        let cost = groups[at].base.unwrap_or(0) as f64;
        if nth > 0 && spent + cost > budget {
            break;
        }
        spent += cost;
        writes[at] = Write::Base;
    }
    writes
}

/// What can be said without looking at the other groups.
fn plan_alone(group: &GroupHistory) -> Write {
    match group.base {
        _ if group.dirty == 0 => Write::Nothing,
        // The first time.
        None => Write::Base,
        // The whole is not larger than its changes.
        Some(base) if group.dirty >= base => Write::Base,
        Some(_) => Write::Change,
    }
}

/// The sections of an operator in the next manifest: those of the last committed one, with what was written now. A base takes the place of
/// all sections of its name and key group; a change follows them.
pub(crate) fn carry_over(before: &[Section], now: Vec<Section>) -> Vec<Section> {
    let rebased: BTreeSet<(SectionName, KeyGroup)> =
        now.iter().filter(|section| section.part == Part::Base).map(|section| (section.name.clone(), section.group)).collect();
    let mut next: Vec<Section> =
        before.iter().filter(|section| !rebased.contains(&(section.name.clone(), section.group))).cloned().collect();
    next.extend(now);
    next.sort_by(|a, b| (&a.name, a.group).cmp(&(&b.name, b.group)));
    next
}
