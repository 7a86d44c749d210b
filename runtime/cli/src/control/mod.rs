//! A running job listens on a socket of its user's own; `status`, `savepoint` and `stop` speak to it.
//!
//! A frame is four bytes with its length, the most significant first, and so many bytes of JSON. A connection carries one [`Request`]; the
//! answer is any number of [`Reply::Waiting`], one about every second, and then one other [`Reply`]. Both sides are of the same user:
//! the folder is 0700, the socket 0600, and a peer with another user id is refused.

mod client;
mod place;
mod server;

pub(crate) use client::{savepoint, status, stop};
pub(crate) use server::{JobFacts, Server};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// Of the protocol; a client and a job of different versions do not understand each other, and say so.
const VERSION: u32 = 1;

/// The longest frame.
const MOST_BYTES: u32 = 64 * 1024 * 1024;

/// What is wanted of a job.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    version: u32,
    want: Want,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Want {
    Status,
    Savepoint(Place),
    Stop {
        /// Behind a savepoint.
        savepoint: Option<Place>,
        /// As if its input had ended.
        drain: bool,
    },
}

/// Where a savepoint is to be.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    /// `None`: where the job likes.
    folder: Option<PathBuf>,
}

/// What a job answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reply {
    /// It is at work.
    Waiting,
    Status(Box<Status>),
    Savepoint(Savepoint),
    Stopped(Stopped),
    /// It cannot be done; why.
    Failed(String),
}

/// A job at one moment.
#[derive(Debug, Serialize, Deserialize)]
struct Status {
    job: String,
    process: u32,
    /// `starting`, `running`, `stopping`, `restarting` or `ended`.
    phase: String,
    /// Of the last failure, if it was started again.
    failure: Option<String>,
    /// Since its process began to run it.
    seconds: f64,
    restarts: u32,
    checkpoints: Option<Checkpoints>,
    nodes: Vec<Node>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Checkpoints {
    folder: PathBuf,
    committed: u64,
    failed: u64,
    last: Option<Committed>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Committed {
    id: u64,
    seconds: f64,
    bytes: u64,
    needed_bytes: u64,
    /// Since it was put together.
    age_seconds: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Node {
    name: String,
    kind: String,
    rows_in: u64,
    rows_out: u64,
    /// Rows there are to read that were not fetched, where a source knows it.
    #[serde(default)]
    behind: Option<u64>,
    dead_letters: u64,
    late_rows: u64,
    state_keys: u64,
    state_bytes: u64,
    timers: u64,
    watermark: Option<String>,
}

/// A savepoint that is complete.
#[derive(Debug, Serialize, Deserialize)]
struct Savepoint {
    checkpoint: u64,
    folder: PathBuf,
}

/// A job that has stopped.
#[derive(Debug, Serialize, Deserialize)]
struct Stopped {
    job: String,
    process: u32,
    /// Why it failed, if it did.
    failure: Option<String>,
    /// Of the run, the last one committed.
    checkpoint: Option<u64>,
    folder: Option<PathBuf>,
    savepoint: Option<Savepoint>,
    /// Why there is no savepoint, if one was wanted.
    no_savepoint: Option<String>,
    /// What open windows held, and timers that had not fired, where no checkpoint has them.
    dropped_windows: usize,
    dropped_rows: usize,
    dropped_timers: usize,
}

fn send(to: &mut impl Write, frame: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(frame)?;
    let length = u32::try_from(body.len()).ok().filter(|length| *length <= MOST_BYTES);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is longer than a frame may be"))?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&body)?;
    to.flush()
}

/// The next frame. Room is made for what comes, not for what was announced.
fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes is longer than one may be")));
    }
    let mut body = Vec::new();
    from.take(length.into()).read_to_end(&mut body)?;
    if body.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_as_they_went() {
        let mut wire = Vec::new();
        send(&mut wire, &Request { version: VERSION, want: Want::Stop { savepoint: Some(Place { folder: None }), drain: false } })
            .expect("sent");
        send(&mut wire, &Reply::Waiting).expect("sent");
        let mut wire = wire.as_slice();
        let request: Request = receive(&mut wire).expect("a request");
        assert!(matches!(request.want, Want::Stop { savepoint: Some(Place { folder: None }), drain: false }));
        assert!(matches!(receive(&mut wire).expect("a reply"), Reply::Waiting));
        assert!(wire.is_empty());
    }

    #[test]
    fn a_frame_that_lies_is_an_error_and_takes_no_room() {
        let kind = |wire: &[u8]| receive::<Reply>(&mut &*wire).expect_err("wrong").kind();
        assert_eq!(kind(&[0xff, 0, 0, 0, 1]), io::ErrorKind::InvalidData, "too long");
        assert_eq!(kind(&[3, 0, 0, 0, b'"']), io::ErrorKind::UnexpectedEof, "cut off");
        assert_eq!(kind(&[0, 0, 0, 2, b'{', b'x']), io::ErrorKind::InvalidData, "no JSON");
    }
}
