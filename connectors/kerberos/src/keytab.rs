//! What a keytab holds, without its keys.
//!
//! The format is MIT's version 2 (0x0502, all numbers big-endian): after the two bytes of the version follow records, each behind a signed 32-bit
//! length; a negative length is a hole of that many bytes, a length of 0 ends the file. A record is
//!
//! | bytes | what |
//! | --- | --- |
//! | 2 | number of components of the name |
//! | 2 + n | realm |
//! | 2 + n each | components |
//! | 4 | type of the name |
//! | 4 | time of writing, in seconds since 1970 |
//! | 1 | key version, its low 8 bits |
//! | 2 | encryption type |
//! | 2 + n | the key |
//! | 4 | key version in full, if 4 bytes are left and are not all zero |
//!
//! Version 1 (0x0501, in the byte order of the machine that wrote it, not written by anything for decades) is refused by name. The bytes of
//! the keys are stepped over: they are in the buffer the caller read the file into, and nowhere else.

use crate::principal::Principal;
use std::fmt;

/// The largest file that is taken for a keytab: room for some ten thousand keys.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

/// One key of a keytab: whose, which version, which type; not the key itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeytabKey {
    /// The principal as text, with its realm.
    pub principal: String,
    /// The key's version number (kvno), which has to be the one the KDC uses now.
    pub version: u32,
    /// The number of the encryption type.
    pub encryption: i16,
}

impl KeytabKey {
    /// The encryption type by the name that krb5.conf and `klist -e` use.
    pub fn encryption_name(&self) -> String {
        match self.encryption {
            1 => "des-cbc-crc".into(),
            3 => "des-cbc-md5".into(),
            16 => "des3-cbc-sha1".into(),
            17 => "aes128-cts-hmac-sha1-96".into(),
            18 => "aes256-cts-hmac-sha1-96".into(),
            19 => "aes128-cts-hmac-sha256-128".into(),
            20 => "aes256-cts-hmac-sha384-192".into(),
            23 => "arcfour-hmac".into(),
            24 => "arcfour-hmac-exp".into(),
            25 => "camellia128-cts-cmac".into(),
            26 => "camellia256-cts-cmac".into(),
            other => format!("encryption type {other}"),
        }
    }
}

impl fmt::Display for KeytabKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (version {}, {})", self.principal, self.version, self.encryption_name())
    }
}

/// Why bytes are not a keytab.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotAKeytab {
    Empty,
    Version1,
    Magic,
    Record(usize),
}

impl fmt::Display for NotAKeytab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Version1 => f.write_str("it has version 1 of the format, which is no longer used"),
            Self::Magic => f.write_str("it does not begin with the bytes 05 02"),
            Self::Record(number) => write!(f, "its record {number} is cut short or damaged"),
        }
    }
}

/// Reads the keys that a keytab holds, in their order.
pub(crate) fn keys(bytes: &[u8]) -> Result<Vec<KeytabKey>, NotAKeytab> {
    let mut file = Cursor(bytes);
    match file.take(2) {
        Some([5, 2]) => {}
        Some([5, 1]) => return Err(NotAKeytab::Version1),
        None if bytes.is_empty() => return Err(NotAKeytab::Empty),
        _ => return Err(NotAKeytab::Magic),
    }
    let mut keys = Vec::new();
    for number in 1.. {
        if file.0.is_empty() {
            break;
        }
        let length = file.i32().ok_or(NotAKeytab::Record(number))?;
        if length == 0 {
            break;
        }
        let size = usize::try_from(length.unsigned_abs()).map_err(|_| NotAKeytab::Record(number))?;
        let record = file.take(size).ok_or(NotAKeytab::Record(number))?;
        if length > 0 {
            keys.push(key(record).ok_or(NotAKeytab::Record(number))?);
        }
    }
    Ok(keys)
}

fn key(record: &[u8]) -> Option<KeytabKey> {
    let mut record = Cursor(record);
    let count = record.u16()?;
    let realm = record.text()?;
    let mut components = Vec::new();
    for _ in 0..count {
        components.push(record.text()?);
    }
    let _name_type_and_time = record.take(8)?;
    let short = *record.take(1)?.first()?;
    let encryption = record.u16()?.cast_signed();
    let key = usize::from(record.u16()?);
    let _key = record.take(key)?;
    let full = record.u32().filter(|version| *version != 0);
    let principal = Principal { components, realm: Some(realm) }.to_string();
    Some(KeytabKey { principal, version: full.unwrap_or(u32::from(short)), encryption })
}

/// Bytes not yet read; nothing is read beyond their end.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn i32(&mut self) -> Option<i32> {
        Some(self.u32()?.cast_signed())
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.u16()?);
        Some(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
}

#[cfg(test)]
#[path = "keytab_tests.rs"]
mod tests;
