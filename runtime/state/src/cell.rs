//! A value with its version and, where it expires, the time of its last write: laid out alike in records in memory and in sections.
//!
//! A varint of its length plus one (0: no value, nothing follows), a varint of its version, the time of its last write (i64, only in slots
//! that expire), and its bytes.

use crate::varint;

/// A value as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// The version of the slot that it was written in.
    pub version: u32,
    /// The time of its last write, in microseconds; `i64::MIN` in slots that do not expire.
    pub written: i64,
    /// The value.
    pub bytes: &'a [u8],
}

/// Adds a cell, or that there is none.
pub(crate) fn push(to: &mut Vec<u8>, expires: bool, cell: Option<&Cell<'_>>) {
    let Some(cell) = cell else { return varint::push(to, 0) };
    varint::push(to, cell.bytes.len() as u64 + 1);
    varint::push(to, u64::from(cell.version));
    if expires {
        to.extend_from_slice(&cell.written.to_le_bytes());
    }
    to.extend_from_slice(cell.bytes);
}

/// Takes a cell from the front; `Some(None)` where it says that there is no value, `None` where there is no cell.
#[inline(always)] // the compiler leaves a call a slot in the two hottest loops else
pub(crate) fn take<'a>(rest: &mut &'a [u8], expires: bool) -> Option<Option<Cell<'a>>> {
    let Some(length) = usize::try_from(varint::take(rest)?).ok()?.checked_sub(1) else { return Some(None) };
    let version = u32::try_from(varint::take(rest)?).ok()?;
    let mut written = i64::MIN;
    if expires {
        let (bytes, behind) = rest.split_first_chunk()?;
        (written, *rest) = (i64::from_le_bytes(*bytes), behind);
    }
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(Some(Cell { version, written, bytes }))
}
