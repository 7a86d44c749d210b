//! A test cluster on loopback: a real MIT KDC, a real Kafka broker behind Kerberos, and HDFS where it is asked for.
//!
//! [`Cluster::start`] makes everything in one folder of its own, on ports that are free, and returns when every server has said that it is
//! ready. Tests then take its addresses and credentials ([`Cluster::access`], [`Cluster::env_of`]), make topics and grants, and break it
//! ([`Cluster::kill`], [`Cluster::pause`], [`Cluster::rotate_key`]). `kcat` reads and writes as an oracle that is not our client.
//!
//! The invariant: no server outlives the process that started it, however that ends. Servers are children of one thread, and Linux ends
//! them when that thread does (see `spawner`); there is no other process to find, to build or to leak. Only what was started here is
//! ever signalled: a child is not reaped before its last signal, so its process id cannot be another's.
//!
//! Kerberos' `KRB5_*` variables are process-wide, so this library sets none: it gives them for child processes, and does its own work on
//! topics and grants as a super user with a password.

mod access;
mod acls;
mod admin;
mod cluster;
mod faults;
mod folder;
mod hdfs;
mod hdfs_config;
mod http;
mod identity;
mod jars;
mod java;
mod kafka;
mod kafka_config;
mod kcat;
mod kcat_bytes;
mod kdc;
mod krb5;
mod options;
mod ports;
mod process;
mod registry;
mod spawner;
mod tls;
mod tools;
mod webhdfs;

pub use access::{Access, Listener, Mechanism};
pub use acls::{Operation, Pattern, Resource};
pub use cluster::Cluster;
pub use folder::owner_of;
pub use jars::{Jars, fetch};
pub use kcat::Record;
pub use kcat_bytes::Bytes;
pub use krb5::Krb5Conf;
pub use options::{Hdfs, Options, Protection};
pub use process::Server;
pub use webhdfs::Entry;
