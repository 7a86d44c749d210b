//! Checksums of files, made while they are written and written down as `xxh3-128:` and 32 hex digits.
//!
//! XXH3-128 finds what crashes, disks and mistakes do to a file, at the speed of memory. It is not meant against somebody who wants to fool
//! it: who may write into the folder may write the checkpoint's folder, too. The name is written down so that a later version can use another
//! and still read these; a checksum of a name that is not known here is refused, never taken for right.

use crate::file_system::NewFile;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;
use stygian_api::ConnectorError;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

const ALGORITHM: &str = "xxh3-128";
/// Bytes read at once to make a file's checksum.
const PIECE: usize = 256 * 1024;

/// The checksum of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Checksum(u128);

impl Checksum {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes))
    }

    /// Reads a whole file.
    pub(crate) fn of_file(mut file: impl Read) -> io::Result<Self> {
        let (mut hash, mut piece) = (Box::new(Xxh3::new()), vec![0; PIECE]);
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(Self(hash.digest128())),
                Ok(count) => hash.update(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}:{:032x}", self.0)
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.to_string()
    }
}

impl FromStr for Checksum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = || stygian_core::escape(text, 60);
        let (algorithm, digits) = text.split_once(':').ok_or_else(|| format!("`{}` is no checksum", shown()))?;
        if algorithm != ALGORITHM {
            return Err(format!("the checksum `{}` is not one that this version can make; it makes {ALGORITHM}", shown()));
        }
        let hex = digits.len() == 32 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let number = hex.then(|| u128::from_str_radix(digits, 16).ok()).flatten();
        number.map(Self).ok_or_else(|| format!("`{}` is no checksum", shown()))
    }
}

impl TryFrom<String> for Checksum {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A file that is being written, and what was written to it.
pub(crate) struct WrittenFile {
    file: Box<dyn NewFile>,
    bytes: u64,
    hash: Box<Xxh3>,
}

impl WrittenFile {
    /// One that is empty.
    pub(crate) fn new(file: Box<dyn NewFile>) -> Self {
        Self { file, bytes: 0, hash: Box::new(Xxh3::new()) }
    }

    /// How many bytes were written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the file durable; how long it is, and the checksum of what was written.
    pub(crate) fn finish(self) -> Result<(u64, Checksum), ConnectorError> {
        self.file.finish(self.bytes)?;
        Ok((self.bytes, Checksum(self.hash.digest128())))
    }
}

impl Write for WrittenFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or(bytes));
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_system::FileSystem;
    use crate::local::Local;
    use proptest::prelude::*;
    use std::fs::File;

    /// Frozen: checkpoints hold these.
    #[test]
    fn checksums_are_written_as_their_name_and_digits() {
        assert_eq!(Checksum::of(b"").to_string(), "xxh3-128:99aa06d3014798d86001c324468d497f");
        assert_eq!(Checksum::of(b"stygian").to_string().parse(), Ok(Checksum::of(b"stygian")));
    }

    #[test]
    fn what_is_no_checksum_of_ours_is_refused() {
        let refused = |text: &str| text.parse::<Checksum>().expect_err("no checksum");
        assert!(refused("sha256:00").ends_with("is not one that this version can make; it makes xxh3-128"));
        for text in
            ["", "xxh3-128", "xxh3-128:00", "xxh3-128:+9aa06d3014798d86001c324468d497f", "xxh3-128:99AA06D3014798D86001C324468D497F"]
        {
            assert_eq!(refused(text), format!("`{text}` is no checksum"));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_has_the_checksum_of_what_is_read(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300_000), 0..4)) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("file");
            let mut written = WrittenFile::new(Local.create(&path).expect("a file"));
            pieces.iter().try_for_each(|piece| written.write_all(piece)).expect("written");
            let whole = pieces.concat();
            let (length, checksum) = written.finish().expect("durable");
            prop_assert_eq!(length, whole.len() as u64);
            prop_assert_eq!(checksum, Checksum::of(&whole));
            prop_assert_eq!(checksum, Checksum::of_file(File::open(&path).expect("there")).expect("read"));
        }
    }
}
