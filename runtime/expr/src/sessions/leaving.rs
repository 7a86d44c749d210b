//! What leaves drained parts when the watermark comes to it: into results, or on to the parts where sessions have gone.

use super::Sessions;
use super::part::{Content, Part};
use super::table::{Id, Place};
use crate::ExprError;
use crate::accumulators::{Accumulators, States};
use crate::aggregator::Frame;
use arrow_array::UInt32Array;
use std::collections::BTreeMap;

/// Groups that leave a drained part: for the result, or for other parts.
#[derive(Default)]
pub(super) struct Leaving {
    pub(super) fired: Vec<(u32, Id)>,
    pub(super) moved: BTreeMap<u32, (Vec<u32>, Vec<usize>)>,
}

impl Sessions {
    /// The groups of a drained part that are due, and where they go.
    pub(super) fn leave(&mut self, id: u32, watermark: i64) -> Leaving {
        let mut leaving = Leaving::default();
        let Some(mut part) = self.parts.remove(&id) else { return leaving };
        let mut later = Vec::new();
        for slot in part.take_due(watermark) {
            let Some(owner) = part.owners.get(slot as usize).copied() else { continue };
            let root = self.table.root(owner);
            let session = self.table.get(root);
            let end = session.last + self.gap;
            let Place { part: target, slot: to } = session.place;
            if end <= watermark {
                leaving.fired.push((slot, root));
            } else if self.parts.get(&target).is_some_and(Part::is_live) {
                let (slots, groups) = leaving.moved.entry(target).or_default();
                slots.push(slot);
                groups.push(to as usize);
            } else {
                later.push((end, slot));
                continue;
            }
            self.table.drop_partial(owner);
        }
        part.put_off(later);
        self.parts.insert(id, part);
        leaving
    }

    /// What the sessions that fire hold, by row of the result, from all parts at once: see [`Accumulators::merge`]. `None`: none fires,
    /// and some accumulators cannot make results of no groups.
    pub(super) fn results(&self, frame: &Frame, leaving: &[(u32, Leaving)], fired: usize) -> Result<Option<Accumulators>, ExprError> {
        let (mut parts, mut rows, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for (id, leaving) in leaving {
            let Some(Part { content: Content::Drained { states, .. }, .. }) = self.parts.get(id) else { continue };
            rows.extend(leaving.fired.iter().map(|(slot, _)| (parts.len(), *slot as usize)));
            groups.extend(leaving.fired.iter().map(|(_, id)| self.table.get(*id).place.slot as usize));
            parts.push(states);
        }
        if groups.is_empty() {
            return Ok(None);
        }
        let mut results = Accumulators::new(&frame.spec)?;
        results.merge(&frame.spec, &States::gather(&frame.spec, &parts, &rows)?, &groups, fired)?;
        Ok(Some(results))
    }

    /// Merges what leaves a part into other parts.
    pub(super) fn hand_over(&mut self, frame: &Frame, id: u32, moved: BTreeMap<u32, (Vec<u32>, Vec<usize>)>) -> Result<(), ExprError> {
        let Some(Part { content: Content::Drained { states, .. }, .. }) = self.parts.get(&id) else { return Ok(()) };
        let mut taken = Vec::new();
        for (target, (slots, groups)) in moved {
            taken.push((target, states.take(&frame.spec, &UInt32Array::from(slots))?, groups));
        }
        for (target, states, groups) in taken {
            if let Some(Part { owners, content: Content::Live(accumulators), .. }) = self.parts.get_mut(&target) {
                accumulators.merge(&frame.spec, &states, &groups, owners.len())?;
            }
        }
        Ok(())
    }
}
