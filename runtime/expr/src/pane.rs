//! One pane: the distinct keys of its rows and what the aggregates hold for each.
//!
//! Rows go into the *live* part. When a window gives out a result that is not its last, the live part is drained into states (a *frozen*
//! part), which results merge; rows that come afterwards begin a new live part. A snapshot drains the live part too, but merges it back.

use crate::accumulators::{Accumulators, States};
use crate::aggregate::Arguments;
use crate::keys::{EncodedKeys, KeyIndex};
use crate::{ExprError, WindowAggregatorSpec};
use arrow_array::{ArrayRef, UInt32Array};

/// Frozen parts that a pane keeps before it makes one of them.
const MAX_FROZEN: usize = 8;

/// Keys and accumulators: group `n` of each accumulator belongs to key `n`.
pub(crate) struct Part {
    keys: KeyIndex,
    accumulators: Accumulators,
}

/// Keys and the drained states of their accumulators.
#[derive(Debug)]
pub(crate) struct Frozen {
    keys: KeyIndex,
    states: States,
    changed: Changed,
}

/// In which round of results groups were last drained.
#[derive(Debug)]
enum Changed {
    /// All in one.
    In(u32),
    /// By group.
    Each(Vec<u32>),
}

/// Keys and arguments of a batch, evaluated once for all panes.
pub(crate) struct Prepared {
    pub(crate) rows: usize,
    pub(crate) keys: EncodedKeys,
    pub(crate) arguments: Vec<Arguments>,
}

impl Part {
    pub(crate) fn new(spec: &WindowAggregatorSpec) -> Result<Self, ExprError> {
        Self::with_keys(spec, KeyIndex::default())
    }

    /// A part of these keys, none of which has rows yet.
    pub(crate) fn with_keys(spec: &WindowAggregatorSpec, keys: KeyIndex) -> Result<Self, ExprError> {
        Ok(Self { keys, accumulators: Accumulators::new(spec)? })
    }

    /// Adds the selected rows (all where nothing is selected). `groups` is a buffer to reuse.
    fn push(
        &mut self,
        spec: &WindowAggregatorSpec,
        prepared: &Prepared,
        selected: Option<&UInt32Array>,
        groups: &mut Vec<usize>,
    ) -> Result<(), ExprError> {
        groups.clear();
        self.keys.intern(&prepared.keys, prepared.rows, selected.map(|rows| &rows.values()[..]), groups);
        self.accumulators.update(spec, &prepared.arguments, selected, groups, self.keys.len())
    }

    /// Adds what a frozen part holds.
    pub(crate) fn merge(&mut self, spec: &WindowAggregatorSpec, frozen: &Frozen, groups: &mut Vec<usize>) -> Result<(), ExprError> {
        groups.clear();
        self.keys.merge(&frozen.keys, groups);
        self.accumulators.merge(spec, &frozen.states, groups, self.keys.len())
    }

    /// Adds what frozen parts hold of the keys of this one, all of which are in some of them; nothing has been added before.
    pub(crate) fn merge_known<'a>(
        &mut self,
        spec: &WindowAggregatorSpec,
        parts: impl Iterator<Item = &'a Frozen>,
    ) -> Result<(), ExprError> {
        let here = &self.keys;
        let (mut states, mut rows, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for (part, frozen) in parts.enumerate() {
            let mut add = |row: usize, group: usize| {
                rows.push((part, row));
                groups.push(group);
            };
            if here.len() < frozen.keys.len() {
                (0..here.len()).for_each(|group| frozen.keys.find(here, group).into_iter().for_each(|row| add(row, group)));
            } else {
                (0..frozen.keys.len()).for_each(|row| here.find(&frozen.keys, row).into_iter().for_each(|group| add(row, group)));
            }
            states.push(&frozen.states);
        }
        let states = States::gather(spec, &states, &rows)?;
        self.accumulators.merge(spec, &states, &groups, self.keys.len())
    }

    /// Merges states, one a group, and makes results of them, which nobody wants.
    pub(crate) fn try_merge(&mut self, spec: &WindowAggregatorSpec, states: &States, total: usize) -> Result<(), ExprError> {
        let groups: Vec<usize> = (0..total).collect();
        self.accumulators.merge(spec, states, &groups, total)?;
        self.accumulators.finish(spec).map(drop)
    }

    /// Drains the accumulators into their states.
    fn freeze(mut self, spec: &WindowAggregatorSpec, changed: Changed) -> Result<Frozen, ExprError> {
        Ok(Frozen { states: self.accumulators.drain(spec)?, keys: self.keys, changed })
    }

    /// The keys and the final value of each aggregate for each key.
    pub(crate) fn finish(mut self, spec: &WindowAggregatorSpec) -> Result<(KeyIndex, Vec<ArrayRef>), ExprError> {
        let values = self.accumulators.finish(spec)?;
        Ok((self.keys, values))
    }

    fn memory(&self) -> usize {
        self.keys.memory() + self.accumulators.memory()
    }
}

