//! Session windows: rows of one key that are less than a gap apart, `[first, last + gap)`.
//!
//! A row belongs to the open sessions of its key that `[time, time + gap)` overlaps, which become one; if there are none, it begins one.
//! A session fires when the watermark reaches its end; it is open until then. A row that would begin a session which has ended already
//! is late. All of this depends on the order of rows and watermarks only.
//!
//! [`table`] finds the session of a row, [`part`] holds what the aggregates know: each session has a group in the accumulators of the
//! bucket its end lies in. When its end moves on to the next bucket, the session gets a new group there, and the old one is merged
//! into it once the watermark has come to the old bucket. A session that goes on for long thus holds two or three groups at a time.

mod leaving;
mod part;
mod stored;
pub(crate) mod table;

use crate::accumulators::Accumulators;
use crate::aggregator::Frame;
use crate::keys::{EncodedKeys, seed};
use crate::output::{Bounds, Fired};
use crate::pane::Prepared;
use crate::window::MAX_TIME;
use crate::{ExprError, WindowAggregatorSpec};
use arrow_array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_select::take::take;
use part::{Content, Part};
use std::collections::BTreeMap;
use std::ops::Range;
use table::{Id, NONE, Place, Session, Table};

/// The open sessions of one subtask.
pub(crate) struct Sessions {
    gap: i64,
    table: Table,
    parts: BTreeMap<u32, Part>,
    /// The live part of each bucket of ends.
    live: BTreeMap<i64, u32>,
    next_part: u32,
    latest: Latest,
}

/// The live part that was used last, and the ends it is for.
#[derive(Clone, Copy)]
struct Latest {
    part: u32,
    from: i64,
    until: i64,
}

const NO_PART: Latest = Latest { part: u32::MAX, from: 0, until: 0 };

/// Where the rows of a batch go.
#[derive(Default)]
struct Routed {
    /// By part: rows and the group of each.
    parts: Vec<(u32, Vec<u32>, Vec<usize>)>,
    late: Vec<u32>,
}

impl Routed {
    fn add(&mut self, row: u32, place: Place) {
        // Few parts appear in one batch; the one of the row before is the last.
        let at = self.parts.iter().rposition(|(part, ..)| *part == place.part).unwrap_or_else(|| {
            self.parts.push((place.part, Vec::new(), Vec::new()));
            self.parts.len() - 1
        });
        let (_, rows, groups) = &mut self.parts[at];
        rows.push(row);
        groups.push(place.slot as usize);
    }
}

impl Sessions {
    pub(crate) fn new(gap: i64) -> Self {
        let table = Table::new(seed());
        Self { gap, table, parts: BTreeMap::new(), live: BTreeMap::new(), next_part: 0, latest: NO_PART }
    }

    /// Adds rows with these times; gives back the numbers of those that are late.
    pub(crate) fn push(&mut self, frame: &Frame, rows: &RecordBatch, times: &TimestampMicrosecondArray) -> Result<Vec<u32>, ExprError> {
        let prepared = frame.prepare(rows)?;
        let mut routed = Routed::default();
        match &prepared.keys {
            EncodedKeys::None => self.route(frame, times, |_| Some(&[]), &mut routed)?,
            EncodedKeys::Text(keys) => {
                self.route(frame, times, |row| keys.is_valid(row).then(|| keys.value(row).as_bytes()), &mut routed)?;
            }
            EncodedKeys::Binary(keys) => self.route(frame, times, |row| keys.is_valid(row).then(|| keys.value(row)), &mut routed)?,
            EncodedKeys::Rows(keys) => self.route(frame, times, |row| Some(keys.row(row).data()), &mut routed)?,
        }
        self.add(frame, &prepared, routed.parts)?;
        Ok(routed.late)
    }

