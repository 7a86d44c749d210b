//! Names and numbers that stand in manifests and in the names of files. Each can only be made from a text that is plain: nothing in a
//! manifest, damaged or forged, can name a file outside its folder.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use stygian_core::{CheckpointId, escape};

/// A text that is not the name it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct NameError {
    text: String,
    expected: &'static str,
}

fn wrong(text: &str, expected: &'static str) -> NameError {
    NameError { text: escape(text, 120), expected }
}

/// Exactly `digits` lower-case hexadecimal digits.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// 128 random bits that the caller drew, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Random(u128);

impl Random {
    fn parse(text: &str) -> Option<Self> {
        is_hex(text, 32).then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

/// One run of a job: drawn anew by every process. What tells our own manifest from that of another process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(Random);

/// The identity of a job for as long as its state lives, whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobUuid(Random);

/// The SHA-256 digest of a plugin's component, in 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

/// The checksum of a file: XXH3-128, in 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileSum(Random);

/// The name of a state file: `<checkpoint id, 20 digits>-<attempt>-<number>.state`, so that no two runs ever write one name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateFileName(Arc<str>);

/// What a section holds (`keyed`, `timers`, `panes`): 1 to 32 of `a-z`, `0-9` and `-`, a letter first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionName(Arc<str>);

impl AttemptId {
    /// From 128 random bits.
    pub const fn from_random(bits: u128) -> Self {
        Self(Random(bits))
    }
}

impl JobUuid {
    /// From 128 random bits.
    pub const fn from_random(bits: u128) -> Self {
        Self(Random(bits))
    }
}

impl FileSum {
    /// From the 128 bits of the sum.
    pub const fn from_bits(bits: u128) -> Self {
        Self(Random(bits))
    }

    /// The 128 bits.
    pub const fn bits(self) -> u128 {
        self.0.0
    }
}

impl Digest {
    /// The digest of a component's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(hex(&sha2::Sha256::digest(bytes)).into())
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SectionName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const STATE_SUFFIX: &str = ".state";

impl StateFileName {
    /// The name of the file with this number among those that `attempt` writes for checkpoint `id`.
    pub fn new(id: CheckpointId, attempt: AttemptId, number: u32) -> Self {
        Self(format!("{:020}-{attempt}-{number:04}{STATE_SUFFIX}", id.0).into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The checkpoint that it was written for.
    pub fn checkpoint(&self) -> CheckpointId {
        // Checked when the name was made.
        CheckpointId(self.0.get(..20).and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX))
    }
}

/// Reads a number as `{:0width$}` prints it, and nothing else.
fn canonical<N: FromStr + fmt::Display>(text: &str, width: usize) -> Option<N> {
    let number: N = text.parse().ok()?;
    (format!("{number:0>width$}") == text).then_some(number)
}

impl FromStr for StateFileName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parse = || {
            let mut parts = text.strip_suffix(STATE_SUFFIX)?.splitn(3, '-');
            let (id, attempt, number) = (parts.next()?, parts.next()?, parts.next()?);
            canonical::<u64>(id, 20)?;
            Random::parse(attempt)?;
            canonical::<u32>(number, 4)
        };
        parse().map(|_| Self(text.into())).ok_or_else(|| wrong(text, "the name of a state file"))
    }
}

impl FromStr for SectionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let ok = text.len() <= 32 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(plain);
        if ok { Ok(Self(text.into())) } else { Err(wrong(text, "the name of a section: 1 to 32 of a-z, 0-9 and -, a letter first")) }
    }
}

impl FromStr for Digest {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_hex(text, 64) { Ok(Self(text.into())) } else { Err(wrong(text, "a SHA-256 digest: 64 lower-case hexadecimal digits")) }
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

macro_rules! random {
    ($($name:ident),*) => { $(
        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Random::parse(text).map(Self).ok_or_else(|| wrong(text, "32 lower-case hexadecimal digits"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0.0)
            }
        }
    )* };
}

macro_rules! text {
    ($($name:ident),*) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )* };
}

macro_rules! stored_as_text {
    ($($name:ident),*) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )* };
}

random!(AttemptId, JobUuid, FileSum);
text!(Digest, StateFileName, SectionName);
stored_as_text!(AttemptId, JobUuid, FileSum, Digest, StateFileName, SectionName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let attempt = AttemptId::from_random(0xab);
        assert_eq!(attempt.to_string().parse(), Ok(attempt));
        let name = StateFileName::new(CheckpointId(7), attempt, 12);
        assert_eq!(name.as_str(), "00000000000000000007-000000000000000000000000000000ab-0012.state");
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert_eq!(name.checkpoint(), CheckpointId(7));
        let large = StateFileName::new(CheckpointId(u64::MAX), attempt, 123_456);
        assert_eq!(large.as_str().parse(), Ok(large));
    }

    #[test]
    fn what_could_leave_the_folder_is_no_name() {
        let good = StateFileName::new(CheckpointId(7), AttemptId::from_random(1), 12).to_string();
        for bad in ["", "..", "../x.state", "/etc/passwd", &format!("../{good}"), &format!("{good}\0"), &good.replace('-', "/")] {
            assert!(bad.parse::<StateFileName>().is_err(), "{bad:?}");
        }
        for bad in [good.replace("0012", "12"), good.replace("0012", "+012"), good.replacen("00", "0", 1), good.to_uppercase()] {
            assert!(bad.parse::<StateFileName>().is_err(), "{bad:?}");
        }
        for bad in ["", "-", "1", "Keyed", "a/b", "a.b", "a23456789012345678901234567890123"] {
            assert!(bad.parse::<SectionName>().is_err(), "{bad:?}");
        }
    }
}