impl Frozen {
    fn changed(&self, group: usize) -> u32 {
        match &self.changed {
            Changed::In(round) => *round,
            Changed::Each(rounds) => rounds[group],
        }
    }

    /// Adds the keys to `to` that were drained after `round`.
    pub(crate) fn changed_since(&self, round: u32, to: &mut KeyIndex) {
        if matches!(self.changed, Changed::In(changed) if changed <= round) {
            return;
        }
        for group in (0..self.keys.len()).filter(|group| self.changed(*group) > round) {
            to.adopt(&self.keys, group);
        }
    }

    fn memory(&self) -> usize {
        let changed = match &self.changed {
            Changed::In(_) => 0,
            Changed::Each(rounds) => rounds.capacity() * 4,
        };
        self.keys.memory() + self.states.memory() + changed
    }
}

/// The number of the live part, behind all others.
const LIVE: u32 = u32::MAX;

/// In which round a group was drained.
pub(crate) type RoundOf<'a> = &'a dyn Fn(usize) -> Option<u32>;
type Shown = Result<(), ExprError>;

/// One pane of time.
#[derive(Default)]
pub(crate) struct Pane {
    live: Option<Part>,
    frozen: Vec<Frozen>,
    rows: usize,
}

impl Pane {
    /// Adds the selected rows (all where nothing is selected).
    pub(crate) fn push(
        &mut self,
        spec: &WindowAggregatorSpec,
        prepared: &Prepared,
        selected: Option<&UInt32Array>,
        groups: &mut Vec<usize>,
    ) -> Result<(), ExprError> {
        let live = match &mut self.live {
            Some(live) => live,
            none => none.insert(Part::new(spec)?),
        };
        self.rows += selected.map_or(prepared.rows, UInt32Array::len);
        live.push(spec, prepared, selected, groups)
    }

    /// The live part, where the pane never had another: its results need no merging.
    pub(crate) fn into_live(self) -> Option<Part> {
        if self.frozen.is_empty() { self.live } else { None }
    }

    /// Turns everything into states, in this round of results.
    pub(crate) fn freeze(&mut self, spec: &WindowAggregatorSpec, round: u32) -> Result<(), ExprError> {
        if let Some(live) = self.live.take() {
            self.frozen.push(live.freeze(spec, Changed::In(round))?);
        }
        if self.frozen.len() > MAX_FROZEN {
            let whole = merged(spec, &self.frozen)?;
            self.frozen = vec![whole];
        }
        Ok(())
    }

    /// What it holds as states, all of it after [`Pane::freeze`].
    pub(crate) fn frozen(&self) -> &[Frozen] {
        &self.frozen
    }

    /// Shows each part: its number, keys and states, and the round in which each group was drained (of the live part: none).
    pub(crate) fn read(
        &mut self,
        spec: &WindowAggregatorSpec,
        mut show: impl FnMut(u32, &KeyIndex, &States, RoundOf<'_>) -> Shown,
    ) -> Shown {
        for (number, frozen) in (0_u32..).zip(&self.frozen) {
            show(number, &frozen.keys, &frozen.states, &|group| Some(frozen.changed(group)))?;
        }
        if let Some(live) = &mut self.live {
            let states = live.accumulators.read(spec, live.keys.len())?;
            show(LIVE, &live.keys, &states, &|_| None)?;
        }
        Ok(())
    }

    /// Takes back a part that [`Pane::read`] has shown; the numbers must ascend.
    pub(crate) fn put_back(&mut self, spec: &WindowAggregatorSpec, number: u32, keys: KeyIndex, states: States, rounds: Vec<u32>) -> Shown {
        if number == LIVE {
            let mut live = Part::with_keys(spec, keys)?;
            let groups: Vec<usize> = (0..live.keys.len()).collect();
            live.accumulators.merge(spec, &states, &groups, groups.len())?;
            self.live = Some(live);
        } else {
            self.frozen.push(Frozen { keys, states, changed: Changed::Each(rounds) });
        }
        Ok(())
    }

    /// Counts rows that are there.
    pub(crate) fn add_rows(&mut self, rows: usize) {
        self.rows = self.rows.saturating_add(rows);
    }

    /// Rows added so far.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Keys held, counted once a part.
    pub(crate) fn keys(&self) -> usize {
        self.live.iter().map(|live| live.keys.len()).chain(self.frozen.iter().map(|frozen| frozen.keys.len())).sum()
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.live.as_ref().map_or(0, Part::memory) + self.frozen.iter().map(Frozen::memory).sum::<usize>()
    }
}

/// Several frozen parts as one.
fn merged(spec: &WindowAggregatorSpec, parts: &[Frozen]) -> Result<Frozen, ExprError> {
    let (mut whole, mut rounds, mut groups) = (Part::new(spec)?, Vec::new(), Vec::new());
    for part in parts {
        whole.merge(spec, part, &mut groups)?;
        rounds.resize(whole.keys.len(), 0);
        for (group, here) in groups.iter().enumerate() {
            rounds[*here] = part.changed(group).max(rounds[*here]);
        }
    }
    whole.freeze(spec, Changed::Each(rounds))
}
