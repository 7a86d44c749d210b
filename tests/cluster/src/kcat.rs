//! Records written and read by `kcat`: an oracle that is not our client.
//!
//! It runs on the system's librdkafka. Before 2.6.1 (Debian 12 has 2.0.2) that one does SCRAM in a way that brokers refuse since 3.8.1.

use crate::access::{Access, Mechanism};
use crate::cluster::Cluster;
use crate::tools::{find, limited, run};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::process::Command;

/// The longest that one call may take, in seconds.
const LIMIT: u32 = 60;

/// What stands between the key and the value of a record, and between records, on kcat's input.
const KEY_END: char = '\u{1f}';
const RECORD_END: char = '\u{1e}';

/// A record of a topic. Keys and values are text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its partition. To be written: `None` lets kcat choose.
    pub partition: Option<i32>,
    /// Its place in the partition; of no matter when it is written.
    pub offset: i64,
    /// Its time, in milliseconds since 1970; of no matter when it is written.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<String>,
    /// Its value; `None` deletes the key in a compacted topic.
    pub value: Option<String>,
    /// Its headers, in order.
    pub headers: Vec<(String, String)>,
}

impl Record {
    /// A record to be written.
    pub fn new(key: Option<&str>, value: &str) -> Self {
        Self { key: key.map(str::to_owned), value: Some(value.to_owned()), ..Self::default() }
    }
}

impl Cluster {
    /// Every committed record of a topic up to its present end, by partition and offset, read as `admin`.
    ///
    /// # Errors
    /// When there is no such topic, or the broker does not answer.
    pub fn kcat_read(&self, topic: &str) -> Result<Vec<Record>> {
        self.kcat_read_as(&Access::password("admin"), topic)
    }

    /// Writes records as `admin`.
    ///
    /// # Errors
    /// When there is no such topic, or the broker does not answer.
    pub fn kcat_write(&self, topic: &str, records: &[Record]) -> Result<()> {
        self.kcat_write_as(&Access::password("admin"), topic, records)
    }

    /// As [`Cluster::kcat_read`], by a way of one's own.
    ///
    /// # Errors
    /// What kcat says.
    pub fn kcat_read_as(&self, access: &Access, topic: &str) -> Result<Vec<Record>> {
        let mut kcat = self.kcat(access)?;
        kcat.args(["-C", "-t", topic, "-o", "beginning", "-e", "-J", "-X", "isolation.level=read_committed"]);
        let printed = String::from_utf8(run(&mut kcat, None)?).context("kcat printed what is no UTF-8")?;
        let mut records = printed.lines().map(record).collect::<Result<Vec<Record>>>()?;
        records.sort_by_key(|record| (record.partition, record.offset));
        Ok(records)
    }

    /// As [`Cluster::kcat_write`], by a way of one's own.
    ///
    /// # Errors
    /// What kcat says.
    pub fn kcat_write_as(&self, access: &Access, topic: &str, records: &[Record]) -> Result<()> {
        // kcat gives all records of a call the same headers, and takes empty values for none in all or in none of them.
        let same = |record: &Record| (record.partition, record.headers.clone(), record.value.is_none());
        for alike in records.chunk_by(|one, other| same(one) == same(other)) {
            let mut kcat = self.kcat(access)?;
            let (key_end, record_end) = (KEY_END.to_string(), RECORD_END.to_string());
            kcat.args(["-P", "-t", topic, "-K", &key_end, "-D", &record_end]);
            if let Some(partition) = alike[0].partition {
                kcat.args(["-p", &partition.to_string()]);
            }
            if alike[0].value.is_none() {
                kcat.arg("-Z");
            }
            for (name, value) in &alike[0].headers {
                kcat.args(["-H", &format!("{name}={value}")]);
            }
            let lines = alike.iter().map(line).collect::<Result<Vec<String>>>()?;
            // A broker that refuses is told of at once, rather than after five minutes.
            kcat.args(["-X", "message.timeout.ms=15000"]);
            run(&mut kcat, Some(lines.join(&record_end).as_bytes()))?;
        }
        Ok(())
    }

    /// A command that runs kcat by this way, arguments to follow; it is ended after a minute.
    ///
    /// # Errors
    /// When kcat is not installed, or there is no such way.
    pub fn kcat(&self, access: &Access) -> Result<Command> {
        let mut kcat = limited::<&str>(LIMIT, &find("kcat")?, []);
        for (name, value) in self.client_settings(access)? {
            kcat.arg("-X").arg(format!("{name}={value}"));
        }
        if access.mechanism == Mechanism::Gssapi {
            kcat.envs(self.env(&access.user));
        }
        Ok(kcat)
    }
}

/// A record as kcat is to read it. Without a key there is no end of a key either.
fn line(record: &Record) -> Result<String> {
    let value = record.value.as_deref().unwrap_or_default();
    let marks = |text: &str| text.contains([KEY_END, RECORD_END]);
    ensure!(!marks(value) && !record.key.as_deref().is_some_and(marks), "kcat_write cannot write bytes 1E and 1F");
    match &record.key {
        Some(key) => Ok(format!("{key}{KEY_END}{value}")),
        None => Ok(value.to_owned()),
    }
}

/// A record as kcat prints it: headers are one list of names and values.
fn record(line: &str) -> Result<Record> {
    let told: Value = serde_json::from_str(line).with_context(|| format!("kcat printed {line}"))?;
    let text = |name: &str| told[name].as_str().map(str::to_owned);
    let (Some(partition), Some(offset)) = (told["partition"].as_i64(), told["offset"].as_i64()) else {
        bail!("kcat printed a record without a place: {line}");
    };
    let headers: Vec<&str> = told["headers"].as_array().into_iter().flatten().map(|part| part.as_str().unwrap_or_default()).collect();
    let headers = headers.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect();
    Ok(Record {
        partition: Some(i32::try_from(partition)?),
        offset,
        timestamp: told["ts"].as_i64().unwrap_or_default(),
        key: text("key"),
        value: text("payload"),
        headers,
    })
}
