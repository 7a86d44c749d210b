//! Keys of map slots, as bytes that sort as the keys do: a scan goes by ascending key.

use crate::types::{Date, Timestamp, TimestampUtc};

/// A type that can be the key in a [`crate::MapState`].
pub trait MapKey: Sized {
    /// Adds the key's bytes: a lesser key has lesser bytes.
    fn write(&self, bytes: &mut Vec<u8>);

    /// The key of these bytes. An error says what they lack.
    fn read(bytes: &[u8]) -> Result<Self, String>;
}

/// A key whose values all have one number of bytes, so that another may follow it.
pub trait FixedKey: MapKey {
    /// The number.
    const BYTES: usize;
}

macro_rules! integer {
    ($($number:ty, $flip:expr;)*) => {$(
        impl MapKey for $number {
            fn write(&self, bytes: &mut Vec<u8>) {
                // The sign's bit turned: negative numbers come first.
                bytes.extend_from_slice(&(self ^ $flip).to_be_bytes());
            }

            fn read(bytes: &[u8]) -> Result<Self, String> {
                let number = bytes.try_into().map(Self::from_be_bytes);
                number.map(|number| number ^ $flip).map_err(|_| format!("a key of {} bytes where {} are expected", bytes.len(), Self::BYTES))
            }
        }

        impl FixedKey for $number {
            const BYTES: usize = size_of::<$number>();
        }
    )*};
}

integer! {
    u8, 0; u16, 0; u32, 0; u64, 0;
    i8, i8::MIN; i16, i16::MIN; i32, i32::MIN; i64, i64::MIN;
}

macro_rules! wrapped {
    ($($wrapper:ident, $number:ty;)*) => {$(
        impl MapKey for $wrapper {
            fn write(&self, bytes: &mut Vec<u8>) {
                self.0.write(bytes);
            }

            fn read(bytes: &[u8]) -> Result<Self, String> {
                <$number>::read(bytes).map(Self)
            }
        }

        impl FixedKey for $wrapper {
            const BYTES: usize = <$number>::BYTES;
        }
    )*};
}

wrapped! {
    Date, i32;
    Timestamp, i64;
    TimestampUtc, i64;
}

impl MapKey for String {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| error.to_string())
    }
}

impl MapKey for Vec<u8> {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        Ok(bytes.to_vec())
    }
}

impl<A: FixedKey, B: MapKey> MapKey for (A, B) {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
        self.1.write(bytes);
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        let parts = bytes.split_at_checked(A::BYTES);
        let (first, second) = parts.ok_or_else(|| format!("a key of {} bytes is too short", bytes.len()))?;
        Ok((A::read(first)?, B::read(second)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    #[track_caller]
    fn sorts<K: MapKey + Ord + Debug>(ascending: &[K]) {
        assert!(ascending.is_sorted());
        let bytes = |key: &K| {
            let mut bytes = Vec::new();
            key.write(&mut bytes);
            bytes
        };
        let all: Vec<_> = ascending.iter().map(bytes).collect();
        assert!(all.is_sorted(), "{all:?}");
        let back: Vec<K> = all.iter().map(|bytes| K::read(bytes).unwrap()).collect();
        assert_eq!(back, ascending);
    }

    #[test]
    fn bytes_sort_as_keys_do() {
        sorts(&[0_u16, 1, 255, 256, u16::MAX]);
        sorts(&[i64::MIN, -256, -1, 0, 1, 255, i64::MAX]);
        sorts(&[TimestampUtc(-5), TimestampUtc(0), TimestampUtc(i64::MAX)]);
        sorts(&[String::new(), "a".to_owned(), "aa".to_owned(), "b".to_owned()]);
        sorts(&[(-1_i8, "z".to_owned()), (0, String::new()), (0, "a".to_owned()), (1, "a".to_owned())]);
    }

    #[test]
    fn bytes_of_another_type_are_refused() {
        assert!(u32::read(&[1]).is_err() && <(u32, u8)>::read(&[1, 2]).is_err() && String::read(&[0xff]).is_err());
    }
}
