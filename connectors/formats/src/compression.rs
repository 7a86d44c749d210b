//! Compressed text: gzip and zstd, undone piece by piece.
//!
//! A [`Decompressor`] is given compressed bytes as they come and asked for text, never more at once than there is room for, so that a
//! small file that grows without end takes no more memory than any other. Members and frames that follow each other are one text. A
//! stream that is cut short, damaged or followed by something else is an error with its place: what came before it was whole (gzip
//! and zstd check it at the end of each member or frame), and nothing is passed over.

use crate::FormatError;
use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, ErrorKind, Read};
use stygian_core::ByteSize;

/// The default of `max_zstd_window`: what RFC 8878 asks every decoder to take, and what `zstd` needs up to its level 19.
pub const MAX_ZSTD_WINDOW: ByteSize = ByteSize::mib(8);

/// How a text file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// What a file's name says; `None`: nothing.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Gzip, Self::Zstd].into_iter().find(|compression| name.ends_with(&format!(".{}", compression.extension())))
    }

    /// The ending of compressed files, behind the format's own and without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
        }
    }

    /// The name in a pipeline file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// What asking for text came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Some text was added, at least a byte.
    Text,
    /// More compressed bytes are needed first.
    Hungry,
    /// The text is at its end, and so are the compressed bytes.
    End,
}

/// Compressed bytes in, text out.
pub struct Decompressor {
    codec: Codec,
    compression: Compression,
    max_window: ByteSize,
}

enum Codec {
    Gzip(Box<MultiGzDecoder<Input>>),
    Zstd(Box<zstd::Decoder<'static, Input>>),
}

impl Decompressor {
    /// One that is at the start of a file. A zstd frame with a window larger than `max_window` is refused; memory is taken for no more.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new(compression: Compression, max_window: ByteSize) -> Result<Self, FormatError> {
        let codec = match compression {
            Compression::Gzip => Codec::Gzip(Box::new(MultiGzDecoder::new(Input::default()))),
            Compression::Zstd => {
                let made = zstd::Decoder::with_buffer(Input::default()).and_then(|mut decoder| {
                    decoder.window_log_max(max_window.0.max(1024).ilog2().min(31))?;
                    Ok(decoder)
                });
                Codec::Zstd(Box::new(made.map_err(|e| FormatError::Read(e.into()))?))
            }
        };
        Ok(Self { codec, compression, max_window })
    }

    /// Gives the next compressed bytes, after [`Step::Hungry`]. `last`: none follow these.
    pub fn feed(&mut self, bytes: Bytes, last: bool) {
        let input = match &mut self.codec {
            Codec::Gzip(decoder) => decoder.get_mut(),
            Codec::Zstd(decoder) => decoder.get_mut(),
        };
        input.bytes = bytes;
        input.last = last;
    }

    /// Appends at most `room` bytes of text.
    ///
    /// # Errors
    /// When the compressed bytes are damaged or cut short; nothing more can be read then.
    pub fn read(&mut self, out: &mut Vec<u8>, room: usize) -> Result<Step, FormatError> {
        let start = out.len();
        out.resize(start + room.max(1), 0);
        let result = match &mut self.codec {
            Codec::Gzip(decoder) => decoder.read(&mut out[start..]),
            Codec::Zstd(decoder) => decoder.read(&mut out[start..]),
        };
        out.truncate(start + result.as_ref().copied().unwrap_or(0));
        match result {
            Ok(0) => Ok(Step::End),
            Ok(_) => Ok(Step::Text),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Step::Hungry),
            Err(error) => Err(self.explain(&error)),
        }
    }

    fn explain(&self, error: &io::Error) -> FormatError {
        let offset = match &self.codec {
            Codec::Gzip(decoder) => decoder.get_ref().taken,
            Codec::Zstd(decoder) => decoder.get_ref().taken,
        };
        let text = error.to_string();
        let reason = match error.kind() {
            ErrorKind::UnexpectedEof => "the file ends in the middle of it; it was cut short or is still being written".to_owned(),
            _ if text.contains("requires too much memory") => {
                format!("it needs a window of more than {}; raise `max_zstd_window` if the file is to be trusted", self.max_window)
            }
            _ => stygian_core::escape(&text, 200),
        };
        FormatError::Compressed { compression: self.compression.name(), offset, reason }
    }
}

