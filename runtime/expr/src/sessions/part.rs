//! Groups of sessions that end at about the same time: those of one *bucket* of ends, which is as long as the gap.
//!
//! A part is live first: rows are added to its groups. When the watermark comes to its bucket, no row in order adds to it any more; it is
//! drained into states and its groups queue by the end of their sessions. So every group is drained once, whenever its session ends,
//! and what a watermark costs does not depend on how many sessions stay open.

use super::table::{Id, Place, Table};
use crate::accumulators::{Accumulators, States};
use crate::{ExprError, WindowAggregatorSpec};

/// Groups and the session that each belongs to.
pub(super) struct Part {
    /// The bucket of ends.
    pub(super) bucket: i64,
    /// By group; a session that has been merged stands for the one it became part of.
    pub(super) owners: Vec<Id>,
    pub(super) content: Content,
}

pub(super) enum Content {
    Live(Accumulators),
    Drained {
        states: States,
        /// When each group is to be looked at and its number, the next at the end.
        due: Vec<(i64, u32)>,
    },
}

impl Part {
    pub(super) fn new(spec: &WindowAggregatorSpec, bucket: i64) -> Result<Self, ExprError> {
        Ok(Self { bucket, owners: Vec::new(), content: Content::Live(Accumulators::new(spec)?) })
    }

    /// Whether rows are added to it.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.content, Content::Live(_))
    }

    /// A new group.
    pub(super) fn slot(&mut self, owner: Id) -> u32 {
        self.owners.push(owner);
        // There are no more groups than sessions.
        u32::try_from(self.owners.len() - 1).unwrap_or(u32::MAX)
    }

    /// Ends the live time of the part with the number `id`.
    pub(super) fn drain(&mut self, id: u32, spec: &WindowAggregatorSpec, table: &Table, gap: i64) -> Result<(), ExprError> {
        let Content::Live(accumulators) = &mut self.content else { return Ok(()) };
        let states = accumulators.drain(spec)?;
        let last_of_bucket = (self.bucket + 1) * gap - 1;
        let due = (0_u32..).zip(&self.owners).map(|(slot, owner)| {
            let session = table.get(table.root(*owner));
            let current = session.place == Place { part: id, slot };
            let end = session.last + gap;
            (if current { end } else { end.min(last_of_bucket) }, slot)
        });
        let mut due: Vec<(i64, u32)> = due.collect();
        // By group within a time, so that states are read in the order in which they lie.
        due.sort_unstable_by(|one, other| other.cmp(one));
        self.content = Content::Drained { states, due };
        Ok(())
    }

    /// Takes the groups that are due at `watermark`, the earliest first.
    pub(super) fn take_due(&mut self, watermark: i64) -> Vec<u32> {
        let Content::Drained { due, .. } = &mut self.content else { return Vec::new() };
        let mut taken = Vec::new();
        while let Some((_, slot)) = due.pop_if(|(at, _)| *at <= watermark) {
            taken.push(slot);
        }
        taken
    }

    /// Looks at groups again later.
    pub(super) fn put_off(&mut self, groups: Vec<(i64, u32)>) {
        if let Content::Drained { due, .. } = &mut self.content
            && !groups.is_empty()
        {
            due.extend(groups);
            due.sort_unstable_by(|one, other| other.cmp(one));
        }
    }

    /// Whether all groups have gone elsewhere.
    pub(super) fn is_done(&self) -> bool {
        matches!(&self.content, Content::Drained { due, .. } if due.is_empty())
    }

    /// A time at which, or after which, the first group is due.
    pub(super) fn next_due(&self, gap: i64) -> i64 {
        match &self.content {
            Content::Live(_) => self.bucket * gap,
            Content::Drained { due, .. } => due.last().map_or(i64::MAX, |(at, _)| *at),
        }
    }

    /// Bytes on the heap.
    pub(super) fn memory(&self) -> usize {
        let content = match &self.content {
            Content::Live(accumulators) => accumulators.memory(),
            Content::Drained { states, due } => states.memory() + due.capacity() * size_of::<(i64, u32)>(),
        };
        self.owners.capacity() * size_of::<Id>() + content
    }
}
