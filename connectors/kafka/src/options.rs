//! What a pipeline file can say about Kafka.

use crate::registry::Registry;
use crate::security::Security;
use crate::start::{Start, Until};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use stygian_core::{ByteSize, Span};
use stygian_formats::{Columns, CsvOptions, MAX_ROW_BYTES};

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageFormat {
    /// A message is one JSON object. Keys that are no columns are passed over, missing keys are nulls.
    Json,
    /// A message is one record, without a header.
    Csv,
    /// A message is a row of one column of text or binary, as it is.
    Raw,
    /// A message is one Avro record behind the id of its schema in a schema registry, framed as Confluent's clients do it; needs `registry`.
    Avro,
}

/// Which columns hold what comes beside the payload: each entry gives the name of a column, which comes behind those of the schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// The key, as `key_format` says; null where there is none.
    pub key: Option<String>,
    /// The record's timestamp, in milliseconds of UTC; null where there is none.
    pub timestamp: Option<String>,
    /// The partition's number.
    pub partition: Option<String>,
    /// The offset in the partition.
    pub offset: Option<String>,
    /// Headers by name, as `header_format` says, such as { headers = { trace-id = "trace" } } for the header `trace-id`; of several of one
    /// name the last; null where there is none.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What keys are. Default: "text"; a message whose key is no UTF-8 is then a bad row.
    #[serde(default)]
    pub key_format: BytesFormat,
    /// What headers are. Default: "text".
    #[serde(default)]
    pub header_format: BytesFormat,
}

/// What bytes become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BytesFormat {
    /// A column of text.
    #[default]
    Text,
    /// A column of binary.
    Binary,
}

/// Options of a source of kind `kafka`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct SourceOptions {
    /// Where the cluster is: "host:port", several with commas between them.
    pub bootstrap_servers: String,
    /// How it is reached. Default: { protocol = "plaintext" }.
    #[serde(default)]
    pub security: Security,
    /// The topic to read, all its partitions.
    pub topic: String,
    /// How messages are written.
    pub format: MessageFormat,
    /// The columns with their types, such as { user = "text not null", at = "timestamp_utc" }. For raw, which has one column of text or binary, it
    /// is { line = "text not null" } unless said. For avro, those of the fields that are wanted, by name; a field that a message's schema lacks is null.
    /// Unless said, they are all fields of the latest schema of `subject` whenever the job is started, whose defaults stand in for what a message's
    /// schema lacks: name the columns where a job should stay what it is as schemas come and go.
    pub schema: Option<Columns>,
    /// Where the schemas of messages are; only with format = "avro".
    pub registry: Option<Registry>,
    /// The subject whose latest schema gives the columns where there is no `schema`; only with format = "avro". Default: TOPIC-value.
    pub subject: Option<String>,
    /// How CSV is written; only with format = "csv".
    pub csv: Option<CsvOptions>,
    /// Columns for what comes beside the payload, such as { key = "user", timestamp = "sent" }. Default: none.
    #[serde(default)]
    pub beside: Beside,
    /// Where a job that goes on from no checkpoint begins: "earliest", "latest", "committed", { timestamp = "..." } or { offsets = { ... } }.
    /// Partitions that are added later are read from their oldest record. Default: "earliest".
    #[serde(default)]
    pub start: Start,
    /// Where reading ends: "latest", { timestamp = "..." } or { offsets = { ... } }; what that means is settled when the job is started first.
    /// Default: it does not.
    pub until: Option<Until>,
    /// A consumer group, needed for start = "committed". Every checkpoint puts the offsets up to which it has read into it, for tools that show
    /// lag; what a job goes on from is in its checkpoints all the same, and partitions are assigned by the job, not by the group. Default: none.
    pub group: Option<String>,
    /// Whether records of transactions that are not committed (yet) are read. Default: false.
    #[serde(default)]
    pub read_uncommitted: bool,
    /// How often new partitions are looked for. Default: "30s".
    #[serde(default = "discovery_interval")]
    pub discovery_interval: Span,
    /// A message of more bytes is a bad row. Default: "16 MiB".
    #[serde(default = "max_row_bytes")]
    pub max_row_bytes: ByteSize,
    /// How much of each partition may be fetched ahead. Default: "2 MiB". More helps where the brokers are far away.
    #[serde(default = "fetch_ahead")]
    pub fetch_ahead: ByteSize,
}

