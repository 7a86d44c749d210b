//! Whole jobs on the engine, between a source and a sink that live in memory.

mod failure;
mod flow;
mod parts;
mod stop;
