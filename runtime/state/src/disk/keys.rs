//! The keys of records.
//!
//! ```text
//! key     = group, table, rest: so that a key group is a range, and a table of it too
//!     group = u16, big-endian, as all numbers here
//!     table = u16: 0 values | 1 + the slot's index: its lists or maps
//! rest    = values: the key, to the end
//!           lists and maps: length of the key u32, the key, 0: the head of its list or map
//!                           length of the key u32, the key, 1, and for lists: u64, where the piece begins; for maps: the map key
//! ```
//!
//! One more record, of a group that does not exist, counts the batches that were written.

use stygian_core::KeyGroup;

/// The most bytes of a key that the store holds.
pub(crate) const MOST_BYTES: usize = 65_535;

/// The key of the record that counts batches.
pub(crate) const BATCHES: [u8; 4] = [0xFF; 4];

const HEAD: u8 = 0;
const PIECE: u8 = 1;

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name<'k> {
    /// The values of a key.
    Values(&'k [u8]),
    /// The head of the list or map that a slot has for a key.
    Head { slot: usize, key: &'k [u8] },
    /// A piece of a list (where it begins), or an entry of a map (its map key).
    Piece { slot: usize, key: &'k [u8], name: &'k [u8] },
}

/// All values of a group.
pub(crate) fn of_values(group: KeyGroup) -> Vec<u8> {
    [group.0.to_be_bytes(), [0, 0]].concat()
}

/// All lists or maps that a slot has in a group.
pub(crate) fn of_slot(group: KeyGroup, slot: usize) -> Vec<u8> {
    // A plugin declares few slots.
    let table = u16::try_from(slot + 1).unwrap_or(u16::MAX);
    [group.0.to_be_bytes(), table.to_be_bytes()].concat()
}

pub(crate) fn values(group: KeyGroup, key: &[u8]) -> Vec<u8> {
    let mut bytes = of_values(group);
    bytes.extend_from_slice(key);
    bytes
}

pub(crate) fn head(group: KeyGroup, slot: usize, key: &[u8]) -> Vec<u8> {
    of_key(group, slot, key, HEAD)
}

/// All pieces of a key's list, or all entries of its map.
pub(crate) fn pieces(group: KeyGroup, slot: usize, key: &[u8]) -> Vec<u8> {
    of_key(group, slot, key, PIECE)
}

pub(crate) fn piece(group: KeyGroup, slot: usize, key: &[u8], name: &[u8]) -> Vec<u8> {
    let mut bytes = pieces(group, slot, key);
    bytes.extend_from_slice(name);
    bytes
}

fn of_key(group: KeyGroup, slot: usize, key: &[u8], what: u8) -> Vec<u8> {
    let mut bytes = of_slot(group, slot);
    // Longer ones are refused, before they are written and where they are read.
    bytes.extend(u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(key);
    bytes.push(what);
    bytes
}

/// The group of a record.
pub(crate) fn group(bytes: &[u8]) -> Option<KeyGroup> {
    bytes.first_chunk().map(|group| KeyGroup(u16::from_be_bytes(*group)))
}

/// What a record is of; `None`: its key is none.
pub(crate) fn name(bytes: &[u8]) -> Option<Name<'_>> {
    let (table, rest) = bytes.get(2..)?.split_first_chunk()?;
    let Some(slot) = usize::from(u16::from_be_bytes(*table)).checked_sub(1) else { return Some(Name::Values(rest)) };
    let (length, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    match rest.split_first()? {
        (&HEAD, []) => Some(Name::Head { slot, key }),
        (&PIECE, name) => Some(Name::Piece { slot, key, name }),
        _ => None,
    }
}

/// The first key behind all that begin with a prefix, which is not all 255.
pub(crate) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut bytes = prefix.to_vec();
    while let Some(last) = bytes.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            break;
        }
        bytes.pop();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..6)
    }

    proptest! {
        #[test]
        fn a_key_says_what_it_is_of(of in 0_u16..300, slot in 0_usize..9, key in bytes(), own in bytes()) {
            let of = KeyGroup(of);
            let (values, head) = (values(of, &key), head(of, slot, &key));
            prop_assert_eq!(name(&values), Some(Name::Values(&key)));
            prop_assert_eq!(name(&head), Some(Name::Head { slot, key: &key }));
            let piece = piece(of, slot, &key, &own);
            prop_assert_eq!(name(&piece), Some(Name::Piece { slot, key: &key, name: &own }));
            prop_assert_eq!(group(&piece), Some(of));
            prop_assert!(head < piece && piece.starts_with(&pieces(of, slot, &key)));
            for prefix in [of_values(of), of_slot(of, slot), pieces(of, slot, &key)] {
                prop_assert!(!behind(&prefix).starts_with(&prefix) && prefix < behind(&prefix));
                prop_assert!(!piece.starts_with(&prefix) || piece < behind(&prefix));
            }
        }

        #[test]
        fn pieces_stand_in_the_order_of_their_names(key in bytes(), one in bytes(), other in bytes()) {
            let of = |name: &[u8]| piece(KeyGroup(1), 2, &key, name);
            prop_assert_eq!(one.cmp(&other), of(&one).cmp(&of(&other)));
        }
    }
}
