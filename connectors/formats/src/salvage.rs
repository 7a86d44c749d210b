//! What decoders do with a poll that has bad rows in it: find them, and keep all others.
//!
//! A decoder works on a whole poll at once and, when it fails, does not say which message was to blame, or leaves rows behind it
//! shifted. Nothing of a failed attempt is kept. The messages are tried again in pieces, each with a fresh decoder; a piece that
//! fails is cut at the message to blame, if that is known, and else in the middle, until the bad message is alone.

use crate::poll_decoder::{Feed, attempt};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use std::ops::Range;
use stygian_api::{BadRow, Decoded, Messages};

/// Messages in one piece: small enough that finding a bad one among them is cheap.
const PIECE: usize = 256;
/// The longest reason; what comes from data is cut there.
const REASON_LIMIT: usize = 300;

/// Decodes a poll of which some messages are bad.
pub(crate) fn salvage(decoder: &impl Feed, messages: &Messages) -> Decoded {
    let mut salvaged = Salvage { decoder, messages, good: Vec::new(), bad: Vec::new() };
    for start in (0..messages.len()).step_by(PIECE) {
        salvaged.piece(start..messages.len().min(start + PIECE));
    }
    let Salvage { good, bad, .. } = salvaged;
    match concat_batches(decoder.schema(), &good) {
        Ok(rows) => Decoded { rows, bad },
        Err(error) => all_bad(decoder.schema(), messages, &error.to_string()),
    }
}

/// Every message refused for one reason.
pub(crate) fn all_bad(schema: &SchemaRef, messages: &Messages, reason: &str) -> Decoded {
    let bad = (0..messages.len()).map(|message| BadRow { message, reason: reason.to_owned() }).collect();
    Decoded { rows: RecordBatch::new_empty(schema.clone()), bad }
}

struct Salvage<'a, D> {
    decoder: &'a D,
    messages: &'a Messages,
    good: Vec<RecordBatch>,
    bad: Vec<BadRow>,
}

impl<D: Feed> Salvage<'_, D> {
    /// Works from the left, so that rows and bad rows stay in order. Recurses only into shorter pieces that are cut in the middle.
    fn piece(&mut self, mut range: Range<usize>) {
        while !range.is_empty() {
            let fault = match attempt(self.decoder, self.messages, range.clone()) {
                Ok(rows) => return self.good.push(rows),
                Err(fault) => fault,
            };
            match fault.message {
                _ if range.len() == 1 => return self.refuse(range.start, fault.reason),
                Some(message) => {
                    self.piece(range.start..message);
                    self.refuse(message, fault.reason);
                    range.start = message + 1;
                }
                None => {
                    let middle = range.start + range.len() / 2;
                    self.piece(range.start..middle);
                    range.start = middle;
                }
            }
        }
    }

    fn refuse(&mut self, message: usize, reason: String) {
        let bytes = &self.messages.buffer[self.messages.ranges[message].clone()];
        let reason = stygian_core::escape(&self.decoder.explain(bytes, reason), REASON_LIMIT);
        self.bad.push(BadRow { message, reason });
    }
}
