//! Whole jobs on the engine, between a source and a sink that live in memory.
#![allow(clippy::expect_used, clippy::panic)] // helpers of tests

mod clocks;
mod failure;
mod flow;
mod parts;
mod stop;
mod timers;
