//! Tests of stored checkpoints through the crate's public face.

mod common;
mod coordinator;
mod manifest;
mod model;
mod recovery;
mod stepped;
mod storage;
