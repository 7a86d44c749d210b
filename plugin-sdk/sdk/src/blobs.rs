//! Stored values as they cross: many in one buffer, with offsets, and a bitmap where some are absent.

use crate::bits;
use crate::bits::BitBuilder;
use crate::contract::{SlotStates, VarValues};
use crate::stored::Stored;

/// How many values there are.
pub(crate) fn count(values: &VarValues) -> usize {
    values.offsets.len().saturating_sub(1)
}

/// A value. None: there is none at this index, or its offsets are no range of the bytes.
#[inline]
pub(crate) fn value(values: &VarValues, at: usize) -> Option<&[u8]> {
    let (start, end) = (*values.offsets.get(at)?, *values.offsets.get(at + 1)?);
    values.bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

/// A value that may be absent; an error says that there is no such index, or no such range.
#[inline]
pub(crate) fn state(states: &SlotStates, at: usize) -> Result<Option<&[u8]>, String> {
    let bytes = value(&states.values, at).ok_or_else(|| missing(at))?;
    match &states.validity {
        Some(bitmap) if bitmap.len() <= at / 8 => Err(missing(at)),
        Some(bitmap) if !bits::get(bitmap, at) => Ok(None),
        _ => Ok(Some(bytes)),
    }
}

#[cold]
fn missing(at: usize) -> String {
    format!("value {at} was not passed")
}

/// Values that are collected.
#[derive(Debug)]
pub(crate) struct Blobs {
    values: VarValues,
}

impl Default for Blobs {
    fn default() -> Self {
        Self { values: VarValues { offsets: vec![0], bytes: Vec::new() } }
    }
}

impl Blobs {
    /// Adds a value.
    #[inline]
    pub(crate) fn push(&mut self, value: &impl Stored) -> Result<(), String> {
        value.write(&mut self.values.bytes)?;
        self.end_value();
        Ok(())
    }

    /// Adds a value that is encoded already.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.values.bytes.extend_from_slice(bytes);
        self.end_value();
    }

    /// Adds a value by a function that writes it.
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>) -> Result<(), String> {
        write(&mut self.values.bytes)?;
        self.end_value();
        Ok(())
    }

    #[inline]
    fn end_value(&mut self) {
        // Saturates at 2 GiB, far above what the host takes from a call, which then refuses the whole call.
        self.values.offsets.push(i32::try_from(self.values.bytes.len()).unwrap_or(i32::MAX));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.offsets.len() == 1
    }

    pub(crate) fn values(&self) -> &VarValues {
        &self.values
    }

    pub(crate) fn into_values(self) -> VarValues {
        self.values
    }
}

/// Values that are collected, some of them absent. Most often none is, and then there is no bitmap to be made.
#[derive(Debug, Default)]
pub(crate) struct OptionalBlobs {
    blobs: Blobs,
    validity: Option<BitBuilder>,
}

impl OptionalBlobs {
    /// Room for so many numbers.
    pub(crate) fn with_capacity(values: usize) -> Self {
        let mut offsets = Vec::with_capacity(values + 1);
        offsets.push(0);
        let values = VarValues { offsets, bytes: Vec::with_capacity(values * size_of::<u64>()) };
        Self { blobs: Blobs { values }, validity: None }
    }

    /// Adds a value, or its absence.
    #[inline]
    pub(crate) fn push(&mut self, value: Option<&impl Stored>) -> Result<(), String> {
        match value {
            Some(value) => self.blobs.push(value)?,
            None => self.push_absent(),
        }
        if let Some(validity) = &mut self.validity {
            validity.push(value.is_some());
        }
        Ok(())
    }

    fn push_absent(&mut self) {
        let before = count(&self.blobs.values);
        self.validity.get_or_insert_with(|| BitBuilder::all_set(before));
        self.blobs.end_value();
    }

    pub(crate) fn finish(self) -> SlotStates {
        SlotStates { validity: self.validity.map(BitBuilder::into_bytes), values: self.blobs.into_values() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_was_pushed() {
        let mut blobs = OptionalBlobs::default();
        for value in [Some(5_u16), None, Some(7)] {
            blobs.push(value.as_ref()).unwrap();
        }
        let states = blobs.finish();
        assert_eq!((count(&states.values), states.validity.as_deref()), (3, Some(&[0b101][..])));
        assert_eq!(state(&states, 0), Ok(Some(&[5, 0][..])));
        assert_eq!(state(&states, 1), Ok(None));
        assert_eq!(state(&states, 2), Ok(Some(&[7, 0][..])));
        assert!(state(&states, 3).is_err() && state(&states, 8).is_err());
    }

    #[test]
    fn offsets_that_are_no_range_give_no_value() {
        let values = VarValues { offsets: vec![0, 3, 1, -1, 9], bytes: vec![0; 4] };
        assert_eq!((0..5).map(|at| value(&values, at).is_some()).collect::<Vec<_>>(), [true, false, false, false, false]);
    }
}
