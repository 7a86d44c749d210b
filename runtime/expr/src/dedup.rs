//! Rows without their repetitions: of rows with equal keys that are less than a span of event time apart, the first to come is kept.
//!
//! A row is a repetition if its time is less than `within` from that of a row kept before it. What is kept of a row is forgotten once the
//! watermark is `within` past it: no row in time can repeat it then. A row behind the watermark that repeats nothing known may repeat what
//! was forgotten; it is late, and neither kept nor dropped.

mod stored;

use crate::keys::{EncodedKeys, KeyCodec, seed};
use crate::sessions::table::{self, NONE, Table};
use crate::window::MAX_TIME;
use crate::{ExprError, MAX_WINDOW_MICROS, expression};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use arrow_select::take::take_record_batch;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;
use stygian_core::{EventTime, KeyHasher};

/// What repeats what.
#[derive(Clone, Debug)]
pub struct DedupSpec {
    /// The columns whose equal values make a repetition; at least one. Null is a value like any other.
    pub keys: Vec<usize>,
    /// The column with the event time, a timestamp in microseconds.
    pub event_time: usize,
    /// How near, in microseconds.
    pub within: i64,
    /// The rows that come in.
    pub input: SchemaRef,
}

impl DedupSpec {
    /// Checks that this can be computed.
    ///
    /// # Errors
    /// When a column is missing or of a wrong type, or the span is not positive.
    pub fn check(&self) -> Result<(), ExprError> {
        let field = |index: usize| {
            self.input.fields().get(index).ok_or_else(|| ExprError::window(format!("there is no column with the number {index}")))
        };
        let time = field(self.event_time)?;
        if !matches!(time.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _)) {
            return Err(ExprError::window(format!("column `{}` is no timestamp in microseconds", time.name())));
        }
        if !(1..=MAX_WINDOW_MICROS).contains(&self.within) {
            return Err(ExprError::window(format!("a span of {} us is not between 1 and {MAX_WINDOW_MICROS} us", self.within)));
        }
        if self.keys.is_empty() {
            return Err(ExprError::window("rows repeat each other by at least one column"));
        }
        match self.keys.iter().map(|key| field(*key)).find(|key| key.as_ref().map_or(true, |key| !KeyHasher::supports(key.data_type()))) {
            Some(Ok(key)) => Err(ExprError::window(format!("column `{}` is {}, which cannot be a key", key.name(), key.data_type()))),
            Some(Err(error)) => Err(error),
            None => Ok(()),
        }
    }
}

/// What became of the rows of a batch.
#[derive(Debug)]
pub struct Deduplicated {
    /// The rows that repeat none.
    pub kept: RecordBatch,
    /// The rows of which one cannot tell any more, and those whose time is null or absurd.
    pub late: RecordBatch,
    /// How many rows were dropped.
    pub repeated: usize,
}

/// The rows that one subtask remembers.
pub struct Dedup {
    spec: Arc<DedupSpec>,
    codec: KeyCodec,
    table: Table,
    /// When each row is forgotten, the earliest first.
    due: BinaryHeap<Reverse<(i64, u32)>>,
    watermark: i64,
}

impl fmt::Debug for Dedup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedup").field("spec", &self.spec).field("rows", &self.due.len()).finish_non_exhaustive()
    }
}

/// The rows of a batch, apart.
#[derive(Default)]
struct Apart {
    kept: Vec<u32>,
    late: Vec<u32>,
    repeated: usize,
}

impl Dedup {
    /// One that remembers nothing.
    ///
    /// # Errors
    /// See [`DedupSpec::check`].
    pub fn new(spec: Arc<DedupSpec>) -> Result<Self, ExprError> {
        spec.check()?;
        let types: Vec<_> = spec.keys.iter().map(|key| spec.input.field(*key).data_type().clone()).collect();
        let (codec, table) = (KeyCodec::new(&types)?, Table::new(seed()));
        Ok(Self { codec, table, due: BinaryHeap::new(), watermark: EventTime::MIN.micros(), spec })
    }

    /// Parts rows, each compared with those before it.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub fn push(&mut self, rows: &RecordBatch) -> Result<Deduplicated, ExprError> {
        expression::check_rows(&self.spec.input, rows)?;
        let keys: Vec<ArrayRef> = self.spec.keys.iter().map(|key| rows.column(*key).clone()).collect();
        let apart = match self.codec.encode(&keys)? {
            EncodedKeys::None => self.part(rows, |_| None),
            EncodedKeys::Text(keys) => self.part(rows, |row| keys.is_valid(row).then(|| keys.value(row).as_bytes())),
            EncodedKeys::Binary(keys) => self.part(rows, |row| keys.is_valid(row).then(|| keys.value(row))),
            EncodedKeys::Rows(keys) => self.part(rows, |row| Some(keys.row(row).data())),
        };
        let take = |chosen: Vec<u32>| {
            if chosen.len() == rows.num_rows() {
                return Ok(rows.clone());
            }
            let taken = take_record_batch(rows, &UInt32Array::from(chosen));
            taken.map_err(|error| ExprError::window(format!("the rows cannot be told apart: {error}")))
        };
        Ok(Deduplicated { kept: take(apart.kept)?, late: take(apart.late)?, repeated: apart.repeated })
    }

    fn part<'a>(&mut self, rows: &RecordBatch, key: impl Fn(usize) -> Option<&'a [u8]>) -> Apart {
        let times = rows.column(self.spec.event_time).as_primitive::<TimestampMicrosecondType>();
        let mut apart = Apart::default();
        for (row, time) in (0_u32..).zip(times.values().iter().copied()) {
            if times.is_null(row as usize) || !(-MAX_TIME..=MAX_TIME).contains(&time) {
                apart.late.push(row);
                continue;
            }
            let key = key(row as usize);
            let hash = table::hash(key, self.table.seed());
            let first = self.table.first(key, hash);
            let near = |id| (time - self.table.get(id).start).abs() < self.spec.within;
            if first != NONE && self.table.chain(first).any(near) {
                apart.repeated += 1;
            } else if time < self.watermark {
                apart.late.push(row);
            } else {
                let id = self.table.insert(key, hash, first, time);
                self.due.push(Reverse((time + self.spec.within, id)));
                apart.kept.push(row);
            }
        }
        apart
    }

    /// Moves the watermark (never back) and forgets what no row in time can repeat.
    pub fn advance(&mut self, watermark: EventTime) {
        self.watermark = self.watermark.max(watermark.micros());
        while let Some(Reverse((until, id))) = self.due.peek().copied() {
            if until > self.watermark {
                break;
            }
            self.due.pop();
            self.table.fire(id, 0);
            self.table.forget(id);
        }
    }

    /// How many rows are remembered.
    pub fn remembered(&self) -> usize {
        self.due.len()
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.table.memory() + self.due.capacity() * size_of::<Reverse<(i64, u32)>>()
    }
}
