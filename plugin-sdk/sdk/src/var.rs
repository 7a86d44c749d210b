//! Text and bytes: values of variable length, sliced without checks.
//!
//! Invariant: the offsets of [`Vars`] ascend within its bytes, and the values of [`Texts`] are UTF-8. It is checked, or promised by the host
//! ([`crate::Input`]), when a column is bound; so a read checks the row alone.
#![allow(unsafe_code)] // slicing by the invariant

use crate::contract::VarValues;
use crate::input::Extent;
use crate::value::Mismatch;

/// A column of bytes of variable length.
#[derive(Clone, Copy, Debug)]
pub struct Vars<'a> {
    /// One more than there are rows.
    offsets: &'a [i32],
    bytes: &'a [u8],
}

impl<'a> Vars<'a> {
    pub(crate) fn bind(values: &'a VarValues, extent: Extent) -> Result<Self, Mismatch> {
        let offsets = values.offsets.get(..=extent.rows).ok_or(Mismatch::Length)?;
        let vars = Self { offsets, bytes: &values.bytes };
        if extent.trusted || vars.is_sound() { Ok(vars) } else { Err(Mismatch::Offsets) }
    }

    fn is_sound(&self) -> bool {
        let in_bytes = |offset: &i32| usize::try_from(*offset).is_ok_and(|offset| offset <= self.bytes.len());
        self.offsets.iter().all(in_bytes) && self.offsets.is_sorted()
    }

    /// The value of a row.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> &'a [u8] {
        let (start, end) = (self.offsets[row] as usize, self.offsets[row + 1] as usize);
        // SAFETY: the offsets ascend within the bytes.
        unsafe { self.bytes.get_unchecked(start..end) }
    }
}

impl<'a> Vars<'a> {
    /// The value of a row.
    ///
    /// # Safety
    /// The row is less than the number that was bound.
    #[inline]
    pub(crate) unsafe fn get_unchecked(&self, row: usize) -> &'a [u8] {
        // SAFETY: there is one offset more than rows, and they ascend within the bytes.
        unsafe {
            let (start, end) = (*self.offsets.get_unchecked(row) as usize, *self.offsets.get_unchecked(row + 1) as usize);
            self.bytes.get_unchecked(start..end)
        }
    }
}

/// A column of text.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a>(Vars<'a>);

impl<'a> Texts<'a> {
    pub(crate) fn bind(values: &'a VarValues, extent: Extent) -> Result<Self, Mismatch> {
        let texts = Self(Vars::bind(values, extent)?);
        if extent.trusted || texts.is_text() { Ok(texts) } else { Err(Mismatch::Utf8) }
    }

    /// All rows count, null or not: one pass over the whole is several times faster than one a row.
    fn is_text(&self) -> bool {
        let Vars { offsets, bytes } = self.0;
        let (start, end) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
        std::str::from_utf8(&bytes[start..end])
            .is_ok_and(|text| offsets.iter().all(|offset| text.is_char_boundary(*offset as usize - start)))
    }

    /// The value of a row.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> &'a str {
        // SAFETY: every value is UTF-8.
        unsafe { std::str::from_utf8_unchecked(self.0.get(row)) }
    }

    /// The value of a row.
    ///
    /// # Safety
    /// The row is less than the number that was bound.
    #[inline]
    pub(crate) unsafe fn get_unchecked(&self, row: usize) -> &'a str {
        // SAFETY: every value is UTF-8; the rest is the caller's.
        unsafe { std::str::from_utf8_unchecked(self.0.get_unchecked(row)) }
    }
}
