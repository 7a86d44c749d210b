//! Records that are no text, by `kcat`.

use crate::access::Access;
use crate::cluster::Cluster;
use crate::tools::run;
use anyhow::{Context, Result};
use std::io::Write;
use tempfile::NamedTempFile;

/// A record's key and value.
pub type Bytes = (Option<Vec<u8>>, Option<Vec<u8>>);

impl Cluster {
    /// The keys and values of every committed record of a topic up to its present end, as `admin`; in order within a partition.
    ///
    /// # Errors
    /// When there is no such topic, or the broker does not answer.
    pub fn kcat_read_bytes(&self, topic: &str) -> Result<Vec<Bytes>> {
        let mut kcat = self.kcat(&Access::password("admin"))?;
        // Lengths first, which are -1 for none.
        kcat.args(["-C", "-t", topic, "-o", "beginning", "-e", "-X", "isolation.level=read_committed", "-f", "%K %S %k%s"]);
        let printed = run(&mut kcat, None)?;
        let (mut left, mut records) = (printed.as_slice(), Vec::new());
        while !left.is_empty() {
            let (record, rest) = split(left).context("kcat printed something else than lengths and bytes")?;
            records.push(record);
            left = rest;
        }
        Ok(records)
    }

    /// Writes a record with any bytes as its value, as `admin`.
    ///
    /// # Errors
    /// When there is no such topic, or the broker does not answer.
    pub fn kcat_write_bytes(&self, topic: &str, key: Option<&str>, value: &[u8]) -> Result<()> {
        let mut file = NamedTempFile::new_in(self.folder())?;
        file.write_all(value)?;
        let mut kcat = self.kcat(&Access::password("admin"))?;
        kcat.args(["-P", "-t", topic, "-X", "message.timeout.ms=15000"]);
        if let Some(key) = key {
            kcat.args(["-k", key]);
        }
        // A file is one record.
        run(kcat.arg(file.path()), None)?;
        Ok(())
    }
}

/// The first record, and what follows it.
fn split(bytes: &[u8]) -> Option<(Bytes, &[u8])> {
    let (key_length, rest) = number(bytes)?;
    let (value_length, rest) = number(rest)?;
    let (key, rest) = take(rest, key_length)?;
    let (value, rest) = take(rest, value_length)?;
    Some(((key, value), rest))
}

fn number(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b' ')?;
    let (digits, rest) = bytes.split_at_checked(end)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest.get(1..)?))
}

fn take(bytes: &[u8], length: i64) -> Option<(Option<Vec<u8>>, &[u8])> {
    let Ok(length) = usize::try_from(length) else { return Some((None, bytes)) };
    let (taken, rest) = bytes.split_at_checked(length)?;
    Some((Some(taken.to_vec()), rest))
}
