//! Cutting bytes into messages.
//!
//! A splitter keeps no bytes: it is shown a buffer that begins at the start of a message and says which whole messages are in it.
//! Whoever reads goes on at the first byte that was not consumed. So every offset handed out is the start of a message.

use bytes::Bytes;
use stygian_api::Messages;

/// Where a splitter stops.
#[derive(Clone, Copy, Debug)]
pub struct SplitUntil {
    /// At most this many messages are added.
    pub rows: usize,
    /// Whether the buffer ends where the split ends, so that a last message needs no end of line.
    pub last: bool,
}

/// Cuts a buffer into messages.
pub trait Splitter: Send + Sync {
    /// Finds the whole messages at the start of `buffer` (the bytes of the split from offset `base` on) and returns them with the
    /// number of bytes they and the empty lines between them take. What is behind them is not looked at again.
    fn split(&self, buffer: &Bytes, base: u64, until: SplitUntil) -> (Messages, usize);
}

/// Collects what a splitter finds.
pub(crate) struct Found {
    pub(crate) messages: Messages,
    base: u64,
}

impl Found {
    pub(crate) fn new(buffer: &Bytes, base: u64) -> Self {
        Self { messages: Messages { buffer: buffer.clone(), ..Messages::default() }, base }
    }

    /// Adds the message at `start` of the buffer.
    #[inline]
    pub(crate) fn add(&mut self, start: usize, line: &[u8]) {
        self.messages.ranges.push(start..start + line.len());
        self.messages.offsets.push(self.base + start as u64);
    }
}
