//! Byte strings in columns: offsets and bytes, as Arrow and the contract lay them out.

use stygian_core::short;

/// Byte strings one after the other: string `i` is `bytes[offsets[i] .. offsets[i + 1]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VarBytes {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl Default for VarBytes {
    fn default() -> Self {
        Self { offsets: vec![0], bytes: Vec::new() }
    }
}

impl VarBytes {
    /// No strings, and room for so many of so many bytes altogether.
    pub fn with_capacity(strings: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(strings + 1);
        offsets.push(0);
        Self { offsets, bytes: Vec::with_capacity(bytes) }
    }

    /// Checks offsets from elsewhere: one at least, ascending from 0 or later to at most the length of `bytes`.
    pub fn new(offsets: Vec<i32>, mut bytes: Vec<u8>) -> Option<Self> {
        let last = usize::try_from(*offsets.last()?).ok()?;
        if last > bytes.len() || offsets.first().is_some_and(|first| *first < 0) || !offsets.is_sorted() {
            return None;
        }
        // A string that is added begins where the last one ends.
        bytes.truncate(last);
        Some(Self { offsets, bytes })
    }

    /// Adds a string. Offsets are 31 bits: callers stay far below, by their limits of a call.
    #[inline(always)] // a call a key in the hottest loops else
    pub fn push(&mut self, value: &[u8]) {
        short::extend(&mut self.bytes, value);
        self.offsets.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
    }

    /// Adds these strings, each behind a byte.
    pub(crate) fn extend_behind(&mut self, first: u8, strings: &Self) {
        self.bytes.reserve(strings.bytes.len() + strings.len());
        self.offsets.reserve(strings.len());
        for string in strings.iter() {
            self.bytes.push(first);
            self.push(string);
        }
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A string; an empty one where there is none of this index.
    #[inline]
    pub fn get(&self, index: usize) -> &[u8] {
        let range = self.offsets.get(index..).and_then(|pair| pair.first_chunk::<2>());
        // Offsets are not negative and within `bytes` by construction.
        range.and_then(|[start, end]| self.bytes.get(start.unsigned_abs() as usize..end.unsigned_abs() as usize)).unwrap_or_default()
    }

    /// All strings.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Where each string begins, and the end of the last.
    pub fn offsets(&self) -> &[i32] {
        &self.offsets
    }

    /// What the offsets point into.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Offsets and bytes.
    pub(crate) fn into_parts(self) -> (Vec<i32>, Vec<u8>) {
        (self.offsets, self.bytes)
    }

    /// Drops all strings and keeps the room.
    pub fn clear(&mut self) {
        self.offsets.truncate(1);
        self.bytes.clear();
    }
}

impl<'a> FromIterator<&'a [u8]> for VarBytes {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(strings: I) -> Self {
        let mut all = Self::default();
        strings.into_iter().for_each(|string| all.push(string));
        all
    }
}

/// Byte strings some of which are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// A bitmap, 8 values a byte, the first in the lowest bit; a set bit is a value. Bits behind the last are clear.
    validity: Vec<u8>,
    absent: usize,
    values: VarBytes,
}

impl Values {
    /// Checks a bitmap from elsewhere: one bit a value, bits behind the last one do not matter. None: no value is absent.
    pub fn new(validity: Option<Vec<u8>>, values: VarBytes) -> Option<Self> {
        let bytes = values.len().div_ceil(8);
        let mut validity = validity.unwrap_or_else(|| vec![0xFF; bytes]);
        if validity.len() != bytes {
            return None;
        }
        if let Some(last) = validity.last_mut() {
            *last &= 0xFF >> ((8 - values.len() % 8) % 8);
        }
        let present: usize = validity.iter().map(|byte| byte.count_ones() as usize).sum();
        Some(Self { validity, absent: values.len() - present, values })
    }

    /// Adds a value, or its absence.
    #[inline(always)] // as that of strings
    pub fn push(&mut self, value: Option<&[u8]>) {
        let index = self.values.len();
        if index.is_multiple_of(8) {
            self.validity.push(0);
        }
        match (value, self.validity.last_mut()) {
            (Some(value), Some(byte)) => {
                *byte |= 1 << (index % 8);
                self.values.push(value);
            }
            _ => {
                self.absent += 1;
                self.values.push(&[]);
            }
        }
    }

    /// How many there are, absent ones included.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// A value; `None` where it is absent, or where there is none of this index.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let present = self.validity.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1);
        present.then(|| self.values.get(index))
    }

    /// The bitmap; `None` where no value is absent.
    pub fn validity(&self) -> Option<&[u8]> {
        (self.absent > 0).then_some(self.validity.as_slice())
    }

    /// The values, empty where they are absent.
    pub fn values(&self) -> &VarBytes {
        &self.values
    }

    /// Drops all values and keeps the room.
    pub fn clear(&mut self) {
        self.validity.clear();
        self.absent = 0;
        self.values.clear();
    }
}

impl<'a> FromIterator<Option<&'a [u8]>> for Values {
    fn from_iter<I: IntoIterator<Item = Option<&'a [u8]>>>(values: I) -> Self {
        let mut all = Self::default();
        values.into_iter().for_each(|value| all.push(value));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_are_those_that_were_pushed(pushed in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..5)), 0..40)) {
            let values: Values = pushed.iter().map(|value| value.as_deref()).collect();
            prop_assert_eq!(values.len(), pushed.len());
            for (index, value) in pushed.iter().enumerate() {
                prop_assert_eq!(values.get(index), value.as_deref());
            }
            prop_assert_eq!(values.get(pushed.len()), None);
            prop_assert_eq!(values.validity().is_none(), pushed.iter().all(Option::is_some));
        }
    }

    #[test]
    fn a_bitmap_from_elsewhere_is_counted_and_cut() {
        let strings = || VarBytes::from_iter([&b"a"[..], b"", b"c"]);
        let values = Values::new(Some(vec![0b1111_1101]), strings()).expect("one byte");
        assert_eq!([values.get(0), values.get(1), values.get(2), values.get(3)], [Some(&b"a"[..]), None, Some(b"c"), None]);
        assert_eq!(values.validity(), Some(&[0b101][..]));
        assert_eq!(Values::new(None, strings()).map(|values| values.validity().is_none()), Some(true));
        assert_eq!(Values::new(Some(vec![0, 0]), strings()), None);
    }

    #[test]
    fn refuses_offsets_that_do_not_ascend_within_the_bytes() {
        for offsets in [vec![], vec![-1, 0], vec![0, 3], vec![2, 1]] {
            assert_eq!(VarBytes::new(offsets, vec![1, 2]), None);
        }
        let strings = VarBytes::new(vec![1, 1, 2], vec![1, 2]).expect("ascending");
        assert_eq!((strings.len(), strings.get(0), strings.get(1), strings.get(2)), (2, &[][..], &[2][..], &[][..]));
    }

    #[test]
    fn bytes_behind_the_last_offset_are_part_of_no_string() {
        let mut strings = VarBytes::new(vec![0, 1], vec![1, 9, 9]).expect("ascending");
        strings.push(&[2]);
        assert_eq!((strings.len(), strings.get(0), strings.get(1)), (2, &[1][..], &[2][..]));
    }
}
