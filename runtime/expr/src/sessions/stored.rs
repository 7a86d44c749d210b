//! Open sessions, written down and taken back.
//!
//! What the aggregates know of a session may lie in several groups; each is a row, the session's count of rows is on one of them. What is
//! restored has one group a session, in the part where its next row would go. Sessions are known by their key and start: two open ones
//! of a key never begin at the same time.

use super::part::{Content, Part};
use super::table::{self, Place};
use super::{Routed, Sessions};
use crate::ExprError;
use crate::accumulators::States;
use crate::aggregator::Frame;
use crate::keys::EncodedKeys;
use crate::panes::try_states;
use crate::stored::windows::SESSIONS;
use crate::stored::{Layout, Stored, Writer, damaged, guarded};
use crate::window::MAX_TIME;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use std::sync::Arc;
use stygian_core::KeyGroup;

impl Sessions {
    /// Writes everything, and leaves everything as it was.
    pub(crate) fn store(&mut self, frame: &Frame, writer: &mut Writer) -> Result<(), ExprError> {
        let Self { table, parts, .. } = self;
        for (number, part) in parts {
            let (states, slots) = part.read(frame)?;
            let sessions: Vec<_> = slots.iter().map(|slot| table.root(part.owners[*slot as usize])).collect();
            let held = || sessions.iter().map(|id| table.get(*id));
            let rows = held().zip(&slots).map(|(session, slot)| {
                let here = session.place == Place { part: *number, slot: *slot };
                if here { session.rows } else { 0 }
            });
            let mut columns: Vec<ArrayRef> = vec![
                Arc::new(Int64Array::from_iter_values(held().map(|session| session.start))),
                Arc::new(Int64Array::from_iter_values(held().map(|session| session.last))),
                Arc::new(UInt32Array::from_iter_values(held().map(|session| session.born))),
                Arc::new(UInt32Array::from_iter_values(rows)),
            ];
            columns.extend(frame.codec.decode(sessions.iter().map(|id| table.key(*id)))?);
            columns.extend(states.columns().cloned());
            writer.add(SESSIONS, columns, slots.len(), None)?;
        }
        Ok(())
    }

    /// Opens the sessions that a section holds.
    pub(crate) fn restore(&mut self, frame: &Frame, layout: &Layout, group: KeyGroup, stored: &Stored) -> Result<(), ExprError> {
        let stream = &layout.streams[SESSIONS];
        for batch in stored.streams.iter().flatten() {
            guarded(group, || try_states(frame, stream, batch))?;
            let routed = self.reopen(frame, group, batch, &frame.codec.encode(&stream.keys(batch))?)?;
            let states = States::from_columns(&frame.spec, stream.others(batch))?;
            for (part, rows, groups) in routed.parts {
                let Some(Part { owners, content: Content::Live(accumulators), .. }) = self.parts.get_mut(&part) else { continue };
                let states = states.take(&frame.spec, &UInt32Array::from(rows))?;
                accumulators.merge(&frame.spec, &states, &groups, owners.len())?;
            }
        }
        Ok(())
    }

    /// Where the states of each row go.
    fn reopen(&mut self, frame: &Frame, group: KeyGroup, rows: &RecordBatch, keys: &EncodedKeys) -> Result<Routed, ExprError> {
        let times = |column: usize| rows.column(column).as_primitive::<Int64Type>().values();
        let numbers = |column: usize| rows.column(column).as_primitive::<UInt32Type>().values();
        let (starts, lasts, born, counts) = (times(0), times(1), numbers(2), numbers(3));
        let mut routed = Routed::default();
        for row in 0..rows.num_rows() {
            let (start, last) = (starts[row], lasts[row]);
            if start > last || start < -MAX_TIME || last > MAX_TIME {
                return Err(damaged(group, "a session of impossible times"));
            }
            let key = keys.get(row);
            let hash = table::hash(key, self.table.seed());
            let first = self.table.first(key, hash);
            let known = self.table.chain(first).find(|id| self.table.get(*id).start == start);
            let id = known.unwrap_or_else(|| self.table.insert(key, hash, first, start));
            if known.is_none() {
                self.table.set_born(id, born[row]);
            }
            let session = self.table.get_mut(id);
            if known.is_some() && session.last != last {
                return Err(damaged(group, "two open sessions of a key that begin together"));
            }
            session.last = last;
            session.rows = session.rows.saturating_add(counts[row]);
            // Numbers of rows fit: batches are bounded.
            let place = self.settle(&frame.spec, id)?;
            routed.add(u32::try_from(row).unwrap_or(u32::MAX), place);
        }
        Ok(routed)
    }
}

impl Part {
    /// The states of the groups that are here and whose they are; all is left as it was.
    fn read(&mut self, frame: &Frame) -> Result<(States, Vec<u32>), ExprError> {
        match &mut self.content {
            Content::Live(accumulators) => {
                let states = accumulators.read(&frame.spec, self.owners.len())?;
                Ok((states, (0_u32..).take(self.owners.len()).collect()))
            }
            Content::Drained { states, due } => {
                let mut slots: Vec<u32> = due.iter().map(|(_, slot)| *slot).collect();
                slots.sort_unstable();
                Ok((states.take(&frame.spec, &UInt32Array::from(slots.clone()))?, slots))
            }
        }
    }
}
