//! Tests of stored checkpoints through the crate's public face.

mod common;
mod coordinator;
mod garbage;
mod increments;
mod manifest;
mod model;
mod recovery;
mod savepoint;
mod stepped;
mod storage;
