//! The job: a copy of every row, sums of windows, running totals by a plugin, and what the source refuses, each in a topic of its own; the
//! windows also as Parquet in HDFS, in folders of days. Its checkpoints are in HDFS.

use anyhow::Result;
use stygian_e2e::{Rig, USER};

/// Partitions of the source topic.
pub(crate) const PARTITIONS: u16 = 4;

/// Milliseconds of event time of a window.
pub(crate) const WINDOW: u64 = 1000;

/// The topics of a run, and its job's name.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    pub(crate) job: String,
    pub(crate) source: String,
    pub(crate) copy: String,
    pub(crate) windows: String,
    pub(crate) totals: String,
    pub(crate) refused: String,
    /// The job's folder in HDFS.
    pub(crate) folder: String,
}

impl Topics {
    /// Makes them.
    pub(crate) fn create(rig: &Rig) -> Result<Self> {
        Ok(Self {
            job: rig.job(),
            source: rig.topic("source", PARTITIONS)?,
            copy: rig.topic("copy", 3)?,
            windows: rig.topic("windows", 2)?,
            totals: rig.topic("totals", 3)?,
            refused: rig.topic("refused", 1)?,
            folder: rig.hdfs_folder()?,
        })
    }

    /// Where the windows are, as files.
    pub(crate) fn lake(&self) -> String {
        format!("{}/windows", self.folder)
    }

    /// The pipeline file. Each partition of the source is in the order of event time, so nothing may ever be late.
    pub(crate) fn pipeline(&self, rig: &Rig, parallelism: u16) -> Result<String> {
        let (reach, kerberos, hdfs, job) = (rig.reach()?, rig.kerberos(USER)?, rig.hdfs_table()?, &self.job);
        let (checkpoints, lake) = (rig.hdfs_url(&format!("{}/checkpoints", self.folder))?, rig.hdfs_url(&self.lake())?);
        let mut text = format!(
            r#"name = "{job}"

[settings]
parallelism = {parallelism}

[checkpoint]
folder = "{checkpoints}"
interval = "500ms"

[restart]
delay = "200ms"
max_delay = "2s"
attempts = 20

[source.events]
{reach}
topic = "{source}"
format = "json"
schema = {{ id = "int64 not null", user = "text not null", amount = "float64 not null", at = "timestamp_utc not null" }}
event_time = "at"
watermark_delay = "0s"

[operator.seconds]
input = "events"
window = {{ tumbling = "1s" }}
key_by = ["user"]
aggregate = {{ rows = "count(*)", amount = "sum(amount)" }}

[operator.running]
input = "events"
plugin = "totals@0.1"
key_by = ["user"]

[operator.no_rows]
input = "events.dead_letters"
select = {{ row = "row" }}

[sink.lake]
input = "seconds"
connector = "files"
path = "{lake}"
format = "parquet"
partition_day = "window_start"

{kerberos}
{hdfs}
"#,
            source = self.source,
        );
        let sinks = [("copy", "events", &self.copy), ("windows", "seconds", &self.windows), ("totals", "running", &self.totals)];
        for (sink, input, topic) in sinks {
            text += &format!("[sink.{sink}]\ninput = \"{input}\"\n{reach}topic = \"{topic}\"\nformat = \"json\"\nkey = \"user\"\n\n");
        }
        text += &format!("[sink.refused]\ninput = \"no_rows\"\n{reach}topic = \"{}\"\nformat = \"json\"\n", self.refused);
        Ok(text)
    }
}
