//! Windows of a fixed size: which panes are open, when the windows made of them fire, and what they give out again.
//!
//! A window fires when the watermark reaches its end, and closes `allowed_lateness` later: until then rows still change it. Where results
//! can change (lateness, early results) each row of a result carries a revision, the number of times that its window and key have given
//! one before. A window that has fired gives out again, at the next watermark, the keys whose rows have come since; one that has not
//! fired does so at every early call, and gives out all of its keys when it fires. Keys come as the window first gave them out, then as they
//! were first seen, however often results or snapshots were taken.

mod stored;

use crate::aggregator::Frame;
use crate::keys::KeyIndex;
use crate::output::{Bounds, Fired};
use crate::pane::{Pane, Part};
use crate::window::Assigned;
use crate::{ExprError, WindowSpec};
use arrow_array::{RecordBatch, TimestampMicrosecondArray, UInt32Array};
use std::collections::BTreeMap;
use std::ops::Range;
use stored::Restored;
pub(crate) use stored::try_states;

/// The panes of one subtask.
#[derive(Default)]
pub(crate) struct Panes {
    /// By start.
    panes: BTreeMap<i64, Pane>,
    /// By start: windows that have given results and may give others.
    revised: BTreeMap<i64, Revised>,
    /// Grows with every round of results, so that one can tell what came since.
    round: u32,
    /// The round in which all windows last gave out early results.
    last_early: u32,
    /// The round in which all windows that had fired last gave out results.
    last_advance: u32,
    restored: Restored,
    /// Kept between batches, so that pushing allocates little.
    groups: Vec<usize>,
}

/// What a window has given out.
#[derive(Default)]
struct Revised {
    keys: KeyIndex,
    /// By key: how many results.
    results: Vec<u32>,
    /// The round of the last one.
    round: u32,
}

/// The rows that a window gives out.
#[derive(Clone, Copy)]
enum Which {
    All,
    /// The keys that have had rows since this round.
    Since(u32),
}

impl Panes {
    /// Adds rows with these times; gives back the numbers of those that are late.
    pub(crate) fn push(&mut self, frame: &Frame, rows: &RecordBatch, times: &TimestampMicrosecondArray) -> Result<Vec<u32>, ExprError> {
        let spec = &frame.spec;
        match spec.window.assign(times, horizon(frame, frame.watermark)) {
            Assigned::Whole(pane) => {
                let prepared = frame.prepare(rows)?;
                self.panes.entry(pane).or_default().push(spec, &prepared, None, &mut self.groups)?;
                Ok(Vec::new())
            }
            Assigned::Split(split) => {
                if !split.panes.is_empty() {
                    let prepared = frame.prepare(rows)?;
                    for (pane, selected) in split.panes {
                        let selected = UInt32Array::from(selected);
                        self.panes.entry(pane).or_default().push(spec, &prepared, Some(&selected), &mut self.groups)?;
                    }
                }
                Ok(split.late)
            }
        }
    }

    /// The watermark came from `passed` to the frame's.
    pub(crate) fn advance(&mut self, frame: &Frame, passed: i64, to: &mut Vec<RecordBatch>) -> Result<(), ExprError> {
        let window = frame.spec.window;
        self.round += 1;
        self.last_advance = self.round;
        // Windows that closed before have no rows to tell of.
        let mut next = first_open(window, horizon(frame, passed));
        while let Some(start) = self.next_window(window, next) {
            if start + window.size() > frame.watermark {
                break;
            }
            let fires = start + window.size() > passed;
            self.give(frame, start, fires, to)?;
            if start + window.size() <= horizon(frame, frame.watermark) {
                // The last window that holds this pane is closed.
                self.panes.remove(&start);
                self.revised.remove(&start);
            }
            next = start + window.slide();
        }
        self.close(frame);
        Ok(())
    }

    /// Removes what no window needs any more.
    fn close(&mut self, frame: &Frame) {
        let closed = |start: i64| start + frame.spec.window.size() <= horizon(frame, frame.watermark);
        while let Some(first) = self.panes.first_entry() {
            if !closed(*first.key()) {
                break;
            }
            first.remove();
        }
        while let Some(first) = self.revised.first_entry() {
            if !closed(*first.key()) {
                break;
            }
            first.remove();
        }
    }

    /// Gives out what has changed in all windows.
    pub(crate) fn early(&mut self, frame: &Frame, to: &mut Vec<RecordBatch>) -> Result<(), ExprError> {
        let window = frame.spec.window;
        self.round += 1;
        self.last_early = self.round;
        let mut next = first_open(window, horizon(frame, frame.watermark));
        while let Some(start) = self.next_window(window, next) {
            self.give(frame, start, false, to)?;
            next = start + window.slide();
        }
        Ok(())
    }

    /// The first window from `from` on that has a pane.
    fn next_window(&self, window: WindowSpec, from: i64) -> Option<i64> {
        let (pane, _) = self.panes.range(from..).next()?;
        Some(from.max(*pane - window.size() + window.slide()))
    }

