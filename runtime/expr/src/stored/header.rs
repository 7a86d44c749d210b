//! The head of a section: what it is of, entry by entry.

use super::{Fact, damaged};
use crate::ExprError;
use stygian_core::{KeyGroup, MaxParallelism, escape};

const MAGIC: &[u8; 8] = b"stygexpr";
const VERSION: u16 = 1;
/// The longest text of a message, in characters.
const SHOWN: usize = 300;

/// What state depends on, as names and values for people; two are the same thing if all values but the versions of accumulators are.
#[derive(Debug)]
pub(crate) struct Header(Vec<(&'static str, String)>);

/// The entry that may differ: numbers, joined by commas.
const VERSIONS: &str = "versions of accumulators";

impl Header {
    /// Of this kind of operator.
    pub(crate) fn new(kind: &str) -> Self {
        Self(vec![("kind of operator", kind.to_owned())])
    }

    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.0.push((name, value));
        self
    }

    /// With the versions of accumulators, of each user-defined aggregate.
    pub(crate) fn with_versions(self, versions: &[u32]) -> Self {
        let numbers: Vec<String> = versions.iter().map(ToString::to_string).collect();
        if versions.is_empty() { self } else { self.with(VERSIONS, numbers.join(",")) }
    }

    pub(super) fn write(&self, group: KeyGroup, groups: MaxParallelism, to: &mut Vec<u8>) {
        to.extend(MAGIC);
        to.extend(VERSION.to_le_bytes());
        to.extend(group.0.to_le_bytes());
        to.extend(groups.get().to_le_bytes());
        // A handful of entries with short names; texts of a pipeline file of at most 1 MiB.
        to.extend(u16::try_from(self.0.len()).unwrap_or(u16::MAX).to_le_bytes());
        for (name, value) in &self.0 {
            to.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
            to.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
            to.extend(name.as_bytes());
            to.extend(value.as_bytes());
        }
    }

    /// Reads the entries, and gives the versions of accumulators; the error names the first that is another than it is now.
    pub(super) fn check(&self, reader: &mut Reader<'_>, group: KeyGroup) -> Result<Vec<u32>, ExprError> {
        let stored = reader.entries().map_err(|reason| damaged(group, reason))?;
        let mut versions = Vec::new();
        for (at, (name, now)) in self.0.iter().enumerate() {
            match stored.get(at) {
                Some((stored, value)) if stored == name && *name == VERSIONS => {
                    let read: Option<Vec<u32>> = value.split(',').map(|version| version.parse().ok()).collect();
                    versions = read.ok_or_else(|| damaged(group, "versions that are no numbers"))?;
                }
                Some((stored, value)) if stored == name && value == now => {}
                Some((stored, value)) if stored == name => {
                    return Err(ExprError::OtherState { what: name, stored: escape(value, SHOWN), now: escape(now, SHOWN) });
                }
                _ => return Err(damaged(group, format!("it does not say its {name}"))),
            }
        }
        match stored.len() == self.0.len() {
            true => Ok(versions),
            false => Err(damaged(group, "it says more of itself than is known")),
        }
    }
}

/// What of a section has not been read.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What every section begins with; gives how many key groups there were.
    pub(super) fn begin(&mut self, group: KeyGroup) -> Result<MaxParallelism, ExprError> {
        let wrong = |reason: String| damaged(group, reason);
        if self.take(MAGIC.len()).map_err(wrong)? != MAGIC {
            return Err(damaged(group, "it is no state of a window"));
        }
        let found = self.u16().map_err(wrong)?;
        if found != VERSION {
            return Err(ExprError::StateVersion { found, known: VERSION });
        }
        if self.u16().map_err(wrong)? != group.0 {
            return Err(damaged(group, "it is of another group"));
        }
        let groups = self.u16().map_err(wrong)?;
        let groups = MaxParallelism::new(groups).filter(|groups| group.0 < groups.get());
        groups.ok_or_else(|| damaged(group, "an impossible number of key groups"))
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("it is cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_le_bytes)
    }

    fn entries(&mut self) -> Result<Vec<(&'a str, &'a str)>, String> {
        let count = self.u16()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let (name, value) = (usize::from(self.u16()?), u32::from_le_bytes(self.array()?) as usize);
            let text = |bytes| std::str::from_utf8(bytes).map_err(|_| "it does not say in text what it is of");
            entries.push((text(self.take(name)?)?, text(self.take(value)?)?));
        }
        Ok(entries)
    }

    pub(super) fn facts(&mut self) -> Result<Vec<Fact>, String> {
        let count = u32::from_le_bytes(self.array()?) as usize;
        let bytes = self.take(count.checked_mul(size_of::<Fact>()).ok_or("it is cut short")?)?;
        let mut reader = Reader(bytes);
        let mut number = || reader.array().map(i64::from_le_bytes);
        (0..count).map(|_| Ok([number()?, number()?, number()?])).collect()
    }

    pub(super) fn stream(&mut self) -> Result<&'a [u8], String> {
        let length = usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| "it is cut short")?;
        self.take(length)
    }

    pub(super) fn end(&self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err("something follows its end".to_owned()) }
    }
}
