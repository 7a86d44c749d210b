//! What a generation has changed: for every record, what it was when the generation began.
//!
//! A generation is what is written between two snapshots. Its log begins with what the state was at then, and goes on with the records
//! that were written, removed or made, each when it was first touched. So it tells what the next snapshot has to say, and takes the state
//! back to its beginning. It is written before the store is, with one call of the system for each batch and without waiting for the disk:
//! the end of a process loses nothing of it, and what the end of the machine loses is not trusted ([`crate::disk::folder`]).
//!
//! ```text
//! log    = frame*
//! frame  = length of the body u32, XXH3-64 of the body u64 (little-endian), body
//! body   = the first: JSON, `Beginning`; the others: varint of the batch's number, then of each record:
//!          varint of the length of its key, the key, varint of the length of what it was plus one (0: there was none), that
//! ```

use crate::varint;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use stygian_core::KeyGroup;
use xxhash_rust::xxh3::xxh3_64;

/// What a state was at when a generation began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Beginning {
    pub(crate) generation: u64,
    /// Batches that the store had taken.
    pub(crate) batches: u64,
    /// What the state was at, in microseconds.
    pub(crate) time: i64,
    /// Bytes that the state took.
    pub(crate) bytes: u64,
    /// The groups of which something is known.
    pub(crate) groups: Vec<GroupBeginning>,
    /// Of each slot the versions and how many values are of them.
    pub(crate) versions: Vec<Vec<(u32, u64)>>,
}

/// What a key group was at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupBeginning {
    pub(crate) group: u16,
    pub(crate) keys: u64,
    /// What its saved sections were.
    pub(crate) sections: u64,
}

/// A log that is written.
#[derive(Debug)]
pub(crate) struct LogWriter {
    file: File,
    /// The records of the next frame.
    records: Vec<u8>,
    frame: Vec<u8>,
}

impl LogWriter {
    /// Makes a log, which must not exist.
    pub(crate) fn create(path: &Path, beginning: &Beginning) -> io::Result<Self> {
        let mut log = Self { file: File::create_new(path)?, records: Vec::new(), frame: Vec::new() };
        let body = serde_json::to_vec(beginning)?;
        log.write(&[&body])?;
        Ok(log)
    }

    /// Notes what a record was.
    pub(crate) fn push(&mut self, key: &[u8], was: Option<&[u8]>) {
        varint::push_bytes(&mut self.records, key);
        varint::push(&mut self.records, was.map_or(0, |was| was.len() as u64 + 1));
        self.records.extend_from_slice(was.unwrap_or_default());
    }

    /// Writes what was noted, before the batch of this number is given to the store.
    pub(crate) fn end_batch(&mut self, number: u64) -> io::Result<()> {
        let mut first = Vec::new();
        varint::push(&mut first, number);
        let records = std::mem::take(&mut self.records);
        let written = self.write(&[&first, &records]);
        self.records = records;
        self.records.clear();
        written
    }

    fn write(&mut self, body: &[&[u8]]) -> io::Result<()> {
        self.frame.clear();
        self.frame.extend([0; 12]);
        body.iter().for_each(|part| self.frame.extend_from_slice(part));
        let (head, body) = self.frame.split_at_mut(12);
        let length = u32::try_from(body.len()).map_err(|_| io::Error::other("a batch changes more than 4 GiB"))?;
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..].copy_from_slice(&xxh3_64(body).to_le_bytes());
        self.file.write_all(&self.frame)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// A log that is read.
pub(crate) struct LogReader {
    file: BufReader<File>,
    left: u64,
    pub(crate) beginning: Beginning,
}

/// A batch of a log.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) number: u64,
    records: Vec<u8>,
}