    /// Gives out all of a window when it fires or has given nothing yet, else what has changed.
    fn give(&mut self, frame: &Frame, start: i64, fires: bool, to: &mut Vec<RecordBatch>) -> Result<(), ExprError> {
        let spec = &frame.spec;
        let end = start + spec.window.size();
        let revised = spec.revises();
        let which = match self.revised.get(&start) {
            Some(before) if !fires => Which::Since(before.round),
            _ => Which::All,
        };
        let part = if !revised && spec.window.size() == spec.window.slide() {
            self.panes.remove(&start).and_then(Pane::into_live)
        } else {
            self.merged(frame, start..end, which)?
        };
        let Some(part) = part else { return Ok(()) };
        let (keys, aggregates) = part.finish(spec)?;
        let revisions = revised.then(|| self.revised.entry(start).or_default().count(&keys, self.round));
        let columns = |groups: Range<usize>| keys.columns(&frame.codec, groups);
        Fired { rows: keys.len(), bounds: Bounds::Whole(start, end), keys: &columns, revisions, aggregates }.into_batches(frame, to)
    }

    /// What the panes of a window hold, of the wanted keys; `None`: nothing.
    fn merged(&mut self, frame: &Frame, panes: Range<i64>, which: Which) -> Result<Option<Part>, ExprError> {
        let spec = &frame.spec;
        for (_, pane) in self.panes.range_mut(panes.clone()) {
            pane.freeze(spec, self.round)?;
        }
        let frozen = || self.panes.range(panes.clone()).flat_map(|(_, pane)| pane.frozen());
        match which {
            Which::All => {
                let mut merged = None;
                for frozen in frozen() {
                    let part = match &mut merged {
                        Some(part) => part,
                        none => none.insert(Part::new(spec)?),
                    };
                    part.merge(spec, frozen, &mut self.groups)?;
                }
                Ok(merged)
            }
            Which::Since(round) => {
                let mut keys = KeyIndex::default();
                frozen().for_each(|frozen| frozen.changed_since(round, &mut keys));
                if keys.len() == 0 {
                    return Ok(None);
                }
                if let Some(known) = self.revised.get(&panes.start) {
                    keys = keys.in_order_of(&known.keys);
                }
                let mut part = Part::with_keys(spec, keys)?;
                part.merge_known(spec, frozen())?;
                Ok(Some(part))
            }
        }
    }

    /// The end of the last window that holds rows.
    pub(crate) fn last_end(&self, frame: &Frame) -> Option<i64> {
        self.panes.last_key_value().map(|(pane, _)| pane + frame.spec.window.size())
    }

    /// The end of the first window that has not fired.
    pub(crate) fn next_end(&self, frame: &Frame) -> Option<i64> {
        let window = frame.spec.window;
        let from = first_open(window, frame.watermark);
        self.next_window(window, from).map(|start| start + window.size())
    }

    /// How many windows hold rows and have not fired.
    pub(crate) fn open(&self, frame: &Frame) -> usize {
        let window = frame.spec.window;
        let (mut count, mut next) = (0, first_open(window, frame.watermark));
        while let Some(start) = self.next_window(window, next) {
            count += 1;
            next = start + window.slide();
        }
        count
    }

    /// Rows in windows that have not fired.
    pub(crate) fn held_rows(&self, frame: &Frame) -> usize {
        self.panes.iter().filter(|(start, _)| *start + frame.spec.window.size() > frame.watermark).map(|(_, pane)| pane.rows()).sum()
    }

    /// Keys, counted once a pane.
    pub(crate) fn keys(&self) -> usize {
        self.panes.values().map(Pane::keys).sum::<usize>() + self.restored.keys()
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        let revised = |revised: &Revised| revised.keys.memory() + revised.results.capacity() * 4;
        self.panes.values().map(Pane::memory).sum::<usize>()
            + self.revised.values().map(revised).sum::<usize>()
            + self.restored.memory()
            + self.groups.capacity() * size_of::<usize>()
    }
}

impl Revised {
    /// How many results each key has had, and now has one more.
    fn count(&mut self, keys: &KeyIndex, round: u32) -> Vec<u32> {
        self.round = round;
        let mut groups = Vec::with_capacity(keys.len());
        self.keys.merge(keys, &mut groups);
        self.results.resize(self.keys.len(), 0);
        let count = |group: usize| {
            let before = self.results[group];
            self.results[group] = before.saturating_add(1);
            before
        };
        groups.into_iter().map(count).collect()
    }
}

/// Windows that end by this time are closed at `watermark`.
fn horizon(frame: &Frame, watermark: i64) -> i64 {
    // At the end of the data nothing is waited for.
    if watermark == i64::MAX { watermark } else { watermark.saturating_sub(frame.spec.allowed_lateness) }
}

/// The start of the first window that ends after `time`; the earliest possible where windows could not be told apart.
fn first_open(window: WindowSpec, time: i64) -> i64 {
    if time < -crate::window::MAX_TIME {
        return i64::MIN;
    }
    let time = time.min(crate::window::MAX_TIME + window.size());
    window.pane_of(time - window.size()) + window.slide()
}
