//! The templates of new crates, compiled as they stand: their own tests are this binary's.
#![allow(unreachable_pub)] // they are crates of their own

#[path = "../template/filter.rs.in"]
mod filter;
#[path = "../template/flat_map.rs.in"]
mod flat_map;
#[path = "../template/map.rs.in"]
mod map;
