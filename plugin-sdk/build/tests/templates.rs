//! The templates of new crates, compiled as they stand: their own tests are this binary's.
#![allow(unreachable_pub)] // they are crates of their own

#[path = "../template/aggregate.rs.in"]
mod aggregate;
#[path = "../template/filter.rs.in"]
mod filter;
#[path = "../template/flat_map.rs.in"]
mod flat_map;
#[path = "../template/keyed.rs.in"]
mod keyed;
#[path = "../template/map.rs.in"]
mod map;
