//! Reads a text file message by message.
//!
//! What is read ahead begins at the start of a message; one that does not end within it is kept until what follows it is there. One
//! that is longer than the limit is handed out cut just behind the limit, which its decoder refuses, and passed over up to the next line
//! feed (for CSV too: inside quotes it could mean the rest of the file).

use crate::text_input::{READ, TextInput};
use ::bytes::{Buf, Bytes};
use async_trait::async_trait;
use stygian_api::{ConnectorError, Fetched, Mark, Messages, SplitReader};
use stygian_core::Offset;
use stygian_formats::{SplitUntil, Splitter};

/// Ranges of an overlong message that are passed over before others get a turn.
const SKIPPED_AT_ONCE: usize = 64;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A reader of one text.
pub(crate) struct TextSplit {
    input: Box<dyn TextInput>,
    splitter: Box<dyn Splitter>,
    max_row_bytes: usize,
    /// Bytes read but not handed out; the first is the start of a message.
    rest: Bytes,
    /// The offset of the first byte of `rest`.
    at: u64,
    /// An overlong message being passed over, handed out when its end is found.
    overlong: Option<Messages>,
    /// What the file is known by, until it is told.
    mark: Option<Mark>,
}

impl TextSplit {
    pub(crate) fn new(input: Box<dyn TextInput>, splitter: Box<dyn Splitter>, max_row_bytes: usize, from: u64) -> Self {
        Self { input, splitter, max_row_bytes, rest: Bytes::new(), at: from, overlong: None, mark: None }
    }

    /// The same, which tells first what the file is known by.
    pub(crate) fn with_mark(mut self, mark: Option<Mark>) -> Self {
        self.mark = mark;
        self
    }

    /// The first message, which is a header, without its line end; the reader then stands behind it.
    pub(crate) async fn take_header(&mut self) -> Result<Option<Bytes>, ConnectorError> {
        loop {
            match self.next(1, false).await? {
                Fetched::Messages { messages, .. } => return Ok(messages.ranges.first().map(|range| messages.buffer.slice(range.clone()))),
                Fetched::Nothing => {}
                _ => return Ok(None),
            }
        }
    }

    /// Reads on: what was read of the message that is not whole, and more.
    async fn read_more(&mut self) -> Result<(), ConnectorError> {
        let want = if self.rest.len() < READ { READ } else { (self.rest.len() * 2).min(self.max_row_bytes.max(READ) + 1) };
        let have = std::mem::take(&mut self.rest);
        self.rest = self.input.more(self.at, have, want).await?;
        if self.at == 0 && self.rest.starts_with(BYTE_ORDER_MARK) {
            self.advance(BYTE_ORDER_MARK.len());
        }
        Ok(())
    }

    fn is_at_end(&self) -> bool {
        self.input.end().is_some_and(|end| self.at >= end)
    }

    fn advance(&mut self, count: usize) {
        self.rest.advance(count);
        self.at += count as u64;
    }

    fn begin_overlong(&mut self) {
        let cut = self.rest.len().min(self.max_row_bytes + 1);
        let range = 0..cut;
        self.overlong = Some(Messages { buffer: self.rest.slice(..cut), ranges: vec![range], offsets: vec![self.at], beside: None });
    }

    /// Looks for the end of an overlong message.
    async fn pass_over(&mut self, overlong: Messages) -> Result<Fetched, ConnectorError> {
        for _ in 0..SKIPPED_AT_ONCE {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                self.advance(end + 1);
                return Ok(Fetched::Messages { messages: overlong, next: Offset(self.at) });
            }
            self.advance(self.rest.len());
            if self.is_at_end() {
                return Ok(Fetched::Messages { messages: overlong, next: Offset(self.at) });
            }
            self.rest = self.input.more(self.at, Bytes::new(), READ).await?;
            if self.rest.is_empty() && self.input.end().is_none() {
                break;
            }
        }
        self.overlong = Some(overlong);
        Ok(Fetched::Nothing)
    }

    fn new_mark(&mut self) -> Option<Mark> {
        self.mark.take().or_else(|| self.input.take_mark())
    }

    /// What comes next: messages, or a mark where those are wanted now.
    async fn next(&mut self, rows: usize, marks: bool) -> Result<Fetched, ConnectorError> {
        loop {
            if marks && let Some(mark) = self.new_mark() {
                return Ok(Fetched::Mark(mark));
            }
            if let Some(overlong) = self.overlong.take() {
                return self.pass_over(overlong).await;
            }
            let last = self.input.end().is_some_and(|end| self.at + self.rest.len() as u64 >= end);
            let (messages, used) = self.splitter.split(&self.rest, self.at, SplitUntil { rows: rows.max(1), last });
            self.advance(used);
            if !messages.is_empty() {
                return Ok(Fetched::Messages { messages, next: Offset(self.at) });
            }
            if self.is_at_end() {
                return Ok(Fetched::End);
            }
            let read = self.rest.len();
            if read > self.max_row_bytes {
                self.begin_overlong();
                continue;
            }
            self.read_more().await?;
            if self.rest.len() <= read && self.input.end().is_none() {
                return Ok(Fetched::Nothing);
            }
        }
    }
}

#[async_trait]
impl SplitReader for TextSplit {
    async fn fetch(&mut self, rows: usize) -> Result<Fetched, ConnectorError> {
        self.next(rows, true).await
    }
}
