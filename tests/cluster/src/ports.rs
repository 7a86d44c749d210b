//! Ports that are free.
//!
//! A server that is killed and started again comes back at the port it had, while clients try that port all the time. Were it one of those
//! that the system gives to outgoing connections, a client could be given the very port it connects to, be connected to itself (TCP allows
//! that) and keep the server from it. So ports are taken from below that range, by chance, and tried.

use anyhow::{Result, bail};
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

/// Ports below need privileges or have names.
const LOWEST: u16 = 10_240;

/// So often one is tried for each that is wanted.
const TRIES: usize = 200;

/// The ports of a cluster, whether the servers are there or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) kdc: u16,
    pub(crate) sasl: u16,
    pub(crate) sasl_ssl: u16,
    pub(crate) ssl: u16,
    pub(crate) plaintext: u16,
    pub(crate) controller: u16,
    /// For each NameNode: RPC, HTTP.
    pub(crate) name_nodes: [(u16, u16); 2],
    /// Data, IPC, HTTP.
    pub(crate) data_node: [u16; 3],
    pub(crate) registry: u16,
}

impl Ports {
    /// All different, and free at this moment.
    pub(crate) fn free() -> Result<Self> {
        let [kdc, sasl, sasl_ssl, ssl, plaintext, controller, n1, h1, n2, h2, d1, d2, d3, registry] = free()?;
        let (name_nodes, data_node) = ([(n1, h1), (n2, h2)], [d1, d2, d3]);
        Ok(Self { kdc, sasl, sasl_ssl, ssl, plaintext, controller, name_nodes, data_node, registry })
    }
}

/// So many different ports that nobody listens at. They are held until all are found, so that none is found twice.
fn free<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let end = first_outgoing().max(LOWEST + 1_000);
    let mut held = Vec::with_capacity(COUNT);
    for _ in 0..COUNT * TRIES {
        if held.len() == COUNT {
            break;
        }
        // A new state is a new random number.
        let chance = RandomState::new().hash_one(held.len()) % u64::from(end - LOWEST);
        let port = LOWEST + u16::try_from(chance).unwrap_or(0);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    let found: Vec<u16> = held.iter().map(|(port, _)| *port).collect();
    match found.try_into() {
        Ok(ports) => Ok(ports),
        Err(found) => bail!("found only {} of {COUNT} free ports between {LOWEST} and {end} on loopback", found.len()),
    }
}

/// The first port that the system gives to outgoing connections.
fn first_outgoing() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768)
}
