//! Numbers of 7 bits a byte, the lowest first; all but the last byte have their highest bit set (LEB128).

#[inline]
#[allow(clippy::cast_possible_truncation)] // the lowest 7 bits
pub(crate) fn push(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Takes a number from the front; `None` where there is none.
#[inline]
pub(crate) fn take(from: &mut &[u8]) -> Option<u64> {
    if let [byte @ ..0x80, rest @ ..] = *from {
        *from = rest;
        return Some(u64::from(*byte));
    }
    let mut number = 0;
    for (index, byte) in from.iter().copied().enumerate().take(10) {
        number |= u64::from(byte & 0x7F) << (7 * index);
        if byte < 0x80 {
            *from = &from[index + 1..];
            return Some(number);
        }
    }
    None
}

/// Takes a length and so many bytes from the front; `None` where they are not there.
pub(crate) fn take_bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take(from)?).ok()?;
    let (bytes, behind) = from.split_at_checked(length)?;
    *from = behind;
    Some(bytes)
}

/// Adds a length and the bytes.
pub(crate) fn push_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    push(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in proptest::collection::vec(any::<u64>(), 0..10)) {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|number| push(&mut bytes, *number));
            let mut rest = bytes.as_slice();
            for number in numbers {
                prop_assert_eq!(take(&mut rest), Some(number));
            }
            prop_assert_eq!(take(&mut rest), None);
        }
    }
}
