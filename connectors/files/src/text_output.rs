//! How files are compressed when they are written: text as a whole, blocks and pages inside the formats that have them.

use crate::checksum::WrittenFile;
use crate::options::{SinkOptions, WriteCompression};
use std::io::{self, Write};
use stygian_formats::{AvroCodec, Compression, Format, ParquetCompression};

/// How a sink's files are compressed.
pub(crate) enum Codec {
    Text(Option<Deflating>),
    Avro(AvroCodec),
    Parquet(ParquetCompression),
}

/// How text is compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deflating {
    pub(crate) compression: Compression,
    level: u32,
}

impl Codec {
    /// What the options say; `Err`: which option is wrong, and why.
    pub(crate) fn of(read: &SinkOptions) -> Result<Self, (&'static str, String)> {
        let compression = read.compression;
        let cannot = |known: &str| {
            let name = compression.map_or("none", WriteCompression::name);
            Err(("compression", format!("{} cannot be compressed with {name}; it can be: {known}", read.format)))
        };
        let codec = match (read.format, compression) {
            (Format::Avro, None | Some(WriteCompression::Deflate)) => Self::Avro(AvroCodec::Deflate),
            (Format::Avro, Some(WriteCompression::None)) => Self::Avro(AvroCodec::None),
            (Format::Avro, Some(WriteCompression::Snappy)) => Self::Avro(AvroCodec::Snappy),
            (Format::Avro, Some(WriteCompression::Zstd)) => Self::Avro(AvroCodec::Zstd),
            (Format::Avro, _) => return cannot("none, deflate, snappy, zstd"),
            (Format::Parquet, None | Some(WriteCompression::Zstd)) => Self::Parquet(ParquetCompression::Zstd),
            (Format::Parquet, Some(WriteCompression::None)) => Self::Parquet(ParquetCompression::None),
            (Format::Parquet, Some(WriteCompression::Snappy)) => Self::Parquet(ParquetCompression::Snappy),
            (Format::Parquet, _) => return cannot("none, snappy, zstd"),
            (_, None | Some(WriteCompression::None)) => Self::Text(None),
            (_, Some(WriteCompression::Gzip)) => Self::Text(Some(Deflating::new(Compression::Gzip, read.compression_level)?)),
            (_, Some(WriteCompression::Zstd)) => Self::Text(Some(Deflating::new(Compression::Zstd, read.compression_level)?)),
            _ => return cannot("none, gzip, zstd"),
        };
        match codec {
            Self::Text(Some(_)) => Ok(codec),
            _ if read.compression_level.is_some() => Err(("compression_level", "there is no level without gzip or zstd of text".into())),
            _ => Ok(codec),
        }
    }
}

impl Deflating {
    fn new(compression: Compression, level: Option<u32>) -> Result<Self, (&'static str, String)> {
        // More than 19 of zstd would need more memory to read than readers take unasked.
        let (levels, usual) = match compression {
            Compression::Gzip => (0..=9, 6),
            Compression::Zstd => (1..=19, 3),
        };
        let level = level.unwrap_or(usual);
        if levels.contains(&level) {
            return Ok(Self { compression, level });
        }
        Err(("compression_level", format!("{} has the levels {} to {}", compression.name(), levels.start(), levels.end())))
    }
}

/// A file that text is written to.
pub(crate) enum TextOutput {
    Plain(WrittenFile),
    Gzip(flate2::write::GzEncoder<WrittenFile>),
    Zstd(zstd::Encoder<'static, WrittenFile>),
}

impl TextOutput {
    pub(crate) fn new(file: WrittenFile, deflating: Option<Deflating>) -> io::Result<Self> {
        let Some(Deflating { compression, level }) = deflating else { return Ok(Self::Plain(file)) };
        match compression {
            Compression::Gzip => Ok(Self::Gzip(flate2::write::GzEncoder::new(file, flate2::Compression::new(level)))),
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(file, level.cast_signed())?;
                encoder.include_checksum(true)?;
                Ok(Self::Zstd(encoder))
            }
        }
    }

    pub(crate) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(text),
            Self::Gzip(encoder) => encoder.write_all(text),
            Self::Zstd(encoder) => encoder.write_all(text),
        }
    }

    /// Bytes in the file so far; a compressor may hold some back.
    pub(crate) fn written(&self) -> u64 {
        match self {
            Self::Plain(file) => file.bytes(),
            Self::Gzip(encoder) => encoder.get_ref().bytes(),
            Self::Zstd(encoder) => encoder.get_ref().bytes(),
        }
    }

    /// Writes what is held back, and gives up the file.
    pub(crate) fn finish(self) -> io::Result<WrittenFile> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        Ok(file)
    }
}
