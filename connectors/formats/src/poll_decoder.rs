//! One decoder over a whole poll, watched message by message.
//!
//! Arrow's text decoders read streams of bytes and do not know messages: one cut short would swallow the next, one that holds two rows
//! would shift all that follow. So after every message the decoder must hold exactly one row more ([`Feed::feed`] sees to it); else
//! nothing of the attempt is kept, and the poll is decoded again in pieces (`salvage`).

use crate::salvage::salvage;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::ops::Range;
use stygian_api::{Decoded, Decoder, Messages};
use stygian_core::ByteSize;

/// Rows that a decoder makes room for at first.
const FIRST_ROOM: usize = 8192;

/// A format's decoder: how it is made, fed and emptied.
pub(crate) trait Feed: Send {
    /// What takes the messages.
    type Decoder: Send;

    /// The schema of the rows.
    fn schema(&self) -> &SchemaRef;

    /// Longer messages are bad rows, and are not fed.
    fn max_row_bytes(&self) -> usize;

    /// An empty decoder with room for so many rows.
    fn fresh(&self, room: usize) -> Result<Self::Decoder, String>;

    /// Gives the decoder, which holds `rows` rows, one message; it must hold exactly one row more afterwards, and no part of another.
    fn feed(&self, decoder: &mut Self::Decoder, rows: usize, message: &[u8]) -> Result<(), String>;

    /// Takes the rows; `None` if there are none.
    fn flush(&self, decoder: &mut Self::Decoder) -> Result<Option<RecordBatch>, String>;

    /// A better reason why `message` is bad, told to a person who knows the columns but not the decoder.
    fn explain(&self, message: &[u8], reason: String) -> String;
}

/// Why an attempt failed.
pub(crate) struct Fault {
    /// The message to blame, if it is known: all before it were good so far.
    pub(crate) message: Option<usize>,
    /// What is wrong.
    pub(crate) reason: String,
}

/// Decodes the messages in `range` with a decoder that is thrown away afterwards. It has room for one row more than there are messages: a
/// full one would leave a second row of the last message unread and unseen.
pub(crate) fn attempt<F: Feed>(feed: &F, messages: &Messages, range: Range<usize>) -> Result<RecordBatch, Fault> {
    run(feed, &mut fresh(feed, range.len() + 1)?, messages, range)
}

fn fresh<F: Feed>(feed: &F, room: usize) -> Result<F::Decoder, Fault> {
    feed.fresh(room).map_err(|reason| Fault { message: None, reason })
}

/// Feeds the messages one by one into a decoder that is empty and has room for them.
fn run<F: Feed>(feed: &F, decoder: &mut F::Decoder, messages: &Messages, range: Range<usize>) -> Result<RecordBatch, Fault> {
    let limit = feed.max_row_bytes();
    for (rows, at) in range.enumerate() {
        let message = &messages.buffer[messages.ranges[at].clone()];
        let fed = if message.len() > limit { Err(too_long(limit)) } else { feed.feed(decoder, rows, message) };
        fed.map_err(|reason| Fault { message: Some(at), reason })?;
    }
    let rows = feed.flush(decoder).map_err(|reason| Fault { message: None, reason })?;
    Ok(rows.unwrap_or_else(|| RecordBatch::new_empty(feed.schema().clone())))
}

/// The reason for a message that is longer than the limit.
pub(crate) fn too_long(limit: usize) -> String {
    format!("longer than `max_row_bytes` ({})", ByteSize(limit as u64))
}

/// A decoder kept from poll to poll.
#[derive(Debug)]
pub(crate) struct PollDecoder<F: Feed> {
    feed: F,
    /// Empty between polls; `None` after a failure.
    kept: Option<F::Decoder>,
    /// Rows that `kept` has room for.
    room: usize,
}

impl<F: Feed> PollDecoder<F> {
    pub(crate) fn new(feed: F) -> Self {
        Self { feed, kept: None, room: FIRST_ROOM }
    }

    /// What it is fed by.
    pub(crate) fn feed(&self) -> &F {
        &self.feed
    }

    fn decode_all(&mut self, messages: &Messages) -> Result<RecordBatch, Fault> {
        if messages.len() > self.room {
            self.room = messages.len().next_power_of_two();
            self.kept = None;
        }
        let mut decoder = match self.kept.take() {
            Some(kept) => kept,
            None => fresh(&self.feed, self.room)?,
        };
        let rows = run(&self.feed, &mut decoder, messages, 0..messages.len())?;
        self.kept = Some(decoder);
        Ok(rows)
    }
}

impl<F: Feed> Decoder for PollDecoder<F> {
    fn schema(&self) -> &SchemaRef {
        self.feed.schema()
    }

    fn decode(&mut self, messages: &Messages) -> Decoded {
        match self.decode_all(messages) {
            Ok(rows) => Decoded { rows, bad: Vec::new() },
            Err(_) => salvage(&self.feed, messages),
        }
    }
}
