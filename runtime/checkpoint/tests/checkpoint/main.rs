//! Tests of stored checkpoints through the crate's public face.

mod common;
mod coordinator;
mod manifest;
mod recovery;
mod storage;
mod model;
