//! Values as they are stored: bytes of a fixed layout for Rust's own types, postcard for everything that serde knows.
//!
//! The layout of a type is a promise to the states that jobs hold: it never changes. Numbers are little-endian and of their own width; text and
//! bytes are as they are; tuples are their parts one behind the other.

use crate::types::{Date, Decimal, Timestamp, TimestampUtc};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type whose values can be stored as state. `#[derive(Stored)]` makes one of a type that derives serde's `Serialize` and `Deserialize`.
pub trait Stored: Sized {
    /// Adds the value's bytes. An error says what cannot be stored.
    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), String>;

    /// The value of these bytes. An error says what they lack.
    fn read(bytes: &[u8]) -> Result<Self, String>;
}

/// A type whose values all have one number of bytes.
pub trait FixedSize: Stored {
    /// The number.
    const BYTES: usize;
}

#[cold]
fn wrong_size(found: usize, expected: usize) -> String {
    format!("{found} bytes where {expected} are expected")
}

macro_rules! number {
    ($($number:ty),*) => {$(
        impl Stored for $number {
            #[inline]
            fn write(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
                bytes.extend_from_slice(&self.to_le_bytes());
                Ok(())
            }

            #[inline]
            fn read(bytes: &[u8]) -> Result<Self, String> {
                bytes.try_into().map(Self::from_le_bytes).map_err(|_| wrong_size(bytes.len(), Self::BYTES))
            }
        }

        impl FixedSize for $number {
            const BYTES: usize = size_of::<$number>();
        }
    )*};
}

number!(i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, f32, f64);

/// Types around one number.
macro_rules! wrapped {
    ($($wrapper:ident $(<$(const $param:ident: $kind:ty),*>)?, $number:ty;)*) => {$(
        impl$(<$(const $param: $kind),*>)? Stored for $wrapper$(<$($param),*>)? {
            #[inline]
            fn write(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
                self.0.write(bytes)
            }

            #[inline]
            fn read(bytes: &[u8]) -> Result<Self, String> {
                <$number>::read(bytes).map(Self)
            }
        }

        impl$(<$(const $param: $kind),*>)? FixedSize for $wrapper$(<$($param),*>)? {
            const BYTES: usize = <$number>::BYTES;
        }
    )*};
}

wrapped! {
    Date, i32;
    Timestamp, i64;
    TimestampUtc, i64;
    Decimal<const P: u8, const S: u8>, i128;
}

impl Stored for bool {
    #[inline]
    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        u8::from(*self).write(bytes)
    }

    #[inline]
    fn read(bytes: &[u8]) -> Result<Self, String> {
        match u8::read(bytes)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("{other} is neither 0 nor 1")),
        }
    }
}

impl FixedSize for bool {
    const BYTES: usize = 1;
}

impl Stored for String {
    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        bytes.extend_from_slice(self.as_bytes());
        Ok(())
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| error.to_string())
    }
}

impl Stored for Vec<u8> {
    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
        bytes.extend_from_slice(self);
        Ok(())
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        Ok(bytes.to_vec())
    }
}

macro_rules! tuple {
    ($($part:ident $at:tt),*) => {
        impl<$($part: FixedSize),*> Stored for ($($part,)*) {
            #[inline]
            fn write(&self, bytes: &mut Vec<u8>) -> Result<(), String> {
                $(self.$at.write(bytes)?;)*
                Ok(())
            }

            #[inline]
            fn read(bytes: &[u8]) -> Result<Self, String> {
                if bytes.len() != Self::BYTES {
                    return Err(wrong_size(bytes.len(), Self::BYTES));
                }
                let mut rest = bytes;
                Ok(($({
                    let (part, behind) = rest.split_at($part::BYTES);
                    rest = behind;
                    let _ = rest;
                    $part::read(part)?
                },)*))
            }
        }

        impl<$($part: FixedSize),*> FixedSize for ($($part,)*) {
            const BYTES: usize = 0 $(+ $part::BYTES)*;
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);

/// For `#[derive(Stored)]`: writes by postcard.
pub fn to_postcard<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), String> {
    postcard::to_extend(value, std::mem::take(bytes)).map(|whole| *bytes = whole).map_err(|error| error.to_string())
}

/// For `#[derive(Stored)]`: reads what [`to_postcard`] has written, all of it.
pub fn from_postcard<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    #[track_caller]
    fn is_stored_as<T: Stored + PartialEq + Debug>(value: &T, expected: &[u8]) {
        let mut bytes = vec![0xaa];
        value.write(&mut bytes).unwrap();
        assert_eq!(bytes[1..], *expected, "{value:?}");
        assert_eq!(T::read(expected).as_ref(), Ok(value));
    }

    #[test]
    fn layouts_are_as_promised() {
        is_stored_as(&0x0102_u16, &[2, 1]);
        is_stored_as(&-2_i32, &[0xfe, 0xff, 0xff, 0xff]);
        is_stored_as(&1.0_f64, &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        is_stored_as(&true, &[1]);
        is_stored_as(&TimestampUtc(1), &[1, 0, 0, 0, 0, 0, 0, 0]);
        is_stored_as(&Decimal::<5, 2>(-1), &[0xff; 16]);
        is_stored_as(&"é".to_owned(), "é".as_bytes());
        is_stored_as(&vec![9_u8, 0], &[9, 0]);
        is_stored_as(&(1_u8, 2_u16, true), &[1, 2, 0, 1]);
    }

    #[test]
    fn bytes_of_another_type_are_refused() {
        assert_eq!(u64::read(&[1, 2]), Err("2 bytes where 8 are expected".to_owned()));
        assert_eq!(<(u8, u8)>::read(&[1, 2, 3]), Err("3 bytes where 2 are expected".to_owned()));
        assert!(bool::read(&[2]).is_err() && String::read(&[0xff]).is_err());
        assert!(from_postcard::<(u8, u8)>(&[1]).is_err());
        assert_eq!(from_postcard::<(u8, u8)>(&[1, 2, 3]), Err("1 bytes too many".to_owned()));
    }

    #[test]
    fn a_value_that_cannot_be_written_leaves_no_bytes_of_others_behind() {
        let mut bytes = Vec::new();
        to_postcard(&(1_u8, "ab"), &mut bytes).unwrap();
        to_postcard(&300_u16, &mut bytes).unwrap();
        assert_eq!(bytes, [1, 2, b'a', b'b', 0xac, 2]);
    }
}
