//! A record as it is stored: in which generation it was written, whether anything is there, and what.
//!
//! A varint of twice the generation plus one if something is there, and then that. Where nothing is there, the record is a trace that is
//! left until the next snapshot, so that it is known that the key's change is remembered already.

use crate::varint;

/// A record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) generation: u64,
    pub(crate) content: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// `None`: these bytes are no record.
    pub(crate) fn read(mut bytes: &'a [u8]) -> Option<Self> {
        let first = varint::take(&mut bytes)?;
        Some(Self { generation: first >> 1, content: (first & 1 == 1).then_some(bytes) })
    }

    /// The bytes of a record.
    pub(crate) fn write(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.content.map_or(0, <[u8]>::len) + 4);
        varint::push(&mut bytes, self.generation << 1 | u64::from(self.content.is_some()));
        bytes.extend_from_slice(self.content.unwrap_or_default());
        bytes
    }
}

/// What a list's pieces are told by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListHead {
    /// So many of its first bytes are saved.
    pub(crate) saved: u64,
    /// Bytes of all entries.
    pub(crate) bytes: u64,
    /// Where the last piece begins.
    pub(crate) last: u64,
    /// The time of its last write.
    pub(crate) written: i64,
}

impl ListHead {
    pub(crate) fn read(mut bytes: &[u8]) -> Option<Self> {
        let (saved, all) = (varint::take(&mut bytes)?, varint::take(&mut bytes)?);
        let last = varint::take(&mut bytes)?;
        Some(Self { saved, bytes: all, last, written: i64::from_le_bytes(bytes.try_into().ok()?) })
    }

    pub(crate) fn write(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20);
        [self.saved, self.bytes, self.last].into_iter().for_each(|number| varint::push(&mut bytes, number));
        bytes.extend(self.written.to_le_bytes());
        bytes
    }
}

/// What is known of a map beside its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MapHead {
    /// Since the last snapshot it had begun anew.
    pub(crate) anew: bool,
    /// How many entries it has.
    pub(crate) entries: u64,
}

impl MapHead {
    pub(crate) fn read(mut bytes: &[u8]) -> Option<Self> {
        let first = varint::take(&mut bytes)?;
        bytes.is_empty().then_some(Self { anew: first & 1 == 1, entries: first >> 1 })
    }

    pub(crate) fn write(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::push(&mut bytes, self.entries << 1 | u64::from(self.anew));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            generation in 0..u64::MAX / 2, content in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)),
            (saved, bytes, last, written) in any::<(u64, u64, u64, i64)>(), (anew, entries) in (any::<bool>(), 0..u64::MAX / 2),
        ) {
            let record = Record { generation, content: content.as_deref() };
            let bytes_of = record.write();
            prop_assert_eq!(Record::read(&bytes_of), Some(record));
            let head = ListHead { saved, bytes, last, written };
            prop_assert_eq!(ListHead::read(&head.write()), Some(head));
            let head = MapHead { anew, entries };
            prop_assert_eq!(MapHead::read(&head.write()), Some(head));
        }

        #[test]
        fn other_bytes_are_an_error_or_a_record(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = (Record::read(&bytes), ListHead::read(&bytes), MapHead::read(&bytes));
        }
    }
}