/// The bytes at hand. Without any, and more to come, reading "would block", which both decoders bear at any byte.
#[derive(Default)]
struct Input {
    bytes: Bytes,
    last: bool,
    /// Bytes consumed so far.
    taken: u64,
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.len().min(into.len());
        into[..count].copy_from_slice(&self.bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() && !self.last {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(&self.bytes)
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.bytes.len());
        self.bytes.advance(count);
        self.taken += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    const BOTH: [Compression; 2] = [Compression::Gzip, Compression::Zstd];

    fn compress(compression: Compression, text: &[u8]) -> Vec<u8> {
        match compression {
            Compression::Gzip => {
                let mut to = flate2::GzBuilder::new().filename("a name").comment("and more").extra(vec![1; 30]);
                to = to.mtime(7);
                let mut to = to.write(Vec::new(), flate2::Compression::default());
                to.write_all(text).and_then(|()| to.finish()).expect("written")
            }
            Compression::Zstd => {
                let mut to = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
                to.include_checksum(true).expect("set");
                to.write_all(text).and_then(|()| to.finish()).expect("written")
            }
        }
    }

    /// The text, from compressed bytes in pieces of `piece`, `room` bytes at a time.
    fn decompress(compression: Compression, bytes: &[u8], piece: usize, room: usize) -> Result<Vec<u8>, FormatError> {
        let mut from = Decompressor::new(compression, MAX_ZSTD_WINDOW).expect("made");
        let (mut pieces, mut out) = (bytes.chunks(piece).map(Bytes::copy_from_slice), Vec::new());
        let mut fed = 0;
        loop {
            let before = out.len();
            match from.read(&mut out, room)? {
                Step::Text => assert!(out.len() > before && out.len() - before <= room, "{} bytes of {room}", out.len() - before),
                Step::End => return Ok(out),
                Step::Hungry => {
                    let next = pieces.next().unwrap_or_default();
                    fed += next.len();
                    from.feed(next, fed == bytes.len());
                }
            }
        }
    }

    #[test]
    fn knows_files_by_their_names() {
        assert_eq!(Compression::of_name("a/b.jsonl.gz"), Some(Compression::Gzip));
        assert_eq!(Compression::of_name("b.zst"), Some(Compression::Zstd));
        assert_eq!([Compression::of_name("gz"), Compression::of_name("a.gz.jsonl")], [None, None]);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let told = |compression, bytes: &[u8]| decompress(compression, bytes, 7, 100).expect_err("damaged").to_string();
        for compression in BOTH {
            let (name, whole) = (compression.name(), compress(compression, b"some text, some text"));
            for cut in 0..whole.len() {
                let error = told(compression, &whole[..cut]);
                let expected = format!("at compressed byte {cut}, {name} cannot be read: the file ends in the middle of it");
                assert!(error.starts_with(&expected), "cut at {cut}: {error}");
            }
            let garbage = told(compression, &[whole.as_slice(), b"garbage behind it"].concat());
            assert!(garbage.contains(&format!("{name} cannot be read: ")), "{garbage}");
            let mut damaged = whole.clone();
            let last = damaged.len() - 6;
            damaged[last] ^= 0x55;
            assert!(decompress(compression, &damaged, 7, 100).is_err(), "a checksum that is wrong");
        }
        assert!(told(Compression::Gzip, b"{\"user\":1}\n, no gzip").ends_with("invalid gzip header"));
        assert!(told(Compression::Zstd, b"{\"user\":1}\n").ends_with("Unknown frame descriptor"));
    }

    #[test]
    fn refuses_a_window_that_is_too_large_before_it_takes_memory() {
        let mut to = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
        to.window_log(27).expect("set");
        to.write_all(b"x").expect("written");
        let bytes = to.finish().expect("finished");
        let error = decompress(Compression::Zstd, &bytes, 100, 100).expect_err("too large").to_string();
        assert!(error.contains("needs a window of more than 8.0 MiB; raise `max_zstd_window`"), "{error}");
    }

    #[test]
    fn a_bomb_takes_no_more_than_the_room_it_is_given() {
        for compression in BOTH {
            let bomb = compress(compression, &vec![0; 64 << 20]);
            assert!(bomb.len() < 100_000);
            let mut from = Decompressor::new(compression, MAX_ZSTD_WINDOW).expect("made");
            from.feed(bomb.into(), true);
            let (mut total, mut out) = (0, Vec::new());
            while from.read(&mut out, 4096).expect("text") == Step::Text {
                assert!(out.capacity() <= 8192);
                total += out.len();
                out.clear();
            }
            assert_eq!(total, 64 << 20);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn in_pieces_is_as_whole(texts in prop::collection::vec("[ab]{0,200}", 1..4), piece in 1_usize..64, room in 1_usize..64) {
            for compression in BOTH {
                let bytes: Vec<u8> = texts.iter().flat_map(|text| compress(compression, text.as_bytes())).collect();
                let found = decompress(compression, &bytes, piece, room).expect("whole");
                prop_assert_eq!(String::from_utf8(found), Ok(texts.concat()));
            }
        }

        /// Whatever a stranger sends: text or an error, never a panic, and never text that a changed byte did not leave as it was.
        #[test]
        fn bears_strangers(seed in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..400, bit in 0_u8..8, whole: bool) {
            for compression in BOTH {
                let text = seed.repeat(20);
                let mut bytes = if whole { compress(compression, &text) } else { seed.clone() };
                let at = at % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
                let mut from = Decompressor::new(compression, MAX_ZSTD_WINDOW).expect("made");
                from.feed(bytes.into(), true);
                let mut out = Vec::new();
                while matches!(from.read(&mut out, 1000), Ok(Step::Text)) && out.len() < 1 << 20 {}
            }
        }
    }
}
