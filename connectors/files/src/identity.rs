//! Which file a file is, whatever it is called now.
//!
//! The inode and the time at which it was made name a file as long as it is there, also after the machine was booted. Where a file system does
//! not say when a file was made (NFS), the device stands in, whose number may be another after a boot or a mount: files are not found
//! again then. There, too, a new file that gets the inode of one that was read to its end and deleted since the last look is taken for
//! that one. In HDFS, whose client does not tell inodes, files are what they are called.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;
use std::time::UNIX_EPOCH;
use xxhash_rust::xxh3::xxh3_128;

/// The inode of a file, and when it was made, because inodes are used again; where that is not known, the device. Or its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Identity {
    /// 0 if `made` is known.
    device: u64,
    inode: u64,
    /// Nanoseconds since 1970; 0 if it is not known. The hash of its name, where that is all there is.
    made: u128,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let made = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let made = made.map_or(0, |made| made.as_nanos());
        Self { device: if made == 0 { metadata.dev() } else { 0 }, inode: metadata.ino(), made }
    }

    /// Where nothing but its name tells which file it is.
    pub(crate) fn of_name(name: &str) -> Self {
        Self { device: 0, inode: 0, made: xxh3_128(name.as_bytes()) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn a_file_keeps_its_identity_under_any_name_and_a_copy_has_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |name: &str| Identity::of(&folder.path().join(name).metadata().expect("a file"));
        fs::write(folder.path().join("a"), "text").expect("written");
        let identity = of("a");
        fs::copy(folder.path().join("a"), folder.path().join("copy")).expect("copied");
        fs::rename(folder.path().join("a"), folder.path().join("b")).expect("renamed");
        File::options().append(true).open(folder.path().join("b")).and_then(|file| file.set_len(0)).expect("cut");
        assert_eq!(of("b"), identity);
        assert_ne!(of("copy"), identity);
        assert_eq!(identity.to_string().parse(), Ok(identity));
        // A number of a device does not outlive a boot.
        assert_eq!(identity.device == 0, identity.made != 0);
    }
}
