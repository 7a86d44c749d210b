//! The rows that are remembered, written down and taken back: their keys and times.

use super::{Dedup, DedupSpec};
use crate::ExprError;
use crate::sessions::table;
use crate::stored::windows::columns;
use crate::stored::{self, CHUNK_ROWS, Header, Layout, Stream, Writer, damaged, guarded};
use crate::window::MAX_TIME;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::{DataType, FieldRef};
use std::cmp::Reverse;
use std::sync::Arc;
use stygian_core::{EventTime, MaxParallelism, StateSection};

fn layout(spec: &DedupSpec) -> Layout {
    let keys: Vec<FieldRef> = spec.keys.iter().filter_map(|key| spec.input.fields().get(*key)).cloned().collect();
    let header = Header::new("dedup")
        .with("key", columns(keys.iter()))
        .with("time", columns(spec.input.fields().get(spec.event_time).into_iter()))
        .with("span", format!("{} us", spec.within));
    Layout { part: "dedup", header, streams: vec![Stream::new(&[("time", DataType::Int64)], &keys, Vec::new())] }
}

impl Dedup {
    /// All that it remembers: a section for each key group that has something, all of them whole. Nothing changes. The watermark is not in
    /// it; it must be kept beside it.
    ///
    /// # Errors
    /// When the keys cannot be read, or Arrow cannot write them.
    pub fn snapshot(&mut self, groups: MaxParallelism) -> Result<Vec<StateSection>, ExprError> {
        let mut writer = Writer::new(layout(&self.spec), groups);
        let ids: Vec<u32> = self.due.iter().map(|Reverse((_, id))| *id).collect();
        for ids in ids.chunks(CHUNK_ROWS) {
            let times = ids.iter().map(|id| self.table.get(*id).start);
            let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(times))];
            columns.extend(self.codec.decode(ids.iter().map(|id| self.table.key(*id)))?);
            writer.add(0, columns, ids.len(), None)?;
        }
        writer.finish(false)
    }

    /// Remembers what a section holds as well. Called before anything else, once for each section, of one subtask or of several; what is
    /// kept, late and dropped then, and the order of it, are those without the interruption.
    ///
    /// # Errors
    /// When the section is of other keys or another span, of another version, or damaged.
    pub fn restore(&mut self, section: &StateSection) -> Result<(), ExprError> {
        let layout = layout(&self.spec);
        let Some(stored) = stored::read(&layout, section)? else { return Ok(()) };
        for batch in stored.streams.iter().flatten() {
            let keys = guarded(section.group, || self.codec.encode(&layout.streams[0].keys(batch)))?;
            for (row, time) in batch.column(0).as_primitive::<Int64Type>().values().iter().copied().enumerate() {
                if !(-MAX_TIME..=MAX_TIME).contains(&time) {
                    return Err(damaged(section.group, "a row of an impossible time"));
                }
                let key = keys.get(row);
                let hash = table::hash(key, self.table.seed());
                let id = self.table.insert(key, hash, self.table.first(key, hash), time);
                self.due.push(Reverse((time + self.spec.within, id)));
            }
        }
        Ok(())
    }

    /// Sets the watermark that it had at the snapshot, so that what was late is late. Never moves it back.
    pub fn restore_watermark(&mut self, watermark: EventTime) {
        self.watermark = self.watermark.max(watermark.micros());
    }
}
