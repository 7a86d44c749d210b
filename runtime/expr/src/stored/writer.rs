//! Parts what is held by key group and writes the sections.

use super::{Fact, Layout, columns};
use crate::ExprError;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use std::collections::{BTreeMap, VecDeque};
use stygian_core::{KeyGroup, KeyHasher, MaxParallelism, SectionKind, StateSection};

/// Takes rows in, batch by batch.
pub(crate) struct Writer {
    layout: Layout,
    groups: MaxParallelism,
    hasher: KeyHasher,
    held: BTreeMap<KeyGroup, Held>,
}

/// Of one key group.
#[derive(Default)]
struct Held {
    /// By stream.
    streams: Vec<VecDeque<RecordBatch>>,
    facts: Vec<Fact>,
}

impl Writer {
    pub(crate) fn new(layout: Layout, groups: MaxParallelism) -> Self {
        Self { layout, groups, hasher: KeyHasher::default(), held: BTreeMap::new() }
    }

    /// Adds rows of a stream, keeping their order within a key group. A fact goes with the first group that has some of them, as it is
    /// of none in particular.
    pub(crate) fn add(&mut self, stream: usize, columns: Vec<ArrayRef>, rows: usize, fact: Option<Fact>) -> Result<(), ExprError> {
        let Some(of) = self.layout.streams.get(stream).filter(|_| rows > 0) else { return Ok(()) };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(of.schema.clone(), columns, &options).map_err(|error| fault(&error))?;
        let hashes = self.hasher.hash(&of.keys(&batch), rows).map_err(|error| ExprError::window(format!("no key group: {error}")))?;
        let of_row: Vec<u16> = hashes.iter().map(|hash| self.groups.group_of(*hash).0).collect();
        let ends = ends(&of_row, self.groups);
        let single = of_row.iter().all(|group| *group == of_row[0]);
        let ordered = if single { batch } else { take_record_batch(&batch, &order(&of_row, &ends)).map_err(|error| fault(&error))? };
        let (mut from, mut fact) = (0, fact);
        for (group, until) in (0_u16..).zip(ends) {
            if from == until as usize {
                continue;
            }
            let streams = self.layout.streams.len();
            let held = self.held.entry(KeyGroup(group)).or_default();
            held.streams.resize_with(streams, VecDeque::new);
            held.streams[stream].push_back(ordered.slice(from, until as usize - from));
            held.facts.extend(fact.take());
            from = until as usize;
        }
        Ok(())
    }

    /// One section a key group that holds anything.
    pub(crate) fn finish(self, changed: bool) -> Result<Vec<StateSection>, ExprError> {
        let Self { layout, groups, held, .. } = self;
        held.into_iter().map(|(group, held)| section(&layout, groups, group, held, changed).map_err(|error| fault(&error))).collect()
    }
}

fn section(layout: &Layout, groups: MaxParallelism, group: KeyGroup, held: Held, changed: bool) -> Result<StateSection, ArrowError> {
    let mut bytes = Vec::new();
    layout.header.write(group, groups, &mut bytes);
    bytes.push(u8::from(changed));
    let count = |length: usize| u32::try_from(length).map_err(|_| ArrowError::ComputeError(format!("{length} facts of one key group")));
    bytes.extend(count(held.facts.len())?.to_le_bytes());
    held.facts.iter().flatten().for_each(|number| bytes.extend(number.to_le_bytes()));
    // One or two.
    bytes.extend(u16::try_from(held.streams.len()).unwrap_or(u16::MAX).to_le_bytes());
    for (stream, waiting) in layout.streams.iter().zip(held.streams) {
        let begin = bytes.len();
        bytes.extend(0_u64.to_le_bytes());
        columns::write(&stream.schema, Whole { schema: &stream.schema, waiting }, &mut bytes)?;
        let length = (bytes.len() - begin - size_of::<u64>()) as u64;
        bytes[begin..begin + size_of::<u64>()].copy_from_slice(&length.to_le_bytes());
    }
    Ok(StateSection { part: layout.part, group, kind: SectionKind::Base, bytes })
}

/// Where the rows of each group end, once they are in order.
fn ends(of_row: &[u16], groups: MaxParallelism) -> Vec<u32> {
    let mut ends = vec![0_u32; usize::from(groups.get())];
    of_row.iter().for_each(|group| ends[usize::from(*group)] += 1);
    let mut total = 0;
    for end in &mut ends {
        total += *end;
        *end = total;
    }
    ends
}

/// Rows in the order of their groups: a counting sort.
fn order(of_row: &[u16], ends: &[u32]) -> UInt32Array {
    let mut next = Vec::with_capacity(ends.len());
    next.push(0);
    next.extend_from_slice(&ends[..ends.len() - 1]);
    let mut order = vec![0_u32; of_row.len()];
    for (row, group) in (0_u32..).zip(of_row) {
        let place = &mut next[usize::from(*group)];
        order[*place as usize] = row;
        *place += 1;
    }
    UInt32Array::from(order)
}

/// Slices, put together to batches of [`columns::BATCH_ROWS`] rows.
struct Whole<'a> {
    schema: &'a SchemaRef,
    waiting: VecDeque<RecordBatch>,
}

impl Iterator for Whole<'_> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut parts, mut rows) = (Vec::new(), 0);
        while rows < columns::BATCH_ROWS
            && let Some(part) = self.waiting.pop_front()
        {
            let fit = part.num_rows().min(columns::BATCH_ROWS - rows);
            if fit < part.num_rows() {
                self.waiting.push_front(part.slice(fit, part.num_rows() - fit));
            }
            rows += fit;
            parts.push(part.slice(0, fit));
        }
        match parts.as_slice() {
            [] => None,
            [one] => Some(Ok(one.clone())),
            many => Some(concat_batches(self.schema, many)),
        }
    }
}

fn fault(error: &ArrowError) -> ExprError {
    ExprError::Unstorable { reason: error.to_string() }
}
