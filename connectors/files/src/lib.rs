//! Files as sources and sinks: JSON lines, CSV, raw lines, Avro and Parquet in local folders.
//!
//! As a source, every file is a split; its offsets are bytes of text (decompressed) or rows (Avro, Parquet), so reading can go on
//! anywhere. Files are read once, or followed as they grow and are rotated (`followed`). As a sink, every
//! subtask writes files of its own under in-progress names, and what is finished becomes visible by a rename, which a committer does
//! and may do twice. So a file with a final name is whole, and a crash leaves everything else under in-progress names.

mod bytes;
mod committer;
mod connector;
mod connector_source;
mod folder;
mod followed;
mod followed_file;
mod identity;
mod location;
mod options;
mod output;
mod partition;
mod partition_name;
mod row_split;
mod sink;
mod source;
mod text_input;
mod text_output;
mod text_split;
mod writer;

pub use connector::Files;
pub use options::{ReadCompression, SinkOptions, SourceOptions, WriteCompression};
