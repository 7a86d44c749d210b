//! Reads a text file message by message.
//!
//! Bytes are read in ranges that begin at the start of a message, so nothing is carried from one to the next: a message that does not
//! end within its range is read again with what follows. One that is longer than the limit is handed out cut just behind the limit,
//! which its decoder refuses, and passed over up to the next line feed (for CSV too: inside quotes it could mean the rest of the file).

use crate::bytes::FileBytes;
use ::bytes::{Buf, Bytes};
use async_trait::async_trait;
use stygian_api::{ConnectorError, Fetched, Messages, SplitReader};
use stygian_core::Offset;
use stygian_formats::{SplitUntil, Splitter};

/// Bytes read at once.
const READ: usize = 1024 * 1024;
/// Ranges of an overlong message that are passed over before others get a turn.
const SKIPPED_AT_ONCE: usize = 64;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A reader of one text file.
pub(crate) struct TextSplit {
    file: FileBytes,
    splitter: Box<dyn Splitter>,
    max_row_bytes: usize,
    /// Bytes read but not handed out; the first is the start of a message.
    rest: Bytes,
    /// The offset of the first byte of `rest`.
    at: u64,
    /// An overlong message being passed over, handed out when its end is found.
    overlong: Option<Messages>,
}

impl TextSplit {
    pub(crate) fn new(file: FileBytes, splitter: Box<dyn Splitter>, max_row_bytes: usize, from: u64) -> Self {
        Self { file, splitter, max_row_bytes, rest: Bytes::new(), at: from, overlong: None }
    }

    /// The first message, which is a header, without its line end; the reader then stands behind it.
    pub(crate) async fn take_header(&mut self) -> Result<Option<Bytes>, ConnectorError> {
        loop {
            match self.fetch(1).await? {
                Fetched::Messages { messages, .. } => return Ok(messages.ranges.first().map(|range| messages.buffer.slice(range.clone()))),
                Fetched::Nothing => {}
                _ => return Ok(None),
            }
        }
    }

    /// Reads on, from the start of the message that is not whole; more than was read of it last time.
    async fn read_more(&mut self) -> Result<(), ConnectorError> {
        let want = if self.rest.len() < READ { READ } else { (self.rest.len() * 2).min(self.max_row_bytes.max(READ) + 1) };
        let end = self.file.size.min(self.at + want as u64);
        self.rest = self.file.read(self.at..end).await?;
        if self.at == 0 && self.rest.starts_with(BYTE_ORDER_MARK) {
            self.advance(BYTE_ORDER_MARK.len());
        }
        Ok(())
    }

    fn advance(&mut self, count: usize) {
        self.rest.advance(count);
        self.at += count as u64;
    }

    fn begin_overlong(&mut self) {
        let cut = self.rest.len().min(self.max_row_bytes + 1);
        let range = 0..cut;
        self.overlong = Some(Messages { buffer: self.rest.slice(..cut), ranges: vec![range], offsets: vec![self.at] });
    }

    /// Looks for the end of an overlong message.
    async fn pass_over(&mut self, overlong: Messages) -> Result<Fetched, ConnectorError> {
        for _ in 0..SKIPPED_AT_ONCE {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                self.advance(end + 1);
                return Ok(Fetched::Messages { messages: overlong, next: Offset(self.at) });
            }
            self.advance(self.rest.len());
            if self.at >= self.file.size {
                return Ok(Fetched::Messages { messages: overlong, next: Offset(self.at) });
            }
            self.rest = self.file.read(self.at..self.file.size.min(self.at + READ as u64)).await?;
        }
        self.overlong = Some(overlong);
        Ok(Fetched::Nothing)
    }
}

#[async_trait]
impl SplitReader for TextSplit {
    async fn fetch(&mut self, rows: usize) -> Result<Fetched, ConnectorError> {
        loop {
            if let Some(overlong) = self.overlong.take() {
                return self.pass_over(overlong).await;
            }
            let last = self.at + self.rest.len() as u64 >= self.file.size;
            let (messages, used) = self.splitter.split(&self.rest, self.at, SplitUntil { rows: rows.max(1), last });
            self.advance(used);
            if !messages.is_empty() {
                return Ok(Fetched::Messages { messages, next: Offset(self.at) });
            }
            if self.at >= self.file.size {
                return Ok(Fetched::End);
            }
            if self.rest.len() > self.max_row_bytes {
                self.begin_overlong();
            } else {
                self.read_more().await?;
            }
        }
    }
}
