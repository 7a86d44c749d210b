//! What a table remembers for the next snapshot, where a flag beside what is stored cannot tell: the names of what was touched or removed.
//!
//! A table that was never saved remembers nothing: all of it is to be written. Nor does one whose names have come to take as much room as
//! what it holds, as when nobody takes snapshots any more: it is then written whole, which costs less. So names never take more than
//! what is held and [`ROOM`].

use crate::varint;

/// Bytes that names may take in any case; few in tests, so that they reach it.
const ROOM: usize = if cfg!(test) { 64 } else { 4096 };

/// The names, and whether they are all there is to say.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Whether the next snapshot may tell changes alone.
    tracked: bool,
    /// Whether a snapshot may have said something of the table, so that emptiness has to be said too.
    saved: bool,
    /// Names, one after the other: a varint of the length and the bytes, then for the second part a varint of its length plus one (0: it
    /// has none) and its bytes.
    names: Vec<u8>,
}

/// A name in two parts.
pub(crate) type Name<'a> = (&'a [u8], Option<&'a [u8]>);

impl Touched {
    /// Of a table that is what a section said.
    pub(crate) fn restored() -> Self {
        Self { tracked: true, saved: true, names: Vec::new() }
    }

    /// Whether changes alone can be told.
    pub(crate) fn is_tracked(&self) -> bool {
        self.tracked
    }

    /// Whether a snapshot may have said something of the table.
    pub(crate) fn is_saved(&self) -> bool {
        self.saved
    }

    /// Whether there is something to say of a table that is empty or not, changes that are flagged aside.
    pub(crate) fn is_unsaved(&self, empty: bool) -> bool {
        if self.tracked { !self.names.is_empty() } else { self.saved || !empty }
    }

    /// Remembers a name; `held` is about how many bytes the table holds.
    pub(crate) fn push(&mut self, (first, second): Name<'_>, held: usize) {
        if !self.tracked {
            return;
        }
        varint::push(&mut self.names, first.len() as u64);
        self.names.extend_from_slice(first);
        varint::push(&mut self.names, second.map_or(0, |second| second.len() as u64 + 1));
        self.names.extend_from_slice(second.unwrap_or_default());
        if self.names.len() > held.max(ROOM) {
            self.lose();
        }
    }

    /// From here on only the whole table will do.
    pub(crate) fn lose(&mut self) {
        *self = Self { tracked: false, saved: true, names: Vec::new() };
    }

    /// Forgets the names: what they name was restored, not changed.
    pub(crate) fn settle(&mut self) {
        self.names.clear();
    }

    /// Takes the names for a snapshot, which says all of it; they begin anew.
    pub(crate) fn take(&mut self) -> Names {
        Names(std::mem::replace(self, Self::restored()).names)
    }
}

/// Names that were remembered.
pub(crate) struct Names(Vec<u8>);

impl Names {
    /// In order, each once.
    pub(crate) fn sorted(&self) -> Vec<Name<'_>> {
        let mut rest = self.0.as_slice();
        let mut names: Vec<Name<'_>> = std::iter::from_fn(|| take(&mut rest)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<Name<'a>> {
    let first = varint::take_bytes(rest)?;
    let second = match usize::try_from(varint::take(rest)?).ok()?.checked_sub(1) {
        None => None,
        Some(length) => {
            let (second, behind) = rest.split_at_checked(length)?;
            *rest = behind;
            Some(second)
        }
    };
    Some((first, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_once_and_in_order() {
        let mut touched = Touched::restored();
        let names: [Name<'_>; 5] = [(b"b", None), (b"a", Some(b"x")), (b"a", None), (b"b", None), (b"a", Some(b""))];
        names.iter().for_each(|name| touched.push(*name, 0));
        assert_eq!(touched.take().sorted(), [(&b"a"[..], None), (b"a", Some(&b""[..])), (b"a", Some(b"x")), (b"b", None)]);
        assert!(touched.take().sorted().is_empty() && touched.is_tracked());
    }

    #[test]
    fn names_that_take_more_than_what_is_held_are_lost() {
        let mut touched = Touched::restored();
        let large = [7; 5000];
        touched.push((&large, None), 10_000);
        assert!(touched.is_tracked() && touched.is_unsaved(true));
        touched.push((&large, None), 10_000);
        assert!(!touched.is_tracked() && touched.is_unsaved(true));
        touched.push((&large, None), 10_000);
        assert!(touched.names.is_empty());
    }
}
