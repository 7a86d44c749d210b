//! The timers of one clock: a set for each key group, and which group's first timer comes when.

use crate::timers::Timer;
use std::cmp::Ordering;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeSet, BinaryHeap, btree_set};
use std::iter::Peekable;
use stygian_core::KeyGroup;

/// The timers of a clock.
#[derive(Debug, Default)]
pub(crate) struct Clocked {
    /// By number of the group.
    groups: Vec<BTreeSet<Timer>>,
    /// The time of each group's first timer, and the group.
    heads: BTreeSet<(i64, u16)>,
    len: usize,
    /// What they take: their keys, and [`OVERHEAD`] each.
    bytes: usize,
}

/// What a timer takes beside its key: itself, its share of a node, and an allocation.
pub(crate) const OVERHEAD: usize = size_of::<Timer>() + 32;

impl Clocked {
    pub(crate) fn group(&self, group: KeyGroup) -> &BTreeSet<Timer> {
        static NONE: BTreeSet<Timer> = BTreeSet::new();
        self.groups.get(usize::from(group.0)).unwrap_or(&NONE)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the first timer is due.
    pub(crate) fn next(&self) -> Option<i64> {
        self.heads.first().map(|(at, _)| *at)
    }

    pub(crate) fn set(&mut self, timer: Timer) {
        let at = usize::from(timer.group.0);
        if self.groups.len() <= at {
            self.groups.resize_with(at + 1, BTreeSet::new);
        }
        let (group, bytes, set) = (timer.group, OVERHEAD + timer.key.len(), &mut self.groups[at]);
        let before = set.first().map(|first| first.at);
        if set.insert(timer) {
            self.len += 1;
            self.bytes += bytes;
            self.head(group, before);
        }
    }

    pub(crate) fn clear(&mut self, timer: &Timer) {
        let Some(set) = self.groups.get_mut(usize::from(timer.group.0)) else { return };
        let before = set.first().map(|first| first.at);
        if set.remove(timer) {
            self.len -= 1;
            self.bytes -= OVERHEAD + timer.key.len();
            self.head(timer.group, before);
        }
    }

    pub(crate) fn clear_group(&mut self, group: KeyGroup) {
        let Some(set) = self.groups.get_mut(usize::from(group.0)) else { return };
        let before = set.first().map(|first| first.at);
        self.len -= set.len();
        self.bytes -= set.iter().map(|timer| OVERHEAD + timer.key.len()).sum::<usize>();
        set.clear();
        self.head(group, before);
    }

    /// Notes what a group's first timer is now.
    fn head(&mut self, group: KeyGroup, before: Option<i64>) {
        let now = self.group(group).first().map(|first| first.at);
        if before != now {
            if let Some(before) = before {
                self.heads.remove(&(before, group.0));
            }
            self.heads.extend(now.map(|now| (now, group.0)));
        }
    }

    /// All of them, by time: groups are opened when their first timers are due.
    pub(crate) fn ascending(&self) -> Ascending<'_> {
        Ascending { of: self, heads: self.heads.iter().peekable(), open: BinaryHeap::new() }
    }
}

/// Goes through the timers of a clock.
pub(crate) struct Ascending<'a> {
    of: &'a Clocked,
    heads: Peekable<btree_set::Iter<'a, (i64, u16)>>,
    open: BinaryHeap<Open<'a>>,
}

/// A group that is gone through.
struct Open<'a> {
    next: &'a Timer,
    rest: btree_set::Iter<'a, Timer>,
}

impl<'a> Iterator for Ascending<'a> {
    type Item = &'a Timer;

    fn next(&mut self) -> Option<&'a Timer> {
        while let Some((_, group)) = self.heads.next_if(|(at, _)| self.open.peek().is_none_or(|open| *at <= open.next.at)) {
            let mut rest = self.of.group(KeyGroup(*group)).iter();
            self.open.extend(rest.next().map(|next| Open { next, rest }));
        }
        let mut open = self.open.peek_mut()?;
        let timer = open.next;
        match open.rest.next() {
            Some(next) => open.next = next,
            None => drop(PeekMut::pop(open)),
        }
        Some(timer)
    }
}

/// The one whose next timer comes first is the greatest, as the heap wants it.
impl Ord for Open<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.next.cmp(self.next)
    }
}

impl PartialOrd for Open<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Open<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.next == other.next
    }
}

impl Eq for Open<'_> {}
