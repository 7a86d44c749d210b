//! Whole pipelines, run by the real program.
#![allow(clippy::expect_used, clippy::panic)] // helpers of tests

mod aggregate_poison;
mod aggregates;
mod broken_storage;
mod cases;
mod compacted;
mod control;
mod disk;
mod durable;
mod follow;
mod forgetting;
mod given;
mod given_plugins;
mod hdfs;
mod kafka;
mod kafka_avro;
mod kafka_cases;
mod kafka_refused;
mod kafka_ways;

mod keyed_poison;
mod migration;
mod plugin;
mod poison;
mod process;
mod terminal;
