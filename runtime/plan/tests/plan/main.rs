//! Planning as a whole: schemas, problems, chains, and how a plan is told.

mod chains;
mod common;
mod explain;
mod problems;
mod schemas;
