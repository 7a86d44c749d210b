//! Bytes to columns and back: JSON lines, CSV, raw lines, Avro and Parquet.
//!
//! A text format cuts bytes into messages ([`Splitter`]), turns messages into rows ([`stygian_api::Decoder`]) and rows into bytes
//! ([`stygian_api::Encoder`]), and may be compressed as a whole ([`Compression`]); Avro and Parquet, which are no sequences of messages,
//! have readers and writers of whole files. The codecs
//! themselves are Arrow's; what is added here is that a message is always exactly one row or one bad row with its reason, and that
//! every size a stranger chooses is checked before memory is taken for it. Where bytes come from is left to the connectors.

mod avro_container;
mod avro_decoder;
#[cfg(test)]
mod avro_decoder_tests;
mod avro_encoder;
mod avro_frame;
mod avro_message;
mod avro_reader;
mod avro_shapes;
#[cfg(test)]
mod avro_tests;
mod avro_walk;
mod avro_writer;
mod columns;
mod compression;
mod csv;
mod csv_decoder;
mod csv_encoder;
mod csv_header;
mod csv_split;
mod error;
mod format;
mod json_decoder;
mod json_depth;
mod json_encoder;
mod lines;
mod parquet_pages;
mod parquet_reader;
#[cfg(test)]
mod parquet_tests;
mod parquet_writer;
mod plain;
mod poll_decoder;
mod range_reader;
mod raw;
mod salvage;
mod splitter;

pub use avro_container::AvroLimits;
pub use avro_decoder::{AvroDecoder, WriterSchemas};
pub use avro_encoder::AvroEncoder;
pub use avro_frame::{avro_frame, avro_framed};
pub use avro_message::{MAX_SCHEMA_BYTES, WriterSchema};
pub use avro_reader::{AvroReader, avro_schema};
pub use avro_writer::{AvroCodec, AvroWriter};
pub use columns::Columns;
pub use compression::{Compression, Decompressor, MAX_ZSTD_WINDOW, Step};
pub use csv::{AsciiChar, CsvOptions};
pub use csv_decoder::CsvDecoder;
pub use csv_encoder::CsvEncoder;
pub use csv_header::CsvHeader;
pub use csv_split::CsvRecords;
pub use error::FormatError;
pub use format::{Format, MAX_ROW_BYTES};
pub use json_decoder::{JsonDecoder, MAX_JSON_DEPTH};
pub use json_encoder::JsonEncoder;
pub use lines::Lines;
pub use parquet_reader::{ParquetLimits, ParquetReader, parquet_schema};
pub use parquet_writer::{ParquetCompression, ParquetWriter, ParquetWriterOptions};
pub use range_reader::RangeReader;
pub use raw::{RAW_COLUMN, RawDecoder, RawEncoder, RawLines, raw_schema};
pub use splitter::{SplitUntil, Splitter};
