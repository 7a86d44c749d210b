//! Whole pipelines, run by the real program.

mod cases;
mod plugin;
mod process;