impl LogReader {
    /// Opens a log and reads how it begins.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let left = file.metadata()?.len();
        let mut reader = Self { file: BufReader::with_capacity(256 * 1024, file), left, beginning: Beginning::default() };
        let body = reader.frame()?.ok_or_else(|| io::Error::other("it does not begin"))?;
        reader.beginning = serde_json::from_slice(&body)?;
        Ok(reader)
    }

    /// The next batch; `None`: it was the last one that was written whole.
    pub(crate) fn next(&mut self) -> io::Result<Option<Batch>> {
        let Some(mut records) = self.frame()? else { return Ok(None) };
        let mut rest = records.as_slice();
        let number = varint::take(&mut rest).ok_or_else(damaged)?;
        let first = records.len() - rest.len();
        records.drain(..first);
        Ok(Some(Batch { number, records }))
    }

    /// Whether the last frame was cut: the process ended while it was written.
    pub(crate) fn is_cut(&self) -> bool {
        self.left > 0
    }

    fn frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.left < 12 {
            return Ok(None);
        }
        let mut head = [0; 12];
        self.file.read_exact(&mut head)?;
        let (length, sum) = head.split_first_chunk().ok_or_else(damaged)?;
        let length = u32::from_le_bytes(*length);
        let sum = u64::from_le_bytes(sum.try_into().map_err(|_| damaged())?);
        if self.left - 12 < u64::from(length) {
            return Ok(None);
        }
        let mut body = vec![0; length as usize];
        self.file.read_exact(&mut body)?;
        self.left -= 12 + u64::from(length);
        if xxh3_64(&body) == sum { Ok(Some(body)) } else { Err(damaged()) }
    }
}

impl Batch {
    /// Visits its records: the key, and what it was.
    pub(crate) fn each(&self, mut visit: impl FnMut(&[u8], Option<&[u8]>)) -> io::Result<()> {
        let mut rest = self.records.as_slice();
        while !rest.is_empty() {
            let key = varint::take_bytes(&mut rest).ok_or_else(damaged)?;
            let was = match varint::take(&mut rest).ok_or_else(damaged)?.checked_sub(1) {
                None => None,
                Some(length) => {
                    let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
                    let (was, behind) = split.ok_or_else(damaged)?;
                    rest = behind;
                    Some(was)
                }
            };
            visit(key, was);
        }
        Ok(())
    }
}

fn damaged() -> io::Error {
    io::Error::other("it is damaged")
}

/// One number for all sections of a group, from the one before: a base begins anew.
pub(crate) fn chained(before: u64, base: bool, sum: u64) -> u64 {
    let before = if base { 0 } else { before };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&before.to_le_bytes());
    bytes[8..].copy_from_slice(&sum.to_le_bytes());
    // 0 is for a group of which nothing was saved.
    xxh3_64(&bytes).max(1)
}

/// The groups of a beginning by what their sections were.
pub(crate) fn sections(groups: &[GroupBeginning]) -> impl Iterator<Item = (KeyGroup, u64)> {
    groups.iter().filter(|group| group.sections != 0).map(|group| (KeyGroup(group.group), group.sections))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &Path) -> Beginning {
        let groups = vec![GroupBeginning { group: 7, keys: 3, sections: u64::MAX }];
        let beginning = Beginning { generation: 2, batches: 9, time: i64::MIN, bytes: 5, groups, versions: vec![vec![(1, 3)]] };
        let mut log = LogWriter::create(path, &beginning).expect("new");
        log.push(b"a", Some(b"was"));
        log.push(b"", None);
        log.end_batch(10).expect("written");
        log.end_batch(11).expect("written");
        log.push(b"b", Some(b""));
        log.end_batch(12).expect("written");
        beginning
    }

    type Read = Vec<(u64, Vec<u8>, Option<Vec<u8>>)>;

    fn read(path: &Path) -> io::Result<(Beginning, Read, bool)> {
        let (mut log, mut all) = (LogReader::open(path)?, Read::new());
        while let Some(batch) = log.next()? {
            batch.each(|key, was| all.push((batch.number, key.to_vec(), was.map(<[u8]>::to_vec))))?;
        }
        Ok((log.beginning.clone(), all, log.is_cut()))
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("1.log");
        let beginning = written(&path);
        let all = vec![(10, b"a".to_vec(), Some(b"was".to_vec())), (10, Vec::new(), None), (12, b"b".to_vec(), Some(Vec::new()))];
        assert_eq!(read(&path).expect("whole"), (beginning, all, false));
    }

    #[test]
    fn a_log_that_was_cut_ends_before_the_cut_and_one_that_was_changed_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("1.log");
        written(&path);
        let bytes = std::fs::read(&path).expect("there");
        for end in 0..bytes.len() {
            std::fs::write(&path, &bytes[..end]).expect("written");
            if let Ok((_, all, _)) = read(&path) {
                assert!(all.len() < 3, "{end}");
            }
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).expect("written");
            // A length that was changed reads as a cut.
            assert!(read(&path).map_or(true, |(_, _, cut)| cut), "{at}");
        }
    }
}
