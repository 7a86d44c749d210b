//! Files as sources and sinks: JSON lines, CSV and Parquet in local folders.
//!
//! As a source, every file is a split; its offsets are bytes (text) or rows (Parquet), so reading can go on anywhere. As a sink, every
//! subtask writes files of its own under in-progress names, and what is finished becomes visible by a rename, which a committer does
//! and may do twice. So a file with a final name is whole, and a crash leaves everything else under in-progress names.

mod bytes;
mod committer;
mod connector;
mod folder;
mod location;
mod options;
mod output;
mod parquet_split;
mod partition;
mod partition_name;
mod sink;
mod source;
mod text_split;
mod writer;

pub use connector::Files;
pub use options::{SinkOptions, SourceOptions};