    fn route<'a>(
        &mut self,
        frame: &Frame,
        times: &TimestampMicrosecondArray,
        key: impl Fn(usize) -> Option<&'a [u8]>,
        routed: &mut Routed,
    ) -> Result<(), ExprError> {
        for (row, time) in (0_u32..).zip(times.values().iter().copied()) {
            if times.is_null(row as usize) || !(-MAX_TIME..=MAX_TIME).contains(&time) {
                routed.late.push(row);
                continue;
            }
            match self.place(&frame.spec, frame.watermark, key(row as usize), time)? {
                Some(place) => routed.add(row, place),
                None => routed.late.push(row),
            }
        }
        Ok(())
    }

    /// The group of a row; `None`: it is late.
    fn place(&mut self, spec: &WindowAggregatorSpec, watermark: i64, key: Option<&[u8]>, time: i64) -> Result<Option<Place>, ExprError> {
        let hash = table::hash(key, self.table.seed());
        let first = self.table.first(key, hash);
        if first != NONE {
            let (gap, latest) = (self.gap, self.latest);
            let next = self.table.get(first).next;
            // The key's last session may still be open, as watermarks come late; then it has two.
            let alone = next == NONE || {
                let other = self.table.get(next);
                other.next == NONE && !overlaps(other, time, gap)
            };
            let session = self.table.get_mut(first);
            if alone && overlaps(session, time, gap) {
                session.start = session.start.min(time);
                session.last = session.last.max(time);
                session.rows = session.rows.saturating_add(1);
                if session.place.part == latest.part && session.last + gap < latest.until {
                    return Ok(Some(session.place));
                }
                return self.settle(spec, first).map(Some);
            }
        }
        self.place_slowly(spec, watermark, (key, hash, first), time)
    }

    /// The case of a key without open sessions, with several, or with one out of reach.
    fn place_slowly(
        &mut self,
        spec: &WindowAggregatorSpec,
        watermark: i64,
        (key, hash, first): (Option<&[u8]>, u64, Id),
        time: i64,
    ) -> Result<Option<Place>, ExprError> {
        let (mut reached, mut survivor) = (0, None);
        for id in self.table.chain(first) {
            let session = self.table.get(id);
            if overlaps(session, time, self.gap) {
                reached += 1;
                // The one that ends last has its group where the group of them all must be, or before it.
                survivor = survivor.max(Some((session.last, id)));
            }
        }
        let id = match survivor {
            Some((_, survivor)) => {
                if reached > 1 {
                    self.merge_reached(first, survivor, time);
                }
                survivor
            }
            None if time + self.gap <= watermark => return Ok(None),
            None => self.table.insert(key, hash, first, time),
        };
        let session = self.table.get_mut(id);
        session.start = session.start.min(time);
        session.last = session.last.max(time);
        session.rows = session.rows.saturating_add(1);
        self.settle(spec, id).map(Some)
    }

    /// A row has bridged sessions of a key: all that it reaches become part of one of them.
    fn merge_reached(&mut self, first: Id, survivor: Id, time: i64) {
        let others = self.table.chain(first).filter(|id| *id != survivor && overlaps(self.table.get(*id), time, self.gap));
        let others: Vec<Id> = others.collect();
        others.into_iter().for_each(|id| self.table.merge(id, survivor));
    }

    /// The session's group in the live part of the bucket that its end lies in: the one it has, or a new one.
    fn settle(&mut self, spec: &WindowAggregatorSpec, id: Id) -> Result<Place, ExprError> {
        let end = self.table.get(id).last + self.gap;
        if !(self.latest.from..self.latest.until).contains(&end) {
            self.latest = self.live_part(spec, end.div_euclid(self.gap))?;
        }
        let part = self.latest.part;
        let session = self.table.get_mut(id);
        if session.place.part != part
            && let Some(here) = self.parts.get_mut(&part)
        {
            session.place = Place { part, slot: here.slot(id) };
            session.partials += 1;
        }
        Ok(session.place)
    }

    fn live_part(&mut self, spec: &WindowAggregatorSpec, bucket: i64) -> Result<Latest, ExprError> {
        let part = match self.live.get(&bucket) {
            Some(part) => *part,
            None => {
                let part = self.next_part;
                self.next_part += 1;
                self.parts.insert(part, Part::new(spec, bucket)?);
                self.live.insert(bucket, part);
                part
            }
        };
        let from = bucket * self.gap;
        Ok(Latest { part, from, until: from + self.gap })
    }

    /// Gives the routed rows to the accumulators of their parts.
    fn add(&mut self, frame: &Frame, prepared: &Prepared, routed: Vec<(u32, Vec<u32>, Vec<usize>)>) -> Result<(), ExprError> {
        for (part, rows, groups) in routed {
            let Some(Part { owners, content: Content::Live(accumulators), .. }) = self.parts.get_mut(&part) else { continue };
            let selected = (rows.len() < prepared.rows).then(|| UInt32Array::from(rows));
            accumulators.update(&frame.spec, &prepared.arguments, selected.as_ref(), &groups, owners.len())?;
        }
        Ok(())
    }

    /// Fires the sessions whose end the watermark has reached: by end, then by start, then as they began.
    pub(crate) fn advance(&mut self, frame: &Frame, to: &mut Vec<RecordBatch>) -> Result<(), ExprError> {
        if let Some((owners, accumulators)) = self.take_whole(frame.watermark) {
            return self.fire_whole(frame, &owners, accumulators, to);
        }
        self.drain_due(frame)?;
        let due: Vec<u32> = self.parts.iter().filter(|(_, part)| part.next_due(self.gap) <= frame.watermark).map(|(id, _)| *id).collect();
        if due.is_empty() {
            return Ok(());
        }
        let mut leaving = Vec::new();
        for part in due {
            leaving.push((part, self.leave(part, frame.watermark)));
        }
        let fired = self.fire(leaving.iter().flat_map(|(_, leaving)| &leaving.fired).map(|(_, id)| *id).collect());
        let results = self.results(frame, &leaving, fired.len())?;
        for (part, leaving) in leaving {
            self.hand_over(frame, part, leaving.moved)?;
        }
        self.parts.retain(|_, part| !part.is_done());
        match results {
            Some(mut results) => {
                let aggregates = results.finish(&frame.spec)?;
                self.give_out(frame, fired, aggregates, to)
            }
            None => Ok(()),
        }
    }

    /// The live part that is due, if it is the only one, and all of its sessions are due and have no rows in other parts: what it holds are
    /// results already.
    fn take_whole(&mut self, watermark: i64) -> Option<(Vec<Id>, Accumulators)> {
        let mut due = self.parts.iter().filter(|(_, part)| part.next_due(self.gap) <= watermark);
        let (id, part) = due.next()?;
        let whole = |slot: u32, owner: Id| {
            let session = self.table.get(owner);
            session.place == Place { part: *id, slot } && session.partials == 1
        };
        let all_due = (part.bucket + 1) * self.gap - 1 <= watermark;
        if due.next().is_some() || !part.is_live() || !all_due || !(0_u32..).zip(&part.owners).all(|(slot, owner)| whole(slot, *owner)) {
            return None;
        }
        let (id, bucket) = (*id, part.bucket);
        self.live.remove(&bucket);
        self.latest = NO_PART;
        match self.parts.remove(&id)? {
            Part { owners, content: Content::Live(accumulators), .. } => Some((owners, accumulators)),
            Part { .. } => None,
        }
    }

    fn fire_whole(
        &mut self,
        frame: &Frame,
        owners: &[Id],
        mut accumulators: Accumulators,
        to: &mut Vec<RecordBatch>,
    ) -> Result<(), ExprError> {
        let mut aggregates = accumulators.finish(&frame.spec)?;
        let fired = self.fire(owners.to_vec());
        if fired != owners {
            let mut slot_of_row: Vec<u32> = vec![0; fired.len()];
            for (slot, id) in (0_u32..).zip(owners) {
                slot_of_row[self.table.get(*id).place.slot as usize] = slot;
            }
            let order = UInt32Array::from(slot_of_row);
            for ((_, aggregate), array) in frame.spec.aggregates.iter().zip(&mut aggregates) {
                *array = take(array, &order, None).map_err(|error| ExprError::arrow(aggregate.sql(), &error))?;
            }
        }
        self.give_out(frame, fired, aggregates, to)
    }

    /// Makes rows of the sessions that have fired, and forgets them.
    fn give_out(&mut self, frame: &Frame, fired: Vec<Id>, aggregates: Vec<ArrayRef>, to: &mut Vec<RecordBatch>) -> Result<(), ExprError> {
        let bounds = fired.iter().map(|id| self.table.get(*id)).map(|session| (session.start, session.last + self.gap)).collect();
        let keys = |rows: Range<usize>| frame.codec.decode(fired[rows].iter().map(|id| self.table.key(*id)));
        Fired { rows: fired.len(), bounds: Bounds::Each(bounds), keys: &keys, revisions: None, aggregates }.into_batches(frame, to)?;
        fired.into_iter().for_each(|id| self.table.forget(id));
        Ok(())
    }

    /// Drains the live parts whose bucket the watermark has come to.
    fn drain_due(&mut self, frame: &Frame) -> Result<(), ExprError> {
        while let Some(first) = self.live.first_entry() {
            if *first.key() * self.gap > frame.watermark {
                break;
            }
            let id = first.remove();
            self.latest = NO_PART;
            if let Some(part) = self.parts.get_mut(&id) {
                part.drain(id, &frame.spec, &self.table, self.gap)?;
            }
        }
        Ok(())
    }

    /// Fires sessions, which may be named more than once; gives them back in the order of the result.
    fn fire(&mut self, sessions: Vec<Id>) -> Vec<Id> {
        let order = |id: Id| {
            let session = self.table.get(id);
            (session.last, session.start, session.born, id)
        };
        let mut fired: Vec<(i64, i64, u32, Id)> = sessions.into_iter().map(order).collect();
        fired.sort_unstable();
        fired.dedup();
        let fired: Vec<Id> = fired.into_iter().map(|(.., id)| id).collect();
        for (row, id) in (0_u32..).zip(&fired) {
            self.table.fire(*id, row);
        }
        fired
    }

    /// How many sessions are open.
    pub(crate) fn open(&self) -> usize {
        self.table.open().count()
    }

    /// Rows in open sessions.
    pub(crate) fn held_rows(&self) -> usize {
        self.table.open().map(|session| session.rows as usize).sum()
    }

    /// Keys that have open sessions.
    pub(crate) fn keys(&self) -> usize {
        self.table.keys()
    }

    /// A time at or before which nothing fires.
    pub(crate) fn next_end(&self) -> Option<i64> {
        self.parts.values().map(|part| part.next_due(self.gap)).min()
    }

    /// The end of the last open session.
    pub(crate) fn last_end(&self) -> Option<i64> {
        self.table.open().map(|session| session.last + self.gap).max()
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.table.memory() + self.parts.values().map(Part::memory).sum::<usize>()
    }
}

/// Whether a row at `time` belongs to the session.
fn overlaps(session: &Session, time: i64, gap: i64) -> bool {
    time < session.last + gap && time > session.start - gap
}
