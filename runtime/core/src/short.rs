//! Short byte strings, as keys and values mostly are, are compared and copied in place: a call into the C library costs more than the work.

/// Whether they are equal.
#[inline]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    match one.len() {
        length if length != other.len() => false,
        8..=16 => one.first_chunk::<8>() == other.first_chunk() && one.last_chunk::<8>() == other.last_chunk(),
        17..=32 => one.first_chunk::<16>() == other.first_chunk() && one.last_chunk::<16>() == other.last_chunk(),
        _ => one == other,
    }
}

/// Adds bytes to the end.
#[inline]
pub fn extend(to: &mut Vec<u8>, bytes: &[u8]) {
    if let Ok(eight) = <&[u8; 8]>::try_from(bytes) {
        to.extend_from_slice(eight);
    } else if let Ok(sixteen) = <&[u8; 16]>::try_from(bytes) {
        to.extend_from_slice(sixteen);
    } else {
        to.extend_from_slice(bytes);
    }
}

/// Replaces bytes by others of the same length.
#[inline]
pub fn overwrite(to: &mut [u8], bytes: &[u8]) {
    match (<&mut [u8; 8]>::try_from(&mut *to), <&[u8; 8]>::try_from(bytes)) {
        (Ok(to), Ok(bytes)) => *to = *bytes,
        _ => to.copy_from_slice(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_are_the_same_whose_bytes_are(bytes in proptest::collection::vec(any::<u8>(), 0..40), at in any::<prop::sample::Index>()) {
            prop_assert!(same(&bytes, &bytes.clone()));
            let (mut copy, mut other) = (vec![7], bytes.clone());
            extend(&mut copy, &bytes);
            prop_assert_eq!(&copy[1..], &bytes);
            overwrite(&mut copy[1..], &vec![1; bytes.len()]);
            prop_assert_eq!(&copy[1..], &vec![1; bytes.len()]);
            other.push(0);
            prop_assert!(!same(&bytes, &other));
            if !bytes.is_empty() {
                other.pop();
                other[at.index(bytes.len())] ^= 4;
                prop_assert!(!same(&bytes, &other));
            }
        }
    }
}
