//! The exchange: whose rows these are. Rows are parted by the owner of their key group; small parts wait for more.
//!
//! Parting a batch costs one hash and one gather of the rows, whatever the number of owners: the gather orders the rows by owner, and
//! each part is a slice of it.

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use std::time::{Duration, Instant};
use stygian_core::{KeyHashError, KeyHasher, MaxParallelism, Parallelism};

use crate::error::OperatorError;

/// Parts batches by the owner of each row's key.
pub(crate) struct HashPartitioner {
    columns: Vec<usize>,
    /// The owner of each key group.
    owners: Vec<u16>,
    groups: MaxParallelism,
    hasher: KeyHasher,
    parts: usize,
}

impl HashPartitioner {
    pub(crate) fn new(columns: Vec<usize>, groups: MaxParallelism, parallelism: Parallelism) -> Self {
        let owner = |group| groups.owner_of(stygian_core::KeyGroup(group), parallelism).0;
        Self {
            columns,
            owners: (0..groups.get()).map(owner).collect(),
            groups,
            hasher: KeyHasher::default(),
            parts: usize::from(parallelism.get()),
        }
    }

    /// The rows of each owner, in their order; owners without rows are left out.
    pub(crate) fn part(&mut self, rows: &RecordBatch) -> Result<Vec<(usize, RecordBatch)>, OperatorError> {
        if self.parts == 1 {
            return Ok(vec![(0, rows.clone())]);
        }
        let owners = self.owners_of(rows)?;
        let (order, ends) = order_by_owner(&owners, self.parts);
        let ordered = arrow_select::take::take_record_batch(rows, &UInt32Array::from(order))?;
        let mut start = 0;
        let parts = ends.into_iter().enumerate().map(|(owner, end)| {
            let part = (owner, ordered.slice(start, end - start));
            start = end;
            part
        });
        Ok(parts.filter(|(_, part)| part.num_rows() > 0).collect())
    }

    fn owners_of(&mut self, rows: &RecordBatch) -> Result<Vec<u16>, KeyHashError> {
        let keys: Vec<ArrayRef> = self.columns.iter().map(|column| rows.column(*column).clone()).collect();
        let hashes = self.hasher.hash(&keys, rows.num_rows())?;
        Ok(hashes.iter().map(|hash| self.owners[usize::from(self.groups.group_of(*hash).0)]).collect())
    }
}

/// Row indices in the order of their owners (and of the rows within an owner), and where each owner's rows end: a counting sort.
fn order_by_owner(owners: &[u16], parts: usize) -> (Vec<u32>, Vec<usize>) {
    let mut ends = vec![0_usize; parts];
    owners.iter().for_each(|owner| ends[usize::from(*owner)] += 1);
    let mut next = Vec::with_capacity(parts);
    let mut total = 0;
    for end in &mut ends {
        next.push(total);
        total += *end;
        *end = total;
    }
    let mut order = vec![0_u32; owners.len()];
    for (row, owner) in (0_u32..).zip(owners) {
        let place = &mut next[usize::from(*owner)];
        order[*place] = row;
        *place += 1;
    }
    (order, ends)
}

/// Small parts on their way to one subtask, merged until there are enough of them or they have waited long enough.
#[derive(Default)]
pub(crate) struct MergeBuffer {
    parts: Vec<RecordBatch>,
    rows: usize,
    since: Option<Instant>,
}

impl MergeBuffer {
    /// Adds rows; returns a batch when there are at least `enough` of them.
    pub(crate) fn push(&mut self, rows: RecordBatch, enough: usize, now: Instant) -> Result<Option<RecordBatch>, ArrowError> {
        self.rows += rows.num_rows();
        self.since.get_or_insert(now);
        self.parts.push(rows);
        if self.rows >= enough { self.take() } else { Ok(None) }
    }

    /// All that waits.
    pub(crate) fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let parts = std::mem::take(&mut self.parts);
        self.rows = 0;
        self.since = None;
        match parts.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [first, ..] => arrow_select::concat::concat_batches(first.schema_ref(), &parts).map(Some),
        }
    }

    /// When the oldest rows will have waited for `delay`.
    pub(crate) fn due(&self, delay: Duration) -> Option<Instant> {
        self.since.map(|since| since + delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{Int64Array, StringArray};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn keyed(keys: &[String]) -> RecordBatch {
        let numbers: Int64Array = (0_i64..).take(keys.len()).collect();
        let keys = StringArray::from_iter_values(keys);
        RecordBatch::try_from_iter([("key", Arc::new(keys) as ArrayRef), ("n", Arc::new(numbers))]).expect("equal lengths")
    }

    proptest! {
        /// Against a slow reference: every row goes to the owner of its key's group, in order, and none is lost.
        #[test]
        fn every_row_reaches_the_owner_of_its_key(
            keys in prop::collection::vec("[a-e]{0,2}", 1..60), subtasks in 1_u16..5, groups in 1_u16..20,
        ) {
            let (groups, parallelism) = (MaxParallelism::new(groups).expect("in range"), Parallelism::new(subtasks).expect("in range"));
            let rows = keyed(&keys);
            let parts = HashPartitioner::new(vec![0], groups, parallelism).part(&rows).expect("text is a key");
            let mut expected: Vec<Vec<i64>> = vec![Vec::new(); usize::from(subtasks)];
            for (n, key) in keys.iter().enumerate() {
                let one = StringArray::from(vec![key.as_str()]);
                let hash = KeyHasher::default().hash(&[Arc::new(one)], 1).expect("text is a key")[0];
                expected[groups.owner_of(groups.group_of(hash), parallelism).index()].push(n as i64);
            }
            let mut found: Vec<Vec<i64>> = vec![Vec::new(); usize::from(subtasks)];
            for (owner, part) in &parts {
                found[*owner].extend(part.column(1).as_primitive::<Int64Type>().values());
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn merges_until_there_is_enough() {
        let (mut buffer, now) = (MergeBuffer::default(), Instant::now());
        let rows = keyed(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(buffer.push(rows.clone(), 4, now).expect("one schema"), None);
        assert_eq!(buffer.due(Duration::from_millis(5)), Some(now + Duration::from_millis(5)));
        let merged = buffer.push(rows, 4, now).expect("one schema").expect("enough");
        assert_eq!(merged.num_rows(), 4);
        assert_eq!(buffer.due(Duration::ZERO), None);
    }
}
