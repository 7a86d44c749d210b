//! The bytes of a section: what a checkpoint keeps of one key group's state or timers.
//!
//! Format 1, byte by byte. Numbers are varints (`varint`: 7 bits a byte, the lowest first) unless a width is given; those are little-endian.
//! `bytes` is a varint of the length and so many bytes, `text` the same in UTF-8. There is no checksum: who stores a section has one.
//!
//! ```text
//! section   = "StyS", format u8 = 1, part u8, kind u8, group, origin, entry*, 0
//!     part  = 0 keyed | 1 timers
//!     kind  = 0 base: nothing that was there before counts | 1 change: what follows goes on top of it
//! origin    = groups, keys, lives-by u8, time i64, names
//!     groups   = how many key groups the job has
//!     keys     = count, and for each key column its type as text ("int64", "decimal(10, 2)")
//!     lives-by = 0 event time | 1 processing time: the clock of all times of values
//!     time     = the latest time that state was read or written at, in microseconds of that clock; values without a time of their own
//!                are dated by it if they come into a slot that expires
//!     names    = count, and for each slot (timers: each timer), in the order of their indices below: text, what u8, expires u8
//!                what    = slots: 0 value | 1 list | 2 map; timers: 0 event time | 1 processing time
//!                expires = 1 if cells of the slot have a time, else 0
//! cell      = length + 1, version, written i64 (only if the slot expires), bytes of the length; or 0: no value
//! ```
//!
//! The entries of keyed state, each a byte of its kind and what belongs to it:
//!
//! ```text
//! 1 values anew   no key has values but those that follow
//! 2 key           bytes of the key, then a cell for each value slot in their order; all of them 0: the key has no values
//! 3 lists anew    slot: no key has a list there but those that follow
//! 4 list          slot, bytes of the key, written i64 (only if the slot expires), stay, bytes of more entries
//!                 the first `stay` bytes of the list's entries stay, all behind them go, and these come: varint of the length + 1,
//!                 version, bytes, for each; nothing stays and nothing comes: the key has no list
//! 5 maps anew     slot: no key has a map there but those that follow
//! 6 map           slot, bytes of the key, anew u8 (1: it has no entries but those that follow), then for each entry
//!                 length of the map key + 1, map key, cell (0: there is no such entry); then 0
//! ```
//!
//! The entries of timers:
//!
//! ```text
//! 1 timers anew   none waits but those that follow
//! 2 set           timer, at i64, bytes of the key
//! 3 cleared       timer, at i64, bytes of the key
//! ```

mod origin;
mod read;
mod write;

pub(crate) use origin::{Origin, PART_KEYED, PART_TIMERS};
pub use read::Entry;
pub(crate) use read::{TimerEntry, read_keyed, read_timers};
pub(crate) use write::TimerWriter;
pub use write::{SectionWriter, Table};

const MAGIC: [u8; 4] = *b"StyS";
const FORMAT: u8 = 1;

const END: u8 = 0;
const VALUES_ANEW: u8 = 1;
const KEY: u8 = 2;
const LISTS_ANEW: u8 = 3;
const LIST: u8 = 4;
const MAPS_ANEW: u8 = 5;
const MAP: u8 = 6;

const TIMERS_ANEW: u8 = 1;
const TIMER_SET: u8 = 2;
const TIMER_CLEARED: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{self, Cell};
    use crate::slot::{Slot, SlotId};
    use proptest::prelude::*;
    use std::sync::Arc;
    use stygian_core::{ColumnType, KeyGroup, MaxParallelism, SectionKind, SlotKind, StateSection, TimerClock};

    type Value = Option<(u32, i64, Vec<u8>)>;

    fn value() -> impl Strategy<Value = Value> {
        proptest::option::of((any::<u32>(), any::<i64>(), proptest::collection::vec(any::<u8>(), 0..200)))
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..140)
    }

    fn slots() -> Arc<[Slot]> {
        let slot = |name: &str, kind, ttl_micros| Slot { name: name.into(), kind, version: 1, ttl_micros };
        [
            slot("map", SlotKind::Map, Some(1)),
            slot("value", SlotKind::Value, None),
            slot("list", SlotKind::List, Some(1)),
            slot("mortal", SlotKind::Value, Some(1)),
        ]
        .into()
    }

    fn cell(value: &Value, expires: bool) -> Option<Cell<'_>> {
        value.as_ref().map(|(version, written, bytes)| Cell {
            version: *version,
            written: if expires { *written } else { i64::MIN },
            bytes,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            keys in proptest::collection::vec((key(), value(), value()), 0..4),
            list in (key(), any::<i64>(), any::<u64>(), proptest::collection::vec(value(), 0..4)),
            map in (key(), any::<bool>(), proptest::collection::vec((key(), value()), 0..4)),
            (base, group) in (any::<bool>(), 0_u16..300),
        ) {
            let columns = [ColumnType::Decimal { precision: 10, scale: 2 }, ColumnType::Text];
            let origin = Origin { keys: &columns, groups: MaxParallelism::new(300).expect("few"), lives_by: TimerClock::ProcessingTime, time: -7 };
            let (slots, group, kind) = (slots(), KeyGroup(group), if base { SectionKind::Base } else { SectionKind::Change });
            let (mut into, mut expected) = (SectionWriter::new(&origin, kind, group, &slots), Vec::new());
            expected.extend(base.then(|| format!("{:?}", Entry::Base)));
            for table in [Table::Values, Table::Lists(SlotId(2)), Table::Maps(SlotId(0))] {
                into.anew(table);
                expected.push(format!("{:?}", Entry::Anew(table)));
            }
            for (key, one, other) in &keys {
                let (one, other) = (cell(one, false), cell(other, true));
                into.key(key, [one, other].into_iter());
                expected.push(format!("{:?}", Entry::Key { key, cells: &[None, one, None, other] }));
            }
            let (key, written, stay, entries) = &list;
            let mut more = Vec::new();
            entries.iter().filter(|entry| entry.is_some()).for_each(|entry| cell::push(&mut more, false, cell(entry, false).as_ref()));
            into.list(SlotId(2), key, *written, *stay, &more);
            expected.push(format!("{:?}", Entry::List { slot: SlotId(2), key, written: *written, stay: *stay, more: &more }));
            let (key, anew, entries) = &map;
            into.map(SlotId(0), key, *anew, entries.iter().map(|(map_key, value)| (map_key.as_slice(), cell(value, true))));
            expected.extend(anew.then(|| format!("{:?}", Entry::MapAnew { slot: SlotId(0), key })));
            expected.extend(entries.iter().map(|(map_key, value)| {
                format!("{:?}", Entry::MapEntry { slot: SlotId(0), key, map_key, cell: cell(value, true) })
            }));
            let section = StateSection { part: PART_KEYED, group, kind, bytes: into.finish() };
            let mut found = Vec::new();
            let time = read_keyed(&section, &origin, &slots, &mut |entry| {
                found.push(format!("{entry:?}"));
                Ok(())
            });
            prop_assert_eq!(time, Ok(-7));
            prop_assert_eq!(found, expected);
        }
    }
}
