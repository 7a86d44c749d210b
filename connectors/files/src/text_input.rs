//! Where a text file's bytes come from: the file as it is, or what is in it when it is decompressed.
//!
//! Offsets are those of the text. A plain file can be read from any of them; a compressed one is decompressed from its start and what
//! is not wanted is dropped piece by piece, so going on in the middle of a large one costs the time of reading it again, and no memory.

use crate::bytes::FileBytes;
use ::bytes::Bytes;
use async_trait::async_trait;
use stygian_api::{ConnectorError, Mark};
use stygian_core::ByteSize;
use stygian_formats::{Compression, Decompressor, FormatError, Step};

/// Bytes of text that are asked for at once, if a row does not need more: the bound of what is decompressed for a batch.
pub(crate) const READ: usize = 1024 * 1024;
/// Compressed bytes read at once.
const COMPRESSED_READ: u64 = 256 * 1024;
/// Bytes of text that are passed over at once.
const PASSED: usize = 256 * 1024;

/// A text that is read from front to back.
#[async_trait]
pub(crate) trait TextInput: Send {
    /// Where the text ends; `None` as long as that is not known.
    fn end(&self) -> Option<u64>;

    /// The text from `at` on: `have`, which was read before, and what follows it, together at most `want` bytes. No more than `have`: there
    /// is nothing more for now, or `end` is known now.
    async fn more(&mut self, at: u64, have: Bytes, want: usize) -> Result<Bytes, ConnectorError>;

    /// What the file is known by, if that is new since it was last asked. Asked before every message that is handed out, and before the end.
    fn take_mark(&mut self) -> Option<Mark>;
}

/// How to find out whether a file is compressed, and what it may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inflating {
    pub(crate) chosen: Chosen,
    pub(crate) max_window: ByteSize,
}

/// What the pipeline file says about compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    ByName,
    Always(Option<Compression>),
}

impl Inflating {
    fn of(self, name: &str) -> Option<Compression> {
        match self.chosen {
            Chosen::ByName => Compression::of_name(name),
            Chosen::Always(compression) => compression,
        }
    }
}

/// Opens a file's text, to be read from `from` on.
pub(crate) async fn open_text(file: FileBytes, name: &str, inflating: Inflating, from: u64) -> Result<Box<dyn TextInput>, ConnectorError> {
    match inflating.of(name) {
        None if from > file.size => Err(beyond(&file.shown, file.size, from)),
        None => Ok(Box::new(PlainText(file))),
        Some(compression) => Ok(Box::new(CompressedText::open(file, compression, inflating.max_window, from).await?)),
    }
}

fn beyond(path: &str, size: u64, from: u64) -> ConnectorError {
    ConnectorError::Refused {
        what: path.to_owned(),
        reason: format!("the file has {size} bytes, and reading was to go on at byte {from}"),
        hint: "put back the file that was read before, or start the job afresh".into(),
    }
}

struct PlainText(FileBytes);

#[async_trait]
impl TextInput for PlainText {
    fn end(&self) -> Option<u64> {
        Some(self.0.size)
    }

    async fn more(&mut self, at: u64, _: Bytes, want: usize) -> Result<Bytes, ConnectorError> {
        self.0.read(at..self.0.size.min(at + want as u64)).await
    }

    fn take_mark(&mut self) -> Option<Mark> {
        None
    }
}

struct CompressedText {
    file: FileBytes,
    decompressor: Decompressor,
    compression: Compression,
    /// Compressed bytes read so far.
    read: u64,
    end: Option<u64>,
}

impl CompressedText {
    async fn open(file: FileBytes, compression: Compression, max_window: ByteSize, from: u64) -> Result<Self, ConnectorError> {
        let shown = file.shown.clone();
        let decompressor = Decompressor::new(compression, max_window).map_err(|e| ConnectorError::io("read", &shown, e))?;
        let mut text = Self { file, decompressor, compression, read: 0, end: None };
        text.pass_over(from).await?;
        Ok(text)
    }

    async fn pass_over(&mut self, from: u64) -> Result<(), ConnectorError> {
        let (mut at, mut passed) = (0, Vec::with_capacity(PASSED));
        while at < from {
            passed.clear();
            self.fill(at, &mut passed, usize::try_from(from - at).unwrap_or(PASSED).min(PASSED)).await?;
            at += passed.len() as u64;
            if passed.is_empty() && self.end.is_some() {
                return Err(beyond(&self.file.shown, at, from));
            }
            // A small file can hold very much text.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Appends text up to a length of `want`; `text` begins at `at`.
    async fn fill(&mut self, at: u64, text: &mut Vec<u8>, want: usize) -> Result<(), ConnectorError> {
        while text.len() < want && self.end.is_none() {
            let room = want - text.len();
            match self.decompressor.read(text, room).map_err(|e| self.corrupt(&e))? {
                Step::Text => {}
                Step::End => self.end = Some(at + text.len() as u64),
                Step::Hungry => {
                    let next = self.file.size.min(self.read + COMPRESSED_READ);
                    let bytes = self.file.read(self.read..next).await?;
                    self.read = next;
                    self.decompressor.feed(bytes, next == self.file.size);
                }
            }
        }
        Ok(())
    }

    fn corrupt(&self, error: &FormatError) -> ConnectorError {
        let format = self.compression.name();
        ConnectorError::Corrupt { what: self.file.shown.clone(), format, reason: error.to_string() }
    }
}

#[async_trait]
impl TextInput for CompressedText {
    fn end(&self) -> Option<u64> {
        self.end
    }

    async fn more(&mut self, at: u64, have: Bytes, want: usize) -> Result<Bytes, ConnectorError> {
        let mut text = Vec::with_capacity(want);
        text.extend_from_slice(&have);
        self.fill(at, &mut text, want).await?;
        Ok(text.into())
    }

    fn take_mark(&mut self) -> Option<Mark> {
        None
    }
}
