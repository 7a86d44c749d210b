//! The little of HTTP that it takes to ask a Hadoop server how it is.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

/// The JSON at a path of a server on this host.
pub(crate) fn get_json(port: u16, path: &str) -> Result<serde_json::Value> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    // With HTTP/1.0 the answer comes in one piece and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("no answer to GET {path} at port {port}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer that is no HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.contains(" 200"), "GET {path} at port {port}: {status}\n{body}");
    serde_json::from_str(body).with_context(|| format!("GET {path} at port {port}: no JSON"))
}
