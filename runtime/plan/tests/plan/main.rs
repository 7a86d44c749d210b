//! Planning as a whole: schemas, problems, chains, and how a plan is told.

#![allow(clippy::expect_used, clippy::panic)] // Tests and their helpers say what they expect by failing.

mod chains;
mod common;
mod explain;
mod problems;
mod schemas;
