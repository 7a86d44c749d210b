//! Tests of stored checkpoints through the crate's public face.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect by failing")]

mod common;
mod coordinator;
mod coordinator_model;
mod garbage;
mod increments;
mod killed;
mod manifest;
mod model;
mod recovery;
mod savepoint;
mod state_model;
mod stepped;
mod storage;
