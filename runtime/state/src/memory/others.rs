//! The lists and maps of one key group.

use crate::backend::StateSize;
use crate::memory::Place;
use crate::memory::lists::ListTable;
use crate::memory::maps::MapTable;
use crate::slot::Slot;
use crate::versions::Versions;
use crate::writes::CallWrites;
use stygian_core::{ByteSize, EventTime};

#[derive(Debug)]
pub(crate) struct Others {
    /// One a slot; those of other kinds stay empty.
    pub(crate) lists: Vec<ListTable>,
    pub(crate) maps: Vec<MapTable>,
}

impl Others {
    pub(crate) fn new(slots: usize) -> Self {
        Self { lists: (0..slots).map(|_| ListTable::default()).collect(), maps: (0..slots).map(|_| MapTable::default()).collect() }
    }

    pub(crate) fn size(&self) -> StateSize {
        let (lists, maps) = (self.lists.iter(), self.maps.iter());
        let keys = lists.clone().map(ListTable::keys).sum::<u64>() + maps.clone().map(MapTable::keys).sum::<u64>();
        let bytes = lists.map(ListTable::bytes).sum::<usize>() + maps.map(MapTable::bytes).sum::<usize>();
        StateSize { keys, bytes: ByteSize(bytes as u64) }
    }

    /// Applies what a call does to a key, which is the one of this index in the call.
    pub(crate) fn write(
        &mut self,
        (found, key): ((&[u8], u64), usize),
        slots: &[Slot],
        watermark: EventTime,
        writes: &CallWrites,
        versions: &mut Versions,
    ) {
        let written = writes.written(key);
        for (index, list) in writes.lists(key) {
            let Some((slot, lists)) = slots.get(index).zip(self.lists.get_mut(index)) else { continue };
            if list.clear {
                lists.remove(found, Place { index, slot }, versions);
            }
            if !list.migrated.is_empty() {
                lists.migrate(found, Place { index, slot }, &list.migrated, versions);
            }
            if !list.append.is_empty() {
                lists.append(found, Place { index, slot }, written, watermark, &list.append, versions);
            }
        }
        for (index, map) in writes.maps(key) {
            if let Some((slot, maps)) = slots.get(index).zip(self.maps.get_mut(index)) {
                maps.write(found, Place { index, slot }, written, map, versions);
            }
        }
    }

    /// Drops what has expired.
    pub(crate) fn sweep(&mut self, slots: &[Slot], watermark: EventTime, versions: &mut Versions) {
        for (index, slot) in slots.iter().enumerate() {
            self.lists[index].sweep(Place { index, slot }, watermark, versions);
            self.maps[index].sweep(Place { index, slot }, watermark, versions);
        }
    }

    /// Gives back what room it can.
    pub(crate) fn shrink(&mut self) {
        self.lists.iter_mut().for_each(ListTable::shrink);
        self.maps.iter_mut().for_each(MapTable::shrink);
    }
}