/// How a message's partition is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Partitioner {
    /// By a murmur2 hash of the key, as Java's producers do; messages without a key go round.
    #[default]
    Murmur2,
    /// By a CRC32 of the key, as librdkafka's producers do; messages without a key go round.
    Crc32,
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// Fast, and good for most.
    #[default]
    Lz4,
    /// Smaller and slower.
    Zstd,
    /// As older clients can read it.
    Gzip,
    /// As older clients can read it, fast.
    Snappy,
}

impl Compression {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
        }
    }
}

/// Options of a sink of kind `kafka`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct SinkOptions {
    /// Where the cluster is: "host:port", several with commas between them.
    pub bootstrap_servers: String,
    /// How it is reached. Default: { protocol = "plaintext" }.
    #[serde(default)]
    pub security: Security,
    /// The topic to write to. It must be there.
    pub topic: String,
    /// How messages are written. Nulls are left out of json; raw takes one column of text or binary besides those of `key` and `headers`.
    pub format: MessageFormat,
    /// How CSV is written; only with format = "csv".
    pub csv: Option<CsvOptions>,
    /// Where the schema of messages is kept; only with format = "avro".
    pub registry: Option<Registry>,
    /// The subject that the schema belongs to; only with format = "avro". Default: TOPIC-value.
    pub subject: Option<String>,
    /// Whether the schema is registered when the job is started, if it is not there. Without that it must be there. Only with format = "avro".
    /// Default: true.
    pub register: Option<bool>,
    /// The full name of the record in the schema, such as "com.example.Order"; only with format = "avro". Default: the topic's name, with `_` for what
    /// a name cannot hold.
    pub record: Option<String>,
    /// The column of text or binary that is the key; a null is no key. It is in the payload, too, unless format = "raw". Default: no keys.
    pub key: Option<String>,
    /// Columns of text or binary that become headers, by the headers' names, such as { trace-id = "trace" }; a null is no header. They are in the
    /// payload, too, unless format = "raw". Default: none. Headers cost more CPU a row.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The column of timestamps that becomes the records' timestamp; a null is the time of sending. Default: the time of sending. It costs more CPU a row.
    pub timestamp: Option<String>,
    /// How a message's partition is chosen. Default: "murmur2".
    #[serde(default)]
    pub partitioner: Partitioner,
    /// How messages are compressed. Default: "lz4".
    #[serde(default)]
    pub compression: Compression,
    /// How long messages wait for more, to be sent together. Default: "5ms". Longer is less work for everybody, and later.
    #[serde(default = "linger")]
    pub linger: Span,
    /// The largest message, as the topic allows it (`max.message.bytes`). Default: "1 MiB".
    #[serde(default = "max_message_bytes")]
    pub max_message_bytes: ByteSize,
    /// How long a message may be on its way before the job fails. Default: "2m".
    #[serde(default = "delivery_timeout")]
    pub delivery_timeout: Span,
    /// In an exactly-once job, the broker ends a transaction that is open for longer, as that of a job that is gone; until then readers of what is
    /// committed wait behind it. It must be longer than `interval` and twice `timeout` of [checkpoint], and not longer than the broker's
    /// `transaction.max.timeout.ms`. Default: "15m", which is the broker's default, too.
    #[serde(default = "transaction_timeout")]
    pub transaction_timeout: Span,
}

fn discovery_interval() -> Span {
    Span::secs(30)
}

fn max_row_bytes() -> ByteSize {
    MAX_ROW_BYTES
}

fn fetch_ahead() -> ByteSize {
    ByteSize::mib(2)
}

fn linger() -> Span {
    Span::millis(5)
}

fn max_message_bytes() -> ByteSize {
    ByteSize::mib(1)
}

fn delivery_timeout() -> Span {
    Span::secs(120)
}

fn transaction_timeout() -> Span {
    Span::secs(900)
}
