//! Kafka topics as sources and sinks, by librdkafka.
//!
//! As a source, every partition is a split, read by explicit assignment (`reader`), so that what is read is the checkpoint's business and no
//! group's. As a sink, rows become messages (`message`) that `producer` hands to librdkafka without copying them. In an exactly-once job all
//! sinks write by one pair of transactional producers (`pair`), which are the job's commit point (`transactions`); else each has an
//! idempotent producer of its own, and what is written is visible at once.
//!
//! All `unsafe` is in `queue` (taking messages from librdkafka), `producer` (giving them to it) and `authorized` (asking for our rights).

mod authorized;
mod avro;
mod client;
mod connector;
mod decoder;
mod error;
mod events;
mod learning;
mod message;
mod options;
mod pair;
mod parcel;
mod payload;
mod probes;
mod producer;
mod queue;
mod reader;
mod registry;
mod registry_client;
mod registry_references;
#[cfg(test)]
mod registry_tests;
mod schemas;
mod security;
mod sink;
mod source;
mod start;
mod transactions;
mod writer;

pub use connector::Kafka;
pub use options::{Beside, Compression, Partitioner, SinkOptions, SourceOptions};
pub use registry::Registry;
pub use security::{Mechanism, Protocol, Security};
pub use start::{Start, Until};
