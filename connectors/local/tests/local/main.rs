//! Connectors without an outside, as a job uses them.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect by failing")]

mod collect;
mod console;
mod generator;

use std::path::PathBuf;
use stygian_api::{ConnectorContext, HdfsContext};

fn context() -> ConnectorContext {
    ConnectorContext { job: "job".into(), node: "node".into(), base: PathBuf::new(), principal: None, hdfs: HdfsContext::default() }
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", told(cause)),
        None => error.to_string(),
    }
}
