//! Files as sources and sinks: JSON lines, CSV, raw lines, Avro and Parquet in local folders and in HDFS.
//!
//! As a source, every file is a split; its offsets are bytes of text (decompressed) or rows (Avro, Parquet), so reading can go on
//! anywhere, also in another process: what files are known by (`marks`) is kept in checkpoints, and a file that is not the one that was
//! read is refused. Files are read once, or followed as they grow and are rotated (`followed`). As a sink, every
//! subtask writes files of its own under in-progress names, and what is finished becomes visible by a rename, which a committer does
//! after the commit of the checkpoint that knows of the file, and may do twice. So a file with a final name is whole and belongs to a
//! committed checkpoint (small ones may be merged before, `holding`); there is none of a run whose checkpoint was not, and nothing ever has to be taken back. A crash leaves everything
//! else under in-progress names, which tell job and sink: the next run finishes those that its checkpoint knows and deletes the others.

mod bytes;
mod checksum;
mod committer;
mod connector;
mod connector_source;
mod file_system;
mod followed;
mod followed_file;
mod followed_name;
mod followed_restore;
mod growing;
mod holding;
mod identity;
mod in_progress;
mod inputs;
mod local;
mod location;
mod marks;
mod merge;
mod merges;
mod options;
mod orphans;
mod output;
mod partition;
mod partition_name;
mod pending_file;
mod remote;
mod row_split;
mod sink;
mod source;
mod text_input;
mod text_output;
mod text_split;
mod writer;

pub use connector::Files;
pub use options::{ReadCompression, SinkOptions, SourceOptions, WriteCompression};
