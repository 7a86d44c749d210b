//! Asking a KDC what time it has: the one thing that MIT's library learns and does not tell.
//!
//! What is sent is an AS-REQ (RFC 4120, 5.4.1) for a ticket under an encryption type that nobody has, so that the answer is always a KRB-ERROR
//! (5.9.1), which carries the KDC's time. Nothing secret is sent or asked for: no ticket comes of it, nothing in it is under the principal's key.

use crate::config::host_and_port;
use crate::der::{self, kdc_time};
use crate::principal::Principal;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, SystemTime};

/// How long to wait for a connection, and again for the answer, of one address.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many addresses a host name may stand for.
const MAX_ADDRESSES: usize = 4;
/// The longest answer that is read.
const MAX_ANSWER: usize = 64 << 10;

/// An answer of a KDC.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The address as krb5.conf writes it.
    pub(crate) address: String,
    /// How far this machine's clock is ahead of the KDC's, in seconds; `None` if the answer does not tell its time.
    pub(crate) ahead_seconds: Option<i64>,
    /// Those that were asked before and gave none, each with why.
    pub(crate) silent: Vec<String>,
}

/// Asks the KDCs one after the other until one answers; each costs at most some seconds. The error tells for each why there was no answer.
pub(crate) fn ask(addresses: &[String], principal: &Principal) -> Result<Answer, Vec<String>> {
    let realm = principal.realm.as_deref().unwrap_or_default();
    let request = der::request(&principal.components, realm);
    let mut reasons = Vec::new();
    for address in addresses {
        match ask_one(address, &request) {
            Ok(ahead_seconds) => return Ok(Answer { address: address.clone(), ahead_seconds, silent: reasons }),
            Err(reason) => reasons.push(format!("{address}: {reason}")),
        }
    }
    Err(reasons)
}

fn ask_one(address: &str, request: &[u8]) -> Result<Option<i64>, String> {
    let (host, port) = host_and_port(address).ok_or("not a plain address")?;
    let resolved = (host, port).to_socket_addrs().map_err(|error| error.to_string())?;
    let mut last = "the name has no address".to_owned();
    for socket in resolved.take(MAX_ADDRESSES) {
        let answered = by_tcp(socket, request).or_else(|tcp| by_udp(socket, request).map_err(|_| tcp));
        match answered {
            Ok(answer) => return Ok(kdc_time(&answer).map(|theirs| seconds_since(SystemTime::UNIX_EPOCH) - theirs)),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

fn by_tcp(address: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = u32::try_from(request.len()).map_err(std::io::Error::other)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(std::io::Error::other)?;
    if length > MAX_ANSWER {
        return Err(std::io::Error::other("it answered something that is not Kerberos"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn by_udp(address: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let own: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(own)?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(request)?;
    let mut answer = vec![0; MAX_ANSWER];
    let length = socket.recv(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}

fn seconds_since(start: SystemTime) -> i64 {
    SystemTime::now().duration_since(start).map_or(0, |passed| i64::try_from(passed.as_secs()).unwrap_or(i64::MAX))
}
