//! What windows hold, as bytes: one section a key group, so that a checkpoint can give each group to whoever owns it next.
//!
//! ```text
//!  8  "stygexpr"
//!  2  version of the format: 1
//!  2  the key group
//!  2  how many key groups the job has
//!  2  number of entries that say what it is of
//!       each: 2 and 4  length of its name, of its value; both, UTF-8
//!  1  1: rows have come since results were last given out early
//!  4  number of facts
//!       each: 3 times 8  numbers; what they mean is the kind's own
//!  2  number of streams
//!       each: 8  its length; an Arrow IPC stream (see `columns`)
//! ```
//!
//! Numbers are little-endian. The entries name all that stored state depends on: the kind of operator, its windows, keys, aggregates with
//! the columns of their states, and the version of DataFusion, whose accumulators these are. State is read only where every entry is
//! what it is now, but for the versions of the accumulators of user-defined aggregates: older ones are migrated. Keys are stored as columns, not as the bytes that they are found by, so those may change.
//!
//! Where there are no key columns everything is in group 0, to which the exchange sends such rows too: the hash of no columns is 0.
//!
//! Reading believes nothing: lengths are checked before anything is made of them, every key must be of the section's group, and a panic of
//! a library on something that looked right is an error like others.

mod columns;
mod header;
pub(crate) mod windows;
mod writer;

pub(crate) use columns::storable;
pub(crate) use header::Header;
pub(crate) use writer::Writer;

use crate::ExprError;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use header::Reader;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use stygian_core::{KeyGroup, KeyHasher, MaxParallelism, SectionKind, StateSection};

/// The version of DataFusion whose accumulators are stored.
pub(crate) const DATAFUSION: &str = "55.2.0";

/// As many rows are made columns of at a time, so that their keys stay within what one column can hold.
pub(crate) const CHUNK_ROWS: usize = 65_536;

/// What wrote the states of accumulators, and what alone reads them: "datafusion" and its version.
pub fn accumulators_version() -> String {
    format!("datafusion {DATAFUSION}")
}

/// What the sections of an operator look like.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The name of this part of the operator's state.
    pub(crate) part: &'static str,
    pub(crate) header: Header,
    pub(crate) streams: Vec<Stream>,
}

/// The rows of one kind.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) schema: SchemaRef,
    /// Which columns are the key, in its order.
    pub(crate) keys: Vec<usize>,
    /// The first column of [`Stream::others`].
    pub(crate) others: usize,
}

/// A number of a kind's own making.
pub(crate) type Fact = [i64; 3];

/// What a section holds.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) changed: bool,
    pub(crate) facts: Vec<Fact>,
    /// By stream.
    pub(crate) streams: Vec<Vec<RecordBatch>>,
    /// The versions of the accumulators of each user-defined aggregate.
    pub(crate) versions: Vec<u32>,
}

impl Stream {
    /// Columns of the kind's own, never null; then those of the key; then others.
    pub(crate) fn new(own: &[(&str, DataType)], keys: &[FieldRef], others: Vec<FieldRef>) -> Self {
        let field = |(name, data_type): &(&str, DataType)| Arc::new(Field::new(*name, data_type.clone(), false));
        let keys = keys.iter().map(|key| Field::new(key.name(), crate::compile::stream_type(key.data_type()), true));
        let of_key: Vec<FieldRef> = keys.map(Arc::new).collect();
        let others_from = own.len() + of_key.len();
        let fields: Vec<FieldRef> = own.iter().map(field).chain(of_key).chain(others).collect();
        Self { schema: Arc::new(Schema::new(fields)), keys: (own.len()..others_from).collect(), others: others_from }
    }

    /// The key columns of a batch.
    pub(crate) fn keys(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        self.keys.iter().map(|key| batch.column(*key).clone()).collect()
    }

    /// The columns behind those of the kind's own and the key.
    pub(crate) fn others<'a>(&self, batch: &'a RecordBatch) -> &'a [ArrayRef] {
        &batch.columns()[self.others..]
    }
}

/// Reads a section; `None`: it is empty, nothing is held of the group.
pub(crate) fn read(layout: &Layout, section: &StateSection) -> Result<Option<Stored>, ExprError> {
    if section.bytes.is_empty() {
        return Ok(None);
    }
    if section.kind != SectionKind::Base {
        return Err(damaged(section.group, "it holds changes only, windows are stored whole"));
    }
    guarded(section.group, || read_unguarded(layout, section)).map(Some)
}

fn read_unguarded(layout: &Layout, section: &StateSection) -> Result<Stored, ExprError> {
    let wrong = |reason: String| damaged(section.group, reason);
    let mut reader = Reader::new(&section.bytes);
    let groups = reader.begin(section.group)?;
    let versions = layout.header.check(&mut reader, section.group)?;
    let [changed] = reader.array().map_err(wrong)?;
    let facts = reader.facts().map_err(wrong)?;
    let streams = u16::from_le_bytes(reader.array().map_err(wrong)?);
    if usize::from(streams) != layout.streams.len() {
        return Err(damaged(section.group, format!("{streams} streams where {} are due", layout.streams.len())));
    }
    let mut read = Vec::with_capacity(layout.streams.len());
    for stream in &layout.streams {
        let bytes = reader.stream().map_err(wrong)?;
        let batches = columns::read(bytes, &stream.schema).map_err(wrong)?;
        for batch in &batches {
            check_groups(stream, batch, groups, section.group)?;
        }
        read.push(batches);
    }
    reader.end().map_err(wrong)?;
    Ok(Stored { changed: changed != 0, facts, streams: read, versions })
}

fn check_groups(stream: &Stream, batch: &RecordBatch, groups: MaxParallelism, group: KeyGroup) -> Result<(), ExprError> {
    let mut hasher = KeyHasher::default();
    let hashes = hasher.hash(&stream.keys(batch), batch.num_rows()).map_err(|error| damaged(group, error.to_string()))?;
    match hashes.iter().all(|hash| groups.group_of(*hash) == group) {
        true => Ok(()),
        false => Err(damaged(group, "a key in it is of another group")),
    }
}

/// Rows next to each other that are of the same.
pub(crate) fn runs<T: PartialEq>(rows: usize, of: impl Fn(usize) -> T) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for row in 0..rows {
        match runs.last_mut().filter(|run| of(run.start) == of(row)) {
            Some(run) => run.end = row + 1,
            None => runs.push(row..row + 1),
        }
    }
    runs
}

/// Does what may panic on bytes that only looked right.
pub(crate) fn guarded<T>(group: KeyGroup, work: impl FnOnce() -> Result<T, ExprError>) -> Result<T, ExprError> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(damaged(group, "what it holds makes no sense")))
}

pub(crate) fn damaged(group: KeyGroup, reason: impl Into<String>) -> ExprError {
    ExprError::DamagedState { group, reason: reason.into() }
}
