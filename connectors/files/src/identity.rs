//! Which file a file is, whatever it is called now.
//!
//! Where a file system does not say when a file was made (NFS), a new file that gets the inode of one that was read to its end and deleted
//! since the last look is taken for that one.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;
use std::time::UNIX_EPOCH;

/// The device and inode of a file, and when it was made (where the file system says), because inodes are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    /// Nanoseconds since 1970; 0 if it is not known.
    made: u128,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let made = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        Self { device: metadata.dev(), inode: metadata.ino(), made: made.map_or(0, |made| made.as_nanos()) }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}.{:x}", self.device, self.inode, self.made)
    }
}

/// As it is written.
impl FromStr for Identity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(());
        let number = |text: &str| u64::from_str_radix(text, 16).map_err(|_| ());
        let (device, inode) = (number(part()?)?, number(part()?)?);
        let made = u128::from_str_radix(part()?, 16).map_err(|_| ())?;
        Ok(Self { device, inode, made })
    }
}
