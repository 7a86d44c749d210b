//! A client of HDFS, as the principal of this process where it is guarded by Kerberos.
//!
//! [`Hdfs`] is what others use: files that are made, written, made durable, renamed and read. Three things are its own, and hdfs-native's (which
//! speaks the protocols) not:
//!
//! - Every call ends. The library hangs where a NameNode wants another login than it offers, and panics on some answers, so each call is a task
//!   with a time limit on threads of its own (`task`); one that is given up is aborted.
//! - What a failover leaves open is found out. Calls that change nothing are made again; for the others it is looked at what is there
//!   (`outcome`), and said where that does not tell.
//! - Errors name the reason and the cure ([`Fault`]), and say whether they may pass (`ConnectorError::may_pass`).
//!
//! From the ground up: `location` and `conf` read what people wrote, `fault`, `hint` and `recognise` are what can go wrong, `task` runs calls,
//! `name_nodes` asks each NameNode for itself, `client`, `outcome`, `writer` and `store` are the calls, `probes` what `stygian doctor` tries.

mod client;
mod conf;
mod entry;
mod fault;
mod hint;
mod location;
mod name_nodes;
mod options;
mod outcome;
mod probes;
mod recognise;
mod store;
mod task;
mod upload;
mod writer;

pub use client::Hdfs;
pub use entry::{Entry, FileStatus};
pub use fault::Fault;
pub use location::Location;
pub use options::HdfsOptions;
pub use writer::Writer;
